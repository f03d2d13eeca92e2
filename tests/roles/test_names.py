"""Challenges by id, by the beginning of an id, and by name; nobody takes over another's name."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from danku.roles import names, organizer
from danku.roles.names import UnknownName, name_of, resolve
from tests.roles.arena import ORGANIZER, Arena
from tests.roles.conftest import ArenaAt


def test_ids_beginnings_and_names(stages: ArenaAt) -> None:
    arena = stages("create")
    identity = arena.identity
    for text in (
        *(identity, identity.upper(), identity[:8], identity[:30], identity[2:8]),
        *("small", "SMALL"),
    ):
        assert resolve(arena.host, text) == identity


@pytest.mark.parametrize("text", ["", "0x", "smal", "small-2", "../small", "0x1234567890", "ab"])
def test_what_means_nothing(stages: ArenaAt, text: str) -> None:
    with pytest.raises(UnknownName) as raised:
        resolve(stages("create").host, text)
    assert "small" in raised.value.why
    assert raised.value.exit_code == 2


def test_the_beginning_of_an_id_must_be_long_enough(stages: ArenaAt) -> None:
    arena = stages("create")
    for length in range(7):
        with pytest.raises(UnknownName):
            resolve(arena.host, arena.identity[: length + 1])


def test_an_empty_ledger_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnknownName) as raised:
        resolve(Arena(tmp_path / "arena").host, "small")
    assert "no challenge yet" in raised.value.why


def test_a_copy_of_the_name_does_not_take_it_over(arena_at: ArenaAt) -> None:
    """Else whoever enters `small` would pay fees to whoever came last with that name."""
    arena = arena_at("reveal_train")
    copied = organizer.create(*arena["bob"], arena.draft())
    assert name_of(arena.host, copied.id) == "small"
    assert resolve(arena.host, "small") == arena.identity
    assert resolve(arena.host, copied.id[:10]) == copied.id


def test_a_finished_challenge_gives_its_name_free(arena_at: ArenaAt) -> None:
    arena = arena_at("create")
    first = arena.identity
    organizer.cancel(*arena[ORGANIZER], first)
    assert resolve(arena.host, "small") == first
    second = organizer.create(*arena[ORGANIZER], arena.draft()).id
    assert resolve(arena.host, "small") == second
    organizer.cancel(*arena[ORGANIZER], second)
    assert resolve(arena.host, "small") == second, "the newest finished one"
    assert resolve(arena.host, first) == first


def test_a_manifest_that_cannot_be_had_costs_only_the_name(arena_at: ArenaAt) -> None:
    arena = arena_at("create")
    second = organizer.create(*arena["bob"], arena.draft()).id
    arena.changes = {"name": '"other"'}
    third = organizer.create(*arena["carol"], arena.draft()).id
    (arena.public / "blobs" / arena.challenge.manifest).unlink()
    assert name_of(arena.host, second) == ""
    assert resolve(arena.host, "other") == third
    assert resolve(arena.host, second[:12]) == second


def ledger(monkeypatch: pytest.MonkeyPatch, named: dict[str, str]) -> Any:
    """A ledger of unfinished challenges with these ids and names."""
    going_on = SimpleNamespace(settlement=None)
    state = SimpleNamespace(challenges=dict.fromkeys(named, going_on))
    monkeypatch.setattr(names, "name_of", lambda workspace, key: named[key])
    return SimpleNamespace(state=lambda: state)


def test_a_beginning_of_two_ids_is_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = "0xabcdef" + "0" * 58, "0xabcdef" + "1" * 58
    workspace = ledger(monkeypatch, {first: "one", second: "two"})
    with pytest.raises(UnknownName, match="means 2 challenges"):
        resolve(workspace, "0xabcdef")
    assert resolve(workspace, "0xabcdef0") == first


def test_a_name_that_looks_like_an_id_hijacks_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    named, like = "0x" + "1" * 64, "0xfacade" + "0" * 58
    workspace = ledger(monkeypatch, {named: "facade", like: "other"})
    with pytest.raises(UnknownName, match="means 2 challenges"):
        resolve(workspace, "facade")
    assert resolve(workspace, "0xfacade") == like
    assert resolve(workspace, "0x111111") == named
    alone = ledger(monkeypatch, {named: "facade"})
    assert resolve(alone, "facade") == named
