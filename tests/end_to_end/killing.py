"""Commands as processes that are killed: the command line, forked from a server that imported it.

What a kill can spoil comes after the imports, and a fork spares most of a start's half second.
"""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from tests.end_to_end.killed import command

KILLED = -9
PATIENCE = 120


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def killed(self) -> bool:
        return self.code == KILLED

    @property
    def receipt(self) -> Any:
        """What it printed, if that is whole; a killed command may have come so far."""
        try:
            return json.loads(self.out)
        except ValueError:
            return None


@dataclass(frozen=True)
class Usual:
    """What commands of a kind take when they are not killed."""

    seconds: float = 0.2
    steps: int = 8
    """Of writing to the disk."""


class Killer:
    """Runs commands and kills some: at a random moment, or at a random step of their writing."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.kills = 0
        self._usual: dict[tuple[str, ...], Usual] = {}
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([command.__module__])

    def run(
        self, folder: Path, environment: dict[str, str], words: Sequence[str], *, kill: bool
    ) -> Ended:
        """Start a command; with ``kill``, end it before its time, unless it was quicker."""
        kind, said = tuple(words[:2]), folder.with_name(folder.name + ".said")
        usual = self._usual.get(kind, Usual())
        by_step = kill and self.random.random() < 0.6
        fatal = self.random.randint(1, usual.steps) if by_step else 0
        process = self._context.Process(
            target=command, args=(list(words), folder, environment, said, fatal)
        )
        process.start()
        started = time.monotonic()
        if kill and not by_step:
            process.join(self.random.uniform(0, usual.seconds))
            process.kill()
        process.join(PATIENCE)
        seconds = time.monotonic() - started
        assert process.exitcode is not None, f"danku {' '.join(words)} hangs"
        ended = Ended(process.exitcode, *(_text(said, suffix) for suffix in (".out", ".err")))
        if ended.killed:
            self.kills += 1
        elif ended.code == 0:
            self._usual[kind] = Usual(seconds, max(1, int(_text(said, ".steps"))))
        return ended


def _text(path: Path, suffix: str) -> str:
    place = path.with_suffix(suffix)
    return place.read_text() if place.exists() else ""
