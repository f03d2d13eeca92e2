"""Games of the rules' tests, played on the rules and the contract together."""

from __future__ import annotations

from collections.abc import Mapping

from danku.protocol import actions
from danku.protocol.state import State
from danku.protocol.terms import SeatsPanel, Terms
from tests.ethereum.both import Both
from tests.protocol.simulator import ORGANIZER, Game, Moves, terms
from tests.protocol.staked import STAKERS, StakedGame


class _OnBoth:
    """The ledger of a game is two."""

    both: Both

    @property
    def state(self) -> State:
        return self.both.state

    @property
    def time(self) -> int:
        return self.both.time

    @time.setter
    def time(self, time: int) -> None:
        self.both.time = time

    def send(self, action: actions.Action, sender: str, value: int | None = None) -> None:
        assert value is None, "a game is played with the right money"
        rule = self.both.attempt(action, sender)
        assert rule is None, f"{action} of {sender} is refused: {rule}"

    def refused(self, action: actions.Action, sender: str, off: int = 0) -> str:
        rule = self.both.attempt(action, sender, off)
        assert rule is not None, f"{action} of {sender} is accepted"
        return rule


class OnChain(_OnBoth, Game):  # type: ignore[misc]
    """A challenge that a named panel judges."""

    def __init__(
        self, both: Both, agreed: Terms | None = None, organizer: str = ORGANIZER, nonce: int = 0
    ) -> None:
        Moves.__init__(self, agreed or terms(), organizer, nonce)
        self.both = both
        self.send(self.creating(), organizer)


class StakedOnChain(_OnBoth, StakedGame):  # type: ignore[misc]
    """A challenge that staked validators judge."""

    def __init__(
        self, both: Both, agreed: Terms | None = None, stakes: Mapping[str, int] | None = None
    ) -> None:
        Moves.__init__(self, agreed or terms(SeatsPanel(4, 3_000, 500)), ORGANIZER)
        self.both = both
        for owner, seats in (stakes or dict.fromkeys(STAKERS, 1)).items():
            self.join(owner, seats)
        self.send(self.creating(), ORGANIZER)
