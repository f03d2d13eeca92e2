"""A node's chain: blocks, balances, receipts, calls; every answer is checked for its form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from danku.ledger.ethereum.errors import NodeContradicts, NodeRefused
from danku.ledger.ethereum.transport import Transport
from danku.ledger.ethereum.words import SMALL, digest, field, malformed, octets, quantity
from danku.protocol.types import Address, Digest

_NO_METHOD = (-32601, -32004)


@dataclass(frozen=True)
class Block:
    """What is needed of a block."""

    number: int
    hash: Digest
    parent: Digest
    time: int
    """In seconds since the epoch."""
    base_fee: int
    """Per gas, in wei."""


@dataclass(frozen=True)
class Inclusion:
    """That a block holds a transaction, and what came of it."""

    transaction: Digest
    block: int
    block_hash: Digest
    succeeded: bool
    gas_used: int


class Chain:
    """What one node says; each method raises `NetworkError` where it says nothing usable."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    def chain_id(self) -> int:
        """What every signature names."""
        return quantity(self.transport.call("eth_chainId"), "chain id", SMALL)

    def latest(self) -> Block:
        """The newest block."""
        found = self._block("latest")
        if found is None:
            raise malformed("no newest block")
        return found

    def block(self, number: int) -> Block | None:
        """The block of this number, if the chain is that long.

        Raises:
            NodeContradicts: another one was given.
        """
        found = self._block(hex(number))
        if found is not None and found.number != number:
            raise NodeContradicts(f"asked for block {number}, the node gave {found.number}")
        return found

    def next_time(self, latest: Block) -> int:
        """The time of the block after ``latest`` as the node would make it now, if it tells."""
        try:
            pending = self.transport.call("eth_getBlockByNumber", "pending", False)
            return max(latest.time, quantity(field(pending, "timestamp"), "pending time", SMALL))
        except NodeRefused:
            return latest.time

    def balance(self, who: Address) -> int:
        """What an address has, in wei."""
        return quantity(self.transport.call("eth_getBalance", who, "latest"), "balance")

    def code(self, where: Address, block: int | None = None) -> bytes:
        """The code of a contract, by the newest block or an older one; none where there is none."""
        tag = "latest" if block is None else hex(block)
        return octets(self.transport.call("eth_getCode", where, tag), "code")

    def nonce(self, who: Address, tag: str) -> int:
        """How many transactions an address has sent, by the "latest" or the "pending" block."""
        return quantity(self.transport.call("eth_getTransactionCount", who, tag), "nonce", SMALL)

    def call(self, to: Address, data: bytes, block: int | None = None) -> bytes:
        """What a call of a contract returns, at the end of a block, or of the newest one."""
        where = "latest" if block is None else hex(block)
        return octets(
            self.transport.call("eth_call", {"to": to, "data": "0x" + data.hex()}, where), "result"
        )

    def simulate(self, message: dict[str, Any], tag: str = "pending") -> bytes:
        """What a transaction would return.

        Raises:
            NodeRefused: it would revert; ``data`` is what it leaves.
        """
        return octets(self.transport.call("eth_call", message, tag), "result")

    def estimate(self, message: dict[str, Any]) -> int:
        """The gas that a transaction needs.

        Raises:
            NodeRefused: it would revert; ``data`` is what it leaves.
        """
        return quantity(self.transport.call("eth_estimateGas", message), "gas estimate", SMALL)

    def tips(self, blocks: int) -> list[int]:
        """The median tip per gas of each of so many newest blocks, in wei."""
        try:
            history = self.transport.call("eth_feeHistory", hex(blocks), "latest", [50])
        except NodeRefused as refusal:
            if refusal.code in _NO_METHOD:
                return []
            raise
        rewards = field(history, "reward")
        if not isinstance(rewards, list):
            return []
        if not all(isinstance(each, list) and len(each) == 1 for each in rewards):
            raise malformed("fee history")
        return [quantity(each[0], "tip") for each in rewards]

    def send_raw(self, raw: bytes) -> None:
        """Hand a signed transaction to the node.

        Raises:
            NodeRefused: it does not take it.
            NetworkError: it may have it or not.
        """
        self.transport.send("eth_sendRawTransaction", "0x" + raw.hex())

    def inclusion(self, transaction: Digest) -> Inclusion | None:
        """Where a transaction stands, if a block holds it.

        Raises:
            NodeContradicts: the node tells of another one.
        """
        found = self.transport.call("eth_getTransactionReceipt", transaction)
        if found is None or field(found, "blockHash") is None:
            return None
        if digest(field(found, "transactionHash"), "receipt") != transaction:
            raise NodeContradicts(f"the node gave another receipt than that of {transaction}")
        return Inclusion(
            transaction=transaction,
            block=quantity(field(found, "blockNumber"), "receipt's block", SMALL),
            block_hash=digest(field(found, "blockHash"), "receipt's block"),
            succeeded=quantity(field(found, "status"), "receipt's status") == 1,
            gas_used=quantity(field(found, "gasUsed"), "receipt's gas", SMALL),
        )

    def _block(self, which: str) -> Block | None:
        found = self.transport.call("eth_getBlockByNumber", which, False)
        if found is None:
            return None
        base_fee = field(found, "baseFeePerGas")
        return Block(
            number=quantity(field(found, "number"), "block's number", SMALL),
            hash=digest(field(found, "hash"), "block's hash"),
            parent=digest(field(found, "parentHash"), "block's parent"),
            time=quantity(field(found, "timestamp"), "block's time", SMALL),
            base_fee=0 if base_fee is None else quantity(base_fee, "block's base fee"),
        )
