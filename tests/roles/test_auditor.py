"""`verify` finds every changed byte and every lie of a majority, and names the step."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from danku.crypto.commitments import submission_commitment
from danku.crypto.hashing import from_hex, keccak, to_hex
from danku.dataset.bundle import decode_bundle
from danku.evaluation.pool import Pool
from danku.ledger.embedded.ledger import system_clock
from danku.protocol.actions import Open, OpenVote, Submit
from danku.protocol.result import RESULT_BYTES
from danku.protocol.state import Challenge
from danku.protocol.types import ZERO_ADDRESS, ZERO_DIGEST, Amount, Score
from danku.roles import auditor
from danku.roles.assessment import ballot_of
from danku.roles.auditor import STEPS, Audit, Mismatch, Report
from danku.roles.board import Line, board
from danku.roles.learning import ChainBroken
from danku.roles.validator import SealedVote
from danku.roles.workspace import Workspace
from tests.demo.played import Played
from tests.roles.arena import (
    ENTRY,
    POT,
    STAKE,
    Arena,
    InProcess,
    audit,
    concluded,
    key_of,
    model,
    no_worker,
    reordered,
)
from tests.roles.conftest import ArenaAt

JOURNAL, TERMS, SEED, TRAIN, MODELS, TEST, VOTES, EVALUATION, PAYOUTS, MONEY = range(1, 11)
KINDS = ("change", "add", "remove")


def failed_at(report: Report, step: int) -> str:
    """The detail of the one failed step; those before held, those after were not reached."""
    assert not report.ok
    expected = [True] * (step - 1) + [False] + [None] * (len(STEPS) - step)
    assert [item.ok for item in report.steps] == expected, report.steps
    assert [item.number for item in report.steps] == list(range(1, 11))
    assert all(item.detail == "not reached" for item in report.steps[step:])
    return report.steps[step - 1].detail


def damaged(data: bytes, kind: str, place: int, noise: random.Random) -> bytes:
    """The bytes with one changed, added or removed."""
    if kind == "change":
        return data[:place] + bytes([data[place] ^ noise.randrange(1, 256)]) + data[place + 1 :]
    if kind == "add":
        return data[:place] + bytes([noise.randrange(256)]) + data[place:]
    return data[:place] + data[place + 1 :]


@contextmanager
def instead(path: Path, data: bytes) -> Iterator[None]:
    """The file has other bytes for a while."""
    before = path.read_bytes()
    path.write_bytes(data)
    try:
        yield
    finally:
        path.write_bytes(before)


@dataclass(frozen=True)
class PublicRecord:
    """A copy of what everybody sees of a finished challenge, and the head that was noted."""

    public: Path
    identity: str
    head: str
    challenge: Challenge
    clock: Callable[[], int]

    @property
    def journal(self) -> Path:
        return self.public / "ledger.jsonl"

    def blob(self, cid: str) -> Path:
        return self.public / "blobs" / cid

    def verify(self, *, head: str | None = None, worker: Callable[[], Any] = no_worker) -> Report:
        noted = head or self.head
        return audit(self.public, self.identity, self.clock, head=noted, worker=worker)

    def groups(self, bundle: str) -> list[str]:
        data = self.blob(bundle).read_bytes()
        return [group.cid for group in decode_bundle(data).groups]

    def steps(self) -> dict[str, int]:
        """Every blob of the challenge, and the step that names it."""
        challenge = self.challenge
        assert challenge.train and challenge.test
        found = {challenge.manifest: TERMS, challenge.train: TRAIN, challenge.test: TEST}
        found |= dict.fromkeys(self.groups(challenge.train), TRAIN)
        found |= dict.fromkeys(self.groups(challenge.test), TEST)
        found |= {item.opening.cid: MODELS for item in challenge.submissions if item.opening}
        for item in challenge.rounds.values():
            found |= {vote.cid: VOTES for vote in item.votes.values() if vote.cid}
        return found


def copied(
    public: Path, root: Path, identity: str, head: str, clock: Callable[[], int]
) -> PublicRecord:
    """A record of nothing but the journal and the blobs."""
    target = root / "public"
    target.mkdir()
    shutil.copyfile(public / "ledger.jsonl", target / "ledger.jsonl")
    shutil.copytree(public / "blobs", target / "blobs")
    (root / "danku.toml").write_text('public = "public"\n')
    challenge = Workspace(root, clock=clock).challenge(identity)
    return PublicRecord(target, identity, head, challenge, clock)


@pytest.fixture(scope="module")
def record(demo: Played, tmp_path_factory: pytest.TempPathFactory) -> PublicRecord:
    """The public record of the demonstration."""
    root = tmp_path_factory.mktemp("record")
    return copied(demo.public, root, demo.identity, demo.head, system_clock)


@pytest.fixture(scope="module")
def small(stages: ArenaAt, tmp_path_factory: pytest.TempPathFactory) -> PublicRecord:
    """The public record of a small competition in which one validator was outvoted."""
    root = tmp_path_factory.mktemp("small")
    arena = stages("convene").fork(root / "arena")
    honest = arena.assess()
    arena.vote(vera=honest, victor=honest, viola=reordered(arena, honest))
    arena.play(since="vote")
    head = arena.host.ledger.head()
    return copied(arena.public, root, arena.identity, head, arena.clock)


def test_an_undamaged_record_verifies_with_a_real_worker(record: PublicRecord) -> None:
    report = record.verify(worker=Pool)
    assert report.ok, report.steps
    assert [step.name for step in report.steps] == [name for name, _ in STEPS]
    assert report.head == record.head
    assert report.lines == record.journal.read_bytes().count(b"\n")
    assert "the noted head is 0 lines back" in report.steps[0].detail


def test_the_steps_cover_every_public_file(record: PublicRecord, small: PublicRecord) -> None:
    for each in (record, small):
        blobs = {path.name for path in (each.public / "blobs").iterdir()}
        assert blobs == each.steps().keys()
    minority = record.challenge.rounds[1].votes
    assert len({vote.cid for vote in minority.values()}) == 2, "the outvoted result is public too"


def test_a_byte_of_any_blob_of_the_demonstration(record: PublicRecord) -> None:
    challenge, noise = record.challenge, random.Random(1)
    assert challenge.train and challenge.test
    groups = {*record.groups(challenge.train), *record.groups(challenge.test)}
    for turn, (cid, step) in enumerate(sorted(record.steps().items())):
        data = record.blob(cid).read_bytes()
        kinds = (KINDS[turn % 3],) if cid in groups else KINDS
        for kind in kinds:
            with instead(record.blob(cid), damaged(data, kind, noise.randrange(len(data)), noise)):
                assert cid in failed_at(record.verify(), step)


def test_any_byte_of_a_blobs_beginning_and_end(small: PublicRecord) -> None:
    noise = random.Random(2)
    for cid, step in small.steps().items():
        data = small.blob(cid).read_bytes()
        for kind in KINDS:
            place = noise.choice((0, len(data) - 1))
            with instead(small.blob(cid), damaged(data, kind, place, noise)):
                assert cid in failed_at(small.verify(), step)
        for other in (data + b"\n", b""):
            with instead(small.blob(cid), other):
                assert cid in failed_at(small.verify(), step)


def test_a_byte_of_any_line_of_the_journal(record: PublicRecord) -> None:
    noise = random.Random(3)
    lines = record.journal.read_bytes().splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        for kind in KINDS:
            place = noise.randrange(len(line))
            data = b"".join(
                [*lines[: number - 1], damaged(line, kind, place, noise), *lines[number:]]
            )
            with instead(record.journal, data):
                detail = failed_at(record.verify(), JOURNAL)
            near = any(f"line {found} of" in detail for found in (number, number + 1))
            # NOTE: a writer's time is not signed: only the noted head shows that the last one is
            # another.
            assert near or (number == len(lines) and "rewritten" in detail), detail


def test_any_position_of_the_last_line(small: PublicRecord) -> None:
    noise, data = random.Random(4), small.journal.read_bytes()
    start = data.rindex(b"\n", 0, -1) + 1
    for turn, place in enumerate([*range(start, len(data), 7), len(data) - 1]):
        with instead(small.journal, damaged(data, KINDS[turn % 3], place, noise)):
            failed_at(small.verify(), JOURNAL)


def test_lines_cut_off_the_end(record: PublicRecord) -> None:
    lines = record.journal.read_bytes().splitlines(keepends=True)
    for kept in (0, 1, 2, len(lines) // 2, len(lines) - 2, len(lines) - 1):
        with instead(record.journal, b"".join(lines[:kept])):
            detail = failed_at(record.verify(), JOURNAL)
            assert ("truncated" in detail) == (kept > 0)


def test_what_a_noted_head_is_for(small: PublicRecord) -> None:
    lines = small.journal.read_bytes().splitlines(keepends=True)
    with instead(small.journal, b"".join(lines[:-1])):
        unnoted = audit(small.public, small.identity, small.clock)
        assert unnoted.ok, "a hash chain alone does not show that its end was cut off"
        noted_before = to_hex(keccak(lines[-2].rstrip(b"\n")))
        assert small.verify(head=noted_before, worker=InProcess).ok
    report = small.verify(head=noted_before, worker=InProcess)
    assert "the noted head is 1 lines back" in report.steps[0].detail


def test_an_auditor_remembers_the_head_without_noting_it(stages: ArenaAt, tmp_path: Path) -> None:
    arena = stages("finalize").fork(tmp_path / "arena")
    auditor_ = arena.join("auditor")
    assert auditor.verify(auditor_, arena.identity, evaluator=InProcess).ok  # type: ignore[arg-type]
    journal = arena.public / "ledger.jsonl"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:-1]))
    again = Workspace(auditor_.root, clock=arena.clock)
    detail = failed_at(auditor.verify(again, arena.identity, evaluator=no_worker), JOURNAL)
    assert "truncated" in detail


@pytest.mark.parametrize("edit", ["swap", "repeat", "drop", "blank"])
def test_whole_lines_that_move(small: PublicRecord, edit: str) -> None:
    lines = small.journal.read_bytes().splitlines(keepends=True)
    for place in range(1, len(lines) - 1, 5):
        other = {
            "swap": [*lines[:place], lines[place + 1], lines[place], *lines[place + 2 :]],
            "repeat": [*lines[: place + 1], lines[place], *lines[place + 1 :]],
            "drop": [*lines[:place], *lines[place + 1 :]],
            "blank": [*lines[:place], b"\n", *lines[place:]],
        }[edit]
        with instead(small.journal, b"".join(other)):
            failed_at(small.verify(), JOURNAL)


def put_folder(path: Path) -> None:
    path.mkdir()


def put_link(path: Path) -> None:
    target = path.with_name("elsewhere")
    target.write_bytes(b"not what was promised")
    path.symlink_to(target)


def put_pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("put", [put_folder, put_link, put_pipe])
def test_something_other_than_a_file(
    stages: ArenaAt, tmp_path: Path, put: Callable[[Path], None]
) -> None:
    arena = stages("claim").fork(tmp_path / "arena")
    blob = arena.public / "blobs" / arena.challenge.manifest
    blob.unlink()
    put(blob)
    failed_at(arena.verify(worker=no_worker), TERMS)


def test_files_that_are_gone(small: PublicRecord) -> None:
    """A missing file fails its step; only an outvoted result is nobody's to keep."""
    votes = small.challenge.rounds[1].votes.values()
    settlement = small.challenge.settlement
    assert settlement and settlement.ballot
    for cid, step in small.steps().items():
        path = small.blob(cid)
        data = path.read_bytes()
        path.unlink()
        if any(vote.cid == cid and vote.ballot != settlement.ballot for vote in votes):
            assert small.verify(worker=InProcess).ok
        else:
            failed_at(small.verify(), step)
        path.write_bytes(data)


def test_a_rejected_model_that_is_gone_fails_where_it_is_named(record: PublicRecord) -> None:
    (number,) = [line.submission for line in lines_of(record) if line.status == "rejected"]
    opening = record.challenge.submissions[number].opening
    assert opening is not None
    path = record.blob(opening.cid)
    data = path.read_bytes()
    path.unlink()
    assert f"submission {number}" in failed_at(record.verify(), MODELS)
    path.write_bytes(data)


def lines_of(record: PublicRecord) -> tuple[Line, ...]:
    return board(Workspace(record.public.parent), record.challenge).lines


@pytest.mark.parametrize("what", ["journal", "public", "blobs"])
def test_without_the_record_it_fails_and_does_not_raise(
    stages: ArenaAt, tmp_path: Path, what: str
) -> None:
    arena = stages("claim").fork(tmp_path / "arena")
    gone, step = {
        "journal": (arena.public / "ledger.jsonl", JOURNAL),
        "public": (arena.public, JOURNAL),
        "blobs": (arena.public / "blobs", TERMS),
    }[what]
    gone.rename(tmp_path / "gone")
    failed_at(arena.verify(worker=no_worker), step)


def test_a_journal_that_is_a_folder(stages: ArenaAt, tmp_path: Path) -> None:
    arena = stages("claim").fork(tmp_path / "arena")
    (arena.public / "ledger.jsonl").unlink()
    (arena.public / "ledger.jsonl").mkdir()
    failed_at(arena.verify(worker=no_worker), JOURNAL)


@pytest.mark.parametrize("identity", ["0x" + "ab" * 32, "", "breast-cancer", "0x"])
def test_an_unknown_challenge(small: PublicRecord, identity: str) -> None:
    report = audit(small.public, identity, small.clock, worker=no_worker)
    assert "no challenge" in failed_at(report, JOURNAL)


@pytest.mark.parametrize("head", ["0x", "nonsense", "0x" + "00" * 32, "0X" + "ab" * 32])
def test_a_head_that_is_none_of_this_ledgers(small: PublicRecord, head: str) -> None:
    failed_at(small.verify(head=head), JOURNAL)


def test_an_unfinished_challenge_holds_and_says_what_is_not_there_yet(stages: ArenaAt) -> None:
    expected = {
        "create": (SEED, "not drawn yet"),
        "contribute": (SEED, "not drawn yet"),
        "open_seeds": (TRAIN, "not revealed"),
        "draw": (TRAIN, "not revealed"),
        "reveal_train": (MODELS, "0 of 0 opened"),
        "submit": (MODELS, "0 of 3 opened"),
        "open": (TEST, "not revealed"),
        "reveal_test": (VOTES, "0 opened votes; no committee decision"),
        "convene": (VOTES, "0 opened votes; no committee decision"),
        "vote": (VOTES, "0 opened votes; no committee decision"),
        "open_votes": (VOTES, "3 opened votes; no committee decision"),
    }
    for step, (number, words) in expected.items():
        arena = stages(step)
        report = arena.verify(head=arena.host.ledger.head(), worker=no_worker)
        assert report.ok, (step, report.steps)
        assert words in report.steps[number - 1].detail
        assert "no decided result" in report.steps[EVALUATION - 1].detail
        assert "no committee decision" in report.steps[PAYOUTS - 1].detail
        held = sum(item.escrow for item in arena.host.state().challenges.values())
        assert f"{held:,} in escrow" in report.steps[MONEY - 1].detail
    assert stages("finalize").verify().ok


def test_an_unfinished_challenge_with_a_damaged_blob_does_not_hold(arena_at: ArenaAt) -> None:
    arena = arena_at("open")
    opening = arena.challenge.submissions[1].opening
    assert opening is not None
    (arena.public / "blobs" / opening.cid).write_bytes(b"other bytes")
    assert opening.cid in failed_at(arena.verify(), MODELS)


def collude(arena: Arena, vote: Any) -> Report:
    """What verifying finds after the whole committee has voted alike."""
    arena.vote(vera=vote, victor=vote, viola=vote)
    arena.play(until="finalize", since="vote")
    settlement = arena.challenge.settlement
    assert settlement is not None and settlement.ballot == vote.ballot
    return arena.verify()


def test_a_majority_that_voted_a_wrong_result(arena_at: ArenaAt) -> None:
    arena = arena_at("convene")
    detail = failed_at(collude(arena, reordered(arena, arena.assess())), EVALUATION)
    assert "another result" in detail


def test_a_majority_that_made_up_a_score(arena_at: ArenaAt) -> None:
    arena = arena_at("convene")
    honest = arena.assess()
    first, *others = honest.result.rows
    better = msgspec.structs.replace(first, score=Score(first.score - 1))
    result = msgspec.structs.replace(honest.result, rows=(better, *others))
    failed_at(collude(arena, concluded(arena, result)), EVALUATION)


@pytest.mark.parametrize("outcome", ["void", "train-fallback"])
def test_a_majority_that_denied_good_data(arena_at: ArenaAt, outcome: str) -> None:
    arena = arena_at("convene")
    honest = arena.assess()
    rows = () if outcome == "void" else honest.result.rows
    result = msgspec.structs.replace(
        honest.result, outcome=outcome, reason="train data: NotFound", rows=rows
    )
    detail = failed_at(collude(arena, concluded(arena, result)), EVALUATION)
    assert f"found test, expected {outcome}" in detail


def test_a_majority_that_left_a_submission_out(arena_at: ArenaAt) -> None:
    arena = arena_at("convene")
    honest = arena.assess()
    result = msgspec.structs.replace(honest.result, rows=honest.result.rows[:-1])
    failed_at(collude(arena, concluded(arena, result)), EVALUATION)


@pytest.mark.parametrize("change", ["payouts", "winner", "score", "nothing-paid"])
def test_a_majority_that_voted_the_right_result_and_wrong_payouts(
    arena_at: ArenaAt, change: str
) -> None:
    arena = arena_at("convene")
    honest = arena.assess()
    carol = key_of("carol").address
    if change == "payouts":
        total = sum(amount for _, amount in honest.payouts)
        payouts = ((carol, total),)
        ballot = ballot_of(arena.challenge, honest.result, payouts)
        vote = replace(honest, payouts=payouts, ballot=ballot)
    else:
        changes: dict[str, dict[str, Any]] = {
            "winner": {"winner": carol},
            "score": {"score": Score(5)},
            "nothing-paid": {"payout_root": ZERO_DIGEST, "payout_total": Amount(0)},
        }
        ballot = msgspec.structs.replace(honest.ballot, **changes[change])
        vote = replace(honest, ballot=ballot)
    assert "decided ballot" in failed_at(collude(arena, vote), PAYOUTS)


def test_a_majority_whose_result_is_no_result(arena_at: ArenaAt) -> None:
    arena = arena_at("convene")
    ballot = msgspec.structs.replace(
        arena.assess().ballot,
        result=to_hex(keccak(b"whatever")),
        payout_root=ZERO_DIGEST,
        payout_total=Amount(0),
        winner=ZERO_ADDRESS,
        score=Score(0),
    )
    vote = SimpleNamespace(ballot=ballot, data=b"whatever")
    assert "result is malformed" in failed_at(collude(arena, vote), VOTES)


def test_money_that_does_not_add_up(small: PublicRecord) -> None:
    """A replayed state always adds up; the step would notice one that does not."""
    audit_ = replayed(small)
    audit_.check_money()
    state = audit_.record.state
    audit_.record = replace(
        audit_.record, state=msgspec.structs.replace(state, received=state.received + 1)
    )
    with pytest.raises(Mismatch, match="money held"):
        audit_.check_money()


def test_a_learning_link_that_does_not_follow(small: PublicRecord) -> None:
    audit_ = replayed(small)
    settlement = audit_.challenge.settlement
    assert settlement is not None
    wrong = msgspec.structs.replace(settlement, previous_link="0x" + "11" * 32)
    challenge = msgspec.structs.replace(audit_.challenge, settlement=wrong)
    challenges = {**audit_.record.state.challenges, challenge.id: challenge}
    changed = msgspec.structs.replace(audit_.record.state, challenges=challenges)
    audit_.record = replace(audit_.record, state=changed)
    with pytest.raises(ChainBroken):
        audit_.check_money()


def test_a_seed_that_does_not_follow(small: PublicRecord) -> None:
    audit_ = replayed(small)
    assert "4 secrets" in audit_.check_seed()
    challenge = audit_.challenge
    audit_.challenge = msgspec.structs.replace(challenge, seed="0x" + "11" * 32)
    with pytest.raises(Mismatch, match="seed"):
        audit_.check_seed()
    first, *others = challenge.contributions
    other = msgspec.structs.replace(first, secret="0x" + "11" * 32)
    audit_.challenge = msgspec.structs.replace(challenge, contributions=(other, *others))
    with pytest.raises(Mismatch, match=first.contributor):
        audit_.check_seed()


def replayed(record: PublicRecord) -> Audit:
    """An audit whose first step is done."""
    workspace = Workspace(record.public.parent, clock=record.clock)
    audit_ = Audit(workspace, record.identity, None, no_worker, lambda *_: None)
    audit_.check_journal()
    return audit_


ABSENT = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
FOREIGN = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPBdG"


def commit_with_cid(arena: Arena, name: str, data: bytes, cid: str) -> None:
    """Enter a model whose opening will name another CID than the model's."""
    workspace, key = arena[name]
    salt = b"\x07" * 32
    commitment = submission_commitment(
        from_hex(arena.identity), key.address, keccak(data), cid, salt
    )
    reward = arena.challenge.terms.reward
    value = reward.submission_bond + reward.entry_fee
    arena.send(name, Submit(arena.identity, to_hex(commitment)), value)
    number = arena.challenge.submissions[-1].number
    arena.wait("submit")
    workspace.send(key, Open(arena.identity, number, to_hex(keccak(data)), cid, to_hex(salt)))


@pytest.mark.parametrize(
    ("cid", "status", "reason"),
    [
        (ABSENT, "unavailable", "nobody serves"),
        (FOREIGN, "rejected", "not one that stores use"),
        ("manifest", "rejected", "not the committed model"),
        ("huge", "rejected", "larger than"),
    ],
)
def test_a_hostile_submission_costs_nobody_else_the_verification(
    arena_at: ArenaAt, cid: str, status: str, reason: str
) -> None:
    arena = arena_at("reveal_train")
    if cid == "manifest":
        cid = arena.challenge.manifest
    if cid == "huge":
        cid = arena.host.store.put(bytes(arena.manifest.evaluation.limits.model_bytes + 1))
    arena.submit(alice=model(0.0), bob=model(2.0))
    commit_with_cid(arena, "carol", b"a model that nobody will see", cid)
    arena.open("alice", "bob")
    arena.play(since="open")
    report = arena.verify(head=arena.host.ledger.head())
    assert report.ok, report.steps
    lines = {line.submission: line for line in board(arena.host, arena.challenge).lines}
    assert (lines[2].status, lines[2].rank) == (status, None)
    assert reason in lines[2].reason
    assert [lines[number].rank for number in (0, 1)] == [1, 2]
    assert arena.gains()["alice"] == POT + STAKE // 2 - ENTRY


@pytest.mark.parametrize("cid", [ABSENT, FOREIGN, "manifest", "huge", "garbage"])
@pytest.mark.parametrize("name", ["vera", "viola"])
def test_a_vote_that_names_a_wrong_cid_stops_nobody(arena_at: ArenaAt, cid: str, name: str) -> None:
    """Whether its ballot is the majority's or not, the CID only says where to look."""
    arena = arena_at("convene")
    honest = arena.assess()
    arena.vote(vera=honest, victor=honest, viola=reordered(arena, honest))
    arena.wait("vote")
    named = {
        "manifest": lambda: arena.challenge.manifest,
        "huge": lambda: arena.host.store.put(bytes(RESULT_BYTES + 1)),
        "garbage": lambda: arena.host.store.put(b"no result at all"),
    }.get(cid, lambda: cid)()
    workspace, key = arena[name]
    commitment = arena.challenge.rounds[1].votes[key.address].commitment
    sealed = workspace.vault.read_record(
        arena.identity, f"vote-{commitment}.json", SealedVote, "a vote"
    )
    workspace.send(key, OpenVote(arena.identity, sealed.ballot, sealed.salt, named))
    arena.open_votes(*(other for other in ("vera", "victor", "viola") if other != name))
    arena.play(since="open_votes")
    assert arena.gains()["alice"] == POT - ENTRY
    report = arena.verify(head=arena.host.ledger.head())
    assert report.ok, report.steps
    assert "1 without their result" in report.steps[VOTES - 1].detail


def test_a_majority_that_publishes_no_result(arena_at: ArenaAt) -> None:
    arena = arena_at("vote")
    arena.wait("vote")
    for name in ("vera", "victor", "viola"):
        workspace, key = arena[name]
        commitment = arena.challenge.rounds[1].votes[key.address].commitment
        sealed = workspace.vault.read_record(
            arena.identity, f"vote-{commitment}.json", SealedVote, "a vote"
        )
        workspace.send(key, OpenVote(arena.identity, sealed.ballot, sealed.salt, ABSENT))
    arena.play(until="finalize", since="open_votes")
    assert "nobody serves the result" in failed_at(arena.verify(), VOTES)
