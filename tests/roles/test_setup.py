"""A new workspace: a ledger of its own, or somebody else's; nothing private where others look."""

from __future__ import annotations

import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from danku.errors import DataError, Rejected, UsageError
from danku.ledger.embedded.errors import JournalExists, JournalMissing
from danku.protocol.actions import Withdraw
from danku.roles.setup import BadAddress, WorkspaceExists, make_workspace
from danku.roles.workspace import (
    NoWorkspace,
    Settings,
    Workspace,
    find_workspace,
    read_settings,
)
from tests.roles.arena import key_of

TREASURER = "0x" + "Ab" * 20


def test_a_workspace_with_a_ledger_of_its_own(tmp_path: Path) -> None:
    root = tmp_path / "deep" / "down"
    made = make_workspace(root, treasurer=TREASURER)
    assert {path.name for path in root.iterdir()} >= {"danku.toml", "challenges", "keys"}
    assert made.journal == (root / "challenges" / "ledger.jsonl").resolve()
    assert made.ledger.genesis.treasurer == TREASURER.lower()
    assert not made.ledger.genesis.sandbox
    assert made.ledger.balance(key_of("alice").address) == 0
    assert stat.S_IMODE((root / "private").stat().st_mode) == 0o700


def test_play_money_is_for_a_sandbox_only(tmp_path: Path) -> None:
    serious = make_workspace(tmp_path / "serious", play_money=500)
    sandbox = make_workspace(tmp_path / "sandbox", sandbox=True, play_money=500)
    alice = key_of("alice").address
    assert (serious.ledger.balance(alice), sandbox.ledger.balance(alice)) == (0, 500)


def test_a_workspace_that_joins_another(tmp_path: Path) -> None:
    first = make_workspace(tmp_path / "first", sandbox=True, play_money=500)
    second = make_workspace(tmp_path / "elsewhere" / "second", join=first.public)
    assert second.public == first.public
    assert second.ledger.head() == first.ledger.head()
    assert second.private != first.private
    (tmp_path / "moved").mkdir()
    for name in ("first", "elsewhere"):
        (tmp_path / name).rename(tmp_path / "moved" / name)
    again = Workspace(tmp_path / "moved" / "elsewhere" / "second")
    assert again.public == (tmp_path / "moved" / "first" / "challenges").resolve()


def test_joining_through_links(tmp_path: Path) -> None:
    first = make_workspace(tmp_path / "first", sandbox=True)
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "a" / "b")
    second = make_workspace(tmp_path / "link" / "second", join=first.public)
    assert second.ledger.head() == first.ledger.head()


@pytest.mark.parametrize("name", ['a "quoted" name', "back\\slash", "naïve 🦉", "a'b #c"])
def test_joining_a_folder_of_any_name(tmp_path: Path, name: str) -> None:
    first = make_workspace(tmp_path / name, sandbox=True)
    second = make_workspace(tmp_path / "second", join=first.public)
    assert second.public == first.public


@pytest.mark.parametrize("what", ["missing", "empty", "file"])
def test_nothing_to_join(tmp_path: Path, what: str) -> None:
    public = tmp_path / "public"
    if what == "empty":
        public.mkdir()
    if what == "file":
        public.write_text("no folder")
    with pytest.raises(UsageError, match="no ledger"):
        make_workspace(tmp_path / "root", join=public)
    assert not (tmp_path / "root").exists()


def test_a_second_time_changes_nothing(tmp_path: Path) -> None:
    head = make_workspace(tmp_path, sandbox=True).ledger.head()
    with pytest.raises(WorkspaceExists) as raised:
        make_workspace(tmp_path)
    assert raised.value.exit_code == 2
    assert Workspace(tmp_path).ledger.head() == head


@pytest.mark.parametrize("address", ["", "0x", "0x" + "a" * 39, "0x" + "g" * 40, "a" * 40])
def test_a_treasurer_that_is_no_address(tmp_path: Path, address: str) -> None:
    with pytest.raises(BadAddress):
        make_workspace(tmp_path / "root", treasurer=address)
    assert not (tmp_path / "root").exists()


def test_after_a_killed_init_the_same_command_works(tmp_path: Path) -> None:
    head = make_workspace(tmp_path, sandbox=True, play_money=500).ledger.head()
    (tmp_path / "danku.toml").unlink()
    made = make_workspace(tmp_path, sandbox=True, play_money=500)
    assert made.ledger.head() == head


def test_a_ledger_that_is_there_is_never_taken_for_another(tmp_path: Path) -> None:
    made = make_workspace(tmp_path, sandbox=True, play_money=500)
    (tmp_path / "danku.toml").unlink()
    for wanted in ({}, {"sandbox": True, "play_money": 501}, {"treasurer": TREASURER}):
        with pytest.raises(JournalExists):
            make_workspace(tmp_path, **wanted)
    made.journal.write_bytes(made.journal.read_bytes() * 2)
    with pytest.raises(JournalExists):
        make_workspace(tmp_path, sandbox=True, play_money=500)
    assert not (tmp_path / "danku.toml").exists()


def test_an_ignore_file_that_is_there_keeps_its_lines(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("*.pyc\nkeys/*")
    make_workspace(tmp_path)
    lines = (tmp_path / ".gitignore").read_text().splitlines()
    assert lines[:2] == ["*.pyc", "keys/*"]
    assert "private/" in lines
    assert len(set(lines)) == len(lines)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_git_passes_over_everything_private(tmp_path: Path) -> None:
    made = make_workspace(tmp_path, sandbox=True, play_money=500)
    made.vault.keep("0x" + "ab" * 32, "salt", b"salt")
    (made.keys / "alice.json").write_text("{}")
    assert made.ledger.head()
    git = ("git", "-C", str(tmp_path), "-c", "init.defaultBranch=main")
    subprocess.run([*git, "init", "--quiet"], check=True)
    run = subprocess.run(
        [*git, "status", "--porcelain", "--untracked-files=all"],
        check=True,
        capture_output=True,
        text=True,
    )
    seen = {line.split()[-1] for line in run.stdout.splitlines()}
    assert seen == {".gitignore", "danku.toml", "keys/README.md", "challenges/ledger.jsonl"}


def test_the_nearest_workspace_is_found(tmp_path: Path) -> None:
    make_workspace(tmp_path / "outer")
    make_workspace(tmp_path / "outer" / "inner")
    deep = tmp_path / "outer" / "inner" / "challenges"
    assert find_workspace(deep) == tmp_path / "outer" / "inner"
    assert find_workspace(tmp_path / "outer" / "keys") == tmp_path / "outer"
    with pytest.raises(NoWorkspace) as raised:
        find_workspace(tmp_path)
    assert "--workspace" in raised.value.fix


@pytest.mark.parametrize(
    "text", [b"public = ", b"public = 3", b'publik = "challenges"', b"\xff", b"[public]"]
)
def test_broken_settings_are_named(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "danku.toml").write_bytes(text)
    with pytest.raises(DataError, match=r"danku\.toml"):
        read_settings(tmp_path)


def test_settings_have_defaults(tmp_path: Path) -> None:
    (tmp_path / "danku.toml").write_text('private = "elsewhere"\n')
    assert read_settings(tmp_path) == Settings("challenges", "keys", "elsewhere")


def test_a_workspace_whose_ledger_is_gone(tmp_path: Path) -> None:
    made = make_workspace(tmp_path, sandbox=True)
    made.journal.unlink()
    with pytest.raises(JournalMissing):
        Workspace(tmp_path).state()


def test_a_private_folder_that_was_lost_comes_back_closed(tmp_path: Path) -> None:
    make_workspace(tmp_path, sandbox=True, play_money=5)
    (tmp_path / "private").rmdir()
    workspace = Workspace(tmp_path)
    assert workspace.ledger.nonce(key_of("alice").address) == 0
    assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == 0o700


def test_a_precheck_says_what_sending_would(tmp_path: Path) -> None:
    workspace, key = make_workspace(tmp_path, sandbox=True, play_money=5), key_of("alice")
    for value, rule in ((0, "NothingOwed"), (6, "InsufficientBalance")):
        for attempt in (workspace.precheck, workspace.send):
            with pytest.raises(Rejected) as raised:
                attempt(key, Withdraw(), value)
            assert raised.value.rule == rule
