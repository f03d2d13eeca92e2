"""Two ledgers as one: every action goes to the rules and to the contract, and both must agree.

`twins` replaces the ledger in memory of tests/protocol/simulator.py, so that every test and every
game that plays on it plays on a real node as well. After each action the same was accepted, or
refused with the same name; the contract's event tells the very action; all money stands where the
rules say.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from danku.ledger.ethereum import calls, layout
from danku.ledger.ethereum.events import told
from danku.ledger.ethereum.refusals import INDISTINGUISHABLE
from danku.protocol import actions as a
from danku.protocol.actions import Action
from danku.protocol.rules import apply
from danku.protocol.state import Context, Registry, State
from danku.protocol.types import BURN_ADDRESS, ZERO_DIGEST
from tests.ethereum.contract import Contract, Reverted, batch, deploy_arena
from tests.ethereum.node import Node
from tests.protocol import simulator
from tests.protocol.simulator import CHAIN, LEDGER

WEALTH = 10**50
REGISTRY_SLOT = "0x1"
"""Where the contract keeps its registry's counters; tests/ethereum/contracts holds the layout."""
BLOCK_SECONDS = 10**6
"""So few blocks pass until a beacon that a test need not make them."""


class Twin:
    """The contract's side of a ledger in memory, at the very address of the simulator's."""

    def __init__(self, node: Node, state: State) -> None:
        self.node = node
        self.state = state
        """What the contract stands at."""
        self.arena = Contract(node, LEDGER)
        self.beacon_blocks: dict[str, int] = {}
        self.spent: dict[str, int] = {}
        self.gas: list[tuple[str, int]] = []
        _start_afresh(node, state)

    def seen(self, action: Action, context: Context) -> Context:
        """An action's context with the chain's own randomness."""
        beacon: str | None = ZERO_DIGEST
        if isinstance(action, a.Draw) and action.challenge in self.beacon_blocks:
            number = self.beacon_blocks[action.challenge]
            if context.beacon is not None:
                self.make_blocks(number)
            block = self.node.call("eth_getBlockByNumber", hex(number), False)
            beacon = block["hash"] if block else None
        return Context(context.sender, context.time, context.value, beacon)

    def make_blocks(self, number: int) -> None:
        """Blocks up to a number, without any time passing."""
        while self.node.block_number() < number:
            self.node.next_timestamp(self.node.time())
            self.node.mine()

    def accept(self, action: Action, context: Context, after: State) -> None:
        """Send an action that the rules accepted."""
        before = self.state
        call = calls.call_of(action, context.sender, before, self.beacon_blocks)
        self.fund(context.sender)
        sent = self.arena.send(
            call.function,
            *call.arguments,
            sender=context.sender,
            value=context.value,
            time=context.time,
        )
        assert sent.time == context.time
        self.gas.append((call.function, sent.gas))
        ((name, arguments),) = sent.events
        said = told(name, arguments)
        assert (said.action, said.sender) == (action, context.sender)
        assert calls.value_of(action, before) == context.value
        if isinstance(action, a.Create):
            (new,) = after.challenges.keys() - before.challenges.keys()
            self.beacon_blocks[new] = said.beacon_block
        elif isinstance(action, a.Draw):
            assert "0x" + arguments["seed"].hex() == after.challenges[action.challenge].seed
        self.spent[context.sender] = self.spent.get(context.sender, 0) + context.value
        self.state = after
        self.agree()

    def refuse(self, action: Action, context: Context) -> str:
        """The rule that refuses an action on the chain."""
        call = calls.call_of(action, context.sender, self.state, self.beacon_blocks)
        self.fund(context.sender)
        with pytest.raises(Reverted) as refusal:
            self.arena.call(
                call.function,
                *call.arguments,
                sender=context.sender,
                value=context.value,
                time=context.time,
            )
        return refusal.value.rule

    def fund(self, who: str) -> None:
        if who not in self.spent:
            self.node.set_balance(who, WEALTH + self.state.paid.get(who, 0))
            self.spent[who] = 0

    def agree(self) -> None:
        """Money and counters stand where the rules say."""
        state = self.state
        held = sum(challenge.escrow for challenge in state.challenges.values())
        held += sum(state.credits.values())
        held += state.registry.staked if state.registry else 0
        people = sorted({*self.spent, *state.credits, *state.paid, BURN_ADDRESS})
        challenges = list(state.challenges.values())
        identities = [bytes.fromhex(challenge.id[2:]) for challenge in challenges]
        answers = batch(
            self.node,
            [("eth_getBalance", (who, "latest")) for who in (self.arena.address, *people)]
            + [self.arena.asking("credit", who) for who in people]
            + [
                self.arena.asking(function, identity)
                for identity in identities
                for function in ("status", "records")
            ]
            + [self.arena.asking("link")]
            + [("eth_getStorageAt", (self.arena.address, REGISTRY_SLOT, "latest"))],
        )
        words = [int(answer, 16) for answer in answers]
        assert words.pop(0) == held
        for who in people:
            start = WEALTH if who in self.spent else 0
            expected = start - self.spent.get(who, 0) + state.paid.get(who, 0)
            assert words.pop(0) == expected, who
        assert words[: len(people)] == [state.credits.get(who, 0) for who in people]
        del words[: len(people)]
        for challenge in challenges:
            status = words.pop(0)
            assert status & 1 == (challenge.settlement is not None)
            assert status >> 32 & 0xFFFFFF == len(challenge.submissions)
            record = words.pop(0)
            if challenge.settlement is not None:
                assert status >> 64 & 2**96 - 1 == challenge.escrow
                continue
            agreement = layout.agreement(challenge, self.beacon_blocks[challenge.id])
            assert record == int.from_bytes(layout.agreement_digest(agreement), "big")
        assert words == [int(state.link, 16), registry_word(state.registry)]


_firsts: dict[str, str] = {}
"""Of each node, the snapshot with nothing on the chain."""
_codes: dict[tuple[int, int], tuple[str, str, str]] = {}
"""Of each registry, the court's address and code and the arena's code."""


def forget(node: Node) -> None:
    """Take a chain back to its first block."""
    if node.url in _firsts:
        node.revert(_firsts[node.url])
    _firsts[node.url] = node.snapshot()
    node.call("anvil_autoImpersonateAccount", True)


def _start_afresh(node: Node, state: State) -> None:
    """A chain with nothing on it but an arena at the simulator's address."""
    forget(node)
    terms = state.registry.terms if state.registry else None
    wanted = (int(terms.stake), terms.unbonding) if terms else (0, 0)
    if wanted not in _codes:
        arena = deploy_arena(
            node, block_seconds=BLOCK_SECONDS, stake=wanted[0], unbonding=wanted[1]
        )
        court = "0x" + arena.call("court")[2:]
        codes = [node.call("eth_getCode", where, "latest") for where in (court, arena.address)]
        _codes[wanted] = (court, *codes)
    court, code, arena_code = _codes[wanted]
    node.call("anvil_setCode", court, code)
    node.call("anvil_setCode", LEDGER, arena_code)


def registry_word(registry: Registry | None) -> int:
    """A registry as the contract packs it (contracts/layout.vy)."""
    if registry is None:
        return 0
    slots, free = len(registry.seats), registry.free
    return (
        registry.version
        | slots << 48
        | (slots - len(free)) << 72
        | registry.active << 96
        | (free[-1] + 1 if free else 0) << 120
        | registry.staked << 144
    )


def same_rule(action: Action, rule: str) -> str:
    """The name by which the contract knows a refusal."""
    return INDISTINGUISHABLE.get((a.kind_of(action), rule), rule)


@contextmanager
def twins(node: Node) -> Iterator[None]:
    """In here, each ledger in memory has the contract beside it."""
    refused = simulator.Ledger._refused
    current: list[Twin] = []

    def twin_of(ledger: Any) -> Twin:
        """The contract as far as a ledger is; other ledgers' actions on it are forgotten."""
        if not current or current[-1].state is not ledger.state:
            empty = ledger.state.registry.terms if ledger.state.registry else None
            start = State(CHAIN, LEDGER, Registry(empty) if empty else None)
            current[:] = [Twin(node, start)]
            for action, context in ledger.log:
                current[-1].accept(action, context, apply(current[-1].state, action, context))
            assert current[-1].state == ledger.state, "the log tells the whole state"
            current[-1].state = ledger.state
        ledger.twin = current[-1]
        return current[-1]

    def both_send(self: Any, action: Action, sender: str, value: int | None = None) -> None:
        twin = twin_of(self)
        seen = twin.seen(action, self.context(action, sender, value))
        self.state = apply(self.state, action, seen)
        self.log.append((action, seen))
        twin.accept(action, seen, self.state)

    def both_refuse(self: Any, action: Action, found: Context) -> str:
        twin = twin_of(self)
        seen = twin.seen(action, found)
        rule = refused(self, action, seen)
        if seen.value >= 0:
            assert twin.refuse(action, seen) == same_rule(action, rule)
        return str(rule)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulator.Ledger, "send", both_send)
        patch.setattr(simulator.Ledger, "_refused", both_refuse)
        yield
