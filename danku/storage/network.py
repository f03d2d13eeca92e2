"""A store that looks beyond its own folder: an own IPFS node, peers' nodes, and gateways."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from danku.errors import DankuError, DataError
from danku.storage.cid import check_cid
from danku.storage.dag import Piece
from danku.storage.download import REST_SECONDS, Download, Sources
from danku.storage.embedded import EmbeddedStore
from danku.storage.gateway import Gateway
from danku.storage.node import Node
from danku.storage.pins import Pins
from danku.storage.port import (
    BlobTooLarge,
    Corrupt,
    ForeignFile,
    NotFound,
    NotRetrieved,
    StoreUnusable,
)
from danku.storage.source import Failed, Patience

T = TypeVar("T")

BLOBS_AT_ONCE = 8
_UNTAKEN = (BlobTooLarge, ForeignFile, DataError)


class OwnNode:
    """What one's own node has: a `danku.storage.source.Source`."""

    name = "own node"
    testifies = False

    def __init__(self, node: Node, patience: Patience) -> None:
        self._node = node
        self._seconds = min(patience.connection, patience.block)

    def block(self, cid: str) -> bytes:
        """See there."""
        return self._node.block(cid, offline=True, seconds=self._seconds)

    def run(self, root: str, leaves: Sequence[Piece]) -> Iterator[bytes]:
        """See there."""
        return self._node.leaves(root, leaves, offline=True, seconds=self._seconds)


class PeersNodes:
    """What one's own node finds at others, first of all at ``peers``: a source."""

    name = "peers' nodes"

    def __init__(self, node: Node, peers: Sequence[str], patience: Patience) -> None:
        self._node = node
        self._peers = peers
        self._seconds = patience.block
        self._lock = threading.Lock()
        self._connected = False
        self._failed = (float("-inf"), "")

    @property
    def testifies(self) -> bool:
        """Whether there was somebody to ask."""
        return self._connected

    def block(self, cid: str) -> bytes:
        """See there."""
        self._connect()
        return self._node.block(cid, offline=False, seconds=self._seconds)

    def run(self, root: str, leaves: Sequence[Piece]) -> Iterator[bytes]:
        """See there."""
        self._connect()
        return self._node.leaves(root, leaves, offline=False, seconds=self._seconds)

    def _connect(self) -> None:
        """Make sure that there is somebody to ask.

        NOTE: a node that knows nobody would find nothing, whoever serves it.
        """
        with self._lock:
            when, why = self._failed
            if not self._connected and time.monotonic() - when > REST_SECONDS:
                why = self._reach_others()
                self._failed = time.monotonic(), why
            if not self._connected:
                raise Failed(why)

    def _reach_others(self) -> str:
        why = "the own node is connected to no other node"
        try:
            for address in self._peers:
                try:
                    self._node.connect(address)
                except StoreUnusable as error:
                    why += f"; {address}: {error.why}"
            self._connected = self._node.peers() > 0
        except StoreUnusable as error:
            return error.why
        return why


class NetworkStore:
    """A `danku.storage.port.Store` over ``cache``, which holds what was put and fetched.

    Args:
        cache: the folder of what was fetched; blobs that are put go to ``folder`` if there is
            no node, else here.
        folder: the folder that the workspace shares, where blobs may be as well.
        node: what is put is added to and pinned by it; None where gateways only serve for reading.
        pins: which pins of the node are ours.
    """

    def __init__(
        self,
        cache: EmbeddedStore,
        folder: EmbeddedStore,
        node: Node | None,
        sources: Sources,
        pins: Pins,
    ) -> None:
        self.cache = cache
        self.folder = folder
        self.node = node
        self.sources = sources
        self.pins = pins
        self._until = float("inf")
        self._lost: dict[str, NotRetrieved] | None = None

    def put(self, data: bytes) -> str:
        """Keep the bytes here, and have the node serve them."""
        return self._published(self._own.put(data))

    def put_file(self, path: Path) -> str:
        """Keep the file's bytes here, and have the node serve them."""
        return self._published(self._own.put_file(path))

    def get(self, cid: str, limit: int) -> bytes:
        """The blob, wherever it is."""
        return self._with_blob(cid, limit, lambda store: store.get(cid, limit))

    def fetch(self, cid: str, target: Path, limit: int | None = None) -> None:
        """Write the blob to a file, wherever it is."""
        self._with_blob(cid, limit, lambda store: store.fetch(cid, target, limit))

    def has(self, cid: str) -> bool:
        """Whether it is here, or kept by the own node."""
        if self.cache.has(cid) or self.folder.has(cid):
            return True
        return self.node is not None and self.node.is_pinned(cid)

    def obtain(
        self, cid: str, limit: int | None, report: Callable[[int, int], None] = lambda *_: None
    ) -> None:
        """Have the blob in the cache or the shared folder; goes on where it stopped before.

        Raises:
            NotRetrieved, ForeignFile, BlobTooLarge, StoreUnusable: see `danku.storage.port`.
        """
        self._obtain(cid, limit, report, threading.Event())

    def _obtain(
        self,
        cid: str,
        limit: int | None,
        report: Callable[[int, int], None],
        cancelled: threading.Event,
    ) -> None:
        check_cid(cid)
        if self.is_here(cid):
            return
        lost = self._lost
        if lost is not None and cid in lost:
            raise lost[cid]
        try:
            Download(
                cid,
                self.cache,
                self.sources,
                limit=limit,
                until=self._until,
                report=report,
                cancelled=cancelled,
            ).run()
        except NotRetrieved as error:
            if lost is not None:
                lost[cid] = error
            raise

    def obtain_all(
        self, cids: Sequence[str], limit: int, report: Callable[[int, int], None]
    ) -> None:
        """`obtain` of many blobs, several at a time; the first error ends it."""
        for error in self._obtained(cids, limit, report):
            if error is not None:
                raise error

    def obtain_each(
        self, cids: Sequence[str], limit: int, report: Callable[[int, int], None]
    ) -> dict[str, NotRetrieved]:
        """`obtain` of many blobs, several at a time; those that were not to be had.

        One that cannot be taken for what it is (too large, a foreign file, no CID) is passed over.

        Raises:
            StoreUnusable: no source works.
        """
        wanted, lost = list(dict.fromkeys(cids)), {}
        for cid, error in zip(wanted, self._obtained(wanted, limit, report), strict=True):
            if isinstance(error, NotRetrieved):
                lost[cid] = error
            elif error is not None and not isinstance(
                error, BlobTooLarge | ForeignFile | DataError
            ):
                raise error
        return lost

    def _obtained(
        self, cids: Sequence[str], limit: int, report: Callable[[int, int], None]
    ) -> Iterator[DankuError | None]:
        """What went wrong with each blob, in order."""

        def attempt(cid: str) -> DankuError | None:
            try:
                self._obtain(cid, limit, lambda done, total: None, cancelled)
            except DankuError as error:
                return error
            return None

        wanted, cancelled = list(dict.fromkeys(cids)), threading.Event()
        report(0, len(wanted))
        with ThreadPoolExecutor(BLOBS_AT_ONCE, "danku-blobs") as pool:
            futures = [pool.submit(attempt, cid) for cid in wanted]
            try:
                for done, future in enumerate(futures, start=1):
                    yield future.result()
                    report(done, len(wanted))
            finally:
                cancelled.set()
                for future in futures:
                    future.cancel()

    def keep(self, cid: str) -> bool:
        """Have the node pin and serve a blob that is here; whether it did not before."""
        if self.node is None or self.node.is_pinned(cid):
            return False
        self.pins.note(cid)
        self.node.add(self._place(cid), cid)
        return True

    @contextmanager
    def for_seconds(self, seconds: float) -> Iterator[None]:
        """Within it, a blob that is not there after so many seconds counts as not to be had.

        A blob that was not to be had once is not looked for again meanwhile.
        """
        self._until, self._lost = time.monotonic() + seconds, {}
        try:
            yield
        finally:
            self._until, self._lost = float("inf"), None

    @property
    def gateways(self) -> list[Gateway]:
        """The gateways among the sources."""
        return [source for source in self.sources.order if isinstance(source, Gateway)]

    @property
    def _own(self) -> EmbeddedStore:
        return self.folder if self.node is None else self.cache

    def _published(self, cid: str) -> str:
        if self.node is not None:
            if not self.pins.has(cid) and not self.node.is_pinned(cid):
                self.pins.note(cid)
            self.node.add(self.cache.folder / cid, cid)
        return cid

    def _place(self, cid: str) -> Path:
        store = self.cache if self.cache.has(cid) else self.folder
        return store.folder / cid

    def is_here(self, cid: str) -> bool:
        """Whether the blob is in the cache or the shared folder, whole and right."""
        return self.cache.is_intact(cid) or self.folder.is_intact(cid)

    def _with_blob(self, cid: str, limit: int | None, read: Callable[[EmbeddedStore], T]) -> T:
        for store in (self.cache, self.folder):
            try:
                return read(store)
            except (NotFound, Corrupt):
                continue
        self.obtain(cid, limit)
        return read(self.cache)
