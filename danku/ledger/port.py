"""What every ledger offers: it orders signed actions and holds the money they move."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from danku.protocol.types import Address, Digest

if TYPE_CHECKING:
    from danku.crypto.signatures import PrivateKey
    from danku.protocol.actions import Action
    from danku.protocol.manifest import Record
    from danku.protocol.state import State


@dataclass(frozen=True)
class Receipt:
    """Where an accepted action stands."""

    sequence: int
    """Its place in the ledger's order."""
    time: int
    """The ledger time that the rules saw, in seconds since the epoch."""
    digest: Digest
    """What names the signed action, here and in whatever is signed after it."""


@dataclass(frozen=True)
class Entry(Receipt):
    """An accepted action, as history tells it."""

    sender: Address
    action: Record
    """One of `danku.protocol.actions`, or a record of the ledger's own."""
    value: int
    """The money that it carried, in the ledger's smallest unit."""
    beacon: Digest | None = None
    """The public randomness that the rules saw, on a ledger that has some."""


class Ledger(Protocol):
    """A ledger of challenges. Every answer is up to date when it is given.

    Besides what is stated, each call may raise `VerificationFailed` where the record contradicts
    itself or what was remembered of it, and `StorageError` where it cannot be reached.
    """

    @property
    def chain_id(self) -> int:
        """Part of every signature, so that nothing signed here counts elsewhere."""
        ...

    @property
    def address(self) -> Address:
        """The ledger's own address, likewise part of every signature."""
        ...

    def state(self) -> State:
        """What all actions so far add up to."""
        ...

    def time(self) -> int:
        """The ledger's time now, in seconds since the epoch; never before its newest action."""
        ...

    def balance(self, address: Address) -> int:
        """Money that the address can spend: neither in an escrow nor merely credited."""
        ...

    def nonce(self, address: Address) -> int:
        """How many actions of the address the ledger holds."""
        ...

    def head(self) -> Digest:
        """What the newest entry hashes to, and with it everything before; worth noting down."""
        ...

    def check(self, sender: Address, action: Action, value: int = 0) -> None:
        """Raise what would be said of an action now, as far as it can be told without sending it.

        Raises:
            Rejected: a rule forbids it, or the sender does not have the money.
        """
        ...

    def submit(self, key: PrivateKey, action: Action, value: int = 0) -> Receipt:
        """Sign an action, have it accepted, and return once it cannot be lost.

        Raises:
            Rejected: a rule of the protocol or of the ledger forbids it; nothing has changed.
            DataError: the action is no well-formed record; nothing has changed.
        """
        ...

    def actions(self, challenge: Digest | None = None) -> Iterator[Entry]:
        """The accepted actions in order: all of them, or those about one challenge."""
        ...
