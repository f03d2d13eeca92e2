"""The submitter: what is committed can be opened, and nobody reads a model before its time."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from danku.crypto.hashing import keccak, to_hex
from danku.errors import DankuError, DataError, NotYet, Rejected
from danku.protocol.actions import Submit
from danku.roles import submitter
from danku.roles.submitter import AlreadySubmitted, ModelTooLarge, read_model
from danku.roles.vault import PrivateMissing
from danku.roles.workspace import Workspace
from danku.storage.cid import cid_of
from tests.roles.arena import ENTRY, STAKE, Arena, key_of, model
from tests.roles.conftest import ArenaAt

MODEL = model(0.0)


@pytest.fixture
def arena(arena_at: ArenaAt) -> Arena:
    """A competition that can be entered."""
    return arena_at("reveal_train")


def refused(rule: str, step: Any, *words: Any) -> Rejected:
    with pytest.raises(Rejected) as raised:
        step(*words)
    assert raised.value.rule == rule
    return raised.value


def sealed(workspace: Workspace) -> list[Path]:
    return sorted(workspace.private.rglob("submission-*.json"))


def killed(monkeypatch: pytest.MonkeyPatch, arena: Arena, *, before: bool) -> None:
    """Alice's submit is killed right before or right after the ledger takes it."""
    send = Workspace.send

    def kill(self: Workspace, *words: Any) -> None:
        if not before:
            send(self, *words)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Workspace, "send", kill)
        with pytest.raises(KeyboardInterrupt):
            submitter.submit(*arena["alice"], arena.identity, MODEL)


def test_submitting_shows_nothing_but_a_commitment(arena: Arena) -> None:
    before = {path: path.read_bytes() for path in (arena.public / "blobs").iterdir()}
    workspace, key = arena["alice"]
    submitter.submit(workspace, key, arena.identity, MODEL)
    assert {path: path.read_bytes() for path in (arena.public / "blobs").iterdir()} == before
    (entry,) = arena.challenge.submissions
    assert (entry.number, entry.submitter, entry.opening) == (0, key.address, None)
    journal = (arena.public / "ledger.jsonl").read_bytes()
    assert to_hex(keccak(MODEL)).encode() not in journal
    assert cid_of(MODEL).encode() not in journal
    assert arena.gains()["alice"] == -STAKE - ENTRY


def test_model_and_salt_are_kept_closed_before_anything_is_sent(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, _ = arena["alice"]
    killed(monkeypatch, arena, before=True)
    (record,) = sealed(workspace)
    for path in (record, record.with_suffix(".onnx")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert record.with_suffix(".onnx").read_bytes() == MODEL


def test_equal_models_of_two_submitters_do_not_look_equal(arena: Arena) -> None:
    arena.submit(alice=MODEL, bob=MODEL)
    first, second = arena.challenge.submissions
    assert first.commitment != second.commitment


def test_after_a_crash_the_same_model_reuses_its_seal(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, key = arena["alice"]
    for _ in range(2):
        killed(monkeypatch, arena, before=True)
    (record,) = sealed(workspace)
    submitter.submit(workspace, key, arena.identity, MODEL)
    assert sealed(workspace) == [record]
    (entry,) = arena.challenge.submissions
    assert record.name == f"submission-{entry.commitment}.json"
    arena.open("alice")


def test_another_model_after_a_crash_is_another_seal(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(monkeypatch, arena, before=True)
    submitter.submit(*arena["alice"], arena.identity, model(1.0))
    submitter.submit(*arena["alice"], arena.identity, MODEL)
    assert len(sealed(arena.players["alice"])) == 2
    arena.open("alice")
    assert arena.challenge.opened == 2


def test_what_was_sent_before_a_crash_is_not_paid_for_twice(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(monkeypatch, arena, before=False)
    with pytest.raises(AlreadySubmitted, match="your submission 0"):
        submitter.submit(*arena["alice"], arena.identity, MODEL)
    assert arena.gains()["alice"] == -STAKE - ENTRY
    arena.open("alice")


def test_a_crash_between_model_and_salt_leaves_nothing_in_the_way(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, key = arena["alice"]
    with monkeypatch.context() as patch:

        def kill(*words: Any) -> None:
            raise KeyboardInterrupt

        patch.setattr(type(workspace.vault), "keep_record", kill)
        with pytest.raises(KeyboardInterrupt):
            submitter.submit(workspace, key, arena.identity, MODEL)
    submitter.submit(workspace, key, arena.identity, MODEL)
    arena.open("alice")


def test_a_seal_of_another_key_in_the_same_workspace_is_not_reused(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(monkeypatch, arena, before=True)
    workspace, _ = arena["alice"]
    submitter.submit(workspace, key_of("bob"), arena.identity, MODEL)
    assert len(sealed(workspace)) == 2
    arena.wait("submit")
    submitter.open_all(workspace, key_of("bob"), arena.identity)


def test_a_refused_submit_leaves_no_seal(arena: Arena) -> None:
    workspace, _ = arena["vera"]
    refused("PanelMember", submitter.submit, workspace, key_of("vera"), arena.identity, MODEL)
    arena.wait("submit")
    refused("Late", submitter.submit, *arena["alice"], arena.identity, MODEL)
    assert sealed(workspace) == sealed(arena.players["alice"]) == []


def test_the_quota_says_what_is_used(arena: Arena) -> None:
    for shift in (0.0, 1.0, 2.0):
        submitter.submit(*arena["alice"], arena.identity, model(shift))
    error = refused(
        "TooManySubmissions", submitter.submit, *arena["alice"], arena.identity, model(3.0)
    )
    assert "3 of 3" in error.what


def test_opening_publishes_the_model(arena: Arena) -> None:
    arena.submit(alice=MODEL)
    arena.open("alice")
    opening = arena.challenge.submissions[0].opening
    assert opening is not None
    assert (opening.model, opening.cid) == (to_hex(keccak(MODEL)), cid_of(MODEL))
    assert arena.players["bob"].store.get(opening.cid, len(MODEL)) == MODEL


def test_nothing_is_published_when_open_is_refused(arena: Arena) -> None:
    arena.submit(alice=MODEL)
    workspace, key = arena["alice"]
    before = set((arena.public / "blobs").iterdir())
    refused("Early", submitter.open_submission, workspace, key, arena.identity, 0)
    refused("Early", submitter.open_all, workspace, key, arena.identity)
    arena.wait("submit")
    # NOTE: as if two players shared a private folder: the ledger still knows whose it is.
    refused("NotSubmitter", submitter.open_submission, workspace, key_of("bob"), arena.identity, 0)
    arena.wait("open")
    refused("Late", submitter.open_submission, workspace, key, arena.identity, 0)
    assert set((arena.public / "blobs").iterdir()) == before


@pytest.mark.parametrize("number", [-1, 1, 10**6])
def test_a_submission_that_is_not_there(arena: Arena, number: int) -> None:
    arena.submit(alice=MODEL)
    arena.wait("submit")
    refused("UnknownSubmission", submitter.open_submission, *arena["alice"], arena.identity, number)


@pytest.mark.parametrize("suffix", [".json", ".onnx"])
def test_without_the_private_file_nothing_can_be_opened(arena: Arena, suffix: str) -> None:
    arena.submit(alice=MODEL)
    arena.wait("submit")
    before = set((arena.public / "blobs").iterdir())
    (record,) = sealed(arena.players["alice"])
    record.with_suffix(suffix).unlink()
    with pytest.raises(PrivateMissing) as raised:
        arena.open("alice")
    assert record.with_suffix(suffix).name in raised.value.what
    assert "backup" in raised.value.fix
    assert set((arena.public / "blobs").iterdir()) == before


def test_a_private_folder_of_another_machine_is_missing_and_says_so(arena: Arena) -> None:
    arena.submit(alice=MODEL)
    arena.wait("submit")
    other = arena.join("alices-laptop")
    with pytest.raises(PrivateMissing, match="without it the bond is lost"):
        submitter.open_all(other, key_of("alice"), arena.identity)


@pytest.mark.parametrize("edit", ["salt", "model", "cid"])
def test_a_wrong_salt_model_or_cid_is_refused_and_publishes_nothing(
    arena: Arena, edit: str
) -> None:
    arena.submit(alice=MODEL)
    arena.wait("submit")
    (record,) = sealed(arena.players["alice"])
    text = record.read_text()
    found = {
        "salt": text.split('"salt":"0x')[1][:64],
        "model": to_hex(keccak(MODEL))[2:],
        "cid": cid_of(MODEL),
    }[edit]
    other = cid_of(b"another") if edit == "cid" else "11" * 32
    record.write_text(text.replace(found, other))
    before = set((arena.public / "blobs").iterdir())
    with pytest.raises(DankuError) as raised:
        arena.open("alice")
    assert raised.value.name == "CommitmentMismatch" or raised.value.exit_code == 5
    assert set((arena.public / "blobs").iterdir()) == before
    assert arena.challenge.opened == 0


def test_a_model_that_was_changed_after_it_was_sealed_is_not_opened(arena: Arena) -> None:
    """Opened with other bytes behind it, it would be rejected and its bond lost."""
    arena.submit(alice=MODEL)
    arena.wait("submit")
    (record,) = sealed(arena.players["alice"])
    record.with_suffix(".onnx").write_bytes(MODEL + b"\0")
    before = set((arena.public / "blobs").iterdir())
    with pytest.raises(DataError):
        arena.open("alice")
    assert set((arena.public / "blobs").iterdir()) == before
    assert arena.challenge.opened == 0


def test_opening_everything_is_repeatable(arena: Arena) -> None:
    workspace, key = arena["alice"]
    with pytest.raises(NotYet):
        submitter.open_all(workspace, key, arena.identity)
    for shift in (0.0, 1.0):
        submitter.submit(workspace, key, arena.identity, model(shift))
    arena.submit(bob=MODEL)
    arena.wait("submit")
    submitter.open_submission(workspace, key, arena.identity, 1)
    assert len(submitter.open_all(workspace, key, arena.identity)) == 1
    with pytest.raises(NotYet):
        submitter.open_all(workspace, key, arena.identity)
    assert [entry.opening is not None for entry in arena.challenge.submissions] == [
        *(True, True, False)
    ]


def test_a_copied_commitment_opens_for_nobody_else(arena: Arena) -> None:
    arena.submit(alice=MODEL)
    copied = arena.challenge.submissions[0].commitment
    arena.send("bob", Submit(arena.identity, copied), STAKE + ENTRY)
    arena.open("alice")
    bob, key = arena["bob"]
    with pytest.raises(PrivateMissing):
        submitter.open_all(bob, key, arena.identity)
    for path in (arena.players["alice"].private / arena.identity).glob("submission-*"):
        bob.vault.keep(arena.identity, path.name, path.read_bytes())
    refused("CommitmentMismatch", submitter.open_all, bob, key, arena.identity)


def test_reading_a_model_file(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(MODEL)
    assert read_model(path, len(MODEL)) == MODEL
    with pytest.raises(ModelTooLarge, match=f"{len(MODEL)} bytes, the limit is {len(MODEL) - 1}"):
        read_model(path, len(MODEL) - 1)
    for other in (tmp_path / "missing.onnx", tmp_path):
        with pytest.raises(DataError, match=other.name):
            read_model(other, 10**9)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_model_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(MODEL)
    path.chmod(0)
    with pytest.raises(DataError, match="Permission denied"):
        read_model(path, len(MODEL))
