"""What is due for those who judge: parts of the seed, and votes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from danku.protocol.committee import (
    convened,
    decision,
    eligible_seats,
    judges,
    named_committee,
    round_due,
)
from danku.protocol.slashing import share_of
from danku.protocol.state import Challenge
from danku.protocol.terms import SeatsPanel
from danku.roles import seeds, validator
from danku.roles.assessment import assess
from danku.roles.duty import Duty, View
from danku.roles.progress import Progress
from danku.roles.retrieval import retrieved, serve
from danku.roles.workspace import Workspace

if TYPE_CHECKING:
    from danku.crypto.signatures import PrivateKey


def seed_duties(view: View) -> Iterator[Duty]:
    """Committing to a part of the seed, and opening it."""
    challenge, windows = view.challenge, view.challenge.windows
    reward = challenge.terms.reward
    if challenge.terms.seed_source == "beacon":
        return
    committed = seeds.committed_by(challenge, view.address)
    room = len(challenge.contributions) < challenge.terms.panel.contributors
    if committed is None and room and judges(challenge, view.state.registry, view.address):
        yield Duty(
            "contribute",
            "commit to 32 random bytes for the seed",
            windows.created,
            windows.contribute,
            "",
            lambda workspace, key, _: seeds.contribute(workspace, key, challenge.id),
        )
    opened = challenge.seed_secret is not None
    lost = f"the organizer bond of {reward.organizer_bond:,} and the challenge"
    if view.address != challenge.organizer:
        opened = any(
            item.contributor == view.address and item.secret is not None
            for item in challenge.contributions
        )
        lost = f"the deposit of {reward.contribution_deposit:,}"
    if committed is not None and not opened:
        yield Duty(
            "open_seed",
            "open the committed seed secret",
            windows.contribute,
            windows.open_seed,
            lost,
            lambda workspace, key, _: seeds.open_seed(workspace, key, challenge.id),
        )


def _vote(workspace: Workspace, key: PrivateKey, progress: Progress, challenge: Challenge) -> None:
    from danku.roles.evaluations import own_evaluator

    validator.precheck_vote(workspace, key, challenge.id)
    current = workspace.challenge(challenge.id)
    with retrieved(workspace, current, progress), own_evaluator(workspace) as evaluator:
        assessment = assess(workspace, current, evaluator, progress)
    validator.cast_vote(workspace, key, challenge.id, assessment)
    serve(workspace, current, progress)


def _open_vote(
    workspace: Workspace, key: PrivateKey, progress: Progress, challenge: Challenge
) -> None:
    from danku.roles.evaluations import own_evaluator

    if not validator.holds_vote(workspace, key, challenge.id):
        with own_evaluator(workspace) as evaluator:
            assessment = assess(workspace, workspace.challenge(challenge.id), evaluator, progress)
        validator.recover_vote(workspace, key, challenge.id, assessment)
    validator.open_vote(workspace, key, challenge.id)


def _chance(view: View, number: int) -> str | None:
    """With how many seats an address votes in a round, or may; None if it does not."""
    challenge, address = view.challenge, view.address
    found = challenge.rounds.get(number)
    if challenge.pool is None:
        seated = found.committee if found else named_committee(challenge, number)
        return "" if address in seated else None
    if found is not None and convened(challenge, number):
        held = found.committee.count(address)
        return f", with {held} of {len(found.committee)} seats" if held else None
    if view.time >= challenge.windows.vote_window(number)[0]:
        return None
    held = eligible_seats(challenge, view.state.registry, address)
    return f", if one of {held} seat(s) is drawn"


def _at_stake(view: View, number: int, fault: str) -> str:
    """What a fault in a round costs."""
    share, panel = "this round's share of the fees", view.challenge.terms.panel
    registry, found = view.state.registry, view.challenge.rounds.get(number)
    if not isinstance(panel, SeatsPanel) or registry is None:
        return share
    part = panel.silence_share if fault == "silent" else panel.minority_share
    lost = share_of(registry.terms.stake, part)
    held = found.committee.count(view.address) if found else 0
    stake = f"{held * lost:,} of the stake" if held else f"{lost:,} of each drawn seat's stake"
    return f"{stake}, and {share}"


def validator_duties(view: View) -> Iterator[Duty]:
    """Voting in the round that is due, and opening the vote."""
    challenge, windows = view.challenge, view.challenge.windows
    if not judges(challenge, view.state.registry, view.address):
        return
    if not challenge.opened and view.time >= windows.open:
        return
    number = round_due(challenge, view.time)
    chance = _chance(view, number)
    if chance is None or (number == 2 and decision(challenge, 1) is not None):
        return
    found = challenge.rounds.get(number)
    vote = found.votes.get(view.address) if found else None
    if vote is None:
        yield Duty(
            "vote",
            f"evaluate the opened models and commit to a vote (round {number}{chance})",
            *windows.vote_window(number),
            _at_stake(view, number, "silent"),
            lambda workspace, key, progress: _vote(workspace, key, progress, challenge),
        )
    elif vote.ballot is None:
        yield Duty(
            "open_vote",
            f"open the vote of round {number}",
            *windows.open_vote_window(number),
            _at_stake(view, number, "unopened"),
            lambda workspace, key, progress: _open_vote(workspace, key, progress, challenge),
        )
