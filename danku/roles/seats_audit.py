"""Verifying staked validators: who was drawn, and what seats lost, worked out once more.

The registry is taken from the replayed journal at two moments, right after `create` and right
before the challenge was settled. From the first, the eligible seats are counted one by one and both
walks are walked again; from the second, all penalties follow.
"""

from __future__ import annotations

from msgspec.structs import replace

from danku.errors import VerificationFailed
from danku.protocol.committee import serves, walked
from danku.protocol.draw import mix_in
from danku.protocol.registry import in_pool
from danku.protocol.slashing import penalties
from danku.protocol.state import Challenge, Pool, Registry, State
from danku.protocol.types import ZERO_DIGEST, Digest


class Mismatch(VerificationFailed):
    """Two things in the public record that must agree do not."""


def agree(found: object, expected: object, what: str) -> None:
    """Raise unless both are the same.

    Raises:
        Mismatch: naming both.
    """
    if found != expected:
        raise Mismatch(f"{what}: found {found}, expected {expected}")


class Watch:
    """Keeps the registry as a challenge was created and as it was settled, during a replay."""

    def __init__(self, challenge: Digest) -> None:
        self._challenge = challenge
        self._before: State | None = None
        self.created: Registry | None = None
        self.unsettled: Registry | None = None
        """Right before the challenge was settled."""
        self.settled: Registry | None = None
        """Right after."""

    def __call__(self, state: State) -> None:
        before, self._before = self._before, state
        found = state.challenges.get(self._challenge)
        known = before.challenges.get(self._challenge) if before else None
        if found is None or known is found:
            return
        if known is None:
            self.created = state.registry
        elif known.settlement is None and found.settlement is not None and before is not None:
            self.unsettled, self.settled = before.registry, state.registry


def check_committees(challenge: Challenge, watch: Watch) -> str:
    """Draw the committees of a challenge again.

    Raises:
        Mismatch: the pool or a committee does not follow from the registry at `create`.
    """
    pool, registry = challenge.pool, watch.created
    if pool is None or registry is None:
        return ""
    able = [seat for seat in registry.seats if seat is not None and in_pool(seat, pool)]
    eligible = sum(1 for seat in able if serves(challenge, seat.owner))
    counted = Pool(registry.version, len(registry.seats), eligible)
    agree(pool, counted, "eligible seats")
    mix = ZERO_DIGEST
    for entry in challenge.submissions:
        if entry.opening is not None:
            mix = mix_in(mix, entry.submitter, entry.opening.salt)
    agree(challenge.mix, mix, "committee's entropy")
    drawn = 0
    for number, found in sorted(challenge.rounds.items()):
        first = challenge.rounds[1] if number == 2 and 1 in challenge.rounds else None
        fresh = replace(challenge, rounds={1: first} if first else {})
        steps = found.position - (first.position if first else 0)
        again = walked(fresh, registry, number, steps)
        agree(found.seats, again.seats, f"seats of round {number}")
        agree(found.committee, again.committee, f"owners of the seats of round {number}")
        drawn += len(again.seats)
    return f"{drawn} seats drawn again from {eligible} eligible ones"


def check_penalties(challenge: Challenge, watch: Watch) -> str:
    """Work out again what seats lost, and that nobody else's stake changed.

    Raises:
        Mismatch: a penalty, a seat's loss or the sum of stakes is another.
    """
    settlement, before, after = challenge.settlement, watch.unsettled, watch.settled
    if challenge.pool is None or settlement is None or before is None or after is None:
        return ""
    again = penalties(challenge, before, settlement.ballot, settlement.round)
    agree(settlement.penalties, again, "penalties")
    lost = {penalty.seat: int(penalty.amount) for penalty in again}
    for number, (was, seat) in enumerate(zip(before.seats, after.seats, strict=True)):
        change = (seat.loss if seat else 0) - (was.loss if was else 0)
        agree(change, lost.get(number, 0), f"loss of seat {number}")
    agree(before.staked - after.staked, sum(lost.values()), "stakes lost")
    return f"{len(lost)} seats lost {sum(lost.values()):,}, burned"
