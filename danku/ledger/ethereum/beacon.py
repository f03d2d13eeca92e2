"""The beacon that a draw would see: the hash of a block that `create` fixed.

Where nobody drew while the contract could still ask for that hash, the block so many blocks later
takes its place, and so on (contracts/Arena.vy).
"""

from __future__ import annotations

from danku.errors import Rejected
from danku.ledger.ethereum.chain import Chain
from danku.ledger.ethereum.history import History
from danku.ledger.ethereum.network import Network
from danku.protocol.actions import Action, Create, Draw
from danku.protocol.types import ZERO_DIGEST, Digest


def beacon_for(
    action: Action, history: History, chain: Chain, network: Network, next_block: int
) -> Digest | None:
    """What the rules would see as public randomness if the action were in ``next_block``."""
    if isinstance(action, Create):
        return ZERO_DIGEST  # the rules only ask whether there will be one
    if not isinstance(action, Draw):
        return None
    first = history.beacon_blocks.get(action.challenge, 0)
    number = beacon_block(first, next_block, network.beacon_blocks) if first else None
    block = None if number is None else chain.block(number)
    return block.hash if block else None


def no_beacon(action: Action, history: History, newest: int) -> Rejected | None:
    """What to tell of a draw that its beacon is not there for; None where it needs none."""
    first = history.beacon_blocks.get(getattr(action, "challenge", ""), 0)
    if not first:
        return None
    return Rejected(
        "BeaconUnavailable",
        f"the beacon is the hash of block {first}, and the chain is at block {newest}",
        why="that block was fixed before anybody could know its hash",
        fix=f"wait {max(0, first - newest)} blocks, then run the command again",
    )


def beacon_block(first: int, next_block: int, kept: int) -> int | None:
    """The block whose hash a draw in ``next_block`` takes; None if it is not there yet.

    Args:
        first: the block that `create` fixed.
        kept: how many blocks back the contract can have a hash.
    """
    if next_block <= first:
        return None
    passed = next_block - 1 - first
    return first + passed - passed % kept
