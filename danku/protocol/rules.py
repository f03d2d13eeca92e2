"""The five stages as one pure function: `apply(state, action, context) -> state`.

One function an action. Its rules stand in order, and the first one violated is the one reported, so
that every ledger refuses alike. What a refusal leaves behind is the state as it was.
Settling and paying are in `danku.protocol.finality`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from danku.crypto.commitments import seed_commitment, submission_commitment, vote_commitment
from danku.crypto.hashing import from_hex, to_hex
from danku.protocol import actions as a
from danku.protocol import draw, finality, money
from danku.protocol.errors import refuse, require
from danku.protocol.manifest import Record
from danku.protocol.state import (
    Challenge,
    CommittedVote,
    Context,
    Contribution,
    Opening,
    Round,
    State,
    Submission,
)
from danku.protocol.terms import Terms, escrow_of, terms_digest
from danku.protocol.types import AMOUNT_LIMIT, ZERO_ADDRESS, ZERO_DIGEST, Address, Digest


def find(state: State, challenge: Digest) -> Challenge:
    """The challenge with this id.

    Raises:
        Rejected: UnknownChallenge.
    """
    found = state.challenges.get(challenge)
    if found is None:
        refuse(
            "UnknownChallenge",
            f"no challenge {challenge} on this ledger",
            "danku challenge list",
        )
    return found


def _ongoing(state: State, challenge: Digest) -> Challenge:
    found = find(state, challenge)
    require(
        found.settlement is None,
        "Final",
        f"challenge {challenge} was finalized",
        f"danku board {challenge}",
    )
    return found


def _window(context: Context, start: int, end: int, what: str) -> None:
    require(
        context.time >= start,
        "Early",
        f"{what} opens at {start}, {start - context.time} s from now ({context.time})",
        "wait; danku status shows when",
    )
    require(
        context.time < end,
        "Late",
        f"{what} closed at {end}, {context.time - end} s ago ({context.time})",
        "danku status shows what can still be done",
    )


def _value(context: Context, expected: int, what: str) -> None:
    require(
        context.value == expected,
        "WrongValue",
        f"{what} takes {expected}, found {context.value}",
        f"send exactly {expected}",
    )


def _organizer(challenge: Challenge, context: Context) -> None:
    require(
        context.sender == challenge.organizer,
        "NotOrganizer",
        f"{context.sender} is not the organizer {challenge.organizer}",
        "use --as with the organizer's key",
    )


def check_terms(terms: Terms, organizer: Address) -> None:
    """Refuse terms that cannot be played or that favour the organizer.

    Raises:
        Rejected: BadTerms, with the value and its bound.
    """
    reward, panel = terms.reward, terms.panel
    contributed = terms.seed_source != "beacon"
    locked = escrow_of(terms) + panel.seats * reward.contribution_deposit
    locked += reward.max_entries * (reward.submission_bond + reward.entry_fee)
    for holds, what in (
        (locked < AMOUNT_LIMIT, f"up to {locked} could be locked up, the limit is 2^96 - 1"),
        (
            terms.test_groups < terms.groups,
            f"{terms.test_groups} test groups of {terms.groups} leave no train group",
        ),
        (
            2 * reward.organizer_bond >= reward.pot,
            f"organizer_bond {reward.organizer_bond} is less than half the pot {reward.pot}",
        ),
        (
            reward.max_submissions <= reward.max_entries,
            f"max_submissions {reward.max_submissions} exceeds max_entries {reward.max_entries}",
        ),
        (len(set(panel.members)) == panel.seats, "a panel member is named twice"),
        (organizer not in panel.members, f"the organizer {organizer} is on its own panel"),
        (ZERO_ADDRESS not in panel.members, "the zero address is on the panel"),
        (
            terms.min_contributions <= panel.seats,
            f"min_contributions {terms.min_contributions} exceeds the panel's {panel.seats} seats",
        ),
        (
            (terms.min_contributions > 0) == contributed,
            f"min_contributions {terms.min_contributions} does not fit seed_source "
            f"{terms.seed_source}",
        ),
    ):
        require(holds, "BadTerms", what, "mend challenge.toml; danku challenge check explains it")


def _create(state: State, action: a.Create, context: Context) -> State:
    terms = action.terms
    check_terms(terms, context.sender)
    require(
        terms.seed_source == "contributions" or context.beacon is not None,
        "BeaconUnavailable",
        f"seed_source is {terms.seed_source}, and this ledger has no beacon",
        'set seed_source = "contributions"',
    )
    _value(context, escrow_of(terms), "create")
    nonce = state.created.get(context.sender, 0)
    challenge = Challenge(
        id=draw.challenge_id(state.chain_id, state.ledger, context.sender, nonce),
        organizer=context.sender,
        terms=terms,
        terms_digest=terms_digest(terms),
        manifest=action.manifest,
        created=context.time,
        seed_commitment=action.seed_commitment,
        escrow=0,
    )
    counted = replace(state, created={**state.created, context.sender: nonce + 1})
    return money.deposit(counted, challenge, context.value)


def _contribute(state: State, action: a.Contribute, context: Context) -> State:
    challenge = _ongoing(state, action.challenge)
    windows = challenge.windows
    _window(context, windows.created, windows.contribute, "contribute")
    require(
        challenge.terms.seed_source != "beacon" and context.sender in challenge.terms.panel.members,
        "NotOnPanel",
        f"{context.sender} does not contribute to this challenge's seed",
        "use --as with a panel member's key",
    )
    require(
        all(item.contributor != context.sender for item in challenge.contributions),
        "AlreadyContributed",
        f"{context.sender} has contributed",
        "open it in the next window: danku advance",
    )
    _value(context, challenge.terms.reward.contribution_deposit, "contribute")
    entry = Contribution(context.sender, action.commitment)
    contributed = replace(challenge, contributions=(*challenge.contributions, entry))
    return money.deposit(state, contributed, context.value)


def _open_seed(state: State, action: a.OpenSeed, context: Context) -> State:
    challenge = _ongoing(state, action.challenge)
    windows = challenge.windows
    _window(context, windows.contribute, windows.open_seed, "open_seed")
    if context.sender == challenge.organizer:
        committed, opened = challenge.seed_commitment, challenge.seed_secret
        _secret(challenge, committed, opened, action, context)
        return money.put(state, replace(challenge, seed_secret=action.secret))
    entries = {item.contributor: item for item in challenge.contributions}
    entry = entries.get(context.sender)
    if entry is None:
        refuse("NotContributor", f"{context.sender} committed to no part of this seed")
    _secret(challenge, entry.commitment, entry.secret, action, context)
    entries[context.sender] = replace(entry, secret=action.secret)
    returned = {context.sender: challenge.terms.reward.contribution_deposit}
    contributed = replace(challenge, contributions=tuple(entries.values()))
    return money.credit(state, contributed, returned)


def _secret(
    challenge: Challenge,
    committed: Digest,
    opened: Digest | None,
    action: a.OpenSeed,
    context: Context,
) -> None:
    require(opened is None, "AlreadyOpened", f"{context.sender} has opened its seed secret")
    expected = to_hex(
        seed_commitment(from_hex(challenge.id), context.sender, from_hex(action.secret))
    )
    require(
        expected == committed,
        "CommitmentMismatch",
        f"the secret hashes to {expected}, committed was {committed}",
        "open with the secret in the private folder",
    )
    _value(context, 0, "open_seed")


def _draw(state: State, action: a.Draw, context: Context) -> State:
    challenge = _ongoing(state, action.challenge)
    require(challenge.seed is None, "AlreadyDrawn", f"the seed is {challenge.seed}")
    windows = challenge.windows
    _window(context, windows.open_seed, windows.reveal_train, "draw")
    source = challenge.terms.seed_source
    openings = [] if source == "beacon" else _seed_openings(challenge)
    beacon = None if source == "contributions" else context.beacon
    require(
        source == "contributions" or beacon is not None,
        "BeaconUnavailable",
        "the ledger gave no beacon",
    )
    _value(context, 0, "draw")
    return money.put(state, replace(challenge, seed=draw.seed_of(challenge.id, openings, beacon)))


def _seed_openings(challenge: Challenge) -> list[Digest]:
    if challenge.seed_secret is None:
        refuse(
            "OrganizerUnopened",
            "the organizer did not open its seed secret",
            f"danku challenge finalize {challenge.id} settles it",
        )
    openings = [item.secret for item in challenge.contributions if item.secret is not None]
    require(
        len(openings) >= challenge.terms.min_contributions,
        "SeedNotContributed",
        f"{len(openings)} contributions were opened, "
        f"{challenge.terms.min_contributions} are needed",
        f"danku challenge finalize {challenge.id} settles it",
    )
    return [challenge.seed_secret, *openings]


def _reveal_train(state: State, action: a.RevealTrain, context: Context) -> State:
    challenge = _ongoing(state, action.challenge)
    _organizer(challenge, context)
    require(
        challenge.seed is not None,
        "NotDrawn",
        "the seed is not drawn",
        f"danku challenge draw {challenge.id}",
    )
    require(challenge.train is None, "AlreadyRevealed", f"the train bundle is {challenge.train}")
    windows = challenge.windows
    _window(context, windows.open_seed, windows.reveal_train, "reveal_train")
    _value(context, 0, "reveal_train")
    return money.put(state, replace(challenge, train=action.bundle))


def _submit(state: State, action: a.Submit, context: Context) -> State:
    challenge = _ongoing(state, action.challenge)
    windows, reward = challenge.windows, challenge.terms.reward
    require(
        context.time < windows.submit,
        "Late",
        f"submit closed at {windows.submit}, {context.time - windows.submit} s ago",
        "danku challenge list shows other challenges",
    )
    require(
        challenge.train is not None,
        "TrainNotRevealed",
        "the train data is not public yet",
        f"wait for it; danku status {challenge.id}",
    )
    require(
        context.sender not in challenge.terms.panel.members,
        "PanelMember",
        f"{context.sender} is a validator of this challenge",
        "enter with another key, or leave the judging to others",
    )
    used = challenge.counts.get(context.sender, 0)
    require(
        used < reward.max_submissions,
        "TooManySubmissions",
        f"{context.sender} has used {used} of {reward.max_submissions} submissions; "
        "each commitment counts, and none is given back",
    )
    number = len(challenge.submissions)
    require(
        number < reward.max_entries,
        "TooManyEntries",
        f"all {reward.max_entries} entries of the challenge are taken",
    )
    _value(context, reward.submission_bond + reward.entry_fee, "submit")
    entry = Submission(number, context.sender, action.commitment, context.time)
    entered = replace(
        challenge,
        submissions=(*challenge.submissions, entry),
        counts={**challenge.counts, context.sender: used + 1},
    )
    return money.deposit(state, entered, context.value)


def _open(state: State, action: a.Open, context: Context) -> State:
    challenge = _ongoing(state, action.challenge)
    windows = challenge.windows
    _window(context, windows.submit, windows.open, "open")
    require(
        action.submission < len(challenge.submissions),
        "UnknownSubmission",
        f"no submission {action.submission}; there are {len(challenge.submissions)}",
        f"danku model list {challenge.id}",
    )
    entry = challenge.submissions[action.submission]
    require(
        entry.submitter == context.sender,
        "NotSubmitter",
        f"submission {entry.number} was made by {entry.submitter}, not by {context.sender}",
    )
    require(entry.opening is None, "AlreadyOpened", f"submission {entry.number} is open")
    expected = to_hex(
        submission_commitment(
            from_hex(challenge.id),
            context.sender,
            from_hex(action.model),
            action.cid,
            from_hex(action.salt),
        )
    )
    require(
        expected == entry.commitment,
        "CommitmentMismatch",
        f"the opening hashes to {expected}, submission {entry.number} committed to "
        f"{entry.commitment}",
        "a commitment opens only for the submitter, model and salt that it was made with",
    )
    _value(context, 0, "open")
    entries = list(challenge.submissions)
    entries[entry.number] = replace(entry, opening=Opening(action.model, action.cid, action.salt))
    opened = replace(
        challenge,
        submissions=tuple(entries),
        opened=challenge.opened + 1,
        mix=draw.mix_in(challenge.mix, context.sender, action.salt),
    )
    return money.put(state, opened)


def _reveal_test(state: State, action: a.RevealTest, context: Context) -> State:
    challenge = _ongoing(state, action.challenge)
    _organizer(challenge, context)
    windows = challenge.windows
    _window(context, windows.open, windows.reveal_test, "reveal_test")
    require(challenge.train is not None, "TrainNotRevealed", "the train data was never revealed")
    require(challenge.test is None, "AlreadyRevealed", f"the test bundle is {challenge.test}")
    _value(context, 0, "reveal_test")
    return money.put(state, replace(challenge, test=action.bundle))


def _convene(state: State, action: a.Convene, context: Context) -> State:
    challenge = _ongoing(state, action.challenge)
    windows = challenge.windows
    number = finality.round_due(challenge, context.time)
    start, end = windows.vote_window(number)
    _window(context, start, end, f"convening round {number}")
    require(
        challenge.opened > 0,
        "NoSubmissionOpened",
        "no submission was opened",
        f"danku challenge finalize {challenge.id} settles it",
    )
    require(number not in challenge.rounds, "AlreadyConvened", f"round {number} has its committee")
    if number == 2:
        require(
            finality.decision(challenge, 1) is None,
            "QuorumReached",
            "round one reached a quorum",
            f"danku challenge finalize {challenge.id}",
        )
    _value(context, 0, "convene")
    committee = finality.committee(challenge, number)
    return money.put(
        state, replace(challenge, rounds={**challenge.rounds, number: Round(committee)})
    )


def _member(challenge: Challenge, context: Context, number: int) -> Round:
    require(
        number in challenge.rounds,
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


def _vote(state: State, action: a.Vote, context: Context) -> State:
    challenge = _ongoing(state, action.challenge)
    number = finality.round_due(challenge, context.time)
    start, end = challenge.windows.vote_window(number)
    _window(context, start, end, f"vote in round {number}")
    found = _member(challenge, context, number)
    require(
        context.sender not in found.votes,
        "AlreadyVoted",
        f"{context.sender} has voted in round {number}",
        "open it in the next window: danku advance",
    )
    _value(context, 0, "vote")
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


def _open_vote(state: State, action: a.OpenVote, context: Context) -> State:
    challenge = _ongoing(state, action.challenge)
    number = finality.round_due(challenge, context.time)
    start, end = challenge.windows.open_vote_window(number)
    _window(context, start, end, f"open_vote in round {number}")
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
    _value(context, 0, "open_vote")
    opened = replace(vote, ballot=ballot, cid=action.cid)
    return _put_vote(state, challenge, number, context.sender, opened)


def _finalize(state: State, action: a.Finalize, context: Context) -> State:
    challenge = _ongoing(state, action.challenge)
    settled = finality.finalize(state, challenge, context.time)
    _value(context, 0, "finalize")
    return settled


def _cancel(state: State, action: a.Cancel, context: Context) -> State:
    challenge = _ongoing(state, action.challenge)
    _organizer(challenge, context)
    windows = challenge.windows
    _window(context, windows.created, windows.submit, "cancel")
    _value(context, 0, "cancel")
    return finality.cancel(state, challenge, context.time)


def _claim(state: State, action: a.Claim, context: Context) -> State:
    challenge = find(state, action.challenge)
    paid = finality.claim(state, challenge, action)
    _value(context, 0, "claim")
    return paid


def _claim_deposit(state: State, action: a.ClaimDeposit, context: Context) -> State:
    challenge = find(state, action.challenge)
    paid = finality.claim_deposit(state, challenge, action.submission)
    _value(context, 0, "claim_deposit")
    return paid


def _withdraw(state: State, action: a.Withdraw, context: Context) -> State:
    amount = state.credits.get(context.sender, 0)
    require(amount > 0, "NothingOwed", f"nothing is credited to {context.sender}")
    _value(context, 0, "withdraw")
    credits = {
        address: owed for address, owed in state.credits.items() if address != context.sender
    }
    paid = {**state.paid, context.sender: state.paid.get(context.sender, 0) + amount}
    return replace(state, credits=credits, paid=paid)


_RULES: dict[type[Record], Callable[[State, Any, Context], State]] = {
    a.Create: _create,
    a.Contribute: _contribute,
    a.OpenSeed: _open_seed,
    a.Draw: _draw,
    a.RevealTrain: _reveal_train,
    a.Submit: _submit,
    a.Open: _open,
    a.RevealTest: _reveal_test,
    a.Convene: _convene,
    a.Vote: _vote,
    a.OpenVote: _open_vote,
    a.Finalize: _finalize,
    a.Cancel: _cancel,
    a.Claim: _claim,
    a.ClaimDeposit: _claim_deposit,
    a.Withdraw: _withdraw,
}


def apply(state: State, action: a.Action, context: Context) -> State:
    """The state after an action.

    Raises:
        Rejected: a rule forbids the action; its ``rule`` names which. The state is unchanged.
    """
    return _RULES[type(action)](state, action, context)
