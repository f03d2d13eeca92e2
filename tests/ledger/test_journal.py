"""The file: torn lines are passed over and set aside, and a full disk changes nothing."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from danku.errors import StorageError
from danku.ledger.embedded.envelope import AdvanceTime
from danku.ledger.embedded.errors import JournalBroken, JournalBusy
from danku.ledger.embedded.files import locked
from danku.ledger.embedded.ledger import EmbeddedLedger
from danku.ledger.embedded.verification import verify_journal
from tests.ledger.worlds import EmbeddedWorld, key_of

ALICE = key_of("alice")


@pytest.fixture
def written(sandbox: EmbeddedWorld) -> EmbeddedWorld:
    for _ in range(3):
        sandbox.ledger.submit(ALICE, AdvanceTime(1))
    return sandbox


def torn_files(world: EmbeddedWorld) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes()
        for path in world.path.parent.iterdir()
        if ".torn-" in path.name
    }


def test_a_line_cut_at_any_byte_is_set_aside(written: EmbeddedWorld) -> None:
    whole, last = b"".join(written.lines()[:-1]), written.lines()[-1]
    for length in range(len(last)):
        written.path.write_bytes(whole + last[:length])
        ledger = EmbeddedLedger(written.path, clock=written.clock)
        assert (ledger.nonce(ALICE.address), ledger.torn) == (2, length)
        assert written.path.read_bytes() == whole + last[:length], "readers change nothing"
        receipt = ledger.submit(ALICE, AdvanceTime(2))
        assert (receipt.sequence, ledger.torn) == (3, 0)
        assert written.path.read_bytes().startswith(whole)
        assert torn_files(written) == ({"ledger.jsonl.torn-3": last[:length]} if length else {})
        for name in torn_files(written):
            (written.path.parent / name).unlink()
        assert verify_journal(written.path, clock=written.clock).lines == 4


def test_a_process_that_had_read_the_torn_line_sets_it_aside_too(written: EmbeddedWorld) -> None:
    with written.path.open("ab") as file:
        file.write(b'{"action":')
    assert written.ledger.torn == 10
    other = written.again()
    other.submit(ALICE, AdvanceTime(1))
    assert written.ledger.torn == 0
    assert written.ledger.head() == other.head()


def test_fragments_are_kept_apart(written: EmbeddedWorld) -> None:
    """Killed between copying a fragment and cutting it off, a writer leaves both."""
    fragments = [b"one", b"one", b"two"]
    before = written.path.read_bytes()
    for fragment in fragments:
        written.path.write_bytes(before + fragment)
        EmbeddedLedger(written.path, clock=written.clock).submit(ALICE, AdvanceTime(1))
    assert sorted(torn_files(written).values()) == fragments
    assert set(torn_files(written)) == {
        "ledger.jsonl.torn-4",
        "ledger.jsonl.torn-4-1",
        "ledger.jsonl.torn-4-2",
    }


def test_verifying_is_stricter_than_reading(written: EmbeddedWorld) -> None:
    with written.path.open("ab") as file:
        file.write(b"\n"[:0] + b" ")
    assert written.again().torn == 1
    with pytest.raises(JournalBroken) as broken:
        verify_journal(written.path, clock=written.clock)
    assert (broken.value.line, broken.value.check) == (5, "bytes")


@pytest.mark.parametrize("step", ["write", "fsync", "short"])
def test_a_disk_that_refuses_leaves_the_journal_as_it_was(
    written: EmbeddedWorld, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    before, head = written.path.read_bytes(), written.ledger.head()
    true_write = os.write

    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def write_half(descriptor: int, data: bytes) -> int:
        return true_write(descriptor, data[: len(data) // 2])

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync" if step == "fsync" else "write", refuse)
        if step == "short":
            patch.setattr(os, "write", write_half)
        with pytest.raises(StorageError) as error:
            written.ledger.submit(ALICE, AdvanceTime(1))
    assert error.value.exit_code == 6
    assert error.value.fix
    assert written.path.read_bytes() == before
    assert (written.ledger.head(), written.ledger.nonce(ALICE.address)) == (head, 3)
    assert written.ledger.submit(ALICE, AdvanceTime(1)).sequence == 4


def test_an_interrupted_append_is_read_again(
    written: EmbeddedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("danku.ledger.embedded.replay.Replay.commit", interrupt)
        with pytest.raises(KeyboardInterrupt):
            written.ledger.submit(ALICE, AdvanceTime(1))
    assert written.ledger.nonce(ALICE.address) == 4
    assert written.ledger.submit(ALICE, AdvanceTime(1)).sequence == 5
    assert verify_journal(written.path, clock=written.clock).lines == 6


def test_an_action_is_on_disk_before_it_is_acknowledged(
    written: EmbeddedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []
    true_fsync = os.fsync
    size = written.path.stat().st_size

    def fsync(descriptor: int) -> None:
        if os.fstat(descriptor).st_ino == written.path.stat().st_ino:
            synced.append(os.fstat(descriptor).st_size)
        true_fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    written.ledger.submit(ALICE, AdvanceTime(1))
    assert synced == [written.path.stat().st_size]
    assert synced[0] > size


def test_a_lock_held_too_long_is_reported(written: EmbeddedWorld) -> None:
    with locked(written.path), pytest.raises(JournalBusy), locked(written.path, seconds=0.01):
        pass


def test_whoever_ignores_the_lock_is_not_written_over(
    written: EmbeddedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_time = written.clock

    def clock() -> int:
        if written.ledger._replay is not None:
            with written.path.open("ab") as file:
                file.write(b"stray")
        return true_time()

    monkeypatch.setattr(written.ledger, "_clock", clock)
    with pytest.raises(StorageError):
        written.ledger.submit(ALICE, AdvanceTime(1))
    assert written.path.read_bytes().endswith(b"}\nstray")


def test_a_folder_is_no_journal(tmp_path: Path) -> None:
    (tmp_path / "ledger.jsonl").mkdir()
    with pytest.raises(StorageError):
        EmbeddedLedger(tmp_path / "ledger.jsonl")
