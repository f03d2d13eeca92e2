"""Every operator in every admitted opset is what ONNX's schema of that opset says, or refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import defs, helper

from danku.evaluation import profile
from danku.evaluation.refusal import ModelRejected
from danku.evaluation.registry import ANY_NUMBER, Attribute, Operator, catalogue

DOMAINS = ("", "ai.onnx.ml")
KINDS = {
    "INT": "int",
    "FLOAT": "float",
    "STRING": "string",
    "TENSOR": "tensor",
    "INTS": "ints",
    "FLOATS": "floats",
    "STRINGS": "strings",
}

DEMANDED = {
    ("CategoryMapper", "cats_int64s"),
    ("CategoryMapper", "cats_strings"),
    ("LabelEncoder", "classes_strings"),
    ("LinearRegressor", "coefficients"),
    ("Scaler", "offset"),
    ("Scaler", "scale"),
    ("SVMClassifier", "coefficients"),
    ("SVMClassifier", "rho"),
    ("SVMRegressor", "coefficients"),
    ("SVMRegressor", "rho"),
    ("TreeEnsemble", "n_targets"),
    # Before opset 12 its only other attribute is a sparse tensor.
    ("Constant", "value"),
}
"""Attributes that ONNX calls optional, with no default, and without which a node means nothing."""

OTHER_DEFAULTS = {
    # One name for each direction.
    ("RNN", "activations"),
    # Nothing depends on them.
    ("Dropout", "seed"),
    ("StringNormalizer", "locale"),
    # As onnxruntime has it.
    ("TreeEnsembleRegressor", "n_targets"),
}
"""Attributes whose default is not the schema's, or whose schema has none."""

SPARSE = {("Constant", "sparse_value")}
"""Attributes that are refused by name."""

REQUIRED_BY_SHAPE = {"AveragePool", "LpPool", "MaxPool"}
"""Operators that refuse a missing kernel_shape themselves, as the global ones have none."""

FEWER_OUTPUTS = {"BatchNormalization": (1, 1)}
"""Operators with outputs in training only."""

SUPERSEDED = {"GroupNormalization"}
"""Operators that ONNX deprecated for a newer version, and that still mean what they meant."""


def schema(domain: str, name: str, opset: int) -> defs.OpSchema | None:
    """ONNX's schema of an operator in an opset, if it exists there."""
    try:
        return defs.get_schema(name, opset, domain)
    except defs.SchemaError:
        return None


def entry(domain: str, name: str, opset: int) -> Operator | None:
    """Our operator in an opset, unless it is refused there."""
    if domain == "" and opset < 9 and name in profile.NEW_IN_9:
        return None
    found = [
        each
        for each in catalogue().get((domain, name), ())
        if each.opsets[0] <= opset <= each.opsets[1]
    ]
    assert len(found) <= 1
    return found[0] if found else None


def pairs() -> Iterator[tuple[str, int, defs.OpSchema | None, Operator | None]]:
    for domain in DOMAINS:
        first, last = profile.OPSETS[domain]
        names = {each.name for each in defs.get_all_schemas() if each.domain == domain}
        names |= {name for where, name in catalogue() if where == domain}
        for name in sorted(names):
            for opset in range(first, last + 1):
                yield name, opset, schema(domain, name, opset), entry(domain, name, opset)


def default(attribute: defs.OpSchema.Attribute) -> Any:
    if not attribute.default_value.name:
        return None
    value = helper.get_attribute_value(attribute.default_value)
    if isinstance(value, list):
        return tuple(each.decode() if isinstance(each, bytes) else each for each in value)
    return value.decode() if isinstance(value, bytes) else value


def test_the_newest_opsets_are_those_that_the_pinned_onnx_released() -> None:
    major, minor = map(int, onnx.__version__.split(".")[:2])
    if (major, minor) == (1, 23):
        assert profile.OPSETS[""][1] == defs.onnx_opset_version()
        assert profile.OPSETS["ai.onnx.ml"][1] == defs.onnx_ml_opset_version()
    released = {(row[0], row[2], row[3]) for row in helper.VERSION_TABLE}
    assert ("1.23.0", profile.OPSETS[""][1], profile.OPSETS["ai.onnx.ml"][1]) in released


def test_every_element_type_of_onnx_is_admitted_or_refused_by_name() -> None:
    if onnx.__version__.startswith("1.23."):
        known = {*profile.ELEMENT_TYPES, *profile.REFUSED_ELEMENT_TYPES}
        assert known | {onnx.TensorProto.UNDEFINED} == set(onnx.TensorProto.DataType.values())


def test_an_operator_exists_in_the_opsets_in_which_onnx_has_it() -> None:
    for name, opset, theirs, ours in pairs():
        if theirs is None or (theirs.deprecated and name not in SUPERSEDED):
            assert ours is None, (name, opset)


def test_what_opset_9_changed_is_refused_in_opset_8() -> None:
    changed = set()
    for each in defs.get_all_schemas_with_history():
        if each.domain == "" and each.since_version == 9:
            changed.add(each.name)
    assert changed == profile.NEW_IN_9


def test_attributes_are_those_of_the_schema() -> None:
    for name, opset, theirs, ours in pairs():
        if theirs is None or ours is None:
            continue
        assert set(ours.attributes) <= set(theirs.attributes), (name, opset)
        for attribute, stated in theirs.attributes.items():
            if attribute not in ours.attributes:
                assert (name, attribute) in SPARSE, (name, opset, attribute)
                continue
            _compare(name, opset, attribute, stated, ours.attributes[attribute])


def _compare(
    name: str, opset: int, attribute: str, theirs: defs.OpSchema.Attribute, ours: Attribute
) -> None:
    where = (name, opset, attribute)
    assert ours.kind == KINDS[theirs.type.name], where
    if (name, attribute) not in OTHER_DEFAULTS:
        assert ours.default == default(theirs), where
    if ours.required != theirs.required:
        if ours.required:
            assert (name, attribute) in DEMANDED and default(theirs) is None, where
        else:
            by_itself = name in REQUIRED_BY_SHAPE and attribute == "kernel_shape"
            assert by_itself, where


def test_inputs_and_outputs_are_at_most_those_of_the_schema() -> None:
    for name, opset, theirs, ours in pairs():
        if theirs is None or ours is None:
            continue
        assert ours.inputs[1] == min(theirs.max_input, ANY_NUMBER), (name, opset)
        assert ours.inputs[0] <= theirs.min_input, (name, opset)
        most = FEWER_OUTPUTS.get(name, (0, min(theirs.max_output, ANY_NUMBER)))[1]
        assert ours.outputs[1] == most, (name, opset)
        assert ours.outputs[0] <= max(theirs.min_output, 1), (name, opset)


X = np.array([[-7.5, 0.0, 2.25]], np.float32)


def one(operator: str, inputs: str = "x", **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, inputs.split(), ["y"], **attributes)


@pytest.mark.parametrize(
    ("node", "until"),
    [
        (one("Cast", to=1, saturate=1), 18),
        (one("Cast", to=1, round_mode="up"), 23),
        (one("CastLike", "x x", round_mode="up"), 23),
        (one("Swish"), 23),
        (one("RMSNormalization", "x x"), 22),
        (one("SwiGLU", "x x"), 27),
        (one("Mod", "x one"), 27),
        (one("BitShift", "signed signed", direction="LEFT"), 27),
        (one("GreaterOrEqual", "x x"), 11),
        (one("Constant", "", value_float=1.0), 11),
        (one("ReduceSum", "x axes"), 12),
        (one("Gelu"), 19),
        (one("Range", "one one one", stash_type=1), 26),
    ],
    ids=lambda value: value.op_type if isinstance(value, onnx.NodeProto) else str(value),
)
def test_what_an_opset_does_not_have_yet_is_refused(
    node: onnx.NodeProto, until: int, model: Any, exact: Any
) -> None:
    constants = {"one": np.float32(1), "signed": np.array([3, -1]), "axes": np.array([1])}
    for opset in (until, until + 1):
        kind = {"BitShift": "int64", "GreaterOrEqual": "bool"}.get(node.op_type, "float32")
        built = model([node], {"y": kind}, shape=(1, 3), constants=constants, opset=opset)
        if opset == until:
            with pytest.raises(ModelRejected, match=node.op_type):
                exact(built, X)
        else:
            exact(built, X)


@pytest.mark.parametrize(
    ("node", "opset", "expected"),
    [
        (one("OneHot", "i depth values"), 10, [[0, 0], [1, 0]]),
        (one("OneHot", "i depth values"), 11, [[0, 1], [1, 0]]),
        (one("Clip"), 10, [[-np.finfo("f").max, np.finfo("f").max]]),
        (one("Clip"), 11, [[-np.inf, np.inf]]),
        (one("Softmax"), 12, [[0.5, 0.5]]),
        (one("Mod", "seven minus"), 27, None),
        (one("Mod", "seven minus"), 28, [-1.0]),
    ],
    ids=lambda value: value.op_type if isinstance(value, onnx.NodeProto) else "",
)
def test_versions_that_mean_different_things(
    node: onnx.NodeProto, opset: int, expected: Any, model: Any, exact: Any
) -> None:
    constants = {
        "i": np.array([-1, 0]),
        "depth": np.array(2),
        "values": np.array([0, 1], np.float32),
        "seven": np.array([7], np.float32),
        "minus": np.array([-4], np.float32),
    }
    x = np.array([[-np.inf, np.inf]] if node.op_type == "Clip" else [[3, 3]], np.float32)
    built = model([node], ["y"], shape=(1, 2), constants=constants, opset=opset)
    if expected is None:
        with pytest.raises(ModelRejected):
            exact(built, x)
    else:
        assert exact(built, x)["y"].tolist() == expected


def test_a_model_of_opset_8_runs_and_is_told_what_it_may_not_use(model: Any, exact: Any) -> None:
    nodes = [
        helper.make_node("Exp", ["x"], ["e"]),
        helper.make_node("Div", ["e", "two"], ["y"]),
    ]
    two = {"two": np.float32(2)}
    newer, older = (model(nodes, ["y"], constants=two, opset=opset) for opset in (9, 8))
    assert exact(older, X)["y"].tobytes() == exact(newer, X)["y"].tobytes()
    nodes[1].op_type = "MatMul"
    square = {"two": np.ones((3, 3), np.float32)}
    with pytest.raises(ModelRejected, match="MatMul before opset 9") as caught:
        exact(model(nodes, ["y"], constants=square, opset=8), X)
    assert "convert_version(model, 9)" in caught.value.fix
