"""CSV: a header, then numbers, with a column of targets and perhaps one of group keys."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from danku.dataset.columns import Columns
from danku.dataset.features import misfit
from danku.dataset.table import Array, FeatureBroken, SourceBroken, Table
from danku.dataset.targets import NUMBER, ClassIndex, value_of

_BATCH_ROWS = 4_096
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def read_csv(
    path: Path,
    target: str,
    *,
    dtype: str,
    row_shape: tuple[int, ...],
    classes: tuple[str, ...],
    group_by: str | None,
) -> Table:
    """Read a comma-separated UTF-8 file: features in header order, row by row.

    Raises:
        SourceBroken: or one of its kinds; it names file, line, column and value.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            try:
                header = _header(reader, path)
                columns = Columns(path.name, header, target, group_by)
                columns.check_width(row_shape)
                return _Rows(columns, target, dtype, classes).read(reader, row_shape)
            except csv.Error as error:
                raise SourceBroken(
                    f"{path.name}, line {reader.line_num}: {error}",
                    why="quotes do not pair up, or a cell is longer than 131,072 characters",
                    fix="save the file again as CSV with double quotes",
                ) from None
    except UnicodeDecodeError:
        raise _not_utf8(path) from None


def _header(reader: Iterator[list[str]], path: Path) -> list[str]:
    header = [name.strip() for name in next(reader, [])]
    if not header:
        raise SourceBroken(f"{path.name} has no header", fix="name the columns in its first line")
    if len(header) == 1:
        for separator, word in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
            if separator in header[0]:
                raise SourceBroken(
                    f"{path.name} has one column only, called {header[0][:80]!r}",
                    why=f"its columns seem to be separated by {word}",
                    fix="save it with commas between the columns",
                )
    return header


def _picker(places: Sequence[int]) -> Callable[[list[str]], Sequence[str]]:
    if len(places) < 2:
        return lambda cells: [cells[place] for place in places]
    return itemgetter(*places)


class _Rows:
    """Collects lines and turns them, a batch at a time, into arrays."""

    def __init__(self, columns: Columns, target: str, dtype: str, classes: tuple[str, ...]) -> None:
        self._columns = columns
        self._pick = _picker(columns.places)
        self._target_name = target
        self._dtype = np.dtype(dtype)
        self._whole = self._dtype.kind in "iu"
        self._classes = ClassIndex(classes)
        self._known: dict[str, float] = {}
        self._keys: dict[str, int] = {}
        self._features: list[Array] = []
        self._targets: list[Array] = []
        self._groups: list[Array] = []

    def read(self, reader: Any, row_shape: tuple[int, ...]) -> Table:
        batch: list[list[str]] = []
        lines: list[int] = []
        for cells in reader:
            if not cells:
                continue
            if len(cells) != self._columns.width:
                raise SourceBroken(
                    f"{self._columns.file}, line {reader.line_num}: {len(cells)} cells, "
                    f"the header has {self._columns.width}",
                    fix="correct the line; a cell with a comma in it needs double quotes",
                )
            batch.append(cells)
            lines.append(reader.line_num)
            if len(batch) == _BATCH_ROWS:
                self._take(batch, lines)
                batch, lines = [], []
        self._take(batch, lines)
        rows = sum(len(part) for part in self._targets)
        if not rows:
            raise SourceBroken(f"{self._columns.file} has a header and no rows")
        target = np.concatenate(self._targets)
        if self._classes.names:
            self._classes.check_complete(target, self._columns.file)
        return Table(
            features=_joined(self._features, rows, self._dtype).reshape(rows, *row_shape),
            target=target,
            columns=self._columns.features,
            group_keys=None if self._columns.group is None else np.concatenate(self._groups),
            dtype=self._dtype.name,
        )

    def _take(self, batch: list[list[str]], lines: list[int]) -> None:
        columns, keys = self._columns, self._keys
        place = columns.target
        values = [
            self._target(cells[place], line) for cells, line in zip(batch, lines, strict=True)
        ]
        self._targets.append(np.array(values, np.int64 if self._classes.names else np.float64))
        if columns.group is not None:
            group = [keys.setdefault(cells[columns.group].strip(), len(keys)) for cells in batch]
            self._groups.append(np.array(group, np.int64))
        self._features.append(self._numbers([self._pick(cells) for cells in batch], lines))

    def _target(self, text: str, line: int) -> float:
        value = self._known.get(text)
        if value is None:
            where = self._at(line, self._target_name)
            if not self._classes.names:
                return value_of(text, where)
            value = self._known[text] = self._classes.require(text, where)
        return value

    def _numbers(self, batch: list[Sequence[str]], lines: list[int]) -> Array:
        parse = int if self._whole else float
        flat: list[float] = []
        for cells, line in zip(batch, lines, strict=True):
            text = "".join(cells)
            # NOTE: Python also reads 1_000 and other scripts' digits as numbers.
            if "_" in text or not text.isascii():
                flat.extend(self._cells(cells, line))
                continue
            try:
                flat.extend(map(parse, cells))
            except ValueError:
                flat.extend(self._cells(cells, line))
        shape = (len(batch), len(self._columns.features))
        try:
            with np.errstate(over="ignore"):
                wide = np.array(flat, np.int64 if self._whole else np.float64).reshape(shape)
                numbers = wide.astype(self._dtype)
        except OverflowError:
            raise self._misfit(batch, lines) from None
        if (numbers != wide).any() if self._whole else np.isinf(numbers).any():
            raise self._misfit(batch, lines)
        return numbers

    def _cells(self, cells: Sequence[str], line: int) -> list[float]:
        """The cells' numbers, one by one, to name the one that is none."""
        numbers: list[float] = []
        for cell, column in zip(cells, self._columns.features, strict=True):
            text = cell.strip()
            where = self._at(line, column)
            if not text:
                raise FeatureBroken(
                    f"{where}: the cell is empty",
                    fix="fill it in or remove the row"
                    + ("" if self._whole else "; a missing value is written nan"),
                )
            if not NUMBER.fullmatch(text):
                if not self._whole and text.lower() in ("nan", "inf", "-inf"):
                    numbers.append(float(text))
                    continue
                raise FeatureBroken(
                    f"{where}: {cell[:80]!r} is not a number",
                    why="every column but the target and group_by is a feature, and features are "
                    "numbers",
                    fix="correct it, encode the column as numbers, or remove the column",
                )
            if not self._whole:
                numbers.append(float(text))
            elif float(text).is_integer():
                numbers.append(int(text) if text.lstrip("+-").isdigit() else int(float(text)))
            else:
                raise misfit(float(text), self._dtype.name, where)
        return numbers

    def _misfit(self, batch: list[Sequence[str]], lines: list[int]) -> FeatureBroken:
        """Name the first number of the batch that the data type cannot hold."""
        for cells, line in zip(batch, lines, strict=True):
            row = self._cells(cells, line)
            for value, column in zip(row, self._columns.features, strict=True):
                if not self._fits(value):
                    return misfit(value, self._dtype.name, self._at(line, column))
        raise AssertionError("a batch was refused in which every number fits")

    def _at(self, line: int, column: str) -> str:
        return f"{self._columns.file}, line {line}, column {column!r}"

    def _fits(self, value: float) -> bool:
        if self._whole:
            limits = np.iinfo(self._dtype.name)
            return bool(limits.min <= value <= limits.max)
        with np.errstate(over="ignore"):
            return not np.isinf(np.float64(value).astype(self._dtype))


def _joined(parts: list[Array], rows: int, dtype: np.dtype[Any]) -> Array:
    """The parts as one array; each is freed as soon as it is copied."""
    whole = np.empty((rows, *parts[0].shape[1:]), dtype)
    parts.reverse()
    stop = 0
    while parts:
        part = parts.pop()
        whole[stop : stop + len(part)] = part
        stop += len(part)
    return whole


def _not_utf8(path: Path) -> SourceBroken:
    with path.open("rb") as file:
        if file.read(2) in _UTF16:
            where, why = path.name, "it is UTF-16"
        else:
            file.seek(0)
            line = next(n for n, text in enumerate(file, 1) if not _is_utf8(text))
            where, why = f"{path.name}, line {line}", "there is a byte that UTF-8 does not have"
    return SourceBroken(
        f"{where}: the text is not UTF-8", why=why, fix="save the file as CSV in UTF-8"
    )


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
