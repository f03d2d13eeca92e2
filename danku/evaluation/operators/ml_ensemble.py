"""ai.onnx.ml TreeEnsemble: branches and leaves apart, and branches that test for members of sets.

It becomes the lists of nodes of the older operators, and then the same forest.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from danku.evaluation import profile
from danku.evaluation.forest import MODES, Aggregate, Forest, MalformedForest, Nodes, Weights, build
from danku.evaluation.graph import Node
from danku.evaluation.inference import refuse, require_rank
from danku.evaluation.kernels.arrays import FLOATS, Array
from danku.evaluation.kernels.narrow import widened
from danku.evaluation.operators.ml_linear import DOMAIN, TRANSFORMS, transformed
from danku.evaluation.refusal import ModelRejected
from danku.evaluation.registry import Attribute, Operator
from danku.evaluation.tensor import DType, TensorType

Integers = NDArray[np.int64]

_UINT8 = np.dtype(np.uint8)
_AGGREGATES: tuple[Aggregate, ...] = ("AVERAGE", "SUM", "MIN", "MAX")
_MEMBER = MODES.index("LEAF")
"""The number of BRANCH_MEMBER in ``nodes_modes``, and so of what is no comparison."""
_EQUAL = MODES.index("BRANCH_EQ")


def _tensor(node: Node, name: str, dtype: DType) -> Array:
    value = node[name]
    if value.ndim != 1 or value.dtype != dtype:
        raise refuse(node, f"{name} is no list of {TensorType(dtype, ()).dtype_name}")
    return np.asarray(widened(value))


def _integers(node: Node, name: str, length: int) -> Integers:
    value = np.array(node[name] or (), np.int64)
    if len(value) != length:
        raise refuse(node, f"{name} are {len(value)}, not {length}")
    return value


def _sets(node: Node, dtype: DType, wanted: int) -> tuple[Array, Integers]:
    """The members of all sets, and how many each set has."""
    values = np.empty(0, dtype)
    if node["membership_values"] is not None:
        values = _tensor(node, "membership_values", dtype)
    if len(values) and not np.isnan(values[-1]):
        values = np.append(values, np.nan)
    ends = np.flatnonzero(np.isnan(values))
    sizes = np.diff(ends, prepend=-1) - 1
    if len(ends) != wanted or (sizes < 1).any():
        raise refuse(node, f"membership_values are not {wanted} sets")
    return values[~np.isnan(values)], sizes.astype(np.int64)


def _trees(node: Node, children: Integers, roots: Integers) -> Integers:
    """The tree of each branch.

    Args:
        children: [branches, 2], the number of a branch or -1.
    """
    count = len(children)
    if len(roots) == 0 or ((roots < 0) | (roots >= count)).any():
        raise refuse(node, "tree_roots are not branches")
    above = np.full(count, -1, np.int64)
    for side in children.T:
        linked = side >= 0
        above[side[linked]] = np.flatnonzero(linked)
    if (above[roots] >= 0).any() or len(np.unique(roots)) != len(roots):
        raise refuse(node, "a root that is not the root of one tree")
    above[roots] = roots
    if (above < 0).any():
        raise refuse(node, "a branch that no tree has")
    # NOTE: every round doubles how far up each branch looks, so that all see their root.
    for _ in range(count.bit_length()):
        above = above[above]
    numbers = np.full(count, -1, np.int64)
    numbers[roots] = np.arange(len(roots))
    trees: Integers = numbers[above]
    linked = children >= 0
    if (trees < 0).any() or (trees[children] != trees[:, np.newaxis])[linked].any():
        raise refuse(node, "a branch of two trees or of none")
    return trees


def _read(node: Node, features: int, dtype: DType) -> Forest:
    splits = _tensor(node, "nodes_splits", dtype)
    modes = _tensor(node, "nodes_modes", _UINT8).astype(np.int64)
    weights = _tensor(node, "leaf_weights", dtype)
    branches, leaves = len(splits), len(weights)
    if len(modes) != branches or (modes > _MEMBER).any():
        raise refuse(node, "an unknown mode of a node, or not as many as nodes_splits")
    targets = _integers(node, "leaf_targetids", leaves)
    tracks = np.zeros(branches, np.bool_)
    if node["nodes_missing_value_tracks_true"]:
        tracks = _integers(node, "nodes_missing_value_tracks_true", branches) != 0
    sides = []
    for side in ("true", "false"):
        is_leaf = _integers(node, f"nodes_{side}leafs", branches) != 0
        place = _integers(node, f"nodes_{side}nodeids", branches)
        if ((place < 0) | (place >= np.where(is_leaf, leaves, branches))).any():
            raise refuse(node, "a node that does not exist")
        sides.append(np.where(is_leaf, branches + place, place))
    links = np.stack(sides, axis=1)
    roots = np.array(node["tree_roots"], np.int64)
    trees = _trees(node, np.where(links < branches, links, -1), roots)

    # A leaf belongs to every tree that leads to it.
    owners = np.broadcast_to(trees[:, np.newaxis], links.shape)[links >= branches]
    pairs = np.unique(np.stack([owners, links[links >= branches] - branches]), axis=1)
    members, sizes = _sets(node, dtype, int((modes == _MEMBER).sum()))
    chain = _Chain(np.flatnonzero(modes == _MEMBER), members, sizes, branches + leaves)
    values, true, false = chain.opened(splits, links)
    of = chain.owners
    filling = np.zeros(pairs.shape[1], np.int64)
    identifiers = [np.arange(branches), chain.identifiers, branches + pairs[1]]
    features_of = _integers(node, "nodes_featureids", branches)
    listed = Nodes(
        np.concatenate([trees, trees[of], pairs[0]]),
        np.concatenate(identifiers),
        np.concatenate([features_of, features_of[of], filling]),
        np.concatenate(
            [
                np.where(modes == _MEMBER, _EQUAL, modes),
                np.full(len(of), _EQUAL),
                filling + MODES.index("LEAF"),
            ]
        ),
        np.concatenate([values, filling.astype(values.dtype)]),
        np.concatenate([true, filling]),
        np.concatenate([false, filling]),
        np.concatenate([tracks, np.zeros(len(of) + len(filling), np.bool_)]),
    )
    # NOTE: a forest numbers its trees in the order in which its lists first name them.
    order = np.argsort(np.isin(np.arange(len(listed.trees)), roots, invert=True), kind="stable")
    order[: len(roots)] = roots
    listed = Nodes(*(each[order] for each in vars(listed).values()))
    found = Weights(pairs[0], branches + pairs[1], targets[pairs[1]], weights[pairs[1]])
    try:
        return build(listed, found, features, node["n_targets"], splits.dtype)
    except MalformedForest as problem:
        raise refuse(node, str(problem)) from None


class _Chain:
    """Tests for members of sets as equalities: one in the branch itself, the others after it."""

    def __init__(self, places: Integers, members: Array, sizes: Integers, first: int) -> None:
        starts = np.cumsum(sizes) - sizes
        self._places, self._sizes = places, sizes
        self._members, self._starts = members, starts
        self.owners: Integers = np.repeat(places, sizes - 1)
        """The branch that each added one belongs to."""
        self.identifiers: Integers = first + np.arange(len(self.owners))

    def opened(self, splits: Array, links: Integers) -> tuple[Array, Integers, Integers]:
        """Values and children of the branches, and then of the added ones."""
        values, (true, false) = splits.copy(), links.T.copy()
        values[self._places] = self._members[self._starts]
        rest = np.delete(self._members, self._starts)
        last = np.cumsum(self._sizes - 1)
        after = np.append(self.identifiers[1:], -1)
        longer = self._sizes > 1
        after[last[longer] - 1] = false[self._places[longer]]
        false[self._places[longer]] = self.identifiers[(last - self._sizes + 1)[longer]]
        return (
            np.concatenate([values, rest]),
            np.concatenate([true, true[self.owners]]),
            np.concatenate([false, after[: len(self.owners)]]),
        )


def _forest(node: Node, features: int, dtype: DType) -> Forest:
    return node.derived(("ensemble", features, dtype.name), lambda: _read(node, features, dtype))


def _infer(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    [features] = inputs
    require_rank(node, features, 2)
    if features.dtype not in FLOATS:
        raise ModelRejected("type", f"{node.operator}: unsupported type {features.dtype_name}")
    targets, transform = node["n_targets"], node["post_transform"]
    if not 1 <= targets <= profile.NODE_NAMES:
        raise refuse(node, f"{targets} targets")
    if not 0 <= transform < len(TRANSFORMS):
        raise refuse(node, f"post_transform is not one of {', '.join(TRANSFORMS)}")
    if targets == 1 and transform:
        raise refuse(node, "post_transform of a single target")
    if not 0 <= node["aggregate_function"] < len(_AGGREGATES):
        raise refuse(node, f"aggregate_function is not one of {', '.join(_AGGREGATES)}")
    _forest(node, features.shape[1], features.dtype)
    return [features.with_shape(features.shape[0], targets)]


def _work(node: Node, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> int:
    rows, features = inputs[0].shape
    return rows * _forest(node, features, inputs[0].dtype).steps


def _run(node: Node, arrays: Sequence[Array]) -> list[Array]:
    [features] = arrays
    forest = _forest(node, features.shape[1], node["nodes_splits"].dtype)
    with np.errstate(all="ignore"):
        scores = forest.scores(features, _AGGREGATES[node["aggregate_function"]])
        return [transformed(scores.astype(features.dtype), TRANSFORMS[node["post_transform"]])]


_LISTS = (
    *("leaf_targetids", "nodes_falseleafs", "nodes_falsenodeids", "nodes_featureids"),
    *("nodes_trueleafs", "nodes_truenodeids", "tree_roots"),
)

OPERATORS = [
    Operator(
        "TreeEnsemble",
        _infer,
        _run,
        inputs=(1, 1),
        domain=DOMAIN,
        opsets=(5, 1_000),
        attributes={
            **{name: Attribute("ints", required=True) for name in _LISTS},
            "aggregate_function": Attribute("int", 1),
            "leaf_weights": Attribute("tensor", required=True),
            "membership_values": Attribute("tensor"),
            "n_targets": Attribute("int", required=True),
            # NOTE: how often a node is visited; nothing depends on it.
            "nodes_hitrates": Attribute("tensor"),
            "nodes_missing_value_tracks_true": Attribute("ints"),
            "nodes_modes": Attribute("tensor", required=True),
            "nodes_splits": Attribute("tensor", required=True),
            "post_transform": Attribute("int", 0),
        },
        work=_work,
    )
]
