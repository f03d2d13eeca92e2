"""The embedded store: a folder with one file for each blob, named by its CID."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from danku.errors import DankuError, DataError
from danku.storage.cid import READ_BYTES, CidHasher, check_cid, cid_of
from danku.storage.files import PARTIAL_PREFIX, TEMPORARY_PREFIX, NewFile, make_folder, sync_folder
from danku.storage.port import BlobTooLarge, Corrupt, NotFound, StoreUnusable

_LEFTOVER_SECONDS = 3_600


class EmbeddedStore:
    """A `danku.storage.port.Store` in ``folder``, which is created when something is put.

    Several processes may use one folder: a file appears under its CID whole or not at all.

    Args:
        durable: whether what is put outlives a power cut; a cache need not, since every read is
            checked and what is missing is fetched again.
    """

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        self.folder = folder
        self._durable = durable
        self._swept = False

    def put(self, data: bytes) -> str:
        """Keep the bytes; a blob that was corrupted before is mended by it."""
        cid = cid_of(data)
        with self.writing():
            if not self.is_intact(cid):
                with NewFile(self.folder) as incoming:
                    incoming.write(data)
                    incoming.keep(self.folder / cid, durable=self._durable)
        return cid

    def put_file(self, path: Path) -> str:
        """Keep the file's bytes; they are hashed while they are copied, so none can change."""
        with _source(path) as source, self.writing(), NewFile(self.folder) as incoming:
            hasher = CidHasher()
            for part in _parts(source, lambda error: _unreadable(path, error)):
                hasher.update(part)
                incoming.write(part)
            cid = hasher.cid()
            if not self.is_intact(cid):
                incoming.keep(self.folder / cid, durable=self._durable)
        return cid

    def get(self, cid: str, limit: int) -> bytes:
        """The blob's bytes, checked."""
        with self._opened(cid, limit) as blob:
            data = b"".join(self._parts_of(blob))
        self._check(cid, cid_of(data))
        return data

    def fetch(self, cid: str, target: Path, limit: int | None = None) -> None:
        """Write the blob to ``target``, replacing what was there once the bytes are checked."""
        folder = target.parent
        with (
            self._opened(cid, limit) as blob,
            _writing_to(folder),
            NewFile(folder) as incoming,
        ):
            hasher = CidHasher()
            for part in self._parts_of(blob):
                hasher.update(part)
                incoming.write(part)
            self._check(cid, hasher.cid())
            incoming.keep(target)

    def has(self, cid: str) -> bool:
        """Whether there is a file of this name."""
        path = self.folder / check_cid(cid)
        try:
            return stat.S_ISREG(os.lstat(path).st_mode)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise _unusable(self.folder, error) from error

    def files(self) -> list[Path]:
        """The blobs that are here, and what is left of unfinished downloads, by name."""
        names = ("baf*", PARTIAL_PREFIX + "*")
        return sorted(path for name in names for path in self.folder.glob(name))

    def adopt(self, path: Path, cid: str) -> None:
        """Take a file of this folder, in which the verified blob ``cid`` stands, as that blob."""
        with self.writing():
            try:
                path.replace(self.folder / cid)
            except FileNotFoundError:
                # NOTE: another process that fetched the same blob was quicker.
                if not self.is_intact(cid):
                    raise

    def is_intact(self, cid: str) -> bool:
        """Whether the blob is here and whole; reads all of it."""
        hasher = CidHasher()
        try:
            with self._opened(cid, None) as blob:
                for part in self._parts_of(blob):
                    hasher.update(part)
        except (NotFound, Corrupt):
            return False
        if hasher.cid() != cid:
            return False
        # NOTE: another process may have renamed the file just now and not yet synced the folder.
        sync_folder(self.folder)
        return True

    def _parts_of(self, blob: BinaryIO) -> Iterator[bytes]:
        return _parts(blob, lambda error: _unusable(self.folder, error))

    def _check(self, cid: str, found: str) -> None:
        if found != cid:
            raise self._corrupt(cid, f"the bytes there are those of {found}")

    def _corrupt(self, cid: str, why: str) -> Corrupt:
        path = self.folder / cid
        return Corrupt(
            f"the blob {cid} is corrupted",
            why=f"{why}: a disk fault, a broken merge, or somebody edited the file",
            fix=f"delete {path} and put or pull the blob again from another copy",
        )

    @contextmanager
    def _opened(self, cid: str, limit: int | None) -> Iterator[BinaryIO]:
        path = self.folder / check_cid(cid)
        try:
            status = os.lstat(path)
            # NOTE: a merge can bring anything under this name: links are not followed, pipes
            # and devices not opened.
            if not stat.S_ISREG(status.st_mode):
                raise self._corrupt(cid, "there is something other than a file")
            if limit is not None and status.st_size > limit:
                raise too_large(cid, status.st_size, limit)
            flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
            descriptor = os.open(path, flags)
        except FileNotFoundError:
            raise NotFound(
                f"the store has no blob {cid}",
                why=f"there is no such file in {self.folder}",
                fix="pull the workspace's public files again, or ask whoever published it",
            ) from None
        except OSError as error:
            raise _unusable(self.folder, error) from error
        with os.fdopen(descriptor, "rb") as blob:
            yield blob

    @contextmanager
    def writing(self) -> Iterator[None]:
        """The folder is there meanwhile; the system's errors become a `StoreUnusable`."""
        with _writing_to(self.folder):
            make_folder(self.folder)
            if not self._swept:
                self._sweep()
            yield

    def _sweep(self) -> None:
        """Remove what a killed process left behind."""
        self._swept = True
        for leftover in self.folder.glob(f"{TEMPORARY_PREFIX}*"):
            with suppress(FileNotFoundError):
                if time.time() - leftover.stat().st_mtime > _LEFTOVER_SECONDS:
                    leftover.unlink()


@contextmanager
def _writing_to(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _unusable(folder, error) from error


@contextmanager
def _source(path: Path) -> Iterator[BinaryIO]:
    try:
        source = path.open("rb")
    except OSError as error:
        raise _unreadable(path, error) from error
    with source:
        yield source


def _parts(file: BinaryIO, failure: Callable[[OSError], DankuError]) -> Iterator[bytes]:
    """The file's bytes; ``failure`` makes the error to raise of one that the system gives."""
    while True:
        try:
            part = file.read(READ_BYTES)
        except OSError as error:
            raise failure(error) from error
        if not part:
            return
        yield part


def _unreadable(path: Path, error: OSError) -> DataError:
    return DataError(
        f"{path} cannot be read", why=error.strerror or str(error), fix="check its name and mode"
    )


def _unusable(folder: Path, error: OSError) -> StoreUnusable:
    return StoreUnusable(
        f"the folder {folder} cannot be used",
        why=error.strerror or str(error),
        fix="check that it is a folder, its permissions, and the space left on the disk",
    )


def too_large(cid: str, size: int, limit: int) -> BlobTooLarge:
    """The refusal of a blob that is larger than its reader takes."""
    return BlobTooLarge(
        f"the blob {cid} has {size:,} bytes, and at most {limit:,} are taken here",
        why="whoever published it may not make readers use memory or disk without bound",
        fix="nothing on your side: whoever published it has to publish a smaller one",
    )
