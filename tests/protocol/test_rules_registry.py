"""The registry: seats are bought, ended and paid back, and who may use it for what."""

from __future__ import annotations

import msgspec
import pytest

from danku.errors import Rejected
from danku.protocol import actions
from danku.protocol.registry import held_at, held_by
from danku.protocol.rules import apply
from danku.protocol.state import Context, Registry, Seat
from danku.protocol.terms import MAX_CONTRIBUTIONS, RegistryTerms, SeatsPanel, Terms
from danku.protocol.types import AMOUNT_LIMIT, Amount
from tests.protocol.simulator import (
    ALICE,
    BOB,
    CAROL,
    ORGANIZER,
    OUTSIDER,
    Game,
    Ledger,
    address,
    digest,
    terms,
)
from tests.protocol.staked import PANEL, REGISTRY, STAKE, STAKERS, UNBONDING, StakedGame, second

ANN, BEN, CLEO, *OTHERS = STAKERS


def small(**changes: int) -> Terms:
    """Terms with a committee of four seats."""
    shares = {"seats": 4, "minority_share": 3_000, "silence_share": 500, **changes}
    return terms(SeatsPanel(**shares))


# --- join -------------------------------------------------------------------------------------


def test_join_in_order() -> None:
    assert Ledger().refused(actions.Join(1, 0), ANN) == "NoRegistry"
    game = StakedGame()
    assert game.refused(actions.Join(1, 0), ANN) == "SeatsChanged"
    assert game.refused(actions.Join(1, 2), ANN) == "SeatsChanged"
    assert game.refused(actions.Join(1, 1), OUTSIDER) == "SeatsChanged"
    assert game.refused(actions.Join(2, 1), ANN, STAKE) == "WrongValue"
    assert game.refused(actions.Join(2, 1), ANN, 2 * STAKE + 1) == "WrongValue"


def test_a_repeated_join_buys_nothing_twice() -> None:
    game = StakedGame()
    bought = actions.Join(3, 0)
    game.send(bought, OUTSIDER)
    assert game.refused(bought, OUTSIDER) == "SeatsChanged"
    assert held_by(game.registry, OUTSIDER) == 3
    assert game.registry.staked == 15 * STAKE


def test_seats_stand_in_the_order_in_which_they_were_bought() -> None:
    game = StakedGame()
    before = game.registry
    game.join(OUTSIDER, 2)
    assert game.registry.seats[:12] == before.seats
    bought = Seat(OUTSIDER, before.version + 1)
    assert game.registry.seats[12:] == (bought, bought)


def test_a_registry_has_bounds() -> None:
    rich = Ledger(staking=RegistryTerms(Amount(2**95), 1))
    rich.send(actions.Join(1, 0), ANN)
    assert rich.refused(actions.Join(1, 1), ANN) == "RegistryFull"
    assert rich.refused(actions.Join(1, 0), BEN) == "RegistryFull"
    richest = Ledger(staking=RegistryTerms(Amount(AMOUNT_LIMIT - 1), 1))
    assert richest.refused(actions.Join(2, 0), ANN) == "RegistryFull"
    richest.send(actions.Join(1, 0), ANN)
    full = Ledger(staking=RegistryTerms(Amount(1), 1))
    registry = Registry(RegistryTerms(Amount(1), 1), seats=(None,) * actions.MAX_SLOTS, free=(3,))
    full.state = msgspec.structs.replace(full.state, registry=registry)
    with pytest.raises(Rejected) as refusal:
        apply(full.state, actions.Join(2, 0), Context(ANN, full.time, 2))
    assert refusal.value.rule == "RegistryFull"
    after = apply(full.state, actions.Join(1, 0), Context(ANN, full.time, 1)).registry
    assert after is not None and after.seats[3] == Seat(ANN, 1) and after.free == ()


# --- leave and unstake ------------------------------------------------------------------------


def test_leave_in_order() -> None:
    assert Ledger().refused(actions.Leave((0,)), ANN) == "NoRegistry"
    game = StakedGame()
    assert game.refused(actions.Leave((1, 0)), ANN) == "SeatOrder"
    assert game.refused(actions.Leave((0, 0)), ANN) == "SeatOrder"
    assert game.refused(actions.Leave((0, 12)), ANN) == "UnknownSeat"
    assert game.refused(actions.Leave((0, 1)), ANN) == "NotSeatOwner"
    assert game.refused(actions.Leave((0,)), OUTSIDER) == "NotSeatOwner"
    assert game.refused(actions.Leave((0,)), ANN, 1) == "WrongValue"
    game.leave(ANN)
    assert game.refused(actions.Leave((0,)), ANN) == "AlreadyLeft"


def test_unstake_in_order() -> None:
    assert Ledger().refused(actions.Unstake((0,)), ANN) == "NoRegistry"
    game = StakedGame()
    assert game.refused(actions.Unstake((0, 0)), ANN) == "SeatOrder"
    assert game.refused(actions.Unstake((12,)), ANN) == "UnknownSeat"
    assert game.refused(actions.Unstake((1,)), ANN) == "NotSeatOwner"
    assert game.refused(actions.Unstake((0,)), ANN) == "NotLeft"
    game.leave(ANN)
    game.time += UNBONDING - 1
    assert game.refused(actions.Unstake((0,)), ANN) == "Early"
    game.time += 1
    assert game.refused(actions.Unstake((0,)), ANN, 1) == "WrongValue"
    assert game.refused(actions.Unstake((0,)), BEN) == "NotSeatOwner"
    game.unstake(ANN)
    assert game.state.paid == {ANN: STAKE}
    assert game.refused(actions.Unstake((0,)), ANN) == "UnknownSeat"
    assert game.conserved()


def test_the_slot_emptied_last_is_filled_first() -> None:
    game = StakedGame()
    game.leave(ANN).leave(CLEO)
    game.time += UNBONDING
    game.unstake(CLEO).unstake(ANN)
    game.join(OUTSIDER, 3)
    assert tuple(game.own(OUTSIDER)) == (0, 2, 12)
    assert len(game.registry.seats) == 13
    assert game.registry.free == ()


def test_the_array_does_not_grow_by_joining_and_leaving() -> None:
    game = StakedGame()
    for _ in range(5):
        game.join(OUTSIDER, 2).leave(OUTSIDER)
        game.time += UNBONDING
        game.unstake(OUTSIDER)
    assert len(game.registry.seats) == 14
    assert game.registry.staked == 12 * STAKE


def test_history_tells_who_held_what_at_every_version() -> None:
    game = Ledger(staking=REGISTRY)

    def held(who: str, version: int) -> int:
        assert game.state.registry is not None
        return held_at(game.state.registry, who, version)

    game.send(actions.Join(2, 0), ANN)
    game.send(actions.Join(1, 0), BEN)
    game.send(actions.Join(3, 2), ANN)
    game.send(actions.Leave((0, 4)), ANN)
    assert [held(ANN, version) for version in range(6)] == [0, 2, 2, 5, 3, 3]
    assert [held(BEN, version) for version in range(5)] == [0, 0, 1, 1, 1]
    assert held(CLEO, 9) == 0


def test_a_seat_that_left_cannot_be_sold_twice() -> None:
    game = StakedGame()
    game.leave(ANN)
    game.time += UNBONDING
    game.unstake(ANN).join(BEN)
    assert game.own(BEN).keys() == {0, 1}
    assert game.refused(actions.Leave((0,)), ANN) == "NotSeatOwner"
    assert game.refused(actions.Unstake((0,)), ANN) == "NotSeatOwner"


# --- challenges ---------------------------------------------------------------------------------


def test_a_seats_panel_needs_a_registry() -> None:
    with pytest.raises(Rejected) as refusal:
        Game(small())
    assert refusal.value.rule == "NoRegistry"


def test_create_needs_twice_the_committee_without_the_organizers_seats() -> None:
    game = StakedGame()
    create = second(game).log[0][0]
    for staker in STAKERS[8:]:
        game.leave(staker)
    assert game.registry.active == 8
    assert second(game).challenge.pool is not None
    assert game.refused(create, ANN) == "TooFewSeats"
    game.leave(BEN)
    assert game.refused(create, ORGANIZER) == "TooFewSeats"
    game.join(ORGANIZER, 5)
    assert game.refused(create, ORGANIZER) == "TooFewSeats"
    game.join(OUTSIDER)
    assert second(game).challenge.pool is not None


def test_create_needs_an_unbonding_delay_longer_than_the_longest_schedule() -> None:
    # 100 + 70 + 50 + 300 + 90 + 60 + 80 + 40, once more 80 + 40, and 80 to settle it
    needed = 990
    for delay, holds in ((needed, True), (needed - 1, False)):
        if holds:
            StakedGame(registry=RegistryTerms(Amount(STAKE), delay))
            continue
        with pytest.raises(Rejected) as refusal:
            StakedGame(registry=RegistryTerms(Amount(STAKE), delay))
        assert refusal.value.rule == "UnbondingTooShort"


def test_a_stake_outlasts_every_challenge_that_its_seat_may_serve() -> None:
    """Left in the second of `create`, with the shortest delay that `create` allows."""
    game = StakedGame(registry=RegistryTerms(Amount(STAKE), 990))
    for staker in STAKERS:
        game.leave(staker)
    game.trained().submit().open().reveal_test().convene()
    game.finalize("second_open_vote")
    assert all(game.registry.seats[number].free > game.time for number in range(12))  # type: ignore[union-attr]
    assert sum(game.losses().values()) == 4 * 50


def test_silence_must_cost_less_than_a_wrong_vote() -> None:
    with pytest.raises(Rejected, match="silence_share") as refusal:
        StakedGame(agreed=small(silence_share=3_000))
    assert refusal.value.rule == "BadTerms"
    StakedGame(agreed=small(silence_share=2_999))


def test_owners_of_seats_contribute_once_each_and_nobody_else_does() -> None:
    game = StakedGame({ANN: 5, BEN: 1, CLEO: 3, ORGANIZER: 2})
    game.join(OUTSIDER)
    game.leave(BEN)
    for who in (OUTSIDER, ORGANIZER, ALICE):
        assert game.refused(game.contributing(who), who) == "NotOnPanel"
    game.contribute(ANN, BEN)
    assert game.refused(game.contributing(ANN), ANN) == "AlreadyContributed"


def test_a_seed_takes_a_bounded_number_of_contributions() -> None:
    crowd = [address(f"crowd {number}") for number in range(MAX_CONTRIBUTIONS + 1)]
    game = StakedGame(dict.fromkeys(crowd, 1))
    game.contribute(*crowd[:-1])
    assert game.refused(game.contributing(crowd[-1]), crowd[-1]) == "TooManyContributions"
    game.open_seed().draw()


def test_submitting_takes_ones_seats_out_of_the_pool_while_enough_are_left() -> None:
    game = StakedGame({ANN: 3, BEN: 2, CLEO: 7}).trained()
    assert game.challenge.pool is not None and game.challenge.pool.eligible == 12
    game.submit(BEN, BEN, OUTSIDER)
    assert game.challenge.pool.eligible == 10
    assert game.refused(game.submitting(ANN), ANN) == "TooFewSeats"
    game.submit(ALICE, BOB)
    assert game.challenge.pool.eligible == 10
    game.open().reveal_test().convene()
    assert BEN not in game.challenge.rounds[1].committee


def test_exactly_twice_the_committee_is_enough() -> None:
    game = StakedGame({ANN: 3, BEN: 2, CLEO: 6}).trained().submit(ANN)
    assert game.challenge.pool is not None and game.challenge.pool.eligible == 8
    assert game.refused(game.submitting(BEN), BEN) == "TooFewSeats"
    game.submit(ALICE)


def test_seats_bought_after_create_neither_serve_nor_hinder() -> None:
    game = StakedGame(dict.fromkeys(STAKERS[:8], 1))
    game.join(OUTSIDER, 100)
    game.trained().submit(OUTSIDER).open().reveal_test().convene()
    assert set(game.challenge.rounds[1].committee) < set(STAKERS[:8])


def test_seats_that_left_before_create_do_not_serve_and_those_that_leave_later_do() -> None:
    game = StakedGame(dict.fromkeys(STAKERS[:9], 1))
    later = second(game.leave(ANN))
    later.leave(BEN)
    assert later.challenge.pool is not None and later.challenge.pool.eligible == 8
    later.trained().submit(CAROL).open().reveal_test().convene()
    drawn = set(later.challenge.rounds[1].committee)
    later.wait("open_vote")
    later.convene()
    drawn |= set(later.challenge.rounds[2].committee)
    assert drawn == {BEN, CLEO, *OTHERS[:6]}


def test_a_named_panel_does_not_care_about_the_registry() -> None:
    game = StakedGame(agreed=terms())
    assert game.challenge.pool is None
    assert isinstance(game.terms.panel, type(terms().panel))
    assert game.refused(game.contributing(ANN), ANN) == "NotOnPanel"


# --- votes of seats -----------------------------------------------------------------------------


def evaluating(stakes: dict[str, int] | None = None) -> StakedGame:
    game = StakedGame(stakes)
    game.trained().submit().open().reveal_test()
    return game


def test_votes_of_seats_in_order() -> None:
    game = evaluating()
    ballot, other = game.ballot(), game.ballot(result="other")
    game.wait("reveal_test")
    assert game.refused(game.voting(ANN, ballot), ANN) == "NotConvened"
    game.convene()
    seated = game.challenge.rounds[1].committee
    standing = next(who for who in STAKERS if who not in seated)
    for who in (standing, OUTSIDER, ORGANIZER, ALICE):
        assert game.refused(game.voting(who, ballot), who) == "NotOnCommittee"
    game.vote(ballot, *seated[:3])
    assert game.refused(game.voting(seated[0], other), seated[0]) == "AlreadyVoted"
    game.wait("vote")
    late = game.voting(seated[3], ballot)
    assert game.refused(late, seated[3]) == "Late"
    assert game.refused(game.opening_vote(seated[3], ballot), seated[3]) == "NotVoted"
    assert game.refused(game.opening_vote(standing, ballot), standing) == "NotOnCommittee"
    mismatch = game.opening_vote(seated[0], other)
    assert game.refused(mismatch, seated[0]) == "CommitmentMismatch"
    game.open_vote(ballot, seated[0])
    assert game.refused(game.opening_vote(seated[0], ballot), seated[0]) == "AlreadyOpened"
    assert game.refused(mismatch, seated[0]) == "AlreadyOpened"
    game.wait("open_vote")
    assert game.refused(game.opening_vote(seated[1], ballot), seated[1]) == "Early"
    game.wait("second_open_vote")
    assert game.refused(game.opening_vote(seated[1], ballot), seated[1]) == "Late"


def test_a_committee_is_called_in_the_first_half_of_its_window() -> None:
    """Whoever calls it at the last second could else have honest seats slashed for silence."""
    game = evaluating()
    convene = actions.Convene(game.id)
    game.wait("reveal_test", 40)
    assert game.refused(convene, OUTSIDER) == "Late"
    game.wait("open_vote", 39)
    game.send(convene, OUTSIDER)
    assert game.refused(convene, OUTSIDER) == "AlreadyConvened"


def test_leaving_during_a_vote_changes_nothing_for_it() -> None:
    game = evaluating()
    game.convene()
    seated = game.challenge.rounds[1].committee
    for who in seated:
        game.leave(who)
    game.time += 1
    assert game.refused(actions.Unstake((0,)), game.registry.seats[0].owner) in {  # type: ignore[union-attr]
        "Early",
        "NotLeft",
    }
    ballot = game.ballot()
    game.vote(ballot, *seated[:3]).open_vote(ballot, *seated[:3]).finalize()
    settlement = game.challenge.settlement
    assert settlement is not None and settlement.kind == "decided"
    assert game.losses() == {seated[3]: 50}
    assert game.conserved()


def test_an_owner_with_several_seats_votes_once_for_all_of_them() -> None:
    game = evaluating({ANN: 8, BEN: 1, CLEO: 1})
    game.convene()
    found = game.challenge.rounds[1]
    weight = found.committee.count(ANN)
    assert weight >= 2 and len(set(found.seats)) == 4
    ballot = game.ballot()
    game.vote(ballot, ANN)
    assert game.refused(game.voting(ANN, ballot), ANN) == "AlreadyVoted"
    game.open_vote(ballot, ANN)
    if weight >= 3:
        game.finalize()
        settlement = game.challenge.settlement
        assert settlement is not None and settlement.majority == (ANN,) * weight


def test_unknown_challenges_are_refused_whatever_the_panel() -> None:
    game = evaluating()
    assert game.refused(actions.Convene(digest("unknown")), ANN) == "UnknownChallenge"
    context = Context(ANN, game.time, 0)
    with pytest.raises(Rejected):
        apply(game.state, actions.Vote(digest("unknown"), digest("x")), context)
    assert PANEL.seats == 4
