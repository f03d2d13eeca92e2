"""The demonstration, played once in silence, with everything that it leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from danku.demo.play import play
from danku.roles.workspace import Workspace


class Recorder:
    """A narration that only notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *words: self.told.append((name, words))

    def all(self, name: str) -> list[tuple[Any, ...]]:
        """What one method was told, call by call."""
        return [words for method, words in self.told if method == name]


@dataclass(frozen=True)
class Played:
    """A finished demonstration; whoever changes a file works on a copy."""

    root: Path
    story: dict[str, Any]
    recorder: Recorder

    @property
    def public(self) -> Path:
        """What everybody sees."""
        return self.root / "organizer" / "challenges"

    @property
    def identity(self) -> str:
        return str(self.story["challenge"])

    @property
    def head(self) -> str:
        return str(self.story["ledger_head"])

    def workspace(self, name: str = "organizer") -> Workspace:
        return Workspace(self.root / name)


@cache
def played() -> Played:
    """The one play-through that all tests share."""
    root, recorder = Path(mkdtemp(prefix="danku-played-")) / "demo", Recorder()
    return Played(root, play(recorder, root), recorder)
