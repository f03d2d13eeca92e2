"""ai.onnx.ml TreeEnsembleClassifier and TreeEnsembleRegressor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from danku.evaluation import profile
from danku.evaluation.forest import Forest, MalformedForest, Nodes, Weights, build, modes_of
from danku.evaluation.graph import Node
from danku.evaluation.inference import refuse
from danku.evaluation.kernels import elementwise, functions, reductions
from danku.evaluation.operators.ml_linear import (
    DOMAIN,
    FLOAT32,
    TRANSFORMS,
    class_labels,
    label_array,
    require_features,
    transformed,
)
from danku.evaluation.registry import Attribute, Operator
from danku.evaluation.tensor import Array, DType, TensorType

_FLOAT64 = np.dtype(np.float64)
_AGGREGATES = ("SUM", "AVERAGE", "MIN", "MAX")


def _numbers(node: Node, name: str) -> Array:
    """A list of floats, or the tensor that opset 3 allows in its place; empty if absent."""
    tensor = node.attributes.get(f"{name}_as_tensor")
    if tensor is None:
        return np.array(node[name] or (), np.float32)
    if node[name] is not None:
        raise refuse(node, f"{name} twice")
    if tensor.ndim != 1 or tensor.dtype not in (FLOAT32, _FLOAT64):
        raise refuse(node, f"{name}_as_tensor is no list of floats")
    return np.asarray(tensor)


def _integers(node: Node, name: str) -> Any:
    return np.array(node[name] or (), np.int64)


@dataclass(frozen=True)
class _Ensemble:
    """What is derived from the attributes, once for a model."""

    forest: Forest
    compared_as: DType
    """float64 if features or thresholds are, else float32; integers count as float32."""
    base: Array
    single: bool
    """One score, of the second of two classes, under the number of the first."""
    second: bool
    """Two classes, of which only the second has weights."""
    likely: bool
    """No weight is negative."""

    def scores(self, features: Array, aggregate: Any = "SUM") -> Array:
        """The aggregate in float64, base values added last, rounded once to float32."""
        as_float = features if features.dtype == _FLOAT64 else elementwise.cast(features, FLOAT32)
        with np.errstate(all="ignore"):
            scores = self.forest.scores(as_float.astype(self.compared_as, copy=False), aggregate)
            return (scores + self.base if self.base.size else scores).astype(FLOAT32)


def _labels(node: Node) -> tuple[Any, ...]:
    return class_labels(node, "classlabels_int64s", "classlabels_strings")


def _ensemble(node: Node, features: int, dtype: DType) -> _Ensemble:
    key = "ensemble", features, dtype.name
    if key not in node.memo:
        node.memo[key] = _read(node, features, dtype)
    found: _Ensemble = node.memo[key]
    return found


def _read(node: Node, features: int, dtype: DType) -> _Ensemble:
    classifies = node.operator == "TreeEnsembleClassifier"
    weights = "class" if classifies else "target"
    targets = len(_labels(node)) if classifies else node["n_targets"]
    weighted = set(node[f"{weights}_ids"] or ())
    single = classifies and targets == 2 and weighted == {0}
    targets = 1 if single else targets
    values = _numbers(node, "nodes_values")
    compared_as = _FLOAT64 if _FLOAT64 in (dtype, values.dtype) else FLOAT32
    missing = _integers(node, "nodes_missing_value_tracks_true")
    trees = _integers(node, "nodes_treeids")
    nodes = Nodes(
        trees,
        _integers(node, "nodes_nodeids"),
        _integers(node, "nodes_featureids"),
        modes_of(node["nodes_modes"] or ()),
        values,
        _integers(node, "nodes_truenodeids"),
        _integers(node, "nodes_falsenodeids"),
        missing != 0 if missing.size else np.zeros(trees.shape, np.bool_),
    )
    leaves = Weights(
        _integers(node, f"{weights}_treeids"),
        _integers(node, f"{weights}_nodeids"),
        _integers(node, f"{weights}_ids"),
        _numbers(node, f"{weights}_weights"),
    )
    base = _numbers(node, "base_values")
    if len(base) not in (0, targets):
        raise refuse(node, f"base_values are not {targets}")
    try:
        forest = build(nodes, leaves, features, targets, compared_as)
    except MalformedForest as problem:
        raise refuse(node, str(problem)) from None
    return _Ensemble(
        forest,
        compared_as,
        base,
        single,
        classifies and targets == 2 and weighted == {1},
        bool((leaves.values >= 0).all()),
    )


def _prepared(node: Node, features: TensorType) -> _Ensemble:
    require_features(node, features)
    if node["post_transform"] not in TRANSFORMS:
        raise refuse(node, f"post_transform is not one of {', '.join(TRANSFORMS)}")
    return _ensemble(node, features.shape[1], features.dtype)


def _infer_regressor(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    [features] = inputs
    targets = node["n_targets"]
    if not 1 <= targets <= profile.NODE_NAMES:
        raise refuse(node, f"{targets} targets")
    if targets == 1 and node["post_transform"] != "NONE":
        raise refuse(node, "post_transform of a single target")
    if node["aggregate_function"] not in _AGGREGATES:
        raise refuse(node, f"aggregate_function is not one of {', '.join(_AGGREGATES)}")
    _prepared(node, features)
    return [TensorType(FLOAT32, (features.shape[0], targets))]


def _run_regressor(node: Node, arrays: Sequence[Array]) -> list[Array]:
    [features] = arrays
    ensemble = _ensemble(node, features.shape[1], features.dtype)
    scores = ensemble.scores(features, node["aggregate_function"])
    return [transformed(scores, node["post_transform"])]


def _infer_classifier(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    [features] = inputs
    labels = _labels(node)
    if len(labels) < 2:
        raise refuse(node, "fewer than two classes")
    ensemble = _prepared(node, features)
    if len(labels) == 2 and not ensemble.single and ensemble.base.size:
        raise refuse(node, "base_values of two classes that have weights of their own")
    kind = profile.STRING if isinstance(labels[0], str) else np.dtype(np.int64)
    rows = features.shape[0]
    return [
        TensorType(kind, (rows,)),
        TensorType(FLOAT32, (rows, len(labels)), columns=labels),
    ]


def _run_classifier(node: Node, arrays: Sequence[Array]) -> list[Array]:
    [features] = arrays
    ensemble = _ensemble(node, features.shape[1], features.dtype)
    scores = ensemble.scores(features)
    if ensemble.single or ensemble.second:
        # NOTE: as in onnxruntime, the label follows the score and not what is shown of it.
        winners = (scores[:, -1] > (0.5 if ensemble.likely else 0.0)).astype(np.int64)
    else:
        winners = reductions.argmax(scores, 1)
    transform = node["post_transform"]
    if ensemble.single:
        shown = _two_sided(scores, transform, ensemble.likely)
    else:
        shown = transformed(scores, transform)
    return [label_array(node, _labels(node))[winners], shown]


def _two_sided(scores: Array, transform: str, likely: bool) -> Array:
    """Both classes' scores from the second one's, [rows, 1]."""
    with np.errstate(all="ignore"):
        if transform == "LOGISTIC":
            return functions.sigmoid(np.concatenate([-scores, scores], axis=1))
        first = np.float32(1) - scores if likely else -scores
        return np.concatenate([first, scores], axis=1)


def _work(node: Node, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> int:
    rows, features = inputs[0].shape
    return rows * _ensemble(node, features, inputs[0].dtype).forest.steps


def _attributes(weights: str, *, tensors: bool) -> Mapping[str, Attribute]:
    known = {
        "base_values": Attribute("floats"),
        f"{weights}_ids": Attribute("ints"),
        f"{weights}_nodeids": Attribute("ints"),
        f"{weights}_treeids": Attribute("ints"),
        f"{weights}_weights": Attribute("floats"),
        "nodes_falsenodeids": Attribute("ints"),
        "nodes_featureids": Attribute("ints"),
        # NOTE: how often a node is visited; nothing depends on it.
        "nodes_hitrates": Attribute("floats"),
        "nodes_missing_value_tracks_true": Attribute("ints"),
        "nodes_modes": Attribute("strings"),
        "nodes_nodeids": Attribute("ints"),
        "nodes_treeids": Attribute("ints"),
        "nodes_truenodeids": Attribute("ints"),
        "nodes_values": Attribute("floats"),
        "post_transform": Attribute("string", "NONE"),
    }
    if tensors:
        names = ("base_values", f"{weights}_weights", "nodes_hitrates", "nodes_values")
        known |= {f"{name}_as_tensor": Attribute("tensor") for name in names}
    return known


_LABELS = {
    "classlabels_int64s": Attribute("ints"),
    "classlabels_strings": Attribute("strings"),
}
_TARGETS = {
    "aggregate_function": Attribute("string", "SUM"),
    "n_targets": Attribute("int", 1),
}


def _versions(opsets: tuple[int, int], *, tensors: bool) -> list[Operator]:
    return [
        Operator(
            "TreeEnsembleClassifier",
            _infer_classifier,
            _run_classifier,
            inputs=(1, 1),
            outputs=(2, 2),
            domain=DOMAIN,
            opsets=opsets,
            attributes={**_attributes("class", tensors=tensors), **_LABELS},
            work=_work,
        ),
        Operator(
            "TreeEnsembleRegressor",
            _infer_regressor,
            _run_regressor,
            inputs=(1, 1),
            domain=DOMAIN,
            opsets=opsets,
            attributes={**_attributes("target", tensors=tensors), **_TARGETS},
            work=_work,
        ),
    ]


OPERATORS = [*_versions((1, 2), tensors=False), *_versions((3, 4), tensors=True)]
