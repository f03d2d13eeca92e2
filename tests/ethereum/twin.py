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

from danku.errors import Rejected
from danku.ledger.ethereum import calls, layout
from danku.ledger.ethereum.events import told
from danku.ledger.ethereum.refusals import INDISTINGUISHABLE
from danku.protocol import actions as a
from danku.protocol.actions import Action
from danku.protocol.rules import apply
from danku.protocol.state import Context, State
from danku.protocol.types import BURN_ADDRESS, ZERO_DIGEST
from tests.ethereum.contract import Contract, Reverted, deploy_arena
from tests.ethereum.node import Node
from tests.protocol import simulator
from tests.protocol.simulator import CHAIN, LEDGER

OPTIONS = ("--chain-id", str(CHAIN), "--base-fee", "0", "--timestamp", "1600000000")
"""Of a node for twins: its blocks cost nothing, and it knows the rules' chain."""
WEALTH = 10**50
BLOCK_SECONDS = 10**6
"""So few blocks pass until a beacon that a test need not make them."""


class Twin:
    """The contract's side of a ledger in memory."""

    def __init__(self, node: Node, stake: int, unbonding: int) -> None:
        self.node = node
        self.arena = arena_at_the_simulators_address(node, stake, unbonding)
        self.beacon_blocks: dict[str, int] = {}
        self.spent: dict[str, int] = {}
        self.gas: list[tuple[str, int]] = []

    def call(self, action: Action, sender: str, state: State) -> calls.Call:
        return calls.call_of(action, sender, state, self.beacon_blocks)

    def beacon(self, action: Action) -> str | None:
        """What the rules are to see as the chain's randomness."""
        if not isinstance(action, a.Draw):
            return ZERO_DIGEST
        number = self.beacon_blocks.get(action.challenge, 0)
        block = self.node.call("eth_getBlockByNumber", hex(number), False)
        return block["hash"] if block else None

    def accept(self, action: Action, context: Context, before: State, after: State) -> None:
        """Send an action that the rules accepted."""
        call = self.call(action, context.sender, before)
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
        self.agree(after)

    def refuse(self, action: Action, context: Context, state: State) -> str:
        """The rule that refuses an action on the chain."""
        call = self.call(action, context.sender, state)
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
            self.node.set_balance(who, WEALTH)
            self.spent[who] = 0

    def agree(self, state: State) -> None:
        """Money and counters stand where the rules say."""
        held = sum(challenge.escrow for challenge in state.challenges.values())
        held += sum(state.credits.values())
        held += state.registry.staked if state.registry else 0
        assert self.node.balance(self.arena.address) == held
        for who in {*self.spent, *state.credits, *state.paid, BURN_ADDRESS}:
            assert self.arena.call("credit", who) == state.credits.get(who, 0), who
            start = WEALTH if who in self.spent else 0
            expected = start - self.spent.get(who, 0) + state.paid.get(who, 0)
            assert self.node.balance(who) == expected, who
        assert "0x" + self.arena.call("link").hex() == state.link
        for challenge in state.challenges.values():
            status = self.arena.call("status", bytes.fromhex(challenge.id[2:]))
            assert status & 1 == (challenge.settlement is not None)
            assert status >> 32 & 0xFFFFFF == len(challenge.submissions)
            if challenge.settlement is not None:
                assert status >> 64 & 2**96 - 1 == challenge.escrow


def arena_at_the_simulators_address(node: Node, stake: int, unbonding: int) -> Contract:
    """An arena whose code is moved to where the simulator's ledger is, with nothing stored."""
    arena = deploy_arena(node, block_seconds=BLOCK_SECONDS, stake=stake, unbonding=unbonding)
    code = node.call("eth_getCode", arena.address, "latest")
    node.call("anvil_setCode", LEDGER, code)
    return Contract(node, LEDGER)


def same_rule(action: Action, rule: str) -> str:
    """The name by which the contract knows a refusal."""
    return INDISTINGUISHABLE.get((a.kind_of(action), rule), rule)


@contextmanager
def twins(node: Node) -> Iterator[None]:
    """In here, each ledger in memory has the contract beside it."""
    init, send, refused = (
        getattr(simulator.Ledger, name) for name in ("__init__", "send", "_refused")
    )
    node.call("anvil_autoImpersonateAccount", True)

    def start(self: Any, **options: Any) -> None:
        init(self, **options)
        registry = self.state.registry
        stake, unbonding = (registry.terms.stake, registry.terms.unbonding) if registry else (0, 0)
        fresh(node)
        self.twin = Twin(node, int(stake), unbonding)

    def context(self: Any, action: Action, found: Context) -> Context:
        return Context(found.sender, found.time, found.value, self.twin.beacon(action))

    def both_send(self: Any, action: Action, sender: str, value: int | None = None) -> None:
        seen = context(self, action, self.context(action, sender, value))
        before = self.state
        self.state = apply(before, action, seen)
        self.log.append((action, seen))
        self.twin.accept(action, seen, before, self.state)

    def both_refuse(self: Any, action: Action, found: Context) -> str:
        seen = context(self, action, found)
        rule = refused(self, action, seen)
        if 0 <= seen.value <= WEALTH:
            assert self.twin.refuse(action, seen, self.state) == same_rule(action, rule)
        return str(rule)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulator.Ledger, "__init__", start)
        patch.setattr(simulator.Ledger, "send", both_send)
        patch.setattr(simulator.Ledger, "_refused", both_refuse)
        yield


def fresh(node: Node) -> None:
    """Forget every earlier twin: back to the first block, for there is one simulator's address."""
    snapshot = getattr(node, "first", None)
    if snapshot is not None:
        node.revert(snapshot)
    object.__setattr__(node, "first", node.snapshot())
    node.call("anvil_autoImpersonateAccount", True)


__all__ = ["OPTIONS", "Twin", "layout", "same_rule", "twins"]
