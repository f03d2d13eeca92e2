"""What the winner's model says of each row, once the data that it was judged on is public.

A validator remembers scores, not predictions, so the model is run once more, in a worker process
like any other. The run is no verification: it says whether the score came out as decided.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from danku.errors import DankuError
from danku.protocol.manifest import Manifest
from danku.protocol.result import Result, Row
from danku.protocol.state import Challenge
from danku.roles.assessment import fetch_model
from danku.roles.claims import decided_result
from danku.roles.evidence import Rows, gather_evidence
from danku.roles.progress import Progress, quiet
from danku.roles.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np

CLASSES_TRIED = 50
"""Classes that a baseline tries."""

ROWS_SHOWN = 2_000
"""Pairs of a residual plot, taken at even distances."""


@dataclass(frozen=True)
class Baseline:
    """What a model that learned nothing would have scored."""

    score: int
    """In units of 1e-9."""
    meaning: str


@dataclass(frozen=True)
class Winner:
    """The first-ranked submission, looked at row by row."""

    submission: int
    part: Literal["train", "test"]
    """The rows that it was judged on."""
    rows: int
    confusion: tuple[tuple[int, ...], ...] = ()
    """Rows of actual classes; the last column counts labels that are no class."""
    pairs: tuple[tuple[float, float], ...] = ()
    """(actual, predicted), for regression."""
    baseline: Baseline | None = None
    problem: str = ""
    """Why there are no predictions, or what is odd about them."""


def winner(
    workspace: Workspace,
    challenge: Challenge,
    manifest: Manifest,
    *,
    evaluate: bool = True,
    progress: Progress = quiet,
) -> Winner | None:
    """The winner's predictions and the baseline; None where nobody was ranked.

    Whatever cannot be had or done is said in ``problem``, and is no error.
    """
    settlement = challenge.settlement
    if settlement is None or settlement.ballot is None or settlement.ballot.outcome == "void":
        return None
    part: Literal["train", "test"] = "test" if settlement.ballot.outcome == "test" else "train"
    try:
        first = _first(decided_result(workspace, challenge))
        if first is None:
            return None
        found = Winner(first.submission, part, 0)
        evidence = gather_evidence(workspace, challenge, manifest, progress)
        if evidence.rows is None or evidence.outcome != settlement.ballot.outcome:
            return _without(found, "the rows that it was judged on are not to be had any more")
        return _looked_at(workspace, challenge, manifest, first, evidence.rows, part, evaluate)
    except DankuError as error:
        return _without(Winner(-1, part, 0), error.what)


def _without(found: Winner, problem: str) -> Winner:
    return Winner(found.submission, found.part, found.rows, (), (), found.baseline, problem)


def _first(result: Result) -> Row | None:
    return next((row for row in result.rows if row.rank == 1), None)


def _looked_at(
    workspace: Workspace,
    challenge: Challenge,
    manifest: Manifest,
    first: Row,
    rows: Rows,
    part: Literal["train", "test"],
    evaluate: bool,
) -> Winner:
    from danku.evaluation import worker
    from danku.evaluation.work import Work

    bare = Winner(first.submission, part, len(rows.target), baseline=baseline(manifest, rows))
    if not evaluate:
        return _without(bare, "the model was not run for this page")
    opening = challenge.submissions[first.submission].opening
    model = fetch_model(workspace, opening, manifest) if opening else None
    if not isinstance(model, bytes):
        return _without(bare, "nobody serves its model any more")
    with worker.Worker() as process:
        verdict, said = process.predict(model, Work(rows.features, rows.target, manifest))
    if verdict.status != "scored" or verdict.score != first.score:
        again = verdict.reason or f"{int(verdict.score)}e-9"
        return _without(bare, f"run here it gives {again}, not what the committee decided")
    classes = len(manifest.model.classes)
    if manifest.model.output == "value":
        return Winner(
            bare.submission, part, bare.rows, (), _pairs(rows.target, said), bare.baseline
        )
    counts = confusion(rows.target, said, classes)
    return Winner(bare.submission, part, bare.rows, counts, (), bare.baseline)


def confusion(actual: np.ndarray, said: np.ndarray, classes: int) -> tuple[tuple[int, ...], ...]:
    """How often each class [classes] was taken for each [classes + 1]; the last for no class."""
    import numpy as np

    columns = np.where((said >= 0) & (said < classes), said, classes)
    counts = np.zeros((classes, classes + 1), np.int64)
    np.add.at(counts, (actual.astype(np.int64), columns), 1)
    return tuple(tuple(map(int, row)) for row in counts)


def _pairs(actual: np.ndarray, said: np.ndarray) -> tuple[tuple[float, float], ...]:
    step = -(-len(actual) // ROWS_SHOWN)
    return tuple((float(a), float(b)) for a, b in zip(actual[::step], said[::step], strict=True))


def baseline(manifest: Manifest, rows: Rows) -> Baseline | None:
    """The score of the best constant, for which no model is needed; None where there is none.

    The constant is the class that scores best, the classes' shares, or the mean of these rows.
    """
    import numpy as np

    from danku.evaluation.metrics import metric

    scorer, target = metric(manifest.evaluation.metric), rows.target
    classes, count = len(manifest.model.classes), len(rows.target)
    if scorer.needs == "value":
        constants = [np.full(count, float(np.mean(target.astype(np.float64))))]
        meaning = "always the mean"
    elif scorer.needs == "labels":
        constants = [np.full(count, label) for label in range(min(classes, CLASSES_TRIED))]
        meaning = "always the same class"
    else:
        shares = np.bincount(target.astype(np.int64), minlength=classes) / count
        constants, meaning = [np.tile(shares, (count, 1))], "always the shares of the classes"
    try:
        scores = [scorer.compute(target, said, classes) for said in constants]
    except DankuError:
        return None
    best = max(scores) if scorer.higher_is_better else min(scores)
    return Baseline(int(best), meaning)
