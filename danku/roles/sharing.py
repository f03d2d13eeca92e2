"""Which actions others do not have yet, and which ones a merge had to leave out."""

from __future__ import annotations

from dataclasses import dataclass

from danku.crypto.hashing import to_hex
from danku.ledger.embedded.refusals import Refusal, read_refusals
from danku.ledger.embedded.repository import Repository
from danku.ledger.port import Entry
from danku.roles.merge_driver import is_installed
from danku.roles.networks import EMBEDDED
from danku.roles.workspace import Workspace


@dataclass(frozen=True)
class Sharing:
    """Where a journal stands with its shared copy."""

    in_git: bool
    """Whether git carries the journal; else everybody reads the same file, and nothing is
    pending."""
    branch: str | None
    """The branch that is the shared copy, once it has the journal."""
    pending: tuple[Entry, ...]
    refused: tuple[Refusal, ...]
    """Actions that a merge left out, until they stand in the journal or their signer acts again."""
    driver: bool
    """Whether git joins journals by itself here."""
    problem: str
    """Why git could not be asked."""


def sharing(workspace: Workspace) -> Sharing:
    """How things stand.

    Raises:
        DankuError: the ledger cannot be read.
    """
    if workspace.network != EMBEDDED:
        return Sharing(False, None, (), (), False, "")
    ledger = workspace.embedded
    refused = _open_refusals(workspace)
    repository = Repository.around(workspace.journal)
    view = repository.view() if repository else None
    if view is None or not view.tracked:
        return Sharing(False, None, (), tuple(refused), False, "")
    return Sharing(
        in_git=True,
        branch=view.name,
        pending=tuple(ledger.pending()),
        refused=tuple(refused),
        driver=is_installed(workspace),
        problem=view.problem,
    )


def _open_refusals(workspace: Workspace) -> list[Refusal]:
    refused = read_refusals(workspace.journal)
    if not refused:
        return []
    entries = list(workspace.embedded.actions())
    standing = {entry.digest for entry in entries}
    acted = {entry.sender: entry.time for entry in entries}
    return [
        item
        for item in refused
        if to_hex(item.action.digest) not in standing
        and acted.get(item.action.sender, 0) <= item.time
    ]
