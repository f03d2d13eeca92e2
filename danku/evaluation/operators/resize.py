"""Resize and Upsample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from danku.evaluation import profile
from danku.evaluation.graph import Node
from danku.evaluation.inference import (
    ANYTHING,
    FLOATS,
    NUMBERS,
    PASS_WORK,
    axes_of,
    axis_of,
    integers,
    refuse,
    require_kind,
    require_value,
)
from danku.evaluation.kernels import elementwise
from danku.evaluation.kernels.arrays import rounded
from danku.evaluation.kernels.narrow import widened
from danku.evaluation.kernels.resampling import (
    TOGETHER,
    WIDEST,
    Axis,
    Interpolation,
    ordered,
    resample,
)
from danku.evaluation.registry import Attribute, Operator
from danku.evaluation.tensor import Array, TensorType, constant

_MODES = ("nearest", "linear", "cubic")
_NEAREST = ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil")
_COORDINATES = {
    "half_pixel": (11, 1_000),
    "pytorch_half_pixel": (11, 1_000),
    "align_corners": (11, 1_000),
    "asymmetric": (1, 1_000),
    "tf_half_pixel_for_nn": (11, 12),
    "tf_crop_and_resize": (11, 1_000),
    "half_pixel_symmetric": (19, 1_000),
}
"""Opsets of each way to map coordinates."""
_POLICIES = ("stretch", "not_larger", "not_smaller")


def _method(node: Node) -> Interpolation:
    """NOTE: up to opset 10 coordinates are divided by the scale, and the place below is nearest."""
    known = node.attributes
    method = Interpolation(
        mode=node["mode"],
        coordinates=known.get("coordinate_transformation_mode", "asymmetric"),
        nearest=known.get("nearest_mode", "floor"),
        cubic=known.get("cubic_coeff_a", -0.75),
        exclude_outside=bool(known.get("exclude_outside", 0)),
        extrapolation=known.get("extrapolation_value", 0.0),
        antialias=bool(known.get("antialias", 0)) and node["mode"] != "nearest",
    )
    if method.mode not in _MODES or (node.version < 11 and method.mode == "cubic"):
        raise refuse(node, "an unknown mode")
    first, last = _COORDINATES.get(method.coordinates, (1_000, 0))
    if not first <= node.version <= last:
        raise refuse(node, "an unknown mode of coordinates")
    if method.nearest not in _NEAREST:
        raise refuse(node, "an unknown mode of nearness")
    return method


def _floats(node: Node, tensor: TensorType | None, most: int) -> list[float]:
    """The constant floats of a list; none if it is absent or empty."""
    if tensor is None:
        return []
    require_kind(node, FLOATS, tensor)
    value = widened(require_value(node, tensor))
    if value.ndim != 1 or value.size > most or not np.isfinite(value).all():
        raise refuse(node, f"expected a list of numbers, found {tensor}")
    return [float(each) for each in value]


def _axes(node: Node, inputs: Sequence[TensorType | None]) -> list[Axis]:
    data = inputs[0]
    assert data is not None
    if node.version < 11:
        roi, scales, sizes = None, inputs[1], None
    else:
        roi, scales, sizes = [*inputs[1:], None, None, None][:3]
    chosen = node.attributes.get("axes")
    places = list(range(data.rank))
    if chosen is not None:
        axes_of(node, chosen, data.rank)
        places = [axis_of(node, axis, data.rank) for axis in chosen]
    factors = _floats(node, scales, profile.RANK)
    wanted = [] if sizes is None else list(integers(node, sizes))
    if bool(factors) == bool(wanted) and places:
        raise refuse(node, "either scales or sizes must be given")
    if len(factors or wanted) != len(places):
        raise refuse(node, f"{len(factors or wanted)} scales or sizes for {len(places)} axes")
    lengths = [data.shape[place] for place in places]
    if factors:
        if min(factors) <= 0:
            raise refuse(node, "a scale that is not positive")
        widths = [scale * length for scale, length in zip(factors, lengths, strict=True)]
        wanted = [_whole(node, width) for width in widths]
    else:
        factors, widths, wanted = _from_sizes(node, wanted, lengths)
    starts, ends = _region(node, roi, len(places))
    return list(map(Axis, places, lengths, wanted, factors, widths, starts, ends))


def _whole(node: Node, width: float) -> int:
    if width > profile.DIMENSION:
        raise refuse(node, "a scale that is too large")
    return int(width)


def _from_sizes(
    node: Node, sizes: list[int], lengths: list[int]
) -> tuple[list[float], list[float], list[int]]:
    """Scales, lengths before rounding, and lengths."""
    if min(sizes, default=1) < 1 or min(lengths, default=1) < 1:
        raise refuse(node, "a size below 1")
    if max(sizes, default=1) > profile.DIMENSION:
        raise refuse(node, "a size that is too large")
    scales = [size / length for size, length in zip(sizes, lengths, strict=True)]
    policy = node.attributes.get("keep_aspect_ratio_policy", "stretch")
    if policy not in _POLICIES:
        raise refuse(node, "an unknown policy of aspect ratios")
    if policy == "stretch" or not scales:
        return scales, [float(size) for size in sizes], sizes
    scale = min(scales) if policy == "not_larger" else max(scales)
    widths = [scale * length for length in lengths]
    return [scale] * len(sizes), widths, [_whole(node, width + 0.5) for width in widths]


def _region(node: Node, roi: TensorType | None, count: int) -> tuple[list[float], list[float]]:
    if node.attributes.get("coordinate_transformation_mode") != "tf_crop_and_resize":
        return [0.0] * count, [1.0] * count
    bounds = _floats(node, roi, 2 * profile.RANK)
    if len(bounds) != 2 * count:
        raise refuse(node, f"{len(bounds)} bounds of a region for {count} axes")
    return bounds[:count], bounds[count:]


def _infer(node: Node, inputs: Sequence[Any]) -> list[TensorType]:
    data: TensorType = inputs[0]
    method = _method(node)
    moves = method.mode == "nearest" and method.coordinates != "tf_crop_and_resize"
    require_kind(node, ANYTHING if moves else NUMBERS, data)
    axes = _axes(node, inputs)
    sizes = list(data.shape)
    for axis in axes:
        sizes[axis.place] = axis.wanted
        first, after = method.neighbours(axis.scale)
        if after - first > WIDEST:
            raise refuse(node, f"a filter of more than {WIDEST} neighbours")
    if data.elements == 0 and min(sizes, default=1) > 0:
        raise refuse(node, "nothing to resize")
    return [data.with_shape(*sizes)]


def _work(node: Node, inputs: Sequence[Any], outputs: Sequence[TensorType]) -> int:
    """Of the tensors in between, the elements times the neighbours."""
    method, elements, work = _method(node), inputs[0].elements, 0
    for axis in ordered(_axes(node, inputs)) if elements else ():
        first, after = method.neighbours(axis.scale)
        elements = elements // axis.length * axis.wanted
        passes = -(-axis.wanted // TOGETHER)
        work += (after - first) * (elements + passes * PASS_WORK)
    return work


def _run(node: Node, arrays: Sequence[Any]) -> list[Array]:
    data: Array = arrays[0]
    axes = _axes(node, [None if each is None else constant(each) for each in arrays])
    method = _method(node)
    if method.coordinates != "tf_crop_and_resize":
        axes = [axis for axis in axes if (axis.scale, axis.wanted) != (1.0, axis.length)]
    result = resample(data, axes, method)
    if result.dtype == data.dtype:
        return [result]
    if data.dtype.kind == "f":
        return [rounded(result, data.dtype)]
    return [elementwise.cast(result, data.dtype)]


_MODE = {"mode": Attribute("string", "nearest")}
_DETAILED = _MODE | {
    "coordinate_transformation_mode": Attribute("string", "half_pixel"),
    "cubic_coeff_a": Attribute("float", -0.75),
    "exclude_outside": Attribute("int", 0),
    "extrapolation_value": Attribute("float", 0.0),
    "nearest_mode": Attribute("string", "round_prefer_floor"),
}
_COMPLETE = _DETAILED | {
    "antialias": Attribute("int", 0),
    "axes": Attribute("ints"),
    "keep_aspect_ratio_policy": Attribute("string", "stretch"),
}

OPERATORS = [
    Operator("Upsample", _infer, _run, (2, 2), opsets=(9, 9), attributes=_MODE, work=_work),
    Operator("Resize", _infer, _run, (2, 2), opsets=(10, 10), attributes=_MODE, work=_work),
    Operator("Resize", _infer, _run, (1, 4), opsets=(11, 17), attributes=_DETAILED, work=_work),
    Operator("Resize", _infer, _run, (1, 4), opsets=(18, 1_000), attributes=_COMPLETE, work=_work),
]
