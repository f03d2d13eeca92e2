"""Processors: x86-64 ones without fused or wide instructions, and AArch64."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
from dataclasses import replace

from tests.emulation import arm
from tests.emulation.rows import PROJECT, Failed, NotRun, Python, ending

X86 = {"nehalem": "Nehalem", "haswell": "Haswell"}
"""Without AVX and FMA; with AVX2 and FMA and without AVX-512."""

# NOTE: OpenBLAS, which numpy loads and danku never calls, takes an emulated Nehalem for a newer
# processor and dies of an illegal instruction while numpy is imported.
PLAIN_BLAS = {"OPENBLAS_CORETYPE": "Nehalem"}

_DETECT = """
import json
from llvmlite import binding
features = binding.get_host_cpu_features().flatten()
print(json.dumps({"NUMBA_CPU_NAME": binding.get_host_cpu_name(), "NUMBA_CPU_FEATURES": features}))
"""
_FUSED = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma"}
_CONTROL = "import numpy; from danku.evaluation.kernels.functions import exp; exp(numpy.ones(9))"
_ILLEGAL = 4


def _emulator(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise NotRun(f"{name} is missing: install qemu's user mode (Debian, Ubuntu: qemu-user)")
    return found


def x86(name: str) -> Python:
    """This Python on an emulated processor.

    LLVM finds out on the emulated processor what that can do. Then the kernels are compiled for it
    outside of the emulator, which would take 20 times as long, into the cache that it reads.

    Raises:
        NotRun: qemu is missing, or this is not an x86-64 Python.
        Failed: a step did not work.
    """
    if platform.machine() not in ("x86_64", "AMD64"):
        raise NotRun(f"this Python is one for {platform.machine()}, not for x86-64")
    command = (_emulator("qemu-x86_64"), "-cpu", X86[name], sys.executable)
    python = Python(command, PLAIN_BLAS)
    if name == "nehalem":
        _check_that_fused_instructions_die(python)
    detected: dict[str, str] = json.loads(_run(python, name, "-c", _DETECT))
    python = replace(python, variables={**python.variables, **detected})
    _run(replace(python, command=(sys.executable,)), name, "-m", "tests.emulation.compiling")
    return python


def aarch64() -> Python:
    """An AArch64 Python on an emulated processor; its kernels are compiled there as well.

    Raises:
        NotRun: qemu, or what fetches that Python, is missing.
        Failed: a step did not work.
    """
    return arm.python(_emulator("qemu-aarch64"))


def _run(python: Python, name: str, *arguments: str) -> str:
    """What a Python prints; what it says on the way goes to stderr."""
    done = subprocess.run(
        [*python.command, *arguments],
        cwd=PROJECT,
        env=python.environment(name),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Failed(f"{' '.join(arguments)[:40]}: {ending(done.returncode, '')}")
    return done.stdout


def _check_that_fused_instructions_die(python: Python) -> None:
    """Code for Haswell must not run on the emulated Nehalem, or that would show nothing."""
    python = replace(python, variables={**python.variables, **_FUSED})
    done = subprocess.run(
        [*python.command, "-c", _CONTROL],
        cwd=PROJECT,
        env=python.environment("control"),
        capture_output=True,
        check=False,
    )
    if done.returncode != -_ILLEGAL:
        raise Failed(f"code with FMA did not die on Nehalem, but ended with {done.returncode}")
