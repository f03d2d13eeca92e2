"""Who plays in the demo: each with a key, a workspace and a private folder of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from danku.crypto.signatures import PrivateKey
from danku.ledger.embedded.envelope import AdvanceTime
from danku.protocol.terms import SeedSource
from danku.roles.setup import make_workspace
from danku.roles.storage_settings import write_storage
from danku.roles.workspace import Workspace
from danku.storage.settings import StorageSettings

ROLES = {
    "organizer": "has the data and the prize",
    "ada": "submitter, trains a neural network",
    "ben": "submitter, trains a logistic regression on four columns",
    "cleo": "submitter, trains one on a single column",
    "dan": "submitter, trains one on two other columns",
    "mallory": "copies Ada's commitment",
    "eve": "enters a leaked copy of Ada's model file",
    "oscar": "enters a broken model",
    "validator-1": "evaluates and votes",
    "validator-2": "evaluates and votes",
    "validator-3": "votes for a result of its own making",
}
SUBMITTERS = ("ada", "ben", "cleo", "dan")
VALIDATORS = ("validator-1", "validator-2", "validator-3")


@dataclass(frozen=True)
class Actor:
    """One participant; nothing but the public folder is shared between actors."""

    name: str
    key: PrivateKey
    workspace: Workspace

    @property
    def address(self) -> str:
        return self.key.address

    @property
    def balance(self) -> int:
        return self.workspace.ledger.balance(self.address)

    def stored(self, storage: StorageSettings) -> Actor:
        """The same participant, whose workspace keeps and looks for blobs elsewhere."""
        write_storage(self.workspace, storage)
        return Actor(self.name, self.key, Workspace(self.workspace.root))


class Venue(Protocol):
    """The ledger that the demo is played on."""

    @property
    def seed_source(self) -> SeedSource:
        """What the seed is mixed from there."""
        ...

    def assemble(self, root: Path) -> dict[str, Actor]:
        """The cast, each with a workspace under ``root`` and money to play with."""
        ...

    def pass_time(self, host: Actor, seconds: int) -> None:
        """Have the ledger's time be so much later."""
        ...


class Sandbox:
    """A fresh sandbox ledger in the organizer's workspace."""

    seed_source: SeedSource = "contributions"

    def assemble(self, root: Path) -> dict[str, Actor]:
        """See `Venue`."""
        cast: dict[str, Actor] = {}
        public: Path | None = None
        for name in ROLES:
            if public is None:
                workspace = make_workspace(root / name, sandbox=True, play_money=2_000_000)
                public = workspace.public
            else:
                workspace = make_workspace(root / name, join=public)
            cast[name] = Actor(name, PrivateKey.generate(), workspace)
        return cast

    def pass_time(self, host: Actor, seconds: int) -> None:
        """See `Venue`."""
        host.workspace.embedded.submit(host.key, AdvanceTime(seconds))
