"""Settlement: what a decided outcome pays to whom, out of one challenge's escrow.

| what | `test`, `train-fallback` | `void` |
| --- | --- | --- |
| prizes | to their submitters | none |
| bonds of ranked and duplicate submissions | back | back |
| bonds of rejected, unavailable and unopened ones | lost: added to the forfeits | back |
| forfeits | equally to the ranked submissions | equally to all submissions |
| forfeits when there is no such submission | burned | burned |

A share is a whole number of units; the dust that is left is not paid and stays with the organizer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from danku.errors import DataError
from danku.protocol.types import AMOUNT_LIMIT, BURN_ADDRESS

Outcome = Literal["test", "train-fallback", "void"]
Status = Literal["ranked", "duplicate", "rejected", "unavailable", "unopened"]

BOND_KEEPERS: frozenset[Status] = frozenset({"ranked", "duplicate"})
_ADDRESS = re.compile(r"0x[0-9a-f]{40}")


class BadSettlement(DataError):
    """A submission, status, outcome or address that makes no sense here."""


class BadPrize(DataError):
    """A prize for a submission that cannot have one, or not a positive amount."""


class BadAmount(DataError):
    """An amount that is negative or too large."""


@dataclass(frozen=True)
class Entry:
    """One submission when the outcome is decided."""

    number: int
    submitter: str
    """Address, lower-case 0x hex."""
    status: Status


def settle(
    outcome: Outcome,
    submissions: Sequence[Entry],
    prizes: Mapping[int, int],
    bond: int,
    forfeits: int,
) -> list[tuple[str, int]]:
    """The payout list: one (address, amount) per address, amounts positive, sorted by address.

    Args:
        outcome: what the committee decided.
        submissions: all submissions, in any order; the list does not depend on it.
        prizes: by submission number, from `danku.mechanisms.prizes`; empty for `void`.
        bond: what every submission locked up.
        forfeits: lost contribution deposits and, on `train-fallback` and `void`, the organizer's
            bond; lost submission bonds are added here and must not be in it.

    Raises:
        BadSettlement: unknown outcome or status, a number twice, a malformed address.
        BadPrize: for an unknown or unranked submission, on `void`, or not positive.
        BadAmount: an amount out of 0 .. 2^96 - 1, or a total out of it.
    """
    _check_submissions(outcome, submissions)
    _check_prizes(outcome, submissions, prizes)
    _check_amount("the bond", bond)
    _check_amount("the forfeits", forfeits)

    void = outcome == "void"
    owed: dict[str, int] = {}

    def pay(address: str, amount: int) -> None:
        if amount:
            owed[address] = owed.get(address, 0) + amount

    sharers = []
    spoils = int(forfeits)
    for entry in submissions:
        pay(entry.submitter, int(prizes.get(entry.number, 0)))
        if void or entry.status in BOND_KEEPERS:
            pay(entry.submitter, int(bond))
        else:
            spoils += bond
        if void or entry.status == "ranked":
            sharers.append(entry.submitter)
    for address in sharers:
        pay(address, spoils // len(sharers))
    if not sharers:
        pay(BURN_ADDRESS, spoils)

    _check_amount("the payout total", sum(owed.values()))
    return sorted(owed.items())


def _check_submissions(outcome: str, submissions: Sequence[Entry]) -> None:
    if outcome not in get_args(Outcome):
        raise BadSettlement(
            f"there is no outcome {outcome!r}", fix=f"use one of {', '.join(get_args(Outcome))}"
        )
    for entry in submissions:
        if entry.status not in get_args(Status):
            raise BadSettlement(
                f"submission {entry.number} has the unknown status {entry.status!r}",
                fix=f"use one of {', '.join(get_args(Status))}",
            )
        if not _ADDRESS.fullmatch(entry.submitter):
            raise BadSettlement(
                f"submission {entry.number} is by {entry.submitter!r}, which is no address",
                fix="spell addresses as 0x and 40 lower-case hex digits",
            )
    if len({entry.number for entry in submissions}) < len(submissions):
        raise BadSettlement("a submission is listed twice", why="its bond would be paid twice")


def _check_prizes(outcome: str, submissions: Sequence[Entry], prizes: Mapping[int, int]) -> None:
    if outcome == "void" and prizes:
        raise BadPrize("a void challenge has no prizes", why="its pot goes back to the organizer")
    status = {entry.number: entry.status for entry in submissions}
    for number, amount in sorted(prizes.items()):
        if status.get(number) != "ranked":
            raise BadPrize(
                f"submission {number} has a prize, but is {status.get(number, 'not known')}",
                why="only ranked submissions win prizes",
            )
        if not 0 < amount < AMOUNT_LIMIT:
            raise BadPrize(f"the prize of submission {number} is {amount}, not a positive amount")


def _check_amount(what: str, amount: int) -> None:
    if not 0 <= amount < AMOUNT_LIMIT:
        raise BadAmount(f"{what} must lie in 0..{AMOUNT_LIMIT - 1}, found {amount}")
