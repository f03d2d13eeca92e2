"""Play pages and print what stands in the terminal: python -m tests.docs docs/organizer.md."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pytest

from tests.docs.page import Commands, Others, parts_of
from tests.docs.play import prepared

for name in sys.argv[1:]:
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        play = prepared(patch, Path(folder))
        for part in parts_of(Path(name)):
            printed = play.part(part)
            if isinstance(part, Commands):
                print(*(f"$ {line}" for line in part.lines), printed, sep="\n")
            elif isinstance(part, Others):
                print(*(f"  ({who}: {what})" for who, what in part.steps), sep="\n")
