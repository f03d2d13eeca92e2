"""Git and the journal: who stays where in a merge and a rebase, and what happens without danku."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.end_to_end.clones import IDENTITY, Clone, another_clone, first_clone
from tests.end_to_end.killing import Killer
from tests.roles.arena import key_of


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pushed ledger and two clones of it; to be copied, not to be used."""
    root = tmp_path_factory.mktemp("clones")
    first_clone(root, "alice").share()
    another_clone(root, "bob")
    another_clone(root, "carol", driver=False)
    return root


@pytest.fixture
def clone(made: Path, tmp_path: Path) -> Callable[..., Clone]:
    """A clone of one's own of the same hub, by its owner's name."""
    root = tmp_path / 'it\'s a "place"'
    shutil.copytree(made, root)
    hub = root / "hub.git"

    def of(name: str, pulling: str = "--no-rebase") -> Clone:
        found = Clone(root / name, name, pulling)
        found.git("remote", "set-url", "origin", str(hub))
        if found.try_git("config", "merge.danku-ledger.driver").code == 0:
            found.danku("ledger", "install-driver")
        return found

    return of


def act(clone: Clone, seconds: int = 1) -> str:
    digest = clone.danku("ledger", "advance-time", f"{seconds}s")["digest"]
    clone.commit()
    return str(digest)


def order(clone: Clone) -> list[str]:
    """The digests of all actions, in order."""
    return [item["digest"] for item in clone.danku("ledger", "show")["actions"]]


@pytest.mark.parametrize("pulling", ["--no-rebase", "--rebase"])
def test_what_was_pushed_stays_before_what_was_not(
    clone: Callable[..., Clone], pulling: str
) -> None:
    alice, bob = clone("alice"), clone("bob", pulling)
    pushed = [act(alice), act(alice)]
    alice.share()
    shared = alice.journal.read_bytes()
    mine = [act(bob), act(bob)]
    assert [item["digest"] for item in bob.status()["pending"]] == mine
    bob.share()
    assert bob.conflicts == 1
    assert bob.journal.read_bytes().startswith(shared)
    assert order(bob) == [*pushed, *mine]
    assert bob.status()["pending"] == []
    alice.pull()
    assert order(alice) == [*pushed, *mine]
    assert alice.danku("ledger", "verify")["ok"]


def test_a_branch_that_nobody_has_goes_behind_the_one_it_is_merged_into(
    clone: Callable[..., Clone],
) -> None:
    alice = clone("alice")
    alice.git("checkout", "-q", "-b", "feature")
    alice.git("config", "branch.feature.remote", "origin")
    there = act(alice)
    feature = alice.journal.read_bytes()
    alice.git("checkout", "-q", "main")
    alice.refused("ledger", "show", code=7, error="ActionsDropped")
    bob = clone("bob")
    here = act(bob)
    bob.git("fetch", "-q", str(alice.folder), "feature:feature")
    (bob.folder / ".git" / "FETCH_HEAD").unlink()
    kept = bob.journal.read_bytes()
    bob.git("merge", "-q", "feature")
    assert bob.journal.read_bytes().startswith(kept)
    assert order(bob) == [here, there]
    assert feature not in bob.journal.read_bytes()


def test_a_detached_head_and_a_branch_without_upstream(clone: Callable[..., Clone]) -> None:
    alice, bob = clone("alice"), clone("bob")
    pushed = act(alice)
    alice.share()
    bob.git("checkout", "-q", "--detach")
    mine = act(bob)
    assert [item["digest"] for item in bob.status()["pending"]] == [mine]
    bob.git("pull", "-q", "--rebase", "origin", "main")
    assert order(bob) == [pushed, mine]
    bob.git("push", "-q", "origin", "HEAD:main")
    assert bob.status()["pending"] == []
    bob.git("checkout", "-q", "-b", "own", "--no-track")
    assert bob.status()["branch"] == "origin/main"


@pytest.mark.parametrize("pulling", ["--no-rebase", "--rebase"])
def test_what_was_pulled_by_address_stays_too(clone: Callable[..., Clone], pulling: str) -> None:
    """As CI jobs do it, with a detached HEAD and remote branches that are not up to date."""
    alice, bob = clone("alice"), clone("bob")
    pushed = act(alice)
    alice.share()
    bob.git("checkout", "-q", "--detach")
    mine = act(bob)
    hub = bob.git("remote", "get-url", "origin").strip()
    bob.git("remote", "remove", "origin")
    bob.git("update-ref", "refs/remotes/origin/main", "HEAD~1")
    bob.git("pull", "-q", pulling, hub, "main")
    assert order(bob) == [pushed, mine]


@pytest.mark.parametrize("pulling", ["--no-rebase", "--rebase"])
def test_a_clone_without_the_driver_is_told_and_mended(
    clone: Callable[..., Clone], pulling: str
) -> None:
    alice, carol = clone("alice"), clone("carol", pulling)
    pushed = act(alice)
    alice.share()
    mine = act(carol)
    assert carol.status()["merge_driver"] is False
    assert carol.push().code
    assert carol.pull().code
    assert b"<<<<<<<" in carol.journal.read_bytes()
    for words in (("ledger", "show"), ("status",)):
        told = carol.refused(*words, code=7, error="JournalUnmerged")
        assert "danku ledger merge" in told.receipt["fix"]
    carol.refused("ledger", "verify", code=7, error="JournalConflicted")
    carol.refused("ledger", "advance-time", "1s", code=7, error="JournalUnmerged")
    joined = carol.danku("ledger", "merge")
    assert joined["resolved"]
    assert [item["digest"] for item in joined["moved"]] == [mine]
    carol.git(*(["rebase", "--continue"] if pulling == "--rebase" else ["commit", "-qm", "joined"]))
    carol.git("push", "-q", "origin", "HEAD")
    assert order(carol) == [pushed, mine]
    assert carol.status()["pending"] == []


def test_marks_that_were_committed_are_mended(clone: Callable[..., Clone]) -> None:
    alice, carol = clone("alice"), clone("carol")
    pushed = act(alice)
    alice.share()
    mine = act(carol)
    assert carol.pull().code
    carol.git("commit", "-qam", "whatever git says")
    carol.refused("ledger", "show", code=7, error="JournalConflicted")
    assert carol.danku("ledger", "merge")["resolved"] is None
    assert order(carol) == [pushed, mine]


def test_a_driver_that_cannot_start_leaves_nothing_that_looks_whole(
    clone: Callable[..., Clone],
) -> None:
    alice, bob = clone("alice"), clone("bob")
    pushed = act(alice)
    alice.share()
    mine = act(bob)
    bob.git("config", "merge.danku-ledger.driver", "no-such-danku %O %A %B %P")
    assert bob.pull().code
    bob.refused("ledger", "show", code=7, error="JournalUnmerged")
    assert bob.danku("ledger", "merge")["resolved"]
    assert order(bob) == [pushed, mine]


def test_a_forged_upstream_ends_in_a_conflict_and_not_in_the_journal(
    clone: Callable[..., Clone],
) -> None:
    alice, bob = clone("alice"), clone("bob")
    act(alice)
    data = alice.journal.read_bytes()
    alice.journal.write_bytes(data.replace(b'"signature":"0x', b'"signature":"0x00')[:-1] + b"\n")
    alice.commit()
    alice.git("push", "-q", "origin", "HEAD")
    act(bob)
    pulled = bob.pull()
    assert pulled.code
    assert "JournalBroken" in pulled.err + pulled.out
    bob.refused("ledger", "merge", code=7, error="JournalBroken")
    bob.git("merge", "--abort")
    assert len(order(bob)) == 1


def test_an_upstream_that_takes_back_what_it_had_is_refused(clone: Callable[..., Clone]) -> None:
    alice, bob = clone("alice"), clone("bob")
    act(bob)
    bob.share()
    bob.status()
    for _ in range(2):
        act(alice)
    alice.git("push", "-q", "--force", "origin", "HEAD")
    act(bob)
    pulled = bob.pull()
    assert pulled.code
    assert "Rewritten" in pulled.err + pulled.out
    bob.refused("ledger", "merge", code=7, error="Rewritten")
    bob.git("merge", "--abort")
    assert len(order(bob)) == 2


def test_git_reset_does_not_take_an_action_back(clone: Callable[..., Clone]) -> None:
    bob = clone("bob")
    lost = act(bob)
    bob.git("reset", "-q", "--hard", "origin/main")
    told = bob.refused("ledger", "show", code=7, error="ActionsDropped")
    assert lost in told.receipt["what"]
    assert [item["digest"] for item in bob.danku("ledger", "merge")["moved"]] == [lost]
    assert order(bob) == [lost]


def test_without_git_what_others_have_is_not_known(clone: Callable[..., Clone]) -> None:
    bob = clone("bob")
    mine = act(bob)
    secret = "0x" + key_of("bob").unsafe_secret().hex()
    environment = {**os.environ, "PATH": os.devnull, "DANKU_PRIVATE_KEY": secret}
    done = subprocess.run(
        [sys.executable, "-m", "danku", "status", "--json"],
        cwd=bob.folder,
        env=environment,
        capture_output=True,
        check=True,
    )
    status = json.loads(done.stdout)
    assert status["problem"] == "git is not installed"
    assert [item["digest"] for item in status["pending"]] == [mine]
    assert status["branch"] is None


def test_installing_the_driver_again_changes_nothing(clone: Callable[..., Clone]) -> None:
    bob = clone("bob")
    before = (bob.folder / ".git" / "config").read_bytes()
    installed = bob.danku("ledger", "install-driver")
    assert "-P -m danku" in installed["command"], "a danku.py in the repository is not run"
    assert (bob.folder / ".git" / "config").read_bytes() == before
    assert bob.git("status", "--porcelain") == ""


def test_outside_a_repository_there_is_nothing_to_install(tmp_path: Path) -> None:
    alone = Clone(tmp_path / "alone", "alice")
    alone.folder.mkdir()
    assert alone.danku("init", ".", "--sandbox")["merge_driver"] is None
    alone.refused("ledger", "install-driver", code=2, error="NoRepository")
    alone.refused("ledger", "merge", code=2, error="NothingToMerge")
    alone.refused("ledger", "merge", "--keep-mine", code=2, error="UsageError")
    alone.refused("ledger", "merge", "nowhere.jsonl", code=5, error="JournalMissing")
    act_status = alone.status()
    assert (act_status["in_git"], act_status["pending"]) == (False, [])


def test_merging_by_hand_and_its_exit_codes(clone: Callable[..., Clone], tmp_path: Path) -> None:
    alice, bob = clone("alice"), clone("bob")
    other = tmp_path / "of alice.jsonl"
    theirs = act(alice)
    alice.danku("ledger", "export", "--to", str(other))
    mine = act(bob)
    joined = bob.danku("ledger", "merge", str(other))
    assert (joined["kept"], joined["refused_file"]) == (str(other), None)
    assert order(bob) == [theirs, mine]
    bob.journal.write_bytes(b"\n".join([*bob.journal.read_bytes().split(b"\n")[:1], b""]))
    bob.danku("ledger", "merge")
    assert sorted(order(bob)) == sorted([theirs, mine])
    assert bob.danku("ledger", "merge", str(other), "--keep-mine")["moved"] == []

    # The same key acts in two places, so that two actions have one nonce.
    act(alice, 5)
    twin = Clone(bob.folder, "alice")
    act(twin, 7)
    alice.danku("ledger", "export", "--to", str(tmp_path / "longer.jsonl"))
    refused = twin.try_danku("ledger", "merge", str(tmp_path / "longer.jsonl"))
    assert refused.code == 3
    [item] = refused.receipt["refused"]
    assert (item["rule"], item["kind"]) == ("WrongNonce", "advance_time")
    assert Path(refused.receipt["refused_file"]).exists()
    assert [item["rule"] for item in twin.status()["refused"]] == ["WrongNonce"]


def test_a_killed_merge_leaves_the_old_journal_or_the_new_one(
    clone: Callable[..., Clone], tmp_path: Path
) -> None:
    alice, bob = clone("alice"), clone("bob")
    other = tmp_path / "other.jsonl"
    for _ in range(2):
        act(alice)
        act(bob)
    act(Clone(bob.folder, "alice"), 9)  # one of the two that alice's own clone does not have
    alice.danku("ledger", "export", "--to", str(other))
    old, kept = bob.journal.read_bytes(), other.read_bytes()
    private = tmp_path / "private"
    shutil.copytree(bob.folder / "private", private)
    killer = Killer(Random(1))
    secret = "0x" + key_of("bob").unsafe_secret().hex()
    environment = {"COLUMNS": "200", **IDENTITY, "DANKU_PRIVATE_KEY": secret}
    seen = set()
    words = ["ledger", "merge", str(other), "--json"]
    for _ in range(24):
        ended = killer.run(bob.folder, environment, words, kill=True)
        now = bob.journal.read_bytes()
        seen.add(now == old)
        assert now == old or now.startswith(kept)
        if now != old:
            assert (bob.folder / "challenges" / "ledger.jsonl.refused").exists()
        assert ended.killed or ended.code == 3
        assert bob.try_danku("ledger", "show").code == 0
        shutil.rmtree(bob.folder / "private")
        shutil.copytree(private, bob.folder / "private")
        (bob.folder / "challenges" / "ledger.jsonl.refused").unlink(missing_ok=True)
        bob.journal.write_bytes(old)
    assert killer.kills > 8
    assert True in seen
