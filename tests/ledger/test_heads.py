"""What was seen is remembered: a journal cannot be cut short or exchanged behind one's back."""

from __future__ import annotations

import stat
from pathlib import Path

import msgspec
import pytest

from danku.ledger.embedded.envelope import AdvanceTime
from danku.ledger.embedded.errors import HeadsBroken, JournalBroken, Rewritten
from danku.ledger.embedded.genesis import create_journal
from danku.ledger.embedded.ledger import EmbeddedLedger
from danku.ledger.embedded.lines import read_line
from danku.protocol import records
from tests.ledger.worlds import Clock, EmbeddedWorld, key_of

ALICE, BOB = key_of("alice"), key_of("bob")


@pytest.fixture
def written(sandbox: EmbeddedWorld) -> EmbeddedWorld:
    for _ in range(4):
        sandbox.ledger.submit(ALICE, AdvanceTime(1))
    return sandbox


def test_a_journal_cut_short_is_noticed(written: EmbeddedWorld) -> None:
    lines = written.lines()
    for count in range(1, len(lines)):
        written.path.write_bytes(b"".join(lines[:count]))
        for open_ledger in (written.again, written.ledger.state):
            with pytest.raises(Rewritten) as error:
                open_ledger()
            assert "rewritten or truncated" in error.value.what
        assert written.again(private=False).nonce(ALICE.address) == count - 1
    written.path.write_bytes(b"".join(lines))
    assert written.again().nonce(ALICE.address) == 4
    assert written.ledger.nonce(ALICE.address) == 4


def test_nothing_is_written_to_a_journal_cut_short(written: EmbeddedWorld) -> None:
    cut = b"".join(written.lines()[:-1])
    written.path.write_bytes(cut)
    with pytest.raises(Rewritten):
        written.ledger.submit(BOB, AdvanceTime(1))
    assert written.path.read_bytes() == cut


def test_another_ending_is_noticed_though_it_is_longer(written: EmbeddedWorld) -> None:
    written.path.write_bytes(b"".join(written.lines()[:-2]))
    rewriter = written.again(private=False)
    for _ in range(5):
        rewriter.submit(BOB, AdvanceTime(1))
    for open_ledger in (written.again, written.ledger.state):
        with pytest.raises(Rewritten):
            open_ledger()


def test_another_ledger_in_its_place_is_noticed(written: EmbeddedWorld) -> None:
    written.path.unlink()
    words = {"sandbox": True, "play_money": 10_000, "treasurer": None, "sequencer": None}
    create_journal(written.path, **words, clock=written.clock)
    for open_ledger in (written.again, written.ledger.state):
        with pytest.raises(Rewritten) as error:
            open_ledger()
        assert written.identity.address in error.value.what


def test_it_follows_the_ledger_to_another_place(written: EmbeddedWorld) -> None:
    moved = written.path.with_name("moved.jsonl")
    moved.write_bytes(b"".join(written.lines()[:-1]))
    with pytest.raises(Rewritten):
        EmbeddedLedger(moved, clock=written.clock, heads=written.heads)


def test_a_workspace_can_be_moved(written: EmbeddedWorld) -> None:
    folder = written.path.parent
    moved = folder.rename(folder.with_name("moved workspace"))
    words = {"clock": written.clock, "heads": moved / written.heads.name}
    assert EmbeddedLedger(moved / written.path.name, **words).nonce(ALICE.address) == 4
    folder.mkdir()


def test_reading_remembers_what_others_wrote(written: EmbeddedWorld, tmp_path: Path) -> None:
    heads = tmp_path / "other heads.json"
    EmbeddedLedger(written.path, clock=written.clock, heads=heads)
    written.path.write_bytes(b"".join(written.lines()[:-1]))
    with pytest.raises(Rewritten):
        EmbeddedLedger(written.path, clock=written.clock, heads=heads)


def test_a_refused_journal_is_not_remembered(written: EmbeddedWorld) -> None:
    before = written.heads.read_bytes()
    ahead = EmbeddedLedger(written.path, clock=Clock(written.clock.now + 1000))
    ahead.submit(BOB, AdvanceTime(1))
    with pytest.raises(JournalBroken):
        written.again()
    assert written.heads.read_bytes() == before


def test_an_older_reader_does_not_make_it_forget(written: EmbeddedWorld) -> None:
    whole = written.heads.read_bytes()
    old = written.path.with_name("old.jsonl")
    old.write_bytes(b"".join(written.lines()[:2]))
    with pytest.raises(Rewritten):
        EmbeddedLedger(old, clock=written.clock, heads=written.heads)
    assert written.heads.read_bytes() == whole


def test_signatures_are_not_checked_twice_but_always_by_verify(
    written: EmbeddedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = []

    def unsafe(*arguments: object) -> bool:
        checked.append(arguments)
        return True

    monkeypatch.setattr("danku.ledger.embedded.replay.signature_holds", unsafe)
    written.again()
    assert checked == []
    written.again(private=False)
    assert len(checked) == 4


def test_a_forgery_that_replaces_remembered_lines_is_refused(written: EmbeddedWorld) -> None:
    """Unsigned lines up to the remembered sequence must not pass for the remembered ones."""
    *lines, last = written.lines()
    line = read_line(last[:-1])
    unsigned = msgspec.structs.replace(line.action, signature="0x" + "11" * 64)
    forged = records.encode(msgspec.structs.replace(line, action=unsigned))
    written.path.write_bytes(b"".join(lines) + forged + b"\n")
    with pytest.raises(Rewritten):
        written.again()


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"not json", b"[" * 10_000, b'{"heads":{"0x12":{}},"journals":{}}', b"\xff"],
    ids=lambda data: repr(data[:12]),
)
def test_a_broken_memory_is_not_taken_for_a_blank_one(written: EmbeddedWorld, data: bytes) -> None:
    written.heads.write_bytes(data)
    with pytest.raises(HeadsBroken) as error:
        written.again()
    assert error.value.exit_code == 5
    assert error.value.fix
    assert written.heads.read_bytes() == data


def test_it_is_the_owners_alone(written: EmbeddedWorld) -> None:
    assert stat.S_IMODE(written.heads.stat().st_mode) == 0o600
    assert not written.heads.with_name("heads.json.new").exists()


def test_several_ledgers_share_a_memory(sandbox: EmbeddedWorld, tmp_path: Path) -> None:
    second = tmp_path / "second.jsonl"
    words = {"sandbox": True, "play_money": 0, "treasurer": None, "sequencer": None}
    create_journal(second, **words, clock=sandbox.clock)
    other = EmbeddedLedger(second, clock=sandbox.clock, heads=sandbox.heads)
    other.submit(ALICE, AdvanceTime(1))
    sandbox.ledger.submit(ALICE, AdvanceTime(1))
    for path in (second, sandbox.path):
        path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
        with pytest.raises(Rewritten):
            EmbeddedLedger(path, clock=sandbox.clock, heads=sandbox.heads)
