"""Compiled code on disk: kept for the next process, never taken from somebody else's folder."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from danku.evaluation.kernels import compiler
from danku.evaluation.kernels.compiler import FLOAT64, Kernel, target


def fill(x: np.ndarray) -> None:
    for i in range(x.size):
        x[i] = 7.0


def cached_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What compiling and running a kernel leaves in the folder that numba is told to use."""
    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(folder))
    made, result = Kernel(fill, (target(FLOAT64, 1),), "_test"), np.zeros(3)
    made(result)
    assert result.tolist() == [7.0] * 3
    return [path for path in folder.rglob("*") if path.is_file()]


def test_code_is_kept_in_a_folder_of_our_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = cached_in(tmp_path, monkeypatch)
    assert {path.suffix for path in first} == {".nbi", ".nbc"}
    assert cached_in(tmp_path, monkeypatch) == first


@pytest.mark.parametrize("mode", [0o777, 0o773])
def test_a_folder_that_others_can_write_is_not_used(
    mode: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(mode)
    assert cached_in(shared, monkeypatch) == []


def test_a_shared_folder_whose_entries_are_their_owners_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    assert cached_in(shared, monkeypatch) != []


def test_a_folder_of_another_user_is_not_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    within = tmp_path / "within"
    within.mkdir()
    assert compiler.ours(within)
    real, strange = os.stat, tmp_path.stat().st_ino

    def another(path: Any, **options: Any) -> Any:
        found = real(path, **options)
        if found.st_ino != strange:
            return found
        return SimpleNamespace(st_mode=found.st_mode, st_uid=54_321)

    monkeypatch.setattr(os, "stat", another)
    assert not compiler.ours(tmp_path)
    assert not compiler.ours(within)
