"""Taking a journal from one place to another: verified, then put there byte for byte."""

from __future__ import annotations

import os
from pathlib import Path

from danku.ledger.embedded.errors import JournalExists
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


def _check_prefix(source: Path, data: bytes, target: Path) -> None:
    if not data.startswith(_whole_lines(target)):
        raise JournalExists(
            f"{target} is not the beginning of {source}",
            why="copying adds lines to a journal and never takes one away",
            fix="compare the two with danku ledger verify; journals that went separate ways "
            "cannot be joined yet, so agree on one and repeat the other's actions on it",
        )
    torn = Journal(target)
    for _ in torn.read():
        pass
    torn.set_aside()


def _whole_lines(path: Path) -> bytes:
    data = path.read_bytes()
    return data[: data.rfind(b"\n") + 1]
