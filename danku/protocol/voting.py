"""Stage 4, evaluation: a committee is called, votes are committed to, and opened."""

from __future__ import annotations

from msgspec.structs import replace

from danku.crypto.commitments import vote_commitment
from danku.crypto.hashing import from_hex, to_hex
from danku.protocol import actions as a
from danku.protocol import money
from danku.protocol.committee import convened, decision, named_committee, round_due, walked
from danku.protocol.errors import refuse, require
from danku.protocol.guards import exact_value, ongoing, window
from danku.protocol.registry import registry_of
from danku.protocol.state import Challenge, CommittedVote, Context, Round, State
from danku.protocol.types import ZERO_ADDRESS, ZERO_DIGEST, Address


def convene(state: State, action: a.Convene, context: Context) -> State:
    """Call the committee of the round that is due, or go on with drawing it.

    Raises:
        Rejected: by the rules below, in their order.
    """
    challenge = ongoing(state, action.challenge)
    number = round_due(challenge, context.time)
    start, end = challenge.windows.vote_window(number)
    if challenge.pool is not None:
        # NOTE: a committee that is called at the last second would pay for its silence.
        end = start + (end - start + 1) // 2
    window(context, start, end, f"convening round {number}")
    require(
        challenge.opened > 0,
        "NoSubmissionOpened",
        "no submission was opened",
        f"danku challenge finalize {challenge.id} settles it",
    )
    require(not convened(challenge, number), "AlreadyConvened", f"round {number} has its committee")
    if number == 2:
        require(
            decision(challenge, 1) is None,
            "QuorumReached",
            "round one reached a quorum",
            f"danku challenge finalize {challenge.id}",
        )
    exact_value(context, 0, "convene")
    if challenge.pool is None:
        called = Round(named_committee(challenge, number))
    else:
        called = walked(challenge, registry_of(state), number)
    return money.put(state, replace(challenge, rounds={**challenge.rounds, number: called}))


def _member(challenge: Challenge, context: Context, number: int) -> Round:
    require(
        convened(challenge, number),
        "NotConvened",
        f"round {number} has no committee",
        f"danku advance {challenge.id} convenes it",
    )
    found = challenge.rounds[number]
    require(
        context.sender in found.committee,
        "NotOnCommittee",
        f"{context.sender} does not sit in round {number}",
        f"danku status {challenge.id} shows who does",
    )
    return found


def _put_vote(
    state: State, challenge: Challenge, number: int, sender: Address, vote: CommittedVote
) -> State:
    voted = replace(
        challenge.rounds[number], votes={**challenge.rounds[number].votes, sender: vote}
    )
    return money.put(state, replace(challenge, rounds={**challenge.rounds, number: voted}))


def vote(state: State, action: a.Vote, context: Context) -> State:
    """Commit to a ballot, with all the seats that the sender has in this round.

    Raises:
        Rejected: by the rules below, in their order.
    """
    challenge = ongoing(state, action.challenge)
    number = round_due(challenge, context.time)
    start, end = challenge.windows.vote_window(number)
    window(context, start, end, f"vote in round {number}")
    found = _member(challenge, context, number)
    require(
        context.sender not in found.votes,
        "AlreadyVoted",
        f"{context.sender} has voted in round {number}",
        "open it in the next window: danku advance",
    )
    exact_value(context, 0, "vote")
    return _put_vote(state, challenge, number, context.sender, CommittedVote(action.commitment))


def check_ballot(challenge: Challenge, ballot: a.Ballot) -> None:
    """Refuse a ballot that contradicts what the ledger knows.

    Raises:
        Rejected: BadBallot.
    """
    limit = money.distributable(challenge, ballot.outcome)
    for holds, what in (
        (
            ballot.outcome != "test" or challenge.test is not None,
            "the outcome is test, but no test bundle was revealed",
        ),
        (
            ballot.payout_total <= limit,
            f"payouts of {ballot.payout_total} exceed the {limit} that {ballot.outcome} divides",
        ),
        (
            (ballot.payout_total == 0) == (ballot.payout_root == ZERO_DIGEST),
            "a payout root without payouts, or payouts without a root",
        ),
        (
            ballot.winner != ZERO_ADDRESS or ballot.score == 0,
            "a score without a winner",
        ),
        (
            ballot.winner == ZERO_ADDRESS or ballot.outcome != "void",
            "the outcome is void, and nobody wins a void challenge",
        ),
        (
            ballot.winner == ZERO_ADDRESS or ballot.winner in challenge.counts,
            f"the winner {ballot.winner} submitted nothing",
        ),
    ):
        require(holds, "BadBallot", what, "danku validator run votes what it evaluated")


def open_vote(state: State, action: a.OpenVote, context: Context) -> State:
    """Open a committed ballot.

    Raises:
        Rejected: by the rules below, in their order.
    """
    challenge = ongoing(state, action.challenge)
    number = round_due(challenge, context.time)
    start, end = challenge.windows.open_vote_window(number)
    window(context, start, end, f"open_vote in round {number}")
    found = _member(challenge, context, number)
    vote = found.votes.get(context.sender)
    if vote is None:
        refuse("NotVoted", f"{context.sender} committed to no vote in round {number}")
    require(vote.ballot is None, "AlreadyOpened", f"the vote of {context.sender} is open")
    ballot = action.ballot
    expected = to_hex(
        vote_commitment(
            from_hex(challenge.id),
            number,
            context.sender,
            a.OUTCOMES.index(ballot.outcome),
            from_hex(ballot.result),
            from_hex(ballot.payout_root),
            ballot.payout_total,
            ballot.winner,
            ballot.score,
            from_hex(action.salt),
        )
    )
    require(
        expected == vote.commitment,
        "CommitmentMismatch",
        f"the opening hashes to {expected}, committed was {vote.commitment}",
        "open with the ballot and salt in the private folder",
    )
    check_ballot(challenge, ballot)
    exact_value(context, 0, "open_vote")
    opened = replace(vote, ballot=ballot, cid=action.cid)
    return _put_vote(state, challenge, number, context.sender, opened)
