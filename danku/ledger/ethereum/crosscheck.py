"""What a contract keeps of a challenge, against what its history leads to, before money is sent.

A node that leaves logs out, or is behind with them, is found here before anything is signed.
"""

from __future__ import annotations

from danku.crypto.hashing import from_hex, keccak
from danku.ledger.ethereum import layout
from danku.ledger.ethereum.chain import Chain
from danku.ledger.ethereum.errors import NodeContradicts
from danku.ledger.ethereum.history import History
from danku.ledger.ethereum.words import malformed
from danku.protocol.actions import Action, Create, Withdraw
from danku.protocol.draw import challenge_id
from danku.protocol.state import Challenge
from danku.protocol.types import Address, Digest

_WORD = 32
# contracts/layout.vy
_DRAWN, _TRAIN, _TEST, _SUBMISSIONS, _OPENED, _COUNT = 4, 5, 6, 32, 56, 2**24 - 1


def crosscheck(action: Action, sender: Address, history: History, chain: Chain, block: int) -> None:
    """Compare what an action is about, at a block up to which the history goes.

    Raises:
        NodeContradicts: the node's logs and its state do not agree.
    """
    contract = history.state.ledger
    if isinstance(action, Withdraw):
        known = history.state.credits.get(sender, 0)
        _agree(
            f"credit of {sender}", _ask(chain, contract, "credit(address)", sender, block), known
        )
        return
    identity = _about(action, sender, history)
    if identity is None:
        return
    record = _ask(chain, contract, "records(bytes32)", identity, block)
    status = _ask(chain, contract, "status(bytes32)", identity, block)
    challenge = history.state.challenges.get(identity)
    if challenge is None:
        _agree(f"record of {identity}", record, 0)
        return
    _agree(f"whether {identity} is final", status & 1, int(challenge.settlement is not None))
    _agree(
        f"submissions to {identity}",
        status >> _SUBMISSIONS & _COUNT,
        len(challenge.submissions),
    )
    if challenge.settlement is None:
        _agree_ongoing(challenge, history.beacon_blocks[identity], record, status)


def _agree_ongoing(challenge: Challenge, beacon_block: int, record: int, status: int) -> None:
    *words, panel = layout.agreement(challenge, beacon_block)
    whole = keccak(*(word.to_bytes(_WORD, "big") for word in words), panel)
    _agree(f"record of {challenge.id}", record, int.from_bytes(whole, "big"))
    for bit, fact in (
        (_DRAWN, challenge.seed),
        (_TRAIN, challenge.train),
        (_TEST, challenge.test),
    ):
        _agree(f"stage of {challenge.id}", status >> bit & 1, int(fact is not None))
    _agree(f"openings of {challenge.id}", status >> _OPENED & _COUNT, challenge.opened)


def _about(action: Action, sender: Address, history: History) -> Digest | None:
    if isinstance(action, Create):
        state = history.state
        return challenge_id(state.chain_id, state.ledger, sender, action.nonce)
    return getattr(action, "challenge", None)


def _ask(chain: Chain, contract: Address, function: str, argument: str, block: int) -> int:
    data = keccak(function.encode())[:4] + from_hex(argument).rjust(_WORD, b"\0")
    answer = chain.call(contract, data, block)
    if len(answer) != _WORD:
        raise malformed(f"{len(answer)} bytes of {function}")
    return int.from_bytes(answer, "big")


def _agree(what: str, kept: int, expected: int) -> None:
    if kept != expected:
        raise NodeContradicts(
            f"{what}: the contract has {kept}, its history leads to {expected}",
            why="the node leaves out logs, is behind with them, or lies",
        )
