"""What an address can and must do in a challenge, when, and what it costs to forget."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from danku.errors import Rejected
from danku.protocol.actions import Action, Convene, Draw, Finalize
from danku.protocol.finality import committee, decision, round_due
from danku.protocol.rules import apply
from danku.protocol.state import Challenge, Context, State
from danku.protocol.types import Address
from danku.roles import organizer, seeds, submitter, validator
from danku.roles.assessment import assess
from danku.roles.progress import Progress, quiet
from danku.roles.workspace import Workspace

if TYPE_CHECKING:
    from danku.crypto.signatures import PrivateKey

DONE_BY_OTHERS = {"AlreadyConvened", "AlreadyDrawn", "Final"}
"""Refusals of steps that anyone may take: somebody was quicker, and they are not due any more."""

Step = Callable[[Workspace, "PrivateKey", Progress], object]


@dataclass(frozen=True)
class Duty:
    """One step that is due now or later."""

    name: str
    what: str
    opens: int
    closes: int | None
    cost: str
    """What it costs not to do it; empty if nothing."""
    step: Step

    def due(self, time: int) -> bool:
        """Whether it can be done at this time."""
        return self.opens <= time and (self.closes is None or time < self.closes)


@dataclass(frozen=True)
class View:
    """A challenge as one address sees it at one time."""

    state: State
    challenge: Challenge
    address: Address
    time: int

    def allowed(self, action: Action) -> bool:
        """Whether the rules would accept an action now."""
        try:
            apply(self.state, action, Context(self.address, self.time))
        except Rejected:
            return False
        return True


def _send(action: Action) -> Step:
    return lambda workspace, key, progress: workspace.send(key, action)


def _seed_duties(view: View) -> Iterator[Duty]:
    challenge, windows = view.challenge, view.challenge.windows
    reward = challenge.terms.reward
    if challenge.terms.seed_source == "beacon":
        return
    committed = seeds.committed_by(challenge, view.address)
    if committed is None and view.address in challenge.terms.panel.members:
        yield Duty(
            "contribute",
            "commit to 32 random bytes for the seed",
            windows.created,
            windows.contribute,
            "",
            lambda workspace, key, _: seeds.contribute(workspace, key, challenge.id),
        )
    opened = challenge.seed_secret is not None
    lost = f"the organizer bond of {reward.organizer_bond} and the challenge"
    if view.address != challenge.organizer:
        opened = any(
            item.contributor == view.address and item.secret is not None
            for item in challenge.contributions
        )
        lost = f"the deposit of {reward.contribution_deposit}"
    if committed is not None and not opened:
        yield Duty(
            "open_seed",
            "open the committed seed secret",
            windows.contribute,
            windows.open_seed,
            lost,
            lambda workspace, key, _: seeds.open_seed(workspace, key, challenge.id),
        )


def _organizer_duties(view: View) -> Iterator[Duty]:
    challenge, windows = view.challenge, view.challenge.windows
    if view.address != challenge.organizer:
        return
    bond = f"the organizer bond of {challenge.terms.reward.organizer_bond}"
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
            f"the bond of {challenge.terms.reward.submission_bond} and the place",
            lambda workspace, key, _, number=number: (  # type: ignore[misc]
                submitter.open_submission(workspace, key, challenge.id, number)
            ),
        )


def _vote(workspace: Workspace, key: PrivateKey, progress: Progress, challenge: Challenge) -> None:
    from danku.roles.evaluations import own_evaluator

    validator.precheck_vote(workspace, key, challenge.id)
    with own_evaluator(workspace) as evaluator:
        assessment = assess(workspace, workspace.challenge(challenge.id), evaluator, progress)
    validator.cast_vote(workspace, key, challenge.id, assessment)


def _validator_duties(view: View) -> Iterator[Duty]:
    challenge, windows = view.challenge, view.challenge.windows
    if view.address not in challenge.terms.panel.members:
        return
    if not challenge.opened and view.time >= windows.open:
        return
    number = round_due(challenge, view.time)
    found = challenge.rounds.get(number)
    seated = found.committee if found else committee(challenge, number)
    decided = number == 2 and decision(challenge, 1) is not None
    if view.address not in seated or decided:
        return
    vote = found.votes.get(view.address) if found else None
    share = "this round's share of the fees"
    if vote is None:
        yield Duty(
            "vote",
            f"evaluate the opened models and commit to a vote (round {number})",
            *windows.vote_window(number),
            share,
            lambda workspace, key, progress: _vote(workspace, key, progress, challenge),
        )
    elif vote.ballot is None:
        yield Duty(
            "open_vote",
            f"open the vote of round {number}",
            *windows.open_vote_window(number),
            share,
            lambda workspace, key, _: validator.open_vote(workspace, key, challenge.id),
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


def involved(challenge: Challenge, address: Address) -> bool:
    """Whether an address has a part in a challenge."""
    return (
        address == challenge.organizer
        or address in challenge.terms.panel.members
        or address in challenge.counts
    )


def duties(state: State, challenge: Challenge, address: Address, time: int) -> list[Duty]:
    """The steps of an address in a challenge, by the time at which they open.

    Steps that anyone may take come first where they are due, since others wait for them.
    """
    if challenge.settlement is not None or not involved(challenge, address):
        return []
    view = View(state, challenge, address, time)
    own = [
        *_seed_duties(view),
        *_organizer_duties(view),
        *_submitter_duties(view),
        *_validator_duties(view),
    ]
    ahead = [duty for duty in own if duty.closes is None or time < duty.closes]
    return [*_common_duties(view), *sorted(ahead, key=lambda duty: duty.opens)]


def advance(
    workspace: Workspace,
    key: PrivateKey,
    challenge: Challenge,
    progress: Progress = quiet,
    announce: Callable[[Duty], None] = lambda duty: None,
) -> list[Duty]:
    """Do everything that is due for a key in a challenge; what was done.

    Raises:
        DankuError: a step failed; what was done before stands.
    """
    done: list[Duty] = []
    while due := _due(workspace, key, challenge):
        announce(due[0])
        try:
            due[0].step(workspace, key, progress)
        except Rejected as refusal:
            if refusal.rule not in DONE_BY_OTHERS:
                raise
        else:
            done.append(due[0])
    return done


def _due(workspace: Workspace, key: PrivateKey, challenge: Challenge) -> list[Duty]:
    current, time = workspace.challenge(challenge.id), workspace.ledger.time()
    found = duties(workspace.state(), current, key.address, time)
    return [duty for duty in found if duty.due(time)]
