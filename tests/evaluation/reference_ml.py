"""Tabular operators that onnx's reference lacks, or rounds to float32, in float64."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
from onnx.reference.op_run import OpRun
from onnx.reference.ops.aionnxml.op_label_encoder import LabelEncoder as NarrowLabelEncoder
from onnx.reference.ops.aionnxml.op_one_hot_encoder import OneHotEncoder as NarrowOneHotEncoder
from onnx.reference.ops.aionnxml.op_svm_classifier import SVMClassifier as NarrowSVMClassifier

Array = np.ndarray


class CDist(OpRun):
    op_domain = "com.microsoft"

    def _run(self, a: Array, b: Array, metric: str = "sqeuclidean") -> tuple[Array]:
        squares = ((a[:, None] - b[None]) ** 2).sum(-1)
        return (np.sqrt(squares) if metric == "euclidean" else squares,)


class Tabular(OpRun):
    op_domain = "ai.onnx.ml"


class ZipMap(Tabular):
    """The scores without the names of their columns."""

    def _run(self, x: Array, **_: Any) -> tuple[Array]:
        return (x,)


class LabelEncoder(NarrowLabelEncoder):
    def _run(self, x: Array, **given: Any) -> tuple[Array]:
        return (_wide(super()._run(x, **given)[0]),)


class OneHotEncoder(NarrowOneHotEncoder):
    def _run(self, x: Array, **given: Any) -> tuple[Array]:
        return (_wide(super()._run(x, **given)[0]),)


class Scaler(Tabular):
    def _run(self, x: Array, offset: Any = 0.0, scale: Any = 1.0) -> tuple[Array]:
        return ((x - np.array(offset, np.float64)) * np.array(scale, np.float64),)


class SVMClassifier(NarrowSVMClassifier):
    """With libsvm's way from the probabilities of pairs to those of classes."""

    def _probabilities(self, scores: Array, class_count_: int) -> Array:
        pairs = np.zeros((class_count_, class_count_))
        settings = self._svm.atts
        places = [(i, j) for i in range(class_count_) for j in range(i + 1, class_count_)]
        for (i, j), score, a, b in zip(
            places, scores, settings.prob_a, settings.prob_b, strict=True
        ):
            pairs[i, j] = min(max(1 / (1 + np.exp(score * a + b)), 1e-7), 1 - 1e-7)
            pairs[j, i] = 1 - pairs[i, j]
        return _coupled(pairs)


def _coupled(pairs: Array) -> Array:
    count = len(pairs)
    matrix = -pairs.T * pairs
    np.fill_diagonal(matrix, (pairs**2).sum(0))
    found = np.full(count, 1 / count)
    for _ in range(max(100, count)):
        slopes = matrix @ found
        total = found @ slopes
        if np.abs(slopes - total).max() < 0.005 / count:
            break
        for place in range(count):
            step = (total - slopes[place]) / matrix[place, place]
            found[place] += step
            total = (total + step * (step * matrix[place, place] + 2 * slopes[place])) / (
                1 + step
            ) ** 2
            slopes = (slopes + step * matrix[place]) / (1 + step)
            found /= 1 + step
    return found


def _wide(x: Array) -> Array:
    return x.astype(np.float64) if x.dtype == np.float32 else x


def _named(places: Array, given: dict[str, Any]) -> Array:
    names = given.get("classlabels_ints") or given.get("classlabels_int64s")
    return np.array(names or given["classlabels_strings"])[places]


def _transformed(scores: Array, transform: str | None) -> Array:
    if transform == "LOGISTIC":
        return 1 / (1 + np.exp(-scores))
    if transform == "SOFTMAX":
        powers = np.exp(scores - scores.max(1, keepdims=True))
        return powers / powers.sum(1, keepdims=True)
    assert transform in (None, "NONE")
    return scores


class LinearClassifier(Tabular):
    def _run(self, x: Array, **given: Any) -> tuple[Array, Array]:
        weights = np.array(given["coefficients"], np.float64).reshape(-1, x.shape[1])
        scores = x.astype(np.float64) @ weights.T + np.array(given["intercepts"], np.float64)
        if scores.shape[1] == 1:
            second = _transformed(scores, given["post_transform"])
            return _named((scores[:, 0] > 0).astype(int), given), np.hstack([1 - second, second])
        return _named(scores.argmax(1), given), _transformed(scores, given["post_transform"])


COMPARISONS = {
    "BRANCH_LEQ": np.less_equal,
    "BRANCH_LT": np.less,
    "BRANCH_GTE": np.greater_equal,
    "BRANCH_GT": np.greater,
    "BRANCH_EQ": np.equal,
    "BRANCH_NEQ": np.not_equal,
}


def _leaves(x: Array, given: dict[str, Any]) -> list[tuple[int, Array]]:
    """Each tree's number, with the node of it in which each row ends."""
    keys = list(zip(given["nodes_treeids"], given["nodes_nodeids"], strict=True))
    place = {key: index for index, key in enumerate(keys)}
    tracks = given.get("nodes_missing_value_tracks_true") or [0] * len(keys)
    modes, values = given["nodes_modes"], given["nodes_values"]
    found = []
    for tree, first in dict(reversed(keys)).items():
        ends = np.zeros(len(x), np.int64)
        waiting = [(first, np.arange(len(x)))]
        while waiting:
            node, rows = waiting.pop()
            index = place[tree, node]
            if modes[index] == "LEAF":
                ends[rows] = node
            elif len(rows):
                feature = x[rows, given["nodes_featureids"][index]]
                holds = COMPARISONS[modes[index]](feature, values[index])
                holds = np.where(np.isnan(feature), bool(tracks[index]), holds)
                waiting.append((given["nodes_truenodeids"][index], rows[holds]))
                waiting.append((given["nodes_falsenodeids"][index], rows[~holds]))
        found.append((tree, ends))
    return found


def _summed(x: Array, given: dict[str, Any], kind: str, columns: int) -> Array:
    """The sums of the weights of the rows' leaves, of classes or targets."""
    weights: dict[tuple[int, int], list[tuple[int, float]]] = defaultdict(list)
    for tree, node, column, weight in zip(
        *(given[f"{kind}_{each}"] for each in ("treeids", "nodeids", "ids", "weights")), strict=True
    ):
        weights[tree, node].append((column, weight))
    scores = np.zeros((len(x), columns))
    for tree, ends in _leaves(x.astype(np.float64), given):
        for node in np.unique(ends):
            for column, weight in weights[tree, int(node)]:
                scores[ends == node, column] += weight
    return scores


class TreeEnsembleRegressor(Tabular):
    def _run(self, x: Array, **given: Any) -> tuple[Array]:
        assert given["post_transform"] in (None, "NONE")
        scores = _summed(x, given, "target", given["n_targets"])
        if given["aggregate_function"] == "AVERAGE":
            scores /= len(set(given["nodes_treeids"]))
        return (scores + np.array(given.get("base_values") or 0.0),)


class TreeEnsembleClassifier(Tabular):
    def _run(self, x: Array, **given: Any) -> tuple[Array, Array]:
        names = given["classlabels_int64s"] or given["classlabels_strings"]
        scores = _summed(x, given, "class", len(names))
        base = np.array(given.get("base_values") or 0.0)
        transform = given["post_transform"]
        if len(names) > 2 or len(set(given["class_ids"])) > 1:
            scores = scores + base
            return _named(scores.argmax(1), given), _transformed(scores, transform)
        score = scores[:, given["class_ids"][0]] + base.sum()
        positive = min(given["class_weights"]) >= 0
        labels = _named((score > (0.5 if positive else 0)).astype(int), given)
        pair = np.stack([np.zeros_like(score), score], 1)
        if given["class_ids"][0] == 0:
            first = 1 - score if positive and transform in (None, "NONE") else -score
            pair = np.stack([first, score], 1)
        return labels, _transformed(pair, transform)


OPERATORS: list[type[OpRun]] = [
    *(CDist, ZipMap, LabelEncoder, OneHotEncoder, LinearClassifier, Scaler),
    *(SVMClassifier, TreeEnsembleRegressor, TreeEnsembleClassifier),
]
