"""Committing: what is written, what binds it, and what happens when it goes wrong."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from danku.crypto.hashing import domain, keccak
from danku.dataset import commit, private
from danku.dataset.commit import GroupsExist, GroupTooLarge, commit_groups
from danku.dataset.groups import decode_group, encode_group, plan_groups
from danku.dataset.private import PrivateGroups, PrivateGroupsBroken
from danku.dataset.table import Table
from danku.errors import DataError, StorageError

SEED = bytes(32)


def table(rows: int = 50, columns: int = 3, dtype: str = "float32") -> Table:
    features = np.arange(rows * columns).reshape(rows, columns).astype(dtype)
    return Table(features, np.arange(rows) % 4, ("a", "b", "c"), None, "float32")


def numbered() -> Callable[[], bytes]:
    numbers = count(1)
    return lambda: next(numbers).to_bytes(32, "big")


@pytest.mark.parametrize("seed", [None, SEED], ids=["in order", "shuffled"])
@pytest.mark.parametrize("batch_bytes", [1, 300, 2**20])
@pytest.mark.parametrize("window_bytes", [1, 100, 2**20])
@pytest.mark.parametrize("mapped", [False, True])
def test_every_group_has_its_rows_whatever_is_read_at_a_time(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    seed: bytes | None,
    batch_bytes: int,
    window_bytes: int,
    mapped: bool,
) -> None:
    monkeypatch.setattr(commit, "BATCH_BYTES", batch_bytes)
    monkeypatch.setattr(commit, "WINDOW_BYTES", window_bytes)
    source = table()
    if mapped:
        np.save(tmp_path / "f.npy", source.features)
        features = np.load(tmp_path / "f.npy", mmap_mode="r")
        source = Table(features, source.target, (), None, "float32")
    plan = plan_groups(50, 8, seed)
    commitments = commit_groups(source, plan, tmp_path / "groups", nonces=numbered())
    groups = PrivateGroups(tmp_path / "groups")
    assert groups.commitments == commitments
    assert [each.index for each in commitments] == list(range(7))
    assert [each.rows for each in commitments] == [8] * 6 + [2]
    for each, rows in zip(commitments, plan, strict=True):
        data = groups.read(each.index)
        features, target = decode_group(data, "float32", [3], classes=4)
        assert features.tolist() == source.features[rows].tolist()
        assert target.tolist() == source.target[rows].tolist()


def test_a_leaf_is_the_keccak_of_its_nonce_and_bytes(tmp_path: Path) -> None:
    source = table()
    plan = plan_groups(50, 20)
    commitments = commit_groups(source, plan, tmp_path / "groups", nonces=numbered())
    for number, (each, rows) in enumerate(zip(commitments, plan, strict=True), start=1):
        data = encode_group(source.features[rows], source.target[rows])
        assert each.nonce == number.to_bytes(32, "big")
        assert each.leaf == keccak(domain("data-leaf"), each.nonce, data)
        assert each.size == len(data)


@pytest.mark.parametrize("dtype", ["float64", ">f4", "int64", "float16"])
def test_features_become_the_models_type(tmp_path: Path, dtype: str) -> None:
    plan = plan_groups(50, 20)
    changed = commit_groups(table(dtype=dtype), plan, tmp_path / "a", nonces=numbered())
    assert changed == commit_groups(table(), plan, tmp_path / "b", nonces=numbered())


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "private" / "groups"
    before = os.umask(0)
    try:
        commit_groups(table(), plan_groups(50, 20), folder, nonces=numbered())
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert [path.name for path in folder.parent.iterdir()] == ["groups"]


def test_progress_counts_groups(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    commit_groups(
        table(),
        plan_groups(50, 20),
        tmp_path / "groups",
        nonces=numbered(),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_committed_groups_are_never_overwritten(tmp_path: Path) -> None:
    folder, plan = tmp_path / "groups", plan_groups(50, 20)
    first = commit_groups(table(), plan, folder, nonces=numbered())
    with pytest.raises(GroupsExist, match="exists already"):
        commit_groups(table(), plan, folder, nonces=lambda: bytes(32))
    assert PrivateGroups(folder).commitments == first


def test_what_a_killed_command_left_is_replaced(tmp_path: Path) -> None:
    unfinished = tmp_path / "groups.unfinished"
    unfinished.mkdir()
    (unfinished / "groups.bin").write_bytes(b"half")
    commit_groups(table(), plan_groups(50, 20), tmp_path / "groups", nonces=numbered())
    assert [path.name for path in tmp_path.iterdir()] == ["groups"]


def test_killed_at_any_time_there_is_a_whole_folder_or_none(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; import numpy as np\n"
        "from danku.dataset import commit, private; from danku.dataset.groups import plan_groups\n"
        "from danku.dataset.table import Table\n"
        "left = int(sys.argv[2])\n"
        "def watched(call):\n"
        "    def step(*arguments, **options):\n"
        "        global left\n"
        "        left -= 1\n"
        "        if not left: os.kill(os.getpid(), 9)\n"
        "        return call(*arguments, **options)\n"
        "    return step\n"
        "os.fsync, os.write, os.open = watched(os.fsync), watched(os.write), watched(os.open)\n"
        "Path.rename = watched(Path.rename)\n"
        "table = Table(np.zeros((50, 3), 'f4'), np.arange(50) % 4, (), None, 'float32')\n"
        "commit.commit_groups(table, plan_groups(50, 20), Path(sys.argv[1]),"
        " nonces=lambda: os.urandom(32))\n"
    )
    finished = 0
    for steps in (1, 3, 4, 5, 6, 7, 8, 9, 10, 12, 40):
        folder = tmp_path / f"groups-{steps}"
        run = subprocess.run([sys.executable, "-c", script, folder, str(steps)], check=False)
        if folder.exists():
            groups = PrivateGroups(folder)
            assert all(groups.read(each.index) for each in groups.commitments)
            finished += 1
        else:
            assert run.returncode == -9
    assert 0 < finished < 11


def test_everything_is_synced_before_the_folder_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "groups"
    synced: dict[int, int] = {}
    sync = os.fsync

    def record(descriptor: int) -> None:
        status = os.fstat(descriptor)
        synced[status.st_ino] = status.st_size
        sync(descriptor)

    rename = Path.rename

    def check(self: Path, target: Path) -> Path:
        for path in [self, *self.iterdir()]:
            assert synced[path.stat().st_ino] == path.stat().st_size
        assert len(list(self.iterdir())) == 2
        synced.clear()
        return rename(self, target)

    monkeypatch.setattr(private.os, "fsync", record)
    monkeypatch.setattr(Path, "rename", check)
    commit_groups(table(), plan_groups(50, 20), folder, nonces=numbered())
    assert tmp_path.stat().st_ino in synced


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(private.os, "write", full)
    with pytest.raises(StorageError, match="cannot be written") as refusal:
        commit_groups(table(), plan_groups(50, 2), tmp_path / "groups", nonces=numbered())
    assert refusal.value.why == "No space left on device"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_nonce_has_32_bytes(tmp_path: Path, length: int) -> None:
    with pytest.raises(DataError, match="32 bytes"):
        commit_groups(
            table(), plan_groups(50, 2), tmp_path / "groups", nonces=lambda: bytes(length)
        )
    assert list(tmp_path.iterdir()) == []


def test_a_group_that_no_reader_takes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in (150, 500):
        monkeypatch.setattr(commit, "GROUP_BYTES", limit)
        with pytest.raises(GroupTooLarge, match="a group of 20 rows") as refusal:
            commit_groups(table(), plan_groups(50, 20), tmp_path / "groups", nonces=numbered())
        assert "group_rows" in refusal.value.fix
        assert list(tmp_path.iterdir()) == []


class TestDamage:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        folder = tmp_path / "groups"
        commit_groups(table(), plan_groups(50, 20), folder, nonces=numbered())
        return folder

    def test_a_flipped_bit_is_seen_where_it_is(self, folder: Path) -> None:
        groups = PrivateGroups(folder)
        path = folder / "groups.bin"
        data = bytearray(path.read_bytes())
        data[groups.commitments[0].size + 5] ^= 1
        path.write_bytes(data)
        assert groups.read(0)
        assert groups.read(2)
        with pytest.raises(PrivateGroupsBroken) as refusal:
            groups.read(1)
        assert "group 1" in refusal.value.why
        assert "backup" in refusal.value.fix

    @pytest.mark.parametrize("name", ["groups.bin", "groups.json"])
    def test_a_missing_or_cut_file_is_seen(self, folder: Path, name: str) -> None:
        path = folder / name
        for damage in (lambda: path.write_bytes(path.read_bytes()[:-3]), path.unlink):
            damage()
            with pytest.raises(PrivateGroupsBroken):
                PrivateGroups(folder).read(2)

    @pytest.mark.parametrize("index", [b"[]x", b"{}", b'[{"nonce":"0x"}]', b"\xff"])
    def test_a_strange_index_is_refused(self, folder: Path, index: bytes) -> None:
        (folder / "groups.json").write_bytes(index)
        with pytest.raises(PrivateGroupsBroken, match="are damaged"):
            PrivateGroups(folder)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells the peak")
def test_memory_does_not_grow_with_the_data(tmp_path: Path) -> None:
    rows, columns = 1_500_000, 64
    features = np.lib.format.open_memmap(tmp_path / "data.npy", "w+", np.float32, (rows, columns))
    for start in range(0, rows, 100_000):
        features[start : start + 100_000] = np.arange(100_000, dtype=np.float32)[:, None]
    features.flush()
    del features
    np.save(tmp_path / "kind.npy", np.arange(rows) % 3)
    script = (
        "import os, re, sys; from pathlib import Path\n"
        "from danku.dataset.commit import commit_groups\n"
        "from danku.dataset.groups import plan_groups\n"
        "from danku.dataset.sources import read_source\n"
        "folder = Path(sys.argv[1])\n"
        "table = read_source(folder / 'data.npy', 'kind', dtype='float32', row_shape=(64,),"
        " classes=('0', '1', '2'), group_by=None)\n"
        "plan = plan_groups(table.rows, 1_000, bytes(32))\n"
        "commit_groups(table, plan, folder / 'groups', nonces=lambda: os.urandom(32))\n"
        "print(re.search('VmHWM:\\\\s+(\\\\d+)', Path('/proc/self/status').read_text())[1])\n"
    )
    peak = subprocess.run(
        [sys.executable, "-c", script, tmp_path], check=True, capture_output=True, text=True
    ).stdout
    assert int(peak) * 1_024 < 320 * 10**6  # of which 384 million bytes would be the file
