"""Payees that call back or refuse: nobody is paid twice, and nobody else is held up."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from danku.crypto.hashing import from_hex
from danku.protocol import actions as a
from danku.protocol.types import Amount
from tests.ethereum.both import Both, Table
from tests.ethereum.foreign import Foreign, compiled
from tests.ethereum.staging import OnChain
from tests.ethereum.tables import ETHER
from tests.protocol.simulator import ALICE, BOB, CAROL, LEDGER, OUTSIDER, PANEL, terms

BURNER = "0xfe"
"""Code that uses all gas it gets."""
FLOOD = "0x620fffff5ff3"
"""Code that answers with a megabyte."""


@pytest.fixture
def both(table: Table) -> Both:
    """A ledger of ether with short delays."""
    return table.begin(ETHER)


def payee(both: Both, where: str) -> Foreign:
    """The contract Payee, at an address that played before."""
    both.wire.call("anvil_setCode", where, compiled("Payee")["bytecode_runtime"])
    return Foreign(both.node, where, "Payee")


def armed(both: Both, where: str, data: str) -> Foreign:
    found = payee(both, where)
    arm(both, found, data)
    return found


def arm(both: Both, found: Foreign, data: str) -> None:
    both.raw(OUTSIDER, found.data("arm", (LEDGER, from_hex(data))), to=found.address)


def decided(both: Both) -> OnChain:
    """A final challenge that owes money to Alice, Bob and Carol, and some credits to others."""
    game = OnChain(both)
    return game.opened(game.ballot({ALICE: 500, BOB: 300, CAROL: 100})).finalize()


def guarded(both: Both, game: OnChain) -> dict[str, str]:
    """Calls of everything that moves money, each of which would be accepted otherwise."""
    cancelled = OnChain(both, organizer=CAROL)
    cancelled.trained().submit(ALICE, BOB).cancel()
    other = OnChain(both, organizer=BOB)
    trained = OnChain(both, organizer=BOB, nonce=1).trained()
    OnChain(both, organizer=ALICE).cancel()
    both.attempt(a.Join(2, 0), ALICE)
    both.attempt(a.Leave((0,)), ALICE)
    both.time += 100
    fresh = OnChain(both, terms((ALICE,)), organizer=BOB, nonce=2)
    wanted: dict[str, a.Action] = {
        "the same claim": game.claiming(0),
        "another claim": game.claiming(1),
        "claim_deposit": a.ClaimDeposit(cancelled.id, 0),
        "withdraw": a.Withdraw(),
        "unstake": a.Unstake((0,)),
        "join": a.Join(1, 1),
        "create": replace(other.creating(), nonce=77),
        "contribute": fresh.contributing(ALICE),
        "submit": trained.submitting(ALICE),
    }
    return {name: both.call_of(action, ALICE) for name, action in wanted.items()}


def test_a_payee_that_calls_back_gets_nothing_more(both: Both) -> None:
    game = decided(both)
    inner = guarded(both, game)
    alice = payee(both, ALICE)
    claim = both.call_of(game.claiming(0), OUTSIDER)
    for name, data in inner.items():
        assert both.asked(ALICE, data) in ("accepted", "WrongValue"), name
        with both.tried():
            arm(both, alice, data)
            both.follow(both.raw(OUTSIDER, claim))
            assert alice.call("calls") == 1, name
            assert alice.call("successes") == 0, name
            assert alice.call("answer") == b"", f"{name}: refused by the lock, not by a rule"


@pytest.mark.parametrize("outer", ["withdraw", "claim_deposit", "unstake"])
def test_whatever_pays_lets_nobody_in_again(both: Both, outer: str) -> None:
    game = OnChain(both, organizer=ALICE)
    game.trained().submit(BOB, CAROL).cancel()
    both.attempt(a.Join(1, 0), BOB)
    both.attempt(a.Leave((0,)), BOB)
    both.time += 100
    outers: dict[str, tuple[str, a.Action]] = {
        "withdraw": (ALICE, a.Withdraw()),
        "claim_deposit": (BOB, a.ClaimDeposit(game.id, 0)),
        "unstake": (BOB, a.Unstake((0,))),
    }
    paid, action = outers[outer]
    other = game.id if outer != "claim_deposit" else None
    inner = a.ClaimDeposit(game.id, 1) if other else a.Unstake((0,))
    found = armed(both, paid, both.call_of(inner, paid))
    assert both.attempt(action, paid) is None
    assert (found.call("calls"), found.call("successes")) == (1, 0)
    both.agree()


def test_a_payee_may_do_what_moves_no_money_and_everything_still_adds_up(both: Both) -> None:
    """What is not locked reads a ledger on which the payment is already settled."""
    game = decided(both)
    own = OnChain(both, organizer=ALICE, agreed=terms(PANEL[:2]))
    found = armed(both, ALICE, both.call_of(a.Cancel(own.id), ALICE))
    receipt = both.raw(OUTSIDER, both.call_of(game.claiming(0), OUTSIDER))
    assert found.call("successes") == 1
    both.follow(receipt)
    assert both.state.challenges[own.id].settlement is not None


def test_a_payee_that_refuses_holds_up_nobody_else(both: Both) -> None:
    game = decided(both)
    alice = payee(both, ALICE)
    both.raw(OUTSIDER, alice.data("refuse", (True,)), to=ALICE)
    for _ in range(2):
        assert both.asked(OUTSIDER, both.call_of(game.claiming(0), OUTSIDER)) == "PayeeRefused"
    game.send(game.claiming(1), OUTSIDER)
    game.send(game.claiming(2), OUTSIDER)
    both.raw(OUTSIDER, alice.data("refuse", (False,)), to=ALICE)
    game.send(game.claiming(0), OUTSIDER)
    assert game.challenge.escrow == 0
    both.agree()


def test_a_contract_that_refuses_keeps_its_credit(both: Both) -> None:
    game = OnChain(both, organizer=ALICE).cancel()
    owed = both.state.credits[ALICE]
    alice = payee(both, ALICE)
    both.raw(OUTSIDER, alice.data("refuse", (True,)), to=ALICE)
    assert both.asked(ALICE, both.call_of(a.Withdraw(), ALICE)) == "PayeeRefused"
    both.raw(OUTSIDER, alice.data("refuse", (False,)), to=ALICE)
    assert both.state.credits[ALICE] == owed
    game.send(a.Withdraw(), ALICE)
    both.agree()


@pytest.mark.parametrize(("code", "outcome"), [(BURNER, "PayeeRefused"), (FLOOD, "accepted")])
def test_code_that_burns_gas_or_answers_endlessly_hurts_its_owner_only(
    both: Both, code: str, outcome: str
) -> None:
    game = decided(both)
    both.wire.call("anvil_setCode", ALICE, code)
    assert both.asked(OUTSIDER, both.call_of(game.claiming(0), OUTSIDER)) == outcome
    game.send(game.claiming(1), OUTSIDER)
    if outcome == "accepted":
        receipt = both.raw(OUTSIDER, both.call_of(game.claiming(0), OUTSIDER))
        assert int(receipt["gasUsed"], 16) < 2_600_000, "the answer is not copied"
        both.follow(receipt)


def test_the_arena_is_no_payee(both: Both) -> None:
    """Money that is decided to be the arena's own stays where it is, and holds up nobody."""
    game = OnChain(both)
    game.opened(game.ballot({LEDGER: 500, BOB: 300})).finalize()
    assert both.asked(OUTSIDER, both.call_of(game.claiming(0), OUTSIDER)) == "PayeeRefused"
    game.send(game.claiming(1), OUTSIDER)
    both.agree()


def test_ether_that_is_forced_in_changes_nothing(both: Both) -> None:
    game = decided(both)
    bomb = both.deploy("Bomb")
    receipt = both.raw(OUTSIDER, bomb.data("force", (LEDGER,)), 10**18, to=bomb.address)
    assert receipt["status"] == "0x1"
    both.gifts, both.spent[OUTSIDER] = 10**18, both.spent[OUTSIDER] + 10**18
    both.agree()
    game.claim()
    for who in (*PANEL[:3], game.organizer):
        game.send(a.Withdraw(), who)
    richer = replace(game.claiming(0), amount=Amount(10**18))
    assert both.attempt(richer, OUTSIDER) == "AlreadyClaimed"
    assert both.attempt(a.Withdraw(), OUTSIDER) == "NothingOwed"
    both.agree()
    again = OnChain(both, nonce=1)
    again.opened(again.ballot({ALICE: 1})).finalize().claim()
    both.agree()


def test_plain_ether_is_refused(both: Both) -> None:
    OnChain(both)
    for data in ("0x", "0x00", "0xdeadbeef", "0x" + "00" * 64):
        assert both.asked(ALICE, data, 5) == "0x"
        assert both.asked(ALICE, data) == "0x"
    both.agree()
