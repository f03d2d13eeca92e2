"""What seats lose and gain: every fault with exact numbers, and no deviation that pays.

Unless a test says otherwise: stake 1000, minority share 30 % (300), silence share 5 % (50), a
committee of four among twelve owners of one seat; fee 102 and three entry fees of 3.
"""

from __future__ import annotations

from collections import Counter
from itertools import product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from danku.protocol import actions
from danku.protocol.committee import decision
from danku.protocol.registry import held_by
from danku.protocol.slashing import share_of
from danku.protocol.state import Settlement
from danku.protocol.terms import MAX_MINORITY_SHARE, RegistryTerms, SeatsPanel
from danku.protocol.types import BURN_ADDRESS, Amount
from tests.protocol.simulator import ALICE, BOB, CAROL, OUTSIDER, terms
from tests.protocol.staked import MINORITY, SILENCE, STAKE, STAKERS, StakedGame, second

FEES = 102 + 3 * 3


def evaluating(stakes: dict[str, int] | None = None, **panel: int) -> StakedGame:
    """Models and test data are public, and the committee is called."""
    agreed = terms(
        SeatsPanel(**{"seats": 4, "minority_share": 3_000, "silence_share": 500} | panel)
    )
    game = StakedGame(stakes, agreed)
    game.trained().submit().open().reveal_test().convene()
    return game


def settled(game: StakedGame) -> Settlement:
    found = game.challenge.settlement
    assert found is not None
    assert game.conserved()
    return found


def faults(game: StakedGame) -> dict[str, tuple[str, int]]:
    """What was wrong with each owner's seat, and what that cost."""
    return {each.owner: (each.fault, int(each.amount)) for each in settled(game).penalties}


def test_a_decided_round_punishes_silence_little_and_everything_else_more() -> None:
    game = evaluating(seats=6)
    a, b, c, d, liar, silent = game.challenge.rounds[1].committee
    ballot, other = game.ballot(), game.ballot(result="other")
    game.vote(ballot, a, b, c, d).vote(other, liar)
    game.open_vote(ballot, a, b, c, d).open_vote(other, liar).finalize()
    assert faults(game) == {liar: ("minority", MINORITY), silent: ("silent", SILENCE)}
    assert game.losses() == {liar: MINORITY, silent: SILENCE}
    assert game.state.credits[BURN_ADDRESS] == MINORITY + SILENCE
    share = FEES // 4
    deposits = dict.fromkeys(game.challenge.contributions and STAKERS[:3], 7)
    for who in (a, b, c, d, liar, silent):
        gained = share if who in (a, b, c, d) else 0
        assert game.balance(who) == gained + deposits.get(who, 0)


def test_an_unopened_vote_costs_as_much_as_a_wrong_one() -> None:
    game = evaluating()
    a, b, c, forgetful = game.challenge.rounds[1].committee
    ballot = game.ballot()
    game.vote(ballot, a, b, c, forgetful).open_vote(ballot, a, b, c).finalize()
    assert faults(game) == {forgetful: ("unopened", MINORITY)}


def test_without_a_quorum_nobody_is_a_minority() -> None:
    game = evaluating()
    a, b, forgetful, silent = game.challenge.rounds[1].committee
    ballot, other = game.ballot(), game.ballot(result="other")
    game.vote(ballot, a, forgetful).vote(other, b)
    game.open_vote(ballot, a).open_vote(other, b).finalize("second_open_vote")
    assert settled(game).kind == "no-quorum"
    assert faults(game) == {forgetful: ("unopened", MINORITY), silent: ("silent", SILENCE)}
    assert game.balance(a) <= 7 and game.balance(b) <= 7


def test_round_two_has_fresh_seats_and_judges_round_one_by_its_own_count() -> None:
    game = evaluating()
    first = game.challenge.rounds[1].committee
    ballot, other = game.ballot(), game.ballot(result="other")
    game.vote(ballot, *first[:2]).vote(other, *first[2:])
    game.open_vote(ballot, *first[:2]).open_vote(other, *first[2:])
    game.wait("open_vote")
    assert game.refused(actions.Finalize(game.id), first[0]) == "Early"
    game.convene()
    *agreed, silent = game.challenge.rounds[2].committee
    assert not {*first} & {*agreed, silent}
    game.vote(ballot, *agreed, round_number=2).open_vote(ballot, *agreed, round_number=2)
    game.finalize("second_open_vote")
    assert settled(game).round == 2
    assert faults(game) == {silent: ("silent", SILENCE)}
    assert settled(game).majority == tuple(agreed)


def test_both_rounds_without_a_vote() -> None:
    game = evaluating()
    game.wait("open_vote")
    game.convene()
    game.finalize("second_open_vote")
    assert settled(game).kind == "no-quorum"
    assert Counter(fault for fault, _ in faults(game).values()) == {"silent": 8}
    assert game.registry.staked == 12 * STAKE - 8 * SILENCE


def test_a_committee_that_was_not_called_loses_nothing() -> None:
    game = StakedGame().trained()
    game.submit().open().reveal_test().finalize("second_open_vote")
    assert settled(game).penalties == () and game.losses() == {}


@pytest.mark.parametrize("outcome", ["void", "train-fallback"])
def test_other_outcomes_punish_alike(outcome: str) -> None:
    game = evaluating()
    *agreed, liar = game.challenge.rounds[1].committee
    ballot, other = game.ballot(outcome=outcome), game.ballot()
    game.vote(ballot, *agreed).vote(other, liar)
    game.open_vote(ballot, *agreed).open_vote(other, liar).finalize()
    assert settled(game).kind == "decided"
    assert faults(game) == {liar: ("minority", MINORITY)}


def test_an_owner_pays_and_earns_for_each_of_its_seats() -> None:
    game = evaluating({STAKERS[0]: 8, STAKERS[1]: 8}, seats=7)
    committee = game.challenge.rounds[1].committee
    ballot = game.ballot()
    game.finalize("second_open_vote")
    weights = Counter(committee)
    assert len(weights) == 2
    assert game.losses() == {who: SILENCE * weights[who] for who in weights}
    game = evaluating({STAKERS[0]: 8, STAKERS[1]: 8}, seats=7)
    game.vote(ballot).open_vote(ballot).finalize()
    for who in weights:
        assert game.balance(who) == FEES // 7 * weights[who] + 7


# --- arithmetic -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stake", "share", "lost"),
    [
        *((1000, 3000, 300), (1, 1, 1), (1, 5000, 1), (3, 5000, 2), (2, 5000, 1)),
        *((9999, 1, 1), (10_001, 1, 2), (2**96 - 1, 5000, 2**95)),
    ],
)
def test_shares_are_rounded_up(stake: int, share: int, lost: int) -> None:
    assert share_of(stake, share) == lost


@given(st.integers(1, 2**96 - 1), st.integers(1, MAX_MINORITY_SHARE), st.integers(0, 2**96))
def test_a_seat_that_a_challenge_counts_can_pay_a_whole_penalty(
    stake: int, share: int, loss: int
) -> None:
    if 2 * (stake - loss) >= stake:
        assert 1 <= share_of(stake, share) <= stake - loss


def challenged(game: StakedGame, *silent_or_wrong: str) -> StakedGame:
    """One more challenge on the same ledger, whose committee some of them fail."""
    later = second(game)
    later.trained().submit().open().reveal_test().convene()
    ballot, other = later.ballot(), later.ballot(result="other")
    seated = later.panel
    wrong = [who for who in seated if who in silent_or_wrong]
    right = [who for who in seated if who not in wrong]
    later.vote(ballot, *right)
    if wrong:
        later.vote(other, *wrong)
    later.open_vote(ballot, *right)
    if wrong:
        later.open_vote(other, *wrong)
    later.finalize()
    return later


def test_a_seat_with_less_than_half_its_stake_is_ended() -> None:
    game, liar, wrong = StakedGame(), STAKERS[3], 0
    while not (seat := game.own(liar))[3].until:
        before = seat[3].loss
        game = challenged(game, liar)
        wrong += game.own(liar)[3].loss > before
        assert wrong <= 2
    assert game.own(liar)[3].loss == 2 * MINORITY
    assert held_by(game.registry, liar) == 0
    assert game.registry.active == 11
    later = challenged(game, liar)
    assert later.challenge.pool is not None and later.challenge.pool.eligible == 11
    assert game.refused(actions.Leave((3,)), liar) == "AlreadyLeft"
    later.time = later.own(liar)[3].free
    paid = later.balance(liar)
    later.unstake(liar)
    assert later.balance(liar) == paid + STAKE - 2 * MINORITY
    assert later.conserved()


def test_a_seat_with_half_its_stake_serves_on() -> None:
    game = evaluating(minority_share=5_000)
    *agreed, liar = game.challenge.rounds[1].committee
    ballot = game.ballot()
    game.vote(ballot, *agreed, liar).open_vote(ballot, *agreed).finalize()
    assert game.losses() == {liar: STAKE // 2}
    assert held_by(game.registry, liar) == 1


def test_whoever_took_over_a_slot_does_not_pay_for_its_last_owner() -> None:
    """Nobody settled the challenge in time, and one stake was taken out and another put in."""
    game = evaluating()
    gone, *others = game.challenge.rounds[1].committee
    game.leave(gone).leave(others[0])
    game.time += 5_000
    game.unstake(gone).unstake(others[0])
    slot = game.challenge.rounds[1].seats[1]
    game.join(OUTSIDER)
    assert tuple(game.own(OUTSIDER)) == (slot,)
    game.finalize("second_open_vote")
    assert {each.owner for each in settled(game).penalties} == set(others[1:])
    assert game.own(OUTSIDER)[slot].loss == 0


def test_losses_stop_at_the_stake_and_overlapping_challenges_share_it() -> None:
    """A seat serves three challenges at once with half its stake at risk in each."""
    half = terms(SeatsPanel(4, 5_000, 4_999))
    owners = dict.fromkeys(STAKERS[:8], 1)
    game = StakedGame(owners, half)
    twins = [game, second(game)]
    twins.append(second(twins[-1]))
    state, time = twins[-1].state, game.time

    def together(step: str) -> None:
        nonlocal state, time
        for twin in twins:
            twin.state, twin.time = state, max(time, twin.time)
            getattr(twin, step)()
            state, time = twin.state, max(time, twin.time)

    for step in ("contribute", "open_seed", "draw", "reveal_train", "submit", "open"):
        together(step)
    for step in ("reveal_test", "convene"):
        together(step)
    for twin in twins:
        twin.state = state
        twin.wait("open_vote")
    time = max(twin.time for twin in twins)
    together("convene")
    for twin in twins:
        twin.state = state
        twin.finalize("second_open_vote")
        state = twin.state
    last = twins[-1]
    last.state = state
    assert last.conserved()
    assert set(last.losses().values()) == {STAKE}
    assert [seat.loss for seat in last.registry.seats if seat] == [STAKE] * 8
    assert last.registry.active == 0 and last.registry.staked == 0
    last.time += 10_000
    last.unstake(STAKERS[0])
    assert last.balance(STAKERS[0]) <= 3 * 7


# --- no deviation pays ------------------------------------------------------------------------

DEVIATIONS = ("silent", "unopened", "lie", "other lie")
OUTCOMES = ("test", "train-fallback", "void")


def play(
    behaviours: dict[str, str], outcome: str, stakes: dict[str, int], seats: int, stake: int
) -> StakedGame:
    """A challenge whose validators behave as told in both rounds; honest where they are not."""
    agreed = terms(SeatsPanel(seats, 3_000, 500))
    registry = RegistryTerms(Amount(stake), 5_000)
    game = StakedGame(stakes, agreed, registry=registry)
    game.trained().submit(ALICE, BOB, CAROL).open()
    if outcome != "train-fallback":
        game.reveal_test()
    game.wait("reveal_test")
    true = game.ballot({ALICE: 60}, outcome)
    lies = {
        "lie": game.ballot({BOB: 60}, "train-fallback", result="lie"),
        "other lie": game.ballot({CAROL: 60}, "train-fallback", result="other lie"),
    }
    for number in (1, 2):
        if number == 2:
            game.wait("open_vote")
            if decision(game.challenge, 1) is not None:
                break
        game.convene()
        members = dict.fromkeys(game.challenge.rounds[number].committee)
        chosen = {who: lies.get(behaviours.get(who, "honest"), true) for who in members}
        for who in members:
            if behaviours.get(who) != "silent":
                game.vote(chosen[who], who, round_number=number)
        for who in members:
            if behaviours.get(who) not in ("silent", "unopened"):
                game.open_vote(chosen[who], who, round_number=number)
    game.finalize("second_open_vote")
    assert game.conserved()
    return game


def worth(game: StakedGame, who: str) -> int:
    """All that an owner has: in hand, to withdraw, and staked."""
    stake = game.registry.terms.stake
    return game.balance(who) + sum(stake - seat.loss for seat in game.own(who).values())


holdings = st.lists(st.integers(1, 4), min_size=6, max_size=10)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    holdings,
    st.integers(1, 6),
    st.sampled_from(OUTCOMES),
    st.dictionaries(st.integers(0, 9), st.sampled_from(DEVIATIONS), max_size=6),
    st.integers(0, 9),
    st.sampled_from([1, 7, 1_000, 10**24]),
)
def test_honest_opening_is_never_worse_than_any_deviation_by_a_minority(
    held: list[int], seats: int, outcome: str, others: dict[int, str], place: int, stake: int
) -> None:
    """One owner deviates, and others do too, as long as they are a third of the seats at most.

    The committees are those of the honest play: who sits does not depend on how anybody votes.
    """
    stakes = dict(zip(STAKERS, held, strict=False))
    if sum(held) < 2 * seats:
        return
    behaviours = {STAKERS[key % len(held)]: value for key, value in others.items()}
    who = STAKERS[place % len(held)]
    behaviours.pop(who, None)
    honest = play(behaviours, outcome, stakes, seats, stake)
    first = honest.challenge.rounds[1].committee
    assert settled(honest).ballot is not None or 3 * sum(
        1 for each in first if behaviours.get(each, "honest") != "honest"
    ) > len(first)
    for deviation in DEVIATIONS:
        mixed = {**behaviours, who: deviation}
        deviating = sum(1 for each in first if each in mixed)
        if 3 * deviating > len(first):
            continue
        game = play(mixed, outcome, stakes, seats, stake)
        found = settled(game)
        assert found.kind == "decided" and found.ballot is not None
        assert found.ballot == settled(honest).ballot
        assert worth(game, who) <= worth(honest, who)
        if who in first:
            assert worth(game, who) < worth(honest, who)
        for each in stakes:
            if each not in mixed:
                assert worth(game, each) >= worth(honest, each)


def test_the_dearest_shares_and_the_smallest_stake_hold_too() -> None:
    for stake, wrong in product((1, 2, 3), DEVIATIONS):
        game = play({STAKERS[0]: wrong}, "test", dict.fromkeys(STAKERS, 1), 6, stake)
        if STAKERS[0] in game.challenge.rounds[1].committee:
            assert worth(game, STAKERS[0]) < stake + 7
        assert game.conserved()


def test_a_quorum_counts_seats_and_not_addresses() -> None:
    """One owner of most seats decides alone; that is what stake means, and why it is dear."""
    game = evaluating({STAKERS[0]: 14, STAKERS[1]: 1, STAKERS[2]: 1}, seats=5)
    ballot = game.ballot()
    weight = game.challenge.rounds[1].committee.count(STAKERS[0])
    assert weight >= 3
    game.vote(ballot, STAKERS[0]).open_vote(ballot, STAKERS[0]).finalize("second_open_vote")
    assert (settled(game).kind == "decided") == (3 * weight >= 10)
