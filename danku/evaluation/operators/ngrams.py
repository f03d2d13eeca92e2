"""TfIdfVectorizer: how often each n-gram of a pool occurs in a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from danku.evaluation import profile
from danku.evaluation.graph import Node
from danku.evaluation.inference import PASS_WORK, refuse, require_rank
from danku.evaluation.kernels.arrays import Array
from danku.evaluation.refusal import ModelRejected
from danku.evaluation.registry import Attribute, Operator
from danku.evaluation.tensor import TensorType

Integers = NDArray[np.int64]

_FLOAT32 = np.dtype(np.float32)
_INTEGERS = (np.dtype(np.int32), np.dtype(np.int64))
_MODES = ("TF", "IDF", "TFIDF")
# NOTE: so many tokens are looked at together; the counts do not depend on it.
_TOGETHER = 2**14


@dataclass(frozen=True)
class _Pool:
    """The n-grams of a pool as a trie: states are numbered, 0 is the empty beginning."""

    tokens: dict[Any, int]
    edges: Integers
    """Ascending: state * tokens + token."""
    targets: Integers
    """The state that each edge leads to."""
    columns: Integers
    """The output that each state counts for, or -1."""
    width: int

    def next(self, states: Integers, tokens: Integers) -> Integers:
        """The states after these tokens; -1 where there is none."""
        wanted = states * len(self.tokens) + tokens
        place = np.minimum(np.searchsorted(self.edges, wanted), len(self.edges) - 1)
        found = (states >= 0) & (tokens >= 0) & (self.edges[place] == wanted)
        return np.where(found, self.targets[place], -1)


def _lengths(node: Node) -> tuple[int, int]:
    shortest, longest = node["min_gram_length"], node["max_gram_length"]
    if not 1 <= shortest <= longest <= len(node["ngram_counts"]):
        raise refuse(node, f"n-grams of {shortest} to {longest}")
    return shortest, longest


def _read(node: Node) -> _Pool:
    items = node["pool_int64s"] or node["pool_strings"]
    if bool(node["pool_int64s"]) == bool(node["pool_strings"]):
        raise refuse(node, "needs pool_int64s or pool_strings, and not both")
    shortest, longest = _lengths(node)
    bounds = [*node["ngram_counts"], len(items)]
    if bounds[0] != 0 or any(low > high for low, high in pairwise(bounds)):
        raise refuse(node, "ngram_counts that do not ascend from 0")
    columns = node["ngram_indexes"]
    if not columns or min(columns) < 0 or max(columns) >= profile.DIMENSION:
        raise refuse(node, "ngram_indexes that are no columns")
    grams: list[tuple[Any, ...]] = []
    for size, (low, high) in enumerate(pairwise(bounds), start=1):
        if (high - low) % size:
            raise refuse(node, f"{high - low} elements of {size}-grams")
        grams.extend(tuple(items[i : i + size]) for i in range(low, high, size))
    if len(grams) != len(columns) or len(set(grams)) != len(grams):
        raise refuse(node, "n-grams that are listed twice, or have no column")
    tokens: dict[Any, int] = {}
    links: dict[tuple[int, int], int] = {}
    counted = [-1]
    for gram, column in zip(grams, columns, strict=True):
        if not shortest <= len(gram) <= longest:
            continue
        state = 0
        for item in gram:
            link = (state, tokens.setdefault(item, len(tokens)))
            state = links.setdefault(link, len(counted))
            if state == len(counted):
                counted.append(-1)
        counted[state] = column
    # NOTE: one edge that no token takes, so that the list is never empty.
    edges = {-1: -1} | {state * len(tokens) + token: to for (state, token), to in links.items()}
    ascending = sorted(edges)
    return _Pool(
        tokens,
        np.array(ascending, np.int64),
        np.array([edges[edge] for edge in ascending], np.int64),
        np.array(counted, np.int64),
        max(columns) + 1,
    )


def _pool(node: Node) -> _Pool:
    return node.derived("pool", lambda: _read(node))


def _infer(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    [data] = inputs
    require_rank(node, data, 1, 2)
    if data.dtype not in (_INTEGERS if node["pool_int64s"] else (profile.STRING,)):
        raise ModelRejected("type", f"{node.operator}: unsupported type {data.dtype_name}")
    if node["mode"] not in _MODES:
        raise refuse(node, f"mode is not one of {', '.join(_MODES)}")
    if node["max_skip_count"] < 0:
        raise refuse(node, f"max_skip_count is {node['max_skip_count']}")
    pool = _pool(node)
    if node["weights"] is not None and node["mode"] != "TF":
        # NOTE: ONNX gives a weight to each n-gram, its own reference to each column.
        if node["ngram_indexes"] != tuple(range(len(node["weights"]))):
            raise refuse(node, "weights of n-grams that are not in the order of their columns")
    return [TensorType(_FLOAT32, (*data.shape[:-1], pool.width))]


def _distances(node: Node, length: int) -> range:
    """From one token of an n-gram to the next."""
    return range(1, min(node["max_skip_count"] + 1, max(length, 1)) + 1)


def _work(node: Node, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> int:
    [data] = inputs
    passes = len(_distances(node, data.shape[-1])) * int(node["max_gram_length"])
    return passes * (data.elements + PASS_WORK)


def _counts(node: Node, pool: _Pool, tokens: Integers) -> Integers:
    rows, length = tokens.shape
    counts = np.zeros((rows, pool.width), np.int64)
    _, longest = _lengths(node)
    together = max(1, _TOGETHER // rows)
    for distance in _distances(node, length):
        for start in range(0, length, together):
            states = np.zeros((rows, min(together, length - start)), np.int64)
            for size in range(1, min(longest, -(-(length - start) // distance)) + 1):
                first = start + (size - 1) * distance
                following = tokens[:, first : first + together]
                states = pool.next(states[:, : following.shape[1]], following)
                columns = np.where(states < 0, -1, pool.columns[states])
                row, place = np.nonzero(columns >= 0)
                # NOTE: a single token is the same at every distance.
                if size > 1 or distance == 1:
                    np.add.at(counts, (row, columns[row, place]), 1)
    return counts


def _run(node: Node, arrays: Sequence[Array]) -> list[Array]:
    [data] = arrays
    pool, shape = _pool(node), (*data.shape[:-1], _pool(node).width)
    flat = data if data.ndim == 2 else data[np.newaxis]
    known = np.empty(flat.size, np.int64)
    for start in range(0, flat.size, _TOGETHER):
        part = flat.reshape(-1)[start : start + _TOGETHER].tolist()
        known[start : start + _TOGETHER] = [pool.tokens.get(each, -1) for each in part]
    counts = _counts(node, pool, known.reshape(flat.shape))
    if node["mode"] == "IDF":
        counts = np.minimum(counts, 1)
    result = counts.astype(_FLOAT32)
    if node["weights"] is not None and node["mode"] != "TF":
        with np.errstate(all="ignore"):
            result = result * node.derived("weights", lambda: np.array(node["weights"], _FLOAT32))
    return [result.reshape(shape)]


OPERATORS = [
    Operator(
        "TfIdfVectorizer",
        _infer,
        _run,
        inputs=(1, 1),
        attributes={
            "max_gram_length": Attribute("int", required=True),
            "max_skip_count": Attribute("int", required=True),
            "min_gram_length": Attribute("int", required=True),
            "mode": Attribute("string", required=True),
            "ngram_counts": Attribute("ints", required=True),
            "ngram_indexes": Attribute("ints", required=True),
            "pool_int64s": Attribute("ints"),
            "pool_strings": Attribute("strings"),
            "weights": Attribute("floats"),
        },
        work=_work,
    )
]
