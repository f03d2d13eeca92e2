"""Putting the shipped contracts on a chain, and finding out whether a contract is one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec.structs import replace

from danku.crypto.hashing import keccak
from danku.ledger.ethereum.artifact import ARENA, COURT, artifact
from danku.ledger.ethereum.chain import Chain
from danku.ledger.ethereum.encoding import encode_creation
from danku.ledger.ethereum.errors import NetworkError, NodeContradicts, Reverted
from danku.ledger.ethereum.network import Network
from danku.ledger.ethereum.sender import Failed, Message, Sender, purpose_of
from danku.protocol.types import ZERO_ADDRESS, Address

if TYPE_CHECKING:
    from danku.crypto.signatures import PrivateKey
    from danku.ledger.ethereum.chain import Inclusion

_WORD = 32
_IMMUTABLES_WORDS = 16
"""More than a contract of ours has behind its code."""


@dataclass(frozen=True)
class Choices:
    """What a new arena fixes for ever."""

    currency: Address = ZERO_ADDRESS
    """An ERC-20 token, or the zero address for the chain's own coin."""
    stake: int = 0
    """One validator's seat, in the currency's smallest unit; 0 for no registry."""
    unbonding: int = 0
    """Seconds between leaving and taking a stake out; 0 without a registry."""
    block_seconds: int = 12
    """The shortest time between two blocks of the chain."""


def deploy(sender: Sender, key: PrivateKey, choices: Choices) -> tuple[Inclusion, Inclusion]:
    """Create a court, and an arena that uses it, and return where they are, in this order.

    Raises:
        Reverted: a constructor refused the choices.
        StorageError: as `Sender.send`.
    """
    court = _create(
        sender,
        key,
        COURT,
        choices.currency,
        choices.stake,
        choices.unbonding if choices.stake else 0,
    )
    arena = _create(sender, key, ARENA, court.contract, choices.block_seconds)
    return court, arena


def _create(sender: Sender, key: PrivateKey, name: str, *arguments: object) -> Inclusion:
    data = encode_creation(name, *arguments)
    what = f"creation of the contract {name}"
    try:
        made = sender.send(key, purpose_of(key.address, data), lambda: Message(what, None, data))
    except Failed as failed:
        raise Reverted(
            f"the {what} failed in block {failed.inclusion.block}",
            why="it refused what it was to be made with, or ran out of gas",
            fix="danku network deploy --help tells the bounds",
        ) from None
    if made.contract is None:
        raise NodeContradicts(f"the node tells of no contract made by {made.transaction}")
    return made


def inspect(chain: Chain, network: Network) -> Network:
    """The network with what its contract fixed, once its code was seen to be the shipped one.

    Raises:
        NodeContradicts: there is no contract, or another one.
        NetworkError: the node gives no usable answer.
    """
    arena = network.contract
    _check_code(chain, arena, ARENA)
    court = "0x" + _word(chain, arena, "court()").hex()[-40:]
    _check_code(chain, court, COURT)
    for fixed in ("currency()", "stake()", "unbonding()"):
        if _word(chain, arena, fixed) != _word(chain, court, fixed):
            raise NodeContradicts(
                f"the arena {arena} and its court {court} do not agree on {fixed[:-2]}",
                why="somebody made them by other code than danku's",
                fix="play on a contract that danku network deploy made",
            )
    return replace(
        network,
        currency="0x" + _word(chain, arena, "currency()").hex()[-40:],
        stake=str(_number(chain, arena, "stake()")),
        unbonding=_number(chain, arena, "unbonding()"),
        beacon_blocks=_number(chain, arena, "beacon_blocks()"),
    )


def first_block_of(chain: Chain, network: Network) -> int:
    """The block that made a contract, by halving; 0 where the node has no old states to tell."""
    low, high = 0, chain.latest().number
    try:
        while low < high:
            middle = (low + high) // 2
            if chain.code(network.contract, middle):
                high = middle
            else:
                low = middle + 1
    except NetworkError:
        return 0
    return low


def check_creation(chain: Chain, network: Network) -> bool:
    """See that the shipped code made the arena, so that it began with nobody's money in its books.

    Returns whether the transaction that made it was found in the network's first block.

    Raises:
        NodeContradicts: other code made it.
    """
    arena = network.contract
    court = "0x" + _word(chain, arena, "court()").hex()[-40:]
    expected = encode_creation(ARENA, court, _number(chain, arena, "block_seconds()"))
    for transaction, data in chain.creations(network.first_block):
        made = chain.inclusion(transaction)
        if made is None or made.contract != arena:
            continue
        if data != expected:
            raise NodeContradicts(
                f"the contract at {arena} was made by other code than danku's",
                why="such code can write any debt into its books before anybody plays",
                fix="play on a contract that danku network deploy made",
            )
        return True
    return False


def _check_code(chain: Chain, where: Address, name: str) -> None:
    code, runtime = chain.code(where), artifact(name).runtime
    if not code:
        raise NodeContradicts(
            f"there is no contract at {where} on chain {chain.chain_id()}",
            why="the address or the chain is another, or its block is not there yet",
            fix="check --contract and --rpc",
        )
    behind = len(code) - len(runtime)
    if not code.startswith(runtime) or not 0 <= behind <= _IMMUTABLES_WORDS * _WORD:
        raise NodeContradicts(
            f"the code at {where} is not that of danku's contract {name}",
            why="it is another contract, or one of another version of danku",
            fix="ask who gave you the address, or danku network deploy",
        )


def _word(chain: Chain, where: Address, function: str) -> bytes:
    answer = chain.call(where, keccak(function.encode())[:4])
    if len(answer) != _WORD:
        raise NetworkError(f"{function} of {where} gives {len(answer)} bytes instead of {_WORD}")
    return answer


def _number(chain: Chain, where: Address, function: str) -> int:
    return int.from_bytes(_word(chain, where, function), "big")
