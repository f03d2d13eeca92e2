"""Tensors stored in a model: protobuf to arrays, with the size checked before any allocation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from danku.evaluation import profile
from danku.evaluation.refusal import ModelRejected, quoted
from danku.evaluation.tensor import Array, DType, TensorType

if TYPE_CHECKING:
    from onnx import TensorProto

_TYPED_FIELDS = {
    "float32": "float_data",
    "float64": "double_data",
    "int64": "int64_data",
    "uint32": "uint64_data",
    "uint64": "uint64_data",
    "object": "string_data",
}
_OTHER_TYPES_FIELD = "int32_data"
_BITS: dict[DType, DType] = {
    **dict.fromkeys((np.dtype(np.float16), profile.BFLOAT16), np.dtype(np.uint16)),
    **dict.fromkeys(profile.STORED_ONLY, np.dtype(np.uint8)),
}
"""Types that are stored as integers with the same bits."""
_ALL_FIELDS = tuple(sorted({*_TYPED_FIELDS.values(), _OTHER_TYPES_FIELD}))


def element_type(number: int) -> DType:
    """What holds ONNX's element type of this number.

    Raises:
        ModelRejected: the profile does not have it.
    """
    if number not in profile.ELEMENT_TYPES:
        name = profile.REFUSED_ELEMENT_TYPES.get(number, f"number {number}")
        raise ModelRejected("type", f"unsupported element type {name}")
    return profile.ELEMENT_TYPES[number]


def read_tensor(tensor: TensorProto) -> Array:
    """A stored tensor as a read-only array in native byte order; strings as `str` objects.

    Raises:
        ModelRejected: unsupported type, dimensions out of bounds, or data of another length.
    """
    kind = TensorType(element_type(tensor.data_type), tuple(tensor.dims))
    typed = _TYPED_FIELDS.get(kind.dtype.name, _OTHER_TYPES_FIELD)
    filled = [name for name in _ALL_FIELDS if len(getattr(tensor, name))]
    broken = ModelRejected("tensor", f"tensor {quoted(tensor.name)} has data of the wrong length")
    if tensor.HasField("raw_data"):
        if filled or kind.dtype == profile.STRING:
            raise ModelRejected("tensor", f"tensor {quoted(tensor.name)} has the wrong data field")
        stored = _BITS.get(kind.dtype, kind.dtype)
        if len(tensor.raw_data) != _stored_elements(kind) * stored.itemsize:
            raise broken
        array = np.frombuffer(tensor.raw_data, stored.newbyteorder("<")).astype(stored)
        array = _unpacked(array, kind).view(kind.dtype)
        if kind.dtype == np.bool_ and (array.view(np.uint8) > 1).any():
            raise ModelRejected("tensor", f"tensor {quoted(tensor.name)} has values out of range")
    else:
        if filled not in ([], [typed]):
            raise ModelRejected("tensor", f"tensor {quoted(tensor.name)} has the wrong data field")
        values: Sequence[Any] = getattr(tensor, typed)
        if len(values) != _stored_elements(kind):
            raise broken
        array = _from_values(values, kind, tensor.name)
    array = array.reshape(kind.shape)
    array.flags.writeable = False
    return array


def _stored_elements(kind: TensorType) -> int:
    """How many numbers hold the elements."""
    return -(-kind.elements * profile.PACKED_BITS.get(kind.dtype, 8) // 8)


def _unpacked(stored: Array, kind: TensorType) -> Array:
    """One number for each element, the lowest bits first."""
    if kind.dtype not in profile.PACKED_BITS:
        return stored
    width = profile.PACKED_BITS[kind.dtype]
    places = np.arange(0, 8, width, dtype=np.uint8)
    parts = (stored[:, np.newaxis] >> places) & np.uint8(2**width - 1)
    return parts.reshape(-1)[: kind.elements]


def read_string(data: bytes) -> str:
    """A string element.

    Raises:
        ModelRejected: too long, or not UTF-8.
    """
    if len(data) > profile.STRING_BYTES:
        raise ModelRejected("tensor", f"a string is longer than {profile.STRING_BYTES} bytes")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise ModelRejected("tensor", "a string is not UTF-8") from None


def _from_values(values: Sequence[Any], kind: TensorType, name: str) -> Array:
    dtype = _BITS.get(kind.dtype, kind.dtype)
    if dtype == profile.STRING:
        return strings([read_string(value) for value in values])
    if dtype.kind == "f":
        return np.array(values, dtype)
    wide = np.array(values, np.uint64 if dtype.kind == "u" and dtype.itemsize > 2 else np.int64)
    array = wide.astype(dtype)
    if (array != wide).any():
        raise ModelRejected("tensor", f"tensor {quoted(name)} has values out of range")
    return _unpacked(array, kind).view(kind.dtype)


def strings(values: Sequence[str]) -> Array:
    """A string tensor [n]."""
    array = np.empty(len(values), profile.STRING)
    array[:] = list(values)
    return array
