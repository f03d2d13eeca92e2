"""What a validator concludes of a challenge: the result, the payouts, and the ballot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from danku.crypto.hashing import keccak, to_hex
from danku.crypto.merkle import PayoutTree
from danku.errors import DataError
from danku.mechanisms import Ranked, prizes
from danku.mechanisms.settlement import Entry, settle
from danku.protocol import money
from danku.protocol.actions import Ballot
from danku.protocol.manifest import Manifest
from danku.protocol.records import encode
from danku.protocol.result import Finding, Result, rank, result_digest
from danku.protocol.state import Challenge, Opening, Submission
from danku.protocol.types import (
    ZERO_ADDRESS,
    ZERO_DIGEST,
    Address,
    Amount,
    Cid,
    Digest,
    Score,
    decimal,
)
from danku.roles.evidence import Evidence, Rows, gather_evidence
from danku.roles.progress import Progress, quiet
from danku.roles.workspace import Workspace
from danku.storage.port import BlobTooLarge, Corrupt, NotFound

if TYPE_CHECKING:
    from danku.evaluation.pool import Evaluator
    from danku.evaluation.verdict import Verdict
    from danku.evaluation.work import Yardstick


FALSE_REPORT = "false report"
"""Begins the reason for which a submission is rejected whose reported score is not found."""


@dataclass(frozen=True)
class Assessment:
    """One validator's conclusion, ready to be voted."""

    result: Result
    payouts: tuple[tuple[Address, int], ...]
    ballot: Ballot

    @property
    def data(self) -> bytes:
        """The result's canonical bytes."""
        return encode(self.result)


def fetch_model(workspace: Workspace, opening: Opening, manifest: Manifest) -> bytes | Finding:
    """An opened model's bytes, or why there is nothing to evaluate.

    Raises:
        StorageError: this machine's store does not work; the validator must abstain.
    """
    limit = manifest.evaluation.limits.model_bytes
    try:
        data = workspace.store.get(opening.cid, limit)
    except BlobTooLarge:
        return Finding("rejected", reason=f"the model is larger than {limit} bytes")
    except DataError:
        return Finding("rejected", reason="the CID is not one that stores use")
    except (NotFound, Corrupt):
        return Finding("unavailable", reason="nobody serves the model")
    if to_hex(keccak(data)) != opening.model:
        return Finding("rejected", reason="the bytes at the CID are not the committed model")
    return data


def evaluate_openings(
    workspace: Workspace,
    challenge: Challenge,
    manifest: Manifest,
    evidence: Evidence,
    evaluator: Evaluator,
    progress: Progress = quiet,
) -> dict[int, Finding]:
    """Findings of all opened submissions by number; equal models are evaluated once.

    A reported score that is not the one found on the yardstick makes its own entry rejected, and no
    other with the same model.

    Raises:
        WorkerFailed: the evaluation did not come to an end; the validator must abstain.
    """
    rows = evidence.rows
    if rows is None:
        return {}
    places: dict[tuple[Digest, Cid], list[Submission]] = {}
    for entry in challenge.submissions:
        if entry.opening is not None:
            place = entry.opening.model, entry.opening.cid
            places.setdefault(place, []).append(entry)
    findings: dict[int, Finding] = {}
    waiting: dict[Digest, list[Submission]] = {}

    def models() -> Iterator[tuple[Digest, bytes]]:
        for (digest, _), entries in places.items():
            opening = entries[0].opening
            assert opening is not None
            model = fetch_model(workspace, opening, manifest)
            if isinstance(model, Finding):
                findings.update((entry.number, model) for entry in entries)
            elif digest in waiting:
                waiting[digest] += entries
            else:
                waiting[digest] = entries
                yield digest, model

    progress("evaluating models", 0, challenge.opened)
    yardstick = _yardstick_of(challenge, evidence.yardstick)
    verdicts: dict[Digest, Verdict] = {}
    judged = 0
    for digest, verdict in evaluator.evaluate_each(
        models(), rows.features, rows.target, manifest, yardstick
    ):
        verdicts[digest] = verdict
        judged += len(waiting[digest])
        progress("evaluating models", len(findings) + judged, challenge.opened)
    for digest, entries in waiting.items():
        for entry in entries:
            report = entry.report if yardstick is not None else None
            findings[entry.number] = _finding(verdicts[digest], report)
    progress("evaluating models", challenge.opened, challenge.opened)
    return findings


def _yardstick_of(challenge: Challenge, rows: Rows | None) -> Yardstick | None:
    """What the reported scores are checked on; None if there is nothing to check."""
    from danku.evaluation.work import Yardstick

    reported = frozenset(
        entry.opening.model
        for entry in challenge.submissions
        if entry.opening is not None and entry.report is not None
    )
    if rows is None or not reported:
        return None
    return Yardstick(rows.features, rows.target, reported)


def _finding(verdict: Verdict, report: Score | None) -> Finding:
    """What a verdict says of one submission, whose submitter may have reported a score."""
    if verdict.status == "rejected" or report is None or report == verdict.yardstick:
        return Finding(verdict.status, Score(verdict.score), verdict.reason)
    found = "no score" if verdict.yardstick is None else decimal(verdict.yardstick)
    reason = f"{FALSE_REPORT}: {decimal(report)} reported, {found} found"
    return Finding("rejected", reason=reason)


def payouts_of(
    challenge: Challenge, manifest: Manifest, result: Result
) -> tuple[tuple[Address, int], ...]:
    """Who gets how much out of what the outcome divides: prizes, bonds and forfeits by address."""
    from danku.evaluation.metrics import metric

    statuses = {row.submission: row.status for row in result.rows}
    entries = [
        Entry(
            entry.number,
            entry.submitter,
            statuses.get(entry.number, "unopened"),
        )
        for entry in challenge.submissions
    ]
    ranking = [Ranked(row.submission, row.score) for row in result.rows if row.rank]
    won: dict[int, int] = {}
    if result.outcome != "void":
        won = prizes(
            manifest.mechanism,
            ranking,
            challenge.terms.reward.pot,
            manifest.evaluation.threshold,
            metric(manifest.evaluation.metric).higher_is_better,
        )
    return tuple(
        settle(
            result.outcome,
            entries,
            won,
            challenge.terms.reward.submission_bond,
            money.forfeits(challenge, result.outcome),
        )
    )


def payout_tree(payouts: tuple[tuple[Address, int], ...]) -> PayoutTree:
    """The Merkle tree that the ledger pays against: one leaf (index, address, amount) each."""
    return PayoutTree([(index, *payout) for index, payout in enumerate(payouts)])


def ballot_of(
    challenge: Challenge, result: Result, payouts: tuple[tuple[Address, int], ...]
) -> Ballot:
    """The ballot that says a result and its payouts."""
    first = next((row for row in result.rows if row.rank == 1), None)
    winner = challenge.submissions[first.submission].submitter if first else ZERO_ADDRESS
    return Ballot(
        outcome=result.outcome,
        result=result_digest(result),
        payout_root=to_hex(payout_tree(payouts).root) if payouts else ZERO_DIGEST,
        payout_total=Amount(sum(amount for _, amount in payouts)),
        winner=winner,
        score=first.score if first else Score(0),
    )


def conclude(
    challenge: Challenge,
    manifest: Manifest,
    outcome: str,
    reason: str,
    findings: Mapping[int, Finding],
) -> Assessment:
    """The result, payouts and ballot that follow from findings."""
    from danku.evaluation.metrics import metric

    higher = metric(manifest.evaluation.metric).higher_is_better
    result = Result(
        profile=manifest.evaluation.profile,
        manifest=challenge.terms.manifest,
        data_root=challenge.terms.data_root,
        outcome=outcome,  # type: ignore[arg-type]
        reason=reason,
        rows=rank(challenge, findings, higher) if outcome != "void" else (),
    )
    payouts = payouts_of(challenge, manifest, result)
    return Assessment(result, payouts, ballot_of(challenge, result, payouts))


def assess(
    workspace: Workspace,
    challenge: Challenge,
    evaluator: Evaluator,
    progress: Progress = quiet,
) -> Assessment:
    """Fetch, verify and evaluate everything that was opened.

    Raises:
        WorkerFailed: the evaluation did not come to an end; the validator must abstain.
    """
    manifest = workspace.manifest(challenge)
    evidence = gather_evidence(workspace, challenge, manifest, progress)
    findings = evaluate_openings(workspace, challenge, manifest, evidence, evaluator, progress)
    return conclude(challenge, manifest, evidence.outcome, evidence.reason, findings)
