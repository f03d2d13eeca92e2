"""Rows into data groups: which row goes where, and a group's canonical bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from danku.crypto.hashing import DIGEST_BYTES, domain
from danku.dataset.table import Array
from danku.errors import DataError

GROUPS_LIMIT = 2**16
"""How many groups a data set may have."""

GROUP_BYTES = 64 * 2**20
"""How large a group's file may be; readers take no larger one."""

_FLOATS = np.dtype("<f8")
_CLASSES = np.dtype("<i8")


class TooFewRows(DataError):
    """The rows do not make two groups, so that there is nothing to split into train and test."""


class TooManyGroups(DataError):
    """The rows make more groups than a data set may have."""


class GroupBroken(DataError):
    """The bytes are not a data group of this challenge."""


def plan_groups(
    rows: int,
    group_rows: int,
    seed: bytes | None = None,
    group_keys: NDArray[np.int64] | None = None,
) -> list[NDArray[np.int64]]:
    """Which rows each group takes, in order.

    Rows are cut into groups of ``group_rows``; the last group takes what is left, so it may be
    shorter. With a private 32-byte ``seed`` the rows are shuffled before: sorted by the 64-bit
    little-endian words of SHAKE-256(domain("row-order") || seed), where two equal words (less
    than one chance in 10^5 for 10 million rows) leave their rows in the order of the file.

    With ``group_keys`` [rows] it is the keys that are ordered, by first row or by the seed, and
    each group takes whole keys until it has ``group_rows`` rows or more.

    Raises:
        TooFewRows: fewer than two groups.
        TooManyGroups: more than `GROUPS_LIMIT`.
        DataError: the seed is not 32 bytes.
    """
    if group_keys is None:
        order = np.arange(rows) if seed is None else _shuffled(rows, seed)
        starts = np.arange(0, rows, group_rows)
    else:
        order, starts = _by_key(group_keys, group_rows, seed)
    if len(starts) < 2:
        raise _too_few(rows, group_rows, group_keys)
    if len(starts) > GROUPS_LIMIT:
        raise TooManyGroups(
            f"{rows:,} rows make {len(starts):,} groups of {group_rows}, "
            f"at most {GROUPS_LIMIT:,} are allowed",
            fix=f"set group_rows in [data] to {-(-rows // GROUPS_LIMIT)} or more",
        )
    return np.split(order, starts[1:])


def _shuffled(count: int, seed: bytes) -> NDArray[np.int64]:
    if len(seed) != DIGEST_BYTES:
        raise DataError(f"the shuffling seed has {DIGEST_BYTES} bytes, not {len(seed)}")
    stream = hashlib.shake_256(domain("row-order") + seed).digest(8 * count)
    words = np.frombuffer(stream, "<u8")
    order = np.argsort(words)
    ascending = words[order]
    if (ascending[1:] == ascending[:-1]).any():
        # NOTE: without equal words every sort gives the same order, and this one takes longer.
        return np.argsort(words, kind="stable")
    return order


def _by_key(
    keys: NDArray[np.int64], group_rows: int, seed: bytes | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows in order, those of a key together, and where in them each group starts."""
    _, first, places, counts = np.unique(
        keys, return_index=True, return_inverse=True, return_counts=True
    )
    by_appearance = np.argsort(first, kind="stable")
    order = by_appearance if seed is None else by_appearance[_shuffled(len(first), seed)]
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    stops = np.cumsum(counts[order])
    starts, start = [], 0
    while start < len(keys):
        starts.append(start)
        enough = np.searchsorted(stops, start + group_rows)
        start = int(stops[min(int(enough), len(stops) - 1)])
    return np.argsort(rank[places], kind="stable"), np.array(starts, np.int64)


def _too_few(rows: int, group_rows: int, group_keys: Sequence[int] | Array | None) -> TooFewRows:
    if group_keys is not None and rows > group_rows:
        return TooFewRows(
            f"{rows} rows with {len(np.unique(group_keys))} different group_by keys do not make "
            f"two groups of {group_rows} rows",
            why="rows with the same key stay together, and train and test need a group each",
            fix="choose another group_by column in [data], or a smaller group_rows",
        )
    return TooFewRows(
        f"{rows} rows do not make two groups of {group_rows} rows",
        why="train and test need a group each",
        fix=f"set group_rows in [data] to {max(1, rows // 40)} or less"
        if rows > 1
        else "add rows to the data",
    )


def encode_group(features: Array, target: Array) -> bytes:
    """A group's bytes: safetensors with ``features`` [rows, *shape] and ``target`` [rows].

    The library's own order of tensors and header is the canonical one.
    """
    from safetensors.numpy import save

    # NOTE: the library reads memory as it lies, whatever an array's strides are.
    tensors = {
        "features": np.ascontiguousarray(features, features.dtype.newbyteorder("<")),
        "target": np.ascontiguousarray(target, target.dtype.newbyteorder("<")),
    }
    return save(tensors)


def decode_group(
    data: bytes,
    dtype: str,
    row_shape: Sequence[int],
    *,
    classes: int,
    max_bytes: int = GROUP_BYTES,
) -> tuple[Array, Array]:
    """The features [rows, *row_shape] and the target [rows] of a group.

    The target is int64, at least 0 and below ``classes``; or finite float64 if ``classes`` is 0.

    Raises:
        GroupBroken: larger than ``max_bytes``, not safetensors, not exactly these two tensors
            with these types and shapes, no rows, an impossible target, or not spelled as
            `encode_group` does.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    if len(data) > max_bytes:
        raise GroupBroken(f"the group has {len(data):,} bytes, at most {max_bytes:,} are allowed")
    try:
        tensors = load(data)
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise GroupBroken("the group is not safetensors", why=str(error)) from None
    if tensors.keys() != {"features", "target"}:
        raise GroupBroken(f"the group has the tensors {sorted(tensors)}, not features and target")
    features, target = tensors["features"], tensors["target"]
    expected = np.dtype(dtype).newbyteorder("<")
    if features.dtype != expected or features.shape[1:] != tuple(row_shape) or not features.ndim:
        raise GroupBroken(
            f"the group's features are {features.dtype} {list(features.shape)}",
            why=f"the model takes {dtype} with {list(row_shape)} a row",
        )
    if target.dtype != (_CLASSES if classes else _FLOATS) or target.shape != features.shape[:1]:
        raise GroupBroken(
            f"the group's target is {target.dtype} {list(target.shape)}",
            why=f"it has to be {'int64' if classes else 'float64'} [{len(features)}]",
        )
    if not len(target):
        raise GroupBroken("the group has no rows")
    if not _possible(target, classes):
        raise GroupBroken(
            "the group has a target that is "
            + (f"none of the {classes} classes" if classes else "not a finite number")
        )
    if encode_group(features, target) != data:
        raise GroupBroken(
            "the group is not in canonical form",
            why="a group has exactly one spelling, without metadata",
        )
    return features, target


def _possible(target: Array, classes: int) -> bool:
    if classes:
        return bool(((target >= 0) & (target < classes)).all())
    return bool(np.isfinite(target).all())
