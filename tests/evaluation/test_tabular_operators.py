"""Operators of tabular exports against onnxruntime, and under hostile input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from onnx import helper, numpy_helper

from danku.evaluation.kernels import machines, ordering
from danku.evaluation.kernels.elementwise import integer_power
from danku.evaluation.kernels.rejection import RuntimeRejection
from danku.evaluation.refusal import ModelRejected
from tests.evaluation.test_operators import (
    ML,
    WHOLE,
    X4,
    Case,
    X,
    assert_same,
    axes,
    build,
    reductions,
    run_peer,
)

FLOAT = np.float32
TIES = np.array([[3, 1, 3, 2], [0, -0.0, 5, 5], [7, 7, 7, 7]], FLOAT)
GAPS = np.where(np.abs(X) < 0.5, FLOAT(np.nan), X)
NUMBERS = np.array([[1, 5, 2], [7, 2, 5]], np.int64)
ODD = np.array([0.5, -0.5, 1.5, 2.5, -2.5, 1e30, -0.0, np.inf, np.nan], FLOAT)
PLACES = np.array([[0, 2, 1], [-1, 1, 0]], np.int64)
NEW = np.array([[1, 2, 3], [4, 5, 6]], FLOAT)
REDUCTION = (16, 17, 18, 22)
SUPPORT = np.linspace(-1, 1, 15).tolist()

MACHINE = {
    "support_vectors": SUPPORT,
    "kernel_params": [0.4, 0.3, 3.0],
    "rho": [0.2],
}
PAIRWISE = {
    "vectors_per_class": [2, 2, 1],
    "coefficients": np.linspace(-1, 1.3, 10).tolist(),
    "rho": [0.1, -0.2, 0.05],
    "classlabels_ints": [4, 5, 6],
}
PLATT = {"prob_a": [-1.5, -2.0, -0.7], "prob_b": [0.1, -0.1, 0.3]}
KERNELS = ("LINEAR", "POLY", "RBF", "SIGMOID")


def counts(*listed: int) -> np.ndarray:
    return np.array(listed, np.int64)


CASES = [
    *reductions("ReduceSumSquare", 18),
    *reductions("ReduceL1", 18),
    *reductions("ReduceProd", 18),
    *(case for case in reductions("ReduceL2", 18) if case.note != "int64"),
    *(case for case in reductions("ReduceLogSumExp", 18) if case.note != "int64"),
    Case("ReduceLogSum", np.abs(X4), note="all"),
    Case("Sign", ODD[:-1]),
    Case("Sign", WHOLE, outputs=["int64"], note="int64"),
    Case("Round", ODD, opsets=(11, 22)),
    Case("IsNaN", ODD, opsets=(9, 13, 20), outputs=["bool"]),
    Case("IsInf", ODD, opsets=(10, 20), outputs=["bool"]),
    Case("IsInf", ODD, attributes={"detect_negative": 0}, opsets=(10,), outputs=["bool"], note="+"),
    Case("Mod", WHOLE, [counts(3)], opsets=(10, 13), outputs=["int64"]),
    Case("Mod", WHOLE, [counts(-3)], {"fmod": 1}, (10, 13), outputs=["int64"], note="fmod"),
    Case("Mod", X * 9, [FLOAT(0.7)], {"fmod": 1}, (10, 13), note="float"),
    Case("Pow", WHOLE, [counts(3, 0, 2)], opsets=(12, 15), outputs=["int64"], note="int"),
    Case("Pow", WHOLE, [FLOAT(2)], opsets=(12, 15), outputs=["int64"], note="int-float"),
    Case("TopK", TIES, attributes={"k": 3}, opsets=(9,), outputs=["float32", "int64"]),
    Case("TopK", TIES, [counts(3)], opsets=(10,), outputs=["float32", "int64"]),
    Case("TopK", TIES, [counts(2)], {"largest": 0}, (11, 22), outputs=["float32", "int64"]),
    Case("TopK", X4, [counts(2)], {"axis": 1}, (11,), outputs=["float32", "int64"], note="axis"),
    Case("TopK", WHOLE, [counts(3)], opsets=(11,), outputs=["int64", "int64"], note="int64"),
    Case("GatherElements", X[:2], [PLACES], {"axis": 1}, opsets=(11, 13, 22)),
    Case("GatherElements", X, [PLACES], {"axis": 0}, opsets=(11,), note="rows"),
    Case("Scatter", X, [PLACES, NEW], {"axis": 1}, opsets=(9, 10)),
    Case("ScatterElements", X, [PLACES, NEW], {"axis": 1}, opsets=(11, 13, 16, 18)),
    *(
        Case(
            "ScatterElements",
            X,
            [PLACES * 0, NEW],
            {"axis": 1, "reduction": kind},
            since,
            note=kind,
        )
        for kind, since in (("add", (16, 18)), ("mul", (16, 18)), ("max", (18,)), ("min", (18,)))
    ),
    Case("OneHot", NUMBERS, [np.int64(6), NEW[0, :2]], opsets=(9, 11)),
    Case("OneHot", NUMBERS - 4, [np.int64(4), NEW[0, :2]], {"axis": 0}, (11,), note="negative"),
    Case("CumSum", X4, [np.int64(1)], opsets=(11, 14)),
    Case("CumSum", X4, [np.int64(-1)], {"exclusive": 1, "reverse": 1}, (11, 14), note="both"),
    Case("CumSum", WHOLE, [np.int32(1)], opsets=(11,), outputs=["int64"], note="int64"),
    Case("Tile", X, [counts(2, 3)]),
    Case("Tile", X, [counts(0, 1)], note="nothing"),
    Case(
        "Split",
        X4,
        attributes={"axis": 3, "split": [2, 3]},
        opsets=(9, 11),
        outputs=["float32"] * 2,
    ),
    Case(
        "Split", X4, attributes={"axis": 2}, opsets=(9, 13), outputs=["float32"] * 2, note="equal"
    ),
    Case(
        "Split", X4, [counts(1, 4)], {"axis": -1}, (13, 18), outputs=["float32"] * 2, note="input"
    ),
    Case("Split", X4, [], {"axis": 3, "num_outputs": 2}, (18, 22), outputs=["float32"] * 2),
    Case("CDist", X, [X[1:] * 3], {"metric": "euclidean"}, (17,), "com.microsoft"),
    Case(
        "CDist", X, [X[1:] * 3], {"metric": "sqeuclidean"}, (17,), "com.microsoft", note="squared"
    ),
    Case(
        "Imputer",
        GAPS,
        attributes={"imputed_value_floats": [1.0, 2, 3], "replaced_value_float": np.nan},
        domain=ML,
    ),
    Case("Imputer", TIES, attributes={"imputed_value_floats": [9.0]}, domain=ML, note="zeros"),
    Case(
        "Imputer",
        NUMBERS,
        attributes={"imputed_value_int64s": [9], "replaced_value_int64": 2},
        domain=ML,
        outputs=["int64"],
        note="int64",
    ),
    Case("Binarizer", attributes={"threshold": 0.3}, domain=ML),
    Case("FeatureVectorizer", X, [X * 2], {"inputdimensions": [3, 3]}, domain=ML),
    Case("OneHotEncoder", NUMBERS, attributes={"cats_int64s": [7, 2, 1]}, domain=ML),
    Case("OneHotEncoder", X * 3, attributes={"cats_int64s": [0, -1, 1, 2]}, domain=ML, note="cast"),
    Case(
        "CategoryMapper",
        NUMBERS,
        attributes={"cats_int64s": [1, 2], "cats_strings": ["a", "b"], "default_string": "?"},
        domain=ML,
        outputs=["object"],
    ),
    *(
        Case(
            "SVMRegressor",
            attributes=MACHINE
            | {"kernel_type": kind, "n_supports": 5, "coefficients": [0.5, -1, 2, 0.1, -0.3]},
            domain=ML,
            note=kind,
        )
        for kind in KERNELS
    ),
    Case(
        "SVMRegressor",
        attributes={"coefficients": [0.5, -1, 2], "rho": [0.3], "kernel_params": [0.0, 0.0, 0.0]},
        domain=ML,
        note="no-vectors",
    ),
    *(
        Case(
            "SVMClassifier",
            attributes=MACHINE | PAIRWISE | {"kernel_type": kind} | platt,
            domain=ML,
            outputs=["int64", "float32"],
            note=f"{kind}-{'platt' if platt else 'votes'}",
        )
        for kind in KERNELS
        for platt in ({}, PLATT)
    ),
]


@pytest.mark.parametrize(
    ("case", "opset"),
    [
        pytest.param(case, opset, id=f"{case.identifier}-{opset}")
        for case in CASES
        for opset in ((17,) if case.domain == ML else case.opsets)
    ],
)
def test_operator_agrees_with_onnxruntime(
    case: Case, opset: int, model: Callable[..., Any], exact: Callable[..., Any]
) -> None:
    built, x = build(case, opset, model, ml=1)
    if case.domain == "com.microsoft":
        built.opset_import.append(helper.make_opsetid(case.domain, 1))
    ours, theirs = exact(built, x), run_peer(built, x)
    for name in theirs:
        assert_same(ours[name], theirs[name])


def refused(
    operator: str, x: np.ndarray, others: Sequence[Any], exact: Any, model: Any, **more: Any
) -> str:
    outputs = more.pop("outputs", 1)
    opset, domain = more.pop("opset", 18), more.pop("domain", "")
    case = Case(operator, x, others, more, domain=domain, outputs=["float32"] * outputs)
    built, x = build(case, opset, model, ml=1)
    with pytest.raises((ModelRejected, RuntimeRejection)) as caught:
        exact(built, x)
    return caught.value.reason


@pytest.mark.parametrize(
    ("operator", "x", "others", "more", "reason"),
    [
        ("TopK", X, [counts(4)], {}, "4 of 3 elements"),
        ("TopK", X, [counts(-1)], {}, "-1 of 3 elements"),
        ("TopK", X, [counts(2**62)], {}, "of 3 elements"),
        ("TopK", X, [counts(1, 1)], {}, "not one number"),
        ("TopK", X, [counts(1)], {"axis": 2}, "axis 2"),
        ("TopK", FLOAT(1), [counts(1)], {}, "rank 0"),
        ("GatherElements", X, [PLACES + 9], {"axis": 1}, "index out of range"),
        ("GatherElements", X, [PLACES[:1, :1, None]], {}, "rank 3"),
        ("GatherElements", X, [np.zeros((9, 3), np.int64)], {"axis": 1}, "more indices"),
        ("GatherElements", X, [X], {}, "indices of type float32"),
        ("ScatterElements", X, [PLACES - 9, NEW], {"axis": 1}, "index out of range"),
        ("ScatterElements", X, [PLACES, NEW[:1]], {}, "different shapes"),
        ("ScatterElements", X, [PLACES, NEW], {"reduction": "xor"}, "unknown reduction"),
        ("ScatterElements", X, [PLACES, NEW], {"reduction": "max", "opset": 16}, "unknown red"),
        ("ScatterElements", X, [PLACES, NEW.astype(np.int64)], {}, "different types"),
        ("OneHot", NUMBERS, [np.int64(2**40), NEW[0, :2]], {}, "a depth of"),
        ("OneHot", NUMBERS, [np.int64(0), NEW[0, :2]], {}, "a depth of 0"),
        ("OneHot", NUMBERS, [np.int64(3), NEW[0]], {}, "values are not"),
        ("OneHot", NUMBERS, [np.int64(3), NEW[0, :2]], {"axis": 3}, "axis 3"),
        ("CumSum", X, [np.int64(2)], {}, "axis 2"),
        ("CumSum", X, [FLOAT(1)], {}, "indices of type"),
        ("Tile", X, [counts(2)], {}, "not one count for each axis"),
        ("Tile", X, [counts(2, -1)], {}, "not one count for each axis"),
        ("Tile", X, [counts(2**40, 2**40)], {}, "dimension|too many"),
        ("Split", X, [counts(2, 2)], {"axis": 1, "outputs": 2}, "do not make up 3"),
        ("Split", X, [counts(4, -1)], {"axis": 1, "outputs": 2}, "do not make up 3"),
        ("Split", X, [counts(3)], {"axis": 1, "outputs": 2}, "do not make up 3"),
        ("Split", X, [], {"axis": 1, "outputs": 2, "opset": 13}, "equal parts"),
        ("Split", X, [], {"axis": 1, "num_outputs": 3, "outputs": 2}, "3 parts for 2"),
        ("Split", X[:, :1], [], {"axis": 1, "num_outputs": 4, "outputs": 4}, "do not make up"),
        ("Mod", X, [FLOAT(2)], {}, "floats without fmod"),
        ("Mod", WHOLE, [counts(0)], {}, "division by zero"),
        ("Pow", WHOLE * 0, [counts(-1)], {}, "division by zero"),
        ("Pow", WHOLE, [FLOAT(2)], {"opset": 11}, "different types"),
        ("ReduceMean", X[:0], [axes(0)], {}, "nothing to reduce"),
        ("ReduceL2", WHOLE, [], {}, "unsupported type int64"),
        ("IsNaN", WHOLE, [], {}, "unsupported type int64"),
        ("CDist", X, [X[:, :2]], {"domain": "com.microsoft"}, "different lengths"),
        ("CDist", X, [X], {"domain": "com.microsoft", "metric": "cosine"}, "metric"),
        ("Imputer", X, [], {"domain": ML}, "not one for each feature"),
        ("Imputer", X, [], {"domain": ML, "imputed_value_int64s": [1]}, "not one for each"),
        ("OneHotEncoder", X, [], {"domain": ML}, "needs integer or string"),
        ("OneHotEncoder", X, [], {"domain": ML, "cats_int64s": [1, 1]}, "listed twice"),
        ("OneHotEncoder", X, [], {"domain": ML, "cats_strings": ["a"]}, "unsupported type"),
        ("OneHotEncoder", X, [], {"domain": ML, "cats_int64s": [99], "zeros": 0}, "unknown cat"),
        ("FeatureVectorizer", X, [X], {"domain": ML, "inputdimensions": [3]}, "one for each input"),
        ("FeatureVectorizer", X, [], {"domain": ML, "inputdimensions": [2]}, "rows of 2"),
        ("SVMRegressor", X, [], {"domain": ML, "coefficients": [1.0], "rho": [0.0]}, "are not 3"),
        (
            "SVMRegressor",
            X,
            [],
            {"domain": ML, "coefficients": [1.0], "rho": [0.0], "n_supports": 2**40},
            "support vectors",
        ),
        (
            "SVMRegressor",
            X,
            [],
            {"domain": ML, "coefficients": [1.0], "rho": [0.0], "n_supports": 1},
            "support_vectors are not 1 times 3",
        ),
    ],
)
def test_what_has_no_meaning_is_refused(
    operator: str,
    x: np.ndarray,
    others: Sequence[Any],
    more: dict[str, Any],
    reason: str,
    model: Any,
    exact: Any,
) -> None:
    if more.get("domain") == "com.microsoft":
        original = model

        def model(*given: Any, **named: Any) -> Any:
            built = original(*given, **named)
            built.opset_import.append(helper.make_opsetid("com.microsoft", 1))
            return built

    found = refused(operator, x, others, exact, model, **more)
    assert any(part in found for part in reason.split("|")), found


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"vectors_per_class": [2, 3]}, "vectors_per_class"),
        ({"vectors_per_class": [6, -2, 1]}, "vectors_per_class"),
        ({"vectors_per_class": [2, 2, 2**40]}, "coefficients are not"),
        ({"vectors_per_class": None}, "vectors_per_class"),
        ({"coefficients": [1.0] * 9}, "coefficients are not 2 times 5"),
        ({"support_vectors": [1.0]}, "support_vectors are not 5 times 3"),
        ({"rho": [0.1]}, "rho is not 3 numbers"),
        ({"prob_a": [1.0]}, "prob_a and prob_b"),
        ({"kernel_type": "GAUSS"}, "kernel_type"),
        ({"kernel_params": [1.0]}, "kernel_params"),
        ({"post_transform": "LOGISTIC"}, "post_transform"),
    ],
)
def test_malformed_machines_are_refused(
    more: dict[str, Any], reason: str, model: Any, exact: Any
) -> None:
    named = {"kernel_type": "RBF"} | MACHINE | PAIRWISE | more
    given = {name: value for name, value in named.items() if value is not None}
    found = refused("SVMClassifier", X, [], exact, model, domain=ML, outputs=2, **given)
    assert reason in found


def test_the_first_class_wins_a_tied_vote(model: Any, exact: Any) -> None:
    """Every class beats one other: a cycle of three."""
    cycle = MACHINE | PAIRWISE | {"coefficients": [0.0] * 10, "rho": [1.0, -1.0, 1.0]}
    node = helper.make_node("SVMClassifier", ["x"], ["l", "p"], domain=ML, **cycle)
    built = model([node], {"l": "int64", "p": "float32"})
    assert exact(built, X)["l"].tolist() == [4] * len(X)
    assert run_peer(built, X)["l"].tolist() == [4] * len(X)


@pytest.mark.parametrize(
    ("keys", "values", "default", "x", "expected"),
    [
        (["a", "b"], np.array([4, 5], np.int64), np.array([9], np.int64), ["b", "?"], [5, 9]),
        (["a", "b"], np.array([4, 5], np.int16), None, ["b", "?"], [5, -1]),
        (np.array([1.5, np.nan]), np.array([0.25, 0.5]), None, np.array([np.nan, 7]), [0.5, 0.0]),
        (np.array([1, 2], np.int64), ["x", "y"], None, np.array([2, 3]), ["y", "_Unused"]),
    ],
)
def test_label_encoders_of_tensors(
    keys: Any, values: Any, default: Any, x: Any, expected: Any, model: Any, exact: Any
) -> None:
    def tensor(value: Any) -> Any:
        listed = np.array(value, object) if isinstance(value, list) else value
        return numpy_helper.from_array(listed)

    given = {"keys_tensor": tensor(keys), "values_tensor": tensor(values)}
    given |= {} if default is None else {"default_tensor": tensor(default)}
    node = helper.make_node("LabelEncoder", ["x"], ["y"], domain=ML, **given)
    rows = np.array(x, object) if isinstance(x, list) else x
    built = model([node], ["y"], shape=[None], dtype=rows.dtype.name, ml=4)
    assert exact(built, rows)["y"].tolist() == expected


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"keys_int64s": [1]}, "0 lists of values"),
        ({"keys_int64s": [1], "keys_floats": [1.0], "values_floats": [1.0]}, "2 lists of keys"),
        ({"keys_int64s": [1], "values_tensor": np.zeros((1, 1))}, "no list"),
        ({"keys_int64s": [1], "values_tensor": np.zeros(2)}, "as many values as keys"),
        (
            {"keys_int64s": [1], "values_floats": [1.0], "default_tensor": np.zeros(1)},
            "default_tensor",
        ),
    ],
)
def test_label_encoders_without_one_meaning_are_refused(
    given: dict[str, Any], reason: str, model: Any, exact: Any
) -> None:
    tensors = {
        name: numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value
        for name, value in given.items()
    }
    node = helper.make_node("LabelEncoder", ["x"], ["y"], domain=ML, **tensors)
    built = model([node], ["y"], shape=[None], dtype="int64", ml=4)
    with pytest.raises(ModelRejected, match=reason):
        exact(built, np.array([1]))


@pytest.mark.parametrize("zeros", [0, 1])
def test_one_hot_strings(zeros: int, model: Any, exact: Any) -> None:
    node = helper.make_node(
        "OneHotEncoder", ["x"], ["y"], domain=ML, cats_strings=["a", "b"], zeros=zeros
    )
    built = model([node], ["y"], shape=[None], dtype="object")
    assert exact(built, np.array(["b", "a"], object))["y"].tolist() == [[0, 1], [1, 0]]
    unknown = np.array(["?"], object)
    if zeros:
        assert exact(built, unknown)["y"].tolist() == [[0, 0]]
    else:
        with pytest.raises(RuntimeRejection, match="unknown category"):
            exact(built, unknown)


def spelled(x: np.ndarray, to: int, kind: str, model: Any, exact: Any) -> list[Any]:
    node = helper.make_node("Cast", ["x"], ["y"], to=to)
    found: list[Any] = exact(model([node], {"y": kind}, shape=[None], dtype=x.dtype.name), x)[
        "y"
    ].tolist()
    return found


def test_numbers_are_spelled_as_onnxruntime_does(model: Any, exact: Any) -> None:
    floats = np.array([0, -0.0, 1, 0.1, 1 / 3, 1e-7, 1e20, np.nan, np.inf, -np.inf], FLOAT)
    texts = ["0", "-0", "1", "0.1", "0.33333334", "1e-07", "1e+20", "NaN", "INF", "-INF"]
    assert spelled(floats, 8, "object", model, exact) == texts
    assert spelled(np.array([1 / 3, 1e300]), 8, "object", model, exact) == [
        "0.33333333333333331",
        "1.0000000000000001e+300",
    ]
    assert spelled(np.array([-7, 2**62]), 8, "object", model, exact) == ["-7", str(2**62)]


def test_text_is_read_as_numbers(model: Any, exact: Any) -> None:
    texts = np.array(["1", "-.5", "+2.", "1e3", "1E-400", "1e400", "INF", "-inf", "NaN"], object)
    found = spelled(texts, 1, "float32", model, exact)
    assert found[:-1] == [1, -0.5, 2, 1000, 0, np.inf, np.inf, -np.inf]
    assert np.isnan(found[-1])
    whole = np.array(["1", "-12", "+9223372036854775807"], object)
    assert spelled(whole, 7, "int64", model, exact) == [1, -12, 2**63 - 1]


@pytest.mark.parametrize("to", [1, 11, 7])
@pytest.mark.parametrize(
    "text", ["", " 1", "1 ", "1_0", "0x1p3", "\u0661", "1e", "--1", "nano", "9" * 500, "1,0", "e5"]
)
def test_text_that_is_no_number_is_rejected(text: str, to: int, model: Any, exact: Any) -> None:
    with pytest.raises(RuntimeRejection, match="no such number"):
        spelled(np.array([text], object), to, "float32", model, exact)


@pytest.mark.parametrize("text", ["1.5", "9223372036854775808", "NaN"])
def test_text_that_is_no_integer_is_rejected(text: str, model: Any, exact: Any) -> None:
    with pytest.raises(RuntimeRejection, match="no such number"):
        spelled(np.array([text], object), 7, "int64", model, exact)


def test_letters_of_ascii_change_case(model: Any, exact: Any) -> None:
    node = helper.make_node("StringNormalizer", ["x"], ["y"], case_change_action="UPPER")
    built = model([node], {"y": "object"}, shape=[None], dtype="object")
    texts = np.array(["stra\u00dfe", "\u0131z", "\u00e9A"], object)
    assert exact(built, texts)["y"].tolist() == ["STRA\u00dfE", "\u0131Z", "\u00e9A"]
    stopping = helper.make_node("StringNormalizer", ["x"], ["y"], stopwords=["a"])
    built = model([stopping], {"y": "object"}, shape=[None], dtype="object")
    with pytest.raises(ModelRejected, match="dynamic shape"):
        exact(built, texts)


@given(
    x=arrays.arrays(
        FLOAT,
        st.tuples(st.integers(1, 3), st.integers(1, 12)),
        elements=st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0, np.inf, -np.inf, np.nan]),
    ),
    data=st.data(),
)
def test_the_best_are_sorted_and_the_first_of_equals(x: np.ndarray, data: Any) -> None:
    count, largest = data.draw(st.integers(0, x.shape[1])), data.draw(st.booleans())
    places = ordering.best(x, count, largest)
    for row, found in zip(x, places, strict=True):

        def rank(place: int, row: np.ndarray = row) -> tuple[bool, float, int]:
            value = float(row[place])
            missing = np.isnan(value)
            size = 0.0 if missing else value
            return (bool(missing) != largest, -size if largest else size, place)

        assert found.tolist() == sorted(range(len(row)), key=rank)[:count]


@given(base=st.integers(-(2**31), 2**31 - 1), exponent=st.integers(-3, 70), unsigned=st.booleans())
def test_integer_powers_wrap(base: int, exponent: int, unsigned: bool) -> None:
    dtype = np.uint32 if unsigned else np.int32
    value = np.array([base]).astype(dtype)
    number = int(value[0])
    if number == 0 and exponent < 0:
        with pytest.raises(RuntimeRejection):
            integer_power(value, np.array([exponent]))
        return
    if exponent < 0:
        expected = number**exponent if abs(number) == 1 else 0
    else:
        expected = number**exponent
    wrapped = np.array([int(expected) % 2**32], np.uint64).astype(dtype)
    assert integer_power(value, np.array([exponent])).tolist() == wrapped.tolist()


def test_distances_add_up_in_the_order_of_the_features() -> None:
    rows, points = X4.reshape(-1, 20)[:4], X4.reshape(-1, 20)[2:]
    for i, row in enumerate(rows.astype(np.float64)):
        for j, point in enumerate(points.astype(np.float64)):
            total = 0.0
            for a, b in zip(row, point, strict=True):
                total += (a - b) * (a - b)
            assert machines.squared_distances(rows, points)[i, j] == total


@pytest.mark.parametrize("reduction", ["none", "add", "mul", "max", "min"])
def test_repeated_places_are_served_in_order(reduction: str, model: Any, exact: Any) -> None:
    data = np.array([[1e8, -0.0, np.nan]], FLOAT)
    indices = np.array([[0, 0, 0, 1, 1, 2]], np.int64)
    updates = np.array([[1, -1e8, 3, 0.0, -0.0, 5]], FLOAT)
    node = helper.make_node("ScatterElements", ["x", "i", "u"], ["y"], axis=1, reduction=reduction)
    built = model([node], ["y"], opset=18, constants={"i": indices, "u": updates}, shape=[1, 3])
    found = exact(built, data)["y"]
    steps: dict[str, Callable[[Any, Any], Any]] = {
        "none": lambda old, new: new,
        "add": lambda old, new: FLOAT(old + new),
        "mul": lambda old, new: FLOAT(old * new),
        "max": lambda old, new: np.maximum(old, new) if old != new else old + new,
        "min": lambda old, new: np.minimum(old, new) if old != new else -(-old + -new),
    }
    expected = data[0].copy()
    with np.errstate(all="ignore"):
        for place, new in zip(indices[0], updates[0], strict=True):
            expected[place] = steps[reduction](expected[place], new)
    np.testing.assert_array_equal(found[0], expected)
    assert np.signbit(found[0, 1]) == np.signbit(expected[1])


def test_sums_of_logarithms_at_the_limits(model: Any, exact: Any) -> None:
    x = np.array([[-np.inf] * 2, [np.inf, 0], [np.nan, 0], [700, 700], [-700, -700]])
    node = helper.make_node("ReduceLogSumExp", ["x"], ["y"], axes=[1], keepdims=0)
    built = model([node], {"y": "float64"}, shape=[None, 2], dtype="float64")
    found = exact(built, x)["y"]
    expected = [-np.inf, np.inf, np.nan, 700 + np.log(2), -700 + np.log(2)]
    np.testing.assert_allclose(found, expected, rtol=1e-15)
