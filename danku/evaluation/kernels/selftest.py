"""Checks that this process computes as exact/1 says; a validator that fails it abstains.

Other libraries in a process can switch the processor to flush denormals to zero or to round
elsewhere, and a broken compiler or C library can get a kernel wrong. Both show here.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

import numpy as np

from danku.errors import DankuError
from danku.evaluation.kernels import functions, gemm, reductions
from danku.evaluation.kernels.arrays import Array
from danku.evaluation.kernels.elementwise import canonical


class ProfileBroken(DankuError):
    """This machine or process does not compute the profile; its results must not be voted on."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"this process does not reproduce the arithmetic profile exact/1: {what}",
            why="a result computed here could differ from that of every other validator",
            fix="abstain; update numba, numpy and the C library, or use another machine",
        )


def sample(count: int) -> Array:
    """``count`` fixed float32 numbers, evenly spread between -4 and 4."""
    scattered = np.arange(1, count + 1, dtype=np.uint32) * np.uint32(2654435761)
    return ((scattered.astype(np.float64) - 2.0**31) * 2.0**-29).astype(np.float32)


def _matrices() -> Array:
    return gemm.matmul(sample(7 * 300).reshape(7, 300), sample(300 * 37).reshape(300, 37))


CASES: dict[str, Callable[[], Array]] = {
    "matmul": _matrices,
    "exp": lambda: functions.exp(sample(999) * np.float32(22)),
    "log": lambda: functions.log(np.abs(sample(999))),
    "tanh": lambda: functions.tanh(sample(999)),
    "sigmoid": lambda: functions.sigmoid(sample(999) * np.float32(25)),
    "softmax": lambda: reductions.softmax(sample(990).reshape(99, 10), -1),
    "mean": lambda: reductions.mean(sample(990).reshape(11, 90), (1,), keepdims=False),
}

GOLDEN = {
    "matmul": "4a04926e823d097276e27248f6f70a96",
    "exp": "3bc51d6e700b8cb1c0ea3e0a51bcd1f3",
    "log": "4911659d5bb27bd17ad0ccf527aec0dd",
    "tanh": "beb1fd5bcfc2572320a36b17f0d4107f",
    "sigmoid": "2e8a5f034aca9c7989b93e41c88f7b90",
    "softmax": "5541074980ca321cd844c23a7da9e392",
    "mean": "d9ca1614698d655df4f84488146d1a96",
}


def digest(result: Array) -> str:
    """What ``GOLDEN`` holds of a result."""
    return sha256(canonical(result)).hexdigest()[:32]


def _expect(what: str, found: Array, wanted: float) -> None:
    if float(found.reshape(())) != wanted:
        raise ProfileBroken(f"{what} gives {float(found.reshape(()))!r}, not {wanted!r}")


def _product(a: Array, b: Array) -> Array:
    return gemm.matmul(a.astype(np.float32, copy=False), b.astype(np.float32, copy=False))


def _check_subnormals() -> None:
    """NOTE: reading and writing subnormals are separate switches of the processor."""
    large, half = np.array([2.0**100]), np.array([0.5])
    for dtype, pattern, least, normal in (
        (np.float32, np.uint32, 2.0**-149, 2.0**-126),
        (np.float64, np.uint64, 2.0**-1074, 2.0**-1022),
    ):
        name = np.dtype(dtype).name
        smallest = np.array([1], pattern).view(dtype)
        grown = smallest * large.astype(dtype)
        _expect(f"reading a subnormal {name}", grown, least * 2.0**100)
        halved = np.array([normal], dtype) * half.astype(dtype)
        _expect(f"writing a subnormal {name}", halved, normal / 2)
    smallest = np.array([1], np.uint32).view(np.float32)
    _expect("reading a subnormal in a kernel", _product(smallest, large), 2.0**-49)
    _expect("writing a subnormal in a kernel", _product(np.array([2.0**-126]), half), 2.0**-127)


def _check_fused() -> None:
    """2^-40 + 97 * 257 * 673 is just above half way between two floats; float64 does not see it."""
    row, column = np.array([2.0**-40, 97 * 257]), np.array([1.0, 673.0])
    _expect("fused multiply-add", _product(row, column), 16777218.0)


def self_test() -> None:
    """Raises ProfileBroken unless subnormals survive and every golden run comes out."""
    _check_subnormals()
    _check_fused()
    for name, run in CASES.items():
        if digest(run()) != GOLDEN[name]:
            raise ProfileBroken(f"the golden run of {name} comes out different")
