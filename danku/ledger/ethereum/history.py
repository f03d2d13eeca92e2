"""What a contract accepted, action by action, added up by the rules of `danku.protocol` alone.

Nothing that a node says of a state is taken over: it tells which actions were accepted, and when;
what follows from them is worked out here, as on every other ledger.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Annotated

import msgspec

from danku.crypto.hashing import abi_digest, from_hex, keccak, to_hex
from danku.errors import Rejected
from danku.ledger.ethereum.errors import NodeContradicts
from danku.ledger.port import Entry
from danku.protocol.actions import Action, Create, Draw
from danku.protocol.draw import challenge_id
from danku.protocol.manifest import Record
from danku.protocol.rules import apply
from danku.protocol.state import Context, Registry, State
from danku.protocol.terms import RegistryTerms
from danku.protocol.types import Address, Amount, Digest

_Count = Annotated[int, msgspec.Meta(ge=0, lt=2**48)]


class Accepted(Record):
    """An action that the contract accepted, and the log that tells of it."""

    block: _Count
    block_hash: Digest
    time: _Count
    """Of the block, in seconds since the epoch."""
    index: _Count
    """The log's place in the block."""
    transaction: Digest
    sender: Address
    action: Action
    value: Amount
    beacon: Digest | None
    """The public randomness that the contract saw."""
    beacon_block: _Count
    """Whose hash will be the beacon of what `create` made; else 0."""
    log: Digest
    """keccak of the log's topics and data."""


class History:
    """The accepted actions up to some block, and the state that they lead to."""

    def __init__(
        self,
        chain_id: int,
        contract: Address,
        registry: RegistryTerms | None,
        told: Iterable[Accepted] = (),
    ) -> None:
        """Begin with nothing, or with actions that were told before.

        Raises:
            NodeContradicts: the rules refuse one of them.
        """
        self._registry = registry
        self.told: list[Accepted] = []
        self.state = State(chain_id, contract, Registry(registry) if registry else None)
        genesis = abi_digest("ethereum-history", ("uint256", "address"), (chain_id, contract))
        self.heads = [to_hex(genesis)]
        """What the history hashes to: empty, and after each action."""
        self.nonces = Counter[Address]()
        self.beacon_blocks: dict[Digest, int] = {}
        """Of each challenge, the block whose hash is its beacon; 0 where it needs none."""
        for each in told:
            self.add(each)

    @property
    def head(self) -> Digest:
        """What the whole history hashes to."""
        return self.heads[-1]

    @property
    def time(self) -> int:
        """Of the newest action; 0 where there is none."""
        return self.told[-1].time if self.told else 0

    def add(self, told: Accepted) -> None:
        """Apply one more action.

        Raises:
            NodeContradicts: the rules refuse it, so the contract cannot have accepted it.
        """
        where = f"log {told.index} of block {told.block}"
        if told.time < self.time:
            raise NodeContradicts(f"{where} is older than the one before it")
        context = Context(told.sender, told.time, int(told.value), told.beacon)
        try:
            self.state = apply(self.state, told.action, context)
        except Rejected as refusal:
            raise NodeContradicts(
                f"{where} tells of an action that the rules refuse: {refusal.rule}, {refusal.what}",
                why="the node lies, or the contract is not danku's",
            ) from None
        parts = (self.head, told.block_hash, told.transaction, told.log)
        self.heads.append(to_hex(keccak(*map(from_hex, parts), told.index.to_bytes(8, "big"))))
        self.nonces[told.sender] += 1
        self.told.append(told)
        if isinstance(told.action, Create):
            identity = self._created(told.sender, told.action)
            self.beacon_blocks[identity] = told.beacon_block

    def until(self, block: int) -> History:
        """A history of its own of all actions up to a block."""
        kept = (each for each in self.told if each.block <= block)
        return History(self.state.chain_id, self.state.ledger, self._registry, kept)

    def copy(self) -> History:
        """A history of its own that goes on from here."""
        twin = History(self.state.chain_id, self.state.ledger, self._registry)
        twin.told, twin.state, twin.heads = [*self.told], self.state, [*self.heads]
        twin.nonces, twin.beacon_blocks = self.nonces.copy(), {**self.beacon_blocks}
        return twin

    def later(self, head: Digest) -> int:
        """How many actions came after a head that was noted.

        Raises:
            NodeContradicts: it is none of this history's heads.
        """
        if head not in self.heads:
            raise NodeContradicts(
                f"none of the {len(self.told)} actions that the node tells leads to {head}",
                why="the chain was reorganized deeper than confirmations allow for, the node lies, "
                "or the head is of another network",
                fix="ask another node, and others for the head that they noted",
            )
        return len(self.told) - self.heads.index(head)

    def beacons(self) -> dict[Digest, Digest]:
        """The public randomness that the draws of challenges saw."""
        return {
            told.action.challenge: told.beacon
            for told in self.told
            if isinstance(told.action, Draw) and told.beacon is not None
        }

    def entry(self, sequence: int) -> Entry:
        """An action as every ledger tells it; the first one has the sequence 1."""
        told = self.told[sequence - 1]
        return Entry(
            sequence=sequence,
            time=told.time,
            digest=told.transaction,
            sender=told.sender,
            action=told.action,
            value=int(told.value),
            beacon=told.beacon,
        )

    def about(self, told: Accepted) -> Digest | None:
        """The challenge that an action is about."""
        if isinstance(told.action, Create):
            return self._created(told.sender, told.action)
        return getattr(told.action, "challenge", None)

    def _created(self, sender: Address, action: Create) -> Digest:
        return challenge_id(self.state.chain_id, self.state.ledger, sender, action.nonce)
