"""Reading a contract's history: in ranges, from where reading stopped, through reorganizations.

What counts is what stands as deep in the chain as the network's confirmations say. Each block that
was read up to is remembered by its hash; where the chain has another block in its place, everything
behind the last block in common is forgotten and read again.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import TypeVar

from danku.crypto.hashing import from_hex, keccak, to_hex
from danku.ledger.ethereum.cache import Cache
from danku.ledger.ethereum.calls import value_of
from danku.ledger.ethereum.chain import Block, Chain
from danku.ledger.ethereum.decoding import read
from danku.ledger.ethereum.errors import NodeContradicts, Reorganized
from danku.ledger.ethereum.history import Accepted, History
from danku.ledger.ethereum.logs import Log, Ranges
from danku.ledger.ethereum.network import Anchor, Network
from danku.ledger.ethereum.outcomes import check_outcome
from danku.protocol.state import State
from danku.protocol.types import Amount, Digest

ANCHORS = 256
"""Blocks that are remembered by hash."""
SAVED_BLOCKS = 1_000
"""Blocks without any action, after which how far was read is kept again."""
SAVED_RANGES = 10
_ATTEMPTS = 5

T = TypeVar("T")
Progress = Callable[[int, int], None]
"""Accepted the blocks that are read, and all there are to read."""


def quiet(_done: int, _total: int) -> None:
    """Progress that nobody looks at."""


class Reader:
    """The history of one contract, as one node tells it; of one thread at a time."""

    def __init__(
        self,
        chain: Chain,
        network: Network,
        *,
        cache: Cache | None = None,
        progress: Progress = quiet,
        observe: Callable[[State], None] = lambda state: None,
    ) -> None:
        """``observe`` is told of the state after each action that is read."""
        self._chain, self._network = chain, network
        self._cache, self._progress, self._observe = cache, progress, observe
        self._ranges = Ranges(chain, network.contract)
        self._anchors: list[Anchor] = []
        self._history = self._empty()
        self._latest: Block | None = None
        self._saved = -1
        self._load()

    def confirmed(self) -> History:
        """Everything that counts now."""
        return self._retried(self._read_confirmed)

    def newest(self) -> tuple[History, Block]:
        """Everything up to the newest block, though it may be undone yet; and that block."""

        def read() -> tuple[History, Block]:
            history, latest = self._read_confirmed(), self._latest
            assert latest is not None, "it was read up to some block"
            if latest.number <= self._tip:
                return history, latest
            ahead = history.copy()
            for _, logs in self._ranges.read(self._tip + 1, latest.number):
                self._add(ahead, logs)
            self._check_block(latest)
            return ahead, latest

        return self._retried(read)

    def _empty(self) -> History:
        network = self._network
        return History(network.chain_id, network.contract, network.registry)

    @property
    def _tip(self) -> int:
        """The last block that was read."""
        return self._anchors[-1].number if self._anchors else self._network.first_block - 1

    def _retried(self, read: Callable[[], T]) -> T:
        for _ in range(_ATTEMPTS - 1):
            try:
                return read()
            except Reorganized:
                self._latest = None
        try:
            return read()
        except Reorganized as error:
            raise NodeContradicts(error.what) from None

    def _read_confirmed(self) -> History:
        latest = self._chain.latest()
        if self._latest is not None and latest.hash == self._latest.hash:
            return self._history
        depth = latest.number - self._network.confirmations + 1
        self._forget_undone(depth)
        if depth > self._tip:
            self._read_until(latest if depth == latest.number else self._block(depth))
        self._latest = latest
        return self._history

    def _read_until(self, last: Block) -> None:
        first, count = self._tip + 1, len(self._history.told)
        for ranges, (end, logs) in enumerate(self._ranges.read(first, last.number), start=1):
            longer = self._history.copy()
            self._add(longer, logs)
            block = last if end == last.number else self._block(end)
            self._check_block(block)
            self._history = longer
            self._remember(block)
            if end < last.number or ranges > 1:
                self._progress(end - first + 1, last.number - first + 1)
            if ranges % SAVED_RANGES == 0:
                self._save()
        if len(self._history.told) > count or last.number >= self._saved + SAVED_BLOCKS:
            self._save()

    def _forget_undone(self, depth: int) -> None:
        """Forget what was read of blocks that are not in the chain any more."""
        anchors = self._anchors
        if anchors and anchors[-1].number <= depth and self._stands(anchors[-1]):
            return
        # NOTE: a block stands only on those before it, so the ones that stand come first.
        undone = bisect_left(anchors, True, key=lambda each: not self._stands(each, depth))
        if undone == len(anchors):
            return
        self._anchors = anchors[:undone]
        self._history = self._history.until(self._tip)
        self._saved = -1

    def _stands(self, anchor: Anchor, depth: int | None = None) -> bool:
        if depth is not None and anchor.number > depth:
            return False
        block = self._chain.block(anchor.number)
        return block is not None and block.hash == anchor.hash

    def _add(self, history: History, logs: list[Log]) -> None:
        block: Block | None = None
        for log in logs:
            if block is None or block.number != log.block:
                block = self._block(log.block)
            if block.hash != log.block_hash:
                raise Reorganized(f"block {log.block} is not the one that its logs name")
            self._apply(history, log, block)

    def _apply(self, history: History, log: Log, block: Block) -> None:
        found, before = read(log), history.state
        action = found.action
        told = Accepted(
            block=block.number,
            block_hash=block.hash,
            time=block.time,
            index=log.index,
            transaction=log.transaction,
            sender=found.told.sender,
            action=action,
            value=Amount(value_of(action, before)),
            beacon=found.told.beacon,
            beacon_block=found.told.beacon_block,
            log=to_hex(keccak(*map(from_hex, log.topics), log.data)),
        )
        history.add(told)
        check_outcome(found, told, before, history)
        self._observe(history.state)

    def _block(self, number: int) -> Block:
        found = self._chain.block(number)
        if found is None:
            raise Reorganized(f"the node has no block {number}, of which it told")
        return found

    def _check_block(self, block: Block) -> None:
        if self._block(block.number).hash != block.hash:
            raise Reorganized(f"block {block.number} changes while it is read")

    def _remember(self, block: Block) -> None:
        self._anchors = [*self._anchors, Anchor(block.number, block.hash)][-ANCHORS:]

    def _load(self) -> None:
        network = self._network
        kept = self._cache.load(network.chain_id, network.contract) if self._cache else None
        if kept is None:
            return
        try:
            self._history = History(network.chain_id, network.contract, network.registry, kept.told)
        except NodeContradicts:
            self._history = self._empty()
            return
        self._anchors, self._saved = kept.anchors, kept.anchors[-1].number

    def _save(self) -> None:
        if self._cache is not None:
            network, told = self._network, self._history.told
            self._cache.save(network.chain_id, network.contract, self._anchors, told)
            self._saved = self._tip


def entries(history: History, challenge: Digest | None) -> Iterator[int]:
    """The sequences of all actions, or of those about one challenge."""
    for sequence, told in enumerate(history.told, start=1):
        if challenge is None or history.about(told) == challenge:
            yield sequence
