"""Where a challenge stands: DanKu's five stages, and the windows in them."""

from __future__ import annotations

from dataclasses import dataclass

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
