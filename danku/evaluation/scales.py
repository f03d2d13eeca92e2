"""What scales and zero points may be: their types and shapes, and how they meet the data."""

from __future__ import annotations

from collections.abc import Sequence

import ml_dtypes
import numpy as np

from danku.evaluation import profile
from danku.evaluation.graph import Node
from danku.evaluation.inference import axis_of, refuse
from danku.evaluation.kernels.narrow import widened
from danku.evaluation.refusal import ModelRejected
from danku.evaluation.tensor import Array, DType, TensorType

FLOAT32, INT32, UINT8 = (np.dtype(kind) for kind in (np.float32, np.int32, np.uint8))
BYTES = frozenset({UINT8, np.dtype(np.int8)})
HALVES = frozenset({FLOAT32, np.dtype(np.float16), profile.BFLOAT16})
MICROSOFT = "com.microsoft"
E8M0 = np.dtype(ml_dtypes.float8_e8m0fnu)


def require_type(node: Node, allowed: frozenset[DType], *tensors: TensorType | None) -> None:
    """Raises ModelRejected unless every tensor present is of one of these types."""
    for tensor in tensors:
        if tensor is not None and tensor.dtype not in allowed:
            raise ModelRejected("type", f"{node.operator}: unsupported type {tensor.dtype_name}")


def is_single(shape: Sequence[int]) -> bool:
    """Whether a scale of this shape is one for the whole tensor."""
    return tuple(shape) in ((), (1,))


def require_single(node: Node, *tensors: TensorType | None) -> None:
    """Raises ModelRejected unless every tensor present is one number."""
    for tensor in tensors:
        if tensor is not None and not is_single(tensor.shape):
            raise refuse(node, "more than one scale or zero point")


def require_granularity(node: Node, data: TensorType, scale: TensorType) -> None:
    """One scale for the tensor, for each place of ``axis``, or for each block along it."""
    block = node.attributes.get("block_size", 0)
    if block < 0:
        raise refuse(node, f"blocks of size {block}")
    if block:
        axis = axis_of(node, node["axis"], data.rank)
        blocked = list(data.shape)
        blocked[axis] = -(-data.shape[axis] // block)
        expected: tuple[int, ...] = tuple(blocked)
    elif is_single(scale.shape):
        return
    elif "axis" not in node.attributes:
        raise refuse(node, "more than one scale")
    else:
        expected = (data.shape[axis_of(node, node["axis"], data.rank)],)
    if scale.shape != expected:
        raise refuse(node, f"a scale that is not {list(expected)}")


def require_like(node: Node, scale: TensorType, zero_point: TensorType | None) -> None:
    """Raises ModelRejected if there is a zero point, and not one for each scale."""
    if (
        zero_point is not None
        and scale.shape != zero_point.shape
        and not (is_single(scale.shape) and is_single(zero_point.shape))
    ):
        raise refuse(node, "a zero point of another shape than the scale")


def aligned(node: Node, data: Array, parameter: Array) -> Array:
    """A scale or zero point, widened, that broadcasts to the data."""
    wide = widened(parameter)
    block = node.attributes.get("block_size", 0)
    if block:
        axis = node["axis"] % data.ndim
        spread: Array = np.take(wide, np.arange(data.shape[axis]) // block, axis)
        return spread
    if is_single(wide.shape):
        return wide.reshape(())
    return wide.reshape(-1, *(1,) * (data.ndim - 1 - node["axis"] % data.ndim))


def require_rows(node: Node, data: TensorType, parameter: TensorType) -> None:
    """One number, or one for each row of a left operand."""
    expected = ((data.shape[-2],), (*data.shape[:-1], 1)) if data.rank > 1 else ()
    if not is_single(parameter.shape) and parameter.shape not in expected:
        raise refuse(node, "a scale or zero point that is neither single nor one for each row")


def require_columns(node: Node, data: TensorType, parameter: TensorType) -> None:
    """One number, or one for each column of a right operand."""
    columns = data.shape[-1]
    expected = ((columns,), (*data.shape[:-2], 1, columns)) if data.rank > 1 else ()
    if not is_single(parameter.shape) and parameter.shape not in expected:
        raise refuse(node, "a scale or zero point that is neither single nor one for each column")


def for_rows(parameter: Array) -> Array:
    """One for each row [rows], as a column."""
    return parameter[:, np.newaxis] if parameter.ndim == 1 else parameter


def multiplier(first: Array, second: Array, result: Array) -> Array:
    """``(first * second) / result`` in float32: what a sum of products is multiplied with."""
    with np.errstate(all="ignore"):
        return np.asarray((first * second) / result.reshape(()))
