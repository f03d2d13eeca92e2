"""What anyone can do: verify a challenge from the public record alone, trusting nobody.

The steps, in order; each ends the verification if it fails, since later ones build on it:

1. journal: hash chain, signatures, nonces, times and every rule, replayed from the genesis; the
   head that the verifier noted stands in it. On Ethereum, what the contract logged takes the
   journal's place, and every rule is applied again.
2. terms: the manifest is the one whose digest the terms hold.
3. seed: openings match their commitments; the seed and the partition follow from them.
4. train data: groups, nonces and Merkle proofs lead to the data root that came before the seed.
5. models: openings match their commitments, bytes match their CIDs and digests.
6. test data: as 4, for the groups that were kept back.
7. votes: seats are drawn again alike; two thirds of them said what was decided, and the result
   they published says it.
8. evaluation: every model is evaluated again, and every reported score checked again on the
   yardstick; the result has the same bytes.
9. payouts: the decided payout list follows from the result and the terms.
10. money: nothing was created or lost, seats lost what their votes say, and the learning links
    form one chain to the newest.

A blob that is not what its CID says fails the step that reads it, whatever was decided: it was
changed, and once deleted it counts as missing.

What a verifier must still do: note heads over time, or ask others for theirs, since nobody can
see from a hash chain alone that its end was cut off.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from danku.crypto.commitments import seed_commitment, submission_commitment
from danku.crypto.hashing import from_hex, keccak, to_hex
from danku.errors import DankuError, DataError, StorageError
from danku.protocol.actions import Ballot
from danku.protocol.committee import decision
from danku.protocol.draw import partition, seed_of
from danku.protocol.guards import find
from danku.protocol.manifest import Manifest
from danku.protocol.records import encode
from danku.protocol.result import RESULT_BYTES, Result, Row
from danku.protocol.state import Challenge, CommittedVote, State
from danku.protocol.terms import terms_digest
from danku.protocol.types import ZERO_DIGEST, Digest
from danku.roles.assessment import (
    FALSE_REPORT,
    Assessment,
    conclude,
    evaluate_openings,
    fetch_model,
)
from danku.roles.claims import decided_result
from danku.roles.evidence import (
    NOT_TO_BE_HAD,
    Evidence,
    Part,
    fetch_rows,
    gather_evidence,
    group_indices,
    yardstick_indices,
)
from danku.roles.learning import chain
from danku.roles.progress import Progress, quiet
from danku.roles.replaying import Replayed, replay
from danku.roles.seats_audit import Mismatch, Watch, agree, check_committees, check_penalties
from danku.roles.workspace import Workspace
from danku.storage.port import Corrupt

if TYPE_CHECKING:
    from danku.evaluation.pool import Evaluator


@dataclass(frozen=True)
class Step:
    """One numbered step; ``ok`` is None where it was not reached."""

    number: int
    name: str
    ok: bool | None
    detail: str


@dataclass(frozen=True)
class Report:
    """All steps; ``head`` is worth noting for the next verification."""

    challenge: Digest
    steps: tuple[Step, ...]
    head: Digest
    lines: int

    @property
    def ok(self) -> bool:
        """Whether every step held; none reached is not a success."""
        return bool(self.steps) and all(step.ok is True for step in self.steps)


@dataclass
class Audit:
    """What the steps learn from one another."""

    workspace: Workspace
    challenge_id: Digest
    noted_head: Digest | None
    evaluator: Callable[[], AbstractContextManager[Evaluator]]
    progress: Progress
    record: Replayed = field(init=False)
    challenge: Challenge = field(init=False)
    manifest: Manifest = field(init=False)
    result: Result | None = None

    def __post_init__(self) -> None:
        self.watch = Watch(self.challenge_id)

    @property
    def state(self) -> State:
        return self.record.state

    @property
    def ballot(self) -> Ballot | None:
        """The decided ballot, if a committee decided."""
        return self.challenge.settlement.ballot if self.challenge.settlement else None

    def check_journal(self) -> str:
        self.record = replay(self.workspace, self.noted_head, self.watch, self.progress)
        self.challenge = find(self.state, self.challenge_id)
        return self.record.detail

    def check_terms(self) -> str:
        self.manifest = self.workspace.manifest(self.challenge)
        agree(self.challenge.terms_digest, terms_digest(self.challenge.terms), "terms digest")
        return f"the manifest and terms {self.challenge.terms_digest[:18]}…"

    def check_seed(self) -> str:
        challenge = self.challenge
        openings = [(challenge.organizer, challenge.seed_commitment, challenge.seed_secret)]
        for item in challenge.contributions:
            openings.append((item.contributor, item.commitment, item.secret))
        for contributor, commitment, secret in openings:
            if secret is not None:
                opened = seed_commitment(from_hex(challenge.id), contributor, from_hex(secret))
                agree(to_hex(opened), commitment, f"seed commitment of {contributor}")
        if challenge.seed is None:
            return "the seed is not drawn yet"
        secrets = [secret for _, _, secret in openings if secret is not None]
        beacon = self.record.beacons.get(challenge.id)
        mixed = [] if challenge.terms.seed_source == "beacon" else secrets
        agree(seed_of(challenge.id, mixed, beacon), challenge.seed, "seed")
        test = partition(challenge.seed, challenge.terms.groups, challenge.terms.test_groups)
        return f"{len(secrets)} secrets, {len(test)} of {challenge.terms.groups} groups are test"

    def _decided(self) -> Result | None:
        """The decided result; None where there is none or, as step 7 will tell, cannot be had."""
        if self.ballot is not None:
            with suppress(DankuError):
                return decided_result(self.workspace, self.challenge)
        return None

    def _check_data(self, part: Part, excused: bool) -> str:
        try:
            rows = fetch_rows(self.workspace, self.challenge, self.manifest, part, self.progress)
        except Corrupt:
            raise
        except NOT_TO_BE_HAD as error:
            if not excused:
                raise
            return f"not usable, as the committee found: {error.what}"
        groups = len(group_indices(self.challenge, part))
        return f"{groups} groups, {len(rows.target)} rows lead to the data root"

    def check_train(self) -> str:
        if self.challenge.train is None:
            return "not revealed"
        found = self._check_data("train", bool(self.ballot and self.ballot.outcome == "void"))
        apart = yardstick_indices(self.challenge, self.manifest)
        return found + (f"; {len(apart)} groups are the yardstick" if apart else "")

    def check_models(self) -> str:
        challenge, served, missing = self.challenge, 0, []
        decided = self._decided()
        rows = {row.submission: row for row in decided.rows} if decided else {}
        for entry in challenge.submissions:
            opening = entry.opening
            if opening is None:
                continue
            commitment = submission_commitment(
                from_hex(challenge.id),
                entry.submitter,
                from_hex(opening.model),
                opening.cid,
                from_hex(opening.salt),
            )
            what = f"commitment of submission {entry.number}"
            agree(to_hex(commitment), entry.commitment, what)
            self._refuse_corrupt(opening.cid)
            model = fetch_model(self.workspace, opening, self.manifest)
            if isinstance(model, bytes):
                served += 1
                continue
            missing.append(entry.number)
            row = rows.get(entry.number)
            if row is not None and (row.status, row.reason) != (model.status, model.reason):
                found = row.status + (f" ({row.reason})" if row.reason else "")
                raise Mismatch(f"submission {entry.number} was {found}, but now {model.reason}")
        detail = f"{challenge.opened} of {len(challenge.submissions)} opened, {served} served"
        return detail + (f"; without its model: {missing}" if missing else "")

    def _refuse_corrupt(self, cid: str) -> None:
        try:
            self.workspace.store.get(cid, self.manifest.evaluation.limits.model_bytes)
        except Corrupt:
            raise
        except (DataError, StorageError):
            return

    def check_test(self) -> str:
        if self.challenge.test is None:
            return "not revealed"
        return self._check_data("test", bool(self.ballot and self.ballot.outcome != "test"))

    def check_votes(self) -> str:
        challenge, opened, bare = self.challenge, 0, 0
        drawn = check_committees(challenge, self.watch)
        for _, found in sorted(challenge.rounds.items()):
            for vote in found.votes.values():
                if vote.ballot is not None:
                    opened += 1
                    bare += not self._publishes_result(vote, vote.ballot)
        detail = (f"{drawn}; " if drawn else "") + f"{opened} opened votes"
        detail += f", {bare} without their result" if bare else ""
        settlement = challenge.settlement
        if settlement is None or settlement.ballot is None:
            return f"{detail}; no committee decision"
        self.result = decided_result(self.workspace, challenge)
        decided = decision(challenge, settlement.round)
        agree(decided, (settlement.ballot, settlement.majority), "decision")
        return f"{detail}; {settlement.reason}"

    def _publishes_result(self, vote: CommittedVote, ballot: Ballot) -> bool:
        """Whether the CID of a vote leads to the result that the vote says.

        NOTE: where it does not, the step goes on: one member who names a wrong CID must not make
        a result unverifiable that the others publish.
        """
        try:
            data = self.workspace.store.get(vote.cid or "", RESULT_BYTES)
        except Corrupt:
            raise
        except (DataError, StorageError):
            return False
        return to_hex(keccak(data)) == ballot.result

    def check_evaluation(self) -> str:
        if self.ballot is None:
            return "no decided result to compare with"
        evidence = gather_evidence(self.workspace, self.challenge, self.manifest, self.progress)
        if evidence.outcome != self.ballot.outcome:
            raise Mismatch(
                f"outcome: found {evidence.outcome}, expected {self.ballot.outcome}; data came or "
                "went after the vote, or the committee denied it"
            )
        assessment = self._evaluate(evidence)
        if self.result is None or assessment.data != encode(self.result):
            raise Mismatch(
                "evaluating again gives another result than the committee decided"
                + self._first_difference(assessment.result)
            )
        agree(assessment.ballot.result, self.ballot.result, "result digest")
        self._assessment = assessment
        detail = (
            f"{len(self.result.rows)} models give the decided result {self.ballot.result[:18]}…"
        )
        return detail + self._reports(evidence)

    def _reports(self, evidence: Evidence) -> str:
        """How many reported scores were checked."""
        if evidence.yardstick is None or self.result is None:
            return ""
        submissions = self.challenge.submissions
        rows = [row for row in self.result.rows if submissions[row.submission].report is not None]
        false = [row.submission for row in rows if row.reason.startswith(FALSE_REPORT)]
        holding = [row for row in rows if row.status in ("ranked", "duplicate")]
        detail = f"; reported scores that hold on the yardstick: {len(holding)}" if rows else ""
        return detail + (f"; false: of {false}" if false else "")

    def _first_difference(self, found: Result) -> str:
        decided = {row.submission: row for row in self.result.rows} if self.result else {}
        pairs = [(row, decided.get(row.submission)) for row in found.rows]
        # NOTE: one entry that is another moves the ranks of all behind it.
        pairs.sort(key=lambda pair: pair[1] is not None and _told(pair[0]) == _told(pair[1]))
        for row, other in pairs:
            if other != row:
                was = _told(other) if other else "not listed"
                return f": submission {row.submission} is {_told(row)}, was {was}"
        return ""

    def _evaluate(self, evidence: Evidence) -> Assessment:
        findings = {}
        if evidence.rows is not None:
            with self.evaluator() as evaluator:
                findings = evaluate_openings(
                    self.workspace,
                    self.challenge,
                    self.manifest,
                    evidence,
                    evaluator,
                    self.progress,
                )
        return conclude(self.challenge, self.manifest, evidence.outcome, evidence.reason, findings)

    def check_payouts(self) -> str:
        ballot, settlement = self.ballot, self.challenge.settlement
        if ballot is None or settlement is None:
            return "no committee decision divides money"
        agree(self._assessment.ballot, ballot, "decided ballot")
        paid = settlement.claimed.bit_count()
        return f"{len(self._assessment.payouts)} payouts of {ballot.payout_total}, {paid} claimed"

    def check_money(self) -> str:
        state = self.state
        escrow = sum(item.escrow for item in state.challenges.values())
        staked = state.registry.staked if state.registry else 0
        held = escrow + staked + sum(state.credits.values()) + sum(state.paid.values())
        agree(held, state.received, "money held, staked, credited and paid")
        slashed = check_penalties(self.challenge, self.watch)
        links = chain(state)
        credited, paid = sum(state.credits.values()), sum(state.paid.values())
        held_in_seats = f"+ {staked:,} staked " if state.registry else ""
        return (
            f"{state.received:,} received = {escrow:,} in escrow {held_in_seats}"
            f"+ {credited:,} credited + {paid:,} paid; {len(links)} learning links"
            + (f"; {slashed}" if slashed else "")
        )


def _told(row: Row) -> str:
    return f"{row.status} with {row.score}" + (f" ({row.reason})" if row.reason else "")


STEPS: tuple[tuple[str, Callable[[Audit], str]], ...] = (
    ("journal", Audit.check_journal),
    ("terms", Audit.check_terms),
    ("seed", Audit.check_seed),
    ("train data", Audit.check_train),
    ("models", Audit.check_models),
    ("test data", Audit.check_test),
    ("votes", Audit.check_votes),
    ("evaluation", Audit.check_evaluation),
    ("payouts", Audit.check_payouts),
    ("money", Audit.check_money),
)


def verify(
    workspace: Workspace,
    challenge_id: Digest,
    *,
    head: Digest | None = None,
    evaluator: Callable[[], AbstractContextManager[Evaluator]],
    progress: Progress = quiet,
) -> Report:
    """Verify a challenge from the public record in the numbered steps above.

    Args:
        head: a journal head that the verifier noted earlier; the journal must contain it.
        evaluator: starts what evaluates models.
    """
    audit = Audit(workspace, challenge_id, head, evaluator, progress)
    steps: list[Step] = []
    failed = False
    for number, (name, check) in enumerate(STEPS, start=1):
        if failed:
            steps.append(Step(number, name, None, "not reached"))
            continue
        try:
            steps.append(Step(number, name, True, check(audit)))
        except DankuError as error:
            failed = True
            detail = error.what + (f" ({error.why})" if error.why else "")
            steps.append(Step(number, name, False, detail))
    reached = hasattr(audit, "record")
    return Report(
        challenge_id,
        tuple(steps),
        audit.record.head if reached else ZERO_DIGEST,
        audit.record.lines if reached else 0,
    )
