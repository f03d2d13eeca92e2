"""What a log says came of an action, against what the rules make of it."""

from __future__ import annotations

from typing import Any

from danku.ledger.ethereum.decoding import KINDS, Read
from danku.ledger.ethereum.errors import NodeContradicts
from danku.ledger.ethereum.history import Accepted, History
from danku.protocol.actions import Submit
from danku.protocol.state import State
from danku.protocol.types import ZERO_DIGEST


def check_outcome(found: Read, told: Accepted, before: State, after: History) -> None:
    """Compare, right after an action was applied.

    Raises:
        NodeContradicts: the contract and the rules do not agree, so what was told is not all true.
    """
    expected = _expected(told, before, after)
    for name, value in found.came.items():
        if name in expected and expected[name] != value:
            raise NodeContradicts(
                f"log {told.index} of block {told.block}: {name} is {value} by the node, "
                f"{expected[name]} by the rules",
                why="the node lies or leaves logs out, or the contract is not danku's",
            )


def _expected(told: Accepted, before: State, after: History) -> dict[str, Any]:
    identity = after.about(told)
    expected: dict[str, Any] = {"id": identity}
    expected["withdrawn"] = before.credits.get(told.sender, 0)
    challenge = after.state.challenges.get(identity or "")
    if challenge is None:
        return expected
    if isinstance(told.action, Submit):
        expected["number"] = len(challenge.submissions) - 1
    expected["seed"] = challenge.seed
    if challenge.settlement is not None:
        expected["kind"] = KINDS.index(challenge.settlement.kind)
        expected["link"] = challenge.settlement.link or ZERO_DIGEST
    return expected
