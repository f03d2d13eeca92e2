"""What strangers can do to others' costs: nothing. Gas depends on no number that they can raise."""

from __future__ import annotations

import pytest

from danku.crypto.hashing import from_hex
from danku.ledger.ethereum import calls, layout
from danku.protocol import actions as a
from danku.protocol.actions import MAX_SEATS
from danku.protocol.committee import WALK_STEPS
from danku.protocol.registry import held_by
from danku.protocol.terms import SeatsPanel
from danku.protocol.types import Amount
from tests.ethereum.both import Both
from tests.ethereum.staging import OnChain
from tests.ethereum.words import encoded
from tests.protocol.simulator import ALICE, BOB, CAROL, OUTSIDER, PANEL, digest, terms
from tests.protocol.staked import STAKERS

BLOCK_GAS = 2**24
"""What a transaction may use on mainnet (EIP-7825)."""
SLACK = 1.02
"""The bytes of commitments and numbers differ, and with them their price."""


def flood(both: Both, game: OnChain, count: int) -> None:
    """Many submissions by strangers, which the rules see afterwards."""
    head, panel = (from_hex(game.id), both.agreement(game.id)), layout.panel(game.challenge)
    receipts = []
    for number in range(count):
        who, place = (BOB, CAROL)[number % 2], number // 2
        words = (*head, panel, from_hex(digest(f"{number}")), place)
        receipts.append(both.raw(who, encoded(calls.Call("submit", words)), 23))
    assert all(receipt["status"] == "0x1" for receipt in receipts)
    both.follow(*receipts)


def whole(both: Both, count: int) -> dict[str, int]:
    """The gas of each action of a challenge with so many submissions of strangers."""
    game = OnChain(both, terms(max_submissions=1_000, max_entries=100_000))
    game.trained()
    flood(both, game, count)
    game.submit(ALICE)
    game.open(count)
    game.wait("open")
    ballot = game.ballot({ALICE: 100, BOB: 50})
    game.reveal_test().convene().vote(ballot).open_vote(ballot).finalize().claim()
    game.send(a.Withdraw(), PANEL[0])
    both.agree()
    return both.gas


def test_gas_does_not_depend_on_the_number_of_submissions(both: Both) -> None:
    few = whole(both, 2)
    many = whole(both.again(), 300)
    assert few.keys() == many.keys() >= {"submit", "open", "vote", "finalize", "claim"}
    for name, gas in few.items():
        assert many[name] <= gas * SLACK, (name, gas, many[name])


@pytest.mark.soak
def test_gas_does_not_depend_on_thousands_of_submissions(both: Both) -> None:
    few = whole(both, 2)
    many = whole(both.again(), 2_000)
    for name, gas in few.items():
        assert many[name] <= gas * SLACK, (name, gas, many[name])


def staked(both: Both, strangers: int) -> dict[str, int]:
    """The gas of a staked challenge's actions with so many seats of strangers."""
    for number in range(strangers // MAX_SEATS):
        who = f"0x{number + 1:040x}"
        both.invite((who,))
        assert both.attempt(a.Join(MAX_SEATS, 0), who) is None
    for who in STAKERS:
        assert both.attempt(a.Join(1, 0), who) is None
    both.gas.clear()
    game = OnChain(both, terms(SeatsPanel(4, 3_000, 500)))
    game.contribute(*STAKERS[:2]).open_seed().draw().reveal_train().submit(ALICE).open()
    game.reveal_test().convene().finalize("second_open_vote")
    for action in (a.Join(1, 1), a.Leave((strangers,))):
        both.attempt(action, STAKERS[0])
    both.time += 5_000
    assert both.attempt(a.Unstake((strangers,)), STAKERS[0]) is None
    both.agree()
    return {name: gas for name, gas in both.gas.items() if name != "convene"}


def test_gas_does_not_depend_on_the_number_of_seats(both: Both) -> None:
    few, many = staked(both, 0), staked(both.again(), 10 * MAX_SEATS)
    for name, gas in few.items():
        assert many[name] <= gas * SLACK, (name, gas, many[name])


def test_a_committee_is_called_within_a_block_whatever_the_registry_holds(both: Both) -> None:
    """Somebody bought many seats and took them out again: most of the slots are empty."""
    hoard = 8
    for _ in range(hoard):
        assert both.state.registry is not None
        held = held_by(both.state.registry, ALICE)
        assert both.attempt(a.Join(MAX_SEATS, held), ALICE) is None
    for who in STAKERS[:8]:
        assert both.attempt(a.Join(1, 0), who) is None
    slots = [tuple(range(start, start + MAX_SEATS)) for start in range(0, hoard * 256, 256)]
    for seats in slots:
        assert both.attempt(a.Leave(seats), ALICE) is None
    both.time += 5_000
    for seats in slots:
        assert both.attempt(a.Unstake(seats), ALICE) is None
    game = OnChain(both, terms(SeatsPanel(4, 3_000, 500)))
    game.contribute(*STAKERS[:2]).open_seed().draw().reveal_train().submit(BOB).open()
    game.reveal_test().wait("reveal_test")
    tries = 0
    while both.attempt(a.Convene(game.id), OUTSIDER) is None:
        tries += 1
        assert both.gas["convene"] < BLOCK_GAS
    assert tries > 1, f"the walk goes beyond {WALK_STEPS} candidates"
    assert both.attempt(a.Convene(game.id), OUTSIDER) == "AlreadyConvened"
    both.agree()


def test_many_small_credits_are_one(both: Both) -> None:
    """Who is owed from many challenges withdraws everything at once, for the same gas."""
    spent = []
    for rounds in (1, 20):
        for _ in range(rounds):
            game = OnChain(both, terms(pot=Amount(10)), nonce=len(both.state.challenges))
            game.cancel()
        game.send(a.Withdraw(), game.organizer)
        spent.append(both.gas["withdraw"])
    assert spent[1] <= spent[0] * SLACK
