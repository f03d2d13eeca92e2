"""Compiles kernels: one signature each, on first use, into numba's cache on disk.

Kernels are strict IEEE-754: no fast-math, numpy's error model, nothing contracted. Machine code
goes to ``__pycache__`` beside the sources or, where that is read-only, to the user's cache folder;
where neither can be written a kernel is compiled anew in each process. What is cached is code, so
a folder that others could write is not used either.
"""

from __future__ import annotations

import os
import stat
import types as python_types
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import numba
from llvmlite import binding
from numba import types
from numba.core.caching import NullCache

# NOTE: of a polynomial's steps each waits for the last; four vectors at once keep the units busy.
# LLVM would not expect that of loops as long as these. No bit depends on it.
binding.set_option("danku", "-force-vector-interleave=4")

Function = TypeVar("Function", bound=Callable[..., object])

FLOAT32 = types.float32
FLOAT64 = types.float64
BYTE = types.uint8
INT16 = types.int16
UINT16 = types.uint16
INT32 = types.int32
INT64 = types.int64
UINT64 = types.uint64
INDEX = types.intp
BOOLEAN = types.boolean

_ROOT, _NOBODY = 0, 65534

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


def ours(folder: Path) -> bool:
    """Whether nobody can write to a folder who could not change these sources as well."""
    owners = {_ROOT, os.geteuid(), Path(__file__).stat().st_uid}
    path = folder.resolve()
    for each in (path, *path.parents):
        found = each.stat()
        sticky = each != path and found.st_mode & stat.S_ISVTX
        if found.st_mode & stat.S_IWOTH and not sticky:
            return False
        # NOTE: in a worker's namespace nobody stands for everybody else, root among them.
        if found.st_uid not in owners and (each == path or found.st_uid != _NOBODY):
            return False
    return True


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
                if not ours(Path(compiled.stats.cache_path)):
                    compiled._cache = NullCache()
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
