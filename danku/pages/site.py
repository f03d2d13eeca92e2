"""A challenge's page as files: the page, the journal beside it, and the blobs that fit."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

from danku.errors import DankuError, DataError, StorageError
from danku.ledger.embedded.files import disk_errors
from danku.pages.data import as_json
from danku.pages.facts import Facts, journal_until
from danku.pages.render import render_board
from danku.protocol.types import Cid
from danku.roles.workspace import Workspace
from danku.storage.files import NewFile
from danku.storage.port import BlobTooLarge

PAGE, JOURNAL, BLOBS = "index.html", "journal.js", "blobs.js"
BLOBS_BYTES = 8 * 2**20
"""What all blobs beside a page may have together; what does not fit is left to `danku verify`."""


def site(workspace: Workspace, facts: Facts) -> dict[str, bytes]:
    """The files of a challenge's page by name; without a journal only the page.

    Raises:
        DataError, StorageError: the journal cannot be read.
    """
    files = {PAGE: render_board(facts).encode("utf-8")}
    if facts.record.embedded:
        files[JOURNAL] = journal_script(workspace, facts)
        files[BLOBS] = blobs_script(workspace, facts)
    return files


def journal_script(workspace: Workspace, facts: Facts) -> bytes:
    """The journal up to the page's head, as a script that hands it over.

    NOTE: a page that was opened from a folder may load scripts, and fetch nothing.
    """
    with disk_errors(workspace.journal):
        journal = journal_until(workspace.journal, facts.record.head).decode("utf-8")
    return f"danku.journal({as_json(journal)});\n".encode("ascii")


def blobs_script(workspace: Workspace, facts: Facts) -> bytes:
    """The blobs that a browser can check, most telling first, until `BLOBS_BYTES` are full."""
    found: dict[Cid, str] = {}
    left = BLOBS_BYTES
    for cid in _wanted(workspace, facts):
        data = _fitting(workspace, cid, left) if cid not in found else None
        if data is not None:
            found[cid] = base64.b64encode(data).decode("ascii")
            left -= len(data)
    return f"danku.blobs({as_json(found)});\n".encode("ascii")


def _fitting(workspace: Workspace, cid: Cid, limit: int) -> bytes | None:
    try:
        return workspace.store.get(cid, limit)
    except BlobTooLarge:
        return None
    except (DataError, StorageError):  # the page shows that it lacks it
        return None


def _wanted(workspace: Workspace, facts: Facts) -> Iterator[Cid]:
    yield from (file.cid for file in facts.files)
    ranked = sorted(
        (entry for entry in facts.entries if entry.cid), key=lambda entry: entry.rank or 2**31
    )
    yield from (entry.cid for entry in ranked[:10] if entry.cid)
    for bundle in (facts.challenge.test, facts.challenge.train):
        yield from _groups(workspace, bundle)
    yield from (entry.cid for entry in ranked[10:] if entry.cid)


def _groups(workspace: Workspace, bundle: Cid | None) -> list[Cid]:
    from danku.dataset.bundle import decode_bundle

    data = _fitting(workspace, bundle, BLOBS_BYTES) if bundle else None
    if data is None:
        return []
    try:
        return [group.cid for group in decode_bundle(data).groups]
    except DankuError:
        return []


def write_site(folder: Path, files: dict[str, bytes]) -> None:
    """Put the files into a folder, the page last, each whole or not at all.

    Raises:
        StorageError: the folder does not take them.
    """
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name in sorted(files, key=lambda name: name == PAGE):
            with NewFile(folder) as incoming:
                incoming.write(files[name])
                incoming.keep(folder / name)


__all__ = ["BLOBS", "JOURNAL", "PAGE", "blobs_script", "journal_script", "site", "write_site"]
