"""Events of the contract as the actions that they tell, for the rules to replay.

An event tells a whole action but for its time, which is the block's, and its money, which the
rules fix to the last unit (`calls.value_of`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from danku.ledger.ethereum import layout
from danku.protocol import actions as a
from danku.protocol.manifest import Record
from danku.protocol.types import ZERO_DIGEST, Address, Amount, Digest, Score

Arguments = Mapping[str, Any]
"""An event's arguments by name: bytes, integers, text, 0x addresses, tuples of them in order."""


@dataclass(frozen=True)
class Told:
    """What an event says happened."""

    sender: Address
    action: Record
    beacon: Digest | None = None
    """What the rules are to see as the ledger's public randomness."""
    beacon_block: int = 0
    """Of a created challenge: the block that its beacon comes from, or 0."""


def told(name: str, arguments: Arguments) -> Told:
    """The action that an event tells.

    Raises:
        KeyError: an event that the contract does not have.
    """
    action = _ACTIONS[name](arguments)
    beacon, block = None, 0
    if isinstance(action, a.Create):
        # NOTE: any will do, since `create` only asks whether the ledger has one.
        agreement: Any = _values(arguments["agreement"])
        beacon, block = ZERO_DIGEST, layout.beacon_block_of(agreement)
    elif isinstance(action, a.Draw):
        beacon = _hex(arguments["beacon"])
    return Told(arguments["sender"].lower(), action, beacon, block)


def _hex(word: bytes) -> Digest:
    return "0x" + bytes(word).hex()


def _values(struct: Any) -> tuple[Any, ...]:
    """A struct's values in order, whether it comes as a tuple or by names."""
    return tuple(struct.values()) if isinstance(struct, Mapping) else tuple(struct)


def _created(it: Arguments) -> a.Create:
    agreement: Any = _values(it["agreement"])
    commitment, members = _values(it["panel"])
    terms = layout.terms_of(
        agreement, members, it["data_root"], it["groups"], it["manifest_digest"]
    )
    return a.Create(terms, it["manifest"], _hex(commitment), it["nonce"])


def _opened(it: Arguments) -> a.Open:
    model, salt = _hex(it["model"]), _hex(it["salt"])
    return a.Open(_hex(it["challenge"]), it["number"], model, it["cid"], salt)


def _vote_opened(it: Arguments) -> a.OpenVote:
    words: Any = _values(it["ballot"])
    ballot = layout.ballot_of(words)
    return a.OpenVote(_hex(it["challenge"]), ballot, _hex(it["salt"]), it["cid"])


def _claimed(it: Arguments) -> a.Claim:
    proof = tuple(map(_hex, it["proof"]))
    payee, amount = it["payee"].lower(), Amount(it["amount"])
    return a.Claim(_hex(it["challenge"]), it["index"], payee, amount, proof)


_ACTIONS: dict[str, Callable[[Arguments], Record]] = {
    "Created": _created,
    "Contributed": lambda it: a.Contribute(_hex(it["challenge"]), _hex(it["commitment"])),
    "SeedOpened": lambda it: a.OpenSeed(_hex(it["challenge"]), _hex(it["secret"])),
    "Drawn": lambda it: a.Draw(_hex(it["challenge"])),
    "TrainRevealed": lambda it: a.RevealTrain(_hex(it["challenge"]), it["bundle"]),
    "Submitted": lambda it: a.Submit(_hex(it["challenge"]), _hex(it["commitment"])),
    "Reported": lambda it: a.Report(_hex(it["challenge"]), it["number"], Score(it["score"])),
    "Opened": _opened,
    "TestRevealed": lambda it: a.RevealTest(_hex(it["challenge"]), it["bundle"]),
    "Convened": lambda it: a.Convene(_hex(it["challenge"])),
    "Voted": lambda it: a.Vote(_hex(it["challenge"]), _hex(it["commitment"])),
    "VoteOpened": _vote_opened,
    "Finalized": lambda it: a.Finalize(_hex(it["challenge"])),
    "Cancelled": lambda it: a.Cancel(_hex(it["challenge"])),
    "Claimed": _claimed,
    "DepositClaimed": lambda it: a.ClaimDeposit(_hex(it["challenge"]), it["number"]),
    "Withdrawn": lambda it: a.Withdraw(),
    "Joined": lambda it: a.Join(it["seats"], it["held"]),
    "Left": lambda it: a.Leave(tuple(it["seats"])),
    "Unstaked": lambda it: a.Unstake(tuple(it["seats"])),
}
