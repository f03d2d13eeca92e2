"""The organizer: commits once, survives being killed, and shows nothing before its time."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path
from typing import Any

import msgspec
import pytest

from danku.crypto.hashing import from_hex
from danku.crypto.merkle import DataTree
from danku.dataset.private import PrivateGroups, PrivateGroupsBroken
from danku.errors import Rejected
from danku.protocol.actions import Create
from danku.protocol.terms import escrow_of
from danku.protocol.types import ZERO_DIGEST
from danku.roles import organizer, seeds
from danku.roles.organizer import AlreadyRunning, CommittedData
from danku.roles.vault import PrivateMissing
from danku.roles.workspace import Workspace
from danku.storage.cid import cid_of
from tests.roles.arena import FUNDS, ORGANIZER, Arena, key_of
from tests.roles.conftest import ArenaAt

HOST = key_of(ORGANIZER)


@pytest.fixture
def arena(tmp_path: Path) -> Arena:
    return Arena(tmp_path / "arena")


def blobs(arena: Arena) -> set[str]:
    folder = arena.public / "blobs"
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def refused(rule: str, step: Any, *words: Any, **options: Any) -> Rejected:
    with pytest.raises(Rejected) as raised:
        step(*words, **options)
    assert raised.value.rule == rule
    return raised.value


def test_create_commits_to_the_data_and_escrows_the_money(arena: Arena) -> None:
    draft = arena.draft()
    created = organizer.create(arena.host, HOST, draft)
    groups = private_groups(arena, created.id)
    tree = DataTree([item.leaf for item in groups.commitments])
    assert from_hex(created.terms.data_root) == tree.root
    assert created.terms == msgspec.structs.replace(draft.terms, data_root=created.terms.data_root)
    assert created.escrow == escrow_of(draft.terms) == 15_900
    assert arena.gains() == {ORGANIZER: -15_900}
    assert arena.host.manifest(created) == draft.manifest
    assert blobs(arena) == {created.manifest}, "no data is public yet"


def private_groups(arena: Arena, identity: str) -> PrivateGroups:
    vault = arena.host.vault
    kept = vault.read_record(identity, organizer.DATA_RECORD, CommittedData, "the groups")
    return PrivateGroups(vault.folder(identity) / kept.folder)


def test_everything_private_is_closed_to_others(arena: Arena) -> None:
    arena.create()
    folder = arena.host.vault.folder(arena.identity)
    for path in (folder, *folder.rglob("*")):
        expected = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == expected, path


def test_a_second_create_is_refused_until_it_is_meant(arena: Arena) -> None:
    arena.create()
    with pytest.raises(AlreadyRunning) as raised:
        organizer.create(arena.host, HOST, arena.draft())
    assert raised.value.exit_code == 2
    assert "--again" in raised.value.fix
    assert len(arena.host.state().challenges) == 1
    again = organizer.create(arena.host, HOST, arena.draft(), again=True)
    assert again.id != arena.identity
    assert again.terms.data_root != arena.challenge.terms.data_root, "nonces are fresh"


def test_another_name_another_organizer_or_a_finished_one_is_no_second(arena: Arena) -> None:
    arena.create()
    draft = arena.draft()
    organizer.create(*arena["alice"], draft)
    organizer.cancel(arena.host, HOST, arena.identity)
    organizer.create(arena.host, HOST, draft)
    arena.changes = {"name": '"another"'}
    organizer.create(arena.host, HOST, arena.draft())
    assert len(arena.host.state().challenges) == 4


@pytest.mark.parametrize("killed_at", ["commit", "record", "secret", "put", "send"])
def test_killed_before_it_is_sent_it_leaves_nothing_in_the_way(
    arena: Arena, monkeypatch: pytest.MonkeyPatch, killed_at: str
) -> None:
    class Killed(BaseException):
        pass

    def kill(*words: Any, **options: Any) -> None:
        raise Killed

    place, name = {
        "commit": ("danku.dataset.private.GroupsFile", "finish"),
        "record": ("danku.roles.vault.Vault", "keep_record"),
        "secret": ("danku.roles.organizer", "keep_secret"),
        "put": ("danku.storage.embedded.EmbeddedStore", "put"),
        "send": ("danku.roles.workspace.Workspace", "send"),
    }[killed_at]
    draft = arena.draft()
    with monkeypatch.context() as patch:
        patch.setattr(f"{place}.{name}", kill)
        with pytest.raises(Killed):
            organizer.create(arena.host, HOST, draft)
    assert arena.gains() == {}
    arena.create()
    folders = list(arena.host.vault.folder(arena.identity).glob("groups-*"))
    assert len(folders) == 1, "the groups that nothing depends on are gone"
    arena.play(until="reveal_train", since="create")


def test_killed_after_it_is_sent_it_has_happened(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    send = Workspace.send

    def kill(self: Workspace, *words: Any) -> None:
        send(self, *words)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Workspace, "send", kill)
        with pytest.raises(Killed):
            organizer.create(arena.host, HOST, arena.draft())
    with pytest.raises(AlreadyRunning):
        arena.create()
    (arena.identity,) = arena.host.state().challenges
    arena.play(until="reveal_train", since="create")


def test_a_create_of_the_same_key_that_came_first(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another machine's create took the nonce in between: nothing is escrowed, and a second try
    takes the next one."""
    draft = arena.draft()
    put = type(arena.host.store).put

    def overtake(self: Any, data: bytes) -> str:
        empty = Create(draft.terms, cid_of(b"manifest"), ZERO_DIGEST, 0)
        arena.host.send(HOST, empty, escrow_of(draft.terms))
        return put(self, data)

    with monkeypatch.context() as patched:
        patched.setattr(type(arena.host.store), "put", overtake)
        with pytest.raises(Rejected) as raised:
            organizer.create(arena.host, HOST, draft)
    assert raised.value.rule == "AlreadyCreated"
    (other,) = arena.host.state().challenges
    created = organizer.create(arena.host, HOST, draft)
    assert list(arena.host.state().challenges) == [other, created.id]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"organizer_bond": '"4999"'}, "organizer_bond 4999 is less than half the pot 10000"),
        ({"max_submissions": "21"}, "max_submissions 21 exceeds max_entries 20"),
        ({"min_contributions": "4"}, "min_contributions 4 exceeds"),
        ({"min_contributions": "0"}, "min_contributions 0"),
        ({"pot": f'"{2**96 - 1}"'}, "the limit is 2^96 - 1"),
    ],
)
def test_terms_that_nobody_could_play_are_refused_before_any_work(
    tmp_path: Path, changes: dict[str, str], words: str
) -> None:
    arena = Arena(tmp_path / "arena", **changes)
    draft = arena.draft()
    if "pot" in changes:
        rich = msgspec.structs.replace(draft.terms.reward, organizer_bond=draft.terms.reward.pot)
        terms = msgspec.structs.replace(draft.terms, reward=rich)
        draft = organizer.Draft(draft.file, draft.manifest, terms, draft.table, draft.plan)
        refused("InsufficientBalance", organizer.create, arena.host, HOST, draft)
    else:
        assert words in refused("BadTerms", organizer.create, arena.host, HOST, draft).what
    assert not list((arena.host.private).rglob("groups*"))
    assert blobs(arena) == set()


@pytest.mark.parametrize("panel", ["twice", "organizer", "zero"])
def test_a_wrong_panel(arena: Arena, panel: str) -> None:
    members = {
        "twice": (key_of("vera").address,) * 2,
        "organizer": (key_of("vera").address, HOST.address),
        "zero": ("0x" + "00" * 20, key_of("vera").address),
    }[panel]
    draft = arena.draft()
    seats = msgspec.structs.replace(draft.terms.panel, members=members)
    terms = msgspec.structs.replace(draft.terms, panel=seats)
    draft = organizer.Draft(draft.file, draft.manifest, terms, draft.table, draft.plan)
    refused("BadTerms", organizer.create, arena.host, HOST, draft)
    assert arena.host.state().challenges == {}


def test_without_the_money_nothing_is_written_or_published(tmp_path: Path) -> None:
    arena = Arena(tmp_path / "arena", pot=f'"{FUNDS}"', organizer_bond=f'"{FUNDS}"')
    error = refused("InsufficientBalance", organizer.create, arena.host, HOST, arena.draft())
    assert str(FUNDS) in error.what
    assert not list(arena.host.private.rglob("groups*"))
    assert blobs(arena) == set()


def test_groups_stay_private_until_their_part_is_revealed(stages: ArenaAt) -> None:
    known: dict[str, set[str]] = {step: blobs(stages(step)) for step in ("draw", "reveal_train")}
    assert known["draw"] == {stages("draw").challenge.manifest}
    assert len(known["reveal_train"]) == 1 + 7 + 1, "the manifest, seven groups, their bundle"
    assert len(blobs(stages("open"))) == 9 + 3, "three models more"
    assert len(blobs(stages("reveal_test"))) == 12 + 3 + 1


@pytest.mark.parametrize(("step", "part"), [("draw", "train"), ("open", "test")])
def test_a_refused_reveal_publishes_nothing(arena_at: ArenaAt, step: str, part: Any) -> None:
    arena = arena_at(step)
    before = blobs(arena)
    stranger, key = arena["alice"]
    refused("NotOrganizer", organizer.reveal, stranger, key, arena.identity, part)
    arena.wait("reveal_train" if part == "train" else "reveal_test")
    refused("Late", organizer.reveal, arena.host, HOST, arena.identity, part)
    assert blobs(arena) == before


def test_train_data_before_the_seed_and_test_data_before_the_models(stages: ArenaAt) -> None:
    for step, part, rule in (
        ("open_seeds", "train", "NotDrawn"),
        ("reveal_train", "train", "AlreadyRevealed"),
        ("reveal_train", "test", "Early"),
        ("submit", "test", "Early"),
    ):
        arena = stages(step)
        before = blobs(arena)
        refused(rule, organizer.reveal, arena.host, HOST, arena.identity, part)
        assert blobs(arena) == before


def test_without_the_private_folder_the_data_cannot_be_revealed(arena_at: ArenaAt) -> None:
    arena = arena_at("draw")
    before = blobs(arena)
    shutil.rmtree(arena.host.vault.folder(arena.identity))
    with pytest.raises(PrivateMissing, match="groups and nonces"):
        organizer.reveal(arena.host, HOST, arena.identity, "train")
    assert blobs(arena) == before


def test_damaged_private_groups_are_never_published(arena_at: ArenaAt) -> None:
    arena = arena_at("draw")
    groups = private_groups(arena, arena.identity).folder / "groups.bin"
    data = bytearray(groups.read_bytes())
    for place in range(0, len(data), 50):
        data[place] ^= 1
    groups.write_bytes(data)
    with pytest.raises(PrivateGroupsBroken):
        organizer.reveal(arena.host, HOST, arena.identity, "train")
    assert arena.challenge.train is None


def test_a_reveal_that_was_killed_is_simply_done_again(
    arena_at: ArenaAt, monkeypatch: pytest.MonkeyPatch
) -> None:
    arena = arena_at("draw")
    with monkeypatch.context() as patch:

        def kill(self: Workspace, *words: Any) -> None:
            raise KeyboardInterrupt

        patch.setattr(Workspace, "send", kill)
        with pytest.raises(KeyboardInterrupt):
            arena.reveal_train()
    arena.reveal_train()
    assert arena.verify().ok


def test_cancelling_is_free_before_the_first_contribution(arena_at: ArenaAt) -> None:
    early, late = arena_at("create"), arena_at("contribute")
    organizer.cancel(early.host, HOST, early.identity)
    organizer.cancel(late.host, HOST, late.identity)
    for arena in (early, late):
        arena.claim()
    assert (early.gains(), early.burned()) == ({}, 0)
    assert (late.gains(), late.burned()) == ({ORGANIZER: -5_000}, 5_000)


def test_a_seed_secret_is_kept_before_it_is_committed_to(
    arena_at: ArenaAt, monkeypatch: pytest.MonkeyPatch
) -> None:
    arena = arena_at("create")
    workspace, key = arena["vera"]
    sent: list[int] = []

    def look(self: Workspace, *words: Any) -> None:
        sent.append(len(list(self.vault.folder(arena.identity).glob("seed-*.json"))))

    with monkeypatch.context() as patch:
        patch.setattr(Workspace, "send", look)
        seeds.contribute(workspace, key, arena.identity)
    assert sent == [1]
    seeds.contribute(workspace, key, arena.identity)
    arena.contribute("victor", "viola")
    arena.open_seeds()
    assert arena.challenge.contributions[0].secret is not None


def test_seed_steps_that_are_refused_leave_no_secret(arena_at: ArenaAt) -> None:
    arena = arena_at("contribute")
    workspace, key = arena["alice"]
    refused("NotOnPanel", seeds.contribute, workspace, key, arena.identity)
    refused("NotContributor", seeds.open_seed, workspace, key, arena.identity)
    assert not list(workspace.private.rglob("seed-*"))
    refused("AlreadyContributed", seeds.contribute, *arena["vera"], arena.identity)
    refused("Early", seeds.open_seed, *arena["vera"], arena.identity)
    for name in ("vera", ORGANIZER):
        folder = arena.players[name].vault.folder(arena.identity)
        for path in folder.glob("seed-*.json"):
            path.unlink()
    arena.wait("contribute")
    with pytest.raises(PrivateMissing, match="deposit or bond is lost"):
        seeds.open_seed(*arena[ORGANIZER], arena.identity)
    seeds.open_seed(*arena["vera"], arena.identity)
