"""The dry run: what validators will say of a model, from their own evaluator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from danku.errors import DataError
from danku.protocol.manifest import Manifest
from danku.roles.evidence import Rows

if TYPE_CHECKING:
    from danku.evaluation.verdict import Verdict


@dataclass(frozen=True)
class CostLine:
    """One metered cost of a batch and its limit."""

    name: str
    value: int
    limit: int
    rows: int | None = None
    """Over how many rows it is spread; None if it does not grow with them alone."""

    @property
    def per_row(self) -> int | None:
        """Rounded up."""
        return None if self.rows is None else -(-self.value // self.rows)


@dataclass(frozen=True)
class Rehearsed:
    """Scores in units of 1e-9."""

    score: int
    yardstick: int | None = None
    """On the yardstick, if its rows were given."""


class WouldBeRejected(DataError):
    """Validators would reject this model."""


def check_model(model: bytes, manifest: Manifest) -> list[CostLine]:
    """Admit a model as validators do.

    Raises:
        ModelRejected: they would not; with their reason.
    """
    from danku.evaluation.admission import admit

    cost, limits = admit(model, manifest).cost, manifest.evaluation.limits
    rows, work = manifest.evaluation.batch, cost.multiply_accumulates
    return [
        CostLine("model_bytes", len(model), limits.model_bytes),
        CostLine("multiply_accumulates", work, limits.multiply_accumulates, rows),
        CostLine("elements", cost.elements, limits.elements, rows),
        CostLine("peak_bytes", cost.peak_bytes, limits.peak_bytes),
        CostLine("nodes", cost.nodes, limits.nodes),
    ]


def rehearse(
    model: bytes, rows: Rows, manifest: Manifest, yardstick: Rows | None = None
) -> Rehearsed:
    """The scores that validators would give on these rows.

    Raises:
        WouldBeRejected: with their reason.
        WorkerFailed: the worker hit its limits; validators' would probably, too.
    """
    from danku.evaluation.worker import Worker

    with Worker() as worker:
        parts = (rows,) if yardstick is None else (rows, yardstick)
        scores = [
            _accepted(worker.evaluate(model, part.features, part.target, manifest))
            for part in parts
        ]
    return Rehearsed(*scores)


def _accepted(verdict: Verdict) -> int:
    if verdict.status == "rejected":
        raise WouldBeRejected(
            f"validators would reject this model: {verdict.reason}",
            why="a rejected model loses its bond",
            fix="danku model check shows what is admitted",
        )
    return int(verdict.score)


def preview(
    model: bytes, rows: Rows, manifest: Manifest, yardstick: Rows | None = None
) -> Rehearsed:
    """Scores from onnxruntime: fast, and not bit for bit what counts.

    Raises:
        ModelRejected: validators would reject the model.
    """
    import numpy as np
    import onnxruntime

    from danku.evaluation.admission import admit
    from danku.evaluation.contract import read_output
    from danku.evaluation.metrics import metric, view

    admitted = admit(model, manifest)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    size = manifest.evaluation.batch
    scorer = metric(manifest.evaluation.metric)

    def score(rows: Rows) -> int:
        parts = []
        for start in range(0, len(rows.target), size):
            batch = rows.features[start : start + size]
            (output,) = session.run([admitted.output], {name: batch})
            parts.append(read_output(admitted.output_type, np.asarray(output), manifest.model))
        values = view(manifest.model.output, np.concatenate(parts), scorer.needs)
        return int(scorer.compute(rows.target, values, len(manifest.model.classes)))

    return Rehearsed(score(rows), None if yardstick is None else score(yardstick))
