"""Transactions: priced, signed, kept, sent, waited for, replaced where they are stuck.

In this order: the transaction that was left by an earlier command is seen to its end; the caller
checks the new one; its gas is estimated and the cost agreed to; it is signed and put on disk; then
it is sent, again whenever a block comes without it, and with higher fees after some such blocks.
It counts once it is as deep in the chain as the network's confirmations say.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from danku.crypto.hashing import keccak, to_hex
from danku.errors import Rejected
from danku.ledger.ethereum.chain import Block, Chain, Inclusion
from danku.ledger.ethereum.errors import (
    ExtraMissing,
    NetworkError,
    NodeRefused,
    NotIncluded,
    Replaced,
)
from danku.ledger.ethereum.fees import HISTORY_BLOCKS, Fees, offer, raised
from danku.ledger.ethereum.network import Network
from danku.ledger.ethereum.outbox import Outbox, Signed, Unsigned, Waiting
from danku.protocol.types import Address, Digest

if TYPE_CHECKING:
    from danku.crypto.signatures import PrivateKey

PATIENCE_BLOCKS = 3
"""Blocks without a transaction, before it is replaced."""
GAS_MARGIN = (6, 5)
"""What others do before it is included may make it dearer than the estimate."""
TAKEN_LOOKS = 20
"""At a nonce that is used, before it counts as used by something else: receipts may lag."""
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 3.0
"""Seconds between two looks at the chain."""

_NOT_TAKEN = (
    *("insufficient funds", "underpriced", "less than block base fee", "intrinsic gas"),
    *("exceeds block gas limit", "exceeds the configured cap", "gas limit too high"),
)
"""What nodes say of a transaction that they have not taken; after anything else they may have."""


@dataclass(frozen=True)
class Quote:
    """What a transaction would cost."""

    what: str
    gas: int
    """As the node estimates."""
    fees: Fees
    base_fee: int
    value: int
    """What it carries in the chain's own coin, in wei."""
    ceiling: int
    """Wei that all its gas costs at the very most, replacements included."""

    @property
    def expected(self) -> int:
        """Wei that its gas costs if it is included at once."""
        return self.gas * min(self.base_fee + self.fees.tip, self.fees.most)


Approve = Callable[[Quote], None]
"""Raises what ends the command where somebody does not agree to a cost."""


@dataclass(frozen=True)
class Message:
    """What a transaction says."""

    what: str
    """For people, such as "submit"."""
    to: Address | None
    """None creates a contract."""
    data: bytes
    value: int = 0


def purpose_of(sender: Address, *parts: bytes) -> Digest:
    """What tells a transaction from others of its sender, whatever data it is made of."""
    both = (sender.encode(), *parts)
    return to_hex(keccak(*(len(part).to_bytes(8, "big") + part for part in both)))


class Failed(Exception):
    """A block holds the transaction, and the contract refused it."""

    def __init__(self, inclusion: Inclusion) -> None:
        super().__init__(inclusion.transaction)
        self.inclusion = inclusion


class Sender:
    """Sends with keys on one network; of one thread at a time."""

    def __init__(
        self,
        chain: Chain,
        network: Network,
        folder: Path,
        *,
        approve: Approve,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``folder`` is private, and of this network alone."""
        self._chain, self._network, self._folder = chain, network, folder
        self._approve, self._sleep, self._clock = approve, sleep, clock

    def send(self, key: PrivateKey, purpose: Digest, build: Callable[[], Message]) -> Inclusion:
        """Have a message in a block, deep enough.

        ``build`` checks and makes a new one. It is not called where an earlier command, whatever
        ended it, left a transaction of the same purpose: that one is seen through.

        Raises:
            Failed: it is in a block, and was refused there.
            NodeRefused: the node would not estimate or take it; it will not be in a block.
            NotIncluded: it was sent, and may be in a block later.
            Replaced: another transaction has its nonce.
            FeesTooHigh: the chain asks for more than the caps allow.
            StorageError: it could not be kept, or no node answers.
        """
        outbox = Outbox(self._folder, self._network.chain_id, key.address)
        with outbox.held():
            left = outbox.load()
            if left is not None:
                inclusion = self._settled(key, outbox, left)
                if inclusion is not None and left.purpose == purpose:
                    return inclusion
            message = build()
            waiting = self._sign(key, purpose, message)
            outbox.keep(waiting)
            self._broadcast_new(outbox, waiting)
            inclusion = self._see_through(key, outbox, waiting)
            if inclusion is None:
                raise Replaced(
                    f"another transaction of {key.address} has the nonce of this {message.what}",
                    why="the key was used by something else at the same time",
                    fix="danku status shows what counts; then run the command again if it is due",
                )
            return inclusion

    def _settled(self, key: PrivateKey, outbox: Outbox, left: Waiting) -> Inclusion | None:
        """See what an earlier command left to its end; None if nothing came of it."""
        self._send_again(left)
        try:
            return self._see_through(key, outbox, left)
        except Failed:
            return None

    def _sign(self, key: PrivateKey, purpose: Digest, message: Message) -> Waiting:
        sender, chain = key.address, self._chain
        call = _call(sender, message)
        gas = chain.estimate(call)
        latest = chain.latest()
        fees = offer(latest.base_fee, chain.tips(HISTORY_BLOCKS), self._network)
        limit = gas * GAS_MARGIN[0] // GAS_MARGIN[1]
        ceiling = limit * max(fees.most, self._network.max_fee)
        quote = Quote(message.what, gas, fees, latest.base_fee, message.value, ceiling)
        self._check_funds(sender, message, limit * fees.most)
        self._approve(quote)
        unsigned = Unsigned(
            chain_id=self._network.chain_id,
            nonce=chain.nonce(sender, "pending"),
            to=message.to,
            data="0x" + message.data.hex(),
            value=str(message.value),
            gas=limit,
        )
        version = signed(key, unsigned, fees)
        return Waiting(sender, purpose, message.what, unsigned, (version,))

    def _check_funds(self, sender: Address, message: Message, cost: int) -> None:
        has, needed = self._chain.balance(sender), message.value + cost
        if needed > has:
            raise Rejected(
                "InsufficientBalance",
                f"the {message.what} takes {message.value} wei and up to {cost} wei for its gas, "
                f"but {sender} has {has} wei",
                why="a transaction carries and pays no more than its sender has",
                fix=f"send some of the chain's coin to {sender}",
            )

    def _broadcast_new(self, outbox: Outbox, waiting: Waiting) -> None:
        try:
            self._chain.send_raw(bytes.fromhex(waiting.versions[-1].raw[2:]))
        except NodeRefused as refusal:
            if _is_not_taken(refusal):
                outbox.clear()
                raise
        except NetworkError:
            return  # it may have arrived; the waiting finds out, and sends it again

    def _see_through(self, key: PrivateKey, outbox: Outbox, waiting: Waiting) -> Inclusion | None:
        """Wait until it is deep enough in the chain; None if another one took its nonce.

        Raises:
            Failed: it was refused in its block.
            NotIncluded: it is in none yet.
        """
        began, pause, taken = self._clock(), FIRST_PAUSE, 0
        seen = since = self._chain.latest().number
        while True:
            latest = self._chain.latest()
            inclusion = self._included(waiting)
            if inclusion is not None and self._is_deep(inclusion, latest):
                outbox.clear()
                if not inclusion.succeeded:
                    raise Failed(inclusion)
                return inclusion
            taken = taken + 1 if inclusion is None and self._is_taken(waiting, latest) else 0
            if taken == TAKEN_LOOKS:
                outbox.clear()
                return None
            if self._clock() - began > self._network.wait_seconds:
                raise self._not_included(waiting, inclusion)
            if inclusion is None and latest.number > seen:
                if latest.number - since >= PATIENCE_BLOCKS:
                    waiting, since = self._replace(key, outbox, waiting, latest), latest.number
                self._send_again(waiting)
            seen = latest.number
            self._sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)

    def _included(self, waiting: Waiting) -> Inclusion | None:
        for version in reversed(waiting.versions):
            found = self._chain.inclusion(version.transaction)
            if found is not None:
                return found
        return None

    def _is_deep(self, inclusion: Inclusion, latest: Block) -> bool:
        if latest.number - inclusion.block + 1 < self._network.confirmations:
            return False
        block = self._chain.block(inclusion.block)
        return block is not None and block.hash == inclusion.block_hash

    def _is_taken(self, waiting: Waiting, latest: Block) -> bool:
        """Whether the nonce was used by another transaction, as deep as confirmations say."""
        depth = max(0, latest.number - self._network.confirmations + 1)
        return self._chain.nonce(waiting.sender, hex(depth)) > waiting.unsigned.nonce

    def _send_again(self, waiting: Waiting) -> None:
        try:
            self._chain.send_raw(bytes.fromhex(waiting.versions[-1].raw[2:]))
        except NetworkError:
            return  # the node has it, or took an earlier version; the chain tells

    def _replace(self, key: PrivateKey, outbox: Outbox, waiting: Waiting, latest: Block) -> Waiting:
        tips = self._chain.tips(HISTORY_BLOCKS)
        fees = raised(waiting.versions[-1].fees, latest.base_fee, tips, self._network)
        if fees is None:
            return waiting
        waiting = replace(
            waiting, versions=(*waiting.versions, signed(key, waiting.unsigned, fees))
        )
        outbox.keep(waiting)
        return waiting

    def _not_included(self, waiting: Waiting, inclusion: Inclusion | None) -> NotIncluded:
        newest = waiting.versions[-1].transaction
        where = "no block holds it" if inclusion is None else "it is not deep enough in the chain"
        return NotIncluded(
            f"the {waiting.what} {newest} was sent {self._network.wait_seconds} s ago, and {where}",
            why="the chain is slow, or asks for more than the network's caps allow",
            fix="run the command again: it goes on waiting and sends nothing twice; "
            "max_fee_gwei in danku.toml allows for more",
        )


def signed(key: PrivateKey, unsigned: Unsigned, fees: Fees) -> Signed:
    """Sign a version of a transaction (EIP-1559; the chain's id is in it).

    Raises:
        ExtraMissing: the packages for Ethereum are not installed.
    """
    try:
        from eth_account.typed_transactions.typed_transaction import TypedTransaction
    except ImportError:
        raise ExtraMissing("web3") from None
    from danku.crypto.signatures import checksum_address

    fields: dict[str, Any] = {
        "type": 2,
        "chainId": unsigned.chain_id,
        "nonce": unsigned.nonce,
        "maxFeePerGas": fees.most,
        "maxPriorityFeePerGas": fees.tip,
        "gas": unsigned.gas,
        "value": int(unsigned.value),
        "data": unsigned.data,
    }
    if unsigned.to is not None:
        fields["to"] = checksum_address(unsigned.to)
    signature = key.sign_recoverable(bytes(TypedTransaction.from_dict(fields).hash()))
    r, s = (int.from_bytes(signature[start : start + 32], "big") for start in (0, 32))
    raw = TypedTransaction.from_dict({**fields, "v": signature[64], "r": r, "s": s}).encode()
    return Signed(to_hex(keccak(raw)), to_hex(raw), str(fees.most), str(fees.tip))


def _call(sender: Address, message: Message) -> dict[str, str]:
    call = {"from": sender, "data": "0x" + message.data.hex(), "value": hex(message.value)}
    if message.to is not None:
        call["to"] = message.to
    return call


def _is_not_taken(refusal: NodeRefused) -> bool:
    return any(reason in refusal.message.lower() for reason in _NOT_TAKEN)
