"""Bytes that no honest client sends, and code that is called where it should not be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from danku.crypto.hashing import from_hex, keccak
from danku.ledger.ethereum import calls
from danku.ledger.ethereum.artifact import ARENA, COURT, artifact
from danku.ledger.ethereum.refusals import SELECTORS
from danku.protocol import actions as a
from danku.protocol.draw import challenge_id
from danku.protocol.types import Score
from tests.ethereum.both import Both
from tests.ethereum.contract import Contract
from tests.ethereum.coverage import KINDS
from tests.ethereum.staging import OnChain
from tests.ethereum.words import encoded
from tests.protocol.simulator import ALICE, BOB, CHAIN, LEDGER, ORGANIZER, OUTSIDER, PANEL

WORD = 32
GETTERS = {"currency", "stake", "unbonding"}
"""What both contracts say of themselves."""


def whole(both: Both, check: Callable[[Both, a.Action, str], None]) -> set[str]:
    """Check the first action of each kind just before it is accepted; returns the kinds."""
    kinds: set[str] = set()

    class Checked(OnChain):
        def send(self, action: a.Action, sender: str, value: int | None = None) -> None:
            if a.kind_of(action) not in kinds:
                kinds.add(a.kind_of(action))
                check(self.both, action, sender)
            super().send(action, sender, value)

    game = Checked(both)
    game.opened(game.ballot({ALICE: 10, BOB: 5})).finalize().claim()
    game.send(a.Withdraw(), ORGANIZER)
    game.send(a.Join(2, 0), ALICE)
    game.send(a.Leave((0, 1)), ALICE)
    both.time += 5_000
    game.send(a.Unstake((0, 1)), ALICE)
    other = Checked(both, nonce=1)
    other.trained().submit(ALICE)
    other.send(a.Report(other.id, 0, Score(-5)), ALICE)
    other.cancel().claim_deposits([0])
    return kinds


def needed(both: Both, action: a.Action) -> int:
    return calls.value_of(action, both.state)


def cut_short(both: Both, action: a.Action, sender: str) -> None:
    """Fewer bytes than the arguments take."""
    data, value = both.call_of(action, sender), needed(both, action)
    size = len(data) // 2 - 1
    for length in {4, 5, 35, 36, size // 2, size - WORD, size - 1} - {size}:
        if 4 <= length < size:
            found = both.asked(sender, data[: 2 + 2 * length], value)
            assert found != "accepted" or zeros(data, length), (a.kind_of(action), length)


def zeros(data: str, length: int) -> bool:
    """Whether what is cut off is padding."""
    return not int(data[2 + 2 * length :], 16)


def drawn_out(both: Both, action: a.Action, sender: str) -> None:
    """More bytes than the arguments take say the same."""
    data, value = both.call_of(action, sender), needed(both, action)
    for more in ("00", "ff", "ff" * 64):
        assert both.asked(sender, data + more, value) == "accepted"


def points_far_away(both: Both, action: a.Action, sender: str) -> None:
    """A place of an argument that is beyond all bytes, or where adding overflows.

    There the bytes are zeros, which are as good as an empty list where
    nothing has to be in it.
    """
    empty = a.kind_of(action) in ("convene", "vote", "finalize", "cancel")
    data, value = from_hex(both.call_of(action, sender)), needed(both, action)
    head = range(4, min(len(data), 4 + 14 * WORD), WORD)
    for start in head:
        word = int.from_bytes(data[start : start + WORD], "big")
        if word % WORD == 0 and 0 < word < len(data):
            for far in (2**256 - WORD, 2**255, 2**64, len(data) + WORD):
                moved = data[:start] + far.to_bytes(WORD, "big") + data[start + WORD :]
                found = both.asked(sender, "0x" + moved.hex(), value)
                assert found != "accepted" or empty, (a.kind_of(action), start)


def addresses_with_dirt(both: Both, action: a.Action, sender: str) -> None:
    """Addresses with bits above the 160th."""
    call = calls.call_of(action, sender, both.state, both.history.beacon_blocks)
    data, value = encoded(call), needed(both, action)
    for who in {*_addresses(call.arguments)}:
        clean = "00" * 12 + who[2:]
        for dirt in ("01", "ff" * 12):
            dirty = dirt.ljust(24, "0") + who[2:]
            if clean in data:
                found = both.asked(sender, data.replace(clean, dirty), value)
                assert found in ("0x", "WrongWitness"), (a.kind_of(action), who, found)


def _addresses(values: Any) -> set[str]:
    found: set[str] = set()
    for value in values:
        if isinstance(value, tuple):
            found |= _addresses(value)
        elif isinstance(value, str) and len(value) == 42 and value.startswith("0x"):
            found.add(value)
    return found


@pytest.mark.parametrize("check", [cut_short, drawn_out, points_far_away, addresses_with_dirt])
def test_bytes_of_another_shape_are_refused_or_say_the_same(
    both: Both, check: Callable[[Both, a.Action, str], None]
) -> None:
    assert len(whole(both, check)) == len(KINDS)
    both.agree()


def test_lists_that_are_too_long_are_refused(both: Both) -> None:
    game = OnChain(both)
    action = game.creating()
    words = calls.terms_words(action.terms)
    members = tuple(range(1, 18))
    data = encoded(
        calls.Call("create", ((*words[:22], members, *words[23:]), action.manifest, bytes(32), 1))
    )
    assert both.asked(ORGANIZER, data, 1603) == "0x"
    long = encoded(calls.Call("create", (words, "b" * 81, bytes(32), 1)))
    assert both.asked(ORGANIZER, long, 1603) == "0x"
    proof = encoded(calls.Call("claim", (from_hex(game.id), 0, ALICE, 1, (bytes(32),) * 33)))
    assert both.asked(ORGANIZER, proof) == "0x"
    seats = encoded(calls.Call("leave", (tuple(range(257)),)))
    assert both.asked(ORGANIZER, seats) == "0x"
    head = (from_hex(game.id), both.agreement(game.id))
    crowd = tuple(f"0x{number + 1:040x}" for number in range(65))
    assert both.asked(ORGANIZER, encoded(calls.Call("cancel", (*head, crowd)))) == "0x"
    everybody = (members, tuple(range(17)), 0)
    panel = calls.call_of(a.Convene(game.id), ORGANIZER, both.state, both.history.beacon_blocks)
    for committees in ((everybody, ((), (), 0)), (((), (), 0), everybody)):
        forged = calls.Call("convene", (*panel.arguments[:3], *committees))
        assert both.asked(ORGANIZER, encoded(forged)) == "0x"


def test_an_argument_written_at_another_place_says_the_same(both: Both) -> None:
    """The panel behind the other arguments, with a gap between: its content is what counts."""
    game = OnChain(both)
    data = from_hex(both.call_of(game.contributing(PANEL[0]), PANEL[0]))
    selector, body = data[:4], data[4:]
    place = 7 * WORD
    start = int.from_bytes(body[place : place + WORD], "big")
    moved = len(body) + 5 * WORD
    body = body[:place] + moved.to_bytes(WORD, "big") + body[place + WORD :]
    aside = selector + body + b"\xff" * 5 * WORD + data[4 + start :]
    value = 7
    assert both.asked(PANEL[0], "0x" + aside.hex(), value) == "accepted"
    receipt = both.raw(PANEL[0], "0x" + aside.hex(), value)
    both.follow(receipt)
    assert len(game.challenge.contributions) == 1
    other = aside[:-1] + bytes([aside[-1] ^ 1])
    assert both.asked(PANEL[1], "0x" + other.hex(), value) == "WrongWitness"


# --- the two contracts ----------------------------------------------------------------------------


def _court(both: Both) -> str:
    return str(Contract(both.node, both.state.ledger).call("court")).lower()


def test_the_court_refuses_whoever_calls_it_itself(both: Both) -> None:
    game, called = OnChain(both), set()
    court = _court(both)
    for action, sender in (
        (game.contributing(PANEL[0]), PANEL[0]),
        (game.opening_seed(PANEL[0]), PANEL[0]),
        (a.Report(game.id, 0, Score(5)), ALICE),
        (a.Convene(game.id), OUTSIDER),
        (a.Cancel(game.id), ORGANIZER),
        (a.ClaimDeposit(game.id, 0), ALICE),
        (a.Join(1, 0), ALICE),
        (a.Leave((0,)), ALICE),
        (a.Unstake((0,)), ALICE),
    ):
        data = both.call_of(action, sender)
        for value in (0, needed(both, action)):
            found = both.asked(sender, data, value, to=court)
            assert b"call the arena".hex() in found
        called.add(a.kind_of(action))
    assert called == artifact(COURT).functions.keys() - GETTERS
    for data in ("0x", "0xdeadbeef", both.call_of(a.Withdraw(), ALICE)):
        assert both.asked(ALICE, data, 1, to=court) == "0x"
    assert both.node.balance(court) == 0


def test_selectors_of_both_contracts_are_apart() -> None:
    own, courts = artifact(ARENA), artifact(COURT)
    borrowed = courts.functions.keys() - GETTERS
    mine = [each for name, each in own.functions.items() if name not in borrowed]
    theirs = [courts.functions[name] for name in borrowed]
    selectors = [each.topic[:4] for each in (*mine, *theirs)]
    assert len(set(selectors)) == len(selectors) > len(KINDS)
    assert {each.name for each in (*mine, *theirs)} >= set(KINDS)
    assert len(set(SELECTORS)) == len(SELECTORS)
    topics = {each.topic for each in (*own.events.values(), *courts.events.values())}
    assert len(topics) == len({*own.events, *courts.events}) == len(KINDS)


def test_each_function_runs_the_code_that_is_meant(both: Both) -> None:
    """What the arena has itself never reaches the court, and all else does."""
    game = OnChain(both).contribute().open_seed()
    both.wire.call("anvil_setCode", _court(both), "0xfe")
    game.draw().reveal_train().submit(ALICE).open().reveal_test()
    OnChain(both, nonce=1)
    for action, sender in (
        (a.Cancel(challenge_id(CHAIN, LEDGER, ORGANIZER, 1)), ORGANIZER),
        (a.Join(1, 0), ALICE),
    ):
        assert both.asked(sender, both.call_of(action, sender), needed(both, action)) == "0x"


def test_views_say_what_anyone_may_know(both: Both) -> None:
    OnChain(both)
    for name in ("court", "block_seconds", "beacon_blocks", "currency", "stake", "unbonding"):
        selector = "0x" + keccak(f"{name}()".encode())[:4].hex()
        assert both.asked(OUTSIDER, selector) == "accepted"
        assert both.asked(OUTSIDER, selector, 1) == "0x", "a view takes no money"


@pytest.mark.parametrize("action", [a.Withdraw(), a.Join(1, 0)])
def test_a_lock_that_was_taken_is_given_back(both: Both, action: a.Action) -> None:
    """Also by a call that is refused."""
    OnChain(both).cancel()
    assert both.attempt(a.Withdraw(), OUTSIDER) == "NothingOwed"
    assert both.attempt(action, ORGANIZER) is None
