"""What seats lose for how they served: fixed shares of a stake, burned, so that nobody gains by it.

A seat that committed to no vote loses the silence share. One that did not open its vote, or opened
another one than the majority, loses the minority share. Where a round had no quorum nobody is a
minority, and only silent and unopened seats lose.
"""

from __future__ import annotations

from collections import Counter

from msgspec.structs import replace

from danku.protocol.actions import Ballot
from danku.protocol.committee import convened
from danku.protocol.registry import counted, in_pool
from danku.protocol.state import Challenge, Fault, Penalty, Registry, Round, State
from danku.protocol.terms import SHARE_UNIT, SeatsPanel
from danku.protocol.types import BURN_ADDRESS, Address, Amount


def share_of(stake: int, share: int) -> int:
    """A share of a stake in parts per 10,000, rounded up: no fault is free."""
    return -(-stake * share // SHARE_UNIT)


def fault(found: Round, owner: Address, decided: Ballot | None) -> Fault | None:
    """What an owner did wrong in a round that decided a ballot, or none."""
    vote = found.votes.get(owner)
    if vote is None:
        return "silent"
    if vote.ballot is None:
        return "unopened"
    return "minority" if decided is not None and vote.ballot != decided else None


def penalties(
    challenge: Challenge, registry: Registry | None, decided: Ballot | None, number: int
) -> tuple[Penalty, ...]:
    """What each seat of both rounds loses, where round ``number`` decided a ballot (or none did).

    A seat never loses more than what is left of its stake, and nothing once that was taken out.
    """
    panel, pool = challenge.terms.panel, challenge.pool
    if not isinstance(panel, SeatsPanel) or pool is None or registry is None:
        return ()
    found = []
    for place in (1, 2):
        if not convened(challenge, place):
            continue
        held = challenge.rounds[place]
        for slot, owner in zip(held.seats, held.committee, strict=True):
            wrong = fault(held, owner, decided if place == number else None)
            seat = registry.seats[slot]
            if wrong is None or seat is None or not in_pool(seat, pool):
                continue
            share = panel.silence_share if wrong == "silent" else panel.minority_share
            stake = registry.terms.stake
            lost = min(share_of(stake, share), stake - seat.loss)
            if lost:
                found.append(Penalty(slot, owner, wrong, Amount(lost)))
    return tuple(found)


def slash(state: State, lost: tuple[Penalty, ...], time: int) -> State:
    """Burn what seats lost. One with less than half its stake left is ended with it.

    So every seat that a challenge counts at `create` can pay one whole penalty.
    """
    registry = state.registry
    if registry is None or not lost:
        return state
    seats, ended = list(registry.seats), Counter[Address]()
    version, stake = registry.version + 1, registry.terms.stake
    for penalty in lost:
        seat = seats[penalty.seat]
        assert seat is not None, "penalties name seats whose stake is in"
        seat = replace(seat, loss=seat.loss + int(penalty.amount))
        if seat.until == 0 and 2 * (stake - seat.loss) < stake:
            seat = replace(seat, until=version, free=time + registry.terms.unbonding)
            ended[seat.owner] += 1
        seats[penalty.seat] = seat
    total = sum(int(penalty.amount) for penalty in lost)
    slashed = replace(registry, seats=tuple(seats), staked=registry.staked - total)
    if ended:
        slashed = replace(slashed, version=version)
    for owner, count in ended.items():
        slashed = counted(slashed, owner, -count)
    burned = state.credits.get(BURN_ADDRESS, 0) + total
    return replace(state, registry=slashed, credits={**state.credits, BURN_ADDRESS: burned})
