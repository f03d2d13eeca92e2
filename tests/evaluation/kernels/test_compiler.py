"""What the compiler made of the kernels, and where it keeps it."""

from __future__ import annotations

import gc
import importlib
import os
import pkgutil
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import pytest
from numba.core.dispatcher import Dispatcher

import danku
from danku import evaluation
from danku.evaluation.kernels.compiler import KERNELS, Kernel

PACKAGE = Path(danku.__file__).parent
PROJECT = PACKAGE.parent

# NOTE: all of them, so that a kernel in a new file is looked at without anyone listing it.
MODULES = [
    importlib.import_module(found.name)
    for found in pkgutil.walk_packages(evaluation.__path__, f"{evaluation.__name__}.")
]

# Anything that lets LLVM change a result: fast-math flags, inexact division, unfused fma.
LOOSE = re.compile(
    r"\b(fast|nnan|ninf|nsz|arcp|contract|afn|reassoc)\b|!fpmath|unsafe-fp-math|no-nans-fp-math"
    r"|no-infs-fp-math|no-signed-zeros-fp-math|denormal-fp-math|fmuladd|vector\.reduce\.fadd"
)
CALL = re.compile(r"^declare .*?@\"?([\w.]+)\"?\(", re.MULTILINE)
# LLVM operations that are exact or IEEE-754; numba's and Python's argument handling and errors.
KNOWN = re.compile(
    r"llvm\.(fma|fabs|sqrt|smin|smax|umin|umax|is\.fpclass|mem\w+|assume|lifetime|x86\.atomic|x86\.sse2\.pause)\b.*"
    r"|llvm\.(uadd\.with\.overflow|fshl)\.i64"
    r"|llvm\.(maximum|minimum|prefetch|masked\.(load|store|gather|scatter)|vector\.reduce\.add)\b.*"
    r"|NRT_\w+|Py\w+"
    r"|numba_(do_raise|unpickle|gil_ensure|gil_release|runtime_build_excinfo_struct)"
)
FUSED_INSTRUCTION = re.compile(r"\bv?fn?m(add|sub|la|ls)\w*")


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
def test_compiled_code_is_strict_and_calls_no_library(kernel: Kernel) -> None:
    code, assembly = kernel.inspect()
    assert "define" in code
    assert not LOOSE.findall(code)
    assert [name for name in CALL.findall(code) if not KNOWN.fullmatch(name)] == []
    if "llvm.fma" not in code:
        assert not FUSED_INSTRUCTION.findall(assembly)


def test_every_kernel_is_looked_at() -> None:
    # NOTE: isinstance would ask what a dead weak reference refers to.
    assert {each for each in gc.get_objects() if type(each) is Kernel} == set(KERNELS)
    assert len({kernel.name for kernel in KERNELS}) == len(KERNELS)


def is_device(value: Any) -> bool:
    return (
        issubclass(type(value), Dispatcher)
        and value.py_func.__module__.startswith(evaluation.__name__)
        and bool(value.targetoptions.get("forceinline"))
    )


def names_in(code: CodeType) -> Iterator[str]:
    """Global names and attributes that a function, or one inside it, mentions."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from names_in(constant)


def mentioned(function: Any) -> Iterator[Any]:
    """What the names in a function may stand for, in its module and in those that it names."""
    names = set(names_in(function.__code__))
    yield from (cell.cell_contents for cell in function.__closure__ or ())
    for scope in [function.__globals__, *map(vars, modules_in(function.__globals__, names))]:
        yield from (scope[name] for name in names & scope.keys())


def modules_in(scope: dict[str, Any], names: set[str]) -> list[ModuleType]:
    return [scope[name] for name in names & scope.keys() if isinstance(scope[name], ModuleType)]


def test_every_device_function_is_part_of_a_kernel_that_is_looked_at() -> None:
    """The code of a function that no kernel uses would be looked at by no test."""
    declared = {each for each in gc.get_objects() if is_device(each)}
    assert len(declared) > 40
    reached: set[Any] = set()
    waiting = [kernel._function for kernel in KERNELS]
    while waiting:
        for value in mentioned(waiting.pop()):
            if isinstance(value, Dispatcher) and value not in reached:
                reached.add(value)
                waiting.append(value.py_func)
    assert {each.__name__ for each in declared - reached} == set()


def test_nothing_is_compiled_but_by_the_compiler() -> None:
    """NOTE: whatever else numba compiles would have its own options, and no test of its code."""
    other = re.compile(r"\b(njit|jit|vectorize|guvectorize|cfunc|stencil|pycc)\b")
    for module in MODULES:
        if module.__name__ != "danku.evaluation.kernels.compiler":
            source = Path(str(module.__file__)).read_text(encoding="utf-8")
            assert not other.search(source), module.__name__


def test_only_basic_operations_appear_in_the_sources() -> None:
    """NOTE: numba turns x ** 2.5 and math.exp into calls of the C library."""
    for name in ("scalars", "circular", "gemm", "intrinsics"):
        source = (PACKAGE / "evaluation" / "kernels" / f"{name}.py").read_text()
        inside = source.split("@device", 1)[-1] if name != "intrinsics" else source
        assert "**" not in re.sub(r'"""(.|\n)*?"""|#.*', "", inside)
        assert "math." not in inside


RUN = "from danku.evaluation.kernels.selftest import self_test; self_test(); print('same')"


def run(code: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-c", code],
        env=inherited | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"} | environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="names an x86-64 baseline"
)
def test_golden_runs_come_out_without_fused_or_wide_instructions(tmp_path: Path) -> None:
    check = (
        "from danku.evaluation.kernels.functions import _exp\n"
        "assert all('vfmadd' not in each.inspect()[1] for each in _exp.values())\n"
    )
    cpu = {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": str(tmp_path)}
    result = run(check + RUN, PROJECT, **cpu)
    assert result.stdout == "same\n", result.stderr


def copied_package(folder: Path) -> Path:
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("evaluation/kernels",):
        shutil.copytree(PACKAGE / name, folder / "danku" / name, ignore=ignored)
    for name in ("__init__.py", "errors.py", "evaluation/__init__.py"):
        shutil.copy(PACKAGE / name, folder / "danku" / name)
    # NOTE: a file in its place, since root may write to folders that are marked read-only.
    (folder / "danku/evaluation/kernels/__pycache__").write_text("")
    return folder


TINY = (
    "import numpy as np\n"
    "from danku.evaluation.kernels.functions import exp\n"
    "print(exp(np.zeros(2, np.float32)).tolist())"
)


def test_the_users_cache_serves_a_package_that_cannot_be_written(tmp_path: Path) -> None:
    package, cache = copied_package(tmp_path / "package"), tmp_path / "cache"
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(cache), "LOCALAPPDATA": str(cache)}
    result = run(TINY, package, **home)
    assert result.stdout == "[1.0, 1.0]\n", result.stderr
    if sys.platform == "linux":
        assert list(cache.rglob("*.nbc"))


def test_kernels_work_where_nothing_can_be_written(tmp_path: Path) -> None:
    package = copied_package(tmp_path / "package")
    blocked = tmp_path / "blocked"
    blocked.write_text("")
    home = {"HOME": str(blocked), "XDG_CACHE_HOME": str(blocked), "LOCALAPPDATA": str(blocked)}
    result = run(TINY, package, **home)
    assert result.stdout == "[1.0, 1.0]\n", result.stderr
    assert not list(tmp_path.rglob("*.nbc"))


def test_other_sources_never_meet_cached_code(tmp_path: Path) -> None:
    """A change in a function that numba inlines must not leave old machine code in use."""
    package = copied_package(tmp_path / "package")
    cache = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    assert run(TINY, package, **cache).stdout == "[1.0, 1.0]\n"
    scalars = package / "danku/evaluation/kernels/scalars.py"
    scalars.write_text(scalars.read_text().replace("_exp_of_sum(x, 0.0)", "_exp_of_sum(x, 1e-3)"))
    assert run(TINY, package, **cache).stdout != "[1.0, 1.0]\n"
