"""What the documents say of the command line is what the command line does."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from danku import errors
from danku.cli.app import EXIT_CODES
from tests.cli.words import COMMANDS, parse

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/**/*.md", "challenges/*/README.md", "keys/README.md")
    for path in ROOT.glob(pattern)
)
MENTION = re.compile(r"`danku ([^`]*)`")
LINE = re.compile(r"^(?:\$ )?(danku .*)$", re.MULTILINE)
BLOCK = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)


def mentions(text: str) -> Iterator[tuple[bool, list[str]]]:
    """Words after `danku`, and whether they stand in a block, where they must be complete."""
    for block in BLOCK.findall(text):
        for line in LINE.findall(block):
            for part in line.partition(" #")[0].split("&&"):
                words = shlex.split(part)
                if words[:1] == ["danku"]:
                    yield True, words[1:]
    for mention in MENTION.findall(BLOCK.sub("", text)):
        yield False, shlex.split(mention)


def known(words: list[str]) -> None:
    """Check words that need not be complete: `danku model check`, `danku init --join PUBLIC`."""
    path: tuple[str, ...] = ()
    while words and any(command[: len(path) + 1] == (*path, words[0]) for command in COMMANDS):
        path = (*path, words.pop(0))
    if not path:
        assert words in (["--help"], ["--install-completion"])
        return
    options = {name for option in COMMANDS[path].params for name in option.opts} if words else ()
    for word in words:
        if word.startswith("-") and word != "--help":
            assert word in options, f"danku {' '.join(path)} has no {word}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_danku_command_in_a_document_exists(document: str) -> None:
    for complete, words in mentions((ROOT / document).read_text("utf-8")):
        if complete:
            parse(words)
        else:
            known(words)


def test_the_readme_does_show_commands() -> None:
    found = list(mentions((ROOT / "README.md").read_text("utf-8")))
    assert len([words for complete, words in found if complete]) >= 10


def test_the_table_of_exit_codes_is_that_of_the_code() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    table = dict(re.findall(r"^\| (\d) \| (.*) \|$", text, re.MULTILINE))
    listed = dict(re.findall(r"(\d) ([^,.]*)", " ".join(EXIT_CODES.split())))
    assert {code: meaning.replace(",", "") for code, meaning in table.items()} == listed
    families = {
        errors.DankuError: "failed",
        errors.UsageError: "usage",
        errors.Rejected: "rejected by the rules",
        errors.NotYet: "not yet, or nothing is due",
        errors.DataError: "bad or missing data",
        errors.StorageError: "network or storage",
        errors.VerificationFailed: "verification failed",
    }
    assert table == {"0": "done"} | {
        str(family.exit_code): meaning for family, meaning in families.items()
    }
