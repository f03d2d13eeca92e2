"""Attention's arithmetic: scores of queries and keys, softmax over the keys, values weighed.

Scores are computed for some rows of the batch and some queries at a time, so that memory does not
grow with both lengths; no result depends on how many.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from danku.evaluation import profile
from danku.evaluation.kernels import functions, gemm, narrow, reductions
from danku.evaluation.kernels.arrays import contiguous
from danku.evaluation.tensor import Array, DType

AT_ONCE = 2**20
"""Scores that are computed together."""
_PROBABLE = 3
"""The mode that shows what the values are weighed with."""


@dataclass(frozen=True)
class Shape:
    """Sizes that the inputs agree on."""

    batch: int
    heads: int
    """Of the queries, a multiple of ``groups``."""
    groups: int
    """Heads of the keys and values."""
    queries: int
    past: int
    keys: int
    """Those of the past included."""
    size: int
    width: int
    """Of a value."""

    @property
    def scores(self) -> tuple[int, ...]:
        return (self.batch, self.heads, self.queries, self.keys)


@dataclass(frozen=True)
class Settings:
    """What a node says beside its inputs."""

    scale: float
    """The float64 root of what products are multiplied with."""
    causal: bool
    left: int
    right: int
    """How far a query sees to either side; -1: without end."""
    softcap: float
    """0: none."""
    precision: DType | None
    """The type of the softmax, if it is not that of the scores."""
    mode: int
    """Which of the steps the scores that are shown are of."""


def attended(
    shape: Shape,
    settings: Settings,
    query: Array,
    key: Array,
    value: Array,
    mask: Array | None,
    lengths: Array | None,
    scores: Array | None,
) -> Array:
    """The values weighed, [batch, heads, queries, width].

    Args:
        query: [batch, heads, queries, size] of float32 or float64, as ``key`` and ``value``.
        key: [batch, groups, keys, size], the past first.
        value: [batch, groups, keys, width].
        mask: bool or of the type of ``query``; up to four axes that broadcast to the scores, the
            last one maybe short.
        lengths: int64 [batch], from 0 to the number of keys.
        scores: filled with what the mode shows, if that is wanted; [batch, heads, queries, keys].
    """
    if mask is not None:
        mask = mask.reshape((1,) * (4 - mask.ndim) + mask.shape)
    root = query.dtype.type(settings.scale)
    result = np.empty((shape.batch, shape.heads, shape.queries, shape.width), query.dtype)
    with np.errstate(all="ignore"):
        turned, value = contiguous((key * root).swapaxes(2, 3)), contiguous(value)
        for part in _parts(shape):
            allowed = _allowed(shape, settings, part, lengths)
            bias = _bias(None if mask is None else part.of(mask), allowed, shape, query.dtype)
            steps = _scores(settings, part.of(query) * root, turned[part.rows], bias)
            part.of(result)[...] = _by_group(steps[_PROBABLE], value[part.rows])
            if scores is not None:
                part.of(scores)[...] = steps[settings.mode]
    return result


@dataclass(frozen=True)
class _Part:
    """Rows of the batch, and queries, whose scores are computed together."""

    rows: slice
    queries: slice

    def of(self, tensor: Array) -> Array:
        """What belongs to it of [batch or 1, heads or 1, queries or 1, ...]."""
        rows = self.rows if tensor.shape[0] > 1 else slice(None)
        queries = self.queries if tensor.shape[2] > 1 else slice(None)
        return tensor[rows, :, queries]


def _parts(shape: Shape) -> Iterator[_Part]:
    if 0 in (shape.batch, shape.queries):
        return
    by_query = max(shape.heads * shape.keys, 1)
    queries = min(shape.queries, max(AT_ONCE // by_query, 1))
    rows = max(AT_ONCE // (by_query * queries), 1) if queries == shape.queries else 1
    for row in range(0, shape.batch, rows):
        for query in range(0, shape.queries, queries):
            yield _Part(
                slice(row, min(row + rows, shape.batch)),
                slice(query, min(query + queries, shape.queries)),
            )


def _allowed(
    shape: Shape, settings: Settings, part: _Part, lengths: Array | None
) -> NDArray[np.bool_] | None:
    """[batch or 1, 1, queries, keys], which keys a query may see; None: all of them."""
    causal, left, right = settings.causal, settings.left, settings.right
    if not causal and left < 0 and right < 0 and lengths is None:
        return None
    first: Any = shape.past
    if lengths is not None:
        lengths = lengths[part.rows].reshape(-1, 1, 1, 1)
        first = lengths - shape.queries
    place = np.arange(shape.queries)[part.queries].reshape(1, 1, -1, 1) + first
    key = np.arange(shape.keys).reshape(1, 1, 1, -1)
    allowed = np.ones((*place.shape[:3], shape.keys), np.bool_)
    if causal:
        allowed &= key <= place
    if left >= 0:
        # NOTE: so that no window, however wide, leaves the integers.
        allowed &= key >= place - min(left, profile.DIMENSION)
    if right >= 0:
        allowed &= key <= place + min(right, profile.DIMENSION)
    if lengths is not None:
        allowed &= key < lengths
    return allowed


def _bias(mask: Array | None, allowed: Array | None, shape: Shape, dtype: DType) -> Array | None:
    """What is added to the scores; broadcasts to their shape. None: nothing."""
    nothing, never = dtype.type(0), dtype.type(-np.inf)
    bias = None if allowed is None else np.where(allowed, nothing, never)
    if mask is None:
        return bias
    if mask.dtype == np.bool_:
        mask = np.where(mask, nothing, never)
    if mask.shape[-1] < shape.keys:
        rest = np.full((*mask.shape[:-1], shape.keys - mask.shape[-1]), never)
        mask = np.concatenate([mask, rest], axis=-1)
    return mask if bias is None else mask + bias


def _probabilities(precision: DType | None, scores: Array, bias: Array | None) -> Array:
    if precision is None:
        shares = reductions.softmax(scores, -1)
    else:
        shares = _rounded(reductions.softmax(_rounded(scores, precision), -1), precision)
        shares = shares.astype(scores.dtype, copy=False)
    if bias is None:
        return shares
    hidden = (bias == -np.inf).all(axis=-1, keepdims=True)
    return np.where(hidden, scores.dtype.type(0), shares) if hidden.any() else shares


def _rounded(values: Array, dtype: DType) -> Array:
    """Rounded to a float type; the half ones are widened again."""
    if narrow.widened(np.empty(0, dtype)).dtype == dtype:
        return values.astype(dtype, copy=False)
    return narrow.widened(narrow.narrowed(values.astype(np.float32, copy=False), dtype))


def _by_group(left: Array, right: Array) -> Array:
    """[batch, heads, rows, n] times [batch, groups, n, columns], a group for neighbouring heads."""
    batch, heads, rows, inner = left.shape
    groups, columns = right.shape[1], right.shape[3]
    found = gemm.matmul(left.reshape(batch, groups, heads // groups * rows, inner), right)
    return found.reshape(batch, heads, rows, columns)


def _scores(settings: Settings, query: Array, key: Array, bias: Array | None) -> list[Array]:
    """What each mode of the fourth output shows."""
    scores = product = _by_group(query, key)
    if settings.softcap > 0:
        cap = scores.dtype.type(settings.softcap)
        scores = cap * functions.tanh(scores / cap)
    biased = scores if bias is None else scores + bias
    return [product, scores, biased, _probabilities(settings.precision, biased, bias)]
