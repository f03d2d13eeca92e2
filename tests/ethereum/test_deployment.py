"""A contract is danku's if its address says so: code alone does not tell how it began."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

import pytest
from msgspec.structs import replace

from danku.crypto.hashing import from_hex, keccak
from danku.errors import VerificationFailed
from danku.ledger.ethereum.chain import Chain
from danku.ledger.ethereum.deployment import FACTORY, Choices, creations, deploy, inspect
from danku.ledger.ethereum.errors import NodeContradicts, NoFactory
from danku.ledger.ethereum.ledger import EthereumLedger
from danku.ledger.ethereum.network import Network
from danku.ledger.ethereum.sender import Sender
from danku.ledger.ethereum.transport import Transport
from danku.protocol import actions as a
from danku.protocol.types import ZERO_ADDRESS
from tests.ethereum.contract import Contract, deploy_code
from tests.ethereum.node import Node
from tests.ethereum.world import blank, deployed, prompt
from tests.ledger.worlds import key_of
from tests.protocol.simulator import Moves, terms

CHOICES = Choices(stake=5, unbonding=700, block_seconds=3)
THIEF = "0x" + "7e" * 20


def made(node: Node, choices: Choices) -> str:
    """The arena's address, by somebody with money."""
    chain, key = Chain(Transport(node.url)), key_of("deployer")
    node.set_balance(key.address, 10**20)
    with tempfile.TemporaryDirectory() as folder:
        sender = Sender(chain, blank(node), Path(folder), approve=lambda quote: None, sleep=prompt)
        return deploy(chain, sender, key, choices)[1].contract


def nonce(node: Node) -> int:
    return int(node.call("eth_getTransactionCount", key_of("deployer").address, "latest"), 16)


def test_addresses_follow_from_choices_and_nothing_is_made_twice(node: Node) -> None:
    court, arena = creations(CHOICES)
    assert made(node, CHOICES) == arena.address
    assert nonce(node) == 2
    assert made(node, CHOICES) == arena.address
    assert nonce(node) == 2
    found = inspect(Chain(Transport(node.url)), replace(blank(node), contract=arena.address))
    assert (found.stake, found.unbonding, found.beacon_blocks) == ("5", 700, 8_191)
    assert Contract(node, arena.address).call("court") == court.address


def test_several_arenas_of_one_kind_share_a_court_and_have_numbers(node: Node) -> None:
    first, chain = deployed(node, CHOICES), Chain(Transport(node.url))
    second = made(node, dataclasses.replace(CHOICES, number=1))
    assert first.contract != second
    assert nonce(node) == 2 + 1, "the court is there already"
    assert inspect(chain, replace(first, contract=second, number=1)).stake == "5"
    with pytest.raises(NodeContradicts, match="number 0"):
        inspect(chain, replace(first, contract=second))


def free(node: Node) -> None:
    """Let anybody's next transaction cost nothing."""
    node.call("anvil_autoImpersonateAccount", True)
    node.call("anvil_setNextBlockBaseFeePerGas", "0x0")


def forged(node: Node, genuine: str, key: bytes, value: int) -> str:
    """A contract with another one's very code, and something in its books from the beginning."""
    code = from_hex(node.call("eth_getCode", genuine, "latest"))
    store = b"\x7f" + value.to_bytes(32, "big") + b"\x7f" + key + b"\x55"
    size = len(code).to_bytes(3, "big")
    give = b"\x62" + size + b"\x80\x61" + (len(store) + 12).to_bytes(2, "big") + b"\x5f\x39\x5f\xf3"
    free(node)
    return deploy_code(node, "0x" + (store + give + code).hex(), [], ())


def credit_place(node: Node, arena: str, who: str, credit: int) -> bytes:
    """Where a contract keeps the credit of an address, found by what stands there."""
    for slot in range(64):
        place = keccak(slot.to_bytes(32, "big"), from_hex(who).rjust(32, b"\0"))
        word = node.call("eth_getStorageAt", arena, "0x" + place.hex(), "latest")
        if int(word, 16) == credit + 1:
            return keccak(slot.to_bytes(32, "big"), from_hex(THIEF).rjust(32, b"\0"))
    raise AssertionError("no such credit")


def test_our_code_with_false_books_is_not_our_contract(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It pays a thief whatever others pay in, so its address has to give it away."""
    honest = deployed(node, Choices(block_seconds=3))
    victim = key_of("organizer").address
    node.set_balance(victim, 10**20)
    node.set_balance(THIEF, 10**18)
    agreed = terms(pot=1000, fee=102, organizer_bond=501)
    create = Moves(agreed, victim).creating()
    ledger = EthereumLedger(Transport(node.url), honest, tmp_path / "a", sleep=prompt)
    ledger.submit(key_of("organizer"), create, 1603)
    [identity] = ledger.state().challenges
    ledger.submit(key_of("organizer"), a.Cancel(identity))
    place = credit_place(node, honest.contract, victim, 1603)
    where = forged(node, honest.contract, place, 1604)
    assert node.call("eth_getCode", where, "latest") == node.call(
        "eth_getCode", honest.contract, "latest"
    )
    false = replace(honest, contract=where, first_block=0)
    monkeypatch.setattr("danku.ledger.ethereum.ledger.inspect", lambda chain, network: network)
    careless = EthereumLedger(Transport(node.url), false, tmp_path / "b", sleep=prompt)
    careless.submit(key_of("organizer"), create, 1603)
    before = node.balance(where)
    free(node)
    Contract(node, where).send("withdraw", sender=THIEF)
    assert (before, node.balance(where)) == (1603, 0), "who does not look is robbed"
    monkeypatch.undo()
    with pytest.raises(VerificationFailed, match="not made by danku's code") as refusal:
        inspect(Chain(Transport(node.url)), false)
    assert "danku network deploy" in refusal.value.fix
    with pytest.raises(VerificationFailed, match="not made by danku's code"):
        EthereumLedger(Transport(node.url), false, tmp_path / "c", sleep=prompt)


def test_our_code_that_fixed_other_things_is_not_our_contract(node: Node) -> None:
    """As a beacon that is always the newest block, which whoever draws can wait for."""
    honest = deployed(node, CHOICES)
    code = from_hex(node.call("eth_getCode", honest.contract, "latest"))
    word = (8_191).to_bytes(32, "big")
    assert code.count(word) == 1
    node.call("anvil_setCode", THIEF, "0x" + code.replace(word, (1).to_bytes(32, "big")).hex())
    assert Contract(node, THIEF).call("beacon_blocks") == 1
    with pytest.raises(NodeContradicts, match="not made by danku's code"):
        inspect(Chain(Transport(node.url)), replace(honest, contract=THIEF))


def test_a_chain_without_the_factory_is_told(node: Node) -> None:
    node.call("anvil_setCode", FACTORY, "0x")
    with pytest.raises(NoFactory, match="no factory"):
        made(node, CHOICES)


def test_no_contract_at_all_is_told(node: Node) -> None:
    network = Network(blank(node).chain_id, ZERO_ADDRESS)
    with pytest.raises(NodeContradicts, match="no contract"):
        inspect(Chain(Transport(node.url)), network)
