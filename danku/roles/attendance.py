"""One pass of a validator over everything that it judges: idempotent, and safe to be killed.

Every step asks the ledger what stands and does only what is due, so a pass that was cut short is
simply made again: votes that were committed are opened, verdicts that were found are remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from danku.errors import DankuError
from danku.protocol.committee import judges
from danku.protocol.state import Challenge
from danku.protocol.types import Address, Digest
from danku.roles.assessment import Assessment, assess
from danku.roles.board import board
from danku.roles.duties import advance, duties
from danku.roles.duty import Duty
from danku.roles.names import name_of
from danku.roles.progress import Progress, quiet
from danku.roles.reports import Report, due_in_words
from danku.roles.workspace import Workspace

if TYPE_CHECKING:
    from danku.crypto.signatures import PrivateKey
    from danku.evaluation.pool import Evaluator

REPORTED = 20
"""Challenges in a report, the newest first; all that are not over are in it."""


@dataclass(frozen=True)
class Visit:
    """What a pass did in one challenge, and what stopped it there."""

    challenge: Digest
    done: tuple[str, ...]
    error: DankuError | None


def judged(workspace: Workspace, address: Address, *, ongoing: bool = True) -> list[Challenge]:
    """The challenges that an address judges, in the order of their creation.

    Args:
        ongoing: only those that are not settled.
    """
    state = workspace.state()
    return [
        challenge
        for challenge in state.challenges.values()
        if judges(challenge, state.registry, address)
        and not (ongoing and challenge.settlement is not None)
    ]


def attend(
    workspace: Workspace,
    key: PrivateKey,
    progress: Progress = quiet,
    announce: Callable[[Challenge, Duty], None] = lambda challenge, duty: None,
) -> Iterator[Visit]:
    """Do whatever is due for a key, challenge by challenge; one that fails does not stop others."""
    for challenge in judged(workspace, key.address):
        done: list[str] = []

        def tell(duty: Duty, challenge: Challenge = challenge) -> None:
            announce(challenge, duty)

        try:
            for duty in advance(workspace, key, challenge, progress, tell):
                done.append(duty.name)
        except DankuError as error:
            yield Visit(challenge.id, tuple(done), error)
        else:
            yield Visit(challenge.id, tuple(done), None)


@dataclass(frozen=True)
class Preview:
    """What a key would vote, had it to vote now."""

    challenge: Digest
    name: str
    assessment: Assessment


def preview(
    workspace: Workspace, address: Address, evaluator: Evaluator, progress: Progress = quiet
) -> Iterator[Preview]:
    """Evaluate every challenge whose models and data are public, and vote nothing."""
    now = workspace.ledger.time()
    for challenge in judged(workspace, address):
        if challenge.opened and now >= challenge.windows.reveal_test:
            assessment = assess(workspace, challenge, evaluator, progress)
            yield Preview(challenge.id, name_of(workspace, challenge.id), assessment)


def reports(workspace: Workspace, address: Address, visits: list[Visit]) -> list[Report]:
    """What a CI system is told of the challenges that an address judges."""
    told = {visit.challenge: visit for visit in visits}
    everything = judged(workspace, address, ongoing=False)
    newest = {challenge.id for challenge in everything[-REPORTED:]}
    found = []
    for challenge in reversed(everything):
        if challenge.settlement is not None and challenge.id not in newest:
            continue
        with suppress(DankuError):
            visit = told.get(challenge.id, Visit(challenge.id, (), None))
            error = f"{visit.error.name}: {visit.error.what}" if visit.error else ""
            shown = board(workspace, challenge)
            found.append(Report(shown, visit.done, _next(workspace, challenge, address), error))
    return found


def _next(workspace: Workspace, challenge: Challenge, address: Address) -> str:
    coming = duties(workspace.state(), challenge, address, workspace.ledger.time())
    return due_in_words(coming[0].name, coming[0].opens, coming[0].closes) if coming else ""
