"""How numbers, times and what others wrote look on a page."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from danku.protocol.types import SCORE_UNIT

UNSHOWN = "\N{REPLACEMENT CHARACTER}"


def plain(text: str) -> str:
    """What others wrote, with control characters, overrides of direction and invisible
    characters made visible; escaping it is the template's business."""
    return "".join(
        character if character.isprintable() or character == "\n" else UNSHOWN for character in text
    )


def number(count: int) -> str:
    """A whole number with thousands separators."""
    return f"{count:,}"


def shown(value: float) -> str:
    """A value to four digits, without trailing zeros."""
    if not math.isfinite(value):
        return "∞" if value > 0 else "−∞"
    if value and not 1e-4 <= abs(value) < 1e7:
        return f"{value:.2e}"
    digits = max(0, 4 - len(str(int(abs(value)))) if abs(value) >= 1 else 4)
    text = f"{value:,.{digits}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "−")


def score(units: int) -> str:
    """A score in units of 1e-9 with six places, as the terminal shows it."""
    size = abs(units)
    whole, rest = divmod(size, SCORE_UNIT)
    return f"{'−' if units < 0 else ''}{whole:,}.{rest // 1_000:06d}"


def moment(seconds: int) -> str:
    """A ledger time as UTC to the minute."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


def stamp(seconds: int) -> str:
    """A ledger time for the ``datetime`` attribute."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def short(identifier: str) -> str:
    """Both ends of an address, digest or CID."""
    return identifier if len(identifier) <= 16 else f"{identifier[:8]}…{identifier[-6:]}"
