"""Tokens that lie, take fees, call back or answer nothing: what is on the books is there."""

from __future__ import annotations

import pytest

from danku.crypto.hashing import from_hex
from danku.protocol import actions as a
from tests.ethereum.both import WEALTH, Both, Table
from tests.ethereum.foreign import Foreign, compiled
from tests.ethereum.staging import OnChain
from tests.ethereum.tables import TOKEN
from tests.protocol.simulator import ALICE, BOB, CAROL, LEDGER, ORGANIZER, OUTSIDER, Moves, terms

DENYING, GRUDGING, FEE, NOTHING, MORE, CALLING, REVERTING, LYING, VANISHING = range(1, 10)


def with_token(table: Table, name: str) -> tuple[Both, Foreign]:
    """A ledger whose token is another contract, of which everybody has some."""
    both = table.begin(TOKEN, compiled(name)["bytecode_runtime"])
    token = Foreign(both.node, both.token, name)
    for who in both.actors:
        # NOTE: what the standard token stored may stand at another place of this one.
        missing = WEALTH - int(token.call("balanceOf", who))
        if missing:
            both.raw(OUTSIDER, token.data("mint", (who, missing)), to=token.address)
    return both, token


def behave(both: Both, token: Foreign, mode: int) -> None:
    both.raw(OUTSIDER, token.data("behave", (mode,)), to=token.address)


def test_a_token_that_answers_nothing_is_as_good_as_any(table: Table) -> None:
    both, _ = with_token(table, "QuietToken")
    game = OnChain(both)
    game.opened(game.ballot({ALICE: 500, BOB: 300})).finalize().claim()
    game.send(a.Withdraw(), ORGANIZER)
    both.agree()


@pytest.mark.parametrize(
    ("mode", "outcome"),
    [
        (DENYING, "WrongValue"),
        (GRUDGING, "WrongValue"),
        (FEE, "WrongValue"),
        (NOTHING, "WrongValue"),
        (MORE, "WrongValue"),
        (VANISHING, "WrongValue"),
        (REVERTING, "refused"),
    ],
)
def test_nothing_enters_the_books_that_did_not_come_in(
    table: Table, mode: int, outcome: str
) -> None:
    both, token = with_token(table, "OddToken")
    game = OnChain(both).trained()
    both.attempt(a.Join(1, 0), BOB)
    behave(both, token, mode)
    for action, sender in (
        (game.submitting(ALICE), ALICE),
        (a.Join(1, 0), ALICE),
        (Moves(terms(), CAROL).creating(), CAROL),
    ):
        found = both.asked(sender, both.call_of(action, sender))
        assert found == outcome or (outcome == "refused" and found not in ("accepted", "0x"))
    behave(both, token, 0)
    both.agree()
    game.submit(ALICE)


def test_what_is_paid_out_leaves_the_books_only_if_the_token_says_so(table: Table) -> None:
    both, token = with_token(table, "OddToken")
    game = OnChain(both)
    game.opened(game.ballot({ALICE: 500, BOB: 300})).finalize()
    claim, withdrawal = both.call_of(game.claiming(0), ALICE), both.call_of(a.Withdraw(), ORGANIZER)
    for mode in (DENYING, GRUDGING):
        behave(both, token, mode)
        assert both.asked(ALICE, claim) == "PayeeRefused"
        assert both.asked(ORGANIZER, withdrawal) == "PayeeRefused"
    behave(both, token, REVERTING)
    assert "accepted" not in (both.asked(ALICE, claim), both.asked(ORGANIZER, withdrawal))
    behave(both, token, 0)
    game.claim()
    game.send(a.Withdraw(), ORGANIZER)
    both.agree()


def test_a_token_that_invents_balances_cheats_its_own_arena_only(table: Table) -> None:
    """Whoever plays for such a token plays for nothing; the books still follow the rules."""
    both, token = with_token(table, "OddToken")
    game = OnChain(both).trained()
    behave(both, token, LYING)
    receipt = both.raw(ALICE, both.call_of(game.submitting(ALICE), ALICE))
    assert receipt["status"] == "0x1"
    behave(both, token, 0)
    assert both.asked(ALICE, both.call_of(a.Withdraw(), ALICE)) == "NothingOwed"


@pytest.mark.parametrize("moving", ["in", "out"])
def test_a_token_that_calls_back_finds_the_door_locked(table: Table, moving: str) -> None:
    both, token = with_token(table, "OddToken")
    first = OnChain(both)
    first.opened(first.ballot({ALICE: 500, token.address: 300})).finalize()
    second = OnChain(both, nonce=1).trained()
    outer: a.Action = second.submitting(ALICE) if moving == "in" else first.claiming(0)
    inner: list[a.Action] = [
        first.claiming(1),
        first.claiming(0),
        second.submitting(token.address),
        a.Join(1, 0),
        a.Withdraw(),
    ]
    for action in inner:
        data = from_hex(both.call_of(action, token.address))
        with both.tried():
            both.raw(OUTSIDER, token.data("arm", (LEDGER, data)), to=token.address)
            behave(both, token, CALLING)
            receipt = both.raw(ALICE, both.call_of(outer, ALICE))
            assert receipt["status"] == "0x1"
            assert token.call("calls") == 1
            assert (token.call("successes"), token.call("answer")) == (0, b"")


def test_tokens_of_an_arena_take_no_ether(table: Table) -> None:
    both = table.begin(TOKEN)
    game = OnChain(both).trained().submit(ALICE)
    for action, sender in (
        (game.submitting(BOB), BOB),
        (a.Cancel(game.id), ORGANIZER),
        (a.Finalize(game.id), OUTSIDER),
    ):
        assert both.asked(sender, both.call_of(action, sender), 1) in ("WrongValue", "Early")
    assert both.attempt(a.Cancel(game.id), ORGANIZER, 1) == "WrongValue"
    both.agree()


def test_tokens_that_are_given_away_are_nobodys(table: Table) -> None:
    both = table.begin(TOKEN)
    game = OnChain(both).trained()
    token = Foreign(both.node, both.token, "Token")
    both.raw(OUTSIDER, token.data("transfer", (LEDGER, 10_000)), to=token.address)
    both.gifts, both.spent[OUTSIDER] = 10_000, both.spent[OUTSIDER] + 10_000
    both.agree()
    game.submit(ALICE).cancel().claim_deposits([0])
    assert both.attempt(a.Withdraw(), OUTSIDER) == "NothingOwed"
    both.agree()


def test_without_an_allowance_nothing_is_done(table: Table) -> None:
    both = table.begin(TOKEN)
    token = Foreign(both.node, both.token, "Token")
    game = OnChain(both).trained()
    both.raw(ALICE, token.data("approve", (LEDGER, 22)), to=token.address)
    submission = game.submitting(ALICE)
    assert both.asked(ALICE, both.call_of(submission, ALICE)) == "0x"
    both.raw(ALICE, token.data("approve", (LEDGER, 23)), to=token.address)
    game.send(submission, ALICE)
    both.agree()
