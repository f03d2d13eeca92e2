"""Pages that are played: the reader's terminal, and the others around a shared repository."""

from __future__ import annotations

import json
import re
import secrets
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from danku.crypto import keystore
from danku.crypto.signatures import checksum_address
from danku.roles.workspace import CONFIG, Workspace
from tests.cli.driver import WINDOWS
from tests.cli.fixtures import Worker
from tests.docs.page import ROOT, Commands, File, Part, agrees, parts_of
from tests.docs.shell import Shell
from tests.roles.arena import key_of

START = int(datetime(2026, 3, 2, 9, tzinfo=UTC).timestamp())
"""The Monday on which every page begins."""


@dataclass
class Clock:
    """What pages take for the time."""

    now: int = START

    def time(self) -> float:
        return self.now


@dataclass
class Play:
    """A page as it is played."""

    root: Path
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.reader = Shell.at(self.root, "reader")
        self._others: Shell | None = None
        hub = ["git", "init", "--quiet", "--bare", "--initial-branch=main", "arena.git"]
        subprocess.run(hub, cwd=self.root, check=True, timeout=60)

    def page(self, page: Path) -> None:
        """Play a page.

        Raises:
            AssertionError: a command fails, or prints what the page does not show.
        """
        for part in parts_of(page):
            printed = self.part(part)
            if isinstance(part, Commands) and part.shown is not None:
                assert agrees(part.shown, printed), f"{part.place}: printed is\n\n{printed}"

    def part(self, part: Part) -> str:
        """Play a part of a page, and say what it printed."""
        if isinstance(part, File):
            path = self.reader.folder / part.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(part.text, "utf-8")
        elif isinstance(part, Commands):
            return "".join(map(self.reader.run, part.lines))
        else:
            for who, what in part.steps:
                if who == "clock":
                    self._until(what)
                elif who == "reader":
                    self.reader.run(what)
                else:
                    self._others_do(who.split(", "), what)
        return ""

    def _others_do(self, names: list[str], what: str) -> None:
        """A step of others, who share a clone: pulled before, pushed behind."""
        others = self._others
        if others is None:
            others = self._others = Shell.at(self.root, "others", REPOSITORY=str(ROOT))
            others.run("git clone --quiet https://git.example.org/arena.git .")
        elif others.run("git ls-remote --heads origin"):
            others.run("git pull --quiet --ff-only origin main")
        for name in names:
            secret = "0x" + key_of(name).unsafe_secret().hex()
            others.environment["DANKU_PRIVATE_KEY"] = secret
            others.run(self._filled(what))
        others.run("git add --all")
        others.run("git diff --cached --quiet || git commit --quiet --message others")
        others.run("git push --quiet origin HEAD:main")

    def _filled(self, what: str) -> str:
        """A step with addresses in place of {names}."""
        return re.sub(r"\{(\w+)\}", lambda found: self._address(found[1]), what)

    def _address(self, name: str) -> str:
        """The address of a key that the reader has made, else of the key that others have."""
        for path in self.reader.folder.rglob(f"keys/{name}.json"):
            return checksum_address("0x" + json.loads(path.read_text())["address"])
        return checksum_address(key_of(name).address)

    def _until(self, window: str) -> None:
        """Move the clock to a window's end in the newest challenge."""
        root = next(self.root.glob(f"o*/{CONFIG}"), None) or next(self.root.rglob(CONFIG))
        challenges: Any = Workspace(root.parent).state().challenges
        self.clock.now = max(
            getattr(each.windows, window) for each in challenges.values() if window in WINDOWS
        )


def prepared(patch: pytest.MonkeyPatch, root: Path) -> Play:
    """A play on a clock of its own, with cheap key files and evaluation in this process.

    Chance is the same each time, so that no split of the data is ever an unlucky one.
    """
    play, random = Play(root), Random(1)
    patch.setattr(secrets, "token_bytes", lambda count=32: random.randbytes(count))
    patch.setattr(secrets, "randbelow", random.randrange)
    patch.setattr("danku.ledger.embedded.ledger._time", SimpleNamespace(time=play.clock.time))
    patch.setattr(keystore, "create", partial(keystore.create, cost=2**10))
    patch.setattr("danku.evaluation.worker.Worker", Worker)
    return play
