"""What evaluation says of one model; imports nothing heavy, so that any role may hold one."""

from __future__ import annotations

from typing import Literal

from danku.protocol.manifest import Record
from danku.protocol.types import Score


class Verdict(Record):
    """What the committee votes on for one model."""

    status: Literal["scored", "rejected"]
    score: Score
    """In units of 1e-9; 0 if rejected."""
    reason: str
    """Why it is rejected; empty if scored."""
    yardstick: Score | None = None
    """What it scores on the yardstick; None if that was not asked, or if it has no score there."""
