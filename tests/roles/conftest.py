"""Competitions at every stage, each test with a copy of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.demo.played import Played, played
from tests.roles.arena import STEPS, Arena

ArenaAt = Callable[[str], Arena]


@pytest.fixture(scope="session")
def demo() -> Iterator[Played]:
    """A finished demonstration, not to be changed."""
    found = played()
    yield found
    shutil.rmtree(found.root.parent, ignore_errors=True)


@pytest.fixture(scope="session")
def stages(tmp_path_factory: pytest.TempPathFactory) -> ArenaAt:
    """One honest competition after each of its steps; not to be changed."""
    root = tmp_path_factory.mktemp("stages")
    names = [step.__name__ for step in STEPS]
    known: dict[str, Arena] = {}

    def at(step: str) -> Arena:
        if step not in known:
            place = names.index(step)
            before = at(names[place - 1]).fork(root / step) if place else Arena(root / step)
            STEPS[place](before)
            known[step] = before
        return known[step]

    return at


@pytest.fixture
def arena_at(stages: ArenaAt, tmp_path: Path) -> ArenaAt:
    """A competition of the test's own, right after a step."""
    return lambda step: stages(step).fork(tmp_path / f"after-{step}")
