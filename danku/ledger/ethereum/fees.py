"""What a unit of gas is offered (EIP-1559): what the chain asks for now, under the caps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median_low

from danku.ledger.ethereum.errors import FeesTooHigh
from danku.ledger.ethereum.network import GWEI, Network

HISTORY_BLOCKS = 10
"""Newest blocks whose median tips are looked at."""
DEFAULT_TIP = GWEI
"""Where the node does not tell what others tip."""

_HEADROOM = 2
"""A base fee can double in six full blocks; what is not used is not paid."""
_RAISE = (9, 8)
"""Nodes take a replacement only for a tenth more."""


@dataclass(frozen=True)
class Fees:
    """Wei for a unit of gas."""

    most: int
    """Base fee and tip together are never more."""
    tip: int


def offer(base_fee: int, tips: Sequence[int], network: Network) -> Fees:
    """What a new transaction offers.

    Raises:
        FeesTooHigh: the base fee alone is above the network's cap.
    """
    tip = min(median_low(tips) if tips else DEFAULT_TIP, network.max_tip, network.max_fee)
    if base_fee > network.max_fee:
        raise FeesTooHigh(
            f"the chain asks for {gwei(base_fee)} gwei for a unit of gas, "
            f"the cap is {network.max_fee_gwei} gwei",
            why="a fee above max_fee_gwei is never offered",
            fix="wait, or raise max_fee_gwei of the network in danku.toml",
        )
    return Fees(min(_HEADROOM * base_fee + tip, network.max_fee), tip)


def raised(before: Fees, base_fee: int, tips: Sequence[int], network: Network) -> Fees | None:
    """What takes the place of a transaction that is stuck; None where the caps forbid it."""
    least = Fees(_more(before.most), _more(before.tip))
    if least.most > network.max_fee or least.tip > network.max_tip:
        return None
    try:
        now = offer(base_fee, tips, network)
    except FeesTooHigh:
        return None
    most = max(least.most, now.most)
    return Fees(most, min(max(least.tip, now.tip), most))


def _more(wei: int) -> int:
    times, over = _RAISE
    return wei * times // over + 1


def gwei(wei: int) -> str:
    """An amount in gwei with up to three decimals."""
    return f"{wei / GWEI:.3f}".rstrip("0").rstrip(".")
