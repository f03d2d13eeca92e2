"""Tree ensembles: ONNX's parallel lists of nodes, checked and packed for the kernel.

Each branch becomes one or two questions ``x <= p``, ``x`` being a feature, the feature with NaN as
-inf, or whether it is NaN; so the kernel knows one comparison only. `Forest.scores` adds or
compares the weights of the leaves in the order of the trees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from danku.evaluation.kernels.trees import EXTREMES, LEAF, SUMS, trace
from danku.evaluation.tensor import Array, DType

MODES = (
    *("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"),
    "LEAF",
)
Aggregate = Literal["SUM", "AVERAGE", "MIN", "MAX"]

_CHUNK = 256
"""Rows that go through a tree together; no result depends on it."""
_PLAIN, _NAN_IS_LOW, _IS_NUMBER = range(3)
"""What a question looks at; each is a block of columns."""

_RECORDS: dict[DType, DType] = {
    np.dtype(np.float32): np.dtype(
        [("feature", "u4"), ("yes", "u4"), ("no", "u4"), ("threshold", "f4")]
    ),
    np.dtype(np.float64): np.dtype(
        [("feature", "u4"), ("yes", "u4"), ("no", "u4"), ("unused", "u4", 3), ("threshold", "f8")]
    ),
}

Integers = NDArray[np.int64]


class MalformedForest(Exception):
    """Why these lists are no forest."""


@dataclass(frozen=True)
class Nodes:
    """ONNX's attributes ``nodes_*``, one element a node."""

    trees: Integers
    identifiers: Integers
    features: Integers
    modes: Integers
    """Index into `MODES`."""
    values: Array
    true: Integers
    false: Integers
    missing_is_true: NDArray[np.bool_]


@dataclass(frozen=True)
class Weights:
    """ONNX's attributes ``class_*`` or ``target_*``, one element a weight of a leaf."""

    trees: Integers
    identifiers: Integers
    targets: Integers
    values: Array


@dataclass(frozen=True)
class Forest:
    """A packed ensemble; see `danku.evaluation.kernels.trees`."""

    records: Array
    roots: NDArray[np.uint32]
    levels: NDArray[np.intp]
    """For each tree, steps that are taken before the first leaf can be met."""
    starts: NDArray[np.uint32]
    """Where each leaf's weights begin, and where the last one's end."""
    weight_targets: NDArray[np.uint32]
    weights: NDArray[np.float64]
    targets: int
    blocks: int
    """Of columns: 1, 2 or 3."""
    single: bool
    """Whether every leaf has exactly one weight."""
    steps: int
    """Questions and weights that a row meets at most."""

    def scores(self, features: Array, aggregate: Aggregate) -> NDArray[np.float64]:
        """The aggregate of the leaves' weights, [rows, targets] in float64.

        Args:
            features: [rows, features] of the forest's own float type.
        """
        scores = np.zeros((len(features), self.targets))
        thresholds = self.records["threshold"].dtype
        width = self.records.dtype.itemsize
        flat = self.records.view(np.uint8)
        trees = (
            flat.view(thresholds).reshape(-1, width // thresholds.itemsize),
            flat.view(np.uint32).reshape(-1, width // 4),
            self.roots,
            self.levels,
        )
        leaves = self.weight_targets, self.weights
        for start in range(0, len(features), _CHUNK):
            columns = self._columns(features[start : start + _CHUNK])
            part = scores[start : start + _CHUNK]
            scratch = np.empty((2, len(part)), np.uint32)
            if aggregate in ("SUM", "AVERAGE"):
                starts = self.starts[:0] if self.single else self.starts
                SUMS[thresholds](columns, *trees, starts, *leaves, *scratch, part)
            else:
                seen = np.zeros(part.shape, np.uint8)
                sign = 1.0 if aggregate == "MIN" else -1.0
                EXTREMES[thresholds](
                    columns, *trees, self.starts, *leaves, *scratch, part, sign, seen
                )
        return scores / len(self.roots) if aggregate == "AVERAGE" else scores

    def _columns(self, rows: Array) -> Array:
        if self.blocks == 1:
            return np.ascontiguousarray(rows.T)
        missing = np.isnan(rows.T)
        blocks = [rows.T, np.where(missing, rows.dtype.type(-inf), rows.T)]
        if self.blocks > 2:
            blocks.append(np.where(missing, rows.dtype.type(0), rows.dtype.type(1)))
        return np.ascontiguousarray(np.concatenate(blocks))


def build(nodes: Nodes, weights: Weights, features: int, targets: int, dtype: DType) -> Forest:
    """Check an ensemble and pack it.

    Args:
        features: how many columns the rows have.
        targets: how many scores a row gets.
        dtype: float32 or float64, the type in which features are compared with thresholds.

    Raises:
        MalformedForest: lists of different lengths, unknown modes, a node that is missing, named
            twice or has no tree above it, a cycle, a feature or target out of range.
    """
    _check_lengths(nodes, weights)
    if not ((nodes.modes >= 0) & (nodes.modes < len(MODES))).all():
        raise MalformedForest("an unknown mode of a node")
    branch = nodes.modes != MODES.index("LEAF")
    if ((nodes.features[branch] < 0) | (nodes.features[branch] >= features)).any():
        raise MalformedForest("a feature that the rows do not have")
    if ((weights.targets < 0) | (weights.targets >= targets)).any():
        raise MalformedForest("a weight of an unknown target")
    trees = _numbered_trees(nodes.trees)
    find = _Finder(trees, nodes)
    true, false = (
        np.where(branch, find(nodes.trees, side, branch), -1) for side in (nodes.true, nodes.false)
    )
    questions = _Questions(nodes, true, false, dtype)
    nearest, farthest = _traced(questions.children)
    roots = _roots(questions.children, trees)

    # Branches and leaves are numbered apart, each in the order of the lists.
    is_leaf = questions.children[:, 0] < 0
    numbers = np.where(is_leaf, np.cumsum(is_leaf) - 1 + int(LEAF), np.cumsum(~is_leaf) - 1)
    records = np.zeros(int((~is_leaf).sum()), _RECORDS[dtype])
    kept = ~is_leaf
    records["feature"] = (questions.blocks * features + questions.features)[kept]
    records["threshold"] = questions.thresholds[kept]
    records["yes"], records["no"] = (numbers[questions.children[kept, i]] for i in range(2))

    owner = find(weights.trees, weights.identifiers, np.ones(len(weights.trees), np.bool_))
    starts, order = _grouped(owner, branch, weights.targets, int(is_leaf.sum()), numbers)
    spans = np.diff(starts)
    leaf_trees = np.append(trees, questions.trees)[is_leaf]
    levels = np.full(len(roots), np.iinfo(np.intp).max)
    np.minimum.at(levels, leaf_trees, nearest[is_leaf])
    depths, heaviest = (np.zeros(len(roots), np.int64) for _ in range(2))
    np.maximum.at(depths, leaf_trees, farthest[is_leaf])
    np.maximum.at(heaviest, leaf_trees, spans)
    return Forest(
        records,
        numbers[roots].astype(np.uint32),
        levels.astype(np.intp),
        starts.astype(np.uint32),
        weights.targets[order].astype(np.uint32),
        weights.values[order].astype(np.float64),
        targets,
        1 + int(questions.blocks[kept].max(initial=0)),
        bool((spans == 1).all()),
        int(depths.sum() + heaviest.sum()),
    )


def _check_lengths(nodes: Nodes, weights: Weights) -> None:
    for lists in (nodes, weights):
        if len({len(each) for each in vars(lists).values()}) != 1:
            raise MalformedForest("lists of different lengths")
    if len(nodes.trees) == 0:
        raise MalformedForest("no nodes")


def _numbered_trees(trees: Integers) -> Integers:
    """Trees by the order in which they first occur."""
    _, first, inverse = np.unique(trees, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    found: Integers = rank[inverse]
    return found


class _Finder:
    """Finds nodes by (tree, identifier)."""

    def __init__(self, trees: Integers, nodes: Nodes) -> None:
        self._trees = np.unique(nodes.trees)
        self._identifiers = np.unique(nodes.identifiers)
        keys = self._keys(nodes.trees, nodes.identifiers)
        self._order = np.argsort(keys, kind="stable")
        self._keys_in_order = keys[self._order]
        if (np.diff(self._keys_in_order) == 0).any():
            raise MalformedForest("a node is listed twice")

    def _keys(self, trees: Integers, identifiers: Integers) -> Integers:
        """A number for each pair; wrong for pairs whose parts do not occur."""
        width = len(self._identifiers)
        place = np.searchsorted(self._trees, trees).astype(np.int64)
        return place * width + np.searchsorted(self._identifiers, identifiers)

    def __call__(
        self, trees: Integers, identifiers: Integers, needed: NDArray[np.bool_]
    ) -> Integers:
        """Places in the lists; -1 where not needed.

        Raises:
            MalformedForest: a node that is needed does not exist.
        """
        found = np.full(len(trees), -1, np.int64)
        trees, identifiers = trees[needed], identifiers[needed]
        known = np.isin(trees, self._trees) & np.isin(identifiers, self._identifiers)
        keys = self._keys(trees, identifiers)
        place = np.minimum(np.searchsorted(self._keys_in_order, keys), len(self._order) - 1)
        if not (known & (self._keys_in_order[place] == keys)).all():
            raise MalformedForest("a node that does not exist")
        found[needed] = self._order[place]
        return found


class _Questions:
    """Nodes as questions ``x <= p``; a second one for each == or !=, after all nodes."""

    def __init__(self, nodes: Nodes, true: Integers, false: Integers, dtype: DType) -> None:
        mode, value = nodes.modes, nodes.values.astype(dtype)
        equal, unequal = mode == MODES.index("BRANCH_EQ"), mode == MODES.index("BRANCH_NEQ")
        strict = np.isin(mode, [MODES.index("BRANCH_LT"), MODES.index("BRANCH_GTE")])
        # NOTE: nothing is above or below NaN, so there no comparison needs to be turned round.
        swapped = np.isin(mode, [MODES.index("BRANCH_GTE"), MODES.index("BRANCH_GT")])
        swapped &= ~np.isnan(value)
        # NOTE: x < v is x <= p for the largest p below v, if there is one; x <= NaN never holds.
        with np.errstate(all="ignore"):
            below = np.nextafter(value, dtype.type(-inf))
        below = np.where(value > -inf, below, dtype.type(np.nan))

        double = np.flatnonzero(equal | unequal)
        second = np.full(len(mode), -1, np.int64)
        second[double] = len(mode) + np.arange(len(double))
        is_equal = equal[double]
        yes, no = np.where(swapped, false, true), np.where(swapped, true, false)
        yes, no = np.where(second >= 0, second, yes), np.where(unequal, true, no)
        first = np.stack([yes, no], axis=1)
        then = np.stack(
            [
                np.where(is_equal, false[double], true[double]),
                np.where(is_equal, true[double], false[double]),
            ],
            axis=1,
        )

        # NaN is different from everything; otherwise it takes the false side unless it tracks true.
        nan_says_yes = np.where(unequal, False, nodes.missing_is_true != swapped)
        nan_says_yes &= mode != MODES.index("LEAF")
        self.children: Integers = np.concatenate([first, then])
        self.trees: Integers = _numbered_trees(nodes.trees)[double]
        self.features = np.append(nodes.features, nodes.features[double])
        thresholds = np.append(np.where(strict, below, value), below[double])
        nan_says_yes = np.append(nan_says_yes, np.zeros(len(double), np.bool_))
        never = np.isnan(thresholds)
        self.blocks: Integers = np.where(
            nan_says_yes, np.where(never, _IS_NUMBER, _NAN_IS_LOW), _PLAIN
        ).astype(np.int64)
        self.thresholds = np.where(nan_says_yes & never, dtype.type(0), thresholds)


def _traced(children: Integers) -> tuple[Integers, Integers]:
    """Fewest and most steps from a root to each node."""
    count = len(children)
    linked = children[children >= 0]
    parents = np.bincount(linked, minlength=count).astype(np.intp)
    nearest, farthest = (np.full(count, -1, np.intp) for _ in range(2))
    trace(children.astype(np.intp), parents, np.empty(count, np.intp), nearest, farthest)
    if parents.any():
        raise MalformedForest("a cycle")
    return nearest, farthest


def _roots(children: Integers, trees: Integers) -> Integers:
    """The one node of each tree that no other leads to, by the number of the tree."""
    is_root = np.ones(len(children), np.bool_)
    is_root[children[children >= 0]] = False
    roots = np.flatnonzero(is_root)
    # NOTE: second questions always have a parent, so every root is a node of the lists.
    owners = trees[roots]
    if len(owners) != int(trees.max()) + 1 or len(np.unique(owners)) != len(owners):
        raise MalformedForest("a tree without a root or with two")
    return roots[np.argsort(owners, kind="stable")]


def _grouped(
    owner: Integers,
    branch: NDArray[np.bool_],
    targets: Integers,
    leaves: int,
    numbers: Integers,
) -> tuple[Integers, Integers]:
    """Where each leaf's weights start, and the weights' order: by leaf, then as listed.

    Weights of branches are dropped.
    """
    kept = np.flatnonzero(~branch[owner])
    leaf = numbers[owner[kept]] - int(LEAF)
    pairs = np.stack([leaf, targets[kept]])
    if np.unique(pairs, axis=1).shape[1] != len(kept):
        raise MalformedForest("a leaf with two weights for one target")
    order = kept[np.argsort(leaf, kind="stable")]
    starts = np.concatenate([[0], np.cumsum(np.bincount(leaf, minlength=leaves))])
    return starts.astype(np.int64), order


def modes_of(names: Sequence[str]) -> Integers:
    """Index into `MODES` for each name, -1 for an unknown one."""
    known: dict[Any, int] = {name: index for index, name in enumerate(MODES)}
    return np.array([known.get(name, -1) for name in names], np.int64)
