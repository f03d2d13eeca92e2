"""Copying a journal in or out: only whole ones, and never at the price of a line."""

from __future__ import annotations

from pathlib import Path

import pytest

from danku.errors import StorageError
from danku.ledger.embedded.envelope import AdvanceTime
from danku.ledger.embedded.errors import JournalBroken, JournalExists, JournalUnavailable
from danku.ledger.embedded.ledger import EmbeddedLedger
from danku.ledger.embedded.transfer import copy_journal
from tests.ledger.worlds import EmbeddedWorld, key_of

ALICE = key_of("alice")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.endswith(".lock")}


def test_a_copy_is_the_same_ledger(world: EmbeddedWorld, tmp_path: Path) -> None:
    target = tmp_path / "copy.jsonl"
    report = copy_journal(world.path, target, clock=world.clock)
    assert target.read_bytes() == world.path.read_bytes()
    assert report.head == world.ledger.head()
    copy = EmbeddedLedger(target, clock=world.clock)
    assert copy.state() == world.ledger.state()


def test_it_brings_an_older_copy_up_to_date(world: EmbeddedWorld, tmp_path: Path) -> None:
    target = tmp_path / "copy.jsonl"
    target.write_bytes(b"".join(world.lines()[:7]) + b'{"torn')
    copy_journal(world.path, target, clock=world.clock)
    copy_journal(world.path, target, clock=world.clock)
    assert target.read_bytes() == world.path.read_bytes()
    assert (tmp_path / "copy.jsonl.torn-7").read_bytes() == b'{"torn'


def test_an_open_ledger_follows_an_import(world: EmbeddedWorld, tmp_path: Path) -> None:
    target = tmp_path / "copy.jsonl"
    target.write_bytes(b"".join(world.lines()[:7]))
    opened = EmbeddedLedger(target, clock=world.clock, heads=tmp_path / "other heads.json")
    copy_journal(world.path, target, clock=world.clock)
    assert opened.head() == world.ledger.head()


def test_no_line_is_lost_to_it(sandbox: EmbeddedWorld, tmp_path: Path) -> None:
    target = tmp_path / "copy.jsonl"
    copy_journal(sandbox.path, target, clock=sandbox.clock)
    EmbeddedLedger(target, clock=sandbox.clock).submit(ALICE, AdvanceTime(1))
    for _ in range(2):
        before = target.read_bytes()
        with pytest.raises(JournalExists):
            copy_journal(sandbox.path, target, clock=sandbox.clock)
        assert target.read_bytes() == before
        sandbox.ledger.submit(key_of("bob"), AdvanceTime(1))


def test_it_does_not_write_over_another_file(world: EmbeddedWorld, tmp_path: Path) -> None:
    target = tmp_path / "thesis.txt"
    target.write_text("four years\nof work\n")
    with pytest.raises(JournalExists):
        copy_journal(world.path, target, clock=world.clock)
    assert target.read_text() == "four years\nof work\n"


def test_a_broken_journal_is_not_copied(world: EmbeddedWorld, tmp_path: Path) -> None:
    lines = world.lines()
    lines[5] = lines[5].replace(b'"value":"', b'"value":"1')
    source, target = tmp_path / "source.jsonl", tmp_path / "target.jsonl"
    source.write_bytes(b"".join(lines))
    before = names(tmp_path)
    with pytest.raises(JournalBroken) as broken:
        copy_journal(source, target, clock=world.clock)
    assert broken.value.line == 6
    assert names(tmp_path) == before


def test_an_unfinished_line_is_left_out(world: EmbeddedWorld, tmp_path: Path) -> None:
    whole = world.path.read_bytes()
    world.path.write_bytes(whole + b'{"action"')
    copy_journal(world.path, tmp_path / "copy.jsonl", clock=world.clock)
    assert (tmp_path / "copy.jsonl").read_bytes() == whole


def test_missing_files_and_folders_are_named(world: EmbeddedWorld, tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        copy_journal(tmp_path / "nothing", tmp_path / "copy.jsonl", clock=world.clock)
    with pytest.raises(JournalUnavailable):
        copy_journal(world.path, tmp_path / "nowhere" / "copy.jsonl", clock=world.clock)
    assert "copy.jsonl" not in names(tmp_path)
