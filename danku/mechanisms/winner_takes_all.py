"""Winner takes all, DanKu's own rule: the best entry that passes gets the whole pot."""

from __future__ import annotations

from collections.abc import Sequence

from danku.mechanisms.definition import Mechanism, Passing, refuse_shares, register
from danku.protocol.manifest import MechanismTerms


def _divide(terms: MechanismTerms, passing: Sequence[Passing], pot: int) -> dict[int, int]:
    return {passing[0].submission: pot}


register(
    Mechanism(
        name="winner-takes-all",
        meaning="The best entry that passes gets the whole pot.",
        check=refuse_shares,
        divide=_divide,
    )
)
