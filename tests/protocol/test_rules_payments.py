"""Stage 5, finalization: finalize, claim, claim_deposit, withdraw."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from danku.crypto.hashing import to_hex
from danku.crypto.merkle import PayoutTree
from danku.protocol import actions
from danku.protocol.draw import learning_link
from danku.protocol.types import ZERO_ADDRESS, ZERO_DIGEST, Amount
from tests.protocol.simulator import (
    ALICE,
    BOB,
    CAROL,
    ORGANIZER,
    OUTSIDER,
    PANEL,
    Game,
    digest,
)


def test_finalize_in_order() -> None:
    game = Game().opened()
    finalize = actions.Finalize(game.id)
    assert game.refused(actions.Finalize(digest("unknown")), OUTSIDER) == "UnknownChallenge"
    assert game.refused(finalize, OUTSIDER) == "Early"
    game.wait("open_vote")
    assert game.refused(finalize, OUTSIDER, 1) == "WrongValue"
    game.finalize()
    assert game.refused(finalize, OUTSIDER) == "Final"


def test_the_decision_records_ballot_round_majority_and_learning_link() -> None:
    game = Game().tested().convene()
    ballot, other = game.ballot({ALICE: 1}, winner=ALICE, score=7), game.ballot()
    game.vote(other, PANEL[0]).vote(ballot, *PANEL[1:3])
    game.open_vote(ballot, PANEL[2]).open_vote(other, PANEL[0]).open_vote(ballot, PANEL[1])
    game.finalize()
    settlement = game.challenge.settlement
    assert settlement is not None
    assert settlement.ballot == ballot
    assert settlement.majority == PANEL[1:3]
    assert settlement.round == 1
    expected = learning_link(ZERO_DIGEST, game.id, ballot.result, ALICE, 7)
    assert settlement.link == game.state.link == expected
    assert settlement.previous_link == ZERO_DIGEST


def test_learning_links_form_a_chain_over_challenges() -> None:
    first = Game().opened().finalize()
    second = Game(organizer=BOB)
    game = second.opened()
    game.state = msgspec.structs.replace(game.state, link=first.state.link)
    game.finalize()
    expected = learning_link(first.state.link, game.id, digest("result"), ZERO_ADDRESS, 0)
    assert game.state.link == expected
    assert game.challenge.settlement is not None
    assert game.challenge.settlement.previous_link == first.state.link


@pytest.mark.parametrize(
    "game",
    [
        Game().contribute().cancel(),
        Game().contribute().open_seed(PANEL[0]).finalize("open_seed"),
        Game().trained().submit().finalize("open"),
        Game().tested().finalize("second_open_vote"),
    ],
)
def test_what_no_committee_decided_has_no_learning_link(game: Game) -> None:
    assert game.challenge.settlement is not None
    assert game.challenge.settlement.link is None
    assert game.state.link == ZERO_DIGEST


def _paying() -> Game:
    """A decided challenge that owes three payouts."""
    game = Game()
    return game.opened(game.ballot({ALICE: 600, BOB: 400, CAROL: 60}, winner=ALICE))


def test_claim_in_order() -> None:
    game = _paying()
    nothing = msgspec.structs.replace(game.claiming(0), amount=Amount(0))
    unknown = msgspec.structs.replace(game.claiming(0), challenge=digest("unknown"))
    assert game.refused(unknown, OUTSIDER) == "UnknownChallenge"
    assert game.refused(nothing, OUTSIDER) == "NotFinal"
    game.finalize()
    assert game.refused(nothing, OUTSIDER) == "NothingOwed"
    assert game.refused(game.claiming(0), OUTSIDER, 1) == "WrongValue"
    game.send(game.claiming(0), OUTSIDER)
    assert game.refused(game.claiming(0), ALICE) == "AlreadyClaimed"
    assert game.refused(nothing, OUTSIDER) == "NothingOwed"
    forged = msgspec.structs.replace(game.claiming(0), amount=Amount(10**9))
    assert game.refused(forged, ALICE) == "AlreadyClaimed"


FORGERIES: list[dict[str, Any]] = [
    {"index": 0},
    {"index": 3},
    {"index": 99_999},
    {"payee": OUTSIDER},
    {"amount": Amount(401)},
    {"amount": Amount(399)},
    {"proof": ()},
    {"proof": (ZERO_DIGEST,)},
]


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_claim_is_proved_in_every_part(forgery: dict[str, Any]) -> None:
    game = _paying().finalize()
    forged = msgspec.structs.replace(game.claiming(1), **forgery)
    assert game.refused(forged, BOB) == "BadProof"


def test_a_longer_or_reversed_proof_is_none() -> None:
    game = _paying().finalize()
    deepest = max((game.claiming(place) for place in range(3)), key=lambda claim: len(claim.proof))
    for proof in (
        (*deepest.proof, ZERO_DIGEST),
        deepest.proof[::-1],
        deepest.proof[:-1],
        deepest.proof * 2,
    ):
        forged = msgspec.structs.replace(deepest, proof=proof)
        assert game.refused(forged, OUTSIDER) == "BadProof"


def test_payouts_go_to_the_payee_whoever_claims_in_any_order() -> None:
    game = _paying().finalize()
    for place in (2, 0, 1):
        game.send(game.claiming(place), OUTSIDER)
    assert game.state.paid == {CAROL: 60, ALICE: 600, BOB: 400}
    assert game.challenge.escrow == 0
    for place in range(3):
        assert game.refused(game.claiming(place), OUTSIDER) == "AlreadyClaimed"


def test_a_tree_that_adds_up_to_more_than_its_total_cannot_reach_beyond_the_escrow() -> None:
    """Other challenges' money is out of reach even for a panel that lies with one voice."""
    game = Game()
    game.send(game.creating(), BOB)
    game.opened(game.ballot({ALICE: 600, BOB: 400, CAROL: 60}, total=1000)).finalize()
    assert game.challenge.escrow == 1000
    game.send(game.claiming(0), OUTSIDER)
    game.send(game.claiming(2), OUTSIDER)
    assert game.refused(game.claiming(1), OUTSIDER) == "EscrowExhausted"
    assert game.challenge.escrow == 340
    assert sum(each.escrow for each in game.state.challenges.values()) == 1603 + 340


def test_an_index_that_stands_twice_in_a_tree_is_paid_once() -> None:
    game = Game()
    game.leaves = [(0, ALICE, 10), (0, BOB, 10)]
    root = to_hex(PayoutTree(game.leaves).root)
    leaves = game.leaves
    ballot = msgspec.structs.replace(game.ballot({ALICE: 20}), payout_root=root)
    game.opened(ballot).finalize()
    game.leaves = leaves
    game.send(game.claiming(1), OUTSIDER)
    assert game.refused(game.claiming(0), OUTSIDER) == "AlreadyClaimed"


@pytest.mark.parametrize(
    "game",
    [
        Game().opened().finalize(),
        Game().cancel(),
        Game().tested().finalize("second_open_vote"),
    ],
)
def test_without_a_payout_tree_nothing_is_paid_by_proof(game: Game) -> None:
    claim = actions.Claim(game.id, 0, ALICE, Amount(1), ())
    assert game.refused(claim, ALICE) == "NothingOwed"


def test_claim_deposit_in_order() -> None:
    game = Game().trained().submit().open(0, 1)
    beyond = actions.ClaimDeposit(game.id, 3)
    unknown = actions.ClaimDeposit(digest("unknown"), 3)
    assert game.refused(unknown, OUTSIDER) == "UnknownChallenge"
    assert game.refused(beyond, OUTSIDER) == "NotFinal"
    game.finalize("second_open_vote")
    assert game.refused(beyond, OUTSIDER) == "UnknownSubmission"
    assert game.refused(actions.ClaimDeposit(game.id, 2), CAROL) == "NothingOwed"
    assert game.refused(actions.ClaimDeposit(game.id, 0), ALICE, 1) == "WrongValue"
    game.claim_deposits([0])
    assert game.refused(actions.ClaimDeposit(game.id, 0), ALICE) == "AlreadyClaimed"
    assert game.refused(actions.ClaimDeposit(game.id, 2), CAROL) == "NothingOwed"
    game.claim_deposits([1])
    assert game.challenge.escrow == 0
    assert set(game.state.paid) == {ALICE, BOB}


@pytest.mark.parametrize(
    "game",
    [
        Game().opened().finalize(),
        Game().trained().submit().finalize("open"),
    ],
)
def test_where_the_tree_pays_or_nobody_opened_there_is_no_deposit(game: Game) -> None:
    assert game.refused(actions.ClaimDeposit(game.id, 0), ALICE) == "NothingOwed"


def test_withdraw_in_order_and_once() -> None:
    game = Game().contribute().open_seed(PANEL[0], PANEL[1])
    assert game.refused(actions.Withdraw(), OUTSIDER) == "NothingOwed"
    assert game.refused(actions.Withdraw(), PANEL[2]) == "NothingOwed"
    assert game.refused(actions.Withdraw(), PANEL[0], 1) == "WrongValue"
    game.send(actions.Withdraw(), PANEL[0])
    assert game.state.paid == {PANEL[0]: 7}
    assert game.state.credits == {PANEL[1]: 7}
    assert game.refused(actions.Withdraw(), PANEL[0]) == "NothingOwed"


def test_withdraw_takes_credits_of_all_challenges() -> None:
    game = Game()
    game.send(game.creating(1), ORGANIZER)
    first, second = game.state.challenges
    game.send(actions.Cancel(first), ORGANIZER)
    game.send(actions.Cancel(second), ORGANIZER)
    game.send(actions.Withdraw(), ORGANIZER)
    assert game.state.paid == {ORGANIZER: 2 * 1603}
    assert game.state.credits == {}
