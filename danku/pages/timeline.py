"""A challenge's five stages as a timeline: what is over, what goes on, what comes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from danku.pages.facts import Facts
from danku.roles.stages import STAGES, Window, WindowState, span, window_state


@dataclass(frozen=True)
class Part:
    """One window, as it looks now."""

    name: str
    who: str
    closes: int
    state: WindowState
    ends: str = "until"
    """What ``closes`` is; nothing where it does not matter."""


@dataclass(frozen=True)
class Stage:
    """One of the five stages."""

    name: str
    state: WindowState
    said: str
    percent: str
    """How much of its time is over."""
    steps: tuple[Part, ...]


def timeline(facts: Facts) -> list[Stage]:
    """The five stages in order; of a settled challenge none goes on."""
    stages = []
    for name, group in groupby(facts.calendar, key=lambda window: window.stage):
        windows = list(group)
        opens, closes = windows[0].opens, windows[-1].closes
        stages.append(_stage(facts, name, opens, closes, windows))
    return [*stages, _finalization(facts)]


def _stage(facts: Facts, name: str, opens: int, closes: int, windows: list[Window]) -> Stage:
    settled = facts.challenge.settlement
    now = min(facts.now, settled.time) if settled else facts.now
    ended = settled is not None or facts.board.stage in STAGES[STAGES.index(name) + 1 :]
    state: WindowState = "current" if facts.board.stage == name else "done" if ended else "ahead"
    if settled and settled.time < opens:
        state = "missed"
    steps = tuple(
        Part(window.name, window.who, window.closes, window_state(facts.challenge, window, now))
        for window in windows
    )
    part = 1.0 if state == "done" else min(max((now - opens) / (closes - opens), 0.0), 1.0)
    part = 0.0 if state in ("ahead", "missed") else part
    words = {"done": "over", "missed": "did not take place", "ahead": f"in {span(opens - now)}"}
    said = f"{span(closes - now)} left" if closes > now else "time is up"
    return Stage(name, state, words.get(state, said), f"{100 * part:.1f}", steps)


def _finalization(facts: Facts) -> Stage:
    settled, challenge = facts.challenge.settlement, facts.challenge
    state: WindowState = (
        "done" if settled else "current" if facts.board.stage == STAGES[4] else "ahead"
    )
    closes = settled.time if settled else challenge.windows.second_open_vote
    said = "settled" if settled else "anyone can settle it" if state == "current" else "not yet"
    done = settled is not None and settled.claimed + settled.deposits_claimed > 0
    steps = (
        Part("finalize", "anyone", closes, "done" if settled else state, "at" if settled else ""),
        Part("claim", "whoever is owed, without a deadline", closes, _claimed(done), ""),
    )
    return Stage(STAGES[4], state, said, "100" if settled else "0", steps)


def _claimed(done: bool) -> WindowState:
    return "done" if done else "ahead"


def next_step(facts: Facts) -> str:
    """What the challenge waits for, in a few words."""
    settled = facts.challenge.settlement
    if settled is not None:
        return f"settled: {settled.kind.replace('-', ' ')}"
    for window in facts.calendar:
        if window.stage == facts.board.stage and facts.now < window.closes:
            return f"{window.name.replace('_', ' ')}: {span(window.closes - facts.now)} left"
    if facts.board.stage == STAGES[3]:
        return "the committee votes once more"
    return "anyone can settle it"
