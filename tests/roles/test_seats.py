"""Competitions that staked validators judge: honest, silent, lying and leaving ones."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from danku.errors import Rejected
from danku.ledger.embedded.verification import verify_journal
from danku.protocol.actions import Finalize
from danku.protocol.types import Amount
from danku.roles import seats, validator
from danku.roles.assessment import Assessment
from danku.roles.board import Board, board
from danku.roles.claims import claim_all, owed_to
from danku.roles.duties import duties
from danku.roles.seats_audit import Mismatch, Watch, check_committees, check_penalties
from tests.roles.arena import ORGANIZER, InProcess, key_of, reordered
from tests.roles.staked_arena import MINORITY, SILENCE, STAKE, STAKERS, UNBONDING, StakedArena


@pytest.fixture(autouse=True)
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Validators evaluate in this process."""
    monkeypatch.setattr("danku.evaluation.worker.Worker", InProcess)
    monkeypatch.setattr("danku.roles.evaluations.own_evaluator", lambda workspace: InProcess())


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StakedArena]:
    yield StakedArena(tmp_path_factory.mktemp("staked") / "arena").opened()


@pytest.fixture
def arena(opened: StakedArena, tmp_path: Path) -> StakedArena:
    """A competition of the test's own, whose models and test data are public."""
    return forked(opened, tmp_path / "mine")


def forked(arena: StakedArena, root: Path) -> StakedArena:
    twin = arena.fork(root)
    assert isinstance(twin, StakedArena)
    for name in STAKERS:
        if name not in twin.players:
            twin.players[name] = type(arena.host)(root / name, clock=twin.clock)
    return twin


def lie(arena: StakedArena, name: str, wrong: Assessment) -> None:
    validator.cast_vote(*arena[name], arena.identity, wrong)


def test_a_silent_a_lying_and_a_leaving_validator(arena: StakedArena) -> None:
    """Round one has no quorum, round two decides; then stakes are taken out, and all verifies."""
    arena.wait("reveal_test")
    honest = arena.assess("vera")
    arena.advance("alice")
    first = arena.seated(1)
    _silent, liar, *good = first
    lie(arena, liar, reordered(arena, honest))
    seats.leave(*arena[good[0]])
    assert arena.holding(good[0]).bound and not arena.holding(good[0]).active
    arena.vote(**dict.fromkeys(good, honest))
    arena.open_votes(liar, *good)
    arena.wait("open_vote")
    with pytest.raises(Rejected) as refusal:
        arena.send("bob", Finalize(arena.identity))
    assert refusal.value.rule == "Early"

    arena.advance("alice")
    second = arena.seated(2)
    assert len(set(first + second)) == 8
    second_liar, *majority = second
    lie(arena, second_liar, reordered(arena, honest))
    arena.vote(**dict.fromkeys(majority, honest))
    arena.wait("second_vote")
    arena.open_votes(second_liar, *majority)
    arena.wait("second_open_vote")
    arena.send("bob", Finalize(arena.identity))

    settlement = arena.challenge.settlement
    assert settlement is not None and (settlement.kind, settlement.round) == ("decided", 2)
    assert [(item.fault, int(item.amount)) for item in settlement.penalties] == [
        ("silent", SILENCE),
        ("minority", MINORITY),
    ]
    assert arena.burned() == SILENCE + MINORITY
    assert arena.staked() == 8 * STAKE - SILENCE - MINORITY
    served = {(seated.round, seated.vote, seated.lost) for seated in board_of(arena).committee}
    assert served == {
        (1, "silent", SILENCE),
        (1, "opened", 0),
        (2, "minority", MINORITY),
        (2, "majority", 0),
    }

    report = arena.verify()
    assert report.ok, report
    assert "8 seats drawn again from 8 eligible ones" in report.steps[6].detail
    assert "2 seats lost 350, burned" in report.steps[9].detail
    for name in ("alice", ORGANIZER, *majority):
        claim_all(*arena[name])
    for name in majority:
        assert arena.host.ledger.balance(key_of(name).address) > 100_000 - STAKE + 900 // 3

    with pytest.raises(Rejected) as refusal:
        arena.send(good[0], seats.Unstake(arena.holding(good[0]).bound))
    assert refusal.value.rule == "Early"
    arena.clock.now += UNBONDING
    owed = owed_to(arena.players[good[0]], key_of(good[0]).address)
    assert [(item.what, item.amount) for item in owed if "stake" in item.what] == [
        ("stake of 1 seat(s)", STAKE)
    ]
    claim_all(*arena[good[0]])
    seats.leave(*arena[second_liar])
    arena.clock.now += UNBONDING
    claim_all(*arena[second_liar])
    assert arena.staked() == 6 * STAKE - SILENCE
    assert arena.verify().ok


def board_of(arena: StakedArena) -> Board:
    return board(arena.host, arena.challenge)


def test_a_whole_challenge_by_nothing_but_advance(arena: StakedArena) -> None:
    """Only those who are drawn vote; what a miss costs is said before."""
    time = arena.host.ledger.time()
    state = arena.host.state()
    expected = [
        duty
        for name in STAKERS
        for duty in duties(state, arena.challenge, key_of(name).address, time)
    ]
    assert {duty.name for duty in expected} == {"vote"}
    assert "if one of 1 seat(s) is drawn" in expected[0].what
    assert expected[0].cost.startswith(f"{SILENCE} of each drawn seat's stake")
    arena.wait("reveal_test")
    voted = arena.advance(*STAKERS)
    seated = arena.seated(1)
    assert voted["vera"][0] == "convene"
    assert sorted(name for name, steps in voted.items() if "vote" in steps) == sorted(seated)
    assert all(not steps for steps in arena.advance(*STAKERS).values())
    found = duties(arena.host.state(), arena.challenge, key_of(seated[0]).address, arena.clock.now)
    assert [duty.cost for duty in found] == [
        f"{MINORITY} of the stake, and this round's share of the fees"
    ]
    arena.wait("vote")
    opening = arena.advance(*STAKERS)
    assert sorted(name for name, steps in opening.items() if steps) == sorted(seated)
    arena.wait("open_vote")
    arena.advance("alice")
    settlement = arena.challenge.settlement
    assert settlement is not None and settlement.penalties == ()
    assert arena.verify().ok


def test_who_judges_nothing_has_no_duties(arena: StakedArena) -> None:
    arena.wait("reveal_test")
    arena.advance("alice")
    standing = next(name for name in STAKERS if name not in arena.seated(1))
    assert arena.advance(standing) == {standing: []}


def test_joining_means_so_many_in_all(arena: StakedArena) -> None:
    assert seats.join(*arena["zoe"], 3) == 2
    assert seats.join(*arena["zoe"], 3) == 0
    assert len(arena.holding("zoe").active) == 3
    with pytest.raises(seats.TooMany):
        seats.join(*arena["zoe"], 2)
    newest = arena.holding("zoe").active[1:]
    assert seats.leave(*arena["zoe"], keep=1) == newest
    assert seats.leave(*arena["zoe"], keep=1) == ()
    with pytest.raises(Rejected) as refusal:
        seats.join(*arena["zoe"], 1_000)
    assert refusal.value.rule == "InsufficientBalance"


def test_every_forged_draw_and_penalty_is_found(arena: StakedArena) -> None:
    arena.wait("reveal_test")
    arena.advance(*STAKERS)
    arena.wait("vote")
    _late, *others = arena.seated(1)
    arena.advance(*others)
    arena.wait("open_vote")
    arena.advance("alice")
    watch = Watch(arena.identity)
    copy = arena.root / "copy.jsonl"
    shutil.copy(arena.public / "ledger.jsonl", copy)
    verify_journal(copy, clock=arena.clock, observe=lambda step: watch(step.state))
    challenge = arena.challenge
    assert challenge.settlement is not None and challenge.pool is not None
    assert check_committees(challenge, watch).startswith("4 seats drawn again")
    assert check_penalties(challenge, watch) == f"1 seats lost {MINORITY}, burned"

    replace, found = msgspec.structs.replace, challenge.rounds[1]
    [penalty] = challenge.settlement.penalties
    for forged in (
        replace(found, seats=found.seats[::-1]),
        replace(found, committee=found.committee[::-1]),
        replace(found, position=found.position - 1),
    ):
        with pytest.raises(Mismatch):
            check_committees(replace(challenge, rounds={1: forged}), watch)
    for pool in (
        replace(challenge.pool, eligible=9),
        replace(challenge.pool, slots=7),
        replace(challenge.pool, version=7),
    ):
        with pytest.raises(Mismatch):
            check_committees(replace(challenge, pool=pool), watch)
    with pytest.raises(Mismatch):
        check_committees(replace(challenge, mix="0x" + "11" * 32), watch)
    for penalties in ((), (replace(penalty, amount=Amount(1)),), (penalty, penalty)):
        settlement = replace(challenge.settlement, penalties=penalties)
        with pytest.raises(Mismatch):
            check_penalties(replace(challenge, settlement=settlement), watch)


def test_a_bound_stake_is_not_owed_yet(arena: StakedArena) -> None:
    seats.leave(*arena["zoe"])
    assert owed_to(arena.players["zoe"], key_of("zoe").address) == []
