"""Shape arithmetic that operators share; everything here works on types and allocates nothing."""

from __future__ import annotations

from collections.abc import Sequence

from danku.evaluation import profile
from danku.evaluation.graph import Node
from danku.evaluation.refusal import ModelRejected
from danku.evaluation.tensor import Array, TensorType

FLOATS = "f"
NUMBERS = "fiu"
INTEGERS = "iu"
ANYTHING = "fiubOn"

PASS_WORK = 2**14
"""Multiply-accumulates that a pass over the data is charged for itself, however few they are."""


def refuse(node: Node, problem: str) -> ModelRejected:
    """A refusal that names the operator, which must be a registered one."""
    return ModelRejected("node", f"{node.operator}: {problem}")


def require_kind(node: Node, kinds: str, *tensors: TensorType | None) -> None:
    """Raises ModelRejected unless the tensors present are of one type among these kinds."""
    present = [tensor for tensor in tensors if tensor is not None]
    for tensor in present:
        if tensor.kind not in kinds:
            raise ModelRejected("type", f"{node.operator}: unsupported type {tensor.dtype_name}")
    if len({tensor.dtype for tensor in present}) > 1:
        raise ModelRejected("type", f"{node.operator}: inputs of different types")


def require_rank(node: Node, tensor: TensorType, *ranks: int) -> None:
    """Raises ModelRejected unless the tensor has one of these ranks."""
    if tensor.rank not in ranks:
        raise refuse(node, f"input of rank {tensor.rank}")


def require_value(node: Node, tensor: TensorType) -> Array:
    """The value of a tensor that shapes depend on.

    Raises:
        ModelRejected: it is known only while the model runs.
    """
    if tensor.value is None:
        raise ModelRejected("dynamic-shape", f"dynamic shape: {node.operator} needs a constant")
    return tensor.value


def integers(node: Node, tensor: TensorType, each_axis: int = 1) -> tuple[int, ...]:
    """The constant integers of a tensor [n] or [], at most so many for each possible axis."""
    value = require_value(node, tensor)
    most = each_axis * profile.RANK
    if value.dtype.kind not in INTEGERS or value.ndim > 1 or value.size > most:
        raise refuse(node, f"expected a list of integers, found {tensor}")
    return tuple(int(each) for each in value.reshape(-1))


def broadcast(node: Node, *shapes: Sequence[int]) -> tuple[int, ...]:
    """The shape that numpy's (and ONNX's multidirectional) broadcasting gives."""
    rank = max(len(shape) for shape in shapes)
    result = [1] * rank
    for shape in shapes:
        for place, size in enumerate(shape, start=rank - len(shape)):
            if result[place] == 1:
                result[place] = size
            elif size not in (1, result[place]):
                raise refuse(node, "shapes that do not broadcast")
    return tuple(result)


def axis_of(node: Node, axis: int, rank: int) -> int:
    """An axis counted from the front; negative ones count from the end."""
    if not -rank <= axis < rank:
        raise refuse(node, f"axis {axis} of a tensor of rank {rank}")
    return axis % rank


def axes_of(node: Node, axes: Sequence[int], rank: int) -> tuple[int, ...]:
    """Distinct axes counted from the front, in ascending order."""
    if len(axes) > profile.RANK:
        raise refuse(node, f"more than {profile.RANK} axes")
    places = [axis_of(node, axis, rank) for axis in axes]
    if len(set(places)) != len(places):
        raise refuse(node, "an axis is listed twice")
    return tuple(sorted(places))
