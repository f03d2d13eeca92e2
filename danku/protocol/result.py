"""The result: the canonical score table that a committee votes on.

It names no chain, no ledger and no address, so that every ledger reaches the same digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from danku.crypto.hashing import keccak, to_hex
from danku.protocol.actions import Outcome, SubmissionNumber
from danku.protocol.manifest import Record
from danku.protocol.records import encode
from danku.protocol.state import Challenge
from danku.protocol.terms import MAX_ENTRIES
from danku.protocol.types import Digest, Score

RESULT_BYTES = 64 * 2**20

Status = Literal["ranked", "duplicate", "rejected", "unavailable"]


class Finding(Record):
    """What the evaluation of one model says; ``reason`` is empty for a scored one."""

    status: Literal["scored", "rejected", "unavailable"]
    score: Score = Score(0)
    reason: Annotated[str, msgspec.Meta(max_length=300)] = ""


class Row(Record):
    """One opened submission; only `ranked` rows have a rank, from 1."""

    submission: SubmissionNumber
    model: Digest
    status: Status
    rank: Annotated[int, msgspec.Meta(ge=0, le=MAX_ENTRIES)] = 0
    score: Score = Score(0)
    reason: Annotated[str, msgspec.Meta(max_length=300)] = ""


class Result(Record):
    """The score table, ranked rows first, then the others by number."""

    profile: str
    manifest: Digest
    data_root: Digest
    outcome: Outcome
    reason: Annotated[str, msgspec.Meta(max_length=300)]
    """Why the outcome is not `test`; empty if it is."""
    rows: Annotated[tuple[Row, ...], msgspec.Meta(max_length=MAX_ENTRIES)]


def rank(
    challenge: Challenge, findings: Mapping[int, Finding], higher_is_better: bool
) -> tuple[Row, ...]:
    """Rows of all opened submissions: better score, then the earlier commitment.

    Of scored submissions with the same model only the first is ranked.

    Args:
        challenge: with its opened submissions.
        findings: what evaluation says of each opened submission's model, by submission number.
        higher_is_better: the metric's direction.
    """
    first: dict[Digest, int] = {}
    ranked: list[Row] = []
    others: list[Row] = []
    for entry in challenge.submissions:
        if entry.opening is None:
            continue
        model, finding = entry.opening.model, findings[entry.number]
        if finding.status != "scored":
            others.append(Row(entry.number, model, finding.status, reason=finding.reason))
        elif first.setdefault(model, entry.number) != entry.number:
            reason = f"the same model as submission {first[model]}, which came first"
            others.append(Row(entry.number, model, "duplicate", 0, finding.score, reason))
        else:
            ranked.append(Row(entry.number, model, "ranked", 0, finding.score))
    sign = -1 if higher_is_better else 1
    ranked.sort(key=lambda row: (sign * row.score, row.submission))
    placed = tuple(
        msgspec.structs.replace(row, rank=place) for place, row in enumerate(ranked, start=1)
    )
    return placed + tuple(others)


def result_digest(result: Result) -> Digest:
    """keccak of the result's canonical bytes."""
    return to_hex(keccak(encode(result)))
