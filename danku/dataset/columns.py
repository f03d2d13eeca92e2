"""Columns and arrays by name: which is the target, which are features, and who is missing."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence

from danku.dataset.table import ColumnMissing, SourceBroken


class Columns:
    """Which column of a table is what; places count from 0."""

    def __init__(self, file: str, names: Sequence[str], target: str, group_by: str | None) -> None:
        """Find them.

        Raises:
            SourceBroken: a column has no name or another's; `ColumnMissing` if one is missing.
        """
        _check_names(file, names)
        self.file = file
        self.width = len(names)
        self.target = find_column(target, names, "column", file)
        self.group = None if group_by is None else find_column(group_by, names, "column", file)
        if self.group == self.target:
            raise SourceBroken(
                f"{file}: group_by is the target {target!r}",
                fix="name another column in [data] group_by, or leave it out",
            )
        self.places = [i for i in range(self.width) if i not in (self.target, self.group)]
        self.features = tuple(names[place] for place in self.places)

    def check_width(self, shape: Sequence[int]) -> None:
        """The features fill the model's input ``shape``.

        Raises:
            SourceBroken: there are more or fewer.
        """
        needed = math.prod(shape)
        if len(self.features) != needed:
            raise SourceBroken(
                f"{self.file} has {len(self.features)} feature columns, the model takes {needed} "
                f"values a row (shape {list(shape)})",
                why="every column but the target and group_by is a feature: "
                + listed(self.features),
                fix="add or remove columns in the file, or set shape in [model]",
            )


def _check_names(file: str, names: Sequence[str]) -> None:
    for place, name in enumerate(names):
        if not name:
            raise SourceBroken(
                f"{file}: column {place + 1} has no name", fix="name it, or remove it"
            )
    if len(set(names)) < len(names):
        repeated = next(name for place, name in enumerate(names) if name in names[:place])
        raise SourceBroken(
            f"{file}: two columns are called {repeated!r}", fix="rename or remove one of them"
        )


def find_column(name: str, names: Sequence[str], what: str, file: str) -> int:
    """The place of the column (array, file) called ``name``.

    Raises:
        ColumnMissing: there is none; the error lists what there is, and the closest.
    """
    if name in names:
        return list(names).index(name)
    lower = {each.lower(): each for each in names}
    close = difflib.get_close_matches(name.lower(), lower, 1, 0.5)
    raise ColumnMissing(
        f"{file} has no {what} {name!r}",
        why=f"it has {listed(names)}",
        fix=f"did you mean {lower[close[0]]!r}?" if close else "name one of them in [data]",
    )


def listed(names: Sequence[str], most: int = 40) -> str:
    """The names, for an error's text."""
    shown = ", ".join(names[:most])
    return f"{shown}, ... ({len(names)} in all)" if len(names) > most else shown or "none"
