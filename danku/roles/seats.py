"""Staking: what owners of seats hold, buying seats, ending them, taking stakes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from danku.errors import UsageError
from danku.protocol.actions import MAX_SEATS, Join, Leave, Unstake
from danku.protocol.registry import held_by, registry_of, seats_of
from danku.protocol.state import Registry, Seat, State
from danku.protocol.types import Address
from danku.roles.workspace import Workspace

if TYPE_CHECKING:
    from danku.crypto.signatures import PrivateKey


class TooMany(UsageError):
    """The key holds more seats than it should have after joining."""


@dataclass(frozen=True)
class Holding:
    """All seats of one owner at one time."""

    owner: Address
    active: tuple[int, ...]
    """Seats that later challenges count."""
    bound: tuple[int, ...]
    """Ended seats, whose stake cannot be taken out yet."""
    free: tuple[int, ...]
    """Ended seats, whose stake can be."""
    frees: int | None
    """The time at which the first of the bound ones is free."""
    stake: int
    """What is left of all these stakes."""
    loss: int
    """What they lost."""


def holding(state: State, owner: Address, time: int) -> Holding:
    """What an owner holds.

    Raises:
        Rejected: NoRegistry.
    """
    registry = registry_of(state)
    return _holding(registry, owner, seats_of(registry, owner), time)


def holdings(state: State, time: int) -> list[Holding]:
    """What every owner holds, most active seats first.

    Raises:
        Rejected: NoRegistry.
    """
    registry = registry_of(state)
    owned: dict[Address, dict[int, Seat]] = {}
    for number, seat in enumerate(registry.seats):
        if seat is not None:
            owned.setdefault(seat.owner, {})[number] = seat
    found = [_holding(registry, owner, seats, time) for owner, seats in owned.items()]
    return sorted(found, key=lambda each: (-len(each.active), each.owner))


def _holding(registry: Registry, owner: Address, seats: dict[int, Seat], time: int) -> Holding:
    ended = {number: seat for number, seat in seats.items() if seat.until}
    bound = {number: seat.free for number, seat in ended.items() if seat.free > time}
    loss = sum(seat.loss for seat in seats.values())
    return Holding(
        owner=owner,
        active=tuple(number for number in seats if number not in ended),
        bound=tuple(bound),
        free=tuple(number for number in ended if number not in bound),
        frees=min(bound.values(), default=None),
        stake=len(seats) * registry.terms.stake - loss,
        loss=loss,
    )


def stakes_of(registry: Registry, numbers: Sequence[int]) -> int:
    """What is left of the stakes of some seats."""
    found = (registry.seats[number] for number in numbers)
    return sum(registry.terms.stake - seat.loss for seat in found if seat is not None)


def _portions(numbers: Sequence[int]) -> list[tuple[int, ...]]:
    """Seats as actions take them: ascending, a bounded number at a time."""
    ordered = sorted(numbers)
    return [
        tuple(ordered[start : start + MAX_SEATS]) for start in range(0, len(ordered), MAX_SEATS)
    ]


def missing_seats(workspace: Workspace, address: Address, seats: int) -> int:
    """How many seats an address has to buy to hold so many in all.

    Raises:
        Rejected: NoRegistry.
        TooMany: it holds more.
    """
    held = held_by(registry_of(workspace.state()), address)
    if held > seats:
        raise TooMany(
            f"{address} holds {held} seats, more than {seats}",
            why="--seats says how many to hold in all, so that it can be repeated",
            fix=f"danku validator leave --keep {seats}",
        )
    return seats - held


def join(workspace: Workspace, key: PrivateKey, seats: int) -> int:
    """Hold so many seats in all; how many were bought for that.

    Raises:
        Rejected: NoRegistry, RegistryFull, SeatsChanged or InsufficientBalance.
        TooMany: the key holds more.
    """
    missing = missing_seats(workspace, key.address, seats)
    stake = registry_of(workspace.state()).terms.stake
    for start in range(0, missing, MAX_SEATS):
        bought = min(missing - start, MAX_SEATS)
        action = Join(bought, seats - missing + start)
        workspace.precheck(key, action, bought * stake)
        workspace.send(key, action, bought * stake)
    return missing


def leave(workspace: Workspace, key: PrivateKey, keep: int = 0) -> tuple[int, ...]:
    """End the newest seats until so many are left; which were ended.

    Raises:
        Rejected: NoRegistry.
    """
    found = holding(workspace.state(), key.address, workspace.ledger.time())
    registry = registry_of(workspace.state())
    newest = sorted(found.active, key=lambda number: (_since(registry, number), number))
    ended = tuple(sorted(newest[keep:]))
    for portion in _portions(ended):
        workspace.send(key, Leave(portion))
    return ended


def _since(registry: Registry, number: int) -> int:
    seat = registry.seats[number]
    return seat.since if seat is not None else 0


def unstaking(found: Holding) -> list[Unstake]:
    """The actions that take out all stakes that are free."""
    return [Unstake(portion) for portion in _portions(found.free)]
