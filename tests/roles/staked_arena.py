"""The small competition on a ledger with staked validators."""

from __future__ import annotations

from pathlib import Path

from danku.protocol.registry import registry_of
from danku.protocol.state import Round
from danku.protocol.terms import RegistryTerms
from danku.protocol.types import Amount
from danku.roles import seats
from danku.roles.duties import advance
from danku.roles.seats import Holding, holding
from tests.roles.arena import TOML, VALIDATORS, Arena, edited, key_of

STAKE, UNBONDING = 1_000, 7 * 86_400
MINORITY, SILENCE = 300, 50
STAKERS = (*VALIDATORS, "wanda", "wim", "xenia", "yann", "zoe")
NAMES = {key_of(name).address: name for name in STAKERS}


class StakedArena(Arena):
    """Eight validators with a seat each; a committee takes four."""

    registry = RegistryTerms(Amount(STAKE), UNBONDING)

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        for name in STAKERS:
            if name not in self.players:
                self.players[name] = self.join(name)
            seats.join(*self[name], 1)

    def text(self) -> str:
        return edited(TOML, {"panel": '"seats"', "addresses": "[]"}).replace(
            "addresses = []", "seats = 4"
        )

    def advance(self, *names: str) -> dict[str, list[str]]:
        """What `advance` does for each of them, in turn."""
        return {
            name: [duty.name for duty in advance(*self[name], self.challenge)] for name in names
        }

    def round(self, number: int) -> Round:
        return self.challenge.rounds[number]

    def seated(self, number: int) -> list[str]:
        """Who sits in a round."""
        return [NAMES[owner] for owner in self.round(number).committee]

    def holding(self, name: str) -> Holding:
        return holding(self.host.state(), key_of(name).address, self.host.ledger.time())

    def staked(self) -> int:
        return registry_of(self.host.state()).staked

    def opened(self) -> StakedArena:
        """Played until models and test data are public, three of the validators contributing."""
        self.play("reveal_test")
        return self
