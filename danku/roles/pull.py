"""Verified rows as a file that other tools read."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from danku.dataset.groups import encode_group
from danku.errors import DataError, UsageError
from danku.protocol.manifest import Manifest
from danku.roles.evidence import Rows
from danku.storage.files import NewFile


class UnknownFormat(UsageError):
    """A file ending that data is not written as."""


def _npz(rows: Rows, manifest: Manifest) -> bytes:
    import numpy as np

    buffer = io.BytesIO()
    np.savez(buffer, features=rows.features, target=rows.target)
    return buffer.getvalue()


def _safetensors(rows: Rows, manifest: Manifest) -> bytes:
    return encode_group(rows.features, rows.target)


def _csv(rows: Rows, manifest: Manifest) -> bytes:
    flat = rows.features.reshape(len(rows.target), -1)
    names = manifest.data.columns or tuple(f"x{place}" for place in range(flat.shape[1]))
    classes = manifest.model.classes
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*names, manifest.data.target])
    for features, target in zip(flat.tolist(), rows.target.tolist(), strict=True):
        writer.writerow([*features, classes[target] if classes else target])
    return buffer.getvalue().encode()


FORMATS = {".npz": _npz, ".csv": _csv, ".safetensors": _safetensors}


def write_rows(target: Path, rows: Rows, manifest: Manifest) -> None:
    """Write features and target; the file's ending says how.

    Raises:
        UnknownFormat: no such ending.
        DataError: the file cannot be written.
    """
    if target.suffix not in FORMATS:
        raise UnknownFormat(
            f"{target.name} has no ending that data is written as",
            fix=f"use one of {', '.join(FORMATS)}",
        )
    data = FORMATS[target.suffix](rows, manifest)
    try:
        with NewFile(target.parent) as file:
            file.write(data)
            file.keep(target)
    except OSError as error:
        raise DataError(f"{target} cannot be written: {error.strerror}") from None
