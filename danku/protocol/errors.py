"""The rules by name: one table for refusals on every ledger, and for `danku explain`."""

from __future__ import annotations

from typing import NoReturn

from danku.errors import Rejected

RULES = {
    "AlreadyClaimed": "each payout and each deposit is paid once",
    "AlreadyContributed": "a validator contributes once to a challenge's seed",
    "AlreadyConvened": "a round has one committee",
    "AlreadyCreated": "an organizer uses each nonce for one challenge",
    "AlreadyDrawn": "the seed is drawn once",
    "AlreadyLeft": "a seat is ended once",
    "AlreadyOpened": "a commitment is opened once",
    "AlreadyRevealed": "a bundle is revealed once; the first one counts",
    "AlreadyVoted": "a committee member commits to one vote a round",
    "BadBallot": "a ballot must fit what the ledger knows of the challenge",
    "BadProof": "a payout is paid against a Merkle proof of the decided payout root",
    "BadTerms": "terms must be playable and within bounds",
    "BeaconUnavailable": "a beacon seed needs a ledger that has public randomness",
    "CommitmentMismatch": "an opening must hash to what was committed",
    "Early": "an action waits for its window",
    "EscrowExhausted": "a challenge never pays more than its escrow holds",
    "Final": "a finalized challenge does not change",
    "Late": "an action after its window does not count",
    "NoRegistry": "staked validators need a ledger whose maker fixed a stake",
    "NoSubmissionOpened": "without an opened submission there is nothing to vote on",
    "NotContributor": "only the organizer and contributors open seed secrets",
    "NotConvened": "votes need a convened committee",
    "NotDrawn": "the train groups are not known before the seed is drawn",
    "NotFinal": "money is claimed after the challenge is finalized",
    "NothingOwed": "there must be something to pay",
    "NotLeft": "a stake is taken out after its seat was ended",
    "NotOnCommittee": "only members of the round's committee vote",
    "NotOnPanel": "only validators of the panel contribute to the seed",
    "NotOrganizer": "only the organizer may do this",
    "NotSeatOwner": "only its owner ends a seat or takes out its stake",
    "NotSubmitter": "only the submitter opens its submission",
    "NotVoted": "a vote is opened after it was committed",
    "OrganizerUnopened": "the organizer must open its own seed secret",
    "PanelMember": "a validator of a challenge cannot enter it",
    "QuorumReached": "a second round follows only if the first had no quorum",
    "RegistryFull": "a registry holds a bounded number of seats, and less than 2^96 of money",
    "SeatOrder": "an action names each seat once, in ascending order",
    "SeatsChanged": "who buys seats says how many it holds, so that nothing is bought twice",
    "SeedNotContributed": "the seed needs the stated number of opened contributions",
    "TooFewSeats": "twice a challenge's committee must be eligible, for two rounds of fresh seats",
    "TooManyContributions": "a seed takes a bounded number of contributions",
    "TooManyEntries": "a challenge takes a stated number of submissions in all",
    "TooManySubmissions": "a submitter has a stated number of submissions",
    "TrainNotRevealed": "nobody can submit before the train data is public",
    "UnbondingTooShort": "a stake outlasts every challenge that its seat may be drawn for",
    "UnknownChallenge": "an action names a challenge on this ledger",
    "UnknownSeat": "an action names a seat of the registry",
    "UnknownSubmission": "an action names a submission of this challenge",
    "WrongValue": "an action carries exactly the money that its rule states",
}


def refuse(rule: str, what: str, fix: str = "") -> NoReturn:
    """Raise the refusal of a named rule.

    Raises:
        Rejected: always.
    """
    raise Rejected(rule, what, why=RULES[rule], fix=fix)


def require(condition: bool, rule: str, what: str, fix: str = "") -> None:
    """Refuse unless the condition holds.

    Raises:
        Rejected: naming the rule.
    """
    if not condition:
        refuse(rule, what, fix)
