"""Tree ensembles: against a walk in plain Python, against onnxruntime, and malformed ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from danku.evaluation.admission import admit
from danku.evaluation.forest import MODES
from danku.evaluation.refusal import ModelRejected

ML = "ai.onnx.ml"
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, 1e-45, -1e-45, 3e38, -3e38, np.inf, -np.inf, np.nan]
FEATURES = 3

TESTS: Mapping[str, Callable[[Any, Any], Any]] = {
    "BRANCH_LEQ": lambda x, v: x <= v,
    "BRANCH_LT": lambda x, v: x < v,
    "BRANCH_GTE": lambda x, v: x >= v,
    "BRANCH_GT": lambda x, v: x > v,
    "BRANCH_EQ": lambda x, v: x == v,
    "BRANCH_NEQ": lambda x, v: x != v,
}


def random_forest(seed: int, *, targets: int, wide: bool, depth: int = 5) -> dict[str, Any]:
    """Attributes of an ensemble of every kind of node, some leaves with no weight or several."""
    random = np.random.default_rng(seed)
    lists: dict[str, list[Any]] = {
        name: []
        for name in (
            *("trees", "nodes", "features", "modes", "values", "true", "false", "tracks"),
            *("weight_trees", "weight_nodes", "targets", "weights"),
        )
    }

    def threshold() -> float:
        value = SPECIAL[random.integers(len(SPECIAL))] if random.random() < 0.6 else random.normal()
        return float(value) if wide else float(np.float32(value))

    def grow(tree: int, level: int) -> int:
        number = lists["trees"].count(tree) * 3 + 7
        place = len(lists["trees"])
        leaf = level == depth or random.random() < 0.2
        values = [tree, number, random.integers(FEATURES), "LEAF", threshold(), 0, 0, 0]
        for name, value in zip(lists, values, strict=False):
            lists[name].append(value)
        if leaf:
            for target in random.permutation(targets)[: random.integers(targets + 1)]:
                lists["weight_trees"].append(tree)
                lists["weight_nodes"].append(number)
                lists["targets"].append(int(target))
                lists["weights"].append(float(np.float32(random.normal())))
            return number
        lists["modes"][place] = MODES[random.integers(6)]
        lists["tracks"][place] = int(random.random() < 0.5)
        lists["true"][place] = grow(tree, level + 1)
        lists["false"][place] = grow(tree, level + 1)
        return number

    for tree in random.permutation(6)[:4].tolist():
        grow(tree, 0)
    return lists


def attributes(lists: Mapping[str, Any], weights: str = "target", **more: Any) -> dict[str, Any]:
    named = {
        "nodes_treeids": lists["trees"],
        "nodes_nodeids": lists["nodes"],
        "nodes_featureids": [int(each) for each in lists["features"]],
        "nodes_modes": lists["modes"],
        "nodes_values": lists["values"],
        "nodes_truenodeids": lists["true"],
        "nodes_falsenodeids": lists["false"],
        "nodes_missing_value_tracks_true": lists["tracks"],
        f"{weights}_treeids": lists["weight_trees"],
        f"{weights}_nodeids": lists["weight_nodes"],
        f"{weights}_ids": lists["targets"],
        f"{weights}_weights": lists["weights"],
    }
    return named | more


def walk(lists: Mapping[str, Any], rows: np.ndarray, targets: int, aggregate: str) -> np.ndarray:
    """ONNX's definition, node by node, in float64."""
    scores = np.zeros((len(rows), targets))
    nodes = list(zip(lists["trees"], lists["nodes"], strict=True))
    places = {key: place for place, key in enumerate(nodes)}
    order = list(dict.fromkeys(lists["trees"]))
    for row, x in enumerate(rows):
        found: list[list[float]] = [[] for _ in range(targets)]
        for tree in order:
            place = lists["trees"].index(tree)
            while lists["modes"][place] != "LEAF":
                value = x[lists["features"][place]]
                missing = np.isnan(value) and lists["tracks"][place]
                test = TESTS[lists["modes"][place]]
                side = "true" if missing or test(value, lists["values"][place]) else "false"
                place = places[tree, lists[side][place]]
            for w, owner in enumerate(
                zip(lists["weight_trees"], lists["weight_nodes"], strict=True)
            ):
                if owner == nodes[place]:
                    found[lists["targets"][w]].append(lists["weights"][w])
        for target, weights in enumerate(found):
            total = 0.0
            for weight in weights:
                total += weight
            if aggregate in ("MIN", "MAX"):
                total = {"MIN": min, "MAX": max}[aggregate](weights, default=0.0)
            scores[row, target] = total / len(order) if aggregate == "AVERAGE" else total
    return scores


def inputs(seed: int, dtype: str, rows: int = 40) -> np.ndarray:
    random = np.random.default_rng(seed + 1)
    x = random.normal(size=(rows, FEATURES))
    special = np.array(SPECIAL)[random.integers(len(SPECIAL), size=x.shape)]
    x = np.where(random.random(x.shape) < 0.5, special, x)
    if dtype == "int64":
        x = np.clip(np.nan_to_num(x), -1e6, 1e6)
    return x.astype(dtype)


def regressor(model: Any, x: np.ndarray, given: Mapping[str, Any], ml: int = 1) -> Any:
    node = helper.make_node("TreeEnsembleRegressor", ["x"], ["y"], domain=ML, **given)
    return model([node], ["y"], shape=[None, FEATURES], dtype=x.dtype.name, ml=ml)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    seed=st.integers(0, 10**6),
    targets=st.integers(1, 3),
    aggregate=st.sampled_from(["SUM", "AVERAGE", "MIN", "MAX"]),
    dtype=st.sampled_from(["float32", "float64", "int64"]),
    wide=st.booleans(),
)
def test_any_ensemble_equals_a_plain_walk(
    seed: int, targets: int, aggregate: str, dtype: str, wide: bool, model: Any, exact: Any
) -> None:
    lists = random_forest(seed, targets=targets, wide=wide)
    given = attributes(lists, n_targets=targets, aggregate_function=aggregate)
    if wide:
        for name in ("nodes_values", "target_weights"):
            tensor = numpy_helper.from_array(np.array(given.pop(name), np.float64))
            given[f"{name}_as_tensor"] = tensor
    x = inputs(seed, dtype)
    compared = x.astype(np.float32) if dtype == "int64" else x
    expected = walk(lists, compared.astype(np.float64), targets, aggregate)
    found = exact(regressor(model, x, given, ml=3), x)["y"]
    assert found.tolist() == expected.astype(np.float32).tolist()


def peer(model: Any, x: np.ndarray) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    found: list[np.ndarray] = session.run(None, {"x": x})
    return found


def stump(mode: str, value: float, tracks: int, **more: Any) -> dict[str, Any]:
    """One question about feature 0: 1 if it holds, else 2."""
    return {
        "nodes_treeids": [0, 0, 0],
        "nodes_nodeids": [0, 1, 2],
        "nodes_featureids": [0, 0, 0],
        "nodes_modes": [mode, "LEAF", "LEAF"],
        "nodes_values": [value, 0.0, 0.0],
        "nodes_truenodeids": [1, 0, 0],
        "nodes_falsenodeids": [2, 0, 0],
        "nodes_missing_value_tracks_true": [tracks, 0, 0],
        "target_treeids": [0, 0],
        "target_nodeids": [1, 2],
        "target_ids": [0, 0],
        "target_weights": [1.0, 2.0],
        "n_targets": 1,
    } | more


@pytest.mark.parametrize("tracks", [0, 1])
@pytest.mark.parametrize("mode", TESTS)
def test_every_mode_agrees_with_onnxruntime(mode: str, tracks: int, model: Any, exact: Any) -> None:
    special = np.array(SPECIAL, np.float32)
    x = np.stack([special] * FEATURES, axis=1)
    for value in special[:-1]:
        built = regressor(model, x, stump(mode, float(value), tracks))
        assert exact(built, x)["y"].tolist() == peer(built, x)[0].tolist(), value


@pytest.mark.parametrize("rows", [1, 255, 256, 257, 600])
def test_rows_are_independent(rows: int, model: Any, exact: Any) -> None:
    lists = random_forest(5, targets=1, wide=False)
    x = inputs(3, "float32", 600)
    whole = exact(regressor(model, x, attributes(lists)), x)["y"]
    part = exact(regressor(model, x, attributes(lists)), x[:rows])["y"]
    assert part.tobytes() == whole[:rows].tobytes()


LEAVES: dict[str, tuple[list[int], list[float]]] = {
    "positive": ([0, 0], [0.2, 0.7]),
    "mixed": ([0, 0], [-0.2, 0.7]),
    "second": ([1, 1], [0.2, 0.7]),
    "second-mixed": ([1, 1], [-0.2, 0.7]),
}


def classifier(model: Any, ids: list[int], weights: list[float], **more: Any) -> Any:
    given = stump("BRANCH_LEQ", 0.5, 0)
    del given["n_targets"]
    named = {key.replace("target_", "class_"): value for key, value in given.items()}
    named |= {"class_ids": ids, "class_weights": weights} | more
    node = helper.make_node("TreeEnsembleClassifier", ["x"], ["l", "p"], domain=ML, **named)
    return model([node], {"l": "int64", "p": "float32"}, shape=[None, FEATURES])


@pytest.mark.parametrize("transform", ["NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO"])
@pytest.mark.parametrize(
    ("leaves", "base"),
    [*((leaves, []) for leaves in LEAVES), ("positive", [0.25]), ("mixed", [0.25])],
)
def test_two_classes_agree_with_onnxruntime(
    base: list[float], leaves: str, transform: str, model: Any, exact: Any
) -> None:
    x = np.array([[0, 0, 0], [1, 1, 1]], np.float32)
    more = {"base_values": base} if base else {}
    labels = {"classlabels_int64s": [5, 7], "post_transform": transform}
    built = classifier(model, *LEAVES[leaves], **labels, **more)
    ours, (theirs, scores) = exact(built, x), peer(built, x)
    assert ours["l"].tolist() == theirs.tolist()
    np.testing.assert_allclose(ours["p"], scores, rtol=0, atol=1e-6)


@pytest.mark.parametrize("transform", ["NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO"])
@pytest.mark.parametrize("base", [[], [0.1, -0.3, 0.2]])
def test_three_classes_agree_with_onnxruntime(
    base: list[float], transform: str, model: Any, exact: Any
) -> None:
    x = np.array([[0, 0, 0], [1, 1, 1]], np.float32)
    leaves = {
        "class_treeids": [0] * 5,
        "class_nodeids": [1, 1, 2, 2, 2],
        **({"base_values": base} if base else {}),
    }
    weights = [0.9, 0.4, -0.2, 0.7, 0.6]
    labels = {"classlabels_strings": ["a", "b", "c"], "post_transform": transform}
    built = classifier(model, [0, 2, 0, 1, 2], weights, **labels, **leaves)
    built.graph.output[0].type.tensor_type.elem_type = 8
    ours, (theirs, scores) = exact(built, x), peer(built, x)
    assert ours["l"].tolist() == theirs.tolist()
    np.testing.assert_allclose(ours["p"], scores, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"nodes_modes": ["BRANCH_IN", "LEAF", "LEAF"]}, "unknown mode"),
        ({"nodes_modes": ["BRANCH_LEQ", "LEAF"]}, "different lengths"),
        ({"nodes_values": [0.5]}, "different lengths"),
        ({"nodes_missing_value_tracks_true": [1]}, "different lengths"),
        ({"target_weights": [1.0]}, "different lengths"),
        ({"nodes_featureids": [3, 0, 0]}, "a feature that the rows do not have"),
        ({"nodes_featureids": [-1, 0, 0]}, "a feature that the rows do not have"),
        ({"nodes_featureids": [2**62, 0, 0]}, "a feature that the rows do not have"),
        ({"nodes_truenodeids": [9, 0, 0]}, "a node that does not exist"),
        ({"nodes_truenodeids": [-(2**63), 0, 0]}, "a node that does not exist"),
        ({"nodes_truenodeids": [0, 0, 0]}, r"a cycle|without a root"),
        ({"nodes_truenodeids": [2, 0, 0]}, "without a root or with two"),
        ({"nodes_nodeids": [0, 1, 1]}, "listed twice"),
        ({"nodes_treeids": [0, 0, 1]}, "a node that does not exist"),
        ({"target_nodeids": [1, 9]}, "a node that does not exist"),
        ({"target_treeids": [0, 9]}, "a node that does not exist"),
        ({"target_ids": [0, 1]}, "unknown target"),
        ({"target_ids": [0, -1]}, "unknown target"),
        ({"target_nodeids": [1, 1]}, "two weights for one target"),
        ({"n_targets": 0}, "0 targets"),
        ({"n_targets": 2**40}, "targets"),
        ({"base_values": [1.0, 2.0]}, "base_values are not 1"),
        ({"aggregate_function": "MEDIAN"}, "aggregate_function"),
        ({"post_transform": "PROBIT"}, "post_transform"),
        ({"post_transform": "LOGISTIC"}, "single target"),
    ],
)
def test_malformed_trees_are_refused(
    more: dict[str, Any], reason: str, model: Any, exact: Any
) -> None:
    x = np.zeros((1, FEATURES), np.float32)
    with pytest.raises(ModelRejected, match=reason):
        exact(regressor(model, x, stump("BRANCH_LEQ", 0.5, 0, **more)), x)


def test_no_nodes_are_refused(model: Any, exact: Any) -> None:
    x = np.zeros((1, FEATURES), np.float32)
    with pytest.raises(ModelRejected, match="no nodes"):
        exact(regressor(model, x, {}), x)


def chain(length: int, *, closed: bool = False) -> dict[str, Any]:
    """A tree as deep as it has branches; closed, its end leads back into its middle."""
    inner, end = list(range(length)), length
    following = [*range(1, length), length // 2 if closed else end]
    return {
        "nodes_treeids": [0] * (length + 2),
        "nodes_nodeids": [*inner, end, end + 1],
        "nodes_featureids": [0] * (length + 2),
        "nodes_modes": ["BRANCH_LEQ"] * length + ["LEAF"] * 2,
        "nodes_values": [float(length - each) for each in inner] + [0.0, 0.0],
        "nodes_truenodeids": [*following, 0, 0],
        "nodes_falsenodeids": [end + 1] * length + [0, 0],
        "target_treeids": [0, 0],
        "target_nodeids": [end, end + 1],
        "target_ids": [0, 0],
        "target_weights": [1.0, 2.0],
    }


def test_a_cycle_is_refused_and_depth_is_paid_for(model: Any, exact: Any, manifest: Any) -> None:
    x = np.array([[0, 0, 0], [9_999, 0, 0], [99_999, 0, 0]], np.float32)
    with pytest.raises(ModelRejected, match=r"a cycle|without a root"):
        exact(regressor(model, x, chain(10_000, closed=True)), x)
    assert exact(regressor(model, x, chain(10_000)), x)["y"].ravel().tolist() == [1, 2, 2]
    terms = manifest("value", shape=(FEATURES,), batch=65_536)
    with pytest.raises(ModelRejected, match="multiply-accumulates, the limit is"):
        admit(regressor(model, x, chain(20_000)).SerializeToString(), terms)


def test_branches_may_be_shared(model: Any, exact: Any) -> None:
    """onnxmltools writes LightGBM's sets as equalities that lead to one and the same node."""
    shared = {
        "nodes_treeids": [0] * 5,
        "nodes_nodeids": [0, 1, 2, 3, 4],
        "nodes_featureids": [0, 0, 1, 0, 0],
        "nodes_modes": ["BRANCH_EQ", "BRANCH_EQ", "BRANCH_LEQ", "LEAF", "LEAF"],
        "nodes_values": [1.0, 2.0, 0.5, 0.0, 0.0],
        "nodes_truenodeids": [2, 2, 3, 0, 0],
        "nodes_falsenodeids": [1, 4, 4, 0, 0],
        "target_treeids": [0, 0],
        "target_nodeids": [3, 4],
        "target_ids": [0, 0],
        "target_weights": [10.0, 20.0],
        "n_targets": 1,
    }
    x = np.array([[1, 0, 0], [2, 0, 0], [2, 1, 0], [3, 0, 0], [np.nan, 0, 0]], np.float32)
    built = regressor(model, x, shared)
    assert exact(built, x)["y"].ravel().tolist() == [10, 10, 20, 20, 20]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"classlabels_int64s": [5]}, "fewer than two classes"),
        ({}, "integer or string labels"),
        ({"classlabels_int64s": [5, 7], "base_values": [0.1, 0.2]}, "base_values are not 1"),
        ({"classlabels_int64s": [5, 7], "class_ids": [1, 1], "base_values": [0.1, 0.1]}, "two cl"),
        ({"classlabels_int64s": [5, 7], "class_ids": [0, 2]}, "unknown target"),
    ],
)
def test_classifiers_without_one_meaning_are_refused(
    more: dict[str, Any], reason: str, model: Any, exact: Any
) -> None:
    named = {"class_ids": [0, 0], "class_weights": [0.2, 0.7]} | more
    with pytest.raises(ModelRejected, match=reason):
        exact(
            classifier(model, named.pop("class_ids"), named.pop("class_weights"), **named),
            np.zeros((1, FEATURES), np.float32),
        )


@pytest.mark.parametrize("ml", [1, 3])
def test_doubles_need_opset_three(ml: int, model: Any, exact: Any) -> None:
    x = np.zeros((1, FEATURES))
    given = stump("BRANCH_LEQ", 0.5, 0)
    values = numpy_helper.from_array(np.array(given.pop("nodes_values"), np.float64))
    built = regressor(model, x, given | {"nodes_values_as_tensor": values}, ml=ml)
    if ml == 3:
        assert exact(built, x)["y"].tolist() == [[1]]
    else:
        with pytest.raises(ModelRejected, match="no attribute nodes_values_as_tensor"):
            exact(built, x)


def test_doubles_are_compared_as_doubles(model: Any, exact: Any) -> None:
    edge = 0.1
    x = np.array([[np.nextafter(edge, 0)], [edge], [np.nextafter(edge, 1)]]) * np.ones(FEATURES)
    for mode, holds in TESTS.items():
        given = stump(mode, 0.0, 0)
        del given["nodes_values"]
        given["nodes_values_as_tensor"] = numpy_helper.from_array(np.array([edge, 0, 0]))
        wanted = [1 if holds(value, edge) else 2 for value in x[:, 0]]
        assert exact(regressor(model, x, given, ml=3), x)["y"].ravel().tolist() == wanted


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 10**6), data=st.data())
def test_mutated_ensembles_are_refused_or_still_mean_something(
    seed: int, data: Any, model: Any, exact: Any
) -> None:
    lists = random_forest(seed % 50, targets=2, wide=False, depth=3)
    for _ in range(data.draw(st.integers(1, 3))):
        name = data.draw(st.sampled_from(sorted(lists)))
        place = data.draw(st.integers(0, len(lists[name]) - 1)) if lists[name] else 0
        if name == "modes":
            lists[name][place] = data.draw(st.sampled_from([*MODES, "BRANCH_NONE"]))
        elif name in ("values", "weights"):
            lists[name][place] = data.draw(st.sampled_from(SPECIAL))
        elif lists[name]:
            near = st.sampled_from(lists["nodes"])
            far = st.sampled_from([-1, 2, 5, 2**31 - 1, 2**31, 2**32, -(2**63), 2**63 - 1])
            lists[name][place] = data.draw(near | far)
    x = inputs(seed, "float32", 20)
    try:
        found = exact(regressor(model, x, attributes(lists, n_targets=2)), x)["y"]
    except ModelRejected:
        return
    tracked = lists | {"tracks": [int(each != 0) for each in lists["tracks"]]}
    with np.errstate(all="ignore"):
        expected = walk(tracked, x.astype(np.float64), 2, "SUM").astype(np.float32)
    if not unusual_root(lists):
        np.testing.assert_array_equal(found, expected)


def unusual_root(lists: Mapping[str, Any]) -> bool:
    """Whether a tree's root is not its first node, where the plain walk starts."""
    led = {
        (tree, lists[side][place])
        for place, tree in enumerate(lists["trees"])
        for side in ("true", "false")
        if lists["modes"][place] != "LEAF"
    }
    firsts = {tree: lists["trees"].index(tree) for tree in lists["trees"]}
    return any((tree, lists["nodes"][place]) in led for tree, place in firsts.items())
