"""A small picture for an address, so that the same one is recognised again; the script draws the
same (`browser/src/icon.js`)."""

from __future__ import annotations

from danku.crypto.hashing import from_hex, keccak
from danku.protocol.types import Address

ROWS, COLUMNS = 5, 3


def icon(address: Address) -> tuple[int, str]:
    """Hue in degrees, and the path of the filled squares of a mirrored 5 x 5 grid."""
    digest = keccak(from_hex(address))
    bits = int.from_bytes(digest[2:4], "big")
    path = ""
    for place in range(ROWS * COLUMNS):
        if bits >> place & 1:
            row, column = divmod(place, COLUMNS)
            for x in sorted({column, 2 * (COLUMNS - 1) - column}):
                path += f"M{x} {row}h1v1h-1z"
    return int.from_bytes(digest[:2], "big") % 360, path
