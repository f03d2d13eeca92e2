"""Steps of a plan that did part of their work in advance: weights packed, what follows taken in.

Nothing here changes a bit of a result; see `danku.evaluation.program` for who uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from danku.evaluation.kernels.epilogue import Operation
from danku.evaluation.tensor import Array

Form = TypeVar("Form")


class Prepared(Protocol):
    """One node, and maybe element by element steps that follow it."""

    @property
    def axis(self) -> int:
        """The axis of the output along which the constants of following steps may vary."""
        ...

    def run(self, arrays: Sequence[Any]) -> list[Array]:
        """The outputs, as `registry.Run`; what `Code.ADD_TENSOR` adds comes behind the inputs."""
        ...

    def followed_by(self, operations: Sequence[Operation]) -> Prepared | None:
        """The same with these steps behind it; None if it cannot take them in."""
        ...


class Weights:
    """Constants in other forms, made once for all plans of a model."""

    def __init__(self) -> None:
        self._forms: dict[tuple[int, str], tuple[Array, Any]] = {}

    def form(self, constant: Array, name: str, make: Callable[[], Form]) -> Form:
        """What ``make`` gives for ``constant``; called at the first request for this name."""
        key = (id(constant), name)
        if key not in self._forms:
            # NOTE: holding the constant keeps its id from being given to another array.
            self._forms[key] = constant, make()
        form: Form = self._forms[key][1]
        return form
