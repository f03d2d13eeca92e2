"""The exact probabilities of what a committee of staked seats decides.

A dishonest group holds ``bad`` of ``seats`` seats, and all of it votes alike. A committee of
``size`` seats is drawn without replacement, so the number of its bad seats is hypergeometric; a
second committee is drawn from the seats that are left. Two thirds of a committee decide.
"""

from __future__ import annotations

from fractions import Fraction
from math import comb
from typing import NamedTuple


class Chances(NamedTuple):
    """Of the right result, of the dishonest group's result, and of none."""

    right: Fraction
    captured: Fraction
    none: Fraction


def quorum(size: int) -> int:
    """The least number of seats that are two thirds of a committee."""
    return -(-2 * size // 3)


def hypergeometric(seats: int, bad: int, size: int) -> list[Fraction]:
    """The probability of each number of bad seats, 0 to ``size``, in a committee."""
    total = comb(seats, size)
    return [Fraction(comb(bad, k) * comb(seats - bad, size - k), total) for k in range(size + 1)]


def chances(seats: int, bad: int, size: int, *, votes_alike: bool = True) -> Chances:
    """What two rounds decide, where everybody else votes for the right result.

    Args:
        votes_alike: whether the bad seats agree on another result; else they never decide anything.
    """
    needed = quorum(size)
    right = captured = Fraction(0)
    for first, probability in enumerate(hypergeometric(seats, bad, size)):
        if not probability:
            continue
        if size - first >= needed:
            right += probability
        elif first >= needed and votes_alike:
            captured += probability
        else:
            for second, conditional in enumerate(hypergeometric(seats - size, bad - first, size)):
                if size - second >= needed:
                    right += probability * conditional
                elif second >= needed and votes_alike:
                    captured += probability * conditional
    return Chances(right, captured, 1 - right - captured)
