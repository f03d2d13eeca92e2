"""What the demo tells, step by step, to whoever shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from danku.demo.cast import Actor
    from danku.errors import Rejected
    from danku.protocol.actions import Ballot
    from danku.protocol.manifest import Manifest
    from danku.protocol.state import Challenge
    from danku.roles.auditor import Report
    from danku.roles.board import Board


class Narration(Protocol):
    """Shows the demo; every method may also do nothing."""

    def open(self, cast: Mapping[str, Actor]) -> None:
        """Introduce the actors."""
        ...

    def stage(self, number: int, name: str) -> None:
        """Begin a stage, counted from 1."""
        ...

    def say(self, who: str, what: str) -> None:
        """One step of somebody's."""
        ...

    def refused(self, who: str, what: str, refusal: Rejected) -> None:
        """A step that the ledger refused."""
        ...

    def wait(self, seconds: int) -> None:
        """Sandbox time that goes by."""
        ...

    def created(self, challenge: Challenge, manifest: Manifest, rows: int) -> None:
        """What the organizer has just committed to."""
        ...

    def voted(self, name: str, ballot: Ballot, names: Mapping[str, str]) -> None:
        """A vote that was opened; ``names`` are the actors' by address."""
        ...

    def leaderboard(self, board: Board, names: Mapping[str, str]) -> None:
        """The decided leaderboard."""
        ...

    def balances(
        self,
        before: Mapping[str, int],
        after: Mapping[str, int],
        payouts: Mapping[str, int],
    ) -> None:
        """Who gained and who lost."""
        ...

    def verified(self, report: Report, seconds: float) -> None:
        """The verification, and how long the demo took."""
        ...

    def progress(self, what: str, done: int, total: int) -> None:
        """How far a longer step is."""
        ...
