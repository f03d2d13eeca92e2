"""Fetching a blob from whoever has it: block by block, each hashed before it is written.

1. The root block tells the blob's size; a blob above the limit is refused here.
2. Every node must be the one that a file of its size has there (`danku.storage.dag`).
3. Every leaf is hashed, then written to its place in a `PartialBlob`; what is there stays.
4. When every leaf is there, the file gets the blob's name.

Sources are asked in order. One that lacks a block is passed over, one that fails is asked again,
one that lies is not asked any more.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from typing import NoReturn, TypeVar

from danku.storage.dag import Piece, children, is_block, root_piece
from danku.storage.embedded import EmbeddedStore, too_large
from danku.storage.partial import PartialBlob, write_leaf
from danku.storage.port import NotRetrieved, StoreUnusable
from danku.storage.source import Absent, Failed, Lied, Patience, Source, SourceFault, TooSlow, paced

T = TypeVar("T")

WORKERS = 8
RUN_LEAVES = 32
"""How many leaves, of 256 KiB each, one worker asks one source for."""

REST_SECONDS = 30.0
"""How long a source is left alone that fails again and again."""

Report = Callable[[int, int], None]
"""Called with how many bytes are there, and how many there will be."""


@dataclass
class Sources:
    """The places where blobs are looked for, in order, and what is known of them."""

    order: Sequence[Source]
    patience: Patience
    faults: dict[str, tuple[float, SourceFault]] = field(default_factory=dict)
    """Those that are not asked until a moment by `time.monotonic`, and why."""

    def ahead(self, first: Source | None) -> list[Source]:
        """Those to ask: the one that has served this blob before, then the others."""
        now = time.monotonic()
        usable = [each for each in self.order if self.faults.get(each.name, (0.0,))[0] <= now]
        return sorted(usable, key=lambda source: source is not first)

    def rest(self, source: Source, fault: SourceFault) -> None:
        """Ask it no more: never if it lied, for a while if it fails."""
        pause = float("inf") if isinstance(fault, Lied) else REST_SECONDS
        self.faults[source.name] = time.monotonic() + pause, fault


class Download:
    """One blob on its way into ``cache``.

    Args:
        until: the moment, by `time.monotonic`, after which the blob counts as not to be had.
        cancelled: set by whoever has no use for the blob any more.
    """

    def __init__(
        self,
        cid: str,
        cache: EmbeddedStore,
        sources: Sources,
        *,
        limit: int | None,
        until: float = float("inf"),
        report: Report = lambda done, total: None,
        cancelled: threading.Event | None = None,
    ) -> None:
        self._cid = cid
        self._cache = cache
        self._sources = sources
        self._limit = limit
        self._until = until
        self._report = report
        self._server: Source | None = None
        self._stopped = threading.Event()
        self._cancelled = cancelled or threading.Event()
        self._lock = threading.Lock()
        self._done = 0

    def run(self) -> None:
        """Fetch it; the cache has it afterwards.

        Raises:
            NotRetrieved: nobody gave it in time.
            BlobTooLarge, ForeignFile: it is not one that can be taken.
            StoreUnusable: no source works, or the cache cannot be written.
        """
        block = self._block(self._cid)
        root = root_piece(self._cid, block)
        if self._limit is not None and root.size > self._limit:
            raise too_large(self._cid, root.size, self._limit)
        if root.depth == 0:
            self._cache.put(block)
            return
        leaves = self._leaves(root, block)
        with self._cache.writing():
            begun = PartialBlob(self._cache.folder, self._cid)
            missing = begun.missing(leaves)
            self._done = root.size - sum(leaf.size for leaf in missing)
            self._report(self._done, root.size)
            with begun.writing(root.size) as descriptor:
                self._gather(missing, lambda leaf, data: self._keep(descriptor, leaf, data, root))
            self._cache.adopt(begun.path, self._cid)

    def _leaves(self, root: Piece, block: bytes) -> list[Piece]:
        level = children(root, block)
        while level and level[0].depth:
            blocks = self._parallel([partial(self._block, piece.cid) for piece in level])
            level = [
                child
                for piece, data in zip(level, blocks, strict=True)
                for child in children(piece, data)
            ]
        return level

    def _keep(self, descriptor: int, leaf: Piece, data: bytes, root: Piece) -> None:
        write_leaf(descriptor, leaf, data)
        with self._lock:
            self._done += leaf.size
            self._report(self._done, root.size)

    def _gather(self, missing: Sequence[Piece], keep: Callable[[Piece, bytes], None]) -> None:
        self._parallel([partial(self._run, run, keep) for run in _runs(missing)])

    def _parallel(self, tasks: Sequence[Callable[[], T]]) -> list[T]:
        """The results in order; the first error stops the others."""
        with ThreadPoolExecutor(WORKERS, "danku-download") as pool:
            futures = [pool.submit(task) for task in tasks]
            try:
                done, _ = wait(futures, return_when=FIRST_EXCEPTION)
                for future in done:
                    if (error := future.exception()) is not None:
                        raise error
                return [future.result() for future in futures]
            except BaseException:
                self._stopped.set()
                for future in futures:
                    future.cancel()
                raise

    def _block(self, cid: str) -> bytes:
        found: list[bytes] = []

        def blocks(source: Source) -> Iterator[tuple[str, bytes]]:
            yield cid, source.block(cid)

        def take(data: bytes) -> bool:
            found.append(data)
            return True

        self._ask(blocks, take)
        return found[0]

    def _run(self, run: Sequence[Piece], keep: Callable[[Piece, bytes], None]) -> None:
        left = list(run)

        def blocks(source: Source) -> Iterator[tuple[str, bytes]]:
            wanted = list(left)
            for leaf, data in zip(wanted, source.run(self._cid, wanted), strict=False):
                yield leaf.cid, data

        def take(data: bytes) -> bool:
            keep(left.pop(0), data)
            return not left

        self._ask(blocks, take)

    def _ask(
        self,
        blocks: Callable[[Source], Iterator[tuple[str, bytes]]],
        take: Callable[[bytes], bool],
    ) -> None:
        """Hand verified blocks to ``take``, from one source after the other, until it says so."""
        faults: dict[str, SourceFault] = {}
        for source in self._sources.ahead(self._server):
            try:
                self._insist(source, blocks, take)
                return
            except SourceFault as fault:
                faults[source.name] = fault
                if isinstance(fault, Failed | Lied):
                    self._sources.rest(source, fault)
            if self._late():
                break
        self._give_up(faults)

    def _insist(
        self,
        source: Source,
        blocks: Callable[[Source], Iterator[tuple[str, bytes]]],
        take: Callable[[bytes], bool],
    ) -> None:
        """Ask a source that fails a few times again; what it gives in between counts anew."""
        patience, failures = self._sources.patience, 0

        def taken(data: bytes) -> bool:
            nonlocal failures
            failures = 0
            return take(data)

        while True:
            try:
                self._take_from(source, blocks, taken)
                return
            except Failed:
                failures += 1
                if failures >= patience.attempts or self._late():
                    raise
            self._stopped.wait(patience.pause * 2 ** (failures - 1))

    def _take_from(
        self,
        source: Source,
        blocks: Callable[[Source], Iterator[tuple[str, bytes]]],
        take: Callable[[bytes], bool],
    ) -> None:
        given = paced(
            lambda: blocks(source),
            self._sources.patience.block,
            self._until,
            lambda: self._stopped.is_set() or self._cancelled.is_set(),
        )
        for cid, data in given:
            if not is_block(cid, data):
                raise Lied(f"it gave other bytes than the block {cid}")
            self._server = source
            if take(data):
                return
        raise Failed("it gave fewer blocks than it was asked for")

    def _late(self) -> bool:
        return time.monotonic() >= self._until

    def _give_up(self, faults: dict[str, SourceFault]) -> NoReturn:
        """Say that nobody has the blob, or that nobody could be asked.

        NOTE: a reader may hold it against a publisher that a blob cannot be had, but not that
        the reader's own sources are down or lie.
        """
        resting = {name: fault for name, (_, fault) in self._sources.faults.items()}
        told = "; ".join(f"{name}: {fault}" for name, fault in {**resting, **faults}.items())
        testify = {source.name for source in self._sources.order if source.testifies}
        if any(name in testify and isinstance(f, Absent | TooSlow) for name, f in faults.items()):
            raise NotRetrieved(
                f"nobody gave the blob {self._cid}",
                why=told,
                fix="ask whoever published it to serve it, or name more peers or gateways "
                "with `danku storage use`",
            )
        raise StoreUnusable(
            f"the blob {self._cid} could not be asked for: no source works",
            why=told or "no node and no gateway is set",
            fix="danku storage status shows what each source says",
        )


def _runs(leaves: Sequence[Piece]) -> list[list[Piece]]:
    """The leaves in stretches without a gap, of at most `RUN_LEAVES`."""
    runs: list[list[Piece]] = []
    for leaf in leaves:
        last = runs[-1] if runs else None
        if (
            last is not None
            and len(last) < RUN_LEAVES
            and last[-1].offset + last[-1].size == leaf.offset
        ):
            last.append(leaf)
        else:
            runs.append([leaf])
    return runs
