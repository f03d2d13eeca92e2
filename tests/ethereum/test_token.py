"""An arena whose money is an ERC-20 token, played through the same port."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from vyper.compiler import compile_code

from danku.crypto.hashing import abi_encode, keccak
from danku.errors import Rejected
from danku.ledger.ethereum.deployment import Choices
from danku.ledger.ethereum.network import Network
from danku.protocol import actions
from tests.ethereum.fixtures import MakeWorld
from tests.ethereum.node import Node
from tests.ethereum.world import EthereumWorld, deployed
from tests.ledger.worlds import PortGame, key_of

SOURCE = """
# pragma version 0.4.3
balanceOf: public(HashMap[address, uint256])
allowance: public(HashMap[address, HashMap[address, uint256]])

@external
def mint(who: address, amount: uint256):
    self.balanceOf[who] += amount

@external
def approve(spender: address, amount: uint256) -> bool:
    self.allowance[msg.sender][spender] = amount
    return True

@external
def transfer(to: address, amount: uint256) -> bool:
    self.balanceOf[msg.sender] -= amount
    self.balanceOf[to] += amount
    return True

@external
def transferFrom(owner: address, to: address, amount: uint256) -> bool:
    self.allowance[owner][msg.sender] -= amount
    self.balanceOf[owner] -= amount
    self.balanceOf[to] += amount
    return True
"""


@cache
def bytecode() -> str:
    return str(compile_code(SOURCE, output_formats=["bytecode"])["bytecode"])


def words(function: str, *values: tuple[str, object]) -> str:
    types, arguments = zip(*values, strict=True)
    return "0x" + (keccak(function.encode())[:4] + abi_encode(types, arguments)).hex()


class TokenWorld(EthereumWorld):
    """People have tokens, and no coin at all: gas is free on this node."""

    def __init__(self, folder: Path, node: Node) -> None:
        self.rich = node.call("eth_accounts")[0]
        made = node.call("eth_sendTransaction", {"from": self.rich, "data": bytecode()})
        node.mine()
        self.token = node.call("eth_getTransactionReceipt", made)["contractAddress"].lower()
        network: Network = deployed(node, Choices(currency=self.token, block_seconds=1))
        super().__init__(folder, node, network)

    def fund(self, name: str, amount: int) -> None:
        data = words(
            "mint(address,uint256)", ("address", key_of(name).address), ("uint256", amount)
        )
        self.node.call("eth_sendTransaction", {"from": self.rich, "to": self.token, "data": data})
        self.node.mine()

    def allowed(self, name: str) -> int:
        """What the contract may take of somebody's tokens."""
        pair = ("address", key_of(name).address), ("address", self.network.contract)
        data = words("allowance(address,address)", *pair)
        return int(self.node.call("eth_call", {"to": self.token, "data": data}, "latest"), 16)


@pytest.fixture
def world(ethereum: MakeWorld, tmp_path: Path) -> TokenWorld:
    return TokenWorld(tmp_path / "token", ethereum(None).node)


def test_a_competition_in_tokens(world: TokenWorld) -> None:
    assert world.network.currency == world.token
    game = PortGame(world)
    assert game.money("organizer") == -1603
    assert world.node.balance(key_of("organizer").address) == 0
    game.trained().submit(key_of("alice").address)
    assert game.money("alice") == -23
    assert [world.allowed(name) for name in ("organizer", "alice")] == [0, 0]
    game.cancel().claim_deposits([0])
    game.send(actions.Withdraw(), game.organizer)
    assert (game.money("alice"), game.money("organizer")) == (0, -501)
    assert world.again(private=False).state() == game.state


def test_nobody_spends_tokens_that_they_do_not_have(world: TokenWorld) -> None:
    game = PortGame(world)
    world.fund("poor", 6)
    poor = key_of("poor")
    with pytest.raises(Rejected) as refused:
        world.ledger.submit(poor, actions.Contribute(game.id, "0x" + "11" * 32), 7)
    assert refused.value.rule == "InsufficientBalance"
    assert world.allowed("poor") == 0
    assert world.ledger.balance(poor.address) == 6


def test_an_approval_that_was_left_is_not_sent_twice(world: TokenWorld) -> None:
    game = PortGame(world)
    who = key_of("validator 0")
    ledger = world.again()

    class Killed(BaseException):
        pass

    original = ledger._chain.send_raw

    def dies(raw: bytes) -> None:
        original(raw)
        raise Killed

    ledger._chain.send_raw = dies  # type: ignore[method-assign]
    with pytest.raises(Killed):
        ledger.submit(who, game.contributing(who.address), 7)
    game.contribute(who.address)
    sent = int(world.node.call("eth_getTransactionCount", who.address, "latest"), 16)
    assert (sent, world.allowed("validator 0")) == (2, 0)
