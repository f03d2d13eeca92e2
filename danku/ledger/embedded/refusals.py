"""Actions that were in a journal and that a merge had to leave out, kept in a file beside it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from danku.errors import Rejected
from danku.ledger.embedded.envelope import SignedAction
from danku.ledger.embedded.files import PUBLIC_MODE, locked
from danku.ledger.embedded.record_file import RecordFile
from danku.protocol.manifest import Record
from danku.protocol.types import Digest


class Refusal(Record):
    """One action that no longer fits, and what said so."""

    action: SignedAction
    rule: str
    """The name of the rule that refused it."""
    what: str
    head: Digest
    """Of the journal that it was to be added to."""
    time: int
    """Ledger time, in seconds since the epoch."""

    @classmethod
    def of(cls, action: SignedAction, rejected: Rejected, head: Digest, time: int) -> Refusal:
        """What a refused check says of an action."""
        return cls(action, rejected.rule, rejected.what, head, time)


def refusals_file(journal: Path) -> Path:
    """Where the refusals of a journal are."""
    return journal.with_name(journal.name + ".refused")


def read_refusals(journal: Path) -> list[Refusal]:
    """The refusals noted beside a journal, oldest first.

    Nothing depends on them, and anybody may have written there: what is none is passed over.

    Raises:
        JournalUnavailable: the file cannot be read.
    """
    return _file(journal).load(strict=False)


def note_refusals(journal: Path, refused: Iterable[Refusal]) -> None:
    """Add refusals, each action once for each rule that refused it.

    Raises:
        JournalBusy, JournalUnavailable: they cannot be noted.
    """
    found = list(refused)
    if not found:
        return
    with locked(refusals_file(journal)):
        noted = {_key(refusal) for refusal in read_refusals(journal)}
        _file(journal).add([refusal for refusal in found if _key(refusal) not in noted])


def _key(refusal: Refusal) -> tuple[bytes, str]:
    return refusal.action.digest, refusal.rule


def _file(journal: Path) -> RecordFile[Refusal]:
    return RecordFile(refusals_file(journal), Refusal, PUBLIC_MODE)
