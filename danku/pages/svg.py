"""Pieces of plots as SVG: scales, ticks, text, and the frame that describes itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from danku.pages.text import shown

WIDTH, HEIGHT = 340, 226
LEFT, RIGHT, TOP, BOTTOM = 42, 10, 28, 34


@dataclass(frozen=True)
class Plot:
    """A picture and what it says."""

    key: str
    title: str
    caption: str
    svg: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    """The numbers behind it, or the most telling of them."""


@dataclass(frozen=True)
class Line:
    """A score that is marked across a plot."""

    name: str
    value: float


@dataclass(frozen=True)
class Scale:
    """From values to places: ``low`` lies at ``start``, ``high`` at ``end``."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        part = (value - self.low) / (self.high - self.low)
        return self.start + min(max(part, 0.0), 1.0) * (self.end - self.start)


def ticks(low: float, high: float, count: int = 6) -> list[float]:
    """Round values between two others, about ``count`` of them."""
    if not high > low:
        return [low]
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(size * power for size in (1, 2, 2.5, 5, 10) if size * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [step * place for place in range(first, math.floor(high / step + 1e-9) + 1)]


def bounds(values: Sequence[float]) -> tuple[float, float]:
    """A range with some room at both ends; plots leave out what is beyond all measure."""
    low, high = min(values), max(values)
    room = (high - low) * 0.06 or abs(high) * 0.05 or 0.5
    return low - room, high + room


def frame(title: str, described: str, body: Sequence[str], key: str) -> str:
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-labelledby="{key}-title {key}-desc">'
        f'<title id="{key}-title">{escape(title)}</title>'
        f'<desc id="{key}-desc">{escape(described)}</desc>{"".join(body)}</svg>'
    )


def text(x: float, y: float, words: str, anchor: str = "start", style: str = "tick") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{style}"'
    return f"<text {place}>{escape(words)}</text>"


def rule(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{style}"/>'


def grid(scale: Scale, values: Sequence[float], *, upright: bool = False) -> list[str]:
    parts = []
    for value in values:
        place = scale(value)
        if upright:
            parts.append(text(place, HEIGHT - BOTTOM + 16, shown(value), "middle"))
        else:
            parts.append(rule(LEFT, place, WIDTH - RIGHT, place, "grid"))
            parts.append(text(LEFT - 6, place + 4, shown(value), "end"))
    return parts
