"""Play pages and print what stands in the terminal: python -m tests.docs docs/organizer.md.

With --write, what a page shows and its commands do not print is written anew; look it through.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

import pytest

from tests.docs.page import Commands, Others, agrees, parts_of
from tests.docs.play import prepared


def without_chance(printed: str, folder: Path) -> str:
    """What was printed, with … in place of folders and hashes, and without blank lines."""
    text = printed.replace(f"{folder.resolve()}/reader", "…")
    text = re.sub(r"0x[0-9a-f]{64}", "0x…", text)
    text = re.sub(r"bafk\w+", "bafk…", text)
    return "".join(line.rstrip() + "\n" for line in text.splitlines() if line.strip())


def play(page: Path, folder: Path, patch: pytest.MonkeyPatch, *, write: bool) -> None:
    played = prepared(patch, folder)
    for part in list(parts_of(page)):
        printed = played.part(part)
        if isinstance(part, Commands):
            print(*(f"$ {line}" for line in part.lines), printed, sep="\n")
            if write and part.shown is not None and not agrees(part.shown, printed):
                told, new = part.shown, without_chance(printed, folder)
                text = page.read_text("utf-8")
                page.write_text(
                    text.replace(f"```text\n{told}```", f"```text\n{new}```", 1), "utf-8"
                )
        elif isinstance(part, Others):
            print(*(f"  ({who}: {what})" for who, what in part.steps), sep="\n")


options, pages = (
    [word for word in sys.argv[1:] if word.startswith("-") is kind] for kind in (True, False)
)
for name in pages:
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        play(Path(name), Path(folder), patch, write="--write" in options)
