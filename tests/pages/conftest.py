"""Pages of played competitions, and a browser to look at them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from danku.pages.facts import Facts, read_facts
from danku.pages.site import site, write_site
from tests.pages.chromium import HELP, Chromium, executable
from tests.roles.arena import Arena, InProcess
from tests.roles.conftest import ArenaAt, arena_at, stages

__all__ = ["arena_at", "stages"]

SiteAt = Callable[[str], Path]


def facts_of(arena: Arena, **options: object) -> Facts:
    """The facts of an arena's challenge; its models run in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("danku.evaluation.worker.Worker", InProcess)
        return read_facts(arena.host, arena.challenge, **options)  # type: ignore[arg-type]


def write(arena: Arena, folder: Path, **options: object) -> Path:
    """An arena's page in a folder; the path of index.html."""
    write_site(folder, site(arena.host, facts_of(arena, **options)))
    return folder / "index.html"


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    """One browser for all tests of a process."""
    program = executable()
    if program is None:
        missing = f"Chromium is missing: {HELP}"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    found = Chromium(program)
    yield found
    found.close()


@pytest.fixture
def browser(chromium: Chromium) -> Chromium:
    """The browser, looking at nothing, in a window of common size."""
    chromium.send("Page.navigate", url="about:blank")
    chromium.look(1280, 900)
    return chromium


@pytest.fixture(scope="session")
def site_at(stages: ArenaAt, tmp_path_factory: pytest.TempPathFactory) -> SiteAt:
    """The page of the honest competition after a step; not to be changed."""
    root = tmp_path_factory.mktemp("sites")
    known: dict[str, Path] = {}

    def at(step: str) -> Path:
        if step not in known:
            known[step] = write(stages(step), root / step)
        return known[step]

    return at
