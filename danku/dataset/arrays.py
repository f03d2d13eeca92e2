"""NumPy files: an .npz archive, or .npy files side by side, which stay memory-mapped."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from danku.dataset.columns import find_column
from danku.dataset.features import check_features
from danku.dataset.table import Array, SourceBroken, Table
from danku.dataset.targets import target_of

FEATURES = "features"
_FIX = "save it again with numpy.save or numpy.savez, from arrays of plain numbers or text"


def read_npz(
    path: Path,
    target: str,
    *,
    dtype: str,
    row_shape: tuple[int, ...],
    classes: tuple[str, ...],
    group_by: str | None,
) -> Table:
    """Read the arrays ``features`` [rows, *row_shape] and ``target`` [rows] of an archive.

    Raises:
        SourceBroken: or one of its kinds.
    """
    names = [FEATURES, target] + ([] if group_by is None else [group_by])
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise _broken(path, "it is a single array, not an archive")
        with archive:
            for name in names:
                find_column(name, archive.files, "array", path.name)
            arrays = [archive[name] for name in names]
    except (ValueError, EOFError, MemoryError, zipfile.BadZipFile, zipfile.LargeZipFile) as error:
        raise _broken(path, str(error)) from None
    labels = [f"{path.name}, array {name!r}" for name in names]
    return _table(arrays, labels, dtype=dtype, row_shape=row_shape, classes=classes)


def read_npy(
    path: Path,
    target: str,
    *,
    dtype: str,
    row_shape: tuple[int, ...],
    classes: tuple[str, ...],
    group_by: str | None,
) -> Table:
    """Map the features [rows, *row_shape] of ``path`` and the targets of a file next to it.

    ``target`` and ``group_by`` name .npy files in the same folder. Features are never copied.

    Raises:
        SourceBroken: or one of its kinds.
    """
    beside = [target] + ([] if group_by is None else [group_by])
    paths = [path] + [_beside(path, name) for name in beside]
    arrays = [_mapped(each) for each in paths]
    labels = [each.name for each in paths]
    return _table(arrays, labels, dtype=dtype, row_shape=row_shape, classes=classes)


def _table(
    arrays: list[Array],
    labels: list[str],
    *,
    dtype: str,
    row_shape: tuple[int, ...],
    classes: tuple[str, ...],
) -> Table:
    features, target = arrays[:2]
    _check_shape(features, labels[0], row_shape)
    for array, label in zip(arrays[1:], labels[1:], strict=True):
        if array.shape != features.shape[:1]:
            raise SourceBroken(
                f"{label} has shape {list(array.shape)}, expected [{len(features)}]",
                why="there is one entry for each row of the features",
                fix="save one number or text a row",
            )
    check_features(features, dtype, lambda element: _element(labels[0], element))
    return Table(
        features=features,
        target=target_of(
            _plain(target), classes, labels[1], lambda row: _element(labels[1], (row,))
        ),
        columns=(),
        group_keys=_keys(arrays[2]) if len(arrays) > 2 else None,
        dtype=dtype,
    )


def _check_shape(features: Array, label: str, row_shape: tuple[int, ...]) -> None:
    if features.shape[1:] != row_shape or not features.ndim:
        raise SourceBroken(
            f"{label} has shape {list(features.shape)}, expected {['rows', *row_shape]}".replace(
                "'", ""
            ),
            why="a row has the shape of the model's input",
            fix="reshape the array, or set shape in [model]",
        )
    if not len(features):
        raise SourceBroken(f"{label} has no rows")


def _keys(array: Array) -> Array:
    """Group keys as small integers; equal entries are equal."""
    return np.unique(_plain(array), return_inverse=True)[1].astype(np.int64)


def _plain(array: Array) -> Array:
    return np.char.decode(array, "utf-8", "replace") if array.dtype.kind == "S" else array


def _element(label: str, element: tuple[int, ...]) -> str:
    """``labels.npy[3, 0]``: rows are counted from 0, as numpy does."""
    return f"{label}[{', '.join(map(str, element))}]" if element else label


def _beside(path: Path, name: str) -> Path:
    plain = name if name.endswith(".npy") else f"{name}.npy"
    if Path(plain).name != plain:
        raise SourceBroken(
            f"{name!r} is not the name of a file next to {path.name}",
            fix="put both .npy files into one folder and give the name without a path",
        )
    folder = path.parent
    if not (folder / plain).is_file():
        find_column(plain, sorted(each.name for each in folder.glob("*.npy")), "file", str(folder))
    return folder / plain


def _mapped(path: Path) -> Array:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, MemoryError, zipfile.BadZipFile) as error:
        raise _broken(path, str(error)) from None
    if not isinstance(array, np.ndarray):
        raise _broken(path, "it is an archive, not a single array")
    return array


def _broken(path: Path, why: str) -> SourceBroken:
    return SourceBroken(f"{path.name} cannot be read as NumPy's format", why=why, fix=_FIX)
