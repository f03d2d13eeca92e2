"""Verified rows as files that other tools read.

A yardstick's rows stand apart: in arrays of their own where a format names its arrays, else in a
second file. So whoever trains on ``features`` has not trained on the yardstick.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

from danku.errors import DataError, UsageError
from danku.protocol.manifest import Manifest
from danku.roles.evidence import Rows
from danku.storage.files import NewFile

if TYPE_CHECKING:
    import numpy as np

FORMATS = (".npz", ".csv", ".safetensors")


class UnknownFormat(UsageError):
    """A file ending that data is not written as."""


def _arrays(rows: Rows, yardstick: Rows | None) -> dict[str, np.ndarray]:
    arrays = {"features": rows.features, "target": rows.target}
    if yardstick is not None:
        arrays |= {"yardstick_features": yardstick.features, "yardstick_target": yardstick.target}
    return arrays


def _npz(arrays: dict[str, np.ndarray]) -> bytes:
    import numpy as np

    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _safetensors(arrays: dict[str, np.ndarray]) -> bytes:
    import numpy as np
    from safetensors.numpy import save

    # NOTE: the library reads memory as it lies, whatever an array's strides are.
    return save({name: np.ascontiguousarray(array) for name, array in arrays.items()})


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


def _files(
    target: Path, rows: Rows, manifest: Manifest, yardstick: Rows | None
) -> dict[Path, bytes]:
    if target.suffix == ".npz":
        return {target: _npz(_arrays(rows, yardstick))}
    if target.suffix == ".safetensors":
        return {target: _safetensors(_arrays(rows, yardstick))}
    files = {target: _csv(rows, manifest)}
    if yardstick is not None:
        files[target.with_stem(f"{target.stem}-yardstick")] = _csv(yardstick, manifest)
    return files


def write_rows(
    target: Path, rows: Rows, manifest: Manifest, yardstick: Rows | None = None
) -> tuple[Path, ...]:
    """Write features and target, and the yardstick's apart; the file's ending says how.

    Returns:
        What was written: ``target``, and for a CSV file with a yardstick another one beside it.

    Raises:
        UnknownFormat: no such ending.
        DataError: a file cannot be written.
    """
    if target.suffix not in FORMATS:
        raise UnknownFormat(
            f"{target.name} has no ending that data is written as",
            fix=f"use one of {', '.join(FORMATS)}",
        )
    files = _files(target, rows, manifest, yardstick)
    for path, data in files.items():
        try:
            with NewFile(path.parent) as file:
                file.write(data)
                file.keep(path)
        except OSError as error:
            raise DataError(f"{path} cannot be written: {error.strerror}") from None
    return tuple(files)
