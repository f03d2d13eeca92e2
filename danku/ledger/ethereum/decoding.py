"""From a contract's log to the action that it accepted.

Only the ABI is decoded here, and every value checked against its protocol type; whether the action
was allowed, the rules decide. What a log says besides the action is what must have come of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from danku.crypto.hashing import from_hex, to_hex
from danku.errors import DataError
from danku.ledger.ethereum.artifact import Signature, events
from danku.ledger.ethereum.errors import NodeContradicts
from danku.ledger.ethereum.logs import Log
from danku.protocol import actions as a
from danku.protocol.records import convert
from danku.protocol.state import SettlementKind
from danku.protocol.terms import SEED_SOURCES, Reward, Schedule
from danku.protocol.types import ZERO_DIGEST, Address, Digest

KINDS: tuple[SettlementKind, ...] = (
    *("decided", "nothing-opened", "no-quorum", "no-train"),
    *("no-seed", "few-contributions", "cancelled"),
)
"""Settlements as the contract numbers them."""


@dataclass(frozen=True)
class Read:
    """What one log tells."""

    sender: Address
    action: a.Action
    beacon: Digest | None
    """The public randomness that the contract saw; for `create`, that there will be some."""
    beacon_block: int
    """Whose hash will be the beacon; 0 for all but `create`."""
    came: dict[str, Any]
    """What must have come of the action, by name."""


Fields = dict[str, Any]


def read(log: Log) -> Read:
    """The action that a log tells of.

    Raises:
        NodeContradicts: the contract cannot have logged it.
    """
    where = f"log {log.index} of block {log.block}"
    signature = events().get(log.topics[0]) if log.topics else None
    if signature is None or signature.name not in _ACTIONS:
        raise NodeContradicts(f"{where} is none of the contract's events")
    try:
        fields = _fields(signature, log)
        plain = _ACTIONS[signature.name](fields)
        action: a.Action = convert(plain, a.Action, where)  # type: ignore[arg-type]
    except (DataError, ValueError, KeyError, IndexError) as error:
        raise NodeContradicts(f"{where} is no {signature.name} of the contract: {error}") from None
    created = isinstance(action, a.Create)
    return Read(
        sender=fields["sender"],
        action=action,
        beacon=ZERO_DIGEST if created else fields.get("beacon"),
        beacon_block=fields["beacon_block"] if created else 0,
        came={name: fields[name] for name in ("seed", "number", "kind", "link") if name in fields}
        | ({"id": fields["challenge"]} if created else {})
        | ({"withdrawn": fields["amount"]} if isinstance(action, a.Withdraw) else {}),
    )


def _fields(signature: Signature, log: Log) -> Fields:
    """A log's values by name: integers, hex text, strings, and tuples of these.

    Raises:
        DataError, ValueError: they do not fit the event.
    """
    from eth_abi.abi import decode
    from eth_abi.exceptions import DecodingError

    indexed = [place for place, is_ in enumerate(signature.indexed) if is_]
    plain = [place for place, is_ in enumerate(signature.indexed) if not is_]
    if len(log.topics) != 1 + len(indexed):
        raise ValueError("it has other topics")
    fields: Fields = {}
    try:
        for place, topic in zip(indexed, log.topics[1:], strict=True):
            [value] = decode([signature.types[place]], from_hex(topic))
            fields[signature.inputs[place]] = _plain(value)
        values = decode([signature.types[place] for place in plain], log.data)
    except (DecodingError, UnicodeDecodeError, OverflowError) as error:
        raise ValueError(f"its data is malformed ({type(error).__name__})") from None
    for place, value in zip(plain, values, strict=True):
        fields[signature.inputs[place]] = _plain(value)
    return fields


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return to_hex(value)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value


def _terms(values: list[Any]) -> Fields:
    """Terms as records have them, from the contract's struct."""
    numbers = iter(values)
    data_root, groups, test_groups, source, least = (next(numbers) for _ in range(5))
    schedule = {name: next(numbers) for name in Schedule.__struct_fields__}
    reward = {
        name: next(numbers) if name.startswith("max_") else str(next(numbers))
        for name in Reward.__struct_fields__
    }
    kind, members, seats, minority, silence, manifest = numbers
    named = {"kind": "named", "members": members}
    staked = {"kind": "seats", "seats": seats, "minority_share": minority, "silence_share": silence}
    return {
        "manifest": manifest,
        "data_root": data_root,
        "groups": groups,
        "test_groups": test_groups,
        "seed_source": SEED_SOURCES[source],
        "min_contributions": least,
        "schedule": schedule,
        "reward": reward,
        "panel": named if kind == 0 else staked,
    }


def _ballot(values: list[Any]) -> Fields:
    outcome, result, root, total, winner, score = values
    return {
        "outcome": a.OUTCOMES[outcome],
        "result": result,
        "payout_root": root,
        "payout_total": str(total),
        "winner": winner,
        "score": str(score),
    }


def _same(kind: str, **renamed: str) -> Callable[[Fields], Fields]:
    """An action whose parts the event has under their own or other names."""

    def build(fields: Fields) -> Fields:
        parts = {ours: fields[theirs] for ours, theirs in renamed.items()}
        return {"kind": kind, **({"challenge": fields["challenge"]} | parts)}

    return build


def _alone(kind: str, *names: str) -> Callable[[Fields], Fields]:
    """An action that is about no challenge."""
    return lambda fields: {"kind": kind, **{name: fields[name] for name in names}}


def _create(fields: Fields) -> Fields:
    return {
        "kind": "create",
        "terms": _terms(fields["terms"]),
        "manifest": fields["manifest"],
        "seed_commitment": fields["seed_commitment"],
        "nonce": fields["nonce"],
    }


def _open_vote(fields: Fields) -> Fields:
    plain = _same("open_vote", salt="salt", cid="cid")(fields)
    return {**plain, "ballot": _ballot(fields["ballot"])}


def _claim(fields: Fields) -> Fields:
    plain = _same("claim", index="index", payee="payee", proof="proof")(fields)
    return {**plain, "amount": str(fields["amount"])}


_ACTIONS: dict[str, Callable[[Fields], Fields]] = {
    "Created": _create,
    "Contributed": _same("contribute", commitment="commitment"),
    "SeedOpened": _same("open_seed", secret="secret"),
    "Drawn": _same("draw"),
    "TrainRevealed": _same("reveal_train", bundle="bundle"),
    "Submitted": _same("submit", commitment="commitment"),
    "Opened": _same("open", submission="number", model="model", cid="cid", salt="salt"),
    "TestRevealed": _same("reveal_test", bundle="bundle"),
    "Convened": _same("convene"),
    "Voted": _same("vote", commitment="commitment"),
    "VoteOpened": _open_vote,
    "Finalized": _same("finalize"),
    "Cancelled": _same("cancel"),
    "Claimed": _claim,
    "DepositClaimed": _same("claim_deposit", submission="number"),
    "Withdrawn": _alone("withdraw"),
    "Joined": _alone("join", "seats", "held"),
    "Left": _alone("leave", "seats"),
    "Unstaked": _alone("unstake", "seats"),
}
