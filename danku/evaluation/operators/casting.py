"""From one element type to another: Cast, CastLike, BitCast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from danku.evaluation import profile
from danku.evaluation.graph import Node
from danku.evaluation.inference import refuse, require_kind
from danku.evaluation.initializers import element_type
from danku.evaluation.kernels import elementwise, narrow, spelling
from danku.evaluation.registry import Attribute, Operator
from danku.evaluation.tensor import Array, DType, TensorType

_SPELLED = "fiuO"
"""What can be cast from and to strings."""
_ROUNDINGS = ("up", "down", "nearest")


def _infer(node: Node, data: TensorType, wanted: DType) -> list[TensorType]:
    result = TensorType(wanted, data.shape, columns=data.columns)
    if profile.STRING in (data.dtype, result.dtype) and data.dtype != result.dtype:
        require_kind(node, _SPELLED, data)
        require_kind(node, _SPELLED, result)
    if node.attributes.get("round_mode", "up") not in _ROUNDINGS:
        raise refuse(node, f"round_mode is not one of {', '.join(_ROUNDINGS)}")
    return [result]


def _cast(node: Node, data: Array, wanted: DType) -> Array:
    """NOTE: bfloat16 is rounded from float32 afterwards, as the result of any operator is."""
    if data.dtype == wanted:
        return data
    if wanted == profile.STRING:
        return spelling.spelled(data)
    if wanted == narrow.BFLOAT16:
        wanted = np.dtype(np.float32)
    if data.dtype == profile.STRING:
        return spelling.parsed(data, wanted)
    saturate = bool(node.attributes.get("saturate", 1))
    if wanted in narrow.INTEGER_BITS:
        return narrow.to_small_integer(elementwise.cast(data, np.int64), wanted)
    if wanted in narrow.NAN_PATTERNS:
        saturate |= wanted == narrow.FLOAT4
        return narrow.to_small_float(_floats(data), wanted, saturate=saturate)
    if wanted == narrow.FLOAT8E8M0:
        return narrow.to_power_of_two(
            _floats(data), node.attributes.get("round_mode", "up"), saturate=saturate
        )
    return elementwise.cast(data, wanted)


def _floats(data: Array) -> Array:
    return data if data.dtype.kind == "f" else elementwise.cast(data, np.float32)


def _infer_cast(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    return _infer(node, inputs[0], element_type(node["to"]))


def _run_cast(node: Node, arrays: Sequence[Array]) -> list[Array]:
    return [_cast(node, arrays[0], element_type(node["to"]))]


def _infer_cast_like(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    data, example = inputs
    return _infer(node, data, example.dtype)


def _run_cast_like(node: Node, arrays: Sequence[Array]) -> list[Array]:
    data, example = arrays
    return [_cast(node, narrow.widened(data), example.dtype)]


def _width(kind: DType) -> int:
    return narrow.INTEGER_BITS.get(kind, 4 if kind == narrow.FLOAT4 else 8 * kind.itemsize)


def _infer_bit_cast(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    [data] = inputs
    wanted = element_type(node["to"])
    if profile.STRING in (data.dtype, wanted) or _width(data.dtype) != _width(wanted):
        raise refuse(node, f"{data.dtype_name} to {TensorType(wanted, ()).dtype_name}")
    return [TensorType(wanted, data.shape)]


def _run_bit_cast(node: Node, arrays: Sequence[Array]) -> list[Array]:
    [data], wanted = arrays, element_type(node["to"])
    if data.dtype.kind == "f":
        data = np.where(np.isnan(data), data.dtype.type(np.nan), data)
    bits = np.ascontiguousarray(data).reshape(data.shape)
    return [bits.view(np.uint8) != 0 if wanted == np.bool_ else bits.view(wanted)]


_TO = {"to": Attribute("int", required=True)}
_SATURATE = {"saturate": Attribute("int", 1)}
_ROUND_MODE = {"round_mode": Attribute("string", "up")}


def _cast_versions(opsets: tuple[int, int], known: Mapping[str, Attribute]) -> list[Operator]:
    first, last = opsets
    return [
        Operator(
            "Cast", _infer_cast, _run_cast, (1, 1), opsets=opsets, attributes={**_TO, **known}
        ),
        Operator(
            "CastLike",
            _infer_cast_like,
            _run_cast_like,
            inputs=(2, 2),
            opsets=(max(first, _CAST_LIKE_SINCE), last),
            attributes=known,
            native=True,
        ),
    ]


_CAST_LIKE_SINCE = 15

OPERATORS = [
    *_cast_versions((1, 18), {}),
    *_cast_versions((19, 23), _SATURATE),
    *_cast_versions((24, 1_000), _SATURATE | _ROUND_MODE),
    Operator(
        "BitCast",
        _infer_bit_cast,
        _run_bit_cast,
        inputs=(1, 1),
        opsets=(26, 1_000),
        attributes=_TO,
        native=True,
    ),
]
