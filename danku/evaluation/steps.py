"""What a plan executes, node by node, and when each buffer can go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from danku.evaluation.graph import Node
from danku.evaluation.kernels.narrow import narrowed, widened
from danku.evaluation.metering import elements_moved
from danku.evaluation.prepared import Prepared
from danku.evaluation.registry import Operator
from danku.evaluation.tensor import Array, TensorType

_KEPT_ALIVE = 4
"""A tensor is charged for itself alone, and may hold a buffer of at most so many times its size."""


@dataclass(frozen=True)
class Step:
    """One node to execute."""

    node: Node
    operator: Operator
    inputs: tuple[TensorType | None, ...]
    outputs: tuple[TensorType, ...]
    released: tuple[str, ...] = ()
    """Tensors that no later step reads."""
    prepared: Prepared | None = None
    """What runs instead of the operator, if anything does."""

    @property
    def work(self) -> int:
        return self.operator.work(self.node, self.inputs, self.outputs)

    @property
    def elements(self) -> int:
        return elements_moved(self.inputs, self.outputs)

    @cached_property
    def _empty(self) -> bool:
        return all(kind.elements == 0 for kind in self.outputs)

    def compute(self, arrays: Sequence[Array | None]) -> list[Array]:
        """Run the kernel.

        Raises:
            RuntimeRejection: the model asked for something undefined.
            AssertionError: the kernel broke its own contract, which is our fault.
        """
        if self._empty:
            # NOTE: one dimension of 0 lets others be so large that no kernel may look at them.
            return [np.empty(kind.shape, kind.dtype) for kind in self.outputs]
        prepared = self.prepared
        results = self._operate(arrays) if prepared is None else prepared.run(arrays)
        for result, kind in zip(results, self.outputs, strict=True):
            if result.dtype != kind.dtype or result.shape != kind.shape:
                found = f"{result.dtype} {list(result.shape)}"
                raise AssertionError(f"{self.node.operator} gave {found}, not {kind}")
        return [_detached(result) for result in results]

    def _operate(self, arrays: Sequence[Array | None]) -> list[Array]:
        if not self.operator.native:
            arrays = [None if array is None else widened(array) for array in arrays]
        results = self.operator.run(self.node, arrays)
        return [
            narrowed(np.asarray(result), kind.dtype)
            for result, kind in zip(results, self.outputs, strict=True)
        ]


def _detached(result: Array) -> Array:
    """The result, copied if it is a small part of a buffer that it would keep alive."""
    owner: Any = result
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    return result.copy() if owner.nbytes > _KEPT_ALIVE * result.nbytes else result


def with_releases(steps: Sequence[Step], kept: set[str]) -> list[Step]:
    """The same steps, each releasing what it is the last to use.

    Args:
        kept: what is never released: the output and all constants.
    """
    seen = set(kept)
    result = []
    for step in reversed(steps):
        named = {name for name in (*step.node.inputs, *step.node.outputs) if name}
        result.append(replace(step, released=tuple(sorted(named - seen))))
        seen |= named
    result.reverse()
    return result
