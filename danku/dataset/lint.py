"""What makes a data set a bad competition, though nothing about it is wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from danku.dataset.table import Array, Table, blocks

ENOUGH_TEST_GROUPS = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to reconsider; ``code`` is stable, for scripts."""

    code: str
    message: str
    fix: str


def lint_data(
    table: Table, plan: Sequence[NDArray[np.int64]], *, shuffled: bool, test_groups: int
) -> list[Finding]:
    """All findings about a data set, its groups and how many of them are for testing."""
    found = [
        repeated_rows(table, plan),
        single_class_groups(table.target, plan, shuffled=shuffled),
        few_test_groups(test_groups),
        None if shuffled else sorted_target(table.target),
    ]
    return [each for each in found if each is not None]


def repeated_rows(table: Table, plan: Sequence[NDArray[np.int64]]) -> Finding | None:
    """Rows, features and target alike, that stand in several groups.

    Rows are compared by 64-bit BLAKE2b: unequal ones pass for equal less than once in 10^5
    data sets of 10 million rows.
    """
    group_of = np.empty(table.rows, np.int64)
    for index, group in enumerate(plan):
        group_of[group] = index
    digests = _row_digests(table)
    order = np.argsort(digests, kind="stable")
    ascending, groups = digests[order], group_of[order]
    starts = np.flatnonzero(np.r_[True, ascending[1:] != ascending[:-1]])
    spread = np.minimum.reduceat(groups, starts) != np.maximum.reduceat(groups, starts)
    if not spread.any():
        return None
    sizes = np.diff(np.r_[starts, len(order)])
    first = int(np.argmax(spread))
    rows = order[starts[first] : starts[first] + sizes[first]]
    other = next(row for row in rows if group_of[row] != group_of[rows[0]])
    return Finding(
        "repeated-rows",
        f"{int(sizes[spread].sum())} rows are repeated in several groups (the first: rows "
        f"{int(rows[0])} and {int(other)}, counted from 0, in groups {int(group_of[rows[0]])} and "
        f"{int(group_of[other])}), so that test rows can also be train rows",
        "remove the repetitions, or set group_by in [data] to a column that they share",
    )


def _row_digests(table: Table) -> NDArray[np.uint64]:
    digests = bytearray()
    for start, block in blocks(table.features):
        target = np.ascontiguousarray(table.target[start : start + len(block)])
        parts = [np.ascontiguousarray(block).reshape(len(block), -1), target.reshape(-1, 1)]
        joined = np.concatenate([part.view(np.uint8) for part in parts], axis=1)
        data, width = memoryview(joined.tobytes()), joined.shape[1]
        for place in range(0, len(data), width):
            row = data[place : place + width]
            digests += hashlib.blake2b(row, digest_size=8).digest()
    return np.frombuffer(digests, "<u8")


def single_class_groups(
    target: Array, plan: Sequence[NDArray[np.int64]], *, shuffled: bool
) -> Finding | None:
    """Groups of several rows that all have one class; nothing for values."""
    if target.dtype.kind != "i":
        return None
    single = sum(len(group) > 1 and len(np.unique(target[group])) == 1 for group in plan)
    if not single:
        return None
    return Finding(
        "single-class-groups",
        f"{single} of {len(plan)} groups have rows of one class only: the split moves whole "
        "groups, so the classes of the test rows depend on few draws",
        "set more group_rows in [data]" + ("" if shuffled else ", or shuffle = true"),
    )


def few_test_groups(test_groups: int) -> Finding | None:
    """Too few groups for the drawn split to be like any other."""
    if test_groups >= ENOUGH_TEST_GROUPS:
        return None
    return Finding(
        "few-test-groups",
        f"{test_groups} test groups are fewer than {ENOUGH_TEST_GROUPS}: the score depends on "
        "which of them the draw happens to pick",
        "set fewer group_rows or a larger test_fraction in [data]",
    )


def sorted_target(target: Array) -> Finding | None:
    """Rows in the order of their targets; ask only if they are not shuffled."""
    steps = target[1:] != target[:-1]
    if target.dtype.kind == "i":
        ordered = int(steps.sum()) == len(np.unique(target)) - 1
    else:
        ordered = bool((target[1:] >= target[:-1]).all() or (target[1:] <= target[:-1]).all())
    if not ordered or not steps.any():
        return None
    return Finding(
        "sorted-target",
        "the rows are sorted by their target and not shuffled: whoever sees the train groups "
        "knows the targets of the test groups between them",
        "set shuffle = true in [data]",
    )
