"""Pooling over windows and over everything: maxima, averages and norms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from danku.evaluation.graph import Node
from danku.evaluation.inference import FLOATS, refuse, require_kind
from danku.evaluation.kernels import functions, pooling, reductions
from danku.evaluation.kernels.arrays import rounded
from danku.evaluation.kernels.epilogue import Operation
from danku.evaluation.prepared import Prepared, Weights
from danku.evaluation.registry import Attribute, Infer, Operator, Prepare, Run
from danku.evaluation.tensor import Array, TensorType
from danku.evaluation.windows import WINDOW, Window, listed, spatial, three, windows

_MAXIMUM_TYPES = tuple(np.dtype(name) for name in ("int8", "uint8"))
_INDEX = np.dtype(np.int64)

_FROM_1 = {name: WINDOW[name] for name in ("auto_pad", "kernel_shape", "pads", "strides")}
_CEILING = {"ceil_mode": Attribute("int", 0)}
_DILATIONS = {"dilations": WINDOW["dilations"]}


def _windows(node: Node, data: TensorType) -> tuple[Window, ...]:
    sizes = spatial(node, data)
    kernel = listed(node, "kernel_shape", len(sizes), None, 1)
    ceiling = bool(node.attributes.get("ceil_mode", 0))
    return windows(node, sizes, kernel, ceiling=ceiling)


def _infer(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    [data] = inputs
    require_kind(node, FLOATS, data)
    counts = (window.count for window in _windows(node, data))
    return [data.with_shape(*data.shape[:2], *counts)]


def _infer_max(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    [data] = inputs
    if data.dtype not in _MAXIMUM_TYPES:
        require_kind(node, FLOATS, data)
    counts = tuple(window.count for window in _windows(node, data))
    pooled = data.with_shape(*data.shape[:2], *counts)
    return [pooled, TensorType(_INDEX, pooled.shape)]


def _work(node: Node, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> int:
    covered = prod(window.kernel for window in _windows(node, inputs[0]))
    return outputs[0].elements * covered


def _spread(node: Node, data: Array) -> tuple[Array, pooling.Windows, tuple[Window, ...]]:
    """The data with three spatial axes, and the windows over them."""
    seen = _windows(node, TensorType(data.dtype, data.shape))
    x = data.reshape(*data.shape[:2], *three(data.shape[2:], 1))
    return x, _as_kernels_take(seen), seen


def _as_kernels_take(seen: Sequence[Window]) -> pooling.Windows:
    return pooling.Windows(
        three([window.size for window in seen], 1),
        three([window.kernel for window in seen], 1),
        three([window.stride for window in seen], 1),
        three([window.dilation for window in seen], 1),
        three([window.before for window in seen], 0),
        three([window.count for window in seen], 1),
    )


def _pooled(x: Array, data: Array, seen: Sequence[Window]) -> Array:
    """A result with the spatial axes that the data has."""
    return x.reshape(*data.shape[:2], *(window.count for window in seen))


def _run_max(node: Node, arrays: Sequence[Array]) -> list[Array]:
    [data] = arrays
    integers = data.dtype.kind != "f"
    # NOTE: float32 holds all integers of 8 bits.
    x, covered, seen = _spread(node, data.astype(np.float32) if integers else data)
    result = pooling.largest(x, covered)
    if integers:
        result = np.maximum(result, np.float32(np.iinfo(data.dtype).min)).astype(data.dtype)
    results = [_pooled(result, data, seen)]
    if len(node.outputs) > 1 and node.outputs[1]:
        column_major = bool(node.attributes.get("storage_order", 0))
        places = pooling.where_largest(x, covered, column_major=column_major)
        results.append(_pooled(places, data, seen))
    else:
        results.append(np.broadcast_to(_INDEX.type(-1), results[0].shape))
    return results


@dataclass(frozen=True)
class _Maxima:
    """Maxima whose places nobody asks for, over windows that are known."""

    shape: tuple[int, ...]
    """Of the input, with three spatial axes."""
    covered: pooling.Windows
    result: tuple[int, ...]
    places: Array
    axis: int = 1

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        x = arrays[0].reshape(self.shape)
        return [pooling.largest(x, self.covered).reshape(self.result), self.places]

    def followed_by(self, operations: Sequence[Operation]) -> Prepared | None:
        return None


def _prepare_max(node: Node, inputs: Sequence[TensorType], weights: Weights) -> Prepared | None:
    [data] = inputs
    if data.dtype not in pooling.TYPES or any(node.outputs[1:]):
        return None
    seen = _windows(node, data)
    result = (*data.shape[:2], *(window.count for window in seen))
    return _Maxima(
        (*data.shape[:2], *three(data.shape[2:], 1)),
        _as_kernels_take(seen),
        result,
        np.broadcast_to(_INDEX.type(-1), result),
    )


def _run_average(node: Node, arrays: Sequence[Array]) -> list[Array]:
    [data] = arrays
    x, covered, seen = _spread(node, data)
    padded = bool(node["count_include_pad"])
    counts: Any = np.ones((), np.int64)
    for window in seen:
        counts = np.multiply.outer(counts, _covered(window, padded))
    with np.errstate(all="ignore"):
        means = _pooled(pooling.sums(x, covered), data, seen) / counts.astype(np.float64)
        return [rounded(means, data.dtype)]


def _covered(window: Window, padded: bool) -> Array:
    """How many elements each output covers, with or without those of the padding."""
    before, end = (window.before, window.size + window.after) if padded else (0, window.size)
    start = np.arange(window.count, dtype=np.int64) * window.stride - window.before
    first = np.maximum(-(-(-before - start) // window.dilation), 0)
    last = np.minimum(-(-(end - start) // window.dilation), window.kernel)
    counts: Array = np.maximum(last - first, 0)
    return counts


def _powers(data: Array, p: int) -> Array:
    wide = np.abs(data.astype(np.float64))
    if p == 1:
        return wide
    return wide * wide if p == 2 else functions.power(wide, np.asarray(float(p)))


def _root(sums: Array, p: int) -> Array:
    if p == 1:
        return sums
    return functions.sqrt(sums) if p == 2 else functions.power(sums, np.asarray(1 / p))


def _run_norm(node: Node, arrays: Sequence[Array]) -> list[Array]:
    [data] = arrays
    with np.errstate(all="ignore"):
        x, covered, seen = _spread(node, _powers(data, node["p"]))
        roots = _root(pooling.sums(x, covered), node["p"])
        return [rounded(_pooled(roots, data, seen), data.dtype)]


def _infer_norm(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    if node["p"] < 1:
        raise refuse(node, f"p is {node['p']}")
    return _infer(node, inputs)


def _infer_global(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    [data] = inputs
    require_kind(node, FLOATS, data)
    if data.rank < 3:
        raise refuse(node, f"input of rank {data.rank}")
    if 0 in data.shape[2:]:
        raise refuse(node, "nothing to reduce")
    if node.attributes.get("p", 1) < 1:
        raise refuse(node, f"p is {node['p']}")
    return [data.with_shape(*data.shape[:2], *(1,) * (data.rank - 2))]


def _global(
    name: str, function: Callable[[Node, Array, Sequence[int]], Array], **attributes: Attribute
) -> Operator:
    def run(node: Node, arrays: Sequence[Array]) -> list[Array]:
        return [function(node, arrays[0], range(2, arrays[0].ndim))]

    return Operator(name, _infer_global, run, inputs=(1, 1), attributes=attributes)


def _global_norm(node: Node, data: Array, axes: Sequence[int]) -> Array:
    with np.errstate(all="ignore"):
        sums = reductions.total(_powers(data, node["p"]), axes, keepdims=True)
        return rounded(_root(sums, node["p"]), data.dtype)


def _pool(
    name: str,
    infer: Infer,
    run: Run,
    opsets: tuple[int, int],
    attributes: Mapping[str, Attribute],
    outputs: int = 1,
    prepare: Prepare | None = None,
) -> Operator:
    return Operator(
        name,
        infer,
        run,
        inputs=(1, 1),
        outputs=(1, outputs),
        opsets=opsets,
        attributes=attributes,
        work=_work,
        prepare=prepare,
    )


_ORDER = {"storage_order": Attribute("int", 0)}
_PADDED = {"count_include_pad": Attribute("int", 0)}
_P = {"p": Attribute("int", 2)}
_LATER = _FROM_1 | _CEILING | _DILATIONS

OPERATORS = [
    _pool("MaxPool", _infer_max, _run_max, (8, 9), _FROM_1 | _ORDER, 2, _prepare_max),
    _pool("MaxPool", _infer_max, _run_max, (10, 1_000), _LATER | _ORDER, 2, _prepare_max),
    _pool("AveragePool", _infer, _run_average, (7, 9), _FROM_1 | _PADDED),
    _pool("AveragePool", _infer, _run_average, (10, 18), _FROM_1 | _CEILING | _PADDED),
    _pool("AveragePool", _infer, _run_average, (19, 1_000), _LATER | _PADDED),
    _pool("LpPool", _infer_norm, _run_norm, (2, 17), _FROM_1 | _P),
    _pool("LpPool", _infer_norm, _run_norm, (18, 1_000), _LATER | _P),
    _global("GlobalAveragePool", lambda node, x, axes: reductions.mean(x, axes, keepdims=True)),
    _global("GlobalMaxPool", lambda node, x, axes: reductions.maximum(x, axes, keepdims=True)),
    _global("GlobalLpPool", _global_norm, **_P),
]
