"""Stages 2 and 3: models are committed to, then opened, then the test data is revealed.

What a submitter reports of a committed model's score is kept here and believed nowhere: whether the
challenge has a yardstick at all, only its manifest says.
"""

from __future__ import annotations

from msgspec.structs import replace

from danku.crypto.commitments import submission_commitment
from danku.crypto.hashing import from_hex, to_hex
from danku.protocol import actions as a
from danku.protocol import money
from danku.protocol.committee import eligible_seats
from danku.protocol.draw import mix_in
from danku.protocol.errors import require
from danku.protocol.guards import exact_value, ongoing, organizer_only, window
from danku.protocol.state import Challenge, Context, Opening, Pool, Registry, State, Submission
from danku.protocol.types import Address


def submit(state: State, action: a.Submit, context: Context) -> State:
    """Commit to a model.

    Raises:
        Rejected: by the rules below, in their order.
    """
    challenge = ongoing(state, action.challenge)
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
    pool = _remaining(challenge, state.registry, context.sender)
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
    exact_value(context, reward.submission_bond + reward.entry_fee, "submit")
    entry = Submission(number, context.sender, action.commitment, context.time)
    entered = replace(
        challenge,
        submissions=(*challenge.submissions, entry),
        counts={**challenge.counts, context.sender: used + 1},
        pool=pool,
    )
    return money.deposit(state, entered, context.value)


def _remaining(challenge: Challenge, registry: Registry | None, submitter: Address) -> Pool | None:
    """The pool without the seats of one more submitter, which cannot judge any more."""
    pool = challenge.pool
    if pool is None:
        return None
    left = pool.eligible - eligible_seats(challenge, registry, submitter)
    needed = 2 * challenge.terms.panel.seats
    require(
        left >= needed,
        "TooFewSeats",
        f"without the seats of {submitter} {left} are eligible, the committees need {needed}",
        "enter with another key, or leave the entering to others",
    )
    return replace(pool, eligible=left)


def _own_entry(challenge: Challenge, number: int, sender: Address) -> Submission:
    """The sender's submission of this number."""
    require(
        number < len(challenge.submissions),
        "UnknownSubmission",
        f"no submission {number}; there are {len(challenge.submissions)}",
        f"danku model list {challenge.id}",
    )
    entry = challenge.submissions[number]
    require(
        entry.submitter == sender,
        "NotSubmitter",
        f"submission {number} was made by {entry.submitter}, not by {sender}",
    )
    return entry


def _with_entry(challenge: Challenge, entry: Submission) -> tuple[Submission, ...]:
    """All submissions, one of them in a newer version."""
    entries = list(challenge.submissions)
    entries[entry.number] = entry
    return tuple(entries)


def report(state: State, action: a.Report, context: Context) -> State:
    """Say what a committed model scores on the yardstick.

    Raises:
        Rejected: by the rules below, in their order.
    """
    challenge = ongoing(state, action.challenge)
    window(context, challenge.windows.created, challenge.windows.submit, "report")
    entry = _own_entry(challenge, action.submission, context.sender)
    exact_value(context, 0, "report")
    entries = _with_entry(challenge, replace(entry, report=action.score))
    return money.put(state, replace(challenge, submissions=entries))


def open_model(state: State, action: a.Open, context: Context) -> State:
    """Open a committed model.

    Raises:
        Rejected: by the rules below, in their order.
    """
    challenge = ongoing(state, action.challenge)
    windows = challenge.windows
    window(context, windows.submit, windows.open, "open")
    entry = _own_entry(challenge, action.submission, context.sender)
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
    exact_value(context, 0, "open")
    opening = Opening(action.model, action.cid, action.salt)
    opened = replace(
        challenge,
        submissions=_with_entry(challenge, replace(entry, opening=opening)),
        opened=challenge.opened + 1,
        mix=mix_in(challenge.mix, context.sender, action.salt),
    )
    return money.put(state, opened)


def reveal_test(state: State, action: a.RevealTest, context: Context) -> State:
    """Name the bundle of the test groups.

    Raises:
        Rejected: by the rules below, in their order.
    """
    challenge = ongoing(state, action.challenge)
    organizer_only(challenge, context)
    windows = challenge.windows
    window(context, windows.open, windows.reveal_test, "reveal_test")
    require(challenge.train is not None, "TrainNotRevealed", "the train data was never revealed")
    require(challenge.test is None, "AlreadyRevealed", f"the test bundle is {challenge.test}")
    exact_value(context, 0, "reveal_test")
    return money.put(state, replace(challenge, test=action.bundle))
