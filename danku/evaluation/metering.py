"""What a model costs, from shapes alone: counted before anything is computed or allocated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from danku.evaluation import profile
from danku.evaluation.refusal import ModelRejected
from danku.evaluation.tensor import TensorType
from danku.protocol.manifest import Limits


@dataclass(frozen=True)
class Cost:
    """For one batch; comparable with the challenge's `Limits`."""

    multiply_accumulates: int
    elements: int
    """Read and written by all nodes, a string counting as `profile.STRING_COST`, and
    `profile.NODE_OVERHEAD` for each input of each node."""
    peak_bytes: int
    """All constants, and the tensors that live at the same time."""
    nodes: int
    """Nodes of the model, whether or not they are executed."""


def elements_moved(inputs: Sequence[TensorType | None], outputs: Sequence[TensorType]) -> int:
    """Elements that one node is charged; None is an absent input."""
    moved = sum(_elements(tensor) for tensor in (*inputs, *outputs) if tensor is not None)
    return moved + profile.NODE_OVERHEAD * max(1, len(inputs))


def _elements(tensor: TensorType) -> int:
    return tensor.elements * (profile.STRING_COST if tensor.dtype == profile.STRING else 1)


def refuse_above(cost: Cost, limits: Limits) -> None:
    """Raises ModelRejected if a cost is above its limit."""
    for name, value, limit in (
        ("multiply-accumulates", cost.multiply_accumulates, limits.multiply_accumulates),
        ("elements", cost.elements, limits.elements),
        ("peak bytes", cost.peak_bytes, limits.peak_bytes),
        ("nodes", cost.nodes, limits.nodes),
    ):
        if value > limit:
            raise ModelRejected("limit", f"{value} {name}, the limit is {limit}")
