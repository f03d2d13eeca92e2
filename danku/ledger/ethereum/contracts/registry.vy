# pragma version 0.4.3
"""
@title Staked seats: danku/protocol/registry.py and slashing.py.
@notice A seat keeps its slot until its stake is taken out; the slot emptied last is filled first.
        Nothing here takes longer because strangers hold seats.
"""

import layout
import refusals
import money

uses: money

MAX_SLOTS: constant(uint256) = 2**20
VERSION: constant(uint256) = layout.VERSION
COUNT: constant(uint256) = layout.COUNT

# One seat's deposit; zero where there is no registry.
stake: public(immutable(uint256))
# Seconds between leaving and taking the stake out.
unbonding: public(immutable(uint256))

_registry: uint256
_seats: HashMap[uint256, uint256]
_ends: HashMap[uint256, uint256]
_held: HashMap[address, uint256]
_history: HashMap[address, HashMap[uint256, uint256]]


@deploy
def __init__(stake_: uint256, unbonding_: uint256):
    assert stake_ < 2**96 and unbonding_ < 2**36, "registry out of bounds"
    assert (stake_ == 0) == (unbonding_ == 0), "a stake without unbonding"
    stake = stake_
    unbonding = unbonding_


@internal
@view
def _held_by(owner: address) -> uint256:
    return (self._held[owner] >> layout.HELD) & COUNT


@internal
@view
def _held_at(owner: address, version: uint256) -> uint256:
    """
    @notice Seats of an owner at a version of the registry.
    """
    newest: uint256 = self._held[owner]
    if newest & VERSION <= version:
        return (newest >> layout.HELD) & COUNT
    low: uint256 = 0
    high: uint256 = newest >> layout.CHANGES
    # The number of older changes up to that version, by halving.
    for _: uint256 in range(48):
        if low == high:
            break
        middle: uint256 = unsafe_add(low, high) >> 1
        if self._history[owner][middle] & VERSION <= version:
            low = unsafe_add(middle, 1)
        else:
            high = middle
    if low == 0:
        return 0
    return (self._history[owner][unsafe_sub(low, 1)] >> layout.HELD) & COUNT


@internal
def _hold(owner: address, seats: uint256, version: uint256):
    """
    @notice Note how many seats an owner holds from a version on.
    """
    newest: uint256 = self._held[owner]
    changes: uint256 = newest >> layout.CHANGES
    if newest != 0 and newest & VERSION != version:
        self._history[owner][changes] = newest
        changes = unsafe_add(changes, 1)
    self._held[owner] = version | (seats << layout.HELD) | (changes << layout.CHANGES)


@internal
@pure
def _in_pool(seat: uint256, version: uint256) -> bool:
    until: uint256 = seat >> layout.UNTIL
    return (
        seat & layout.OWNER != 0
        and (seat >> layout.SINCE) & VERSION <= version
        and (until == 0 or until > version)
    )


@internal
@view
def _require_registry():
    if stake == 0:
        refusals.refuse(method_id("NoRegistry()", output_type=bytes4))


@internal
@payable
def _join(seats: uint256, held: uint256):
    if seats == 0 or seats > 256 or held > MAX_SLOTS:
        refusals.refuse(method_id("Malformed()", output_type=bytes4))
    self._require_registry()
    if self._held_by(msg.sender) != held:
        refusals.refuse(method_id("SeatsChanged()", output_type=bytes4))
    registry: uint256 = self._registry
    used: uint256 = (registry >> layout.USED) & COUNT
    staked: uint256 = registry >> layout.STAKED
    price: uint256 = unsafe_mul(seats, stake)
    if unsafe_add(used, seats) > MAX_SLOTS or unsafe_add(staked, price) >= 2**96:
        refusals.refuse(method_id("RegistryFull()", output_type=bytes4))
    version: uint256 = unsafe_add(registry & VERSION, 1)
    slots: uint256 = (registry >> layout.SLOTS) & COUNT
    emptied: uint256 = (registry >> layout.EMPTY) & COUNT
    seat: uint256 = convert(msg.sender, uint256) | (version << layout.SINCE)
    for _: uint256 in range(seats, bound=256):
        number: uint256 = slots
        if emptied == 0:
            slots = unsafe_add(slots, 1)
        else:
            number = unsafe_sub(emptied, 1)
            emptied = (self._seats[number] >> layout.SINCE) & COUNT
        self._seats[number] = seat
    self._registry = (
        version
        | (slots << layout.SLOTS)
        | (unsafe_add(used, seats) << layout.USED)
        | (unsafe_add((registry >> layout.ACTIVE) & COUNT, seats) << layout.ACTIVE)
        | (emptied << layout.EMPTY)
        | (unsafe_add(staked, price) << layout.STAKED)
    )
    self._hold(msg.sender, unsafe_add(held, seats), version)
    money._take(price)


@internal
@view
def _own(numbers: DynArray[uint256, 256]):
    if len(numbers) == 0:
        refusals.refuse(method_id("Malformed()", output_type=bytes4))
    for number: uint256 in numbers:
        if number >= MAX_SLOTS:
            refusals.refuse(method_id("Malformed()", output_type=bytes4))
    self._require_registry()
    following: uint256 = 0
    for number: uint256 in numbers:
        if number < following:
            refusals.refuse(method_id("SeatOrder()", output_type=bytes4))
        following = unsafe_add(number, 1)
    for number: uint256 in numbers:
        owner: uint256 = self._seats[number] & layout.OWNER
        if owner == 0:
            refusals.refuse(method_id("UnknownSeat()", output_type=bytes4))
        if owner != convert(msg.sender, uint256):
            refusals.refuse(method_id("NotSeatOwner()", output_type=bytes4))


@internal
@payable
def _leave(numbers: DynArray[uint256, 256]):
    self._own(numbers)
    for number: uint256 in numbers:
        if self._seats[number] >> layout.UNTIL != 0:
            refusals.refuse(method_id("AlreadyLeft()", output_type=bytes4))
    registry: uint256 = self._registry
    version: uint256 = unsafe_add(registry & VERSION, 1)
    free: uint256 = unsafe_add(block.timestamp, unbonding)
    for number: uint256 in numbers:
        self._end(number, version, free)
    # NOTE: the counts are in the middle of the word and never fall below zero.
    self._registry = unsafe_sub(unsafe_add(registry, 1), len(numbers) << layout.ACTIVE)
    self._hold(msg.sender, unsafe_sub(self._held_by(msg.sender), len(numbers)), version)
    money._take(0)


@internal
def _end(number: uint256, version: uint256, free: uint256):
    self._seats[number] |= version << layout.UNTIL
    self._ends[number] |= free << layout.FREE


@internal
@payable
def _unstake(numbers: DynArray[uint256, 256]) -> uint256:
    """
    @notice Empty slots; returns what was left of their stakes.
    """
    self._own(numbers)
    registry: uint256 = self._registry
    emptied: uint256 = (registry >> layout.EMPTY) & COUNT
    left: uint256 = 0
    for number: uint256 in numbers:
        if self._seats[number] >> layout.UNTIL == 0:
            refusals.refuse(method_id("NotLeft()", output_type=bytes4))
        end: uint256 = self._ends[number]
        if block.timestamp < end >> layout.FREE:
            refusals.refuse(method_id("Early()", output_type=bytes4))
        left = unsafe_add(left, unsafe_sub(stake, end & layout.AMOUNT))
        self._seats[number] = emptied << layout.SINCE
        self._ends[number] = 0
        emptied = unsafe_add(number, 1)
    self._registry = unsafe_sub(
        registry, (len(numbers) << layout.USED) | (left << layout.STAKED)
    ) & ~(COUNT << layout.EMPTY) | (emptied << layout.EMPTY)
    money._take(0)
    return left


@internal
def _slash(number: uint256, share: uint256) -> uint256:
    """
    @notice Take a share of a seat's stake, rounded up, or what is left; one with less than half its
            stake left is ended, in the registry's next version.
    @return What it lost, and in bit 96 whether it was ended.
    """
    end: uint256 = self._ends[number]
    loss: uint256 = end & layout.AMOUNT
    lost: uint256 = min(
        unsafe_div(unsafe_add(unsafe_mul(stake, share), 9999), 10000), unsafe_sub(stake, loss)
    )
    if lost == 0:
        return 0
    self._ends[number] = unsafe_add(end, lost)
    seat: uint256 = self._seats[number]
    rest: uint256 = unsafe_sub(unsafe_sub(stake, loss), lost)
    if seat >> layout.UNTIL != 0 or unsafe_mul(2, rest) >= stake:
        return lost
    owner: address = convert(seat & layout.OWNER, address)
    version: uint256 = unsafe_add(self._registry & VERSION, 1)
    self._end(number, version, unsafe_add(block.timestamp, unbonding))
    self._hold(owner, unsafe_sub(self._held_by(owner), 1), version)
    return lost | (1 << 96)


@internal
def _burn_stakes(lost: uint256, ended: uint256):
    """
    @notice Settle what `_slash` took from seats: one change of version for all of them.
    """
    if lost == 0:
        return
    registry: uint256 = self._registry
    if ended != 0:
        registry = unsafe_add(registry, 1)
    self._registry = unsafe_sub(registry, (lost << layout.STAKED) | (ended << layout.ACTIVE))
    money._credit(money.BURN, lost)
