"""Staked seats: bought, ended, and, after the unbonding delay, paid back (Proof-of-Learning).

A seat keeps its slot until its stake is taken out; the slot emptied last is filled first. Who may
serve a challenge is a question about the registry's version at `create`, which no later join and
no later leave can change. Nothing here takes longer because strangers hold seats.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise

from msgspec.structs import replace

from danku.protocol.actions import MAX_SLOTS, Join, Leave, Unstake
from danku.protocol.errors import refuse, require
from danku.protocol.guards import exact_value
from danku.protocol.money import pay_out
from danku.protocol.state import Context, Pool, Registry, Seat, State
from danku.protocol.types import AMOUNT_LIMIT, Address


def registry_of(state: State) -> Registry:
    """The ledger's registry.

    Raises:
        Rejected: NoRegistry.
    """
    if state.registry is None:
        refuse(
            "NoRegistry",
            "this ledger has no registry of seats",
            "danku init --stake AMOUNT makes a ledger with one; a named panel needs none",
        )
    return state.registry


def held_at(registry: Registry, owner: Address, version: int) -> int:
    """Seats of an owner at a version of the registry."""
    changes = registry.held.get(owner, ())
    place = bisect_right(changes, version, key=lambda change: change[0])
    return changes[place - 1][1] if place else 0


def held_by(registry: Registry, owner: Address) -> int:
    """Seats of an owner that nobody ended."""
    return held_at(registry, owner, registry.version)


def seats_of(registry: Registry, owner: Address) -> dict[int, Seat]:
    """All seats of an owner whose stake is in, by number. For people: it looks at every slot."""
    return {
        number: seat
        for number, seat in enumerate(registry.seats)
        if seat is not None and seat.owner == owner
    }


def in_pool(seat: Seat | None, pool: Pool) -> bool:
    """Whether a slot holds the very seat that `create` found in it, and had not ended then."""
    return (
        seat is not None
        and seat.since <= pool.version
        and (seat.until == 0 or seat.until > pool.version)
    )


def counted(registry: Registry, owner: Address, change: int) -> Registry:
    """The registry with more or fewer active seats of an owner, from its newest version on."""
    held = held_by(registry, owner) + change
    before = tuple(item for item in registry.held.get(owner, ()) if item[0] != registry.version)
    history = {**registry.held, owner: (*before, (registry.version, held))}
    return replace(registry, held=history, active=registry.active + change)


def join(state: State, action: Join, context: Context) -> State:
    """Stake seats.

    Raises:
        Rejected: NoRegistry, SeatsChanged, RegistryFull or WrongValue.
    """
    registry = registry_of(state)
    held = held_by(registry, context.sender)
    require(
        action.held == held,
        "SeatsChanged",
        f"{context.sender} holds {held} seat(s), not {action.held}",
        "danku validator status shows them; danku validator join --seats N means N in all",
    )
    used = len(registry.seats) - len(registry.free)
    price = action.seats * registry.terms.stake
    require(
        used + action.seats <= MAX_SLOTS and registry.staked + price < AMOUNT_LIMIT,
        "RegistryFull",
        f"{used} seats with {registry.staked} are staked; {action.seats} more with {price} "
        "do not fit",
        "wait until others leave, or buy fewer",
    )
    exact_value(context, price, "join")
    kept = max(len(registry.free) - action.seats, 0)
    slots = registry.free[kept:]
    seats, bought = list(registry.seats), Seat(context.sender, registry.version + 1)
    for number in slots:
        seats[number] = bought
    seats += [bought] * (action.seats - len(slots))
    grown = replace(
        registry,
        version=bought.since,
        seats=tuple(seats),
        free=registry.free[:kept],
        staked=registry.staked + price,
    )
    joined = counted(grown, context.sender, action.seats)
    return replace(state, registry=joined, received=state.received + context.value)


def _own(registry: Registry, numbers: tuple[int, ...], sender: Address) -> dict[int, Seat]:
    require(
        all(low < high for low, high in pairwise(numbers)),
        "SeatOrder",
        f"seats {list(numbers)} do not ascend",
        "name each seat once, in ascending order",
    )
    found = {}
    for number in numbers:
        seat = registry.seats[number] if number < len(registry.seats) else None
        if seat is None:
            refuse("UnknownSeat", f"there is no seat {number}", "danku validator list")
        require(
            seat.owner == sender,
            "NotSeatOwner",
            f"seat {number} is {seat.owner}'s, not {sender}'s",
            "danku validator status shows your own",
        )
        found[number] = seat
    return found


def leave(state: State, action: Leave, context: Context) -> State:
    """End seats: challenges that exist may still draw and slash them, later ones do not.

    Raises:
        Rejected: NoRegistry, SeatOrder, UnknownSeat, NotSeatOwner, AlreadyLeft or WrongValue.
    """
    registry = registry_of(state)
    own = _own(registry, action.seats, context.sender)
    for number, seat in own.items():
        require(
            seat.until == 0,
            "AlreadyLeft",
            f"seat {number} has ended; its stake is free from {seat.free}",
            "danku validator leave takes it out when that time has come",
        )
    exact_value(context, 0, "leave")
    version, free = registry.version + 1, context.time + registry.terms.unbonding
    seats = list(registry.seats)
    for number, seat in own.items():
        seats[number] = replace(seat, until=version, free=free)
    ended = replace(registry, version=version, seats=tuple(seats))
    return replace(state, registry=counted(ended, context.sender, -len(own)))


def unstake(state: State, action: Unstake, context: Context) -> State:
    """Take out what is left of the stakes of ended seats, and empty their slots.

    Raises:
        Rejected: NoRegistry, SeatOrder, UnknownSeat, NotSeatOwner, NotLeft, Early or WrongValue.
    """
    registry = registry_of(state)
    own = _own(registry, action.seats, context.sender)
    for number, seat in own.items():
        require(
            seat.until != 0,
            "NotLeft",
            f"seat {number} has not ended",
            "danku validator leave",
        )
        require(
            context.time >= seat.free,
            "Early",
            f"the stake of seat {number} is bound until {seat.free}, "
            f"{seat.free - context.time} s from now ({context.time})",
            "wait; danku validator status shows when",
        )
    exact_value(context, 0, "unstake")
    left = sum(registry.terms.stake - seat.loss for seat in own.values())
    seats = list(registry.seats)
    for number in own:
        seats[number] = None
    emptied = replace(
        registry,
        seats=tuple(seats),
        free=(*registry.free, *action.seats),
        staked=registry.staked - left,
    )
    return pay_out(replace(state, registry=emptied), context.sender, left)
