"""Records on their way into a journal, which anybody may have built with anything in them."""

from __future__ import annotations

from danku.errors import DataError
from danku.protocol import records
from danku.protocol.manifest import Record


def canonical(record: Record, what: str) -> bytes:
    """The record's canonical bytes; whether they can be read back, reading them tells.

    Raises:
        DataError: canonical JSON cannot hold a value.
    """
    try:
        return records.encode(record)
    except (ValueError, TypeError) as error:
        raise DataError(f"{what} is malformed: {error}") from None
