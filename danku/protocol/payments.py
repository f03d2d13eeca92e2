"""Pull payments: whoever is owed takes it out, once, and never more than an escrow holds."""

from __future__ import annotations

from msgspec.structs import replace

from danku.crypto.hashing import from_hex
from danku.crypto.merkle import verify_payout
from danku.protocol import money
from danku.protocol.actions import Claim, ClaimDeposit, Withdraw
from danku.protocol.errors import refuse, require
from danku.protocol.guards import exact_value, find
from danku.protocol.state import Challenge, Context, Settlement, State


def _settlement(challenge: Challenge) -> Settlement:
    if challenge.settlement is None:
        refuse(
            "NotFinal",
            f"challenge {challenge.id} is not finalized",
            f"danku advance {challenge.id} does it when it is due",
        )
    return challenge.settlement


def claim(state: State, action: Claim, context: Context) -> State:
    """Pay one leaf of the payout tree.

    Raises:
        Rejected: UnknownChallenge, NotFinal, NothingOwed, AlreadyClaimed, BadProof,
            EscrowExhausted or WrongValue.
    """
    challenge = find(state, action.challenge)
    settlement = _settlement(challenge)
    ballot = settlement.ballot
    if ballot is None or ballot.payout_total == 0 or action.amount == 0:
        refuse("NothingOwed", f"challenge {challenge.id} pays nothing by proof")
    bit = 1 << action.index
    require(not settlement.claimed & bit, "AlreadyClaimed", f"payout {action.index} has been paid")
    leaf = (action.index, action.payee, action.amount)
    proof = [from_hex(node) for node in action.proof]
    require(
        verify_payout(from_hex(ballot.payout_root), leaf, proof),
        "BadProof",
        f"({action.index}, {action.payee}, {action.amount}) is not in the payout tree",
        "danku claim builds the proof from the result",
    )
    marked = replace(settlement, claimed=settlement.claimed | bit)
    final = replace(challenge, settlement=marked)
    paid = money.pay(state, final, action.payee, action.amount)
    exact_value(context, 0, "claim")
    return paid


def claim_deposit(state: State, action: ClaimDeposit, context: Context) -> State:
    """Pay back one submission's deposit, where the ledger itself settled the challenge.

    Raises:
        Rejected: UnknownChallenge, NotFinal, UnknownSubmission, NothingOwed, AlreadyClaimed or
            WrongValue.
    """
    challenge, number = find(state, action.challenge), action.submission
    settlement = _settlement(challenge)
    require(
        number < len(challenge.submissions),
        "UnknownSubmission",
        f"no submission {number}; there are {len(challenge.submissions)}",
    )
    entry = challenge.submissions[number]
    owed = settlement.kind == "cancelled" or (
        settlement.kind == "no-quorum" and entry.opening is not None
    )
    require(
        owed and settlement.deposit > 0,
        "NothingOwed",
        f"submission {number} has no deposit to claim: {settlement.reason}",
    )
    bit = 1 << number
    require(
        not settlement.deposits_claimed & bit,
        "AlreadyClaimed",
        f"the deposit of submission {number} has been paid",
    )
    marked = replace(settlement, deposits_claimed=settlement.deposits_claimed | bit)
    final = replace(challenge, settlement=marked)
    paid = money.pay(state, final, entry.submitter, settlement.deposit)
    exact_value(context, 0, "claim_deposit")
    return paid


def withdraw(state: State, action: Withdraw, context: Context) -> State:
    """Pay everything that is credited to the sender.

    Raises:
        Rejected: NothingOwed or WrongValue.
    """
    amount = state.credits.get(context.sender, 0)
    require(amount > 0, "NothingOwed", f"nothing is credited to {context.sender}")
    exact_value(context, 0, "withdraw")
    credits = {
        address: owed for address, owed in state.credits.items() if address != context.sender
    }
    return money.pay_out(replace(state, credits=credits), context.sender, amount)
