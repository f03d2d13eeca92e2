"""Evaluation as a function of bytes: a model, rows and terms give one verdict on every machine."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from msgspec.structs import replace

from danku.errors import DataError
from danku.evaluation.admission import Admitted, admit
from danku.evaluation.kernels.rejection import RuntimeRejection
from danku.evaluation.kernels.threads import threads as use_threads
from danku.evaluation.metrics import metric, view
from danku.evaluation.refusal import ModelRejected
from danku.evaluation.tensor import Array
from danku.evaluation.verdict import Verdict
from danku.evaluation.work import Work
from danku.protocol.manifest import Manifest
from danku.protocol.types import Score

__all__ = [
    "Prediction",
    "UnusableFeatures",
    "Verdict",
    "evaluate",
    "predict",
    "said_array",
    "said_bytes",
]


class UnusableFeatures(DataError):
    """The rows do not have the type and shape that the challenge's manifest states."""


@dataclass(frozen=True)
class Prediction:
    """What a model says of each row, in the challenge's terms."""

    output: Literal["label", "probabilities", "value"]
    values: Array
    """Labels int64 [rows] (-1: no class of the challenge), probabilities [rows, classes] in the
    challenge's order, or values [rows]."""


def predict(model: bytes, features: Array, manifest: Manifest, *, threads: int = 1) -> Prediction:
    """Run a model over rows, in order, in batches of the manifest's size.

    Args:
        model: the bytes of an ONNX model.
        features: [rows, *shape] of the manifest's type, at least one row.
        threads: how many may compute; the result does not depend on it.

    Raises:
        ModelRejected: not admitted, or rejected while it runs.
        UnusableFeatures: the rows are not what the manifest states.
    """
    _check_features(features, manifest)
    try:
        with use_threads(threads):
            values = _admitted(model, manifest).predict(features)
    except RuntimeRejection as rejection:
        raise ModelRejected("runtime", rejection.reason) from None
    return Prediction(manifest.model.output, values)


def said_bytes(model: bytes, features: Array, manifest: Manifest) -> bytes:
    """What a model says of each row, as `said_array` reads it: labels (probabilities become
    labels by argmax), or values.

    Raises:
        ModelRejected, UnusableFeatures: as `predict`.
    """
    found = predict(model, features, manifest)
    values = found.values if found.output == "value" else view(found.output, found.values)
    return values.astype(_said_type(manifest)).tobytes()


def said_array(said: bytes, manifest: Manifest) -> Array:
    """Labels int64 [rows] (-1: no class of the challenge), or values float64 [rows].

    Raises:
        ValueError: the bytes are no whole number of rows.
    """
    return np.frombuffer(said, _said_type(manifest))


def _said_type(manifest: Manifest) -> str:
    return "<f8" if manifest.model.output == "value" else "<i8"


def evaluate(
    model: bytes, features: Array, target: Array, manifest: Manifest, *, threads: int = 1
) -> Verdict:
    """Score a model; whatever is the model's own fault makes it rejected, with the reason.

    Args:
        model: the bytes of an ONNX model, or any other bytes.
        features: [rows, *shape] of the manifest's type, at least one row.
        target: [rows]; class indices or values.
        threads: how many may compute; the result does not depend on it.

    Raises:
        DataError: the data, the metric or the manifest is at fault, not the model.
    """
    scorer = metric(manifest.evaluation.metric)
    try:
        prediction = predict(model, features, manifest, threads=threads)
    except ModelRejected as rejection:
        return Verdict("rejected", Score(0), rejection.reason)
    values = view(prediction.output, prediction.values, scorer.needs)
    score = scorer.compute(target, values, len(manifest.model.classes))
    return Verdict("scored", Score(score), "")


def judge(model: bytes, work: Work, *, measured: bool = False) -> Verdict:
    """The verdict over the rows of ``work``, and the score on its yardstick if that is asked.

    A model that is rejected has no score on the yardstick either.

    Raises:
        DataError: as `evaluate`.
    """
    verdict = evaluate(model, work.features, work.target, work.manifest)
    apart = work.yardstick
    if not measured or apart is None or verdict.status != "scored":
        return verdict
    second = evaluate(model, apart.features, apart.target, work.manifest)
    return replace(verdict, yardstick=second.score if second.status == "scored" else None)


@lru_cache(maxsize=1)
def _admitted(model: bytes, manifest: Manifest) -> Admitted:
    """The last model stays prepared: packed weights are of no use to any other."""
    return admit(model, manifest)


def _check_features(features: Array, manifest: Manifest) -> None:
    contract = manifest.model
    if (
        features.dtype.newbyteorder("=") != np.dtype(contract.dtype)
        or features.shape[1:] != contract.shape
    ):
        raise UnusableFeatures(
            f"the rows are {features.dtype} of shape {list(features.shape[1:])}",
            why=f"the manifest states {contract.dtype} of shape {list(contract.shape)}",
        )
    if features.ndim == 0 or len(features) == 0:
        raise UnusableFeatures("there is no row to evaluate")
