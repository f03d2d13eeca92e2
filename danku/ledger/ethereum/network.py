"""What a workspace knows of a contract on a chain; where the node is, it keeps to itself."""

from __future__ import annotations

from typing import Annotated

import msgspec

from danku.protocol.manifest import Record
from danku.protocol.terms import RegistryTerms
from danku.protocol.types import ZERO_ADDRESS, Address, Amount, Digest

GWEI = 10**9

Gwei = Annotated[int, msgspec.Meta(ge=0, le=10**9)]


class Network(Record):
    """One contract on one chain, in `danku.toml`; every copy of a workspace can use it."""

    chain_id: Annotated[int, msgspec.Meta(ge=1, lt=2**53)]
    contract: Address
    currency: Address = ZERO_ADDRESS
    """The ERC-20 token of all money; the zero address is the chain's own coin."""
    stake: Annotated[str, msgspec.Meta(pattern=r"\A(0|[1-9][0-9]{0,28})\Z")] = "0"
    """One seat's deposit; 0 where the contract has no registry."""
    unbonding: Annotated[int, msgspec.Meta(ge=0, lt=2**36)] = 0
    """Seconds between leaving and taking a stake out."""
    number: Annotated[int, msgspec.Meta(ge=0, lt=2**32)] = 0
    """Which one, of several arenas that fixed the same."""
    beacon_blocks: Annotated[int, msgspec.Meta(ge=1, lt=2**48)] = 8_191
    """How many blocks back the contract can have a block's hash."""
    first_block: Annotated[int, msgspec.Meta(ge=0, lt=2**48)] = 0
    """The one that the contract was made in, or any before it."""
    confirmations: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 2
    """Blocks that an action must be in or under before it counts, its own included."""
    max_fee_gwei: Gwei = 200
    """What a unit of gas may cost at most, tip included."""
    max_tip_gwei: Gwei = 5
    """What of it may go to who makes the block."""
    wait_seconds: Annotated[int, msgspec.Meta(ge=1, le=86_400)] = 900
    """How long a command waits for a transaction before it leaves it to the next command."""

    @property
    def max_fee(self) -> int:
        """In wei."""
        return self.max_fee_gwei * GWEI

    @property
    def max_tip(self) -> int:
        """In wei."""
        return self.max_tip_gwei * GWEI

    @property
    def registry(self) -> RegistryTerms | None:
        """What the contract fixes about staked validators; None where it has none."""
        return RegistryTerms(Amount(int(self.stake)), self.unbonding) if int(self.stake) else None


class Anchor(Record):
    """A block by number and hash."""

    number: Annotated[int, msgspec.Meta(ge=0, lt=2**48)]
    hash: Digest
