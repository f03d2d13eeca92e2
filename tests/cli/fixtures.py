"""Workspaces at every stage of a small competition."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from danku.crypto import keystore
from danku.evaluation.frames import Isolation
from tests.cli.driver import Danku, stages
from tests.roles.arena import InProcess


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Workspaces at every stage, built before a test can patch anything."""
    return stages(tmp_path_factory.getbasetemp())


@pytest.fixture
def at(played: dict[str, Path], tmp_path: Path) -> Callable[[str], Danku]:
    """A workspace of one's own in which the competition has reached a stage."""
    number = itertools.count()

    def copy(stage: str) -> Danku:
        return Danku(shutil.copytree(played[stage], tmp_path / f"{stage}-{next(number)}"))

    return copy


@pytest.fixture
def empty(tmp_path: Path) -> Danku:
    """A folder with nothing in it."""
    return Danku(tmp_path)


class Worker(InProcess):
    """The worker's part that commands use, without a process."""

    isolation = Isolation(no_network=True, confined=True)

    def start(self) -> None:
        pass


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Key files that cost little, and evaluation without a process of its own."""
    monkeypatch.setattr(keystore, "create", partial(keystore.create, cost=2**10))
    monkeypatch.setattr("danku.evaluation.worker.Worker", Worker)
