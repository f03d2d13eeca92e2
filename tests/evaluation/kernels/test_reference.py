"""Bit for bit against a second implementation in C, and against what the specification states."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from danku.evaluation.kernels import (
    circular,
    functions,
    reductions,
    scalars,
    selftest,
    trigonometry,
)
from danku.evaluation.kernels.elementwise import canonical
from danku.evaluation.kernels.gemm import matmul

Array = NDArray[Any]
HERE = Path(__file__).parent
SPECIFICATION = (HERE.parents[2] / "docs" / "exact-1.md").read_text(encoding="utf-8")
COMPILER = shutil.which("cc")
NAMES = ["exp", "expm1", "log", "log1p", "tanh", "sigmoid", "softplus", "erf"]
CIRCULAR = ["sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh"]

needs_compiler = pytest.mark.skipif(COMPILER is None, reason="needs a C compiler")


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Any:
    library = tmp_path_factory.mktemp("reference") / "reference.so"
    flags = ["-std=c11", "-O1", "-ffp-contract=off", "-shared", "-fPIC"]
    command = [str(COMPILER), *flags, str(HERE / "reference.c"), "-o", str(library), "-lm"]
    subprocess.run(command, check=True)
    return ctypes.CDLL(str(library))


def pointer(x: Array) -> Any:
    return x.ctypes.data_as(ctypes.c_void_p)


def size(count: int) -> ctypes.c_size_t:
    return ctypes.c_size_t(count)


def patterns(seed: int, count: int) -> Array:
    """float64 of every size, sign and kind, and the stretches where functions bend."""
    random = np.random.default_rng(seed)
    anything = random.integers(0, 2**64, count, np.uint64).view(np.float64)
    singles = random.integers(0, 2**32, count, np.uint64).astype(np.uint32).view(np.float32)
    with np.errstate(all="ignore"):
        widened = singles.astype(np.float64)
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 2.0**-1074, 2.0**-1022]
    spans = [random.uniform(-width, width, count) for width in (1.5, 25, 800)]
    return np.concatenate([anything, widened, *spans, np.array(special)])


@needs_compiler
@pytest.mark.parametrize("name", NAMES + CIRCULAR)
def test_functions_are_the_references(name: str, reference: Any) -> None:
    x = patterns(1, 40000)
    expected = np.empty_like(x)
    place = (NAMES + CIRCULAR).index(name)
    reference.reference_function(place, size(x.size), pointer(x), pointer(expected))
    result = getattr(functions if name in NAMES else trigonometry, name)(x)
    assert canonical(result) == canonical(expected)
    assert zeros(result) == zeros(expected)


def zeros(x: Array) -> list[bool]:
    """The signs of zeros, which canonical bytes do not tell."""
    return [bool(sign) for sign in np.signbit(x[x == 0])]


@needs_compiler
def test_power_is_the_references(reference: Any) -> None:
    x, y = patterns(2, 40000), np.random.default_rng(4).permutation(patterns(3, 40000))
    near = np.random.default_rng(5)
    x = np.concatenate([x, np.exp(near.uniform(-9, 9, 40000)), near.integers(-40, 40, 20000)])
    y = np.concatenate([y, near.uniform(-50, 50, 40000), near.integers(-9, 9, 20000)])
    expected = np.empty_like(x)
    reference.reference_power(size(x.size), pointer(x), pointer(y), pointer(expected))
    result = functions.power(x, y)
    assert canonical(result) == canonical(expected)
    assert zeros(result) == zeros(expected)


@needs_compiler
@pytest.mark.parametrize("columns", [1, 2, 10, 33])
def test_softmax_is_the_references(columns: int, reference: Any) -> None:
    x = np.random.default_rng(columns).standard_normal((300, columns)) * 9
    x[5, 0], x[6, 0], x[7, 0] = np.nan, np.inf, -np.inf
    for logarithm, function in enumerate((reductions.softmax, reductions.log_softmax)):
        expected = np.empty_like(x)
        reference.reference_softmax(
            logarithm, size(300), size(columns), pointer(x), pointer(expected)
        )
        assert canonical(function(x, 1)) == canonical(expected)


@needs_compiler
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (5, 17, 3), (9, 600, 70), (3, 256, 300), (30, 513, 1)]
)
def test_products_are_the_references(
    dtype: str, shape: tuple[int, int, int], reference: Any
) -> None:
    rows, depth, columns = shape
    random = np.random.default_rng(depth)
    scale = np.exp2(random.integers(-9, 9, depth))
    a = (random.standard_normal((rows, depth)) * scale).astype(dtype)
    b = (random.standard_normal((depth, columns)) * scale[::-1, np.newaxis]).astype(dtype)
    expected = np.empty((rows, columns), dtype)
    product = getattr(reference, f"reference_matmul_{dtype}")
    product(*(size(length) for length in shape), pointer(a), pointer(b), pointer(expected))
    assert matmul(a, b).tobytes() == expected.tobytes()


def test_the_specification_states_the_coefficients() -> None:
    block = SPECIFICATION.split("`ERF`, 31 coefficients")[1].split("```")[1]
    assert tuple(float.fromhex(digits) for digits in block.split()) == scalars.ERF
    stated = dict(re.findall(r"^\| `(LOG2_E|LN2_\w+)` \| `(\S+)`", SPECIFICATION, re.MULTILINE))
    assert {name: float.fromhex(digits) for name, digits in stated.items()} == {
        "LOG2_E": scalars.LOG2_E,
        "LN2_HIGH": scalars.LN2_HIGH,
        "LN2_LOW": scalars.LN2_LOW,
    }
    for constant in (scalars.SHIFT_BITS, scalars.SQRT_HALF_BITS, scalars.ONE_BITS):
        assert f"0x{constant:016X}" in SPECIFICATION
    assert (len(scalars.EXP), len(scalars.EXPM1), len(scalars.LOG)) == (14, 13, 10)
    assert (len(circular.SIN), len(circular.COS), len(circular.ATAN)) == (8, 8, 14)


def test_the_specification_states_the_golden_runs() -> None:
    stated = re.findall(r"^\| (\w+) of .*\| `([0-9a-f]{32})` \|$", SPECIFICATION, re.MULTILINE)
    assert dict(stated) == selftest.GOLDEN
