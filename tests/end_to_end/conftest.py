"""Roles as separate processes, with separate folders, sharing nothing but the public record."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from danku.crypto.signatures import PrivateKey
from tests.cli.fixtures import at, empty, played, quick

__all__ = ["at", "empty", "played", "quick"]

PASSWORD = "correct horse battery staple"


@dataclass
class Run:
    """What one command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Player:
    """One role in a workspace of its own; every command is a process."""

    name: str
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, *words: str) -> subprocess.Popen[str]:
        environment = {
            key: value for key, value in os.environ.items() if not key.startswith("DANKU_")
        }
        environment |= {"COLUMNS": "200", **self.environment}
        return subprocess.Popen(
            [sys.executable, "-m", "danku", *words],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def try_(self, *words: str) -> Run:
        process = self.start(*words)
        out, err = process.communicate(timeout=180)
        return Run(process.returncode, out, err)

    def __call__(self, *words: str) -> Any:
        """Run a command that has to succeed, and read its JSON."""
        run = self.try_(*words, "--json", "--yes")
        assert run.code == 0, f"{self.name}: danku {' '.join(words)}\n{run.out}\n{run.err}"
        return run.json


@dataclass
class Table:
    """Players around one public record."""

    root: Path
    public: Path | None = None
    addresses: dict[str, str] = field(default_factory=dict)

    def seat(self, name: str, *, keystore: bool = False) -> Player:
        """A new player; with ``keystore`` its key is an encrypted file, else it is in CI style."""
        folder = self.root / name
        folder.mkdir(parents=True)
        player = Player(name, folder)
        if self.public is None:
            player("init", ".", "--sandbox", "--play-money", "5000000")
            self.public = folder / "challenges"
        else:
            player("init", ".", "--join", str(self.public))
        if keystore:
            player.environment["DANKU_PASSWORD"] = PASSWORD
            self.addresses[name] = player("keys", "new", name)["address"]
        else:
            key = PrivateKey.generate()
            player.environment["DANKU_PRIVATE_KEY"] = "0x" + key.unsafe_secret().hex()
            self.addresses[name] = key.address
        return player


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table(tmp_path)
