"""Tiles of other machines give the same bits."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

import danku
from danku.evaluation.kernels.convolution import Convolution
from danku.evaluation.kernels.convolution import pack as pack_kernel
from danku.evaluation.kernels.gemm import matmul, matmul_packed, pack
from danku.evaluation.kernels.layout import Axis
from danku.evaluation.kernels.selftest import sample
from danku.evaluation.kernels.tile import SHAPE, Shape, shape_for

PROJECT = Path(danku.__file__).parents[1]


@pytest.mark.parametrize(
    ("triple", "features", "shape"),
    [
        ("x86_64-unknown-linux-gnu", "+avx,+avx2,+avx512f,+fma", Shape(8, 2, 64)),
        ("x86_64-unknown-linux-gnu", "+avx,+avx2,-avx512f,+fma", Shape(6, 2, 32)),
        ("x86_64-unknown-linux-gnu", "-avx,-avx2,+sse4.2", Shape(6, 2, 16)),
        ("x86_64-apple-darwin", "", Shape(6, 2, 16)),
        ("aarch64-unknown-linux-gnu", "+neon", Shape(6, 4, 16)),
        ("arm64-apple-darwin", "", Shape(6, 4, 16)),
    ],
)
def test_tiles_fit_the_registers(triple: str, features: str, shape: Shape) -> None:
    assert shape_for(triple, features) == shape


def digest() -> str:
    """Of products and convolutions with tiles, panels and blocks cut in many places."""
    result = sha256()
    for rows, depth, columns in [(1, 300, 70), (5, 9, 33), (9, 260, 17), (29, 30, 40), (263, 3, 9)]:
        a, b = sample(rows * depth).reshape(rows, depth), sample(depth * columns).reshape(depth, -1)
        result.update(matmul(a, b).tobytes())
        result.update(matmul_packed(a, pack(b)).tobytes())
    alone = Axis(1, 1, (0,), 1)
    for stride in (1, 2):
        line = Axis(11, stride, (-1, 0, 1), 10 // stride + 1)
        out = np.empty((2, 7, 1, line.count, line.count), np.float32)
        weights = pack_kernel(sample(7 * 36).reshape(1, 7, 36))
        x = sample(2 * 4 * 121).reshape(2, 4, 1, 11, 11)
        Convolution(weights, (alone, line, line), x.shape, out.shape).run(x, out)
        result.update(out.tobytes())
    return result.hexdigest()


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names x86-64 processors")
@pytest.mark.parametrize(
    ("features", "shape"),
    [
        ("+avx,+avx2,+fma", Shape(6, 2, 32)),
        pytest.param("", Shape(6, 2, 16), marks=pytest.mark.soak),
    ],
)
def test_other_tiles_give_the_same_bits(features: str, shape: Shape, tmp_path: Path) -> None:
    if SHAPE.vector_bytes < shape.vector_bytes:
        pytest.skip("this processor has no such vectors")
    result = subprocess.run(
        [sys.executable, str(Path(__file__))],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(PROJECT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "NUMBA_CACHE_DIR": str(tmp_path),
            "NUMBA_CPU_NAME": "x86-64",
            "NUMBA_CPU_FEATURES": features,
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert result.stdout.splitlines() == [str(shape), digest()]


if __name__ == "__main__":
    print(SHAPE)
    print(digest())
