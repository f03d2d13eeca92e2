"""A backup of a key file and of the private folder, as one tar file with mode 0600."""

from __future__ import annotations

import os
import secrets
import tarfile
from pathlib import Path

from danku.errors import UsageError
from danku.storage.files import sync_folder


class BackupExists(UsageError):
    """There is a file where the backup should go."""


def write_backup(target: Path, key_file: Path, private: Path | None) -> int:
    """Write the archive, whole or not at all; how many files it holds.

    Raises:
        BackupExists: nothing is ever overwritten.
    """
    if target.exists():
        raise BackupExists(f"{target} exists", fix="name another file with --to")
    files = [(key_file, f"keys/{key_file.name}")]
    if private is not None and private.is_dir():
        files += [
            (path, f"private/{path.relative_to(private)}")
            for path in sorted(private.rglob("*"))
            if path.is_file()
        ]
    draft = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as raw:
            with tarfile.open(fileobj=raw, mode="w") as archive:
                for path, name in files:
                    archive.add(path, arcname=name)
            raw.flush()
            os.fsync(raw.fileno())
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(target.parent)
    return len(files)
