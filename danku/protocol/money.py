"""Where money goes: pure arithmetic over a challenge's escrow, in the ledger's smallest unit."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from danku.protocol.actions import Outcome
from danku.protocol.errors import require
from danku.protocol.state import Challenge, Contribution, State
from danku.protocol.types import BURN_ADDRESS, Address


def split(amount: int, shares: int) -> tuple[int, int]:
    """An equal share and the dust that is left, 0 <= dust < shares."""
    return amount // shares, amount % shares


def unopened(challenge: Challenge) -> tuple[Contribution, ...]:
    """The contributions that were not opened."""
    return tuple(item for item in challenge.contributions if item.secret is None)


def lost_deposits(challenge: Challenge) -> int:
    """Deposits of the contributions that were not opened, once the time to open is over."""
    return len(unopened(challenge)) * challenge.terms.reward.contribution_deposit


def entry_fees(challenge: Challenge) -> int:
    """What all submissions paid to enter."""
    return len(challenge.submissions) * challenge.terms.reward.entry_fee


def submission_bonds(challenge: Challenge) -> int:
    """What all submissions, opened or not, left as bonds."""
    return len(challenge.submissions) * challenge.terms.reward.submission_bond


def forfeits(challenge: Challenge, outcome: Outcome) -> int:
    """What submitters gain from others: lost seed deposits, and the bond of a faulty organizer."""
    bond = 0 if outcome == "test" else challenge.terms.reward.organizer_bond
    return lost_deposits(challenge) + bond


def distributable(challenge: Challenge, outcome: Outcome) -> int:
    """What the payout tree may pay: the pot (unless void), all submission bonds, the forfeits."""
    pot = 0 if outcome == "void" else challenge.terms.reward.pot
    return pot + submission_bonds(challenge) + forfeits(challenge, outcome)


def put(state: State, challenge: Challenge) -> State:
    """The state with this version of a challenge."""
    return replace(state, challenges={**state.challenges, challenge.id: challenge})


def deposit(state: State, challenge: Challenge, value: int) -> State:
    """Take ``value`` that came with an action into the challenge's escrow."""
    taken = replace(challenge, escrow=challenge.escrow + value)
    return replace(put(state, taken), received=state.received + value)


def credit(state: State, challenge: Challenge, amounts: Mapping[Address, int]) -> State:
    """Move amounts from the challenge's escrow to addresses' credits.

    Raises:
        Rejected: the escrow does not hold that much.
    """
    total = sum(amounts.values())
    require(
        total <= challenge.escrow,
        "EscrowExhausted",
        f"{total} is more than the escrow of {challenge.escrow}",
    )
    credits = dict(state.credits)
    for address, amount in amounts.items():
        if amount:
            credits[address] = credits.get(address, 0) + amount
    drained = replace(challenge, escrow=challenge.escrow - total)
    return replace(put(state, drained), credits=credits)


def pay(state: State, challenge: Challenge, payee: Address, amount: int) -> State:
    """Pay an amount out of the challenge's escrow.

    Raises:
        Rejected: the escrow does not hold that much.
    """
    require(
        amount <= challenge.escrow,
        "EscrowExhausted",
        f"{amount} is more than the escrow of {challenge.escrow}",
    )
    drained = replace(challenge, escrow=challenge.escrow - amount)
    return pay_out(put(state, drained), payee, amount)


def pay_out(state: State, payee: Address, amount: int) -> State:
    """Count an amount as paid; whoever calls takes it from where it was."""
    if not amount:
        return state
    return replace(state, paid={**state.paid, payee: state.paid.get(payee, 0) + amount})


class Amounts(dict[Address, int]):
    """Amounts by address that add up."""

    def add(self, address: Address, amount: int) -> None:
        self[address] = self.get(address, 0) + amount

    def burn(self, amount: int) -> None:
        self.add(BURN_ADDRESS, amount)
