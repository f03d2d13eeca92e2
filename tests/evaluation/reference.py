"""Operators that onnx's reference lacks, or has for some types only, on exact integers and float64.

Quantized values are int64 in between, so that nothing saturates or wraps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx.reference.op_run import OpRun

Array = np.ndarray


class CumSum(OpRun):
    def _run(self, x: Array, axis: Array, exclusive: int = 0, reverse: int = 0) -> tuple[Array]:
        assert not exclusive and not reverse
        return (np.cumsum(x, int(np.asarray(axis).reshape(()))).astype(x.dtype),)


def along(values: Array, rank: int, axis: int) -> Array:
    """One value for each place of an axis, shaped to broadcast."""
    values = np.asarray(values)
    if values.size == 1:
        return values.reshape(())
    shape = [1] * rank
    shape[axis] = -1
    return values.reshape(shape)


def dequantized(x: Array, scale: Array, zero: Array | None, axis: int = 1) -> Array:
    whole = x.astype(np.int64)
    if zero is not None:
        whole = whole - along(zero, x.ndim, axis).astype(np.int64)
    return whole * along(scale, x.ndim, axis).astype(np.float64)


def quantized(x: Array, scale: Array, zero: Array, axis: int = 1) -> Array:
    kind = np.iinfo(zero.dtype)
    found = np.rint(x / along(scale, x.ndim, axis)) + along(zero, x.ndim, axis).astype(np.int64)
    return np.clip(found, kind.min, kind.max).astype(zero.dtype)


class DequantizeLinear(OpRun):
    def _run(
        self, x: Array, scale: Array, zero: Array | None = None, axis: int = 1, **_: Any
    ) -> tuple[Array]:
        return (dequantized(x, scale, zero, axis),)


class QuantizeLinear(OpRun):
    def _run(
        self, x: Array, scale: Array, zero: Array | None = None, axis: int = 1, **_: Any
    ) -> tuple[Array]:
        return (quantized(x, scale, np.uint8(0) if zero is None else zero, axis),)


class DynamicQuantizeLinear(OpRun):
    def _run(self, x: Array) -> tuple[Array, Array, Array]:
        low, high = min(x.min(), 0.0), max(x.max(), 0.0)
        scale = np.asarray((high - low) / 255 or 1.0)
        zero = np.asarray(np.clip(np.rint(-low / scale), 0, 255), np.uint8)
        return quantized(x, scale, zero), scale, zero


def windows(x: Array, kernel: Sequence[int], node: Any) -> Array:
    """[batch, channels, out..., kernel...] of what a convolution meets, padded with 0."""
    rank = len(kernel)
    pads = node.get("pads") or [0] * 2 * rank
    steps = node.get("strides") or [1] * rank
    gaps = node.get("dilations") or [1] * rank
    x = np.pad(x, [(0, 0), (0, 0), *zip(pads[:rank], pads[rank:], strict=True)])
    reach = [gap * (size - 1) + 1 for gap, size in zip(gaps, kernel, strict=True)]
    axes = tuple(range(2, 2 + rank))
    found = np.lib.stride_tricks.sliding_window_view(x, reach, axes)
    places = [slice(None, None, step) for step in steps]
    return found[(slice(None), slice(None), *places, *(slice(None, None, gap) for gap in gaps))]


def convolved(x: Array, weights: Array, node: Any) -> Array:
    group = node.get("group") or 1
    kernel = weights.shape[2:]
    met = windows(x, kernel, node)
    rank = len(kernel)
    parts = []
    for part, weight in zip(np.split(met, group, 1), np.split(weights, group, 0), strict=True):
        axes = [1, *range(2 + rank, 2 + 2 * rank)]
        parts.append(
            np.moveaxis(np.tensordot(part, weight, (axes, [1, *range(2, 2 + rank)])), -1, 1)
        )
    return np.concatenate(parts, 1)


def centred(x: Array, zero: Array | None, axis: int = 0) -> Array:
    whole = x.astype(np.int64)
    return whole if zero is None else whole - along(zero, x.ndim, axis).astype(np.int64)


class ConvInteger(OpRun):
    def _run(
        self,
        x: Array,
        w: Array,
        x_zero: Array | None = None,
        w_zero: Array | None = None,
        **node: Any,
    ) -> tuple[Array]:
        return (convolved(centred(x, x_zero), centred(w, w_zero), node).astype(np.int32),)


class QLinearConv(OpRun):
    def _run(
        self,
        x: Array,
        x_scale: Array,
        x_zero: Array,
        w: Array,
        w_scale: Array,
        w_zero: Array,
        y_scale: Array,
        y_zero: Array,
        bias: Array | None = None,
        **node: Any,
    ) -> tuple[Array]:
        total = convolved(centred(x, x_zero), centred(w, w_zero), node)
        if bias is not None:
            total = total + along(bias, total.ndim, 1)
        factor = along(x_scale * w_scale / y_scale, total.ndim, 1)
        return (quantized(total * factor, np.float64(1), y_zero),)


class MatMulInteger(OpRun):
    def _run(
        self, a: Array, b: Array, a_zero: Array | None = None, b_zero: Array | None = None
    ) -> tuple[Array]:
        return ((centred(a, a_zero, -2) @ centred(b, b_zero, -1)).astype(np.int32),)


class QLinearMatMul(OpRun):
    def _run(
        self,
        a: Array,
        a_scale: Array,
        a_zero: Array,
        b: Array,
        b_scale: Array,
        b_zero: Array,
        y_scale: Array,
        y_zero: Array,
    ) -> tuple[Array]:
        total = centred(a, a_zero, -2) @ centred(b, b_zero, -1)
        factor = along(a_scale * b_scale / y_scale, total.ndim, -1)
        return (quantized(total * factor, np.float64(1), y_zero),)


class Microsoft(OpRun):
    op_domain = "com.microsoft"


class QGemm(Microsoft):
    def _run(self, *given: Any, **node: Any) -> tuple[Array]:
        a, a_scale, a_zero, b, b_scale, b_zero, c, y_scale, y_zero = (*given, None, None)[:9]
        a, b = centred(a, a_zero), centred(b, b_zero, 0 if node.get("transB") else -1)
        a, b = (a.T if node.get("transA") else a), (b.T if node.get("transB") else b)
        total = a @ b if c is None else a @ b + c
        found = total * (node.get("alpha") or 1.0) * a_scale * b_scale
        return (found if y_scale is None else quantized(found, y_scale, y_zero),)


class QLinearAdd(Microsoft):
    def _run(
        self, a: Array, a_s: Array, a_z: Array, b: Array, b_s: Array, b_z: Array, *y: Array
    ) -> Any:
        return (quantized(dequantized(a, a_s, a_z) + dequantized(b, b_s, b_z), *y),)


class QLinearMul(Microsoft):
    def _run(
        self, a: Array, a_s: Array, a_z: Array, b: Array, b_s: Array, b_z: Array, *y: Array
    ) -> Any:
        return (quantized(dequantized(a, a_s, a_z) * dequantized(b, b_s, b_z), *y),)


class QLinearSigmoid(Microsoft):
    def _run(self, x: Array, scale: Array, zero: Array, *y: Array) -> Any:
        return (quantized(1 / (1 + np.exp(-dequantized(x, scale, zero))), *y),)


class QLinearSoftmax(Microsoft):
    def _run(self, x: Array, scale: Array, zero: Array, *y: Array, axis: int = -1, **_: Any) -> Any:
        wide = dequantized(x, scale, zero)
        powers = np.exp(wide - wide.max(axis, keepdims=True))
        return (quantized(powers / powers.sum(axis, keepdims=True), *y),)


class QLinearGlobalAveragePool(Microsoft):
    def _run(self, x: Array, scale: Array, zero: Array, *y: Array, channels_last: int = 0) -> Any:
        assert not channels_last
        axes = tuple(range(2, x.ndim))
        return (quantized(dequantized(x, scale, zero).mean(axes, keepdims=True), *y),)


OPERATORS: list[type[OpRun]] = [
    *(CumSum, DequantizeLinear, QuantizeLinear, DynamicQuantizeLinear, ConvInteger, QLinearConv),
    *(MatMulInteger, QLinearMatMul, QGemm, QLinearAdd, QLinearMul, QLinearSigmoid),
    *(QLinearSoftmax, QLinearGlobalAveragePool),
]
