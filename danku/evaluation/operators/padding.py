"""Operators that add or cut margins: Pad, CenterCropPad."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from danku.evaluation import profile
from danku.evaluation.graph import Node
from danku.evaluation.inference import (
    ANYTHING,
    FLOATS,
    axes_of,
    axis_of,
    integers,
    refuse,
    require_kind,
)
from danku.evaluation.registry import Attribute, Operator
from danku.evaluation.tensor import Array, TensorType, constant

Margins = list[tuple[int, int]]
"""What is added at the beginning and end of each axis; less than 0 is cut off."""

_MODES = {"constant": 1, "reflect": 1, "edge": 1, "wrap": 19}
"""How margins are filled, and since which opset."""


def _margins(node: Node, inputs: Sequence[TensorType | None]) -> Margins:
    data, pads = inputs[0], None if "pads" in node.attributes else inputs[1]
    assert data is not None
    listed = node["pads"] if pads is None else integers(node, pads, 2)
    chosen = inputs[3] if len(inputs) > 3 else None
    places = range(data.rank) if chosen is None else _places(node, integers(node, chosen), data)
    if len(listed) != 2 * len(places):
        raise refuse(node, f"{len(listed)} pads for {len(places)} axes")
    margins = [(0, 0)] * data.rank
    for place, first, last in zip(
        places, listed[: len(places)], listed[len(places) :], strict=True
    ):
        margins[place] = (first, last)
    return margins


def _places(node: Node, axes: Sequence[int], data: TensorType) -> list[int]:
    axes_of(node, axes, data.rank)
    return [axis_of(node, axis, data.rank) for axis in axes]


def _infer_pad(node: Node, inputs: Sequence[Any]) -> list[TensorType]:
    data: TensorType = inputs[0]
    filling = inputs[2] if len(inputs) > 2 else None
    require_kind(node, FLOATS if "value" in node.attributes else ANYTHING, data, filling)
    if filling is not None and filling.shape not in ((), (1,)):
        raise refuse(node, "constant_value is not one element")
    if node.version < _MODES.get(node["mode"], node.version + 1):
        raise refuse(node, "an unknown mode")
    sizes = []
    for size, (first, last) in zip(data.shape, _margins(node, inputs), strict=True):
        if size + min(first, 0) + min(last, 0) < 0:
            raise refuse(node, "more is cut off than there is")
        if node["mode"] != "constant" and max(first, last) > 0:
            if size + min(first, 0) + min(last, 0) == 0:
                raise refuse(node, "nothing to fill the margins with")
        sizes.append(size + first + last)
    return [data.with_shape(*sizes)]


def _filling(node: Node, data: Array, given: Array | None) -> Any:
    if given is not None:
        return given.reshape(())[()]
    if data.dtype == profile.STRING:
        return ""
    return data.dtype.type(node.attributes.get("value", 0))


def _run_pad(node: Node, arrays: Sequence[Any]) -> list[Array]:
    data: Array = arrays[0]
    margins = _margins(node, [None if each is None else constant(each) for each in arrays])
    kept = tuple(
        slice(max(-first, 0), size - max(-last, 0))
        for size, (first, last) in zip(data.shape, margins, strict=True)
    )
    data = data[kept]
    added = [(max(first, 0), max(last, 0)) for first, last in margins]
    if node["mode"] == "constant":
        return [_surrounded(data, added, _filling(node, data, (*arrays, None, None)[2]))]
    for axis, (first, last) in enumerate(added):
        if first or last:
            data = np.take(data, _sources(node["mode"], data.shape[axis], first, last), axis)
    return [data]


def _surrounded(data: Array, added: Margins, filling: Any) -> Array:
    sizes = [first + size + last for size, (first, last) in zip(data.shape, added, strict=True)]
    result = np.full(sizes, filling, data.dtype)
    inner = (slice(first, first + size) for size, (first, _) in zip(data.shape, added, strict=True))
    result[tuple(inner)] = data
    return result


def _sources(mode: str, size: int, first: int, last: int) -> NDArray[np.int64]:
    """For each place along an axis, which element stands there."""
    places = np.arange(-first, size + last, dtype=np.int64)
    if mode == "edge":
        return np.clip(places, 0, size - 1)
    if mode == "wrap":
        return places % size
    if size == 1:
        return np.zeros_like(places)
    folded = places % (2 * size - 2)
    return np.minimum(folded, 2 * size - 2 - folded)


def _crop_margins(node: Node, data: TensorType, wanted: TensorType) -> Margins:
    sizes = integers(node, wanted)
    places = list(range(data.rank)) if node["axes"] is None else _places(node, node["axes"], data)
    if len(sizes) != len(places):
        raise refuse(node, f"{len(sizes)} sizes for {len(places)} axes")
    margins = [(0, 0)] * data.rank
    for place, size in zip(places, sizes, strict=True):
        if size < 0:
            raise refuse(node, "a negative dimension")
        missing = size - data.shape[place]
        # NOTE: the odd element is added, and cut off, at the end.
        first = missing // 2 if missing >= 0 else -(-missing // 2)
        margins[place] = (first, missing - first)
    return margins


def _infer_crop(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    data, wanted = inputs
    require_kind(node, ANYTHING, data)
    margins = _crop_margins(node, data, wanted)
    sizes = (size + sum(each) for size, each in zip(data.shape, margins, strict=True))
    return [data.with_shape(*sizes)]


def _run_crop(node: Node, arrays: Sequence[Array]) -> list[Array]:
    data, wanted = arrays
    margins = _crop_margins(node, constant(data), constant(wanted))
    kept = tuple(
        slice(max(-first, 0), size - max(-last, 0))
        for size, (first, last) in zip(data.shape, margins, strict=True)
    )
    added = [(max(first, 0), max(last, 0)) for first, last in margins]
    filling = "" if data.dtype == profile.STRING else data.dtype.type(0)
    return [_surrounded(data[kept], added, filling)]


_MODE = {"mode": Attribute("string", "constant")}

OPERATORS = [
    Operator(
        "Pad",
        _infer_pad,
        _run_pad,
        inputs=(1, 1),
        opsets=(2, 10),
        attributes=_MODE
        | {"pads": Attribute("ints", required=True), "value": Attribute("float", 0.0)},
    ),
    Operator("Pad", _infer_pad, _run_pad, inputs=(2, 3), opsets=(11, 17), attributes=_MODE),
    Operator("Pad", _infer_pad, _run_pad, inputs=(2, 4), opsets=(18, 1_000), attributes=_MODE),
    Operator(
        "CenterCropPad",
        _infer_crop,
        _run_crop,
        inputs=(2, 2),
        opsets=(18, 1_000),
        attributes={"axes": Attribute("ints")},
    ),
]
