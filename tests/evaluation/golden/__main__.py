"""Compute the golden digests and say what differs from those checked in.

    python -m tests.evaluation.golden           compare; exit code 1 if anything differs
    python -m tests.evaluation.golden --write   compare, then replace digests.json
    python -m tests.evaluation.golden --report  print a line of JSON for each run

A change of a digest is a change of the profile `exact/1`: never write one that you cannot explain.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from importlib.metadata import version

from llvmlite import binding
from numba.core import config

from danku.evaluation.kernels import threads as sharing
from tests.evaluation.golden import suite


def environment() -> dict[str, str]:
    """What computes here: the processor that kernels are compiled for, and versions."""
    name = config.CPU_NAME or binding.get_host_cpu_name()
    libraries = ("numpy", "numba", "llvmlite", "onnx", "protobuf", "ml_dtypes")
    return {
        "processor": f"{platform.machine()} {name}",
        "python": platform.python_version(),
        **{library: version(library) for library in libraries},
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.evaluation.golden")
    parser.add_argument("--write", action="store_true", help="replace digests.json")
    parser.add_argument("--report", action="store_true", help="print JSON, compare nothing")
    parser.add_argument("--threads", type=int, default=1, help="each gets part of everything")
    arguments = parser.parse_args()
    if arguments.threads > 1:
        sharing.LEAST_WORK = 1
    found: suite.Golden = {}
    if arguments.report:
        print(json.dumps({"environment": environment()}), flush=True)
    with sharing.threads(arguments.threads):
        for name, run in suite.runs():
            digests = run()
            found |= digests
            if arguments.report:
                print(json.dumps({"run": name, "digests": digests}), flush=True)
    if arguments.report:
        return 0
    wanted = suite.golden() if suite.DIGESTS.exists() else {}
    names = suite.different(found, wanted)
    for name in names:
        print(f"{name}: {wanted.get(name, 'absent')} -> {found.get(name, 'absent')}")
    print(f"{len(names)} of {len(found)} digests differ")
    if arguments.write:
        suite.DIGESTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        print(f"written: {suite.DIGESTS.name}")
        return 0
    return bool(names)


if __name__ == "__main__":
    sys.exit(main())
