"""One reader for every kind of data file that an organizer may have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from danku.dataset.arrays import read_npy, read_npz
from danku.dataset.delimited import read_csv
from danku.dataset.parquet import read_parquet
from danku.dataset.table import SourceBroken, Table

_READERS: dict[str, Callable[..., Table]] = {
    ".csv": read_csv,
    ".npz": read_npz,
    ".npy": read_npy,
    ".parquet": read_parquet,
}


def read_source(
    path: Path,
    target: str,
    *,
    dtype: str,
    row_shape: tuple[int, ...],
    classes: tuple[str, ...],
    group_by: str | None,
) -> Table:
    """Read a data file whole, or map it (.npy), and check every row of it.

    Args:
        path: .csv (UTF-8, with a header), .npz, .npy or .parquet.
        target: the column; in .npz the array; for .npy the .npy file next to it.
        dtype: the model's input type, into which the features have to fit.
        row_shape: one row's shape; a table's columns fill it in their order.
        classes: names of the classes, or none if the target is a value.
        group_by: a column (array, file) of keys that is not a feature; rows with equal keys
            stay in one group.

    Raises:
        SourceBroken: the file is missing, damaged or laid out otherwise (`ColumnMissing`), or has
            a feature (`FeatureBroken`) or a target (`TargetBroken`) that cannot be used.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise SourceBroken(
            f"{path.name} is of no kind that danku reads",
            why=f"it reads {', '.join(_READERS)}",
            fix="convert the file and name it in [data] source",
        )
    try:
        return reader(
            path, target, dtype=dtype, row_shape=row_shape, classes=classes, group_by=group_by
        )
    except OSError as error:
        raise SourceBroken(
            f"{error.filename or path} cannot be read",
            why=error.strerror or str(error),
            fix="check [data] source; it is relative to the folder of challenge.toml",
        ) from error
