"""Copies of one journal that go separate ways, and what git would say of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from danku.crypto.signatures import PrivateKey
from danku.ledger.embedded.conflict import whole_lines
from danku.ledger.embedded.envelope import AdvanceTime, LedgerAction, SignedAction
from danku.ledger.embedded.genesis import create_journal
from danku.ledger.embedded.heads import Head, Heads
from danku.ledger.embedded.ledger import EmbeddedLedger
from danku.ledger.embedded.lines import read_line
from danku.ledger.embedded.merge import Merged, Side, merge
from danku.ledger.embedded.repository import Copy, Repository, View
from danku.ledger.embedded.transfer import put_merged
from tests.ledger.worlds import FUNDS, NONCE, Clock, key_of


class Hub(Repository):
    """A repository whose upstream holds what the test put there."""

    def __init__(self, journal: Path) -> None:
        super().__init__(journal)
        self.data, self.problem = b"", ""

    def view(self) -> View:
        if self.problem:
            return View(tracked=True, problem=self.problem)
        return View(tracked=True, copies=(Copy("origin/main", self.data),))


@dataclass
class Fork:
    """A workspace's copy of a journal, with its memory."""

    folder: Path
    hub: Hub
    clock: Clock
    sequencer: PrivateKey | None = None

    @property
    def path(self) -> Path:
        return self.folder / "ledger.jsonl"

    @property
    def data(self) -> bytes:
        return self.path.read_bytes()

    @property
    def heads(self) -> Heads:
        return Heads(self.folder / "heads.json")

    @property
    def floor(self) -> Head | None:
        known = self.heads.known(self.path, self.ledger.address)
        return known.shared if known else None

    @property
    def ledger(self) -> EmbeddedLedger:
        """The ledger as the next command would open it."""
        return EmbeddedLedger(
            self.path,
            clock=self.clock,
            heads=self.folder / "heads.json",
            cache=self.folder / "state.cache",
            sequencer=self.sequencer,
            repository=self.hub,
        )

    def act(self, name: str, action: LedgerAction | None = None, value: int = 0) -> str:
        """Somebody acts here; the action's digest."""
        return self.ledger.submit(key_of(name), action or AdvanceTime(1), value).digest

    def clone(self, name: str) -> Fork:
        """A new clone of what the hub holds."""
        folder = self.folder.with_name(name)
        folder.mkdir()
        (folder / "ledger.jsonl").write_bytes(self.hub.data)
        return Fork(folder, self.hub, self.clock, self.sequencer)

    def push(self) -> bool:
        """Put the journal on the hub, if nothing there is lost by it."""
        if not self.data.startswith(self.hub.data):
            return False
        self.hub.data = self.data
        return True

    def take(self, other: bytes, floor: Head | None = None) -> Merged:
        """Merge: the lines of the other journal stay, mine move."""
        merged = join(other, self.data, self.clock, floor, self.sequencer)
        put_merged(merged, self.path, clock=self.clock)
        return merged

    def pull(self) -> Merged:
        """Merge the hub's journal, as git does, and go on."""
        merged = self.take(self.hub.data, self.floor)
        self.ledger.head()
        return merged


def join(
    kept: bytes,
    moving: bytes,
    clock: Clock,
    floor: Head | None = None,
    sequencer: PrivateKey | None = None,
) -> Merged:
    """Merge two journals' bytes."""
    return merge(
        Side("kept", whole_lines(kept)),
        Side("moving", whole_lines(moving)),
        now=clock(),
        floor=floor,
        sequencer=lambda: sequencer,
    )


def first_fork(folder: Path, *, sequencer: str = "", play_money: int = FUNDS) -> Fork:
    """A sandbox that is on the hub already."""
    place, clock = folder / "first", Clock()
    place.mkdir()
    key = key_of(sequencer) if sequencer else None
    create_journal(
        place / "ledger.jsonl",
        sandbox=True,
        play_money=play_money,
        treasurer=key_of("treasurer").address,
        sequencer=key.public_key if key else None,
        clock=clock,
        nonce=NONCE,
    )
    hub = Hub(place / "ledger.jsonl")
    fork = Fork(place, hub, clock, key)
    hub.data = fork.data
    return fork


def signed_in(data: bytes) -> list[SignedAction]:
    """The signed actions of a journal, in order."""
    return [read_line(line).action for line in whole_lines(data)[1:]]


def digests_in(data: bytes) -> list[str]:
    """Their digests."""
    return ["0x" + signed.digest.hex() for signed in signed_in(data)]
