"""Pages for a role are played command by command, and show what is printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.page import DOCS, Commands, agrees, parts_of
from tests.docs.play import prepared

ROLES = ("organizer", "submitter", "validator")


@pytest.mark.parametrize("role", ROLES)
def test_a_page_does_what_it_says(
    role: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared(monkeypatch, tmp_path).page(DOCS / f"{role}.md")


@pytest.mark.parametrize("role", ROLES)
def test_a_page_shows_what_its_commands_print(role: str) -> None:
    commands = [part for part in parts_of(DOCS / f"{role}.md") if isinstance(part, Commands)]
    assert len(commands) >= 10
    assert sum(part.shown is not None for part in commands) >= 9


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("done\n", "done\n"),
        (" a    b \n ────\n", "\n a b \n ──────\n\n"),
        ("id 0x…, 3 rows\n", "id 0xab12, 3 rows\n"),
        ("first\n…\nlast\n", "first\nx\ny\nlast\n"),
        ("first\n…\n", "first\n"),
    ],
)
def test_what_agrees(shown: str, printed: str) -> None:
    assert agrees(shown, printed)


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("done\n", "done\nand more\n"),
        ("done\nand more\n", "done\n"),
        ("id 0x…, 3 rows\n", "id 0xab12, 4 rows\n"),
        ("id 0x…\n", "id 0x\n"),
        ("a…c\n", "a\nc\n"),
        ("4.5 rows\n", "415 rows\n"),
        ("…\nlast\n", "first\nlast, not least\n"),
    ],
)
def test_what_does_not_agree(shown: str, printed: str) -> None:
    assert not agrees(shown, printed)
