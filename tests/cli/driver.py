"""The command line in this process, and a small competition at every stage to try it on."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from danku.cli.app import main
from tests.roles.arena import TOML, VALIDATORS, InProcess, edited, key_of, model, write_data

NAME = "small"
PASSWORD = "correct horse battery staple"
SUBMITTERS = ("alice", "bob")
PEOPLE = ("organizer", *SUBMITTERS, *VALIDATORS)
WINDOWS = ("contribute", "open_seed", "reveal_train", "submit")
WINDOWS += ("open", "reveal_test", "vote", "open_vote")


@dataclass(frozen=True)
class Run:
    """What one command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.out)


@contextlib.contextmanager
def _surroundings(
    words: tuple[str, ...], folder: Path, environment: Mapping[str, str]
) -> Iterator[tuple[io.StringIO, io.StringIO]]:
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(folder):
        for name in [name for name in os.environ if name.startswith("DANKU_")]:
            patch.delenv(name)
        defaults = {"COLUMNS": "200", "DANKU_PASSWORD": PASSWORD}
        for name, value in {**defaults, **environment}.items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", ["danku", *words])
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            yield out, err


@dataclass(frozen=True)
class Danku:
    """`danku`, called in a folder with an environment of its own."""

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def try_(self, *words: str) -> Run:
        """Run a command, whatever comes of it."""
        code: Any = 0
        with _surroundings(words, self.folder, self.environment) as (out, err):
            try:
                main()
            except SystemExit as end:
                code = end.code or 0
        return Run(code, out.getvalue(), err.getvalue())

    def __call__(self, *words: str) -> Any:
        """Run a command that has to succeed; what it says as JSON."""
        run = self.try_(*words, "--json", "--yes")
        assert run.code == 0, f"danku {' '.join(words)}\n{run.out}\n{run.err}"
        return run.json

    def refused(self, *words: str, code: int, error: str) -> Run:
        """Run a command that has to end in a named error of a family."""
        run = self.try_(*words, "--json", "--yes")
        assert (run.code, run.json["error"]) == (code, error), f"{run.out}\n{run.err}"
        assert run.json["what"]
        assert "Traceback" not in run.err
        return run

    def of(self, name: str) -> Danku:
        """The same place, with somebody's key."""
        secret = "0x" + key_of(name).unsafe_secret().hex()
        return Danku(self.folder, {**self.environment, "DANKU_PRIVATE_KEY": secret})

    def until(self, window: str, challenge: str = NAME) -> None:
        """Move the sandbox's time to a window's end."""
        shown = self("challenge", "show", challenge)
        lengths = shown["terms"]["schedule"]
        ends = shown["created"] + sum(
            lengths[name] for name in WINDOWS[: WINDOWS.index(window) + 1]
        )
        ahead = ends - self("ledger", "show")["time"]
        if ahead > 0:
            self.of("organizer")("ledger", "advance-time", f"{ahead}s")

    def digest(self, part: str = "challenges") -> str:
        """What stands in a folder of the workspace: names and bytes, but for locks and caches."""
        hasher = hashlib.sha256()
        for path in sorted((self.folder / part).rglob("*")):
            if path.is_file() and path.suffix not in (".lock", ".cache"):
                hasher.update(str(path.relative_to(self.folder)).encode() + b"\0")
                hasher.update(hashlib.sha256(path.read_bytes()).digest())
        return hasher.hexdigest()


@contextlib.contextmanager
def unchanged(danku: Danku) -> Iterator[None]:
    """Nothing in the whole workspace, public, private or beside, is other than before."""
    before = danku.digest(".")
    yield
    assert danku.digest(".") == before


def lines_of(danku: Danku) -> list[bytes]:
    """The journal's lines, with their newlines."""
    return (danku.folder / "challenges" / "ledger.jsonl").read_bytes().splitlines(keepends=True)


def sealed_by(danku: Danku, name: str) -> Path:
    """The private file that opens somebody's submission."""
    for path in (danku.folder / "private").glob("0x*/submission-*.json"):
        if json.loads(path.read_text())["submitter"] == key_of(name).address:
            return path
    raise AssertionError(f"{name} has sealed nothing")


def write_challenge(folder: Path, **changes: str) -> Path:
    """A workspace's challenge.toml; its data lies in the private folder."""
    write_data(folder / "private" / "data.csv")
    panel = ", ".join(f'"{key_of(name).address}"' for name in VALIDATORS)
    place = folder / "challenges" / NAME
    place.mkdir(exist_ok=True)
    terms = {"source": '"../../private/data.csv"', "addresses": f"[{panel}]", **changes}
    (place / "challenge.toml").write_text(edited(TOML, terms), "utf-8")
    return place


def _made(danku: Danku) -> None:
    danku("init", ".", "--sandbox", "--play-money", "100000", "--stake", "1000")
    write_challenge(danku.folder)
    (danku.folder / "alice.onnx").write_bytes(model(0.0))
    (danku.folder / "bob.onnx").write_bytes(model(2.0))


def _created(danku: Danku) -> None:
    danku.of("organizer")("challenge", "create", f"challenges/{NAME}")


def _contributed(danku: Danku) -> None:
    for name in VALIDATORS:
        danku.of(name)("validator", "run")


def _seeded(danku: Danku) -> None:
    danku.until("contribute")
    for name in ("organizer", *VALIDATORS):
        danku.of(name)("advance", NAME)


def _train(danku: Danku) -> None:
    danku.until("open_seed")
    danku.of("organizer")("advance", NAME)


def _submitted(danku: Danku) -> None:
    for name in SUBMITTERS:
        danku.of(name)("model", "submit", NAME, f"{name}.onnx")


def _opening(danku: Danku) -> None:
    danku.until("submit")


def _opened(danku: Danku) -> None:
    for name in SUBMITTERS:
        danku.of(name)("model", "open", NAME)


def _revealing(danku: Danku) -> None:
    danku.until("open")


def _revealed(danku: Danku) -> None:
    danku.of("organizer")("challenge", "reveal-test", NAME)


def _voting(danku: Danku) -> None:
    danku.until("reveal_test")


def _voted(danku: Danku) -> None:
    for name in VALIDATORS:
        danku.of(name)("validator", "run")
    danku.until("vote")


def _decided(danku: Danku) -> None:
    for name in VALIDATORS:
        danku.of(name)("validator", "run")
    danku.until("open_vote")


def _final(danku: Danku) -> None:
    danku.of("bob")("challenge", "finalize", NAME)


STAGES = (
    *(_made, _created, _contributed, _seeded, _train, _submitted, _opening, _opened),
    *(_revealing, _revealed, _voting, _voted, _decided, _final),
)


@lru_cache(maxsize=1)
def stages(base: Path) -> dict[str, Path]:
    """Workspaces by the stage that the competition in them has reached; not to be written to."""
    root = base / "stages"
    found: dict[str, Path] = {}
    current = root / "start"
    current.mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("danku.evaluation.worker.Worker", InProcess)
        for step in STAGES:
            name = step.__name__.removeprefix("_")
            found[name] = shutil.copytree(current, root / name)
            current = found[name]
            step(Danku(current))
    return found
