"""Parquet, through pyarrow, which is an extra."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from danku.dataset.columns import Columns
from danku.dataset.features import check_features
from danku.dataset.table import Array, FeatureBroken, SourceBroken, Table
from danku.dataset.targets import target_of

_BATCH_ROWS = 65_536


def read_parquet(
    path: Path,
    target: str,
    *,
    dtype: str,
    row_shape: tuple[int, ...],
    classes: tuple[str, ...],
    group_by: str | None,
) -> Table:
    """Read the columns of a parquet file: features in the file's order, a null is NaN.

    Raises:
        SourceBroken: or one of its kinds; also when pyarrow is not installed.
    """
    try:
        arrow: Any = importlib.import_module("pyarrow")
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise SourceBroken(
            f"{path.name} is a parquet file, and pyarrow is not installed",
            fix="run: pip install 'danku[parquet]'",
        ) from None
    try:
        with parquet.ParquetFile(path) as file:
            return _read(file, path.name, target, dtype, row_shape, classes, group_by)
    except arrow.ArrowException as error:
        raise SourceBroken(
            f"{path.name} cannot be read as parquet",
            why=str(error),
            fix="write the file again",
        ) from None


def _read(
    file: Any,
    name: str,
    target: str,
    dtype: str,
    row_shape: tuple[int, ...],
    classes: tuple[str, ...],
    group_by: str | None,
) -> Table:
    layout = Columns(name, file.schema_arrow.names, target, group_by)
    layout.check_width(row_shape)
    columns = layout.features
    rows = file.metadata.num_rows
    if not rows:
        raise SourceBroken(f"{name} has no rows")
    features = np.empty((rows, len(columns)), dtype)
    start = 0
    for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=list(columns)):
        for place, column in enumerate(columns):
            values = _numbers(batch.column(column), dtype, f"{name}, column {column!r}")
            check_features(values, dtype, _place(name, column, start))
            features[start : start + len(values), place] = values
        start += batch.num_rows
    return Table(
        features=features.reshape(rows, *row_shape),
        target=target_of(
            _column(file, target),
            classes,
            name,
            lambda row: f"{name}, column {target!r}, row {row}",
        ),
        columns=columns,
        group_keys=None if group_by is None else _keys(file, group_by),
        dtype=dtype,
    )


def _place(name: str, column: str, start: int) -> Any:
    return lambda element: (
        f"{name}, column {column!r}" + (f", row {start + element[0]}" if element else "")
    )


def _numbers(column: Any, dtype: str, label: str) -> Array:
    values: Array = column.to_numpy(zero_copy_only=False)
    if column.null_count and np.dtype(dtype).kind != "f":
        raise FeatureBroken(
            f"{label}: {column.null_count} cells are null",
            why=f"{dtype} has no missing value",
            fix="fill them in, or set dtype in [model] to float32",
        )
    return values


def _column(file: Any, name: str) -> Array:
    """A column as an array of numbers (null is NaN) or of text (null is empty)."""
    column = file.read(columns=[name]).column(name)
    values: Array = column.to_numpy()
    if values.dtype.kind != "O":
        return values
    return np.array(["" if value is None else str(value) for value in column.to_pylist()])


def _keys(file: Any, name: str) -> Any:
    return np.unique(_column(file, name), return_inverse=True)[1].astype(np.int64)
