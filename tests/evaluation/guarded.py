"""Arrays between guards: what a kernel reads or writes beyond them, or reads before writing, shows.

Compiled kernels check no bounds. Here every array that numpy hands out uninitialised or zeroed lies
between guards that are compared afterwards, and what is uninitialised, and the guards themselves,
hold a pattern that a second run changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np

from danku.evaluation.kernels import buffers

GUARD_BYTES = 4096
PATTERNS = (0x7B, 0xC4)
"""As float32 1.3e36 and -1568.2, as int64 far out of any range."""


class Guards:
    """Hands out arrays between guards of one pattern."""

    def __init__(self, pattern: int) -> None:
        self._pattern = pattern
        self._buffers: list[Any] = []

    def array(self, shape: Any, dtype: Any) -> Any:
        """An uninitialised array, which is full of the pattern."""
        kind = np.dtype(dtype)
        sizes = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
        count = int(np.prod(sizes, dtype=np.int64))
        used = count * kind.itemsize
        buffer = np.full(used + 2 * GUARD_BYTES, self._pattern, np.uint8)
        self._buffers.append((buffer, used))
        return buffer[GUARD_BYTES : GUARD_BYTES + used].view(kind).reshape(sizes)

    def copy(self, x: Any) -> Any:
        """The same values between guards; strings as they are."""
        if x.dtype == object or x.size == 0:
            return x
        copied = self.array(x.shape, x.dtype)
        copied[...] = x
        return copied

    def intact(self) -> bool:
        """Whether nothing was written beyond an array."""
        return all(
            (buffer[:GUARD_BYTES] == self._pattern).all()
            and (buffer[GUARD_BYTES + used :] == self._pattern).all()
            for buffer, used in self._buffers
        )


@contextmanager
def guarded(pattern: int) -> Iterator[Guards]:
    """Lets `numpy.empty`, `numpy.zeros` and their likes hand out arrays between guards.

    Raises:
        AssertionError: when it ends, if a guard was overwritten.
    """
    guards = Guards(pattern)
    plain = {name: getattr(np, name) for name in ("empty", "zeros", "empty_like", "zeros_like")}

    def fresh(name: str) -> Any:
        def make(shape: Any, dtype: Any = np.float64, **options: Any) -> Any:
            if np.dtype(dtype).hasobject or np.dtype(dtype).itemsize == 0 or options:
                return plain[name](shape, dtype, **options)
            made = guards.array(shape, dtype)
            if name == "zeros":
                made.reshape(-1).view(np.uint8)[...] = 0
            return made

        return make

    def alike(name: str) -> Any:
        def make(like: Any, dtype: Any = None, shape: Any = None, **options: Any) -> Any:
            kind = np.dtype(like.dtype if dtype is None else dtype)
            sizes = like.shape if shape is None else shape
            if kind.hasobject or kind.itemsize == 0:
                return plain[f"{name}_like"](like, kind, shape=sizes, **options)
            return fresh(name)(sizes, kind)

        return make

    with (
        mock.patch.object(np, "empty", fresh("empty")),
        mock.patch.object(np, "zeros", fresh("zeros")),
        mock.patch.object(np, "empty_like", alike("empty")),
        mock.patch.object(np, "zeros_like", alike("zeros")),
        mock.patch.object(buffers, "empty", fresh("empty")),
    ):
        yield guards
    assert guards.intact(), "written beyond an array"
