"""What every blob store does, whatever is behind it.

A new store adds a `StoreCase`: how to open one in an empty folder, and how to put wrong bytes
under a CID behind its back (None where that is no error, since others have the right ones).
"""

from __future__ import annotations

import atexit
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from danku.errors import DataError, StorageError
from danku.storage.cid import UnknownCid, cid_of
from danku.storage.embedded import EmbeddedStore
from danku.storage.opening import open_store
from danku.storage.port import BlobTooLarge, Corrupt, NotFound, Store
from danku.storage.settings import StorageSettings
from tests.storage.daemons import Daemon, daemon, needs_daemon
from tests.storage.servers import Server

LIMIT = 2**24
HELLO = b"hello world\n"
HELLO_CID = "bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4"
ABSENT = cid_of(b"nobody put this")
BIG = bytes(range(256)) * 4_096 + b"tail"


@dataclass(frozen=True)
class StoreCase:
    name: str
    open: Callable[[Path], Store]
    tamper: Callable[[Store, str, bytes], None] | None
    marks: tuple[pytest.MarkDecorator, ...] = ()
    lean: bool = True
    """Whether the process's memory is the store's alone."""


def tamper_embedded(store: Store, cid: str, data: bytes) -> None:
    assert isinstance(store, EmbeddedStore)
    (store.folder / cid).write_bytes(data)


@cache
def stand_in() -> Server:
    """One server for the whole process, which takes it along when it ends."""
    return Server()


@cache
def real_daemon() -> Daemon:
    """One js-ipfs daemon for the whole process."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(daemon(Path(stack.enter_context(TemporaryDirectory())) / "repo"))


def network(folder: Path, settings: StorageSettings) -> Store:
    return open_store(settings, folder, folder / "shared", folder / "private")


def behind_gateway(folder: Path) -> Store:
    return network(folder, StorageSettings(gateways=(stand_in().url,)))


def on_node(folder: Path) -> Store:
    return network(folder, StorageSettings(kind="ipfs", api=stand_in().api))


def on_node_elsewhere(folder: Path) -> Store:
    """What one handle puts, another one gets from the node alone."""
    elsewhere = StorageSettings(kind="ipfs", api=stand_in().api, cache=f"cache-{uuid.uuid4()}")
    return network(folder, elsewhere)


def on_daemon(folder: Path) -> Store:
    there = {"api": real_daemon().api, "cache": f"cache-{uuid.uuid4()}", "block_seconds": 10}
    return network(folder, StorageSettings(kind="ipfs", gateways=(stand_in().url,), **there))


CASES = [
    StoreCase("embedded", lambda folder: EmbeddedStore(folder / "blobs"), tamper_embedded),
    StoreCase("gateway", behind_gateway, None),
    StoreCase("node", on_node, None, lean=False),
    StoreCase("node elsewhere", on_node_elsewhere, None, lean=False),
    StoreCase("js-ipfs", on_daemon, None, marks=(needs_daemon, pytest.mark.soak)),
]


@pytest.fixture(params=[pytest.param(each, marks=each.marks, id=each.name) for each in CASES])
def case(request: pytest.FixtureRequest) -> StoreCase:
    return request.param


@pytest.fixture
def store(case: StoreCase, tmp_path: Path) -> Iterator[Store]:
    yield case.open(tmp_path)


@pytest.fixture
def tamper(case: StoreCase) -> Callable[[Store, str, bytes], None]:
    if case.tamper is None:
        pytest.skip(f"the {case.name} store fetches a changed blob again")
    return case.tamper


def test_the_name_is_kubos(store: Store) -> None:
    assert store.put(HELLO) == HELLO_CID


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.binary(max_size=2_000))
def test_what_goes_in_comes_out(store: Store, data: bytes) -> None:
    cid = store.put(data)
    assert store.has(cid)
    assert store.get(cid, len(data)) == data


@pytest.mark.parametrize("data", [b"", HELLO, BIG], ids=["empty", "one chunk", "several chunks"])
def test_all_ways_in_and_out_agree(store: Store, tmp_path: Path, data: bytes) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(data)
    cid = store.put_file(source)
    assert cid == cid_of(data)
    assert store.put(data) == cid
    assert store.get(cid, LIMIT) == data
    store.fetch(cid, target)
    assert target.read_bytes() == data
    assert source.read_bytes() == data


def test_putting_twice_changes_nothing(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(HELLO)
    assert {store.put(HELLO), store.put(HELLO), store.put_file(source)} == {HELLO_CID}
    assert store.get(HELLO_CID, LIMIT) == HELLO


def test_another_handle_sees_it(case: StoreCase, tmp_path: Path) -> None:
    case.open(tmp_path).put(HELLO)
    assert case.open(tmp_path).get(HELLO_CID, LIMIT) == HELLO


def test_many_at_a_time_put_the_same_and_different_blobs(case: StoreCase, tmp_path: Path) -> None:
    blobs = [b"%d" % (number % 10) * 1_000 for number in range(60)]
    with ThreadPoolExecutor(8) as pool:
        cids = list(pool.map(lambda data: case.open(tmp_path).put(data), blobs))
    store = case.open(tmp_path)
    assert [store.get(cid, LIMIT) for cid in cids] == blobs


def test_an_absent_blob_is_not_found(store: Store, tmp_path: Path) -> None:
    target = tmp_path / "target"
    assert not store.has(ABSENT)
    with pytest.raises(NotFound) as refusal:
        store.get(ABSENT, LIMIT)
    assert ABSENT in refusal.value.what
    with pytest.raises(NotFound):
        store.fetch(ABSENT, target)
    assert not target.exists()


def test_a_larger_blob_than_wanted_is_refused(store: Store, tmp_path: Path) -> None:
    cid, target = store.put(BIG), tmp_path / "target"
    assert store.get(cid, len(BIG)) == BIG
    with pytest.raises(BlobTooLarge) as refusal:
        store.get(cid, len(BIG) - 1)
    assert cid in refusal.value.what
    store.fetch(cid, target, len(BIG))
    target.unlink()
    with pytest.raises(BlobTooLarge):
        store.fetch(cid, target, len(BIG) - 1)
    assert not target.exists()


@pytest.mark.parametrize(
    "name",
    [
        "../outside",
        "/etc/passwd",
        "",
        ".",
        HELLO_CID.upper(),
        HELLO_CID + "/x",
        HELLO_CID + "\n",
        "QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o",
        "bafyreihdb57fdysx5h35urvxz64ros7zvywshber7id6t6c6fek37jgyfe",
    ],
)
def test_a_hostile_name_is_refused_everywhere(store: Store, tmp_path: Path, name: str) -> None:
    (tmp_path / "outside").write_bytes(b"not yours")
    for attempt in (
        lambda: store.get(name, LIMIT),
        lambda: store.fetch(name, tmp_path / "target"),
        lambda: store.has(name),
    ):
        with pytest.raises(UnknownCid):
            attempt()
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda data: bytes([data[0] ^ 1]) + data[1:],
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: b"",
        lambda data: data[: len(data) // 2] + b"\xff" + data[len(data) // 2 + 1 :],
    ],
    ids=["first bit", "shorter", "longer", "nothing", "middle byte"],
)
def test_changed_bytes_never_come_out(
    store: Store,
    tamper: Callable[[Store, str, bytes], None],
    tmp_path: Path,
    change: Callable[[bytes], bytes],
) -> None:
    cid, target = store.put(BIG), tmp_path / "target"
    target.write_bytes(b"as before")
    tamper(store, cid, change(BIG))
    for attempt in (lambda: store.get(cid, LIMIT), lambda: store.fetch(cid, target)):
        with pytest.raises(Corrupt) as refusal:
            attempt()
        assert isinstance(refusal.value, StorageError)
        assert cid in refusal.value.what
        assert refusal.value.fix
    assert target.read_bytes() == b"as before"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_putting_the_right_bytes_again_mends_a_blob(
    store: Store, tamper: Callable[[Store, str, bytes], None], tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.write_bytes(BIG)
    for put in (lambda: store.put(BIG), lambda: store.put_file(source)):
        cid = put()
        tamper(store, cid, BIG[:-1] + b"?")
        assert put() == cid
        assert store.get(cid, LIMIT) == BIG


def test_a_file_that_cannot_be_read_is_the_callers_mistake(store: Store, tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(DataError) as refusal:
            store.put_file(path)
        assert str(path) in refusal.value.what


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells the peak")
def test_large_files_pass_in_constant_memory(case: StoreCase, tmp_path: Path) -> None:
    if not case.lean:
        pytest.skip("the server's memory is this process's as well")
    source = tmp_path / "source"
    with source.open("wb") as file:
        for number in range(96):
            file.write(bytes([number]) * 2**20)
    script = (
        "import importlib.util, re, sys\n"
        "from pathlib import Path\n"
        "from danku.storage.cid import cid_of\n"
        "spec = importlib.util.spec_from_file_location('suite', sys.argv[1])\n"
        "sys.modules['suite'] = suite = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(suite)\n"
        "folder = Path(sys.argv[3])\n"
        "case = next(case for case in suite.CASES if case.name == sys.argv[2])\n"
        "def peak(): return int(re.search('VmHWM:\\\\s+(\\\\d+)',"
        " Path('/proc/self/status').read_text())[1])\n"
        "warm = case.open(folder)\n"
        "warm.get(warm.put(b'libraries'), 9), case.open(folder).get(cid_of(b'libraries'), 9)\n"
        "before = peak()\n"
        "cid = case.open(folder).put_file(folder / 'source')\n"
        "case.open(folder).fetch(cid, folder / 'target')\n"
        "print(peak() - before)\n"
    )
    grown = subprocess.run(
        [sys.executable, "-c", script, __file__, case.name, tmp_path],
        cwd=Path(__file__).parents[2],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert int(grown) < 32 * 2**10
    assert (tmp_path / "target").stat().st_size == 96 * 2**20
