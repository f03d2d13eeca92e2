"""What is particular to the store in a folder: its files, and what a hostile folder can hold."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from danku.storage import files
from danku.storage.cid import cid_of
from danku.storage.embedded import EmbeddedStore
from danku.storage.files import NewFile, make_folder
from danku.storage.port import Corrupt, NotFound, StoreUnusable

LIMIT = 2**20
DATA = b"some bytes"
CID = cid_of(DATA)


@pytest.fixture
def store(tmp_path: Path) -> EmbeddedStore:
    return EmbeddedStore(tmp_path / "blobs")


def test_a_blob_is_a_file_named_by_its_cid(store: EmbeddedStore) -> None:
    store.put(DATA)
    assert [path.name for path in store.folder.iterdir()] == [CID]
    assert (store.folder / CID).read_bytes() == DATA


def test_reading_does_not_create_the_folder(store: EmbeddedStore) -> None:
    assert not store.has(CID)
    with pytest.raises(NotFound):
        store.get(CID, LIMIT)
    assert not store.folder.exists()


def test_an_intact_blob_is_not_written_again(store: EmbeddedStore, tmp_path: Path) -> None:
    store.put(DATA)
    before = (store.folder / CID).stat()
    (tmp_path / "source").write_bytes(DATA)
    store.put(DATA)
    store.put_file(tmp_path / "source")
    after = (store.folder / CID).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert len(list(store.folder.iterdir())) == 1


def test_a_link_in_the_blobs_place_is_not_followed(store: EmbeddedStore, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(DATA)
    make_folder(store.folder)
    (store.folder / CID).symlink_to(secret)
    assert not store.has(CID)
    with pytest.raises(Corrupt):
        store.get(CID, LIMIT)
    store.put(DATA)
    assert not (store.folder / CID).is_symlink()
    assert store.get(CID, LIMIT) == DATA
    assert secret.read_bytes() == DATA


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_neither_a_pipe_nor_a_folder_is_read(store: EmbeddedStore, make) -> None:
    make_folder(store.folder)
    make(store.folder / CID)
    assert not store.has(CID)
    with pytest.raises(Corrupt):
        store.get(CID, LIMIT)


def test_too_large_is_known_before_reading(store: EmbeddedStore) -> None:
    make_folder(store.folder)
    with (store.folder / CID).open("wb") as file:
        file.truncate(2**40)
    started = time.monotonic()
    with pytest.raises(Exception, match="1,099,511,627,776 bytes"):
        store.get(CID, LIMIT)
    assert time.monotonic() - started < 1


def test_a_folder_that_is_a_file_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "blobs").write_bytes(b"")
    store = EmbeddedStore(tmp_path / "blobs")
    for attempt in (lambda: store.put(DATA), lambda: store.get(CID, LIMIT), lambda: store.has(CID)):
        with pytest.raises(StoreUnusable) as refusal:
            attempt()
        assert str(tmp_path / "blobs") in refusal.value.what


def test_a_full_disk_leaves_no_trace(store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put(b"earlier")
    before = sorted(store.folder.iterdir())

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(StoreUnusable, match="cannot be used") as refusal:
        store.put(DATA)
    assert "No space left" in refusal.value.why
    assert sorted(store.folder.iterdir()) == before


def test_bytes_and_name_are_synced_in_this_order(
    store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_folder(store.folder)
    seen = []
    sync = os.fsync

    def record(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        seen.append(("folder" if is_folder else "file", (store.folder / CID).exists()))
        sync(descriptor)

    monkeypatch.setattr(files.os, "fsync", record)
    store.put(DATA)
    assert seen == [("file", False), ("folder", True)]


def test_what_a_killed_writer_left_is_swept_later(store: EmbeddedStore) -> None:
    make_folder(store.folder)
    old, fresh = (store.folder / f"{files.TEMPORARY_PREFIX}{name}" for name in ("old", "fresh"))
    for path in (old, fresh):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 7_200,) * 2)
    store.put(DATA)
    assert not old.exists()
    assert fresh.exists()


def test_killing_a_writer_at_any_time_leaves_whole_blobs_only(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from danku.storage.embedded import EmbeddedStore\n"
        "store = EmbeddedStore(Path(sys.argv[1]))\n"
        "for number in range(10**6): print(store.put(b'%d' % number * 50_000), flush=True)\n"
    )
    folder = tmp_path / "blobs"
    for delay in (0.01, 0.02, 0.03):
        process = subprocess.Popen(
            [sys.executable, "-c", script, folder], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        acknowledged = [process.stdout.readline().strip()]
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        acknowledged += process.stdout.read().split("\n")[:-1]
        process.wait()
        store = EmbeddedStore(folder)
        assert all(store.get(cid, LIMIT) for cid in acknowledged)
        names = [path.name for path in folder.iterdir()]
        assert all(store.get(name, LIMIT) for name in names if not name.startswith("."))


def test_a_new_file_vanishes_unless_it_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "target"
    with pytest.raises(RuntimeError), NewFile(tmp_path) as incoming:
        incoming.write(b"half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with NewFile(tmp_path, 0o600) as incoming:
        incoming.write(b"whole")
        incoming.keep(target)
    assert target.read_bytes() == b"whole"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [target]
