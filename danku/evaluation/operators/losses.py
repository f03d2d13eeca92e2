"""Losses of class scores: NegativeLogLikelihoodLoss, SoftmaxCrossEntropyLoss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from danku.evaluation.graph import Node
from danku.evaluation.inference import FLOATS, refuse, require_kind
from danku.evaluation.kernels import reductions
from danku.evaluation.kernels.arrays import Array, rounded
from danku.evaluation.kernels.rejection import RuntimeRejection
from danku.evaluation.operators.selection import require_index_type
from danku.evaluation.registry import Attribute, Operator
from danku.evaluation.tensor import TensorType

Floats = NDArray[np.float64]


def _infer(node: Node, inputs: Sequence[Any]) -> list[TensorType]:
    scores: TensorType = inputs[0]
    labels: TensorType = inputs[1]
    weights: TensorType | None = inputs[2] if len(inputs) > 2 else None
    require_kind(node, FLOATS, scores, weights)
    require_index_type(node, labels)
    if scores.rank < 2 or labels.shape != scores.shape[:1] + scores.shape[2:]:
        raise refuse(node, f"labels {labels} for {scores}")
    if scores.shape[1] == 0:
        raise refuse(node, "no classes")
    if weights is not None and weights.shape != scores.shape[1:2]:
        raise refuse(node, f"weights {weights} for {scores}")
    if node["reduction"] not in ("none", "sum", "mean"):
        raise refuse(node, "an unknown reduction")
    return [scores.with_shape(*(labels.shape if node["reduction"] == "none" else ()))]


def _loss(node: Node, scores: Floats, labels: Array, weights: Array | None) -> Floats:
    """The loss in float64 of log-probabilities [batch, classes, ...].

    Raises:
        RuntimeRejection: a label that is neither a class nor ignored.
    """
    ignored = (
        labels == node["ignore_index"] if node["ignore_index"] is not None else labels != labels
    )
    classes = scores.shape[1]
    if (~ignored & ((labels < 0) | (labels >= classes))).any():
        raise RuntimeRejection(f"{node.operator}: label out of range")
    places = np.where(ignored, 0, labels)
    chosen = np.take_along_axis(scores, np.expand_dims(places, 1), 1).squeeze(1)
    each = 1.0 if weights is None else weights.astype(np.float64)[places]
    weight = np.where(ignored, 0.0, each)
    loss = np.where(ignored, 0.0, -chosen * weight)
    if node["reduction"] == "none":
        return loss
    axes = tuple(range(loss.ndim))
    total = reductions.total(loss, axes, keepdims=False)
    if node["reduction"] == "mean":
        return np.asarray(total / reductions.total(weight, axes, keepdims=False))
    return total


def _run_likelihood(node: Node, arrays: Sequence[Any]) -> list[Array]:
    scores, labels, weights = [*arrays, None][:3]
    with np.errstate(all="ignore"):
        loss = _loss(node, scores.astype(np.float64), labels, weights)
        return [rounded(loss, scores.dtype)]


def _infer_entropy(node: Node, inputs: Sequence[Any]) -> list[TensorType]:
    scores: TensorType = inputs[0]
    return [*_infer(node, inputs), scores.with_shape(*scores.shape)]


def _run_entropy(node: Node, arrays: Sequence[Any]) -> list[Array]:
    scores, labels, weights = [*arrays, None][:3]
    with np.errstate(all="ignore"):
        probabilities = reductions.log_softmax(scores.astype(np.float64), 1)
        loss = _loss(node, probabilities, labels, weights)
        return [rounded(loss, scores.dtype), rounded(probabilities, scores.dtype)]


_ATTRIBUTES = {"ignore_index": Attribute("int"), "reduction": Attribute("string", "mean")}

OPERATORS = [
    Operator(
        "NegativeLogLikelihoodLoss",
        _infer,
        _run_likelihood,
        inputs=(2, 3),
        opsets=(12, 1_000),
        attributes=_ATTRIBUTES,
    ),
    Operator(
        "SoftmaxCrossEntropyLoss",
        _infer_entropy,
        _run_entropy,
        inputs=(2, 3),
        outputs=(1, 2),
        opsets=(12, 1_000),
        attributes=_ATTRIBUTES,
    ),
]
