"""Proportional: each entry that passes gets a part of the pot in proportion to its margin.

The margin is the distance of the score to the threshold. An entry exactly on the threshold has none
and gets nothing, unless all that pass are exactly there: then they share equally.
"""

from __future__ import annotations

from collections.abc import Sequence

from danku.mechanisms.definition import Mechanism, Passing, refuse_shares, register
from danku.protocol.manifest import MechanismTerms


def _divide(terms: MechanismTerms, passing: Sequence[Passing], pot: int) -> dict[int, int]:
    margins = sum(entry.margin for entry in passing)
    if margins == 0:
        return {entry.submission: pot // len(passing) for entry in passing}
    return {entry.submission: pot * entry.margin // margins for entry in passing}


register(
    Mechanism(
        name="proportional",
        meaning="Each entry that passes gets a part of the pot in proportion to its margin over "
        "the threshold.",
        check=refuse_shares,
        divide=_divide,
    )
)
