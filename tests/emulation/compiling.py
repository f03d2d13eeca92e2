"""Compile every kernel into numba's cache, for the processor that NUMBA_CPU_NAME states."""

from __future__ import annotations

import importlib
import pkgutil
import sys

from danku.evaluation import kernels
from danku.evaluation.kernels.compiler import KERNELS


def main() -> None:
    for module in pkgutil.iter_modules(kernels.__path__):
        importlib.import_module(f"{kernels.__name__}.{module.name}")
    for number, kernel in enumerate(KERNELS, start=1):
        # NOTE: a call would run it, which this processor may be unable to.
        kernel._compile(cached=True)
        if number % 10 == 0:
            print(f"  compiled {number} of {len(KERNELS)}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
