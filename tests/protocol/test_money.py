"""Every row of the money table, with exact numbers.

Unless a test says otherwise: pot 1000, fee 102, organizer bond 501, seed deposit 7, submission
bond 20, entry fee 3; three validators; Alice, Bob and Carol submit one model each.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, get_args

import pytest

from danku.errors import Rejected
from danku.protocol import actions, money
from danku.protocol.state import SettlementKind
from danku.protocol.terms import SeatsPanel
from danku.protocol.types import BURN_ADDRESS
from tests.protocol.simulator import (
    ALICE,
    BEACON,
    BOB,
    CAROL,
    ORGANIZER,
    OUTSIDER,
    PANEL,
    Game,
    terms,
)
from tests.protocol.staked import SILENCE, STAKE, STAKERS, UNBONDING, StakedGame

CREATED = 1000 + 102 + 501
V1, V2, V3 = PANEL[:3]


def balances(game: Game) -> dict[str, int]:
    """What each address got or may withdraw; together with the escrow, all that ever came in."""
    total = Counter(game.state.credits) + Counter(game.state.paid)
    assert sum(total.values()) + game.challenge.escrow == game.state.received
    return dict(total)


def kind(game: Game) -> str:
    settlement = game.challenge.settlement
    assert settlement is not None
    return settlement.kind


# --- decided by a committee -------------------------------------------------------------------


def test_the_winner_takes_the_pot_and_everybody_gets_the_bond_back() -> None:
    game = Game()
    payouts = {ALICE: 1000 + 20, BOB: 20, CAROL: 20}
    game.opened(game.ballot(payouts, winner=ALICE, score=9)).finalize()
    assert game.challenge.escrow == 1060
    game.claim()
    # fee and entry fees: (102 + 3 * 3) / 3 = 37
    validators = dict.fromkeys((V1, V2, V3), 7 + 37)
    assert balances(game) == {ORGANIZER: 501, **payouts, **validators}
    assert game.challenge.escrow == 0


def test_fees_go_to_the_majority_only_and_their_dust_to_the_organizer() -> None:
    game = Game().tested().convene()
    ballot, other = game.ballot({ALICE: 1060}), game.ballot(result="other")
    game.vote(ballot, V1, V3).vote(other, V2).open_vote(ballot, V1, V3).open_vote(other, V2)
    game.ballot({ALICE: 1060})
    game.finalize().claim()
    # 111 = 2 * 55 + 1
    expected = {ORGANIZER: 501 + 1, ALICE: 1060, V1: 7 + 55, V2: 7, V3: 7 + 55}
    assert balances(game) == expected


def test_a_majority_of_round_two_shares_the_fees_alike() -> None:
    game = Game().tested()
    game.wait("open_vote")
    ballot = game.ballot()
    game.convene().vote(ballot, V2, V3, round_number=2).open_vote(ballot, V2, V3, round_number=2)
    game.finalize("second_open_vote")
    expected = {ORGANIZER: 501 + 1000 + 60 + 1, V1: 7, V2: 7 + 55, V3: 7 + 55}
    assert balances(game) == expected


def test_if_nobody_passes_the_pot_goes_back() -> None:
    game = Game()
    game.opened(game.ballot(dict.fromkeys((ALICE, BOB, CAROL), 20))).finalize().claim()
    validators = dict.fromkeys((V1, V2, V3), 7 + 37)
    submitters = dict.fromkeys((ALICE, BOB, CAROL), 20)
    assert balances(game) == {ORGANIZER: 501 + 1000, **submitters, **validators}


def test_no_payout_at_all_leaves_the_rest_to_the_organizer() -> None:
    game = Game().opened().finalize()
    validators = dict.fromkeys((V1, V2, V3), 7 + 37)
    assert balances(game) == {ORGANIZER: 501 + 1000 + 60, **validators}
    assert game.challenge.escrow == 0


def test_lost_bonds_and_lost_seed_deposits_are_divided_by_the_payout_tree() -> None:
    """Carol did not open: her bond and the unopened seed deposit go to Alice and Bob."""
    game = Game().contribute().open_seed(ORGANIZER, V1, V2).draw().reveal_train()
    game.submit().open(0, 1).reveal_test().convene()
    # (20 + 7) / 2 = 13, dust 1
    payouts = {ALICE: 1000 + 20 + 13, BOB: 20 + 13}
    ballot = game.ballot(payouts, winner=ALICE)
    game.vote(ballot).open_vote(ballot).finalize().claim()
    validators = {V1: 7 + 37, V2: 7 + 37, V3: 37}
    assert balances(game) == {ORGANIZER: 501 + 1, **payouts, **validators}


def test_forfeits_that_nobody_may_have_are_burned_through_the_tree() -> None:
    game = Game()
    game.opened(game.ballot({BURN_ADDRESS: 60})).finalize().claim()
    assert game.state.paid == {BURN_ADDRESS: 60}
    assert game.challenge.escrow == 0


@pytest.mark.parametrize("revealed", [True, False])
def test_the_fallback_takes_the_organizers_bond(revealed: bool) -> None:
    """Whether the test data came late or was bad, the bond goes to the submitters."""
    game = Game().trained().submit().open()
    if revealed:
        game.reveal_test()
    game.convene()
    # 501 / 3 = 167
    payouts = {ALICE: 1000 + 20 + 167, BOB: 20 + 167, CAROL: 20 + 167}
    ballot = game.ballot(payouts, "train-fallback", winner=ALICE)
    game.vote(ballot).open_vote(ballot).finalize().claim()
    assert balances(game) == {**payouts, **dict.fromkeys((V1, V2, V3), 7 + 37)}
    assert game.challenge.escrow == 0


def test_the_dust_of_a_forfeited_bond_is_the_organizers() -> None:
    game = Game(terms(organizer_bond=500)).trained().submit().open().convene()
    # 500 = 3 * 166 + 2
    payouts = {ALICE: 1000 + 20 + 166, BOB: 20 + 166, CAROL: 20 + 166}
    ballot = game.ballot(payouts, "train-fallback", winner=ALICE)
    game.vote(ballot).open_vote(ballot).finalize().claim()
    assert game.balance(ORGANIZER) == 2


def test_void_gives_the_pot_back_and_the_bond_to_those_who_submitted() -> None:
    game = Game()
    payouts = dict.fromkeys((ALICE, BOB, CAROL), 20 + 167)
    game.opened(game.ballot(payouts, "void")).finalize().claim()
    validators = dict.fromkeys((V1, V2, V3), 7 + 37)
    assert balances(game) == {ORGANIZER: 1000, **payouts, **validators}
    assert game.challenge.escrow == 0


# --- settled by the ledger alone --------------------------------------------------------------


def test_without_quorum_fee_and_forfeits_go_to_the_opened_submitters() -> None:
    game = Game().contribute().open_seed(ORGANIZER, V1, V2).draw().reveal_train()
    game.submit().open(0, 1).reveal_test().finalize("second_open_vote")
    assert kind(game) == "no-quorum"
    # fee 102, entry fees 9, Carol's bond 20, one seed deposit 7: 138 / 2 = 69
    assert game.challenge.escrow == 2 * (20 + 69)
    game.claim_deposits([1, 0])
    expected = {ORGANIZER: 1000 + 501, ALICE: 89, BOB: 89, V1: 7, V2: 7}
    assert balances(game) == expected
    assert game.challenge.escrow == 0


def test_without_quorum_and_without_test_data_the_bond_is_shared_too() -> None:
    game = Game().trained().submit().open(0, 1).finalize("second_open_vote")
    # 102 + 9 + 20 + 501 = 632 = 2 * 316
    game.claim_deposits([0, 1])
    expected = {ORGANIZER: 1000, ALICE: 20 + 316, BOB: 20 + 316, **dict.fromkeys((V1, V2, V3), 7)}
    assert balances(game) == expected


def test_without_quorum_the_dust_is_the_organizers() -> None:
    game = Game(terms(fee=103)).tested().finalize("second_open_vote")
    # 103 + 9 = 112 = 3 * 37 + 1
    game.claim_deposits(range(3))
    submitters = dict.fromkeys((ALICE, BOB, CAROL), 20 + 37)
    expected = {ORGANIZER: 1000 + 501 + 1, **submitters, **dict.fromkeys((V1, V2, V3), 7)}
    assert balances(game) == expected


def test_without_quorum_validators_get_nothing_whatever_they_voted() -> None:
    game = Game().tested().convene()
    for place, who in enumerate((V1, V2, V3)):
        game.vote(game.ballot(result=str(place)), who)
    for place, who in enumerate((V1, V2, V3)):
        game.open_vote(game.ballot(result=str(place)), who)
    game.finalize("second_open_vote")
    assert [game.balance(who) for who in (V1, V2, V3)] == [7, 7, 7]


def test_a_submitter_of_two_has_two_deposits() -> None:
    game = Game().trained().submit(ALICE).submit(ALICE, model="second").submit(BOB)
    game.open(0, 2).open(1, model="second").reveal_test().finalize("second_open_vote")
    # 111 / 3 = 37
    game.claim_deposits(range(3))
    assert (game.balance(ALICE), game.balance(BOB)) == (2 * 57, 57)


def test_nothing_opened_gives_pot_fee_and_bond_back_and_burns_what_was_lost() -> None:
    game = Game().contribute().open_seed(ORGANIZER, V1, V2).draw().reveal_train()
    game.submit().finalize("open")
    assert kind(game) == "nothing-opened"
    # three bonds and entry fees, one seed deposit
    expected = {ORGANIZER: CREATED, BURN_ADDRESS: 3 * 23 + 7, V1: 7, V2: 7}
    assert balances(game) == expected


def test_nothing_submitted_gives_everything_back() -> None:
    game = Game().trained().finalize("open")
    assert kind(game) == "nothing-opened"
    assert balances(game) == {ORGANIZER: CREATED, **dict.fromkeys((V1, V2, V3), 7)}


# --- the organizer walks away -----------------------------------------------------------------


def test_an_organizer_who_does_not_open_its_seed_loses_the_bond() -> None:
    game = Game().contribute().open_seed(V1, V2).finalize("open_seed")
    assert kind(game) == "no-seed"
    expected = {ORGANIZER: 1000 + 102, BURN_ADDRESS: 501 + 7, V1: 7, V2: 7}
    assert balances(game) == expected


def test_an_organizer_does_not_save_its_bond_by_too_few_openings() -> None:
    game = Game(terms(min_contributions=3)).contribute().open_seed(V1, V2).finalize("open_seed")
    assert kind(game) == "no-seed"
    assert balances(game) == {ORGANIZER: 1000 + 102, BURN_ADDRESS: 501 + 7, V1: 7, V2: 7}


def test_an_organizer_to_whose_seed_nobody_committed_has_its_bond_back_unopened() -> None:
    game = Game().finalize("open_seed")
    assert kind(game) == "few-contributions"
    assert balances(game) == {ORGANIZER: CREATED}


def test_one_commitment_too_few_costs_the_organizer_nothing() -> None:
    game = Game(terms(min_contributions=3)).contribute(V1, V2).open_seed(V1)
    game.finalize("open_seed")
    assert kind(game) == "few-contributions"
    assert balances(game) == {ORGANIZER: CREATED, BURN_ADDRESS: 7, V1: 7}


def test_too_few_contributions_cost_the_contributors_and_not_the_organizer() -> None:
    game = Game(terms(min_contributions=2)).contribute().open_seed(ORGANIZER, V1)
    game.finalize("open_seed")
    assert kind(game) == "few-contributions"
    assert balances(game) == {ORGANIZER: CREATED, BURN_ADDRESS: 2 * 7, V1: 7}


def test_no_draw_costs_the_bond() -> None:
    game = Game(terms(min_contributions=3)).contribute().open_seed().finalize("reveal_train")
    assert kind(game) == "no-train"
    assert balances(game) == {
        ORGANIZER: 1000 + 102,
        BURN_ADDRESS: 501,
        **dict.fromkeys((V1, V2, V3), 7),
    }


def test_no_beacon_drawn_costs_the_bond() -> None:
    game = Game(terms(seed_source="beacon"), beacon=BEACON).finalize("reveal_train")
    assert kind(game) == "no-train"
    assert balances(game) == {ORGANIZER: 1000 + 102, BURN_ADDRESS: 501}


def test_no_train_data_costs_the_bond() -> None:
    game = Game().contribute().open_seed(ORGANIZER, V1).draw().finalize("reveal_train")
    assert kind(game) == "no-train"
    assert balances(game) == {ORGANIZER: 1000 + 102, BURN_ADDRESS: 501 + 2 * 7, V1: 7}


# --- cancel -----------------------------------------------------------------------------------


@pytest.mark.parametrize("window", ["created", "contribute", "open_seed", "reveal_train"])
def test_cancel_is_free_before_the_first_contribution(window: str) -> None:
    game = Game()
    game.wait(window)
    game.cancel()
    assert balances(game) == {ORGANIZER: CREATED}
    assert game.challenge.escrow == 0


def test_cancel_after_a_contribution_costs_the_bond_and_no_contributor() -> None:
    game = Game().contribute(V1, V2).open_seed(V2).cancel()
    assert balances(game) == {ORGANIZER: 1000 + 102, BURN_ADDRESS: 501, V1: 7, V2: 7}


def test_cancel_after_the_seed_was_due_costs_unopened_contributors_too() -> None:
    game = Game().contribute(V1, V2).open_seed(V2)
    game.wait("open_seed", -1)
    early = Game().contribute(V1, V2).open_seed(V2)
    early.time = game.time
    early.cancel()
    assert early.balance(V1) == 7
    game.wait("open_seed")
    game.cancel()
    assert balances(game) == {ORGANIZER: 1000 + 102, BURN_ADDRESS: 501 + 7, V2: 7}


def test_cancel_of_a_beacon_challenge_is_free_until_the_beacon_shows_itself() -> None:
    """Who has seen the split that the beacon makes has to pay for another one."""
    before, after = (Game(terms(seed_source="beacon"), beacon=BEACON) for _ in range(2))
    before.wait("open_seed", -1)
    before.cancel()
    assert balances(before) == {ORGANIZER: CREATED}
    after.wait("open_seed")
    after.cancel()
    assert balances(after) == {ORGANIZER: 1000 + 102, BURN_ADDRESS: 501}


def test_cancel_gives_submitters_back_what_they_paid_and_no_more() -> None:
    game = Game().trained().submit().cancel()
    assert game.challenge.escrow == 3 * 23
    game.claim_deposits([2, 0, 1])
    submitters = dict.fromkeys((ALICE, BOB, CAROL), 23)
    expected = {ORGANIZER: 1000 + 102, BURN_ADDRESS: 501, **submitters}
    assert balances(game) == {**expected, **dict.fromkeys((V1, V2, V3), 7)}
    assert game.challenge.escrow == 0


def test_an_organizer_who_enters_its_own_challenge_and_cancels_still_loses_the_bond() -> None:
    game = Game().trained().submit(ORGANIZER).cancel().claim_deposits([0])
    assert game.balance(ORGANIZER) == 1000 + 102 + 23
    assert game.balance(BURN_ADDRESS) == 501


# --- staked validators ------------------------------------------------------------------------


def ended(game: Game, ending: str) -> Game:
    """Played to an ending by whoever judges."""
    if ending == "few-contributions":
        return game.finalize("open_seed")
    if ending == "no-seed":
        return game.contribute().open_seed(*game.panel[:2]).finalize("open_seed")
    if ending == "no-train":
        return game.contribute().open_seed().draw().finalize("reveal_train")
    if ending == "cancelled":
        return game.trained().submit().cancel().claim_deposits(range(3))
    if ending == "nothing-opened":
        return game.trained().submit().finalize("open")
    if ending == "no-quorum":
        return game.tested().finalize("second_open_vote").claim_deposits(range(3))
    payouts = {ALICE: 1000 + 20, BOB: 20, CAROL: 20}
    game.tested().convene()
    ballot = game.ballot(payouts, winner=ALICE, score=9)
    return game.vote(ballot).open_vote(ballot).finalize().claim()


@pytest.mark.parametrize("ending", [*get_args(SettlementKind)])
def test_who_judges_changes_nobody_elses_money(ending: str) -> None:
    """Committees of three, named and drawn: all others have the same in the end."""
    named = ended(Game(), ending)
    staked = ended(StakedGame(agreed=terms(SeatsPanel(3, 3_000, 500))), ending)
    assert isinstance(staked, StakedGame)
    assert kind(named) == kind(staked) == ending
    for who in (ORGANIZER, ALICE, BOB, CAROL, BURN_ADDRESS):
        assert named.balance(who) == staked.balance(who)
    judged = [
        sum(map(game.balance, judges)) for game, judges in ((named, PANEL), (staked, STAKERS))
    ]
    assert judged[0] == judged[1]
    assert staked.conserved() and staked.registry.staked == 12 * STAKE
    assert staked.challenge.escrow == named.challenge.escrow


def test_slashed_stakes_burn_beside_what_else_burns() -> None:
    game = StakedGame().trained()
    game.submit().open().reveal_test().convene()
    *agreed, silent = game.panel
    ballot = game.ballot({BURN_ADDRESS: 60})
    game.vote(ballot, *agreed).open_vote(ballot, *agreed).finalize().claim()
    assert game.state.credits[BURN_ADDRESS] == SILENCE
    assert game.state.paid == {BURN_ADDRESS: 60}
    assert game.conserved()
    game.leave(silent)
    game.time += UNBONDING
    game.unstake(silent)
    assert game.state.paid[silent] == STAKE - SILENCE
    assert game.conserved()


# --- arithmetic -------------------------------------------------------------------------------

FREE = dict.fromkeys(
    ("pot", "fee", "organizer_bond", "contribution_deposit", "submission_bond", "entry_fee"), 0
)


@pytest.mark.parametrize("ending", ["decided", "no-quorum", "nothing-opened", "cancelled"])
def test_a_challenge_without_money_is_played_like_any_other(ending: str) -> None:
    game = Game(terms(**FREE))
    if ending == "decided":
        game.opened().finalize()
    elif ending == "no-quorum":
        game.tested().finalize("second_open_vote")
    elif ending == "nothing-opened":
        game.trained().submit().finalize("open")
    else:
        game.trained().submit().cancel()
    assert kind(game) == ending
    assert balances(game) == {}
    assert game.state.credits == game.state.paid == {}
    assert game.refused(actions.ClaimDeposit(game.id, 0), ALICE) == "NothingOwed"


def test_the_smallest_amounts_are_paid() -> None:
    game = Game(terms(**FREE | {"entry_fee": 1, "contribution_deposit": 1})).trained()
    game.submit(ALICE).cancel().claim_deposits([0])
    game.send(actions.Withdraw(), V1)
    assert game.state.paid == {ALICE: 1, V1: 1}


@pytest.mark.parametrize(
    ("amount", "shares", "expected"),
    [(0, 1, (0, 0)), (0, 3, (0, 0)), (7, 1, (7, 0)), (7, 3, (2, 1)), (2, 3, (0, 2))],
)
def test_split(amount: int, shares: int, expected: tuple[int, int]) -> None:
    assert money.split(amount, shares) == expected


def test_the_largest_amounts_stay_exact() -> None:
    largest: dict[str, Any] = {"pot": 2**95 - 1, "organizer_bond": 2**94, "fee": 2**93 + 1}
    game = Game(terms(**largest))
    game.opened(game.ballot({ALICE: 2**95 - 1 + 60})).finalize().claim()
    share, dust = divmod(2**93 + 1 + 9, 3)
    expected = {
        ORGANIZER: 2**94 + dust,
        ALICE: 2**95 + 59,
        **dict.fromkeys((V1, V2, V3), 7 + share),
    }
    assert balances(game) == {who: amount for who, amount in expected.items() if amount}


def test_nothing_leaves_an_escrow_that_is_not_in_it() -> None:
    game = Game()
    for move in (
        lambda: money.credit(game.state, game.challenge, {ALICE: CREATED, BOB: 1}),
        lambda: money.pay(game.state, game.challenge, ALICE, CREATED + 1),
    ):
        with pytest.raises(Rejected) as refusal:
            move()
        assert refusal.value.rule == "EscrowExhausted"
    assert money.pay(game.state, game.challenge, OUTSIDER, CREATED).paid == {OUTSIDER: CREATED}
