"""A contract to play on, with people, money and time, for the tests that every ledger passes."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace

from danku.ledger.ethereum.chain import Chain
from danku.ledger.ethereum.deployment import Choices, deploy, inspect
from danku.ledger.ethereum.ledger import EthereumLedger
from danku.ledger.ethereum.network import Network
from danku.ledger.ethereum.sender import Sender
from danku.ledger.ethereum.transport import Transport
from danku.protocol.terms import RegistryTerms
from danku.protocol.types import ZERO_ADDRESS
from tests.ethereum.node import CHAIN_ID, Node
from tests.ledger.worlds import key_of

FREE = ("--gas-price", "0", "--block-base-fee-per-gas", "0")
"""Options of a node whose gas costs nothing, so that balances tell of the protocol alone."""
QUICK = 0.002


def prompt(seconds: float) -> None:
    """Wait for a node on loopback."""
    time.sleep(min(seconds, QUICK))


def blank(node: Node, **terms: int) -> Network:
    """A network of a node's chain, without a contract."""
    fees = {"confirmations": 1, "max_fee_gwei": 500, "max_tip_gwei": 5, **terms}
    return Network(CHAIN_ID, ZERO_ADDRESS, **fees)


def deployed(node: Node, choices: Choices, **terms: int) -> Network:
    """A new arena on a node's chain."""
    network, chain = blank(node, **terms), Chain(Transport(node.url))
    key = key_of("deployer")
    node.set_balance(key.address, 10**20)
    with tempfile.TemporaryDirectory() as folder:
        sender = Sender(chain, network, Path(folder), approve=lambda quote: None, sleep=prompt)
        _, arena = deploy(chain, sender, key, choices)
    made = {"contract": arena.contract, "first_block": arena.block, "number": choices.number}
    return inspect(chain, replace(network, **made))


@dataclass
class Arenas:
    """One node, and arenas that are made once and found new by every test."""

    node: Node
    networks: dict[RegistryTerms | None, Network] = field(default_factory=dict)

    def of(self, registry: RegistryTerms | None) -> Network:
        """The arena with this registry, on the chain as the first test found it."""
        if registry not in self.networks:
            stake = int(registry.stake) if registry else 0
            unbonding = registry.unbonding if registry else 0
            choices = Choices(stake=stake, unbonding=unbonding, block_seconds=1)
            self.networks[registry] = deployed(self.node, choices)
        return self.networks[registry]


class EthereumWorld:
    """A contract on a node, and a private folder."""

    def __init__(self, folder: Path, node: Node, network: Network) -> None:
        self.node, self.network = node, network
        self.folder = folder / "network"
        self.ledger = self.again()

    def again(self, *, private: bool = True) -> EthereumLedger:
        folder = self.folder if private else Path(tempfile.mkdtemp(dir=self.folder.parent))
        return EthereumLedger(Transport(self.node.url), self.network, folder, sleep=prompt)

    def fund(self, name: str, amount: int) -> None:
        address = key_of(name).address
        self.node.set_balance(address, self.node.balance(address) + amount)

    def wait_until(self, time: int) -> None:
        if self.ledger.time() < time:
            self.node.next_timestamp(time)
