"""What a manifest must say so that its challenge can be played and judged."""

from __future__ import annotations

from danku.errors import DataError
from danku.protocol.manifest import MANIFEST_BYTES, Manifest
from danku.protocol.records import encode


class Unplayable(DataError):
    """The parts of a manifest do not fit one another."""


def check_playable(manifest: Manifest) -> None:
    """Refuse a manifest that nobody could evaluate or settle.

    Raises:
        DataError: an unknown metric or mechanism, or `Unplayable`.
    """
    from danku.evaluation.metrics import metric
    from danku.mechanisms import check_terms

    size = len(encode(manifest))
    if size > MANIFEST_BYTES:
        raise Unplayable(
            f"the manifest takes {size} bytes, at most {MANIFEST_BYTES} are read",
            fix="shorten the names of columns or classes",
        )
    check_terms(manifest.mechanism)
    scorer, model = metric(manifest.evaluation.metric), manifest.model
    if not scorer.accepts(model.output):
        raise Unplayable(
            f"the metric {scorer.name} needs {scorer.needs}, but models give {model.output}",
            fix="change output in [model] or metric in [evaluation]",
        )
    if scorer.two_classes and len(model.classes) != 2:
        raise Unplayable(
            f"the metric {scorer.name} is for two classes, the challenge has {len(model.classes)}",
            fix="use the metric's -macro, -micro or -weighted form",
        )
    if (model.output == "value") == bool(model.classes):
        raise Unplayable(
            f"output {model.output} with {len(model.classes)} classes",
            why="labels and probabilities need classes, values have none",
            fix="mend output or classes in [model]",
        )
    threshold = int(manifest.evaluation.threshold)
    if not scorer.lowest <= threshold <= scorer.highest:
        raise Unplayable(
            f"no {scorer.name} can reach a threshold of {threshold} (in units of 1e-9)",
            why=f"it lies between {scorer.lowest} and {scorer.highest}",
            fix="mend threshold in [evaluation]",
        )
