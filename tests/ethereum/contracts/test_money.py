"""Money of the arena: tokens of every kind, payees that refuse, and value where none is due."""

from __future__ import annotations

from pathlib import Path

import pytest

from danku.ledger.ethereum.calls import call_of, value_of
from danku.ledger.ethereum.events import told
from danku.protocol import actions as a
from danku.protocol.draw import challenge_id
from danku.protocol.rules import apply
from danku.protocol.state import Context
from tests.ethereum.compiling import compile_contract
from tests.ethereum.contract import Contract, Reverted, deploy_arena, deploy_code
from tests.ethereum.node import Node
from tests.ethereum.twin import twins
from tests.protocol.simulator import (
    ALICE,
    BOB,
    CAROL,
    CHAIN,
    ORGANIZER,
    OUTSIDER,
    PANEL,
    Game,
    Ledger,
    Moves,
    terms,
)

TOKENS = Path(__file__).parent / "tokens"
HONEST, FEE, LIE, REFUSE, BONUS = range(5)
SUPPLY = 10**9
EVERYBODY = (*PANEL, ORGANIZER, ALICE, BOB, CAROL, OUTSIDER)


def token(node: Node, name: str = "Token", fault: int | None = HONEST) -> Contract:
    """A token of which everybody has `SUPPLY`."""
    compiled = compile_contract(name, TOKENS)
    types, words = (["uint256"], (fault,)) if name == "Token" else ([], ())
    address = deploy_code(node, compiled["bytecode"], types, words)
    found = Contract(node, address, compiled["abi"])
    for who in EVERYBODY:
        found.send("mint", who, SUPPLY)
    return found


class TokenGame(Game):
    """A game whose actions go to an arena of tokens as well; all accounts stay equal."""

    def __init__(self, node: Node, money: Contract) -> None:
        self.node, self.money = node, money
        self.arena = deploy_arena(node, currency=money.address, block_seconds=10**6)
        self.blocks: dict[str, int] = {}
        for who in EVERYBODY:
            money.send("approve", self.arena.address, SUPPLY, sender=who)
        Moves.__init__(self, terms(PANEL[:3]), ORGANIZER)
        Ledger.__init__(self)
        self.state = type(self.state)(CHAIN, self.arena.address)
        self.id = challenge_id(CHAIN, self.arena.address, ORGANIZER, 0)
        self.send(self.creating(), ORGANIZER)

    def send(self, action: a.Action, sender: str, value: int | None = None) -> None:
        call = call_of(action, sender, self.state, self.blocks)
        price = value_of(action, self.state)
        had = self.money.call("balanceOf", sender)
        sent = self.arena.send(call.function, *call.arguments, sender=sender, time=self.time)
        ((name, arguments),) = sent.events
        assert told(name, arguments).action == action
        before, self.state = (
            self.state,
            apply(self.state, action, Context(sender, self.time, price, None)),
        )
        gained = self.state.paid.get(sender, 0) - before.paid.get(sender, 0)
        assert self.money.call("balanceOf", sender) == had - price + gained
        held = sum(each.escrow for each in self.state.challenges.values())
        held += sum(self.state.credits.values())
        assert self.money.call("balanceOf", self.arena.address) == held
        for who, amount in self.state.credits.items():
            assert self.arena.call("credit", who) == amount


@pytest.mark.parametrize("name", ["Token", "Quiet"])
def test_a_whole_competition_in_tokens(node: Node, name: str) -> None:
    game = TokenGame(node, token(node, name))
    game.tested().convene()
    ballot = game.ballot({ALICE: 620, BOB: 420, CAROL: 20}, winner=ALICE, score=5)
    game.vote(ballot).open_vote(ballot).finalize().claim()
    for who in (ORGANIZER, *PANEL[:3]):
        game.send(a.Withdraw(), who)
    assert game.money.call("balanceOf", ALICE) == SUPPLY - 23 + 620
    assert game.money.call("balanceOf", game.arena.address) == 0


@pytest.mark.parametrize("fault", [FEE, LIE, REFUSE, BONUS])
def test_a_token_that_moves_another_sum_than_it_should_is_refused(node: Node, fault: int) -> None:
    with pytest.raises(Reverted) as refusal:
        TokenGame(node, token(node, fault=fault))
    assert refusal.value.rule == "WrongValue"


def test_an_arena_of_tokens_takes_no_ether(node: Node) -> None:
    game = TokenGame(node, token(node))
    for action, sender in ((game.contributing(PANEL[0]), PANEL[0]), (a.Cancel(game.id), ORGANIZER)):
        call = call_of(action, sender, game.state, game.blocks)
        node.set_balance(sender, 10**18)
        with pytest.raises(Reverted) as refusal:
            game.arena.call(call.function, *call.arguments, sender=sender, value=1, time=game.time)
        assert refusal.value.rule == "WrongValue"


def test_an_arena_needs_a_token_that_exists(node: Node) -> None:
    with pytest.raises(AssertionError):
        deploy_arena(node, currency=ALICE)


def test_nobody_sends_ether_to_an_arena_by_mistake(node: Node) -> None:
    arena = deploy_arena(node)
    node.set_balance(ALICE, 10**18)
    for data in ("0x", "0x12345678"):
        request = {"from": ALICE, "to": arena.address, "value": "0x1", "data": data}
        with pytest.raises(Exception, match="revert"):
            node.call("eth_call", request, "latest")


REVERTING = "0x5f5ffd"


def test_a_payee_that_refuses_keeps_its_credit_and_stops_nobody(node: Node) -> None:
    with twins(node):
        game = Game(terms(PANEL[:3]))
        ballot = game.ballot({ALICE: 620, BOB: 420, CAROL: 20}, winner=ALICE, score=5)
        game.opened(ballot).finalize()
        node.call("anvil_setCode", PANEL[0], REVERTING)
        node.call("anvil_setCode", ALICE, REVERTING)
        arena: Contract = game.twin.arena  # type: ignore[attr-defined]
        proof = game.claiming(0)
        for action, sender in ((proof, OUTSIDER), (a.Withdraw(), PANEL[0])):
            call = call_of(action, sender, game.state, {})
            with pytest.raises(Reverted) as refusal:
                arena.call(call.function, *call.arguments, sender=sender)
            assert refusal.value.rule == "PayeeRefused"
        game.send(game.claiming(1), OUTSIDER)
        node.call("anvil_setCode", ALICE, "0x")
        node.call("anvil_setCode", PANEL[0], "0x")
        game.send(proof, OUTSIDER)
        game.send(a.Withdraw(), PANEL[0])
