"""Where a challenge stands: DanKu's five stages, and the windows in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from danku.protocol.state import Challenge

STAGES = ("initialization", "submission", "test reveal", "evaluation", "finalization")

ACTION_STAGES = {
    "create": "initialization",
    "contribute": "initialization",
    "open_seed": "initialization",
    "draw": "initialization",
    "reveal_train": "initialization",
    "submit": "submission",
    "report": "submission",
    "open": "test reveal",
    "reveal_test": "test reveal",
    "convene": "evaluation",
    "vote": "evaluation",
    "open_vote": "evaluation",
    "finalize": "finalization",
    "cancel": "finalization",
    "claim": "finalization",
    "claim_deposit": "finalization",
    "withdraw": "finalization",
}


WindowState = Literal["done", "missed", "current", "ahead"]


@dataclass(frozen=True)
class Window:
    """One window of the calendar: who does what, from ``opens`` until ``closes``."""

    stage: str
    name: str
    who: str
    opens: int
    closes: int


def calendar(challenge: Challenge) -> list[Window]:
    """All windows of a challenge in order, with absolute ledger times."""
    w = challenge.windows
    return [
        Window(STAGES[0], "contribute", "validators", w.created, w.contribute),
        Window(STAGES[0], "open_seed", "organizer, validators", w.contribute, w.open_seed),
        Window(STAGES[0], "reveal_train", "organizer", w.open_seed, w.reveal_train),
        Window(STAGES[1], "submit", "submitters", w.reveal_train, w.submit),
        Window(STAGES[2], "open", "submitters", w.submit, w.open),
        Window(STAGES[2], "reveal_test", "organizer", w.open, w.reveal_test),
        Window(STAGES[3], "vote", "committee", w.reveal_test, w.vote),
        Window(STAGES[3], "open_vote", "committee", w.vote, w.open_vote),
    ]


def stage_of(challenge: Challenge, time: int) -> str:
    """The stage at a ledger time, or `final` once the challenge is settled."""
    if challenge.settlement is not None:
        return "final"
    if challenge.train is not None and time < challenge.windows.submit:
        return STAGES[1]
    for window in calendar(challenge):
        if time < window.closes:
            return window.stage
    if 2 in challenge.rounds or time < challenge.windows.second_open_vote:
        return STAGES[3]
    return STAGES[4]


def happened(challenge: Challenge, step: str) -> bool:
    """Whether anybody took the step that a window, named as in `calendar`, is for."""
    votes = [vote for found in challenge.rounds.values() for vote in found.votes.values()]
    return {
        "contribute": bool(challenge.contributions),
        "open_seed": challenge.seed_secret is not None,
        "reveal_train": challenge.train is not None,
        "submit": bool(challenge.submissions),
        "open": challenge.opened > 0,
        "reveal_test": challenge.test is not None,
        "vote": bool(votes),
        "open_vote": any(vote.ballot is not None for vote in votes),
    }[step]


def window_state(challenge: Challenge, window: Window, now: int) -> WindowState:
    """How a window looks at a ledger time."""
    if happened(challenge, window.name):
        return "current" if _goes_on(challenge, window, now) else "done"
    if now >= window.closes or challenge.settlement is not None:
        return "missed"
    return "current" if window.opens <= now else "ahead"


def _goes_on(challenge: Challenge, window: Window, now: int) -> bool:
    """Whether others can still take a step that somebody took."""
    alone = ("reveal_train", "reveal_test")
    return (
        challenge.settlement is None
        and window.name not in alone
        and window.opens <= now < window.closes
    )


def span(seconds: int) -> str:
    """A length of time in its two largest units."""
    parts = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2]) or "0s"
