"""Facts of challenges that nobody played: as many submissions, and as hostile, as one likes."""

from __future__ import annotations

from dataclasses import replace

from danku.crypto.hashing import keccak, to_hex
from danku.pages.facts import Facts, Payout, Record, entries_of
from danku.protocol.actions import Ballot
from danku.protocol.manifest import (
    DataDescription,
    EvaluationTerms,
    Manifest,
    MechanismTerms,
    ModelContract,
)
from danku.protocol.state import (
    Challenge,
    CommittedVote,
    Opening,
    Round,
    Settlement,
    Submission,
)
from danku.protocol.terms import NamedPanel, Reward, Schedule, Terms
from danku.protocol.types import SCORE_UNIT, Address, Amount, Digest, Score
from danku.roles.board import Board, Line, Seated, decimal
from danku.roles.winner import Baseline, Winner
from danku.storage.cid import cid_of

CREATED = 1_790_000_000
DAY = 86_400
BOND, PRIZE = 200, 10_000


def digest(*parts: object) -> Digest:
    return to_hex(keccak(repr(parts).encode()))


def address(*parts: object) -> Address:
    return digest("address", *parts)[:42]


def facts(
    count: int, *, words: str = "", classes: int = 3, names: bool = False, yardstick: int = 0
) -> Facts:
    """A settled challenge with ``count`` submissions; ``words`` stand wherever others write.

    With ``yardstick`` groups everybody reports a score on them.
    """
    lines = [_line(number, words) for number in range(count)]
    if yardstick:
        lines = [_reporting(line) for line in lines]
    ranked = sorted(
        (line for line in lines if line.status == "ranked"),
        key=lambda line: (-float(line.score or 0), line.submission),
    )
    placed = [
        *(replace(line, rank=place) for place, line in enumerate(ranked, start=1)),
        *(line for line in lines if line.status != "ranked"),
    ]
    payouts = tuple(
        Payout(index, payee, BOND + (PRIZE if not index else 0), index % 3 == 0)
        for index, payee in enumerate(sorted({line.submitter for line in ranked}))
    )
    challenge = _challenge(count, ranked[0] if ranked else None, payouts)
    manifest = _manifest(words, classes)
    board = Board(
        challenge=challenge.id,
        name=manifest.name,
        title=manifest.title,
        stage="final",
        metric="accuracy",
        higher_is_better=True,
        threshold=decimal(manifest.evaluation.threshold),
        outcome="test",
        settled="3 of 3 seats agreed on test",
        tie_break="equal scores: the earlier submission",
        lines=tuple(placed),
        committee=tuple(Seated(1, None, address("judge", n), "majority", 0) for n in range(3)),
        yardstick_groups=yardstick,
    )
    confusion = tuple(
        (*(40 if row == column else 3 for column in range(classes)), 1) for row in range(classes)
    )
    everybody = {line.submitter: f"{words} {line.submission}" for line in lines}
    return Facts(
        board=board,
        challenge=challenge,
        manifest=manifest,
        record=Record(2**51 + 7, address("ledger"), digest("head"), 3 * count, True, True),
        now=CREATED + 40 * DAY,
        entries=entries_of(board, challenge, payouts),
        payouts=payouts,
        winner=Winner(
            ranked[0].submission if ranked else 0,
            "test",
            129,
            confusion,
            (),
            Baseline(SCORE_UNIT // 2, "always the same class"),
        ),
        names=everybody if names else {},
    )


def _line(number: int, words: str) -> Line:
    kind = number % 20
    status = {17: "rejected", 18: "duplicate", 19: "unopened"}.get(kind, "ranked")
    score = SCORE_UNIT * (60 + 39 * number * 7919 % 3701 // 100) // 100 + number * 997 % 10_000_000
    scored = status in ("ranked", "duplicate")
    reasons = {
        "rejected": f"unsupported operator {words or 'RandomUniformLike'}",
        "duplicate": f"the same model as submission {number - 1}, which came first",
        "unopened": "its commitment was not opened in time",
    }
    return Line(
        rank=None,
        submission=number,
        submitter=address("submitter", number // 2),
        status=status,
        score=decimal(score) if scored else None,
        passes=score >= SCORE_UNIT * 8 // 10 if status == "ranked" else None,
        reason=reasons.get(status, ""),
        model=digest("model", number) if status != "unopened" else None,
        time=CREATED + 3 * DAY + number * 97 % (20 * DAY),
    )


def _reporting(line: Line) -> Line:
    """The line with a report that orders submissions otherwise than their scores do."""
    said = decimal(SCORE_UNIT - line.submission * 7919 % 1000 * 1_000_003 % SCORE_UNIT)
    if line.status == "rejected":
        reason = f"false report: {said} reported, 0.500000000 found"
        return replace(line, reason=reason, reported=said, report_holds=False)
    return replace(line, reported=said, report_holds=None if line.status == "unopened" else True)


def _challenge(count: int, first: Line | None, payouts: tuple[Payout, ...]) -> Challenge:
    judges = tuple(address("judge", number) for number in range(3))
    total = sum(payout.amount for payout in payouts)
    ballot = Ballot(
        outcome="test",
        result=digest("result"),
        payout_root=digest("root"),
        payout_total=Amount(total),
        winner=first.submitter if first else address("nobody"),
        score=Score(int((first.score or "0").replace(".", "")) if first else 0),
    )
    voted = CommittedVote(digest("vote"), ballot, cid_of(b"result"))
    return Challenge(
        id=digest("challenge"),
        organizer=address("organizer"),
        terms=_terms(count, judges),
        terms_digest=digest("terms"),
        manifest=cid_of(b"manifest"),
        created=CREATED,
        seed_commitment=digest("seed"),
        escrow=0,
        seed_secret=digest("secret"),
        seed=digest("drawn"),
        train=cid_of(b"train"),
        test=cid_of(b"test"),
        submissions=tuple(_submission(number) for number in range(count)),
        opened=count - count // 20,
        rounds={1: Round(judges, votes=dict.fromkeys(judges, voted))},
        settlement=Settlement(
            "decided",
            CREATED + 35 * DAY,
            "3 of 3 seats agreed on test",
            ballot,
            1,
            judges,
            previous_link="0x" + "00" * 32,
            link=digest("link"),
        ),
    )


def _submission(number: int) -> Submission:
    line = _line(number, "")
    model = Opening(digest("model", number), cid_of(repr(number).encode()), digest("salt", number))
    opening = model if line.status != "unopened" else None
    return Submission(number, line.submitter, digest("entry", number), line.time, opening)


def _terms(count: int, judges: tuple[Address, ...]) -> Terms:
    return Terms(
        manifest=digest("manifest"),
        data_root=digest("data"),
        groups=100,
        test_groups=30,
        seed_source="contributions",
        min_contributions=1,
        schedule=Schedule(DAY, DAY, DAY, 20 * DAY, 2 * DAY, 2 * DAY, 3 * DAY, 3 * DAY),
        reward=Reward(
            Amount(PRIZE),
            Amount(900),
            Amount(5_000),
            Amount(100),
            Amount(BOND),
            Amount(10),
            3,
            max(count, 3),
        ),
        panel=NamedPanel(judges),
    )


def _manifest(words: str, classes: int) -> Manifest:
    return Manifest(
        name="crowd",
        title=(words or "A crowd of models")[:200],
        summary=(words or "Who is nearest to the truth?")[:2_000],
        data=DataDescription((), (words or "kind")[:200], 4_000),
        evaluation=EvaluationTerms("accuracy", Score(SCORE_UNIT * 8 // 10)),
        model=ModelContract(
            (4,), "label", classes=tuple((words or f"class {n}")[:200] for n in range(classes))
        ),
        mechanism=MechanismTerms("winner-takes-all"),
    )
