"""The self-test passes here, and fails where the arithmetic is another."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from llvmlite import ir
from numba import extending, njit, types

from danku.errors import DankuError
from danku.evaluation.kernels import selftest
from danku.evaluation.kernels.selftest import ProfileBroken, self_test


def test_passes_and_is_quick_once_compiled() -> None:
    self_test()
    start = time.perf_counter()
    self_test()
    assert time.perf_counter() - start < 0.3


def test_every_case_has_a_golden_digest() -> None:
    assert selftest.GOLDEN.keys() == selftest.CASES.keys()
    for name, run in selftest.CASES.items():
        result = run()
        assert np.isfinite(result).all()
        last_bit = np.nextafter(result.reshape(-1)[:1], np.float32(np.inf))
        changed = np.concatenate([last_bit, result.reshape(-1)[1:]])
        assert selftest.digest(changed) != selftest.GOLDEN[name]


@pytest.mark.parametrize("name", selftest.GOLDEN)
def test_a_run_that_comes_out_different_is_named(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = selftest.CASES[name]
    monkeypatch.setitem(
        selftest.CASES, name, lambda: np.nextafter(run(), np.float32(9), dtype=np.float32)
    )
    with pytest.raises(ProfileBroken, match=name) as caught:
        self_test()
    assert isinstance(caught.value, DankuError)
    assert caught.value.why
    assert caught.value.fix


def _control(typing_context: Any, pointer: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())
        load = ir.FunctionType(ir.VoidType(), [address.type])
        name = "llvm.x86.sse.ldmxcsr"
        builder.call(builder.module.declare_intrinsic(name, (), load), [address])
        return context.get_dummy_value()

    return types.void(types.uint64), generate


@contextmanager
def floating_point_mode(flags: int) -> Iterator[None]:
    """Sets the control register of SSE to its default and these flags."""
    intrinsic: Any = extending.intrinsic
    control = intrinsic(_control)
    load: Any = njit(lambda address: control(address))
    default, changed = np.array([0x1F80], np.uint32), np.array([0x1F80 | flags], np.uint32)
    load(np.uint64(default.ctypes.data))
    load(np.uint64(changed.ctypes.data))
    try:
        yield
    finally:
        load(np.uint64(default.ctypes.data))


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="sets SSE's flags")
@pytest.mark.parametrize(
    ("flags", "symptom"),
    [
        (0x8000, "writing a subnormal"),
        (0x0040, "reading a subnormal"),
        (0x2000, "fused multiply-add"),
        (0x4000, "golden run"),
    ],
    ids=["flush to zero", "denormals are zero", "round down", "round up"],
)
def test_notices_another_floating_point_mode(flags: int, symptom: str) -> None:
    self_test()
    caught: ProfileBroken | None = None
    with floating_point_mode(flags):
        try:
            self_test()
        except ProfileBroken as broken:
            caught = broken
    assert caught is not None
    assert symptom in caught.what
    self_test()
