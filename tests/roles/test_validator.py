"""The validator: what is voted can be opened, and neighbours learn nothing before."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path
from typing import Any

import pytest

from danku.crypto.hashing import from_hex, keccak, to_hex
from danku.errors import DankuError, DataError, Rejected
from danku.protocol.records import decode
from danku.protocol.result import Result
from danku.roles import seeds, validator
from danku.roles.vault import PrivateMissing
from danku.roles.workspace import Workspace
from tests.roles.arena import VALIDATORS, Arena, key_of, reordered
from tests.roles.conftest import ArenaAt


def refused(rule: str, step: Any, *words: Any) -> Rejected:
    with pytest.raises(Rejected) as raised:
        step(*words)
    assert raised.value.rule == rule
    return raised.value


def sealed(workspace: Workspace) -> list[Path]:
    found = workspace.private.rglob("vote-*.json")
    return sorted(path for path in found if not path.stem.endswith("-result"))


def blobs(arena: Arena) -> set[str]:
    return {path.name for path in (arena.public / "blobs").iterdir()}


def test_a_vote_shows_nothing_before_it_is_opened(arena_at: ArenaAt) -> None:
    arena = arena_at("convene")
    before, honest = blobs(arena), arena.assess()
    arena.vote(vera=honest, victor=honest)
    assert blobs(arena) == before
    first, second = arena.challenge.rounds[1].votes.values()
    assert first.commitment != second.commitment, "equal votes do not look equal"
    assert (first.ballot, first.cid) == (None, None)
    journal = (arena.public / "ledger.jsonl").read_text()
    assert honest.ballot.result not in journal
    assert honest.ballot.payout_root not in journal


def test_ballot_salt_and_result_are_kept_before_anything_is_sent(
    arena_at: ArenaAt, monkeypatch: pytest.MonkeyPatch
) -> None:
    arena = arena_at("convene")
    workspace, key = arena["vera"]
    honest = arena.assess()

    def look(self: Workspace, *words: Any) -> None:
        (record,) = sealed(self)
        result = record.with_name(f"{record.stem}-result.json")
        assert result.read_bytes() == honest.data
        assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in (record, result))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Workspace, "send", look)
        with pytest.raises(KeyboardInterrupt):
            validator.cast_vote(workspace, key, arena.identity, honest)
    validator.cast_vote(workspace, key, arena.identity, honest)
    arena.open_votes("vera")


def test_a_vote_in_parallel_does_not_overwrite_the_sealed_one(
    arena_at: ArenaAt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes of one key evaluate at the same time; only the first vote counts."""
    arena = arena_at("convene")
    workspace, key = arena["vera"]
    honest = arena.assess()
    other = reordered(arena, honest)
    with monkeypatch.context() as patch:
        # NOTE: the second process asked before the first one's vote was there.
        patch.setattr(validator, "precheck_vote", lambda *words: None)
        validator.cast_vote(workspace, key, arena.identity, honest)
        refused("AlreadyVoted", validator.cast_vote, workspace, key, arena.identity, other)
    assert len(sealed(workspace)) == 2
    arena.vote(victor=honest, viola=honest)
    arena.open_votes()
    opened = arena.challenge.rounds[1].votes[key.address]
    assert opened.ballot == honest.ballot
    assert opened.cid is not None
    data = workspace.store.get(opened.cid, 10**6)
    assert decode(data, Result, "result") == honest.result


def test_a_second_vote_is_refused_before_anything_is_sealed(arena_at: ArenaAt) -> None:
    arena = arena_at("vote")
    workspace, key = arena["vera"]
    kept = sealed(workspace)
    refused("AlreadyVoted", validator.cast_vote, workspace, key, arena.identity, arena.assess())
    refused("AlreadyVoted", validator.precheck_vote, workspace, key, arena.identity)
    assert sealed(workspace) == kept


@pytest.mark.parametrize(
    ("step", "name", "rule"),
    [
        ("reveal_test", "vera", "Early"),
        ("convene", "alice", "NotOnCommittee"),
        ("vote", "vera", "AlreadyVoted"),
        ("open_votes", "vera", "Late"),
        ("finalize", "vera", "Final"),
    ],
)
def test_whether_to_evaluate_at_all_is_asked_first(
    stages: ArenaAt, step: str, name: str, rule: str
) -> None:
    arena = stages(step)
    refused(rule, validator.precheck_vote, *arena[name], arena.identity)


def test_before_the_committee_is_called_nobody_votes(arena_at: ArenaAt) -> None:
    arena = arena_at("reveal_test")
    arena.wait("reveal_test")
    refused("NotConvened", validator.precheck_vote, *arena["vera"], arena.identity)


def test_opening_publishes_the_result(arena_at: ArenaAt) -> None:
    arena = arena_at("vote")
    before = blobs(arena)
    arena.open_votes("vera")
    (cid,) = blobs(arena) - before
    vote = arena.challenge.rounds[1].votes[key_of("vera").address]
    assert vote.cid == cid
    assert vote.ballot is not None
    assert to_hex(keccak(arena.host.store.get(cid, 10**6))) == vote.ballot.result
    arena.open_votes("victor", "viola")
    assert blobs(arena) == {*before, cid}, "equal results are one blob"


def test_nothing_is_published_when_open_vote_is_refused(arena_at: ArenaAt) -> None:
    arena = arena_at("vote")
    before = blobs(arena)
    refused("Early", validator.open_vote, *arena["vera"], arena.identity)
    refused("NotVoted", validator.open_vote, *arena["alice"], arena.identity)
    arena.wait("open_vote")
    refused("NotVoted", validator.open_vote, *arena["vera"], arena.identity)
    assert blobs(arena) == before


@pytest.mark.parametrize("which", ["ballot", "result"])
def test_without_the_private_files_a_vote_cannot_be_opened(arena_at: ArenaAt, which: str) -> None:
    arena = arena_at("vote")
    (record,) = sealed(arena.players["vera"])
    gone = record if which == "ballot" else record.with_name(f"{record.stem}-result.json")
    gone.unlink()
    before = blobs(arena)
    with pytest.raises(PrivateMissing, match=gone.name):
        arena.open_votes("vera")
    assert blobs(arena) == before


@pytest.mark.parametrize("which", ["salt", "result"])
def test_changed_private_files_are_refused_and_publish_nothing(
    arena_at: ArenaAt, which: str
) -> None:
    arena = arena_at("vote")
    (record,) = sealed(arena.players["vera"])
    if which == "salt":
        text = record.read_text()
        salt = text.split('"salt":"')[1][:66]
        record.write_text(text.replace(salt, "0x" + "11" * 32))
    else:
        record.with_name(f"{record.stem}-result.json").write_bytes(b"another")
    before = blobs(arena)
    with pytest.raises(DankuError) as raised:
        arena.open_votes("vera")
    assert raised.value.name == "CommitmentMismatch" or raised.value.exit_code == 5
    assert blobs(arena) == before


def test_the_ballot_says_what_was_found(arena_at: ArenaAt) -> None:
    arena = arena_at("convene")
    honest = arena.assess()
    rows = [(row.submission, row.status, row.rank, row.score) for row in honest.result.rows]
    unit = 10**9
    assert rows == [
        (0, "ranked", 1, unit),
        (1, "ranked", 2, 3 * unit // 4),
        (2, "ranked", 3, unit // 2),
    ]
    assert honest.ballot.winner == key_of("alice").address
    assert honest.ballot.score == unit
    assert honest.ballot.outcome == "test"
    assert honest.ballot.payout_total == sum(amount for _, amount in honest.payouts) == 10_600
    assert all(arena.assess(name) == honest for name in VALIDATORS), "anybody finds the same"
    assert len(from_hex(honest.ballot.result)) == 32


def test_a_vote_is_opened_from_an_empty_disk(arena_at: ArenaAt) -> None:
    """What a CI run does: key and public record are all it has."""
    arena = arena_at("vote")
    arena.wait("vote")
    workspace, key = arena["vera"]
    shutil.rmtree(workspace.vault.folder(arena.identity))
    assert not validator.holds_vote(workspace, key, arena.identity)
    validator.recover_vote(workspace, key, arena.identity, arena.assess("vera"))
    assert validator.holds_vote(workspace, key, arena.identity)
    arena.open_votes("vera")
    assert arena.challenge.rounds[1].votes[key.address].ballot == arena.assess().ballot


def test_only_the_vote_that_was_committed_is_recovered(arena_at: ArenaAt) -> None:
    arena = arena_at("vote")
    arena.wait("vote")
    workspace, key = arena["vera"]
    shutil.rmtree(workspace.vault.folder(arena.identity))
    with pytest.raises(DataError, match="does not lead to the vote"):
        validator.recover_vote(
            workspace, key, arena.identity, reordered(arena, arena.assess("vera"))
        )
    assert not validator.holds_vote(workspace, key, arena.identity)


def test_a_seed_secret_is_opened_from_an_empty_disk(arena_at: ArenaAt) -> None:
    arena = arena_at("contribute")
    arena.wait("contribute")
    workspace, key = arena["vera"]
    shutil.rmtree(workspace.vault.folder(arena.identity))
    seeds.open_seed(workspace, key, arena.identity)
    opened = {item.contributor: item.secret for item in arena.challenge.contributions}
    assert opened[key.address]
