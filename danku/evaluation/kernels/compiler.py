"""Compiles kernels: one signature each, on first use, into numba's cache on disk.

Kernels are strict IEEE-754: no fast-math, numpy's error model, nothing contracted. Machine code
goes to ``__pycache__`` beside the sources or, where that is read-only, to the user's cache folder;
where neither can be written a kernel is compiled anew in each process.
"""

from __future__ import annotations

import types as python_types
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba import types

Function = TypeVar("Function", bound=Callable[..., object])

FLOAT32 = types.float32
FLOAT64 = types.float64
INT64 = types.int64
UINT64 = types.uint64
INDEX = types.intp
BOOLEAN = types.boolean

_tuple: Any = types.UniTuple

_strict: Any = partial(
    numba.njit, error_model="numpy", fastmath=False, boundscheck=False, nogil=True
)


def source(scalar: Any, dimensions: int) -> Any:
    """The type of a C-contiguous array that is only read; writable arrays fit too."""
    return types.Array(scalar, dimensions, "C", readonly=True)


def target(scalar: Any, dimensions: int) -> Any:
    """The type of a C-contiguous array that is written."""
    return types.Array(scalar, dimensions, "C")


def several(scalar: Any, count: int) -> Any:
    """The type of a tuple of scalars of one type."""
    return _tuple(scalar, count)


def device(function: Function) -> Function:
    """A function for use inside kernels only."""
    compiled: Function = _strict(function, forceinline=True)
    return compiled


@cache
def sources_digest() -> str:
    """Names the sources of all kernels; cached machine code of other sources is never loaded.

    NOTE: numba itself only looks at the file of the outermost function, not at those it inlines.
    """
    digest = sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


class Kernel:
    """A loop over arrays with exactly one signature, compiled at its first call."""

    def __init__(
        self, function: Callable[..., None], arguments: tuple[Any, ...], variant: str
    ) -> None:
        self.name = f"{function.__name__.strip('_')}{variant}"
        self._function = function
        self._arguments = arguments
        self._compiled: Callable[..., None] | None = None

    def __call__(self, *arguments: object) -> None:
        if self._compiled is None:
            self._compiled = self._compile(cached=True)
        self._compiled(*arguments)

    def inspect(self) -> tuple[str, str]:
        """LLVM IR after optimisation, and assembly, both of a fresh compilation."""
        compiled = self._compile(cached=False)
        return compiled.inspect_llvm(self._arguments), compiled.inspect_asm(self._arguments)

    def _compile(self, *, cached: bool) -> Any:
        compiled = _strict(self._renamed())
        if cached:
            # NOTE: numba raises this where it finds no folder that it may write.
            with suppress(RuntimeError):
                compiled.enable_caching()
        compiled.compile(self._arguments)
        compiled.disable_compile()
        return compiled

    def _renamed(self) -> Callable[..., None]:
        """A copy whose qualified name, and so whose cache file, is unique to sources and signature.

        NOTE: two processes that compile two signatures of one function at the same time can
        mix up the files of numba's cache; with one signature a file they cannot.
        """
        name = f"{self.name}_{sources_digest()}"
        copy = python_types.FunctionType(
            self._function.__code__,
            self._function.__globals__,
            name,
            None,
            self._function.__closure__,
        )
        copy.__qualname__ = name
        return copy


KERNELS: list[Kernel] = []


def kernel(*arguments: Any, variant: str = "") -> Callable[[Callable[..., None]], Kernel]:
    """Declares a kernel with these argument types; ``KERNELS`` lists all of them."""

    def declare(function: Callable[..., None]) -> Kernel:
        declared = Kernel(function, arguments, variant)
        KERNELS.append(declared)
        return declared

    return declare
