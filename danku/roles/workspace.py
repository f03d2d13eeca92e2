"""A workspace: the folder that ties ledger, store, keys and private files together."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec

from danku.errors import DataError, UsageError
from danku.ledger.embedded.ledger import EmbeddedLedger, system_clock
from danku.ledger.embedded.repository import Repository
from danku.ledger.ethereum.network import Network
from danku.protocol.actions import Action
from danku.protocol.guards import find
from danku.protocol.manifest import MANIFEST_BYTES, Manifest, Record
from danku.protocol.records import decode
from danku.protocol.state import Challenge, State
from danku.protocol.types import Digest
from danku.roles.networks import EMBEDDED, folder_of, url_of
from danku.roles.networks import find as find_network
from danku.roles.playable import check_playable
from danku.roles.progress import Progress, quiet
from danku.roles.vault import Vault
from danku.storage.settings import StorageSettings, from_environment

if TYPE_CHECKING:
    from danku.crypto.signatures import PrivateKey
    from danku.ledger.ethereum.sender import Approve
    from danku.ledger.port import Ledger, Receipt
    from danku.storage.port import Store

CONFIG = "danku.toml"


class Settings(Record):
    """`danku.toml`; paths are relative to the workspace."""

    public: str = "challenges"
    """Holds `ledger.jsonl` and `blobs/`: everything that others need."""
    keys: str = "keys"
    private: str = "private"
    workers: Annotated[int, msgspec.Meta(ge=0, le=1_024)] = 0
    """Models evaluated at once; 0 for as many as there are processors."""
    evaluations: str = "private/evaluations"
    """Where verdicts are remembered."""
    network: str = EMBEDDED
    """One of ``networks``, or the embedded ledger."""
    networks: dict[str, Network] = msgspec.field(default_factory=dict)
    storage: StorageSettings = StorageSettings()
    """Where blobs are kept and looked for."""


class EmbeddedOnly(UsageError):
    """Only the embedded ledger can do this."""


class NoWorkspace(UsageError):
    """There is no workspace where one is needed."""


def find_workspace(start: Path) -> Path:
    """The nearest folder at or above ``start`` with a danku.toml.

    Raises:
        NoWorkspace: there is none.
    """
    for folder in (start, *start.parents):
        if (folder / CONFIG).is_file():
            return folder
    raise NoWorkspace(
        f"no {CONFIG} in {start} or above it",
        why="commands act on a workspace",
        fix="danku init, or name one with --workspace DIR",
    )


def read_settings(root: Path) -> Settings:
    """The settings of the workspace at ``root``.

    Raises:
        DataError: danku.toml is malformed.
    """
    try:
        data = (root / CONFIG).read_bytes()
    except OSError as error:
        raise _unreadable(root / CONFIG, error) from None
    return parse_settings(data, root / CONFIG)


def parse_settings(data: bytes, path: Path) -> Settings:
    """The settings that a danku.toml holds.

    Raises:
        DataError: it is malformed.
    """
    try:
        return msgspec.toml.decode(data, type=Settings)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{path} cannot be read: {error}",
        fix="it may hold: public, keys, private, evaluations (paths as strings), workers, "
        "network (a name), a table [networks.NAME] for each, and a table [storage]",
    )


class Workspace:
    """One role's view of the world: public record, own keys, own private folder."""

    def __init__(
        self,
        root: Path,
        *,
        clock: Callable[[], int] = system_clock,
        use_cache: bool = True,
    ) -> None:
        settings = read_settings(root)
        self.root = root
        self.public = (root / settings.public).resolve()
        self.keys = root / settings.keys
        self.private = root / settings.private
        self.evaluations = root / settings.evaluations
        self.workers = settings.workers
        self.storage = from_environment(settings.storage)
        self.cluster: str | None = None
        """The address of a Dask cluster that evaluates instead of this machine."""
        self.network = settings.network
        self.networks = settings.networks
        self.approve: Approve = lambda quote: None
        """Asked before a transaction is sent that costs something."""
        self.reading: Progress = quiet
        """Told how far reading the ledger has come, where that takes long."""
        self.vault = Vault(self.private)
        self.clock = clock
        self._use_cache = use_cache

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger that the workspace plays on.

        Raises:
            UnknownNetwork: the workspace does not know the network, or where a node of it is.
            ExtraMissing: the packages for Ethereum are not installed.
            NodeContradicts: the node is not of this chain, or has no such contract.
            NetworkError: the node gives no usable answer.
        """
        if self.network == EMBEDDED:
            return self.embedded
        from danku.ledger.ethereum.ledger import EthereumLedger
        from danku.ledger.ethereum.transport import Transport

        return EthereumLedger(
            Transport(url_of(self.private, self.network)),
            find_network(self.networks, self.network),
            folder_of(self.private, self.network),
            approve=lambda quote: self.approve(quote),
            progress=lambda done, total: self.reading("reading the chain", done, total),
        )

    @cached_property
    def embedded(self) -> EmbeddedLedger:
        """The embedded ledger of the public folder.

        Raises:
            EmbeddedOnly: the workspace plays on another one.
        """
        journal = self.journal
        self.private.mkdir(mode=0o700, exist_ok=True)
        return EmbeddedLedger(
            journal,
            heads=self.heads,
            cache=self.private / "state.cache" if self._use_cache else None,
            clock=self.clock,
            repository=Repository.around(journal),
        )

    @property
    def heads(self) -> Path:
        """The private file of remembered heads."""
        return self.private / "heads.json"

    @property
    def journal(self) -> Path:
        """The public journal file.

        Raises:
            EmbeddedOnly: the workspace plays on a ledger that has none.
        """
        if self.network != EMBEDDED:
            raise EmbeddedOnly(
                f"the network {self.network} has no journal: its record is the chain's",
                why="journals, merging, granted money and moved time are the embedded ledger's",
                fix=f"danku network use {EMBEDDED} goes back to the ledger in a file",
            )
        return self.public / "ledger.jsonl"

    @cached_property
    def store(self) -> Store:
        """The store that danku.toml names: the embedded one of the public folder, or IPFS."""
        from danku.storage.opening import open_store

        return open_store(self.storage, self.root, self.public / "blobs", self.private)

    def state(self) -> State:
        """The newest state of the ledger."""
        return self.ledger.state()

    def challenge(self, challenge: Digest) -> Challenge:
        """The newest version of a challenge."""
        return find(self.state(), challenge)

    def manifest(self, challenge: Challenge) -> Manifest:
        """A challenge's manifest, verified against the terms.

        Raises:
            DataError: the blob is not the manifest that the terms name.
            StorageError: the blob cannot be had.
        """
        from danku.crypto.hashing import keccak, to_hex

        data = self.store.get(challenge.manifest, MANIFEST_BYTES)
        if to_hex(keccak(data)) != challenge.terms.manifest:
            raise DataError(
                f"the manifest of {challenge.id} is not the one that its terms name",
                why="the organizer published other bytes than it committed to",
            )
        manifest = decode(data, Manifest, "manifest")
        check_playable(manifest)
        return manifest

    def precheck(self, key: PrivateKey, action: Action, value: int = 0) -> None:
        """Raise what the rules would say of an action now, before anything private is published.

        Raises:
            Rejected: as `danku.protocol.rules.apply`, or for want of money.
        """
        self.ledger.check(key.address, action, value)

    def send(self, key: PrivateKey, action: Action, value: int = 0) -> Receipt:
        """Sign an action and have the ledger order it.

        Raises:
            Rejected: a rule refuses it.
        """
        return self.ledger.submit(key, action, value)
