"""Reading what nodes write: numbers, bytes, digests and addresses as hex, checked for form."""

from __future__ import annotations

import re
from typing import Any

from danku.ledger.ethereum.errors import NetworkError

_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,64}")
_BYTES = re.compile(r"0x(?:[0-9a-fA-F]{2})*")
_DIGEST = re.compile(r"0x[0-9a-fA-F]{64}")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


SMALL = 2**48
"""Block numbers, times and places are less."""


def quantity(value: Any, what: str, limit: int = 2**256) -> int:
    """A whole number, 0 <= number < limit.

    Raises:
        NetworkError: it is none.
    """
    number = int(_matching(value, _QUANTITY, what), 16)
    if number >= limit:
        raise malformed(f"{what} is {limit} or more")
    return number


def octets(value: Any, what: str) -> bytes:
    """Bytes of any number.

    Raises:
        NetworkError: they are none.
    """
    return bytes.fromhex(_matching(value, _BYTES, what)[2:])


def digest(value: Any, what: str) -> str:
    """32 bytes as lower-case hex.

    Raises:
        NetworkError: they are none.
    """
    return _matching(value, _DIGEST, what).lower()


def address(value: Any, what: str) -> str:
    """20 bytes as lower-case hex.

    Raises:
        NetworkError: they are none.
    """
    return _matching(value, _ADDRESS, what).lower()


def field(value: Any, name: str) -> Any:
    """A member of an object; None if it is missing.

    Raises:
        NetworkError: no object.
    """
    if not isinstance(value, dict):
        raise malformed(f"what should hold {name}")
    return value.get(name)


def malformed(what: str) -> NetworkError:
    """The error of an answer that does not have the form it must have."""
    return NetworkError(
        f"the node's answer is malformed: {what}",
        why="it is broken, or no Ethereum node",
        fix="ask another node: danku network add",
    )


def _matching(value: Any, pattern: re.Pattern[str], what: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise malformed(what)
    return value
