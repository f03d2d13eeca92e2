"""Conv and ConvTranspose in one to three dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from math import prod
from typing import Any

import numpy as np

from danku.evaluation.graph import Node
from danku.evaluation.inference import FLOATS, refuse, require_kind
from danku.evaluation.kernels import buffers, convolution
from danku.evaluation.kernels.convolution import Axes, Convolution, PackedKernel
from danku.evaluation.kernels.epilogue import Code, Epilogue, Operation, epilogue
from danku.evaluation.kernels.layout import Axis
from danku.evaluation.prepared import Prepared, Weights
from danku.evaluation.registry import Attribute, Operator
from danku.evaluation.tensor import Array, DType, TensorType
from danku.evaluation.windows import (
    WINDOW,
    Window,
    convolution_axis,
    listed,
    require_bias,
    require_channels,
    three,
    weights_kernel,
    windows,
)

RESIDUE_WORK = 2**14
"""Multiply-accumulates that ConvTranspose is charged for each residue of its strides."""

_ALONE = Axis(1, 1, (0,), 1)
"""A spatial axis that is not there."""


def _infer_conv(node: Node, inputs: Sequence[Any]) -> list[TensorType]:
    data, weights, bias = [*inputs, None][:3]
    require_kind(node, FLOATS, data, weights, bias)
    kernel, groups = weights_kernel(node, data, weights), node["group"]
    require_channels(node, data.shape[1], weights.shape[1] * groups, weights.shape[0])
    require_bias(node, bias, weights.shape[0])
    counts = (window.count for window in windows(node, data.shape[2:], kernel))
    return [data.with_shape(data.shape[0], weights.shape[0], *counts)]


def _conv_work(node: Node, inputs: Sequence[Any], outputs: Sequence[TensorType]) -> int:
    taken: int = prod(inputs[1].shape[1:])
    return outputs[0].elements * taken


@dataclass(frozen=True)
class _Part:
    """Weights and the outputs that they make."""

    weights: PackedKernel
    axes: Axes


@dataclass(frozen=True)
class _Convolution:
    """A convolution whose outputs are computed in parts, and what follows it."""

    parts: tuple[_Part, ...]
    shape: tuple[int, ...]
    """Of the input."""
    result: tuple[int, ...]
    dtype: DType
    operations: tuple[Operation, ...] = ()
    axis: int = 1

    @cached_property
    def _steps(self) -> Epilogue:
        return epilogue(self.operations, self.result[1], self.dtype)

    @cached_property
    def _ready(self) -> list[Convolution]:
        shape, result = ((*each[:2], *three(each[2:], 1)) for each in (self.shape, self.result))
        return [
            Convolution(part.weights, part.axes, shape, result, self._steps) for part in self.parts
        ]

    def run(self, arrays: Sequence[Any]) -> list[Array]:
        other = arrays[-1] if self._steps.takes_tensor else None
        out = buffers.empty(self.result, self.dtype)
        for part in self._ready:
            part.run(arrays[0], out, other)
        return [out]

    def followed_by(self, operations: Sequence[Operation]) -> Prepared | None:
        together = (*self.operations, *operations)
        if sum(each.code == Code.ADD_TENSOR for each in together) > 1:
            return None
        return replace(self, operations=together)


def _biased(made: _Convolution, bias: Array | None) -> _Convolution:
    return made if bias is None else replace(made, operations=(Operation(Code.ADD, bias),))


def _conv(
    node: Node, data: TensorType, weights: Array, bias: Array | None, memory: Weights
) -> _Convolution:
    groups, outputs = node["group"], weights.shape[0]
    packed = memory.form(
        weights,
        f"convolution {groups}",
        lambda: convolution.pack(weights.reshape(groups, outputs // groups, -1)),
    )
    seen = windows(node, data.shape[2:], weights.shape[2:])
    result = (data.shape[0], outputs, *(window.count for window in seen))
    axes = three([convolution_axis(window) for window in seen], _ALONE)
    return _biased(_Convolution((_Part(packed, axes),), data.shape, result, weights.dtype), bias)


def _run_conv(node: Node, arrays: Sequence[Any]) -> list[Array]:
    data, weights, bias = [*arrays, None][:3]
    return _conv(node, _type(data), weights, bias, Weights()).run([data])


def _prepare_conv(
    node: Node, inputs: Sequence[TensorType | None], memory: Weights
) -> Prepared | None:
    data, weights, bias = [*inputs, None][:3]
    if data is None or not _fixed(weights, bias):
        return None
    assert weights is not None and weights.value is not None
    return _conv(node, data, weights.value, None if bias is None else bias.value, memory)


def _type(data: Array) -> TensorType:
    return TensorType(data.dtype, data.shape)


def _fixed(weights: TensorType | None, bias: TensorType | None) -> bool:
    """Whether both are constants (or the bias is absent) of a type that has kernels."""
    return (
        weights is not None
        and weights.value is not None
        and (bias is None or bias.value is not None)
        and weights.dtype in convolution.TYPES
    )


def _transposed_windows(
    node: Node, sizes: tuple[int, ...], kernel: tuple[int, ...]
) -> tuple[Window, ...]:
    """The windows of the convolution that this one reverses: input and outputs change places."""
    count = len(sizes)
    strides = listed(node, "strides", count, 1, 1)
    dilations = listed(node, "dilations", count, 1, 1)
    pads = listed(node, "pads", 2 * count, 0, 0)
    more = listed(node, "output_padding", count, 0, 0)
    side, shape = node["auto_pad"], node["output_shape"]
    if side not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"):
        raise refuse(node, "auto_pad is not NOTSET, VALID, SAME_UPPER or SAME_LOWER")
    outputs: tuple[int | None, ...] = (None,) * count
    if shape is not None:
        outputs = listed(node, "output_shape", count, None, 0)
    elif side.startswith("SAME"):
        outputs = tuple(size * stride for size, stride in zip(sizes, strides, strict=True))
    result = []
    for i, (size, length, stride, dilation, wanted) in enumerate(
        zip(sizes, kernel, strides, dilations, outputs, strict=True)
    ):
        whole = stride * (size - 1) + more[i] + (length - 1) * dilation + 1
        before, after = (0, 0) if side == "VALID" else (pads[i], pads[count + i])
        if wanted is not None:
            padding = max(whole - wanted, 0)
            before = padding // 2 if side == "SAME_UPPER" else padding - padding // 2
            after = whole - before - wanted
        if size == 0 or whole - before - after < 0:
            raise refuse(node, "padding larger than the output")
        result.append(Window(whole - before - after, length, stride, dilation, before, after, size))
    return tuple(result)


def _infer_transposed(node: Node, inputs: Sequence[Any]) -> list[TensorType]:
    data, weights, bias = [*inputs, None][:3]
    require_kind(node, FLOATS, data, weights, bias)
    kernel, groups = weights_kernel(node, data, weights), node["group"]
    require_channels(node, data.shape[1], weights.shape[0], groups)
    outputs = weights.shape[1] * groups
    require_bias(node, bias, outputs)
    sizes = (window.size for window in _transposed_windows(node, data.shape[2:], kernel))
    return [data.with_shape(data.shape[0], outputs, *sizes)]


def _transposed_work(node: Node, inputs: Sequence[Any], outputs: Sequence[TensorType]) -> int:
    data, weights = inputs[:2]
    seen = _transposed_windows(node, data.shape[2:], weights.shape[2:])
    residues = prod(min(window.stride, window.kernel) for window in seen)
    return int(data.elements * prod(weights.shape[1:]) + residues * RESIDUE_WORK)


def _residues(window: Window) -> list[tuple[Axis, list[int]]]:
    """The outputs that meet the same elements of the kernel, which are listed with each."""
    taps: dict[int, list[int]] = {}
    for j in range(window.kernel):
        taps.setdefault((j * window.dilation - window.before) % window.stride, []).append(j)
    return [
        (
            Axis(
                window.count,
                1,
                tuple((first + window.before - j * window.dilation) // window.stride for j in js),
                -(-(window.size - first) // window.stride),
                first,
                window.stride,
            ),
            js,
        )
        for first, js in sorted(taps.items())
        if first < window.size
    ]


def _whole(window: Window) -> Axis:
    """All outputs, meeting nothing."""
    return Axis(window.count, 1, (), window.size)


def _pack_transposed(node: Node, weights: Array, kernel: Sequence[list[int]]) -> PackedKernel:
    """Those elements of the kernel [channels, outputs of a group, ...] that are listed."""
    groups, (channels, outputs) = node["group"], weights.shape[:2]
    chosen = weights.reshape(groups, channels // groups, outputs, *weights.shape[2:])
    chosen = chosen[np.ix_(*map(range, chosen.shape[:3]), *kernel)].swapaxes(1, 2)
    return convolution.pack(chosen.reshape(groups, outputs, -1))


def _transposed_parts(node: Node, weights: Array, seen: Sequence[Window]) -> tuple[_Part, ...]:
    groups, outputs = node["group"], weights.shape[1]
    parts = []
    if any(min(window.stride, window.size) > len(_residues(window)) for window in seen):
        nothing = convolution.pack(np.empty((groups, outputs, 0), weights.dtype))
        parts.append(_Part(nothing, three([_whole(window) for window in seen], _ALONE)))
    for chosen in product(*(_residues(window) for window in seen)):
        packed = _pack_transposed(node, weights, [js for _, js in chosen])
        parts.append(_Part(packed, three([axis for axis, _ in chosen], _ALONE)))
    return tuple(parts)


def _transposed(
    node: Node, data: TensorType, weights: Array, bias: Array | None, memory: Weights
) -> _Convolution:
    seen = _transposed_windows(node, data.shape[2:], weights.shape[2:])
    result = (data.shape[0], node["group"] * weights.shape[1], *(window.size for window in seen))
    form = f"transposed {node['group']} {seen}"
    parts = memory.form(weights, form, lambda: _transposed_parts(node, weights, seen))
    return _biased(_Convolution(parts, data.shape, result, weights.dtype), bias)


def _run_transposed(node: Node, arrays: Sequence[Any]) -> list[Array]:
    data, weights, bias = [*arrays, None][:3]
    return _transposed(node, _type(data), weights, bias, Weights()).run([data])


def _prepare_transposed(
    node: Node, inputs: Sequence[TensorType | None], memory: Weights
) -> Prepared | None:
    data, weights, bias = [*inputs, None][:3]
    if data is None or not _fixed(weights, bias):
        return None
    assert weights is not None and weights.value is not None
    return _transposed(node, data, weights.value, None if bias is None else bias.value, memory)


_GROUP = {"group": Attribute("int", 1)}

OPERATORS = [
    Operator(
        "Conv",
        _infer_conv,
        _run_conv,
        inputs=(2, 3),
        attributes=WINDOW | _GROUP,
        work=_conv_work,
        prepare=_prepare_conv,
    ),
    Operator(
        "ConvTranspose",
        _infer_transposed,
        _run_transposed,
        inputs=(2, 3),
        attributes=WINDOW
        | _GROUP
        | {"output_padding": Attribute("ints"), "output_shape": Attribute("ints")},
        work=_transposed_work,
        prepare=_prepare_transposed,
    ),
]
