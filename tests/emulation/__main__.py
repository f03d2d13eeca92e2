"""The golden runs on other processors and with other versions: `make emulate`.

    python -m tests.emulation                  everything; the first time up to an hour
    python -m tests.emulation --only nehalem   one row: native, nehalem, haswell, aarch64, versions
    python -m tests.emulation --json           the table as JSON on stdout

Exit code 0: everything ran and every digest is the same; 1: something differs or failed; 2: nothing
differs, but something could not be run here.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial

from tests.emulation import machines, versions
from tests.emulation.rows import Failed, NotRun, Python, Row, compare, say

GROUPS = ("native", "nehalem", "haswell", "aarch64", "versions")
COLUMNS = ("processor", "python", "numpy", "numba", "onnx", "protobuf")


def attempt(name: str, start: Callable[[], Python]) -> Row:
    """A row, whatever becomes of it."""
    say(f"{name}:")
    try:
        row = compare(name, start())
    except NotRun as missing:
        row = Row(name, "not run", str(missing))
    except Failed as failure:
        row = Row(name, "failed", str(failure))
    say(f"  {name}: {row.status} {row.detail}".rstrip())
    return row


def _other_versions() -> Iterator[Row]:
    for version in versions.PYTHONS:
        yield attempt(f"python {version}", partial(_of_python, version))
    for library in versions.OLDER:
        yield attempt(f"older {library}", partial(_with_older, library))
    yield attempt("all older", partial(_with_older, *versions.OLDER))


def _of_python(version: str) -> Python:
    found = versions.interpreter(version)
    return versions.environment(f"python-{version}", found, versions.wanted())


def _with_older(*libraries: str) -> Python:
    name = "-".join(("older", *libraries))
    return versions.environment(name, sys.executable, versions.wanted(*libraries))


def rows(groups: Sequence[str]) -> Iterator[Row]:
    """The rows of these groups, one after another."""
    machine = {
        "native": lambda: Python((sys.executable,)),
        "nehalem": lambda: machines.x86("nehalem"),
        "haswell": lambda: machines.x86("haswell"),
        "aarch64": machines.aarch64,
    }
    for name, start in machine.items():
        if name in groups:
            yield attempt(name, start)
    if "versions" in groups:
        yield from _other_versions()


def verdict(found: Sequence[Row]) -> int:
    """The exit code; a Python that is not there does not count if two others are."""
    if not found or any(row.status in ("different", "failed") for row in found):
        return 1
    pythons = [row for row in found if row.name.startswith("python")]
    enough = sum(row.status == "same" for row in pythons) >= 2
    missing = [row for row in found if row.status == "not run"]
    return 2 if any(row not in pythons or not enough for row in missing) else 0


def table(found: Sequence[Row]) -> str:
    """Markdown; a cell for each column and the outcome."""
    lines: list[tuple[str, ...]] = [("row", *COLUMNS, "seconds", "digests")]
    for row in found:
        outcome = f"{row.digests} {row.status}" if row.digests else row.status
        cells = [row.environment.get(column, "") for column in COLUMNS]
        lines.append(
            (row.name, *cells, str(row.seconds), f"{outcome}: {row.detail}".removesuffix(": "))
        )
    body = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([body[0], "|" + " --- |" * len(lines[0]), *body[1:]])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.emulation")
    parser.add_argument("--only", action="append", choices=GROUPS, help="may be given repeatedly")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = list(rows(arguments.only or GROUPS))
    print(json.dumps([asdict(row) for row in found], indent=1) if arguments.json else table(found))
    code = verdict(found)
    missing = ", ".join(row.name for row in found if row.status == "not run")
    if missing:
        say(f"Could not be run here: {missing}.")
    say(
        {
            0: "Every digest is the same.",
            1: "Something differs or failed.",
            2: "What was run has the same digests; not everything was run.",
        }[code]
    )
    return code


if __name__ == "__main__":
    sys.exit(main())
