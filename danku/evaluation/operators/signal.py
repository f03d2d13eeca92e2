"""Discrete Fourier transforms: DFT, STFT."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from danku.evaluation import profile
from danku.evaluation.graph import Node
from danku.evaluation.inference import (
    FLOATS,
    INTEGERS,
    axis_of,
    refuse,
    require_kind,
    require_value,
)
from danku.evaluation.kernels import fourier
from danku.evaluation.kernels.arrays import Array, rounded
from danku.evaluation.registry import Attribute, Operator
from danku.evaluation.tensor import TensorType, constant

Floats = NDArray[np.float64]

_TABLE_WORK = 64
"""Multiply-accumulates that a cosine and a sine are charged."""
# NOTE: so many numbers of frames are transformed at a time; the bits do not depend on it.
_FRAMES = 2**20


def _integer(node: Node, tensor: TensorType | None) -> int | None:
    if tensor is None:
        return None
    require_kind(node, INTEGERS, tensor)
    value = require_value(node, tensor)
    if value.size != 1:
        raise refuse(node, f"expected one number, found {tensor}")
    return int(value.reshape(()))


def _settings(node: Node, inputs: Sequence[TensorType | None]) -> tuple[int, int, int]:
    """The axis, the length of the transform, and how many frequencies come out."""
    data, length, axis = [*inputs, None, None][:3]
    assert data is not None
    if data.rank < 2 or data.shape[-1] not in (1, 2):
        raise refuse(node, f"a signal {data}")
    where = node["axis"] if "axis" in node.attributes else _integer(node, axis)
    place = axis_of(node, -2 if where is None else where, data.rank)
    if place == data.rank - 1:
        raise refuse(node, "the axis of real and imaginary parts")
    halved = bool(node["onesided"])
    back = halved and bool(node["inverse"])
    if halved and not back and data.shape[-1] != 1:
        raise refuse(node, "one side of a complex signal")
    wanted = _integer(node, length)
    if wanted is None:
        wanted = 2 * (data.shape[place] - 1) if back else data.shape[place]
    if not 1 <= wanted <= profile.DIMENSION:
        raise refuse(node, f"a length of {wanted}")
    return place, wanted, wanted // 2 + 1 if halved and not back else wanted


def _infer_transform(node: Node, inputs: Sequence[Any]) -> list[TensorType]:
    data: TensorType = inputs[0]
    require_kind(node, FLOATS, data)
    place, _, count = _settings(node, inputs)
    parts = 1 if node["onesided"] and node["inverse"] else 2
    return [data.with_shape(*data.shape[:place], count, *data.shape[place + 1 : -1], parts)]


def _transform_work(node: Node, inputs: Sequence[Any], outputs: Sequence[TensorType]) -> int:
    _, length, count = _settings(node, inputs)
    return length * (2 * outputs[0].elements + count * _TABLE_WORK)


def _run_transform(node: Node, arrays: Sequence[Any]) -> list[Array]:
    data: Array = arrays[0]
    kinds = [None if each is None else constant(each) for each in arrays]
    place, length, count = _settings(node, kinds)
    moved = np.moveaxis(data.astype(np.float64), place, -2)
    *leading, found, parts = moved.shape
    rows = np.zeros((prod(leading), length, 2))
    kept = min(found, length)
    rows[:, :kept, :parts] = moved.reshape(prod(leading), found, parts)[:, :kept]
    back = bool(node["onesided"] and node["inverse"])
    if back:
        _mirror(rows, kept)
    complex_rows = parts == 2 or back
    with np.errstate(all="ignore"):
        result = fourier.transform(
            np.ascontiguousarray(rows[..., 0]),
            np.ascontiguousarray(rows[..., 1]) if complex_rows else None,
            count,
            inverse=bool(node["inverse"]),
        )
        result = result[..., :1] if back else result
        shaped = result.reshape(*leading, count, result.shape[-1])
        return [rounded(np.moveaxis(shaped, -2, place), data.dtype)]


def _mirror(rows: Floats, given: int) -> None:
    """Fills in the frequencies that a one-sided spectrum leaves out, as conjugates."""
    length = rows.shape[1]
    for place in range(length // 2 + 1, length):
        source = length - place
        if source < given:
            rows[:, place, 0], rows[:, place, 1] = rows[:, source, 0], -rows[:, source, 1]
        else:
            rows[:, place] = 0.0


def _frames(node: Node, inputs: Sequence[TensorType | None]) -> tuple[int, int, int, int]:
    """The step, the length and the number of frames, and how many frequencies come out."""
    signal, step, window, length = [*inputs, None, None][:4]
    assert signal is not None
    if signal.rank != 3 or signal.shape[-1] not in (1, 2):
        raise refuse(node, f"a signal {signal}")
    if node["onesided"] and signal.shape[-1] == 2:
        raise refuse(node, "one side of a complex signal")
    stride, size = _integer(node, step), _integer(node, length)
    if size is None:
        size = signal.shape[1] if window is None else window.elements
    if window is not None and window.shape != (size,):
        raise refuse(node, f"a window {window} for frames of {size}")
    if not stride or not 1 <= stride <= profile.DIMENSION or not 1 <= size <= signal.shape[1]:
        raise refuse(node, f"frames of {size} every {stride}")
    count = (signal.shape[1] - size) // stride + 1
    return stride, size, count, size // 2 + 1 if node["onesided"] else size


def _infer_frames(node: Node, inputs: Sequence[Any]) -> list[TensorType]:
    signal: TensorType = inputs[0]
    window = inputs[2] if len(inputs) > 2 else None
    require_kind(node, FLOATS, signal, window)
    _, _, count, frequencies = _frames(node, inputs)
    return [signal.with_shape(signal.shape[0], count, frequencies, 2)]


def _frames_work(node: Node, inputs: Sequence[Any], outputs: Sequence[TensorType]) -> int:
    _, size, count, frequencies = _frames(node, inputs)
    batch, _, parts = inputs[0].shape
    tables = -(-count // _together(batch, size)) * frequencies
    return int(size * (outputs[0].elements * parts + tables * _TABLE_WORK))


def _together(batch: int, size: int) -> int:
    """Frames that are transformed at a time."""
    return max(1, _FRAMES // max(batch * size, 1))


def _run_frames(node: Node, arrays: Sequence[Any]) -> list[Array]:
    signal, _, window = [*arrays, None][:3]
    kinds = [None if each is None else constant(each) for each in arrays]
    stride, size, count, frequencies = _frames(node, kinds)
    wide = signal.astype(np.float64)
    factor = 1.0 if window is None else window.astype(np.float64)[:, np.newaxis]
    result = np.empty((len(signal), count, frequencies, 2))
    together = _together(len(signal), size)
    with np.errstate(all="ignore"):
        for first in range(0, count, together):
            starts = np.arange(first, min(first + together, count)) * stride
            frames = wide[:, starts[:, np.newaxis] + np.arange(size)] * factor
            real, *imaginary = np.moveaxis(frames.reshape(-1, size, frames.shape[-1]), -1, 0)
            found = fourier.transform(
                np.ascontiguousarray(real),
                np.ascontiguousarray(imaginary[0]) if imaginary else None,
                frequencies,
                inverse=False,
            )
            result[:, first : first + together] = found.reshape(
                len(signal), len(starts), frequencies, 2
            )
        return [rounded(result, signal.dtype)]


_SIDES = {"inverse": Attribute("int", 0), "onesided": Attribute("int", 0)}

OPERATORS = [
    Operator(
        "DFT",
        _infer_transform,
        _run_transform,
        inputs=(1, 2),
        opsets=(17, 19),
        attributes=_SIDES | {"axis": Attribute("int", 1)},
        work=_transform_work,
    ),
    Operator(
        "DFT",
        _infer_transform,
        _run_transform,
        inputs=(1, 3),
        opsets=(20, 1_000),
        attributes=_SIDES,
        work=_transform_work,
    ),
    Operator(
        "STFT",
        _infer_frames,
        _run_frames,
        inputs=(2, 4),
        opsets=(17, 1_000),
        attributes={"onesided": Attribute("int", 1)},
        work=_frames_work,
    ),
]
