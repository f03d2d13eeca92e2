"""Ledgers to play on, with people, money and time; and a game played through the port."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from danku.crypto.hashing import keccak
from danku.crypto.signatures import PrivateKey
from danku.ledger.embedded.envelope import Grant
from danku.ledger.embedded.genesis import create_journal
from danku.ledger.embedded.ledger import EmbeddedLedger
from danku.ledger.port import Ledger, Receipt
from danku.protocol.actions import Action
from danku.protocol.draw import challenge_id
from danku.protocol.initialization import next_nonce
from danku.protocol.state import State
from danku.protocol.terms import RegistryTerms, Terms
from danku.protocol.types import BURN_ADDRESS, Amount
from tests.protocol import simulator

START = 1_700_000_000
NONCE = keccak(b"a ledger for tests")
VALIDATORS = ("validator 0", "validator 1", "validator 2")
SUBMITTERS = ("alice", "bob", "carol")
PEOPLE = ("organizer", *SUBMITTERS, *VALIDATORS, "outsider")
FUNDS = 10_000


def key_of(name: str) -> PrivateKey:
    """Everybody's key follows from their name."""
    return PrivateKey.from_bytes(keccak(b"key of", name.encode()))


class World(Protocol):
    """What a conformance test needs of a ledger besides the port."""

    ledger: Ledger

    def again(self) -> Ledger:
        """The same ledger, as another process would open it."""
        ...

    def fund(self, name: str, amount: int) -> None: ...

    def wait_until(self, time: int) -> None:
        """Have the ledger's time be at least this."""
        ...


class Clock:
    """A clock that shows what it is told to."""

    def __init__(self, now: int = START) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


class EmbeddedWorld:
    """A journal with a treasurer, and a private folder beside it."""

    def __init__(
        self,
        folder: Path,
        *,
        sandbox: bool = False,
        sequencer: str = "",
        registry: RegistryTerms | None = None,
    ) -> None:
        self.clock = Clock()
        self.path = folder / "ledger.jsonl"
        self.cache, self.heads = folder / "state.cache", folder / "heads.json"
        self.sequencer = key_of(sequencer) if sequencer else None
        self.identity = create_journal(
            self.path,
            sandbox=sandbox,
            play_money=FUNDS if sandbox else 0,
            treasurer=key_of("treasurer").address,
            sequencer=self.sequencer.public_key if self.sequencer else None,
            clock=self.clock,
            registry=registry,
            nonce=NONCE,
        )
        self.ledger = self.again()

    def again(self, *, private: bool = True) -> EmbeddedLedger:
        return EmbeddedLedger(
            self.path,
            clock=self.clock,
            cache=self.cache if private else None,
            heads=self.heads if private else None,
            sequencer=self.sequencer,
        )

    def fund(self, name: str, amount: int) -> None:
        grant = Grant(key_of(name).address, Amount(amount))
        self.ledger.submit(key_of("treasurer"), grant)

    def wait_until(self, time: int) -> None:
        self.clock.now = max(self.clock.now, time)

    def lines(self) -> list[bytes]:
        """The journal's lines, each with its newline."""
        return self.path.read_bytes().splitlines(keepends=True)


class PortGame(simulator.Game):
    """A challenge played on a ledger by people with keys; the books are checked at every step."""

    def __init__(self, world: World, agreed: Terms | None = None, *, fund: bool = True) -> None:
        self.world = world
        self.ledger = world.ledger
        self.addresses = {key_of(name).address: name for name in (*PEOPLE, "treasurer")}
        if fund:
            for name in PEOPLE:
                world.fund(name, FUNDS)
        self.before = self.total()
        self.terms = agreed or simulator.terms([key_of(name).address for name in VALIDATORS])
        self.organizer = key_of("organizer").address
        self.nonce = next_nonce(self.ledger.state(), self.organizer)
        self.id = challenge_id(
            self.ledger.chain_id, self.ledger.address, self.organizer, self.nonce
        )
        self.leaves = []
        self.receipts: list[Receipt] = []
        self.send(self.creating(), self.organizer)

    @property
    def state(self) -> State:
        return self.ledger.state()

    @property
    def time(self) -> int:
        return self.ledger.time()

    @time.setter
    def time(self, time: int) -> None:
        self.world.wait_until(time)

    def total(self) -> int:
        """All money: what people can spend, what is escrowed, credited, burned."""
        state = self.ledger.state()
        return (
            sum(map(self.ledger.balance, (*self.addresses, BURN_ADDRESS)))
            + sum(challenge.escrow for challenge in state.challenges.values())
            + sum(state.credits.values())
            + (state.registry.staked if state.registry else 0)
        )

    def send(self, action: Action, sender: str, value: int | None = None) -> None:
        carried = simulator.price(self.state, action) if value is None else value
        name = self.addresses.get(sender, "outsider")
        self.receipts.append(self.ledger.submit(key_of(name), action, carried))
        assert self.total() == self.before, action

    def submit(self, *who: str, model: str = "model") -> simulator.Game:
        names = who or tuple(key_of(name).address for name in SUBMITTERS)
        return super().submit(*names, model=model)

    def money(self, name: str) -> int:
        """What somebody has gained, in hand."""
        return self.ledger.balance(key_of(name).address) - FUNDS
