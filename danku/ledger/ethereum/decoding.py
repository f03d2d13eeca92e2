"""From a contract's log to what it tells; every value is checked against its protocol type.

Whether the action was allowed, the rules decide. What a log says besides the action is what must
have come of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from danku.crypto.hashing import from_hex, to_hex
from danku.errors import DataError
from danku.ledger.ethereum.artifact import Signature, events
from danku.ledger.ethereum.errors import NodeContradicts
from danku.ledger.ethereum.events import Told, told
from danku.ledger.ethereum.logs import Log
from danku.protocol.actions import Action, Create, Withdraw
from danku.protocol.records import convert, plain
from danku.protocol.state import SettlementKind

KINDS: tuple[SettlementKind, ...] = (
    *("decided", "nothing-opened", "no-quorum", "no-train"),
    *("no-seed", "few-contributions", "cancelled"),
)
"""Settlements as the contract numbers them."""
_OUTCOMES = ("seed", "number", "kind", "link")


@dataclass(frozen=True)
class Read:
    """What one log tells."""

    told: Told
    action: Action
    """What ``told`` holds, checked."""
    came: dict[str, Any]
    """What must have come of the action, by name."""


def read(log: Log) -> Read:
    """The action that a log tells of.

    Raises:
        NodeContradicts: the contract cannot have logged it.
    """
    where = f"log {log.index} of block {log.block}"
    signature = events().get(log.topics[0]) if log.topics else None
    if signature is None:
        raise NodeContradicts(f"{where} is none of the contract's events")
    try:
        fields = _fields(signature, log)
        found = told(signature.name, fields)
        action: Action = convert(plain(found.action), Action, where)  # type: ignore[arg-type]
    except (DataError, ValueError, LookupError, TypeError) as error:
        raise NodeContradicts(f"{where} is no {signature.name} of the contract: {error}") from None
    came = {name: fields[name] for name in _OUTCOMES if name in fields}
    if isinstance(action, Create):
        came["id"] = fields["challenge"]
    if isinstance(action, Withdraw):
        came["withdrawn"] = fields["amount"]
    return Read(found, action, {name: _hex(value) for name, value in came.items()})


def _hex(value: Any) -> Any:
    return to_hex(value) if isinstance(value, bytes) else value


def _fields(signature: Signature, log: Log) -> dict[str, Any]:
    """A log's values by name.

    Raises:
        ValueError: they do not fit the event.
    """
    # NOTE: web3 would take two seconds to be imported, in every command that reads.
    from eth_abi.abi import decode
    from eth_abi.exceptions import DecodingError

    indexed = [place for place, is_ in enumerate(signature.indexed) if is_]
    others = [place for place, is_ in enumerate(signature.indexed) if not is_]
    if len(log.topics) != 1 + len(indexed):
        raise ValueError("it has other topics")
    fields: dict[str, Any] = {}
    try:
        for place, topic in zip(indexed, log.topics[1:], strict=True):
            [fields[signature.inputs[place]]] = decode([signature.types[place]], from_hex(topic))
        values = decode([signature.types[place] for place in others], log.data)
    except (DecodingError, UnicodeDecodeError, OverflowError) as error:
        raise ValueError(f"its data is malformed ({type(error).__name__})") from None
    fields.update(zip((signature.inputs[place] for place in others), values, strict=True))
    return fields
