"""Canonical records: RFC 8785 JSON bytes to typed structs and back, with nothing lost between.

Decoding is strict: unknown keys, wrong types, values out of bounds and any bytes that are not
the canonical form of what they say are refused, so that a record has one spelling and one digest.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec
import rfc8785

from danku.errors import DataError
from danku.protocol.types import AMOUNT_LIMIT, SCORE_LIMIT, Amount, Score

T = TypeVar("T")

_SCALARS: dict[type, tuple[re.Pattern[str], int]] = {
    Amount: (re.compile(r"0|[1-9][0-9]{0,28}"), AMOUNT_LIMIT),
    Score: (re.compile(r"0|-?[1-9][0-9]{0,18}"), SCORE_LIMIT),
}


def decode_scalar(expected: type[Any], value: Any) -> Any:
    """Read an `Amount` or a `Score` from its decimal string.

    Raises:
        ValueError: not the shortest decimal spelling, or out of bounds.
    """
    if expected in _SCALARS and isinstance(value, str):
        spelling, limit = _SCALARS[expected]
        if spelling.fullmatch(value) and abs(int(value)) < limit:
            return expected(value)
    raise ValueError(f"expected a whole number as a decimal string in bounds, found {value!r}")


def _encode_scalar(value: Any) -> str:
    if type(value) not in _SCALARS:
        raise TypeError(f"a record does not hold a {type(value).__name__}")
    return str(int(value))


def plain(record: Any) -> Any:
    """The record as dicts, lists, strings, booleans and small integers.

    Raises:
        TypeError: a value of a type that records do not hold.
    """
    return msgspec.to_builtins(record, enc_hook=_encode_scalar)


def encode(record: Any) -> bytes:
    """The record's canonical bytes (RFC 8785); whether they can be read back, reading them tells.

    Raises:
        DataError: canonical JSON cannot hold a value, such as an integer beyond 2**53.
    """
    try:
        return rfc8785.dumps(plain(record))
    except (ValueError, TypeError) as error:
        raise DataError(f"a {type(record).__name__} record is malformed: {error}") from None


def convert(value: Any, expected: type[T], what: str) -> T:
    """Read plain dicts and lists as a typed record.

    Raises:
        DataError: the value does not have the shape of ``expected``.
    """
    try:
        return msgspec.convert(value, expected, dec_hook=decode_scalar)
    except msgspec.ValidationError as error:
        raise DataError(f"{what} is malformed: {error}") from None


def decode(data: bytes, expected: type[T], what: str) -> T:
    """Read canonical bytes as a typed record.

    Raises:
        DataError: not JSON, not of the expected shape, or not in canonical form.
    """
    try:
        record = msgspec.json.decode(data, type=expected, dec_hook=decode_scalar)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{what} is malformed: {error}") from None
    try:
        canonical = encode(record)
    except DataError as error:
        raise DataError(f"{what} has no canonical form", why=error.what) from None
    if canonical != data:
        raise DataError(
            f"{what} is not in canonical form",
            why="a record has exactly one spelling (RFC 8785), so that it has one digest",
        )
    return record
