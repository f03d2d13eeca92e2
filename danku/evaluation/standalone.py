"""A prepared step into which no other step is taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from danku.evaluation.kernels.epilogue import Operation
from danku.evaluation.prepared import Prepared
from danku.evaluation.tensor import Array


@dataclass(frozen=True)
class Standalone:
    """What runs instead of an operator; see `danku.evaluation.prepared.Prepared`."""

    compute: Callable[[Sequence[Any]], Array]
    axis: int = 0

    def run(self, arrays: Sequence[Any]) -> list[Array]:
        return [self.compute(arrays)]

    def followed_by(self, operations: Sequence[Operation]) -> Prepared | None:
        return None
