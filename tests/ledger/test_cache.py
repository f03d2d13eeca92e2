"""The cached state saves time and decides nothing."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from danku.ledger.embedded.cache import Cache
from danku.ledger.embedded.envelope import AdvanceTime
from danku.ledger.embedded.journal import Journal
from danku.ledger.embedded.ledger import EmbeddedLedger
from danku.ledger.embedded.replay import Replay
from danku.ledger.embedded.verification import verify_journal
from danku.protocol.state import State
from tests.ledger.worlds import EmbeddedWorld, PortGame, key_of

ALICE = key_of("alice")


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache is written at every action."""
    monkeypatch.setattr("danku.ledger.embedded.ledger.CACHE_INTERVAL", 1)


@pytest.fixture
def replayed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The lines that any ledger reads from now on."""
    read: list[bytes] = []
    true_read = Replay.read

    def counted(self: Replay, raw: bytes, **words: object) -> object:
        read.append(raw)
        return true_read(self, raw, **words)

    monkeypatch.setattr(Replay, "read", counted)
    return read


class CheckedGame(PortGame):
    """Opens the ledger anew after every action, with its cache and without."""

    def send(self, *arguments: object, **words: object) -> None:
        super().send(*arguments, **words)
        assert isinstance(self.world, EmbeddedWorld)
        cached, fresh = self.world.again(), self.world.again(private=False)
        assert cached.state() == fresh.state()
        assert isinstance(cached.state(), State)
        for address in self.addresses:
            assert cached.balance(address) == fresh.balance(address)
            assert cached.nonce(address) == fresh.nonce(address)
        assert cached.head() == fresh.head()


@pytest.mark.usefixtures("eager")
def test_it_holds_every_state_of_a_competition(tmp_path: Path, replayed: list[bytes]) -> None:
    game = CheckedGame(EmbeddedWorld(tmp_path))
    alice = ALICE.address
    ballot = game.ballot({alice: 1000, key_of("bob").address: 60}, winner=alice, score=-5)
    game.opened(ballot).finalize().claim()
    replayed.clear()
    assert isinstance(game.world, EmbeddedWorld)
    game.world.again()
    assert replayed == []


@pytest.mark.usefixtures("eager")
def test_lines_behind_it_are_checked(sandbox: EmbeddedWorld, replayed: list[bytes]) -> None:
    sandbox.ledger.submit(ALICE, AdvanceTime(1))
    sandbox.again(private=False).submit(ALICE, AdvanceTime(1))
    replayed.clear()
    assert sandbox.again().nonce(ALICE.address) == 2
    assert replayed == [sandbox.lines()[-1][:-1]]


def test_it_is_written_now_and_then(
    sandbox: EmbeddedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("danku.ledger.embedded.ledger.CACHE_INTERVAL", 10)
    written = []
    true_save = Cache.save

    def save(self: Cache, journal: Journal, replay: Replay) -> None:
        written.append(replay.sequence)
        true_save(self, journal, replay)

    monkeypatch.setattr(Cache, "save", save)
    for _ in range(35):
        sandbox.ledger.submit(ALICE, AdvanceTime(1))
    assert written == [10, 20, 30]
    sandbox.again()
    assert written == [10, 20, 30]


@pytest.mark.usefixtures("eager")
def test_verify_never_looks_at_it(sandbox: EmbeddedWorld, replayed: list[bytes]) -> None:
    for _ in range(3):
        sandbox.ledger.submit(ALICE, AdvanceTime(1))
    replayed.clear()
    verify_journal(sandbox.path, clock=sandbox.clock)
    assert len(replayed) == 3


def sealed(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=32).digest() + body


def hostile(good: bytes) -> dict[str, bytes]:
    """Caches as damage or malice would have them."""
    words = msgspec.json.decode(good[32:])

    def changed(**changes: object) -> bytes:
        return sealed(msgspec.json.encode({**words, **changes}))

    standing = words["standing"]
    return {
        "empty": b"",
        "short": good[:31],
        "cut": good[:-1],
        "noise": os.urandom(500),
        "deep": sealed(b"[" * 100_000),
        "deep in place": sealed(b'{"version":' + b"[" * 100_000),
        "null": sealed(b"null"),
        "another version": changed(version="0.0.0.dev"),
        "another offset": changed(offset=words["offset"] + 1),
        "no offset": changed(offset=0),
        "negative offset": changed(offset=-1),
        "huge offset": changed(offset=2**62),
        "offset of text": changed(offset="12"),
        "another fingerprint": changed(fingerprint="AAAA"),
        "no lines": changed(standing={**standing, "lines": "", "actions": ""}),
        "odd lines": changed(standing={**standing, "lines": "AAAA"}),
        "no state": changed(standing={**standing, "state": None}),
        "odd state": changed(standing={**standing, "state": {"chain_id": "x"}}),
        "no genesis": changed(genesis_line="AAAA"),
        "surplus": changed(standing={**standing, "nonces": {"0x": "many"}}),
        "large": sealed(b" " * 5_000_000),
    }


@pytest.mark.usefixtures("eager")
def test_a_bad_one_is_passed_over_and_made_anew(
    sandbox: EmbeddedWorld, replayed: list[bytes]
) -> None:
    for _ in range(3):
        sandbox.ledger.submit(ALICE, AdvanceTime(1))
    good = sandbox.cache.read_bytes()
    for name, data in hostile(good).items():
        sandbox.cache.write_bytes(data)
        replayed.clear()
        assert sandbox.again().nonce(ALICE.address) == 3, name
        assert len(replayed) == 3, name
        assert sandbox.cache.read_bytes() == good, name


@pytest.mark.usefixtures("eager")
@settings(max_examples=100, deadline=None)
@given(st.data())
def test_no_damage_to_it_shows(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    world = EmbeddedWorld(tmp_path_factory.mktemp("world"), sandbox=True)
    world.ledger.submit(ALICE, AdvanceTime(1))
    good = world.cache.read_bytes()
    place = data.draw(st.integers(0, len(good) - 1))
    damaged = bytearray(good)
    damaged[place] ^= data.draw(st.integers(1, 255))
    world.cache.write_bytes(bytes(damaged))
    assert world.again().state() == world.ledger.state()
    assert world.cache.read_bytes() == good


@pytest.mark.usefixtures("eager")
def test_one_that_others_can_write_is_not_read(
    sandbox: EmbeddedWorld, replayed: list[bytes]
) -> None:
    sandbox.ledger.submit(ALICE, AdvanceTime(1))
    assert sandbox.cache.stat().st_mode & 0o777 == 0o600
    sandbox.cache.chmod(0o666)
    replayed.clear()
    sandbox.again()
    assert len(replayed) == 1
    sandbox.again()
    assert len(replayed) == 1, "the new one is the owner's alone again"


@pytest.mark.usefixtures("eager")
def test_that_of_another_ledger_is_not_used(
    sandbox: EmbeddedWorld, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = EmbeddedWorld(tmp_path_factory.mktemp("other"))
    other.fund("alice", 77)
    sandbox.cache.write_bytes(other.cache.read_bytes())
    sandbox.cache.chmod(0o600)
    assert sandbox.again().balance(ALICE.address) == 10_000


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("obstacle", ["folder", "pipe", "missing folder"])
def test_without_a_place_for_it_all_still_works(
    sandbox: EmbeddedWorld, tmp_path: Path, obstacle: str
) -> None:
    place = tmp_path / "obstacle"
    if obstacle == "folder":
        (place / "full").mkdir(parents=True)
    elif obstacle == "pipe":
        os.mkfifo(place)
    else:
        place = place / "nowhere"
    ledger = EmbeddedLedger(sandbox.path, clock=sandbox.clock, cache=place)
    ledger.submit(ALICE, AdvanceTime(1))
    reopened = EmbeddedLedger(sandbox.path, clock=sandbox.clock, cache=place)
    assert reopened.nonce(ALICE.address) == 1
