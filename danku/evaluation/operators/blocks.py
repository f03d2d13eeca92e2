"""Elements in another order: DepthToSpace, SpaceToDepth, ReverseSequence, Trilu, Col2Im."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from danku.evaluation import profile
from danku.evaluation.graph import Node
from danku.evaluation.inference import (
    ANYTHING,
    NUMBERS,
    integers,
    refuse,
    require_kind,
    require_rank,
)
from danku.evaluation.kernels.arrays import rounded
from danku.evaluation.kernels.rejection import RuntimeRejection
from danku.evaluation.refusal import ModelRejected
from danku.evaluation.registry import Attribute, Operator
from danku.evaluation.tensor import Array, TensorType, constant

_INT64 = np.dtype(np.int64)
_BOUND = 2**31
"""No diagonal of a tensor is further from the main one."""


def _block(node: Node, data: TensorType) -> int:
    require_kind(node, ANYTHING, data)
    require_rank(node, data, 4)
    size: int = node["blocksize"]
    if not 1 <= size <= _BOUND:
        raise refuse(node, f"blocks of size {size}")
    if node.attributes.get("mode", "DCR") not in ("DCR", "CRD"):
        raise refuse(node, "mode is neither DCR nor CRD")
    return size


def _infer_depth_to_space(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    [data] = inputs
    size = _block(node, data)
    count, depth, height, width = data.shape
    if depth % size**2:
        raise refuse(node, "a depth that is no multiple of the block")
    return [data.with_shape(count, depth // size**2, height * size, width * size)]


def _run_depth_to_space(node: Node, arrays: Sequence[Array]) -> list[Array]:
    [data], size = arrays, node["blocksize"]
    count, depth, height, width = data.shape
    layers = depth // size**2
    if node.attributes.get("mode", "DCR") == "DCR":
        parts = data.reshape(count, size, size, layers, height, width).transpose(0, 3, 4, 1, 5, 2)
    else:
        parts = data.reshape(count, layers, size, size, height, width).transpose(0, 1, 4, 2, 5, 3)
    return [parts.reshape(count, layers, height * size, width * size)]


def _infer_space_to_depth(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    [data] = inputs
    size = _block(node, data)
    count, depth, height, width = data.shape
    if height % size or width % size:
        raise refuse(node, "a height or width that is no multiple of the block")
    return [data.with_shape(count, depth * size**2, height // size, width // size)]


def _run_space_to_depth(node: Node, arrays: Sequence[Array]) -> list[Array]:
    [data], size = arrays, node["blocksize"]
    count, depth, height, width = data.shape
    parts = data.reshape(count, depth, height // size, size, width // size, size)
    order = (
        (0, 3, 5, 1, 2, 4) if node.attributes.get("mode", "DCR") == "DCR" else (0, 1, 3, 5, 2, 4)
    )
    shape = (count, depth * size**2, height // size, width // size)
    return [parts.transpose(order).reshape(shape)]


def _infer_reverse(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    data, lengths = inputs
    require_kind(node, ANYTHING, data)
    if data.rank < 2:
        raise refuse(node, f"input of rank {data.rank}")
    if {node["batch_axis"], node["time_axis"]} != {0, 1}:
        raise refuse(node, "batch_axis and time_axis are not 0 and 1")
    if lengths.dtype != _INT64 or lengths.shape != (data.shape[node["batch_axis"]],):
        raise refuse(node, f"lengths of type {lengths}")
    return [data.with_shape(*data.shape)]


def _run_reverse(node: Node, arrays: Sequence[Array]) -> list[Array]:
    data, lengths = arrays
    steps = data.shape[node["time_axis"]]
    if ((lengths < 0) | (lengths > steps)).any():
        raise RuntimeRejection("ReverseSequence: length out of range")
    times = np.arange(steps)[:, np.newaxis]
    sources = np.where(times < lengths, lengths - 1 - times, times)
    columns = np.broadcast_to(np.arange(len(lengths)), sources.shape)
    if node["time_axis"] == 0:
        return [data[sources, columns]]
    return [data[columns.T, sources.T]]


def _infer_triangle(node: Node, inputs: Sequence[Any]) -> list[TensorType]:
    data: TensorType = inputs[0]
    require_kind(node, "fiub", data)
    if data.rank < 2:
        raise refuse(node, f"input of rank {data.rank}")
    diagonal = inputs[1] if len(inputs) > 1 else None
    if diagonal is not None and (diagonal.dtype != _INT64 or diagonal.shape not in ((), (1,))):
        raise refuse(node, f"a diagonal of type {diagonal}")
    return [data.with_shape(*data.shape)]


def _run_triangle(node: Node, arrays: Sequence[Any]) -> list[Array]:
    data, diagonal = [*arrays, None][:2]
    shift = 0 if diagonal is None else int(np.clip(diagonal.reshape(()), -_BOUND, _BOUND))
    rows, columns = data.shape[-2:]
    beyond = np.arange(columns) - np.arange(rows)[:, np.newaxis]
    kept = beyond >= shift if node["upper"] else beyond <= shift
    return [np.where(kept, data, data.dtype.type(0))]


@dataclass(frozen=True)
class _Axis:
    """How blocks lie along one axis of an image."""

    size: int
    block: int
    dilation: int
    margins: tuple[int, int]
    stride: int

    @property
    def count(self) -> int:
        """Of blocks."""
        span = self.dilation * (self.block - 1) + 1
        room = self.size + sum(self.margins) - span
        return room // self.stride + 1 if room >= 0 else 0

    def landing(self) -> Array:
        """Where in the image each element of each block falls: [block, count]; -1 is outside."""
        starts = self.dilation * np.arange(self.block)[:, np.newaxis] - self.margins[0]
        places = starts + self.stride * np.arange(self.count)
        return np.where((places < 0) | (places >= self.size), -1, places)


def _folding(node: Node, data: TensorType, image: TensorType, block: TensorType) -> list[_Axis]:
    if data.rank != 3:
        raise refuse(node, f"input of rank {data.rank}")
    sizes, blocks = integers(node, image), integers(node, block)
    rank = len(sizes)
    dilations = node["dilations"] or (1,) * rank
    pads = node["pads"] or (0,) * (2 * rank)
    strides = node["strides"] or (1,) * rank
    if not rank or {len(blocks), len(dilations), len(strides), len(pads) / 2} != {rank}:
        raise refuse(node, "lists of different lengths")
    if min(*sizes, *blocks, *dilations, *strides) < 1 or min(pads) < 0:
        raise refuse(node, "a size below 1")
    margins = zip(pads[:rank], pads[rank:], strict=True)
    axes = list(map(_Axis, sizes, blocks, dilations, margins, strides))
    if data.shape[1] % prod(blocks) or data.shape[2] != prod(axis.count for axis in axes):
        raise refuse(node, f"{data} does not fit the image")
    if max(*dilations, *strides, *pads) > profile.DIMENSION:
        raise refuse(node, "a dilation, stride or pad that is too large")
    return axes


def _infer_fold(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    data, image, block = inputs
    require_kind(node, NUMBERS, data)
    if image.dtype != _INT64 or block.dtype != _INT64:
        raise ModelRejected("type", f"{node.operator}: shapes that are not int64")
    axes = _folding(node, data, image, block)
    layers = data.shape[1] // prod(axis.block for axis in axes)
    return [data.with_shape(data.shape[0], layers, *(axis.size for axis in axes))]


def _run_fold(node: Node, arrays: Sequence[Array]) -> list[Array]:
    """Each element of the image is the float64 sum over the blocks' elements in C order."""
    data = arrays[0]
    axes = _folding(node, *(constant(array) for array in arrays))
    block, sizes = prod(axis.block for axis in axes), [axis.size for axis in axes]
    count, layers = data.shape[0], data.shape[1] // block
    exact = data.dtype.kind != "f"
    image = np.zeros((prod(sizes), count * layers), data.dtype if exact else np.float64)
    if data.size:
        places = _places(axes)
        columns = data.reshape(count * layers, len(places)).T.astype(image.dtype)
        inside = places >= 0
        with np.errstate(all="ignore"):
            # NOTE: one column after the other, in order, even where they fall on one place.
            np.add.at(image, places[inside], columns[inside])
            image = image if exact else rounded(image, data.dtype)
    return [image.astype(data.dtype, copy=False).T.reshape(count, layers, *sizes)]


def _places(axes: Sequence[_Axis]) -> Array:
    """Where in C order of the image the elements of all blocks fall, in C order; -1 is outside."""
    flat, outside = np.zeros((), np.int64), np.zeros((), np.bool_)
    rank = len(axes)
    for number, axis in enumerate(axes):
        shape = [1] * (2 * rank)
        shape[number], shape[number + rank] = axis.block, axis.count
        landing = axis.landing().reshape(shape)
        flat, outside = flat * axis.size + landing, outside | (landing < 0)
    return np.where(outside, -1, flat).reshape(-1)


_BLOCK_SIZE = {"blocksize": Attribute("int", required=True)}
_MODE = {"mode": Attribute("string", "DCR")}

OPERATORS = [
    Operator(
        "DepthToSpace",
        _infer_depth_to_space,
        _run_depth_to_space,
        inputs=(1, 1),
        opsets=(1, 10),
        attributes=_BLOCK_SIZE,
    ),
    Operator(
        "DepthToSpace",
        _infer_depth_to_space,
        _run_depth_to_space,
        inputs=(1, 1),
        opsets=(11, 1_000),
        attributes=_BLOCK_SIZE | _MODE,
    ),
    Operator(
        "SpaceToDepth",
        _infer_space_to_depth,
        _run_space_to_depth,
        inputs=(1, 1),
        opsets=(1, 27),
        attributes=_BLOCK_SIZE,
    ),
    Operator(
        "SpaceToDepth",
        _infer_space_to_depth,
        _run_space_to_depth,
        inputs=(1, 1),
        opsets=(28, 1_000),
        attributes=_BLOCK_SIZE | _MODE,
    ),
    Operator(
        "ReverseSequence",
        _infer_reverse,
        _run_reverse,
        inputs=(2, 2),
        opsets=(10, 1_000),
        attributes={"batch_axis": Attribute("int", 1), "time_axis": Attribute("int", 0)},
    ),
    Operator(
        "Trilu",
        _infer_triangle,
        _run_triangle,
        inputs=(1, 2),
        opsets=(14, 1_000),
        attributes={"upper": Attribute("int", 1)},
    ),
    Operator(
        "Col2Im",
        _infer_fold,
        _run_fold,
        inputs=(3, 3),
        opsets=(18, 1_000),
        attributes={
            "dilations": Attribute("ints"),
            "pads": Attribute("ints"),
            "strides": Attribute("ints"),
        },
    ),
]
