"""Stores that look beyond their folder: whatever a server does, no wrong or half blob is taken."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from danku.errors import UsageError
from danku.storage.cid import cid_of
from danku.storage.download import Sources
from danku.storage.embedded import EmbeddedStore
from danku.storage.gateway import Gateway
from danku.storage.network import NetworkStore, OwnNode, PeersNodes
from danku.storage.node import Node, NodeFailed, NodeTooOld, NodeUnreachable, WrongCid
from danku.storage.pins import Pins
from danku.storage.port import BlobTooLarge, ForeignFile, NotFound, NotRetrieved, StoreUnusable
from danku.storage.source import Patience, Source
from tests.storage.blocks import LEAF, tree
from tests.storage.servers import Server, running

PATIENT = Patience(block=20.0, connection=20.0, pause=0.01)
HASTE = replace(PATIENT, block=0.6, connection=0.6)
"""For servers that never answer; a busy machine may be slower than this."""


def patience_for(fault: str) -> Patience:
    return HASTE if fault in ("drip", "hang") else PATIENT


BIG = random.Random(1).randbytes(5 * LEAF + 77)
BIG_CID = cid_of(BIG)
SMALL = b"a small blob"
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.fixture
def other() -> Iterator[Server]:
    with running() as server:
        yield server


class Stores:
    """Stores of one test, each in a folder of its own unless told otherwise."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.made = 0

    def __call__(
        self,
        *gateways: str,
        api: str | None = None,
        peers: tuple[str, ...] = (),
        at: str = "",
        patience: Patience = PATIENT,
    ) -> NetworkStore:
        self.made += 1
        folder = self.root / (at or f"store-{self.made}")
        node = Node(api, patience) if api else None
        order: list[Source] = [Gateway(address, patience) for address in gateways]
        if node is not None:
            order = [OwnNode(node, patience), PeersNodes(node, peers, patience), *order]
        return NetworkStore(
            EmbeddedStore(folder / "cache"),
            EmbeddedStore(folder / "shared"),
            node,
            Sources(order, patience),
            Pins(folder / "pins"),
        )


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    return Stores(tmp_path)


def nothing_is_taken(store: NetworkStore) -> None:
    """No blob, and nothing under a temporary name but what fetching goes on with."""
    for folder in (store.cache, store.folder):
        assert [path.name for path in folder.files() if not path.name.startswith(".partial")] == []
        assert not list(folder.folder.glob(".incoming*"))


# -- sources in order ----------------------------------------------------------------------------


def test_a_blob_is_fetched_once_and_then_here(server: Server, stores: Stores) -> None:
    server.hold(BIG)
    store = stores(server.url)
    assert store.get(BIG_CID, len(BIG)) == BIG
    asked = len(server.asked)
    assert asked == 7
    assert store.get(BIG_CID, len(BIG)) == BIG
    assert len(server.asked) == asked
    assert store.cache.get(BIG_CID, len(BIG)) == BIG


def test_the_shared_folder_comes_before_any_server(server: Server, stores: Stores) -> None:
    server.hold(SMALL)
    store = stores(server.url)
    cid = store.folder.put(SMALL)
    assert store.get(cid, 100) == SMALL
    assert server.asked == []


def test_a_corrupt_copy_is_passed_over_and_the_right_one_fetched(
    server: Server, stores: Stores
) -> None:
    store = stores(server.url)
    for place in (store.cache, store.folder):
        cid = place.put(SMALL)
        (place.folder / cid).write_bytes(b"something else")
    with pytest.raises(NotFound):
        store.get(cid, 100)
    server.hold(SMALL)
    assert store.get(cid, 100) == SMALL
    assert store.cache.get(cid, 100) == SMALL


def test_the_next_source_has_what_the_first_one_lacks(
    server: Server, other: Server, stores: Stores
) -> None:
    other.hold(BIG)
    assert stores(server.url, other.url).get(BIG_CID, len(BIG)) == BIG
    assert len(server.asked) == 1, "after the root block the one that had it is asked first"


def test_the_own_node_then_its_peers_then_gateways(
    server: Server, other: Server, stores: Stores
) -> None:
    address = "/ip4/127.0.0.1/tcp/4001/p2p/12D3KooWExample"
    other.hold(SMALL)
    store = stores(other.url, api=server.api, peers=(address,))
    assert store.get(cid_of(SMALL), 100) == SMALL
    assert server.connected == [address]
    asked = [word for word in server.asked if "block/get" in word]
    assert len(asked) == 2, "once for what it has itself, once for what others have"
    assert len(other.asked) == 1


# -- adding, pinning -----------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", SMALL, BIG], ids=["empty", "small", "big"])
def test_what_is_put_is_added_pinned_and_noted(
    server: Server, stores: Stores, tmp_path: Path, data: bytes
) -> None:
    store = stores(api=server.api)
    cid = store.put(data)
    assert server.blobs == {cid: data}
    assert server.pins == {cid}
    assert list(store.pins.all()) == [cid]
    assert stores(api=server.api).get(cid, len(data)) == data


def test_a_pin_of_somebody_else_is_never_ours(server: Server, stores: Stores) -> None:
    cid = server.hold(SMALL)
    server.pins.add(cid)
    store = stores(api=server.api)
    store.put(SMALL)
    assert store.pins.all() == {}
    assert store.keep(cid) is False


def test_keeping_pins_what_was_fetched(server: Server, other: Server, stores: Stores) -> None:
    other.hold(BIG)
    store = stores(other.url, api=server.api)
    store.obtain(BIG_CID, None)
    assert store.keep(BIG_CID) is True
    assert server.pins == {BIG_CID}
    assert store.keep(BIG_CID) is False


def test_a_node_that_names_files_otherwise_is_refused(server: Server, stores: Stores) -> None:
    def rechunked(data: bytes) -> str:
        cid, blocks = tree(data, leaf=2**17)
        server.blobs[cid] = data
        server.blocks |= blocks
        return cid

    server.hold = rechunked  # type: ignore[method-assign]
    store = stores(api=server.api)
    with pytest.raises(WrongCid) as refusal:
        store.put(BIG)
    assert BIG_CID in refusal.value.what
    assert server.pins == set()


@pytest.mark.parametrize(
    ("fault", "error"),
    [("status 500", NodeFailed), ("deny", NodeUnreachable), ("hang", NodeUnreachable)],
)
def test_a_failing_node_takes_nothing_and_says_so(
    server: Server, stores: Stores, fault: str, error: type[StoreUnusable]
) -> None:
    server.fault = lambda what, before: fault
    store = stores(api=server.api, patience=patience_for(fault))
    with pytest.raises(error) as refusal:
        store.put(SMALL)
    assert server.api in refusal.value.what
    assert refusal.value.why and refusal.value.fix
    server.fault = lambda what, before: ""
    assert stores(api=server.api).put(SMALL) in server.pins


def test_no_node_at_all(stores: Stores) -> None:
    with pytest.raises(NodeUnreachable):
        stores(api="/ip4/127.0.0.1/tcp/9").put(SMALL)


def test_a_node_that_was_gone_for_a_moment_is_asked_again(server: Server, stores: Stores) -> None:
    server.fault = lambda what, before: "deny" if before in (0, 2) else ""
    assert stores(api=server.api).put(SMALL) in server.pins


def test_an_address_that_is_none(stores: Stores) -> None:
    for address in ("localhost", "", "/ip4/1.2.3.4", "http://127.0.0.1:5001"):
        with pytest.raises(UsageError) as refusal:
            Node(address, HASTE).version()
        assert "multiaddr" in refusal.value.fix
    for address in ("localhost", "ftp://x", "/ip4/127.0.0.1/tcp/1", "https://", "http://x?y=z"):
        with pytest.raises(UsageError):
            Gateway(address, HASTE)


@pytest.mark.parametrize(
    ("version", "told"),
    [
        ({"Version": "0.5.0"}, "Kubo 0.5.0"),
        ({"Version": "0.38.1"}, "Kubo 0.38.1"),
        ({"Version": "1.2.3-rc1"}, "Kubo 1.2.3-rc1"),
        ({"Version": "0.18.1", "ipfs-core": "0.18.1"}, "js-ipfs 0.18.1"),
        ({"Version": "0.4.23"}, None),
        ({"Version": "new"}, None),
        ({}, None),
    ],
)
def test_the_check_of_the_version_is_ours(
    server: Server, version: dict[str, str], told: str | None
) -> None:
    server.version = version
    if told is None:
        with pytest.raises(NodeTooOld):
            Node(server.api, PATIENT).version()
    else:
        assert Node(server.api, PATIENT).version() == told


@pytest.mark.parametrize(
    "answer", ["", "[]", "[1, 2]", "7", '"x"', "null", "<html>", "{", '{"Version": 7}', "{}{}"]
)
def test_what_is_no_node_is_told_from_one(server: Server, stores: Stores, answer: str) -> None:
    server.fault = lambda what, before: f"say {answer}"
    node = Node(server.api, PATIENT)
    with pytest.raises(StoreUnusable):
        node.version()
    with pytest.raises(StoreUnusable):
        stores(api=server.api).put(SMALL)
    with pytest.raises(StoreUnusable):
        stores(api=server.api).get(BIG_CID, len(BIG))


def test_the_librarys_warnings_are_not_the_users(server: Server) -> None:
    script = (
        "import sys\n"
        "from danku.storage.node import Node\n"
        "from danku.storage.source import Patience\n"
        "print(Node(sys.argv[1], Patience()).version())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, server.api], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("Kubo 0.38.1\n", "")


# -- lies, drips, failures -----------------------------------------------------------------------


def blamed(fault: str) -> bool:
    """Whether a reader may hold it against the publisher."""
    return fault in ("drip", "hang", "status 404", "status 504")


@pytest.mark.parametrize(
    "fault",
    [
        *("lie", "flood", "cut", "drip", "hang", "deny"),
        *("status 500", "status 404", "status 504", "status 204"),
        "to http://127.0.0.1:9/",
    ],
)
@pytest.mark.parametrize("data", [SMALL, BIG], ids=["one block", "many"])
def test_a_bad_gateway_gives_nothing_and_costs_little(
    server: Server, stores: Stores, data: bytes, fault: str
) -> None:
    cid = server.hold(data)
    server.fault = lambda what, before: fault if cid in what or before > 3 else ""
    store = stores(server.url, patience=patience_for(fault))
    started = time.monotonic()
    with pytest.raises(NotRetrieved if blamed(fault) else StoreUnusable) as refusal:
        store.get(cid, len(data))
    assert time.monotonic() - started < 15
    assert cid in refusal.value.what
    assert f"gateway {server.url}" in refusal.value.why
    assert refusal.value.fix
    nothing_is_taken(store)


@pytest.mark.parametrize("fault", ["lie", "cut", "drip", "status 500", "status 404", "deny"])
def test_another_gateway_mends_what_one_spoils_in_the_middle(
    server: Server, other: Server, stores: Stores, fault: str
) -> None:
    server.hold(BIG)
    other.hold(BIG)
    server.fault = lambda what, before: fault if before >= 3 else ""
    # NOTE: the other one must not be taken for slow where the machine is.
    store = stores(server.url, other.url, patience=replace(patience_for(fault), block=2.0))
    assert store.get(BIG_CID, len(BIG)) == BIG
    assert other.asked


def test_a_liar_costs_one_block_and_is_not_asked_again(
    server: Server, other: Server, stores: Stores
) -> None:
    for each in (server, other):
        each.hold(BIG)
        each.hold(SMALL)
    server.fault = lambda what, before: "lie"
    store = stores(server.url, other.url)
    assert store.get(BIG_CID, len(BIG)) == BIG
    assert store.get(cid_of(SMALL), 100) == SMALL
    assert len(server.asked) == 1


def test_a_gateway_in_trouble_for_a_moment_is_asked_again(server: Server, stores: Stores) -> None:
    server.hold(BIG)
    server.fault = lambda what, before: "status 500" if before % 3 == 0 else ""
    assert stores(server.url).get(BIG_CID, len(BIG)) == BIG


def test_nobody_is_blamed_where_no_source_works(server: Server, stores: Stores) -> None:
    server.peers = 0
    for store in (stores(NOWHERE), stores(api="/ip4/127.0.0.1/tcp/9"), stores(api=server.api)):
        with pytest.raises(StoreUnusable) as refusal:
            store.get(BIG_CID, len(BIG))
        assert not isinstance(refusal.value, NotFound)
        assert refusal.value.why


def test_a_redirection_is_followed_below_the_gateways_own_host_only(
    server: Server, other: Server, stores: Stores
) -> None:
    cid = server.hold(SMALL)
    moved = f"{server.url}/ipfs/{cid}?format=raw&moved"
    server.fault = lambda what, before: f"to {moved}" if before == 0 else ""
    assert stores(server.url).get(cid, 100) == SMALL
    other.hold(SMALL)
    for target in (f"http://localhost:{other.port}/ipfs/{cid}", "file:///etc/passwd", "//x/y"):
        server.fault = lambda what, before, target=target: f"to {target}"
        with pytest.raises(StoreUnusable):
            stores(server.url).get(cid, 100)
    assert other.asked == []


def test_the_size_is_refused_at_the_first_block(server: Server, stores: Stores) -> None:
    server.hold(BIG)
    store = stores(server.url)
    with pytest.raises(BlobTooLarge):
        store.get(BIG_CID, len(BIG) - 1)
    assert len(server.asked) == 1
    nothing_is_taken(store)


def test_a_file_in_another_form_is_nobodys_blob(server: Server, stores: Stores) -> None:
    cid, blocks = tree(BIG, leaf=2**17)
    server.blocks |= blocks
    store = stores(server.url)
    with pytest.raises(ForeignFile) as refusal:
        store.get(cid, 2**30)
    assert "danku" in refusal.value.what
    assert len(server.asked) == 1
    nothing_is_taken(store)


def test_time_that_is_over_is_over(server: Server, stores: Stores) -> None:
    server.hold(BIG)
    server.fault = lambda what, before: "hang"
    store = stores(server.url, patience=replace(PATIENT, block=60.0, connection=60.0))
    started = time.monotonic()
    with store.for_seconds(0.5):
        for _ in range(3):
            with pytest.raises(NotRetrieved):
                store.get(BIG_CID, len(BIG))
    assert time.monotonic() - started < 20
    assert len(server.asked) == 1, "what is lost is not looked for again meanwhile"
    server.fault = lambda what, before: ""
    assert store.get(BIG_CID, len(BIG)) == BIG


# -- going on ------------------------------------------------------------------------------------


def test_fetching_goes_on_where_it_stopped(server: Server, stores: Stores) -> None:
    server.hold(BIG)
    server.fault = lambda what, before: "deny" if before >= 4 else ""
    with pytest.raises(StoreUnusable):
        stores(server.url, at="one").get(BIG_CID, len(BIG))
    assert not stores(at="one").cache.has(BIG_CID)
    server.fault, server.asked, server.sent_bytes = (lambda what, before: ""), [], 0
    seen: list[tuple[int, int]] = []
    store = stores(server.url, at="one")
    store.obtain(BIG_CID, None, lambda done, total: seen.append((done, total)))
    assert store.cache.get(BIG_CID, len(BIG)) == BIG
    assert server.sent_bytes < len(BIG) - LEAF
    assert seen[0][0] >= LEAF and seen[-1] == (len(BIG), len(BIG))
    assert not list(store.cache.folder.glob(".partial*"))


def spoil_bytes(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[10] ^= 1
    data[LEAF + 10] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "spoil",
    [
        spoil_bytes,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes() + b"more"),
        lambda path: path.write_bytes(path.read_bytes()[: LEAF + 5]),
    ],
    ids=["bits", "empty", "longer", "torn"],
)
def test_what_became_of_a_half_file_meanwhile_is_found_out(
    server: Server, stores: Stores, spoil: Callable[[Path], None]
) -> None:
    server.hold(BIG)
    server.fault = lambda what, before: "deny" if before >= 4 else ""
    store = stores(server.url, at="one")
    with pytest.raises(StoreUnusable):
        store.get(BIG_CID, len(BIG))
    (half,) = store.cache.folder.glob(".partial*")
    spoil(half)
    server.fault = lambda what, before: ""
    assert stores(server.url, at="one").get(BIG_CID, len(BIG)) == BIG


def test_a_killed_reader_leaves_no_blob_and_the_next_one_goes_on(
    server: Server, tmp_path: Path
) -> None:
    data = random.Random(2).randbytes(40 * LEAF)
    cid = server.hold(data)
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from danku.storage.opening import open_store\n"
        "from danku.storage.settings import StorageSettings\n"
        "root = Path(sys.argv[1])\n"
        "store = open_store(StorageSettings(gateways=(sys.argv[2],)), root, root / 's', root)\n"
        "store.get(sys.argv[3], 2**30)\n"
        "print('whole')\n"
    )
    command = [sys.executable, "-c", script, tmp_path, server.url, cid]

    def slow(what: str, before: int) -> str:
        time.sleep(0.1)
        return ""

    server.fault = slow
    reader = subprocess.Popen(command)
    while len(server.asked) < 12:
        time.sleep(0.01)
    reader.kill()
    reader.wait()
    assert not (tmp_path / ".cache/blobs" / cid).exists()
    before = server.sent_bytes
    server.fault = lambda what, before: ""
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "whole\n"
    assert server.sent_bytes - before < len(data)
    assert (tmp_path / ".cache/blobs" / cid).read_bytes() == data


def test_two_readers_of_one_folder_do_not_disturb_each_other(
    server: Server, stores: Stores
) -> None:
    server.hold(BIG)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        found = list(
            pool.map(lambda _: stores(server.url, at="one").get(BIG_CID, len(BIG)), range(4))
        )
    assert found == [BIG] * 4


# -- full disks ----------------------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="limits on file sizes are the system's")
@pytest.mark.parametrize("way", ["put", "get", "fetch"])
def test_a_full_disk_is_named_and_nothing_is_taken(
    server: Server, tmp_path: Path, way: str
) -> None:
    """A limit on the size of files fails a write in its middle, as a full disk does."""
    server.hold(BIG)
    (tmp_path / "big").write_bytes(BIG)
    script = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from danku.storage.opening import open_store\n"
        "from danku.storage.port import StoreUnusable\n"
        "from danku.storage.settings import StorageSettings\n"
        "root, cid, way = Path(sys.argv[1]), sys.argv[3], sys.argv[4]\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2**19, resource.RLIM_INFINITY))\n"
        "settings = StorageSettings(gateways=(sys.argv[2],))\n"
        "store = open_store(settings, root, root / 'shared', root)\n"
        "call = {\n"
        "    'put': lambda: store.put_file(root / 'big'),\n"
        "    'get': lambda: store.get(cid, 2**30),\n"
        "    'fetch': lambda: store.fetch(cid, root / 'target'),\n"
        "}[way]\n"
        "try:\n"
        "    call()\n"
        "except StoreUnusable as error:\n"
        "    print(error.fix)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path, server.url, BIG_CID, way],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "space left on the disk" in done.stdout
    for folder in ("shared", ".cache/blobs"):
        assert not (tmp_path / folder / BIG_CID).exists()
    assert not (tmp_path / "target").exists()


@pytest.mark.skipif(os.name != "posix", reason="another way to interrupt")
@pytest.mark.parametrize("data", [SMALL, BIG], ids=["many blobs", "a big one"])
def test_an_interrupted_reader_ends_at_once(server: Server, tmp_path: Path, data: bytes) -> None:
    cids = [server.hold(data + bytes([number])) for number in range(12 if data == SMALL else 1)]
    server.fault = lambda what, before: "hang" if before else ""
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from danku.storage.opening import open_store\n"
        "from danku.storage.settings import StorageSettings\n"
        "root = Path(sys.argv[1])\n"
        "store = open_store(StorageSettings(gateways=(sys.argv[2],)), root, root / 's', root)\n"
        "store.obtain_all(sys.argv[3:], 2**30, lambda done, total: None)\n"
    )
    reader = subprocess.Popen(
        [sys.executable, "-c", script, tmp_path, server.url, *cids], stderr=subprocess.PIPE
    )
    while len(server.asked) < 2:
        time.sleep(0.01)
    reader.send_signal(signal.SIGINT)
    assert b"KeyboardInterrupt" in reader.communicate(timeout=10)[1]
