"""Plots as inline SVG, drawn here: no library, no script, colours from the page's style sheet.

Each comes with its numbers as a table, which screen readers and people without pictures read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from danku.pages.facts import Facts
from danku.pages.mistakes import mistakes
from danku.pages.svg import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Line,
    Plot,
    Scale,
    bounds,
    frame,
    grid,
    rule,
    text,
    ticks,
)
from danku.pages.text import number, shown
from danku.protocol.types import SCORE_UNIT

BINS = 24
FAR = 1.8
"""A baseline that would stretch a plot by more is left to the leaderboard."""


def plots(facts: Facts) -> list[Plot]:
    """Every plot that the facts give something to see in."""
    found = [distribution(facts), over_time(facts), mistakes(facts)]
    return [plot for plot in found if plot is not None]


def _scored(facts: Facts) -> list[tuple[int, float]]:
    """(time, score) of the ranked submissions, by time."""
    ranked = [entry for entry in facts.entries if entry.rank is not None]
    ranked.sort(key=lambda entry: entry.number)
    return [(entry.time, (entry.score or 0) / SCORE_UNIT) for entry in ranked]


def marks(facts: Facts, scores: Sequence[float]) -> list[Line]:
    """The threshold, and the baseline where it is known and does not lie far off the scores."""
    threshold = facts.threshold / SCORE_UNIT
    found = [Line("threshold", threshold)]
    if facts.winner and facts.winner.baseline:
        value = facts.winner.baseline.score / SCORE_UNIT
        low, high = min(*scores, threshold), max(*scores, threshold)
        if max(high, value) - min(low, value) <= FAR * (high - low):
            found.append(Line("baseline", value))
    return found


def distribution(facts: Facts) -> Plot | None:
    """How many submissions reached which score."""
    scores = [score for _, score in _scored(facts)]
    if len(scores) < 2:
        return None
    lines = marks(facts, scores)
    low, high = bounds([*scores, *(line.value for line in lines)])
    count = min(BINS, max(10, math.isqrt(9 * len(scores))))
    width = (high - low) / count
    # NOTE: the threshold lies between two bars, so that each is of one colour.
    low = lines[0].value - width * math.ceil((lines[0].value - low) / width)
    count = math.ceil((high - low) / width)
    high, heights = low + count * width, [0] * count
    for score in scores:
        heights[min(int((score - low) / width), count - 1)] += 1
    across = Scale(low, high, LEFT, WIDTH - RIGHT)
    up = Scale(0, max(heights) * 1.12, HEIGHT - BOTTOM, TOP)
    steps = sorted({round(value) for value in ticks(0, max(heights), 3)})
    body = [*grid(up, steps), *grid(across, ticks(low, high), upright=True)]
    higher, threshold = facts.board.higher_is_better, facts.threshold / SCORE_UNIT
    for place, height in enumerate(heights):
        if not height:
            continue
        middle = low + (place + 0.5) * width
        passing = middle >= threshold if higher else middle <= threshold
        x, y = across(low + place * width), up(height)
        size = (WIDTH - RIGHT - LEFT) / count
        style = "bar" if passing else "bar low"
        body.append(
            f'<rect x="{x + 0.75:.1f}" y="{y:.1f}" width="{size - 1.5:.1f}" '
            f'height="{HEIGHT - BOTTOM - y:.1f}" rx="1.5" class="{style}"/>'
        )
    body += _upright_marks(across, lines)
    better = "higher" if higher else "lower"
    body.append(
        text(WIDTH - RIGHT, HEIGHT - 3, f"{facts.board.metric}, {better} is better", "end", "axis")
    )
    ordered = sorted(scores)
    middle_score = ordered[len(ordered) // 2]
    said = (
        f"{len(scores):,} ranked submissions between {shown(ordered[0])} and {shown(ordered[-1])}, "
        f"half of them at {shown(middle_score)} or above"
    )
    table = [
        (f"{shown(low + place * width)} to {shown(low + (place + 1) * width)}", number(height))
        for place, height in enumerate(heights)
        if height
    ]
    return Plot(
        "distribution",
        "Score distribution",
        said,
        frame("Score distribution", said, body, "distribution"),
        ("score", "submissions"),
        tuple(table),
    )


def _upright_marks(across: Scale, lines: Sequence[Line]) -> list[str]:
    parts: list[str] = []
    for row, line in enumerate(lines):
        x = across(line.value)
        parts.append(rule(x, TOP - 6, x, HEIGHT - BOTTOM, f"mark {line.name}"))
        right = x < (LEFT + WIDTH) / 2
        parts.append(
            text(
                x + (5 if right else -5),
                TOP - 14 + 13 * row,
                f"{line.name} {shown(line.value)}",
                "start" if right else "end",
                f"label {line.name}",
            )
        )
    return parts


def over_time(facts: Facts) -> Plot | None:
    """Which score was handed in when, and the best so far, as only the result could tell."""
    points = _scored(facts)
    if len(points) < 2:
        return None
    scores = [score for _, score in points]
    lines = marks(facts, scores)
    low, high = bounds([*scores, *(line.value for line in lines)])
    start, end = points[0][0], points[-1][0]
    room = max((end - start) * 0.04, 1)
    across = Scale(start - room, end + room, LEFT, WIDTH - RIGHT)
    up = Scale(low, high, HEIGHT - BOTTOM, TOP)
    body = grid(up, ticks(low, high))
    body += _time_axis(across, start, end)
    best, steps = _best_so_far(points, facts.board.higher_is_better)
    path = f"M{across(best[0][0]):.1f} {up(best[0][1]):.1f}"
    for moment, score in best[1:]:
        path += f"H{across(moment):.1f}V{up(score):.1f}"
    body.append(f'<path d="{path}H{WIDTH - RIGHT}" class="best"/>')
    # NOTE: one path of dots, each place once, so that ten thousand stay small.
    places = {(round(across(moment)), round(up(score))) for moment, score in points}
    dots = "".join(f"M{x} {y}h0" for x, y in sorted(places))
    body.append(f'<path d="{dots}" class="{"dots" if len(points) > 400 else "dots few"}"/>')
    for line in lines:
        y = up(line.value)
        body.append(rule(LEFT, y, WIDTH - RIGHT, y, f"mark {line.name}"))
        body.append(
            text(
                WIDTH - RIGHT,
                y - 4,
                f"{line.name} {shown(line.value)}",
                "end",
                f"label {line.name}",
            )
        )
    body.append(text(WIDTH - RIGHT, HEIGHT - 3, "time of commitment (UTC)", "end", "axis"))
    said = (
        f"The best score was bettered {len(steps) - 1} times; the last time by a model that was "
        f"committed to at {_moment(steps[-1][0])}"
        if len(steps) > 1
        else f"Nobody bettered the first model, committed to at {_moment(steps[0][0])}"
    )
    return Plot(
        "time",
        "Score over time",
        said,
        frame("Score over time", said, body, "time"),
        ("committed at", "best score so far"),
        tuple((_moment(moment), shown(score)) for moment, score in steps[-50:]),
    )


def _best_so_far(
    points: Sequence[tuple[int, float]], higher: bool
) -> tuple[list[tuple[int, float]], list[tuple[int, float]]]:
    steps = [points[0]]
    for moment, score in points[1:]:
        if score > steps[-1][1] if higher else score < steps[-1][1]:
            steps.append((moment, score))
    return steps, steps


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


def _time_axis(across: Scale, start: int, end: int) -> list[str]:
    span = end - start
    form = "%d %b" if span > 3 * 86_400 else "%d %b %H:%M" if span > 7_200 else "%H:%M:%S"
    places = [start] if span < 1 else [start, start + span // 2, end]
    parts = []
    for moment, anchor in zip(places, ("start", "middle", "end"), strict=False):
        label = datetime.fromtimestamp(moment, UTC).strftime(form)
        parts.append(text(across(moment), HEIGHT - BOTTOM + 16, label, anchor))
    return parts
