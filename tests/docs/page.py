"""A page of the documentation as something that can be run, and how what it shows is compared.

- A block `sh` holds commands; each has to succeed, unless a comment says `# exit code N`.
- A block `text` right behind it is what they print, stdout and stderr together. In it `…` stands
  for what differs from run to run: some characters, or as a line of its own any lines. How wide
  columns and frames are drawn is not compared.
- A block that begins with a comment which is a path, such as `# private/train.py`, is that file.
- An HTML comment `meanwhile` holds what others do at that point, a step a line:
  `vera, victor: danku validator run`; `reader` is who reads; `clock: submit` goes on to the
  moment at which the window `submit` ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_PART = re.compile(
    r"^```(?P<kind>\w*)\n(?P<block>.*?)^```$|^<!-- meanwhile\s(?P<others>.*?)-->$",
    re.MULTILINE | re.DOTALL,
)
_FILE = re.compile(r"# (\S+/\S+|\S+\.\w+)\n")


@dataclass(frozen=True)
class Commands:
    """What a reader types, and what then stands in the terminal, if the page shows it."""

    lines: tuple[str, ...]
    shown: str | None
    place: str


@dataclass(frozen=True)
class File:
    """A file that a reader writes."""

    path: str
    text: str


@dataclass(frozen=True)
class Others:
    """Steps of other people: who, and what."""

    steps: tuple[tuple[str, str], ...]


Part: TypeAlias = Commands | File | Others


def parts_of(page: Path) -> Iterator[Part]:
    """The parts of a page that can be run, in order."""
    text = page.read_text("utf-8")
    found = list(_PART.finditer(text))
    for part, behind in zip(found, [*found[1:], None], strict=True):
        if part["others"] is not None:
            steps = (line.partition(": ") for line in part["others"].strip().splitlines())
            yield Others(tuple((who, what) for who, _, what in steps))
        elif part["kind"] == "sh":
            near = behind is not None and not text[part.end() : behind.start()].strip()
            shown = behind["block"] if near and behind and behind["kind"] == "text" else None
            place = f"{page.name}, line {text.count(chr(10), 0, part.start()) + 1}"
            yield Commands(tuple(part["block"].splitlines()), shown, place)
        elif named := _FILE.match(part["block"]):
            yield File(named[1], part["block"][named.end() :])


def blocks(page: Path, kind: str) -> list[str]:
    """The texts of a page's blocks of a kind."""
    text = page.read_text("utf-8")
    return [part["block"] for part in _PART.finditer(text) if part["kind"] == kind]


def agrees(shown: str, printed: str) -> bool:
    """Whether a page shows what was printed."""
    pattern = "".join(map(_pattern, _lines(shown)))
    return re.fullmatch(pattern, "".join(line + "\n" for line in _lines(printed))) is not None


def _lines(text: str) -> list[str]:
    """The lines, without blank ones, and with every gap and every rule drawn one character wide."""
    lines = [re.sub(r"[─━]+", "─", " ".join(line.split())) for line in text.splitlines()]
    return [line for line in lines if line]


def _pattern(line: str) -> str:
    if line == "…":
        return r"(?:.*\n)*?"
    return ".+?".join(re.escape(piece) for piece in line.split("…")) + r"\n"
