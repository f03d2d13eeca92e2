"""What a contract may answer besides the rules of the protocol, and how its answers are told apart.

A contract refuses with the four bytes of ``Name()``, for a rule of `danku.protocol.errors` as for
one of these.
"""

from __future__ import annotations

from danku.crypto.hashing import keccak
from danku.protocol.errors import RULES

CONTRACT_RULES = {
    "Malformed": "an action's values keep the bounds of its record",
    "PayeeRefused": "money is sent to payees that take it",
    "WrongWitness": "what is handed over with an action fits what the contract keeps the hash of",
}

INDISTINGUISHABLE = {
    ("open_vote", "NotOnCommittee"): "NotVoted",
}
"""(Action, rule) and what the contract names instead: it keeps a vote by its voter alone."""


def selector(rule: str) -> bytes:
    """The four bytes by which a contract names a rule."""
    return keccak(f"{rule}()".encode("ascii"))[:4]


SELECTORS = {selector(rule): rule for rule in (*RULES, *CONTRACT_RULES)}
"""Rules by the bytes that name them."""
