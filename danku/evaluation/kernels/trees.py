"""Decision trees: from rows to leaves without a branch that depends on data, and sums over leaves.

A forest is an array of branch nodes. Each asks ``column[feature] <= threshold`` and goes on to its
``yes`` or ``no``; a number from LEAF on is a leaf's. `danku.evaluation.forest` builds them and
makes sure that they are trees (or share branches, but have no cycle) and stay within the arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from danku.evaluation.kernels.compiler import (
    FLOAT32,
    FLOAT64,
    INDEX,
    Kernel,
    device,
    kernel,
    source,
    target,
)

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Numbers = NDArray[np.uint32]

LEAF = np.uint32(2**31)

# Columns of a node's record, seen as uint32 and as floats.
FEATURE = 0
YES = 1
NO = np.uint64(2)
THRESHOLD = 3

_NUMBER = types.uint32


@device
def _descend(
    columns: Any,
    thresholds: Any,
    links: Numbers,
    root: int,
    levels: int,
    places: Numbers,
    active: Numbers,
) -> None:
    """places[r] becomes the number of row r's leaf; no leaf is above ``levels``."""
    rows = columns.shape[1]
    for r in range(rows):
        places[r] = root
    for _ in range(levels):
        for r in range(rows):
            i = places[r]
            yes = columns[links[i, FEATURE], r] <= thresholds[i, THRESHOLD]
            places[r] = links[i, NO - np.uint64(yes)]
    count = 0
    for r in range(rows):
        active[count] = r
        count += places[r] < LEAF
    while count > 0:
        kept = 0
        for k in range(count):
            r = active[k]
            i = places[r]
            yes = columns[links[i, FEATURE], r] <= thresholds[i, THRESHOLD]
            following = links[i, NO - np.uint64(yes)]
            places[r] = following
            active[kept] = r
            kept += following < LEAF
        count = kept


def _sum_leaves(
    columns: Any,
    thresholds: Any,
    links: Numbers,
    roots: Numbers,
    levels: Indices,
    starts: Numbers,
    targets: Numbers,
    weights: Floats,
    places: Numbers,
    active: Numbers,
    sums: Floats,
) -> None:
    """sums[r, targets[w]] += weights[w] over the weights of row r's leaves, tree by tree."""
    rows = columns.shape[1]
    single = starts.size == 0
    for tree in range(roots.size):
        _descend(columns, thresholds, links, roots[tree], levels[tree], places, active)
        for r in range(rows):
            leaf = places[r] - LEAF
            if single:
                sums[r, targets[leaf]] += weights[leaf]
            else:
                for w in range(starts[leaf], starts[leaf + np.uint64(1)]):
                    sums[r, targets[w]] += weights[w]


def _extreme_leaves(
    columns: Any,
    thresholds: Any,
    links: Numbers,
    roots: Numbers,
    levels: Indices,
    starts: Numbers,
    targets: Numbers,
    weights: Floats,
    places: Numbers,
    active: Numbers,
    extremes: Floats,
    sign: float,
    seen: NDArray[np.uint8],
) -> None:
    """The smallest (sign 1) or largest (sign -1) weight of row r's leaves for each target."""
    rows = columns.shape[1]
    for tree in range(roots.size):
        _descend(columns, thresholds, links, roots[tree], levels[tree], places, active)
        for r in range(rows):
            leaf = places[r] - LEAF
            for w in range(starts[leaf], starts[leaf + np.uint64(1)]):
                t = targets[w]
                if seen[r, t] == 0 or sign * weights[w] < sign * extremes[r, t]:
                    extremes[r, t] = weights[w]
                    seen[r, t] = 1


def _forest(scalar: Any) -> tuple[Any, ...]:
    numbers, scratch = source(_NUMBER, 1), target(_NUMBER, 1)
    records = source(scalar, 2), source(scalar, 2), source(_NUMBER, 2)
    trees = numbers, source(INDEX, 1), numbers, numbers, source(FLOAT64, 1)
    return *records, *trees, scratch, scratch, target(FLOAT64, 2)


_FLAGS = target(types.uint8, 2)
SUMS: dict[Any, Kernel] = {
    np.dtype(name): kernel(*_forest(scalar), variant=f"_{name}")(_sum_leaves)
    for name, scalar in (("float32", FLOAT32), ("float64", FLOAT64))
}
EXTREMES: dict[Any, Kernel] = {
    np.dtype(name): kernel(*_forest(scalar), FLOAT64, _FLAGS, variant=f"_{name}")(_extreme_leaves)
    for name, scalar in (("float32", FLOAT32), ("float64", FLOAT64))
}


@kernel(source(INDEX, 2), *(target(INDEX, 1),) * 4)
def trace(
    children: Indices, parents: Indices, waiting: Indices, nearest: Indices, farthest: Indices
) -> None:
    """The fewest and the most steps from a root to each node.

    Args:
        children: [nodes, 2]; -1 for none.
        parents: how many links lead to each node; counted down, to 0 unless there is a cycle.
        waiting: scratch, one for each node.
        nearest, farthest: results, filled with -1.
    """
    count = 0
    for node in range(parents.size):
        if parents[node] == 0:
            waiting[count] = node
            count += 1
            nearest[node] = farthest[node] = 0
    while count > 0:
        count -= 1
        node = waiting[count]
        for side in range(2):
            child = children[node, side]
            if child >= 0:
                near, far = nearest[node] + 1, farthest[node] + 1
                if nearest[child] < 0 or near < nearest[child]:
                    nearest[child] = near
                farthest[child] = max(farthest[child], far)
                parents[child] -= 1
                if parents[child] == 0:
                    waiting[count] = child
                    count += 1
