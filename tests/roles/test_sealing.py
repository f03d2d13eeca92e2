"""The private folder in public: only its owner's key opens it, and nothing in it is ever lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from danku.roles.sealing import PrivateDiffers, SealBroken, seal, unseal
from danku.roles.setup import make_workspace
from danku.roles.workspace import Workspace
from tests.roles.arena import key_of
from tests.roles.conftest import ArenaAt

ALICE, BOB = key_of("alice"), key_of("bob")
ONE, TWO = "0x" + "11" * 32, "0x" + "22" * 32


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = make_workspace(tmp_path / "one", sandbox=True)
    made.vault.keep(ONE, "salt.json", b"a secret salt")
    made.vault.keep(TWO, "model-1.onnx", bytes(1000))
    return made


@pytest.fixture
def other(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path / "two", sandbox=True)


def private(workspace: Workspace) -> dict[str, bytes]:
    return {
        path.relative_to(workspace.private).as_posix(): path.read_bytes()
        for path in workspace.private.glob("0x*/**/*")
        if path.is_file()
    }


def test_what_was_sealed_comes_back(workspace: Workspace, other: Workspace, tmp_path: Path) -> None:
    sealed = tmp_path / "sealed" / "alice.bin"
    assert seal(workspace, ALICE, sealed) == 2
    assert unseal(other, ALICE, sealed) == 2
    assert private(other) == private(workspace)
    assert all(path.stat().st_mode & 0o77 == 0 for path in other.private.rglob("*"))
    assert unseal(other, ALICE, sealed) == 0


def test_the_file_shows_nothing(workspace: Workspace, tmp_path: Path) -> None:
    sealed, again = tmp_path / "a", tmp_path / "b"
    seal(workspace, ALICE, sealed)
    seal(workspace, ALICE, again)
    for word in (b"secret", b"salt.json", ONE.encode(), bytes(16)):
        assert word not in sealed.read_bytes()
    assert sealed.read_bytes()[20:] != again.read_bytes()[20:], "one nonce never serves twice"


def test_caches_and_heads_are_left_out(workspace: Workspace, tmp_path: Path) -> None:
    workspace.ledger.head()
    (workspace.private / "evaluations").mkdir()
    (workspace.private / "evaluations" / "verdicts.jsonl").write_bytes(b"{}")
    assert seal(workspace, ALICE, tmp_path / "sealed") == 2


def test_another_key_opens_nothing(workspace: Workspace, other: Workspace, tmp_path: Path) -> None:
    seal(workspace, ALICE, tmp_path / "sealed")
    with pytest.raises(SealBroken):
        unseal(other, BOB, tmp_path / "sealed")
    with pytest.raises(SealBroken):
        seal(workspace, BOB, tmp_path / "sealed")
    assert private(other) == {}


@pytest.mark.parametrize("place", [0, 14, 15, 26, 27, 42, 43, 100, -1])
def test_a_changed_byte_is_noticed(
    workspace: Workspace, other: Workspace, tmp_path: Path, place: int
) -> None:
    sealed = tmp_path / "sealed"
    seal(workspace, ALICE, sealed)
    data = bytearray(sealed.read_bytes())
    data[place] ^= 1
    sealed.write_bytes(data)
    with pytest.raises(SealBroken):
        unseal(other, ALICE, sealed)
    sealed.write_bytes(data[: 43 if place > 43 else max(place, 0)])
    with pytest.raises(SealBroken):
        unseal(other, ALICE, sealed)
    assert private(other) == {}


def test_sealing_on_a_machine_that_holds_less_loses_nothing(
    workspace: Workspace, other: Workspace, tmp_path: Path
) -> None:
    sealed = tmp_path / "sealed"
    seal(workspace, ALICE, sealed)
    other.vault.keep(ONE, "vote.json", b"a vote")
    assert seal(other, ALICE, sealed) == 3
    assert unseal(workspace, ALICE, sealed) == 1
    assert seal(workspace, ALICE, sealed) == 3


def test_nothing_is_overwritten_on_either_side(
    workspace: Workspace, other: Workspace, tmp_path: Path
) -> None:
    sealed = tmp_path / "sealed"
    seal(workspace, ALICE, sealed)
    before = sealed.read_bytes()
    other.vault.keep(ONE, "salt.json", b"another salt")
    with pytest.raises(PrivateDiffers):
        unseal(other, ALICE, sealed)
    with pytest.raises(PrivateDiffers):
        seal(other, ALICE, sealed)
    assert private(other) == {f"{ONE}/salt.json": b"another salt"}
    assert sealed.read_bytes() == before


def test_an_organizer_goes_on_from_a_sealed_folder(arena_at: ArenaAt, tmp_path: Path) -> None:
    """What a CI run on a fresh machine does."""
    arena = arena_at("open")
    workspace, key = arena["organizer"]
    seal(workspace, key, tmp_path / "sealed")
    kept = private(workspace)
    for folder in workspace.private.glob("0x*"):
        shutil.rmtree(folder)
    assert unseal(workspace, key, tmp_path / "sealed") == len(kept)
    arena.reveal_test()
    assert arena.challenge.test is not None
