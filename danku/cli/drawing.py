"""Bars and timelines for terminals; plain letters where a terminal has no others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

if TYPE_CHECKING:
    from danku.roles.stages import Window

_LEVELS = "▁▂▃▄▅▆▇█"
_PLAIN_LEVELS = ".:-=+*#@"


@dataclass(frozen=True)
class Bar:
    """A share between 0 and 1 as a bar of a fixed width."""

    share: float
    width: int = 12
    style: str = "cyan"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        full, half, empty = ("#", "", "-") if options.ascii_only else ("━", "╸", "─")
        filled = min(max(self.share, 0.0), 1.0) * self.width
        done = int(filled)
        text = Text(full * done, self.style, end="")
        if half and filled - done >= 0.5:
            text.append(half, self.style)
        text.append(empty * (self.width - len(text)), "dim")
        yield text

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(self.width, self.width)


@dataclass(frozen=True)
class Rule:
    """A dashed line."""

    style: str
    width: int = 14

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(("-" if options.ascii_only else "╌") * self.width, self.style, end="")

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(self.width, self.width)


@dataclass(frozen=True)
class Mark:
    """One letter with a meaning: what is done, goes on, was missed, or is to come."""

    state: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        letters = {"done": "+", "current": ">", "missed": "x", "ahead": "."}
        if not options.ascii_only:
            letters = {"done": "✓", "current": "▸", "missed": "×", "ahead": "·"}
        styles = {"done": "green", "current": "bold cyan", "missed": "yellow", "ahead": "dim"}
        yield Text(letters[self.state], styles[self.state], end="")

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(1, 1)


@dataclass(frozen=True)
class Timeline:
    """The five stages in one line, with the current one told from the others."""

    stages: Sequence[tuple[str, str]]
    """Name and state."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        letters = {"done": "+", "current": ">", "ahead": "."}
        link = " - "
        if not options.ascii_only:
            letters, link = {"done": "✓", "current": "●", "ahead": "○"}, " ─ "
        styles = {"done": "green", "current": "bold cyan", "ahead": "dim"}
        text = Text()
        for place, (name, state) in enumerate(self.stages):
            if place:
                text.append(link, "dim")
            text.append(f"{letters[state]} {name}", styles[state])
        yield text


@dataclass(frozen=True)
class Spark:
    """Counts as letters of growing height."""

    counts: Sequence[int]
    style: str = "cyan"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        levels, most = _PLAIN_LEVELS if options.ascii_only else _LEVELS, max(self.counts)
        letters = [
            levels[(count * (len(levels) - 1) + most - 1) // most] if count else " "
            for count in self.counts
        ]
        yield Text("".join(letters), self.style, end="")

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(len(self.counts), len(self.counts))


def stage_states(names: Sequence[str], stage: str) -> list[tuple[str, str]]:
    """Every stage with its state, where ``stage`` goes on, or `final` is reached."""
    if stage not in names:
        return [(name, "done") for name in names]
    place = names.index(stage)
    return [
        (name, "done" if number < place else "current" if number == place else "ahead")
        for number, name in enumerate(names)
    ]


def elapsed(window: Window, now: int) -> float:
    """How much of a window is over, between 0 and 1."""
    return min(max((now - window.opens) / (window.closes - window.opens), 0.0), 1.0)


def buckets(values: Sequence[float], count: int = 24) -> list[int]:
    """How many values lie in each of ``count`` equal parts of their range."""
    low, high = min(values), max(values)
    width = (high - low) / count or 1.0
    found = [0] * count
    for place, group in groupby(sorted(min(int((v - low) / width), count - 1) for v in values)):
        found[place] = sum(1 for _ in group)
    return found
