"""One row of the table: the golden runs in a process of their own, compared as they come."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

PROJECT = Path(__file__).parents[2]
BUILD = PROJECT / "build" / "emulate"
DIGESTS = PROJECT / "tests" / "evaluation" / "golden" / "digests.json"

Status = Literal["same", "different", "failed", "not run"]


class NotRun(Exception):
    """What is missing on this machine, and how to get it."""


class Failed(Exception):
    """A process that should have worked did not."""


@dataclass
class Row:
    """What came out on one machine with one set of versions."""

    name: str
    status: Status = "not run"
    detail: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    digests: int = 0
    different: Sequence[str] = ()
    seconds: int = 0


@dataclass(frozen=True)
class Python:
    """How a Python is started, and with what environment."""

    command: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)

    def environment(self, kernels: str) -> dict[str, str]:
        """That of the process, with folders for compiled code that belong to this row alone."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        folders = {
            "NUMBA_CACHE_DIR": str(BUILD / "kernels" / kernels),
            "PYTHONPYCACHEPREFIX": str(BUILD / "bytecode" / kernels),
        }
        return kept | {"PYTHONPATH": str(PROJECT)} | folders | self.variables


def say(text: str) -> None:
    """Progress, which is no part of the result."""
    print(text, file=sys.stderr, flush=True)


def completed(command: Sequence[str]) -> str:
    """What a command prints.

    Raises:
        Failed: it ended otherwise than with 0.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"{' '.join(command[:3])} ...: {ending(done.returncode, done.stderr)}")
    return done.stdout


def ending(code: int, complaints: str) -> str:
    """Why a process ended: a signal by name, or the last line that it wrote to stderr."""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return (complaints.strip().splitlines() or [f"exit code {code}"])[-1]


def compare(name: str, python: Python) -> Row:
    """Run everything under ``python``, with two threads, and compare with what is checked in."""
    wanted: dict[str, str] = json.loads(DIGESTS.read_text(encoding="utf-8"))
    row = Row(name)
    begun = time.monotonic()
    found: dict[str, str] = {}
    log = BUILD / f"{name.replace(' ', '-')}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as complaints:
        process = subprocess.Popen(
            [*python.command, "-m", "tests.evaluation.golden", "--report", "--threads=2"],
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            cwd=PROJECT,
            env=python.environment(name.replace(" ", "-")),
        )
        assert process.stdout is not None
        runs = 0
        for line in process.stdout:
            told = json.loads(line)
            row.environment = told.get("environment", row.environment)
            found |= told.get("digests", {})
            runs += "run" in told
            if runs % 10 == 1:
                after = time.monotonic() - begun
                say(f"  {name}: {runs} runs, {after:.0f} s, now at {told.get('run', 'imports')}")
        code = process.wait()
    row.seconds = round(time.monotonic() - begun)
    row.digests = len(found)
    row.different = [key for key, value in found.items() if wanted.get(key) != value]
    if code:
        row.status = "failed"
        row.detail = ending(code, log.read_text(encoding="utf-8", errors="replace"))
    elif row.different or found.keys() != wanted.keys():
        row.status = "different"
        missing = sorted(wanted.keys() - found.keys())
        row.detail = ", ".join([*row.different, *(f"{key} (missing)" for key in missing)][:20])
    else:
        row.status = "same"
    return row
