"""The leaderboard: every submission in one list; only what a committee ranked can have a rank."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from danku.errors import DankuError
from danku.protocol.manifest import Manifest
from danku.protocol.result import Result
from danku.protocol.slashing import fault
from danku.protocol.state import Challenge
from danku.protocol.types import Address, Digest, decimal
from danku.roles.assessment import FALSE_REPORT
from danku.roles.claims import decided_result
from danku.roles.evidence import yardstick_indices
from danku.roles.stages import stage_of
from danku.roles.workspace import Workspace


@dataclass(frozen=True)
class Line:
    """One submission; ``score`` is None until a committee has decided."""

    rank: int | None
    submission: int
    submitter: Address
    status: str
    score: str | None
    passes: bool | None
    reason: str
    model: Digest | None
    time: int
    reported: str | None = None
    """What its submitter says that it scores on the yardstick; nothing is ranked by it."""
    report_holds: bool | None = None
    """Whether a committee found the same; None until then, or where it did not come to it."""


@dataclass(frozen=True)
class Seated:
    """One seat of a committee, and how it served."""

    round: int
    seat: int | None
    """Its number in the registry; None on a named panel."""
    owner: Address
    vote: str
    """`none`, `committed`, `opened`; once settled, `majority`, `silent`, `unopened`, `minority`."""
    lost: int
    """What it lost of its stake."""


@dataclass(frozen=True)
class Board:
    """A challenge's leaderboard."""

    challenge: Digest
    name: str
    title: str
    stage: str
    metric: str
    higher_is_better: bool
    threshold: str
    outcome: str | None
    settled: str
    tie_break: str
    lines: tuple[Line, ...]
    committee: tuple[Seated, ...]
    yardstick_groups: int = 0
    """Train groups on which scores may be reported; 0 if none may."""

    def plain(self) -> dict[str, Any]:
        """The board as JSON would have it; amounts as decimal strings."""
        value = asdict(self)
        for seated in value["committee"]:
            seated["lost"] = str(seated["lost"])
        return value


def board(workspace: Workspace, challenge: Challenge) -> Board:
    """The leaderboard as the public record has it now.

    Raises:
        DataError, StorageError: the manifest cannot be had.
    """
    from danku.evaluation.metrics import metric

    manifest = workspace.manifest(challenge)
    result, settled = None, ""
    if challenge.settlement is not None:
        settled = challenge.settlement.reason
        if challenge.settlement.ballot is not None:
            try:
                result = decided_result(workspace, challenge)
            except DankuError as error:
                settled += f"; {error.what}"
    return Board(
        challenge=challenge.id,
        name=manifest.name,
        title=manifest.title,
        stage=stage_of(challenge, workspace.ledger.time()),
        metric=manifest.evaluation.metric,
        higher_is_better=metric(manifest.evaluation.metric).higher_is_better,
        threshold=decimal(manifest.evaluation.threshold),
        outcome=result.outcome if result else None,
        settled=settled,
        tie_break="equal scores: the earlier submission",
        lines=tuple(_lines(challenge, manifest, result)),
        committee=tuple(_committee(challenge)),
        yardstick_groups=(
            len(yardstick_indices(challenge, manifest))
            if challenge.seed is not None
            else manifest.evaluation.yardstick_groups
        ),
    )


def _committee(challenge: Challenge) -> Iterator[Seated]:
    settlement = challenge.settlement
    penalties = settlement.penalties if settlement else ()
    lost = {penalty.seat: int(penalty.amount) for penalty in penalties}
    for number, found in sorted(challenge.rounds.items()):
        decided = settlement.ballot if settlement and settlement.round == number else None
        for place, owner in enumerate(found.committee):
            seat = found.seats[place] if found.seats else None
            vote = found.votes.get(owner)
            if settlement is None:
                said = "none" if vote is None else "opened" if vote.ballot else "committed"
            else:
                said = fault(found, owner, decided) or ("majority" if decided else "opened")
            yield Seated(number, seat, owner, said, lost.get(seat, 0) if seat is not None else 0)


def _holds(status: str, reason: str) -> bool | None:
    """Whether a reported score was found again, as a decided line says."""
    if status in ("ranked", "duplicate"):
        return True
    return False if status == "rejected" and reason.startswith(FALSE_REPORT) else None


def _lines(challenge: Challenge, manifest: Manifest, result: Result | None) -> list[Line]:
    from danku.evaluation.metrics import metric

    rows = {row.submission: row for row in result.rows} if result else {}
    passes = metric(manifest.evaluation.metric).passes
    has_yardstick = bool(challenge.submissions and yardstick_indices(challenge, manifest))
    lines = []
    for entry in challenge.submissions:
        row = rows.get(entry.number)
        if row is None:
            status = "opened" if entry.opening else "sealed"
            if challenge.settlement is not None and entry.opening is None:
                status = "unopened"
            reason = "its commitment was not opened in time" if status == "unopened" else ""
            score = passed = None
        else:
            status, reason = row.status, row.reason
            scored = status in ("ranked", "duplicate")
            score = decimal(row.score) if scored else None
            passed = (
                passes(row.score, manifest.evaluation.threshold) if status == "ranked" else None
            )
        report = entry.report if has_yardstick else None
        lines.append(
            Line(
                rank=(row.rank or None) if status == "ranked" and row else None,
                submission=entry.number,
                submitter=entry.submitter,
                status=status,
                score=score,
                passes=passed,
                reason=reason,
                model=entry.opening.model if entry.opening else None,
                time=entry.time,
                reported=None if report is None else decimal(report),
                report_holds=None if report is None else _holds(status, reason),
            )
        )
    return sorted(lines, key=lambda line: (line.rank is None, line.rank or 0, line.submission))
