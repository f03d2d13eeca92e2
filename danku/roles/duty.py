"""A step that is due now or later, and what an address sees of a challenge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from danku.errors import Rejected
from danku.protocol.actions import Action
from danku.protocol.rules import apply
from danku.protocol.state import Challenge, Context, State
from danku.protocol.types import ZERO_DIGEST, Address
from danku.roles.progress import Progress
from danku.roles.workspace import Workspace

if TYPE_CHECKING:
    from danku.crypto.signatures import PrivateKey

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
        """Whether the rules would accept an action now, with a beacon where one is agreed on."""
        beacon = None if self.challenge.terms.seed_source == "contributions" else ZERO_DIGEST
        try:
            apply(self.state, action, Context(self.address, self.time, beacon=beacon))
        except Rejected:
            return False
        return True
