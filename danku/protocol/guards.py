"""What the rules of many actions ask first: which challenge, when, who, with how much money."""

from __future__ import annotations

from danku.protocol.errors import refuse, require
from danku.protocol.state import Challenge, Context, State
from danku.protocol.types import Digest


def find(state: State, challenge: Digest) -> Challenge:
    """The challenge with this id.

    Raises:
        Rejected: UnknownChallenge.
    """
    found = state.challenges.get(challenge)
    if found is None:
        refuse(
            "UnknownChallenge",
            f"no challenge {challenge} on this ledger",
            "danku challenge list",
        )
    return found


def ongoing(state: State, challenge: Digest) -> Challenge:
    """The challenge with this id, which must not be settled.

    Raises:
        Rejected: UnknownChallenge or Final.
    """
    found = find(state, challenge)
    require(
        found.settlement is None,
        "Final",
        f"challenge {challenge} was finalized",
        f"danku board {challenge}",
    )
    return found


def window(context: Context, start: int, end: int, what: str) -> None:
    """Refuse unless ``start`` <= the action's time < ``end``.

    Raises:
        Rejected: Early or Late.
    """
    require(
        context.time >= start,
        "Early",
        f"{what} opens at {start}, {start - context.time} s from now ({context.time})",
        "wait; danku status shows when",
    )
    require(
        context.time < end,
        "Late",
        f"{what} closed at {end}, {context.time - end} s ago ({context.time})",
        "danku status shows what can still be done",
    )


def exact_value(context: Context, expected: int, what: str) -> None:
    """Refuse unless the action carries this much money; every rule asks it last.

    Raises:
        Rejected: WrongValue.
    """
    require(
        context.value == expected,
        "WrongValue",
        f"{what} takes {expected}, found {context.value}",
        f"send exactly {expected}",
    )


def organizer_only(challenge: Challenge, context: Context) -> None:
    """Refuse everybody but the challenge's organizer.

    Raises:
        Rejected: NotOrganizer.
    """
    require(
        context.sender == challenge.organizer,
        "NotOrganizer",
        f"{context.sender} is not the organizer {challenge.organizer}",
        "use --as with the organizer's key",
    )
