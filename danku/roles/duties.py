"""What an address can and must do in a challenge, when, and what it costs to forget."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from danku.errors import Rejected
from danku.protocol.actions import Action, Convene, Draw, Finalize
from danku.protocol.committee import judges
from danku.protocol.state import Challenge, State
from danku.protocol.types import Address
from danku.roles import organizer, submitter
from danku.roles.duty import Duty, Step, View
from danku.roles.judging import seed_duties, validator_duties
from danku.roles.progress import Progress, quiet
from danku.roles.workspace import Workspace

if TYPE_CHECKING:
    from danku.crypto.signatures import PrivateKey

__all__ = ["Duty", "advance", "duties", "involved"]

DONE_BY_OTHERS = {"AlreadyConvened", "AlreadyDrawn", "Final"}
"""Refusals of steps that anyone may take: somebody was quicker, and they are not due any more."""


def _send(action: Action) -> Step:
    return lambda workspace, key, progress: workspace.send(key, action)


def _organizer_duties(view: View) -> Iterator[Duty]:
    challenge, windows = view.challenge, view.challenge.windows
    if view.address != challenge.organizer:
        return
    bond = f"the organizer bond of {challenge.terms.reward.organizer_bond:,}"
    if challenge.train is None:
        if challenge.seed is None and view.time >= windows.open_seed:
            return
        yield Duty(
            "reveal_train",
            "publish the train groups that the seed decides",
            windows.open_seed,
            windows.reveal_train,
            bond + " and the challenge",
            lambda workspace, key, progress: organizer.reveal(
                workspace, key, challenge.id, "train", progress
            ),
        )
    elif challenge.test is None and (challenge.opened or view.time < windows.open):
        yield Duty(
            "reveal_test",
            "publish the test groups",
            windows.open,
            windows.reveal_test,
            bond + ", and models are judged on the train data",
            lambda workspace, key, progress: organizer.reveal(
                workspace, key, challenge.id, "test", progress
            ),
        )


def _submitter_duties(view: View) -> Iterator[Duty]:
    challenge, windows = view.challenge, view.challenge.windows
    sealed = [
        entry.number
        for entry in submitter.own_submissions(challenge, view.address)
        if entry.opening is None
    ]
    for number in sealed:
        yield Duty(
            "open",
            f"open submission {number}",
            windows.submit,
            windows.open,
            f"the bond of {challenge.terms.reward.submission_bond:,} and the place",
            lambda workspace, key, _, number=number: (  # type: ignore[misc]
                submitter.open_submission(workspace, key, challenge.id, number)
            ),
        )


def _common_duties(view: View) -> Iterator[Duty]:
    challenge = view.challenge
    actions: tuple[tuple[str, str, Action], ...] = (
        ("draw", "draw the seed and the partition", Draw(challenge.id)),
        ("finalize", "settle the challenge", Finalize(challenge.id)),
        ("convene", "call the committee of the round", Convene(challenge.id)),
    )
    for name, what, action in actions:
        if view.allowed(action):
            yield Duty(name, what, view.time, None, "", _send(action))


def involved(state: State, challenge: Challenge, address: Address) -> bool:
    """Whether an address has a part in a challenge."""
    return (
        address == challenge.organizer
        or address in challenge.counts
        or judges(challenge, state.registry, address)
    )


def duties(state: State, challenge: Challenge, address: Address, time: int) -> list[Duty]:
    """The steps of an address in a challenge, by the time at which they open.

    Steps that anyone may take come first where they are due, since others wait for them.
    """
    if challenge.settlement is not None or not involved(state, challenge, address):
        return []
    view = View(state, challenge, address, time)
    own = [
        *seed_duties(view),
        *_organizer_duties(view),
        *_submitter_duties(view),
        *validator_duties(view),
    ]
    ahead = [duty for duty in own if duty.closes is None or time < duty.closes]
    return [*_common_duties(view), *sorted(ahead, key=lambda duty: duty.opens)]


def advance(
    workspace: Workspace,
    key: PrivateKey,
    challenge: Challenge,
    progress: Progress = quiet,
    announce: Callable[[Duty], None] = lambda duty: None,
) -> Iterator[Duty]:
    """Do what is due for a key in a challenge, step by step, until nothing is; each step done.

    Raises:
        DankuError: a step failed; what was done before stands.
    """
    while due := _due(workspace, key, challenge):
        announce(due[0])
        try:
            due[0].step(workspace, key, progress)
        except Rejected as refusal:
            if refusal.rule not in DONE_BY_OTHERS:
                raise
        else:
            yield due[0]


def _due(workspace: Workspace, key: PrivateKey, challenge: Challenge) -> list[Duty]:
    current, time = workspace.challenge(challenge.id), workspace.ledger.time()
    found = duties(workspace.state(), current, key.address, time)
    return [duty for duty in found if duty.due(time)]
