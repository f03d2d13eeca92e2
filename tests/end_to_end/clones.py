"""Git clones of one repository, and somebody with a key of their own in each."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from tests.end_to_end.conftest import Run
from tests.end_to_end.killing import Ended, Killer
from tests.roles.arena import key_of

JOURNAL = "challenges/ledger.jsonl"
IDENTITY = {
    "GIT_AUTHOR_NAME": "somebody",
    "GIT_AUTHOR_EMAIL": "somebody@example.org",
    "GIT_COMMITTER_NAME": "somebody",
    "GIT_COMMITTER_EMAIL": "somebody@example.org",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_EDITOR": "true",
}


@cache
def _starter() -> Killer:
    """Starts processes that have imported `danku` already; nothing is killed here."""
    return Killer(Random(0))


@dataclass
class Clone:
    """One clone: git and `danku` in it, each as a process."""

    folder: Path
    name: str
    pulling: str = "--no-rebase"
    """Or --rebase."""
    conflicts: int = 0
    """Pushes that were refused since somebody else was earlier."""

    def try_danku(self, *words: str) -> Ended:
        """Run a command, whatever comes of it."""
        secret = "0x" + key_of(self.name).unsafe_secret().hex()
        environment = {"COLUMNS": "200", **IDENTITY, "DANKU_PRIVATE_KEY": secret}
        words = (*words, "--json", "--yes")
        return _starter().run(self.folder, environment, words, kill=False)

    def danku(self, *words: str) -> Any:
        """Run a command that has to succeed; what it says."""
        ended = self.try_danku(*words)
        assert ended.code == 0, f"{self.name}: danku {' '.join(words)}\n{ended.out}\n{ended.err}"
        return ended.receipt

    def refused(self, *words: str, code: int, error: str) -> Ended:
        """Run a command that has to end in a named error of a family."""
        ended = self.try_danku(*words)
        assert (ended.code, ended.receipt["error"]) == (code, error), f"{ended.out}\n{ended.err}"
        return ended

    @property
    def journal(self) -> Path:
        return self.folder / JOURNAL

    def try_git(self, *words: str) -> Run:
        done = subprocess.run(
            ["git", *words],
            cwd=self.folder,
            env={**os.environ, **IDENTITY},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Run(done.returncode, done.stdout, done.stderr)

    def git(self, *words: str) -> str:
        run = self.try_git(*words)
        assert run.code == 0, f"{self.name}: git {' '.join(words)}\n{run.out}\n{run.err}"
        return run.out

    def commit(self) -> None:
        """Commit everything that there is."""
        self.git("add", "--all")
        if self.try_git("diff", "--cached", "--quiet").code:
            self.git("commit", "--quiet", "--message", f"{self.name} acts")

    def pull(self) -> Run:
        return self.try_git("pull", "--quiet", self.pulling)

    def push(self) -> Run:
        return self.try_git("push", "--quiet", "origin", "HEAD")

    def share(self) -> str:
        """Commit, and pull and push until it is pushed; what git said."""
        self.commit()
        said = ""
        while self.push().code:
            self.conflicts += 1
            pulled = self.pull()
            said += pulled.out + pulled.err
            assert pulled.code == 0, f"{self.name}: git pull\n{said}"
        return said

    def status(self) -> Any:
        return self.danku("status")


def first_clone(root: Path, name: str, *options: str) -> Clone:
    """A bare repository, and a clone with a new sandbox that is not pushed yet."""
    root.mkdir(parents=True, exist_ok=True)
    hub = ["git", "init", "--quiet", "--bare", "--initial-branch=main", "hub.git"]
    subprocess.run(hub, cwd=root, check=True, timeout=60)
    clone = _cloned(root, name)
    clone.danku("init", ".", "--sandbox", "--play-money", "100000", *options)
    return clone


def another_clone(root: Path, name: str, *, driver: bool = True) -> Clone:
    """A clone of what was pushed; with ``driver`` git joins journals in it."""
    clone = _cloned(root, name)
    if driver:
        clone.danku("ledger", "install-driver")
    return clone


def _cloned(root: Path, name: str) -> Clone:
    environment = {**os.environ, **IDENTITY}
    words = ["git", "clone", "--quiet", "hub.git", name]
    subprocess.run(words, cwd=root, env=environment, check=True, timeout=60, capture_output=True)
    return Clone(root / name, name)
