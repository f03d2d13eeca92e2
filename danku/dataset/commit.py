"""Commits to a data set: writes its groups, one after the other, and hashes each with a nonce."""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from danku.crypto.hashing import DIGEST_BYTES
from danku.crypto.merkle import hash_leaf
from danku.dataset.groups import GROUP_BYTES, encode_group
from danku.dataset.private import GroupCommitment, GroupsFile
from danku.dataset.table import Array, Table, release, row_bytes
from danku.errors import DataError, StorageError
from danku.storage.files import make_folder, sync_folder

BATCH_BYTES = 64 * 2**20
"""How many bytes of rows are gathered at a time, at least one group."""

WINDOW_BYTES = 32 * 2**20
"""How much of a memory-mapped source is mapped at a time."""

_APPENDS_AHEAD = 2


class GroupTooLarge(DataError):
    """A group would be larger than readers take."""


class GroupsExist(DataError):
    """The folder holds groups already, which some commitment may depend on."""


def commit_groups(
    table: Table,
    plan: Sequence[NDArray[np.int64]],
    folder: Path,
    *,
    nonces: Callable[[], bytes],
    progress: Callable[[int, int], None] | None = None,
) -> list[GroupCommitment]:
    """Write all groups and nonces into the private ``folder``; return what commits to them.

    The folder (mode 0700, files 0600) appears whole, with every byte on the disk, or not at all;
    `danku.dataset.private.PrivateGroups` reads it. A memory-mapped table is never in memory
    whole, but a few times `BATCH_BYTES` at most.

    Args:
        table: the data.
        plan: from `danku.dataset.groups.plan_groups`.
        folder: must not exist yet.
        nonces: gives 32 fresh random bytes at each call.
        progress: called with (groups committed, groups in all) after each.

    Raises:
        GroupsExist: ``folder`` exists.
        GroupTooLarge: a group has more than `GROUP_BYTES`.
        DataError: a nonce is not 32 bytes.
        StorageError: the groups cannot be written.
    """
    if folder.exists():
        raise GroupsExist(
            f"{folder} exists already",
            why="a commitment may depend on the groups in it, and they cannot be made again",
            fix="name another challenge, or move the folder away if nothing depends on it",
        )
    unfinished = folder.with_name(folder.name + ".unfinished")
    commitments: list[GroupCommitment] = []
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        make_folder(unfinished, 0o700)
        with _Appender(GroupsFile(unfinished)) as appender:
            for commitment, data in committed_groups(table, plan, nonces):
                appender.append(data)
                commitments.append(commitment)
                if progress:
                    progress(len(commitments), len(plan))
            appender.finish(commitments)
        unfinished.rename(folder)
        sync_folder(folder.parent)
    except BaseException as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        if isinstance(error, OSError):
            raise StorageError(
                f"the groups cannot be written into {folder}",
                why=error.strerror or str(error),
                fix="make room on the disk, check the folder's permissions, and run it again",
            ) from error
        raise
    return commitments


def committed_groups(
    table: Table, plan: Sequence[NDArray[np.int64]], nonces: Callable[[], bytes]
) -> Iterator[tuple[GroupCommitment, bytes]]:
    """Each group's commitment and bytes, in order.

    Raises:
        GroupTooLarge, DataError: as `commit_groups`.
    """
    for first, batch in _batches(table, plan):
        rows = np.concatenate(batch)
        # NOTE: rows are read in the order of the file, then put in theirs: shuffled reads would
        # map every page of a large file, and read a slow disk all over the place.
        order = np.argsort(rows)
        ascending = rows[order]
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        features = _read(table.features, ascending, np.dtype(table.dtype).newbyteorder("<"))
        target = _read(table.target, ascending, table.target.dtype.newbyteorder("<"))
        start = 0
        for index, group in enumerate(batch, first):
            stop = start + len(group)
            places = place[start:stop]
            data = encode_group(features.take(places, axis=0), target.take(places))
            _check_size(len(data), len(group))
            nonce = nonces()
            if len(nonce) != DIGEST_BYTES:
                raise DataError(f"a nonce has {DIGEST_BYTES} bytes, not {len(nonce)}")
            leaf = hash_leaf(nonce, (data,))
            yield GroupCommitment(index, nonce, leaf, len(group), len(data)), data
            start = stop


def _batches(
    table: Table, plan: Sequence[NDArray[np.int64]]
) -> Iterator[tuple[int, list[NDArray[np.int64]]]]:
    """Runs of groups of at most `BATCH_BYTES`, each with the index of its first group."""
    size = np.dtype(table.dtype).itemsize * (table.features[:1].size or 1) + 8
    batch: list[NDArray[np.int64]] = []
    first = held = 0
    for index, group in enumerate(plan):
        _check_size(len(group) * size, len(group))
        if batch and held + len(group) * size > BATCH_BYTES:
            yield first, batch
            first, batch, held = index, [], 0
        batch.append(group)
        held += len(group) * size
    if batch:
        yield first, batch


def _read(source: Array, ascending: NDArray[np.int64], dtype: np.dtype[np.generic]) -> Array:
    """These rows of ``source`` as ``dtype``, with `WINDOW_BYTES` of it mapped at a time."""
    window = max(1, WINDOW_BYTES // row_bytes(source))
    edges = np.arange(ascending[0] + window, ascending[-1] + 1, window)
    rows = np.empty((len(ascending), *source.shape[1:]), dtype)
    start = 0
    for stop in [*np.searchsorted(ascending, edges).tolist(), len(ascending)]:
        if stop > start:
            rows[start:stop] = source.take(ascending[start:stop], axis=0)
            release(source)
        start = stop
    return rows


def _check_size(size: int, rows: int) -> None:
    if size > GROUP_BYTES:
        raise GroupTooLarge(
            f"a group of {rows} rows has {size:,} bytes, at most {GROUP_BYTES:,} are allowed",
            fix=f"set group_rows in [data] to {max(1, rows * GROUP_BYTES // size // 2)} or less",
        )


class _Appender:
    """Writes and syncs in a thread of its own, so that hashing goes on meanwhile."""

    def __init__(self, file: GroupsFile) -> None:
        self._file = file
        self._pool = ThreadPoolExecutor(1, "groups")
        self._pending: deque[Future[None]] = deque()

    def append(self, data: bytes) -> None:
        """Write soon; raises what an earlier write raised."""
        self._wait(_APPENDS_AHEAD)
        self._pending.append(self._pool.submit(self._file.append, data))

    def finish(self, commitments: list[GroupCommitment]) -> None:
        self._wait(0)
        self._file.finish(commitments)

    def _wait(self, most: int) -> None:
        while len(self._pending) > most:
            self._pending.popleft().result()

    def __enter__(self) -> _Appender:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()
        self._file.close()
