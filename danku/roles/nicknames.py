"""Readable names for addresses, in a file of whoever wants to read them; no part of any record."""

from __future__ import annotations

import tomllib
from pathlib import Path

from danku.errors import DataError
from danku.protocol.types import Address

LETTERS = 100


class NicknamesBroken(DataError):
    """The file of names cannot be read."""


def read_nicknames(path: Path) -> dict[Address, str]:
    """Names by address, from TOML lines such as ``"0x…" = "Ada"``.

    Raises:
        NicknamesBroken: it is missing, no TOML, or holds anything else.
    """
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _broken(path, str(error)) from None
    for address, name in found.items():
        if not _is_address(address):
            raise _broken(path, f"{address[:80]!r} is no address")
        if not isinstance(name, str) or not 0 < len(name) <= LETTERS:
            raise _broken(path, f"the name of {address} is no text of 1 to {LETTERS} letters")
    return {address.lower(): name for address, name in found.items()}


def _is_address(text: str) -> bool:
    digits = text.lower().removeprefix("0x")
    return len(text) == 42 and len(digits) == 40 and set(digits) <= set("0123456789abcdef")


def _broken(path: Path, why: str) -> NicknamesBroken:
    return NicknamesBroken(
        f"{path} is no file of names", why=why, fix='a line of it reads "0x…" = "Ada"'
    )
