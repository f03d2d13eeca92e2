"""What goes to the contract and what it must keep, as bytes and words; it knows no node."""

from __future__ import annotations

from functools import cache
from typing import Any

from eth_abi import encode

from danku.crypto.hashing import keccak
from danku.ledger.ethereum import calls, layout
from danku.ledger.ethereum.artifact import Artifact, Signature, interface
from danku.ledger.ethereum.decoding import KINDS, Read
from danku.ledger.ethereum.history import Accepted
from danku.ledger.ethereum.logs import Log
from danku.ledger.ethereum.refusals import INDISTINGUISHABLE
from danku.protocol import actions as a
from danku.protocol.committee import convened
from danku.protocol.state import Challenge, Context, Registry
from danku.protocol.types import Amount
from tests.ethereum.wire import Request
from tests.protocol.simulator import LEDGER

GAS = 16_000_000
_AGREEMENT = "(uint256,uint256,uint256,uint256,uint256,bytes32)"


@cache
def _functions() -> dict[str, Signature]:
    return Artifact(tuple(interface()), b"", b"").functions


def same_rule(action: a.Action, rule: str) -> str:
    """The name by which the contract knows a refusal."""
    return INDISTINGUISHABLE.get((a.kind_of(action), rule), rule)


@cache
def witnessed() -> set[bytes]:
    """The selectors of functions to which an agreement is handed over."""
    return {each.topic[:4] for each in _functions().values() if each.types[1:2] == (_AGREEMENT,)}


def encoded(call: calls.Call) -> str:
    """A call's bytes as hex."""
    signature = _functions()[call.function]
    return "0x" + (signature.topic[:4] + encode(signature.types, call.arguments)).hex()


def request_of(sender: str, data: str, value: int, to: str = LEDGER) -> dict[str, str]:
    """A transaction whose gas is free."""
    asked = {"from": sender, "to": to, "value": hex(value), "data": data}
    return {**asked, "gas": hex(GAS), "gasPrice": "0x0"}


def slot_of(place: int) -> Request:
    """Asks for a word of the contract's storage."""
    return "eth_getStorageAt", (LEDGER, hex(place), "latest")


def log_of(plain: dict[str, Any]) -> Log:
    """A log of a receipt."""
    return Log(
        block=int(plain["blockNumber"], 16),
        block_hash=plain["blockHash"],
        index=int(plain["logIndex"], 16),
        transaction=plain["transactionHash"],
        topics=tuple(plain["topics"]),
        data=bytes.fromhex(plain["data"][2:]),
    )


def accepted_of(found: Read, log: dict[str, Any], time: int, seen: Context) -> Accepted:
    """What a client's history takes of a log."""
    return Accepted(
        block=int(log["blockNumber"], 16),
        block_hash=log["blockHash"],
        time=time,
        index=0,
        transaction=log["transactionHash"],
        sender=found.told.sender,
        action=found.action,
        value=Amount(seen.value),
        beacon=found.told.beacon,
        beacon_block=found.told.beacon_block,
        log=log["topics"][0],
    )


def registry_word(registry: Registry) -> int:
    """The registry's word in storage."""
    emptied = registry.free[-1] + 1 if registry.free else 0
    used = len(registry.seats) - len(registry.free)
    return (
        registry.version
        | len(registry.seats) << 48
        | used << 72
        | registry.active << 96
        | emptied << 120
        | registry.staked << 144
    )


def challenge_words(challenge: Challenge, beacon_block: int) -> tuple[int, int]:
    """The words `status` and `records` of a challenge."""
    settlement = challenge.settlement
    entered = len(challenge.submissions) << 32
    if settlement is None:
        record = keccak(encode([_AGREEMENT], [layout.agreement(challenge, beacon_block)]))
        contributed = sum(1 for each in challenge.contributions if each.secret is not None)
        status = (
            (challenge.seed is not None) << 4
            | (challenge.train is not None) << 5
            | (challenge.test is not None) << 6
            | (challenge.seed_secret is not None) << 7
            | convened(challenge, 1) << 8
            | convened(challenge, 2) << 9
            | len(challenge.contributions) << 16
            | contributed << 24
            | entered
            | challenge.opened << 56
            | (challenge.pool.eligible if challenge.pool else 0) << 80
        )
        return status, int.from_bytes(record, "big")
    status = 1 | KINDS.index(settlement.kind) << 1 | entered | challenge.escrow << 64
    ballot = settlement.ballot
    if ballot is None:
        return status | settlement.deposit << 160, 1
    status |= (settlement.claimed & 2**96 - 1) << 160 | (ballot.payout_total > 0) << 4
    return status, int(ballot.payout_root, 16) or 1
