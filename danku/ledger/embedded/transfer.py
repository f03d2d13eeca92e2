"""Journals that are put in a journal's place: copies byte for byte, and what a merge gave.

Nothing takes the place before it has been verified on disk, from nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from danku.ledger.embedded.errors import JournalConflicted, JournalExists
from danku.ledger.embedded.files import (
    PUBLIC_MODE,
    disk_errors,
    locked,
    put_in_place,
    unfinished,
    write_synced,
)
from danku.ledger.embedded.genesis import Clock
from danku.ledger.embedded.journal import Journal
from danku.ledger.embedded.ledger import system_clock
from danku.ledger.embedded.merge import Merged
from danku.ledger.embedded.refusals import note_refusals
from danku.ledger.embedded.verification import JournalReport, verify_journal


def copy_journal(source: Path, target: Path, *, clock: Clock = system_clock) -> JournalReport:
    """Export or import: make ``target`` the journal ``source``, which must contain it already.

    An unfinished last line of ``source`` is left out, one of ``target`` is set aside.
    Returns what verifying the copy found.

    Raises:
        JournalExists: ``target`` is not the beginning of ``source``; it is left alone.
        VerificationFailed, DataError: ``source`` is no whole journal; ``target`` is left alone.
        StorageError: a file cannot be used.
    """
    with disk_errors(source):
        data = _whole_lines(source)
    copy = unfinished(target)
    with locked(target):
        try:
            with disk_errors(target):
                write_synced(copy, data, PUBLIC_MODE, os.O_TRUNC)
            report = verify_journal(copy, clock=clock)
            if target.exists():
                _check_prefix(source, data, target)
            with disk_errors(target):
                put_in_place(copy, target)
        finally:
            copy.unlink(missing_ok=True)
    return report


def put_merged(
    merged: Merged,
    journal: Path,
    *,
    clock: Clock = system_clock,
    progress: Callable[[int, int], None] | None = None,
) -> JournalReport:
    """Have a merge's result in the journal's place; the caller holds the journal's lock.

    What the merge refused is noted beside the journal before. An unfinished last line is set
    aside. Returns what verifying the result found.

    Raises:
        VerificationFailed: the result does not verify; nothing has changed.
        StorageError: a file cannot be used; the journal is as it was.
    """
    copy = unfinished(journal)
    try:
        with disk_errors(journal):
            write_synced(copy, merged.data, PUBLIC_MODE, os.O_TRUNC)
        report = verify_journal(copy, clock=clock, progress=progress)
        note_refusals(journal, merged.refused)
        with suppress(JournalConflicted):
            _set_torn_aside(journal)
        with disk_errors(journal):
            put_in_place(copy, journal)
    finally:
        copy.unlink(missing_ok=True)
    return report


def _check_prefix(source: Path, data: bytes, target: Path) -> None:
    if not data.startswith(_whole_lines(target)):
        raise JournalExists(
            f"{target} is not the beginning of {source}",
            why="copying adds lines to a journal and never takes one away",
            fix="danku ledger merge joins journals that went separate ways",
        )
    _set_torn_aside(target)


def _set_torn_aside(journal: Path) -> None:
    torn = Journal(journal)
    for _ in torn.read():
        pass
    torn.set_aside()


def _whole_lines(path: Path) -> bytes:
    data = path.read_bytes()
    return data[: data.rfind(b"\n") + 1]
