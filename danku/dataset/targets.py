"""Targets: names or numbers in the file become class indices or finite values."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from danku.dataset.table import Array, TargetBroken, blocks

Where = Callable[[int], str]
"""Names the place of a row in the file, for an error's text."""

NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_MISSING = ("", "nan")


class ClassIndex:
    """From the classes' names to their indices; a name that is a number also matches its value."""

    def __init__(self, names: Sequence[str]) -> None:
        """Prepare the look-up.

        Raises:
            TargetBroken: two names are the same, or the same number.
        """
        self.names = tuple(names)
        self._by_name: dict[str, int] = {}
        self._by_value: dict[float, int] = {}
        for index, name in enumerate(names):
            taken = self._by_name.setdefault(name, index)
            if NUMBER.fullmatch(name):
                taken = min(taken, self._by_value.setdefault(_number(name), index))
            if taken != index:
                raise TargetBroken(
                    f"the classes {names[taken]!r} and {name!r} are the same",
                    fix="give every class a name of its own in [model] classes",
                )

    def find(self, value: object) -> int | None:
        """The index of the class that a cell or an array's element names; None if there is none."""
        if isinstance(value, str):
            text = value.strip()
            found = self._by_name.get(text)
            if found is None and NUMBER.fullmatch(text):
                return self._by_value.get(_number(text))
            return found
        if isinstance(value, (bool, int, float)):
            return self._by_value.get(value)
        return None

    def require(self, value: object, where: str) -> int:
        """The index of the class.

        Raises:
            TargetBroken: missing, or no class; ``where`` names the place.
        """
        found = None if is_missing(value) else self.find(value)
        if found is None:
            raise self._refuse(value, where)
        return found

    def check_complete(self, target: NDArray[np.int64], file: str) -> None:
        """Every class occurs.

        Raises:
            TargetBroken: one does not.
        """
        counts = np.zeros(len(self.names), np.int64)
        for _, block in blocks(target):
            counts += np.bincount(block, minlength=len(self.names))
        absent = [
            name for name, count in zip(self.names, counts.tolist(), strict=True) if not count
        ]
        if absent:
            raise TargetBroken(
                f"{file}: no row has the target {_listed(absent)}",
                why="every class of [model] classes has to occur in the data",
                fix="take it out of [model] classes, or check how the file spells it",
            )

    def _refuse(self, value: object, where: str) -> TargetBroken:
        if is_missing(value):
            return missing_target(value, where)
        return TargetBroken(
            f"{where}: the target {_shown(value)} is none of the classes {_listed(self.names)}",
            why="every row's target is one of [model] classes, spelled as there",
            fix="add it to [model] classes, or correct or remove the row",
        )


def is_missing(value: object) -> bool:
    """Whether it stands for no value at all: empty, None or NaN."""
    if isinstance(value, str):
        return value.strip().lower() in _MISSING
    return value is None or value != value


def missing_target(value: object, where: str) -> TargetBroken:
    """The refusal of a missing target."""
    return TargetBroken(
        f"{where}: the target is {'empty' if value in ('', None) else _shown(value)}",
        why="a row without a target cannot be scored",
        fix="fill it in, or remove the row",
    )


def value_of(text: str, where: str) -> float:
    """A regression target's value.

    Raises:
        TargetBroken: missing, no number, or not finite; ``where`` names the place.
    """
    if is_missing(text):
        raise missing_target(text.strip(), where)
    stripped = text.strip()
    value = float(stripped) if NUMBER.fullmatch(stripped) else float("inf")
    if not np.isfinite(value):
        raise _not_a_value(text, where)
    return value


def target_of(raw: Array, classes: Sequence[str], file: str, where: Where) -> Array:
    """An array of targets [rows] as int64 class indices, or as float64 if there are no classes.

    Raises:
        TargetBroken: an element is missing, no class or not finite, or a class never occurs.
    """
    if not classes:
        return _values(raw, where)
    index = ClassIndex(classes)
    target = np.empty(len(raw), np.int64)
    for start, block in blocks(raw):
        kinds, places = np.unique(block, return_inverse=True)
        found = [None if is_missing(kind) else index.find(kind) for kind in kinds.tolist()]
        if None in found:
            row = start + int(np.argmax(places == found.index(None)))
            index.require(raw[row].item(), where(row))
        target[start : start + len(block)] = np.array(found, np.int64)[places]
    index.check_complete(target, file)
    return target


def _values(raw: Array, where: Where) -> Array:
    if raw.dtype.kind not in "biuf":
        raise _not_a_value(raw[0].item(), where(0))
    for start, block in blocks(raw):
        finite = np.isfinite(block)
        if not finite.all():
            row = start + int(np.argmin(finite))
            value, place = raw[row].item(), where(row)
            if is_missing(value):
                raise missing_target(value, place)
            raise _not_a_value(value, place)
    return raw if raw.dtype == np.dtype("<f8") else raw.astype(np.float64)


def _not_a_value(value: object, where: str) -> TargetBroken:
    return TargetBroken(
        f"{where}: the target {_shown(value)} is not a finite number",
        why="without [model] classes the target is a value to predict",
        fix="correct or remove the row; for a classification, name the classes in [model] classes",
    )


def _number(text: str) -> int | float:
    # NOTE: Python compares int and float exactly, so that large labels stay apart; the bound is
    # there because it refuses to read integers of thousands of digits.
    return int(text) if len(text) <= 300 and text.lstrip("+-").isdigit() else float(text)


def _shown(value: object) -> str:
    return repr(value)[:80]


def _listed(names: Sequence[Any], most: int = 12) -> str:
    shown = ", ".join(repr(name) for name in names[:most])
    return f"{shown}, ... ({len(names)} in all)" if len(names) > most else shown
