"""A real IPFS daemon: the same names, the same bytes, and named errors when it is killed."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from danku.storage.cid import cid_of, folder_cid
from danku.storage.network import NetworkStore
from danku.storage.node import Node, NodeUnreachable
from danku.storage.opening import open_store
from danku.storage.port import NotFound, StoreUnusable
from danku.storage.settings import StorageSettings
from danku.storage.source import Patience
from tests.storage.blocks import LEAF, base58, raw_bytes
from tests.storage.daemons import Daemon, daemon, needs_daemon

pytestmark = [needs_daemon, pytest.mark.soak]

SIZES = [0, 1, LEAF - 1, LEAF, LEAF + 1, 7 * LEAF + 3, 174 * LEAF, 174 * LEAF + 1, 300 * 2**20]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with daemon(tmp_path_factory.mktemp("daemon") / "repository") as found:
        yield found


def store(api: str, folder: Path) -> NetworkStore:
    settings = StorageSettings(kind="ipfs", api=api, block_seconds=5)
    found = open_store(settings, folder, folder / "shared", folder / "private")
    assert isinstance(found, NetworkStore)
    return found


def write(path: Path, size: int) -> str:
    """A file of this size, whose CID is returned."""
    source = random.Random(size)
    with path.open("wb") as file:
        for start in range(0, size, 2**20):
            file.write(source.randbytes(min(2**20, size - start)))
    return cid_of(path.read_bytes())


@pytest.mark.parametrize("size", SIZES)
def test_the_daemon_gives_the_same_name_and_the_same_bytes(
    real: Daemon, tmp_path: Path, size: int
) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    cid = write(source, size)
    first = store(real.api, tmp_path / "first")
    assert first.put_file(source) == cid
    assert first.node is not None and first.node.is_pinned(cid)
    store(real.api, tmp_path / "second").fetch(cid, target)
    assert target.read_bytes() == source.read_bytes()


@pytest.mark.filterwarnings("ignore:The 'strict' parameter")
def test_the_daemon_gives_a_folder_the_same_name(real: Daemon, tmp_path: Path) -> None:
    """Built file by file: its own way of adding a folder is broken.

    The files have one block each, since it copies larger ones with a wrong size of the whole tree.
    """
    import ipfshttpclient

    folder = tmp_path / "folder"
    (folder / "below").mkdir(parents=True)
    (folder / "one").write_bytes(b"one" * 80_000)
    (folder / "below" / "two").write_bytes(b"")
    putting = store(real.api, tmp_path / "store")
    client = ipfshttpclient.Client(real.api, timeout=20)
    modern = {"opts": {"cid-version": 1, "cidVersion": 1}}
    client.files.mkdir("/folder", **modern)
    client.files.mkdir("/folder/below", **modern)
    for name in ("one", "below/two"):
        client.files.cp(f"/ipfs/{putting.put_file(folder / name)}", f"/folder/{name}", **modern)
    assert client.files.stat("/folder")["Hash"] == "z" + base58(raw_bytes(folder_cid(folder)))


def test_pins_are_made_seen_and_taken_back(real: Daemon, tmp_path: Path) -> None:
    node = Node(real.api, Patience())
    cid = store(real.api, tmp_path).put(b"pinned for a while")
    assert node.is_pinned(cid)
    node.unpin(cid)
    assert not node.is_pinned(cid)
    node.unpin(cid)
    assert store(real.api, tmp_path).keep(cid)
    assert node.is_pinned(cid)
    assert node.version().startswith("js-ipfs")


def test_an_isolated_node_blames_nobody(real: Daemon, tmp_path: Path) -> None:
    with pytest.raises(StoreUnusable) as refusal:
        store(real.api, tmp_path).get(cid_of(b"nobody has this"), 100)
    assert not isinstance(refusal.value, NotFound)
    assert "connected to no other node" in refusal.value.why


def test_a_node_is_connected_to_the_peers_that_are_named(real: Daemon, tmp_path: Path) -> None:
    with daemon(tmp_path / "other") as other:
        node = Node(other.api, Patience())
        assert node.peers() == 0
        node.connect(real.swarm)
        assert node.peers() == 1


def test_a_daemon_killed_while_it_takes_a_file_in(tmp_path: Path) -> None:
    source = tmp_path / "source"
    cid = write(source, 150 * 2**20)
    with daemon(tmp_path / "repository") as doomed:
        threading.Timer(0.8, doomed.kill).start()
        with pytest.raises(NodeUnreachable):
            store(doomed.api, tmp_path / "store").put_file(source)
    with daemon(tmp_path / "repository") as again:
        assert store(again.api, tmp_path / "store").put_file(source) == cid


def test_a_daemon_killed_while_it_gives_a_file(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    cid = write(source, 150 * 2**20)
    with daemon(tmp_path / "repository") as doomed:
        store(doomed.api, tmp_path / "first").put_file(source)
        reader = store(doomed.api, tmp_path / "second")

        def kill(done: int, total: int) -> None:
            if done > total // 4:
                doomed.kill()

        with pytest.raises(StoreUnusable):
            reader.obtain(cid, None, kill)
    assert not reader.cache.has(cid)
    with daemon(tmp_path / "repository") as again:
        seen: list[int] = []
        reader = store(again.api, tmp_path / "second")
        reader.obtain(cid, None, lambda done, total: seen.append(done))
        assert seen[0] > 150 * 2**20 // 5, "it went on where it had stopped"
        reader.fetch(cid, target)
    assert target.read_bytes() == source.read_bytes()


def test_a_daemon_that_stands_still(tmp_path: Path) -> None:
    import signal

    with daemon(tmp_path / "repository") as stopped:
        stopped.process.send_signal(signal.SIGSTOP)
        started = time.monotonic()
        with pytest.raises(NodeUnreachable) as refusal:
            store(stopped.api, tmp_path / "store").put(b"anything")
        assert time.monotonic() - started < 30
        assert "no answer within" in refusal.value.why
