"""What a mechanism is: a pure function that divides the pot among the entries that pass.

A mechanism is one file in this folder: it builds a `Mechanism` and registers it. All of them share
these rules, which `prizes` enforces around them:

- Only entries whose score passes the threshold are paid; an equal score passes.
- Amounts are whole units. Rounding dust and whatever nobody earned stays with the organizer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from danku.errors import DankuError, DataError
from danku.protocol.manifest import MechanismTerms
from danku.protocol.types import AMOUNT_LIMIT


class UnknownMechanism(DataError):
    """No mechanism has this name."""


class BadMechanismTerms(DataError):
    """The parameters do not fit the mechanism."""


class BadRanking(DataError):
    """A ranking that is not best first, or lists a submission twice."""


class BadPot(DataError):
    """A pot that is negative or too large."""


class MechanismBroken(DankuError):
    """A mechanism paid too much, a negative amount, or somebody who did not pass."""


@dataclass(frozen=True)
class Ranked:
    """One line of the ranking: a submission's number and its score in units of 1e-9."""

    submission: int
    score: int


@dataclass(frozen=True)
class Passing:
    """An entry that passed, and by how much: its distance to the threshold in units of 1e-9."""

    submission: int
    margin: int


@dataclass(frozen=True)
class Mechanism:
    """One way to divide a pot."""

    name: str
    meaning: str
    """One sentence."""
    check: Callable[[MechanismTerms], None]
    """Raises BadMechanismTerms if the parameters do not fit."""
    divide: Callable[[MechanismTerms, Sequence[Passing], int], dict[int, int]]
    """(terms, passing entries best first, at least one; pot) -> amount by submission number."""


MECHANISMS: dict[str, Mechanism] = {}
"""Every registered mechanism by name, in the order of the files' names."""


def register(mechanism: Mechanism) -> None:
    """Make a mechanism known; called once by the file that defines it."""
    if mechanism.name in MECHANISMS:
        raise MechanismBroken(
            f"two mechanisms are named {mechanism.name!r}", fix="give one of them another name"
        )
    MECHANISMS[mechanism.name] = mechanism


def mechanism(name: str) -> Mechanism:
    """The mechanism of this name.

    Raises:
        UnknownMechanism: there is none; the error lists all names.
    """
    if name not in MECHANISMS:
        raise UnknownMechanism(
            f"there is no mechanism {name!r}", fix=f"use one of {', '.join(MECHANISMS)}"
        )
    return MECHANISMS[name]


def check_terms(terms: MechanismTerms) -> None:
    """Refuse a mechanism that does not exist or parameters that do not fit it.

    Raises:
        UnknownMechanism, BadMechanismTerms.
    """
    mechanism(terms.name).check(terms)


def refuse_shares(terms: MechanismTerms) -> None:
    """The check of a mechanism that has no parameters."""
    if terms.shares:
        raise BadMechanismTerms(
            f"{terms.name} takes no shares, found {list(terms.shares)}",
            why="they would be ignored, and submitters would expect them to be paid",
            fix="leave `shares` out, or use the mechanism top-k",
        )


def prizes(
    terms: MechanismTerms,
    ranking: Sequence[Ranked],
    pot: int,
    threshold: int,
    higher_is_better: bool,
) -> dict[int, int]:
    """What each submission wins, by its number; best first, no zero amounts.

    Args:
        terms: the mechanism and its parameters.
        ranking: the ranked submissions, best first; of equal scores the earlier one stands first.
        pot: what there is to win; the sum of the prizes is at most the pot.
        threshold: in units of 1e-9, like the scores.
        higher_is_better: the metric's direction.

    Raises:
        UnknownMechanism, BadMechanismTerms, BadRanking, BadPot.
    """
    check_terms(terms)
    if not 0 <= pot < AMOUNT_LIMIT:
        raise BadPot(f"the pot must lie in 0..{AMOUNT_LIMIT - 1}, found {pot}")
    sign = 1 if higher_is_better else -1
    margins = [
        Passing(entry.submission, sign * (int(entry.score) - int(threshold))) for entry in ranking
    ]
    if any(first.margin < second.margin for first, second in pairwise(margins)):
        raise BadRanking("the ranking is not in the order of the scores, best first")
    if len({entry.submission for entry in margins}) < len(margins):
        raise BadRanking("the ranking lists a submission twice")
    passing = [entry for entry in margins if entry.margin >= 0]
    if not passing:
        return {}
    amounts = mechanism(terms.name).divide(terms, passing, int(pot))
    payable = {entry.submission for entry in passing}
    if (
        sum(amounts.values()) > pot
        or min(amounts.values(), default=0) < 0
        or not payable.issuperset(amounts)
    ):
        raise MechanismBroken(
            f"the mechanism {terms.name} divided a pot of {pot} into {amounts}",
            why="prizes are never negative, only for entries that pass, and at most the pot",
        )
    return {
        entry.submission: amounts[entry.submission]
        for entry in passing
        if amounts.get(entry.submission, 0) > 0
    }
