"""A challenge that staked validators judge, played on the ledger in memory."""

from __future__ import annotations

from collections.abc import Mapping

from danku.protocol import actions
from danku.protocol.committee import convened, judges, round_due
from danku.protocol.initialization import next_nonce
from danku.protocol.registry import held_by, seats_of
from danku.protocol.state import Registry, Seat
from danku.protocol.terms import RegistryTerms, SeatsPanel, Terms
from danku.protocol.types import Amount
from tests.protocol.simulator import ORGANIZER, OUTSIDER, Game, Ledger, Moves, address, terms

STAKE, UNBONDING = 1_000, 5_000
REGISTRY = RegistryTerms(Amount(STAKE), UNBONDING)
PANEL = SeatsPanel(4, 3_000, 500)
MINORITY, SILENCE = 300, 50
STAKERS = tuple(address(f"staker {number}") for number in range(12))


class StakedGame(Game):
    """One challenge on a ledger with a registry; a method a step, as in `Game`."""

    def __init__(
        self,
        stakes: Mapping[str, int] | None = None,
        agreed: Terms | None = None,
        *,
        registry: RegistryTerms = REGISTRY,
        organizer: str = ORGANIZER,
    ) -> None:
        Moves.__init__(self, agreed or terms(PANEL), organizer)
        Ledger.__init__(self, staking=registry)
        for owner, seats in (stakes or dict.fromkeys(STAKERS, 1)).items():
            self.join(owner, seats)
        self.send(self.creating(), organizer)

    @property
    def registry(self) -> Registry:
        found = self.state.registry
        assert found is not None
        return found

    @property
    def panel(self) -> tuple[str, ...]:
        """Who sits in the round that is due; before, three who contribute to the seed."""
        found = self.challenge.rounds.get(round_due(self.challenge, self.time))
        return tuple(dict.fromkeys(found.committee)) if found else self.owners()[:3]

    def owners(self) -> tuple[str, ...]:
        """Everybody whose seats may serve, first come first."""
        owners = dict.fromkeys(seat.owner for seat in self.registry.seats if seat)
        return tuple(who for who in owners if judges(self.challenge, self.registry, who))

    def join(self, who: str, seats: int = 1) -> StakedGame:
        self.send(actions.Join(seats, held_by(self.registry, who)), who)
        return self

    def leave(self, who: str, *numbers: int) -> StakedGame:
        ended = numbers or tuple(n for n, seat in self.own(who).items() if not seat.until)
        self.send(actions.Leave(ended), who)
        return self

    def unstake(self, who: str, *numbers: int) -> StakedGame:
        self.send(actions.Unstake(numbers or tuple(self.own(who))), who)
        return self

    def own(self, who: str) -> dict[int, Seat]:
        return seats_of(self.registry, who)

    def convene(self) -> Game:
        self.wait("reveal_test")
        number = round_due(self.challenge, self.time)
        while not convened(self.challenge, number):
            self.send(actions.Convene(self.id), OUTSIDER)
        return self

    def losses(self) -> dict[str, int]:
        """What each owner's seats were slashed by."""
        found: dict[str, int] = {}
        for seat in self.registry.seats:
            if seat is not None and seat.loss:
                found[seat.owner] = found.get(seat.owner, 0) + seat.loss
        return found

    def conserved(self) -> bool:
        """Whether all that came in is escrowed, staked, credited or paid."""
        state = self.state
        staked = sum(self.registry.terms.stake - seat.loss for seat in self.registry.seats if seat)
        assert staked == self.registry.staked
        held = sum(challenge.escrow for challenge in state.challenges.values()) + staked
        held += sum(state.credits.values()) + sum(state.paid.values())
        return held == state.received


def second(game: StakedGame, agreed: Terms | None = None, organizer: str = ORGANIZER) -> StakedGame:
    """Another challenge on the same ledger, whose clock and state are then its own."""
    twin = StakedGame.__new__(StakedGame)
    nonce = next_nonce(game.state, organizer)
    Moves.__init__(twin, agreed or game.terms, organizer, nonce)
    Ledger.__init__(twin)
    twin.state, twin.time = game.state, game.time
    twin.send(twin.creating(), organizer)
    return twin
