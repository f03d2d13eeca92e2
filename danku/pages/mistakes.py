"""What the winner's model gets wrong: a confusion matrix, or predictions against truths."""

from __future__ import annotations

import math
from itertools import pairwise

from danku.pages.facts import Facts
from danku.pages.svg import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
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

CLASSES_DRAWN = 16
"""Classes of a confusion matrix that still have room for their numbers."""


def mistakes(facts: Facts) -> Plot | None:
    """What the winner's model got wrong: a confusion matrix, or predictions against truths."""
    found = facts.winner
    if found is None:
        return None
    if found.confusion:
        return _confusion(facts, found.confusion)
    return _residuals(facts, found.pairs) if found.pairs else None


def _confusion(facts: Facts, counts: tuple[tuple[int, ...], ...]) -> Plot:
    names = facts.manifest.model.classes
    none = any(row[-1] for row in counts)
    said_names = [*names, "no class"] if none else list(names)
    cells = [row if none else row[:-1] for row in counts]
    rows, columns = len(cells), len(said_names)
    top, left = TOP + 10, 76
    width, height = (WIDTH - RIGHT - left) / columns, (HEIGHT - 8 - top) / rows
    drawn = rows <= CLASSES_DRAWN
    body = [text(left, 12, "predicted", "start", "axis"), text(4, 12, "actual", "start", "axis")]
    for place, row in enumerate(cells):
        whole = sum(row) or 1
        y = top + place * height
        if drawn:
            body.append(text(left - 8, y + height / 2 + 4, _cut(names[place], 11), "end"))
        for column, count in enumerate(row):
            x, share = left + column * width, count / whole
            style = "cell" if place == column else "cell wrong" if count else "cell none"
            body.append(
                f'<rect x="{x + 1:.1f}" y="{y + 1:.1f}" width="{max(width - 2, 0.5):.1f}" '
                f'height="{max(height - 2, 0.5):.1f}" rx="3" class="{style}" '
                f'fill-opacity="{0.16 + 0.84 * share:.2f}"/>'
            )
            if drawn and count:
                strong = " strong" if share > 0.55 else ""
                body.append(
                    text(
                        x + width / 2, y + height / 2 + 4, number(count), "middle", "count" + strong
                    )
                )
    if drawn:
        letters = max(int(width / 7), 3)
        for column, name in enumerate(said_names):
            body.append(text(left + (column + 0.5) * width, top - 7, _cut(name, letters), "middle"))
    total = sum(map(sum, cells))
    right_ones = sum(row[place] for place, row in enumerate(cells))
    part = "test" if facts.winner and facts.winner.part == "test" else "train"
    said = f"The winner's model is right in {right_ones:,} of {total:,} {part} rows"
    flat = [
        (names[place], said_names[column], number(count))
        for place, row in enumerate(cells)
        for column, count in enumerate(row)
        if count and (drawn or place != column)
    ]
    flat = flat if drawn else sorted(flat, key=lambda row: -int(row[2].replace(",", "")))[:50]
    return Plot(
        "mistakes",
        "Confusion matrix of the winner",
        said,
        frame("Confusion matrix of the winner", said, body, "mistakes"),
        ("actual", "predicted", "rows"),
        tuple(flat),
    )


def _residuals(facts: Facts, pairs: tuple[tuple[float, float], ...]) -> Plot | None:
    finite = [(a, b) for a, b in pairs if math.isfinite(a) and math.isfinite(b)]
    if not finite:
        return None
    low, high = bounds([value for pair in finite for value in pair])
    across = Scale(low, high, LEFT, WIDTH - RIGHT)
    up = Scale(low, high, HEIGHT - BOTTOM, TOP - 12)
    body = [*grid(up, ticks(low, high)), *grid(across, ticks(low, high), upright=True)]
    body.append(rule(across(low), up(low), across(high), up(high), "mark baseline"))
    places = {(round(across(a)), round(up(b))) for a, b in finite}
    dots = "".join(f"M{x} {y}h0" for x, y in sorted(places))
    body.append(f'<path d="{dots}" class="dots few"/>')
    body.append(text(WIDTH - RIGHT, HEIGHT - 3, "actual", "end", "axis"))
    body.append(text(LEFT, 10, "predicted", "start", "axis"))
    off = sorted(abs(b - a) for a, b in finite)
    part = facts.winner.part if facts.winner else "test"
    rows = facts.winner.rows if facts.winner else len(finite)
    said = (
        f"Half of the winner's predictions for {rows:,} {part} rows are off by at most "
        f"{shown(off[len(off) // 2])}, all by at most {shown(off[-1])}"
    )
    if len(finite) < rows:
        said += f"; {len(finite):,} rows are drawn"
    parts = [low + (high - low) * place / 6 for place in range(7)]
    table = []
    for begin, end in pairwise(parts):
        inside = [b - a for a, b in finite if begin <= a < end]
        if inside:
            mean = sum(inside) / len(inside)
            table.append((f"{shown(begin)} to {shown(end)}", number(len(inside)), shown(mean)))
    return Plot(
        "mistakes",
        "Predictions of the winner",
        said,
        frame("Predictions of the winner", said, body, "mistakes"),
        ("actual", "rows", "mean of predicted less actual"),
        tuple(table),
    )


def _cut(words: str, letters: int) -> str:
    return words if len(words) <= letters else words[: max(letters - 1, 1)] + "…"
