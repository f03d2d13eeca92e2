"""The scalar types of records: decimal-string amounts, lower-case hex ids, CIDs."""

from __future__ import annotations

from typing import Annotated

import msgspec

Address = Annotated[str, msgspec.Meta(pattern=r"\A0x[0-9a-f]{40}\Z")]
Digest = Annotated[str, msgspec.Meta(pattern=r"\A0x[0-9a-f]{64}\Z")]
Cid = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9]{46,80}\Z")]

ZERO_DIGEST = "0x" + "00" * 32
ZERO_ADDRESS = "0x" + "00" * 20
BURN_ADDRESS = "0x000000000000000000000000000000000000dead"

AMOUNT_LIMIT = 2**96
SCORE_LIMIT = 2**63
SCORE_UNIT = 10**9


class Amount(int):
    """Money in the ledger's smallest unit, 0 <= amount < 2**96; a decimal string in records."""


class Score(int):
    """A score in units of 1e-9, |score| < 2**63; a decimal string in records."""


def decimal(units: int) -> str:
    """A score in units of 1e-9 as a decimal number with nine places."""
    sign, size = ("-" if units < 0 else ""), abs(units)
    return f"{sign}{size // SCORE_UNIT}.{size % SCORE_UNIT:09d}"
