"""Top k: stated shares of the pot for rank 1, 2, ... among the entries that pass.

The share of a rank that nobody fills stays with the organizer, like rounding dust: it is not
spread over the others, so that what a rank earns is known in advance.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from danku.mechanisms.definition import BadMechanismTerms, Mechanism, Passing, register
from danku.protocol.manifest import MechanismTerms

WHOLE = 10_000
"""The pot, in the unit of shares."""


def _check(terms: MechanismTerms) -> None:
    shares = terms.shares
    if not shares:
        raise BadMechanismTerms(
            "top-k needs shares, found none",
            fix="state parts per 10,000 of the pot for each rank, such as shares = [6000, 4000]",
        )
    if min(shares) < 1 or sum(shares) > WHOLE:
        raise BadMechanismTerms(
            f"the shares {list(shares)} add up to {sum(shares)}",
            why=f"each must be at least 1, together at most {WHOLE} (the whole pot)",
        )
    if any(first < second for first, second in pairwise(shares)):
        raise BadMechanismTerms(
            f"the shares {list(shares)} rise with the rank",
            why="a better rank must never earn less, or it would pay to score worse",
            fix="sort them from the largest to the smallest",
        )


def _divide(terms: MechanismTerms, passing: Sequence[Passing], pot: int) -> dict[int, int]:
    return {
        entry.submission: pot * share // WHOLE
        for entry, share in zip(passing, terms.shares, strict=False)
    }


register(
    Mechanism(
        name="top-k",
        meaning="Each rank among the entries that pass gets its stated share of the pot.",
        check=_check,
        divide=_divide,
    )
)
