"""Putting the shipped contracts on a chain, and finding out whether a contract is one of them.

A contract's code does not tell how it began: whoever makes it by code of his own can write debts
into its books first, and fix what he likes. So both contracts are made through a factory that gives
them addresses which follow from the code that made them (EIP-1014), and an address is all that has
to be looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec.structs import replace

from danku.crypto.hashing import abi_encode, from_hex, keccak, to_hex
from danku.ledger.ethereum.artifact import ARENA, COURT, artifact
from danku.ledger.ethereum.chain import Chain
from danku.ledger.ethereum.errors import NetworkError, NodeContradicts, NoFactory, Reverted
from danku.ledger.ethereum.network import Network
from danku.ledger.ethereum.sender import Failed, Message, Sender, purpose_of
from danku.protocol.types import ZERO_ADDRESS, Address

if TYPE_CHECKING:
    from danku.crypto.signatures import PrivateKey

FACTORY: Address = "0x4e59b44847b379578588920ca78fbf26c0b4956c"
"""Nobody's own, and at this address of nearly every chain."""
_WORD = 32


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
    number: int = 0
    """Which one, of several arenas that are the same otherwise."""


@dataclass(frozen=True)
class Creation:
    """What has the factory make a contract."""

    name: str
    salt: bytes
    code: bytes

    @property
    def data(self) -> bytes:
        """What the factory is sent."""
        return self.salt + self.code

    @property
    def address(self) -> Address:
        """Where the contract will be, and no other can be."""
        word = keccak(b"\xff", from_hex(FACTORY), self.salt, keccak(self.code))
        return to_hex(word[-20:])


@dataclass(frozen=True)
class Made:
    """A contract on a chain."""

    contract: Address
    block: int
    """That made it, or any before it."""


def creations(choices: Choices) -> tuple[Creation, Creation]:
    """How a court, and an arena that uses it, are made."""
    types, salt = ("address", "uint256", "uint256"), choices.number.to_bytes(_WORD, "big")
    fixed = (choices.currency, choices.stake, choices.unbonding if choices.stake else 0)
    court = Creation(COURT, bytes(_WORD), artifact(COURT).bytecode + abi_encode(types, fixed))
    used = abi_encode(("address", "uint256"), (court.address, choices.block_seconds))
    return court, Creation(ARENA, salt, artifact(ARENA).bytecode + used)


def deploy(chain: Chain, sender: Sender, key: PrivateKey, choices: Choices) -> tuple[Made, Made]:
    """Make a court and an arena where they are not there yet; nothing is made twice.

    Raises:
        NoFactory: the chain does not have the factory.
        Reverted: a constructor refused the choices.
        StorageError: as `Sender.send`.
    """
    if not chain.code(FACTORY):
        raise NoFactory(chain.chain_id(), FACTORY)
    court, arena = creations(choices)
    return _made(chain, sender, key, court), _made(chain, sender, key, arena)


def _made(chain: Chain, sender: Sender, key: PrivateKey, creation: Creation) -> Made:
    where, what = creation.address, f"creation of the contract {creation.name}"
    if chain.code(where):
        return Made(where, first_block_of(chain, where))
    message = Message(what, FACTORY, creation.data)
    try:
        made = sender.send(key, purpose_of(key.address, creation.data), lambda: message)
    except Failed as failed:
        raise Reverted(
            f"the {what} failed in block {failed.inclusion.block}",
            why="it refused what it was to be made with, or ran out of gas",
            fix="danku network deploy --help tells the bounds",
        ) from None
    if not chain.code(where):
        raise NodeContradicts(f"{made.transaction} made no contract at {where}")
    return Made(where, made.block)


def inspect(chain: Chain, network: Network) -> Network:
    """The network with what its contract fixed, once its address was seen to be the shipped code's.

    Raises:
        NodeContradicts: there is no contract, or another one.
        NetworkError: the node gives no usable answer.
    """
    arena = network.contract
    _check_code(chain, arena, ARENA)
    court = "0x" + _word(chain, arena, "court()").hex()[-40:]
    _check_code(chain, court, COURT)
    choices = Choices(
        currency="0x" + _word(chain, arena, "currency()").hex()[-40:],
        stake=_number(chain, arena, "stake()"),
        unbonding=_number(chain, arena, "unbonding()"),
        block_seconds=_number(chain, arena, "block_seconds()"),
        number=network.number,
    )
    if tuple(each.address for each in creations(choices)) != (court, arena):
        raise NodeContradicts(
            f"the contract at {arena} was not made by danku's code with number {network.number}",
            why="whoever made it by other code could write any debt into its books beforehand",
            fix="play on one that danku network deploy made; name its number, if it has one: "
            "danku network add --number",
        )
    return replace(
        network,
        currency=choices.currency,
        stake=str(choices.stake),
        unbonding=choices.unbonding,
        beacon_blocks=_number(chain, arena, "beacon_blocks()"),
    )


def first_block_of(chain: Chain, contract: Address) -> int:
    """The block that made a contract, by halving; 0 where the node has no old states to tell."""
    low, high = 0, chain.latest().number
    try:
        while low < high:
            middle = (low + high) // 2
            if chain.code(contract, middle):
                high = middle
            else:
                low = middle + 1
    except NetworkError:
        return 0
    return low


def _check_code(chain: Chain, where: Address, name: str) -> None:
    code, runtime = chain.code(where), artifact(name).runtime
    if not code:
        raise NodeContradicts(
            f"there is no contract at {where} on chain {chain.chain_id()}",
            why="the address or the chain is another, or its block is not there yet",
            fix="check --contract and --rpc",
        )
    if not code.startswith(runtime):
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
