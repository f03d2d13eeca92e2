"""The one demonstration that is looked at from all sides."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.demo.played import Played, played


@pytest.fixture(scope="session")
def demo() -> Iterator[Played]:
    """A finished demonstration, not to be changed."""
    found = played()
    yield found
    shutil.rmtree(found.root.parent, ignore_errors=True)
