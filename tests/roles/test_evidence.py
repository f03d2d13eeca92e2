"""Bad train data voids a challenge, bad test data falls back; the money follows to the unit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from danku.dataset.bundle import Bundle, build_bundle, encode_bundle
from danku.dataset.groups import decode_group, encode_group
from danku.dataset.private import PrivateGroups
from danku.errors import DankuError, Rejected
from danku.protocol.actions import RevealTest, RevealTrain
from danku.roles.board import board
from danku.roles.claims import claim_all
from danku.roles.evidence import Part, fetch_rows, gather_evidence, group_indices
from danku.roles.organizer import DATA_RECORD, CommittedData
from danku.storage.cid import cid_of
from danku.storage.embedded import EmbeddedStore
from danku.storage.port import NotFound, StoreUnusable
from tests.roles.arena import (
    BOND,
    ENTRY,
    FEE,
    ORGANIZER,
    POT,
    STAKE,
    SUBMITTERS,
    VALIDATORS,
    Arena,
    model,
    no_worker,
)
from tests.roles.conftest import ArenaAt

ABSENT = cid_of(b"what nobody has")
FOREIGN = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPBdG"
SHARE = (FEE + 3 * ENTRY) // 3
SPOILS, DUST = divmod(BOND, 3)


def honest_bundle(arena: Arena, part: Part) -> Bundle:
    """The bundle of a part, its groups put into the store."""
    vault = arena.host.vault
    kept = vault.read_record(arena.identity, DATA_RECORD, CommittedData, "the groups")
    private = PrivateGroups(vault.folder(arena.identity) / kept.folder)
    indices = group_indices(arena.challenge, part)
    cids = {index: arena.host.store.put(private.read(index)) for index in indices}
    return build_bundle(arena.identity, part, private.commitments, indices, cids)


def publish(arena: Arena, bundle: Bundle) -> str:
    return arena.host.store.put(encode_bundle(bundle))


def with_first(bundle: Bundle, **changes: Any) -> Bundle:
    first, *others = bundle.groups
    return replace(bundle, groups=(replace(first, **changes), *others))


def flipped_bit(arena: Arena, bundle: Bundle) -> str:
    data = bytearray(arena.host.store.get(bundle.groups[0].cid, 10**6))
    data[-1] ^= 1
    return publish(arena, with_first(bundle, cid=arena.host.store.put(bytes(data))))


def better_rows(arena: Arena, bundle: Bundle) -> str:
    """Rows that suit the organizer: every target turned round."""
    data = arena.host.store.get(bundle.groups[0].cid, 10**6)
    features, target = decode_group(data, "float32", (2,), classes=2)
    cid = arena.host.store.put(encode_group(features, 1 - target))
    return publish(arena, with_first(bundle, cid=cid))


def lost_group(arena: Arena, bundle: Bundle) -> str:
    (arena.public / "blobs" / bundle.groups[-1].cid).unlink()
    return publish(arena, bundle)


FAULTS: dict[str, Callable[[Arena, Bundle], str]] = {
    "absent": lambda arena, bundle: ABSENT,
    "foreign": lambda arena, bundle: FOREIGN,
    "no bundle": lambda arena, bundle: arena.challenge.manifest,
    "garbage": lambda arena, bundle: arena.host.store.put(b"\xff" * 100),
    "flipped bit": flipped_bit,
    "better rows": better_rows,
    "lost group": lost_group,
    "wrong nonce": lambda a, b: publish(a, with_first(b, nonce="0x" + "11" * 32)),
    "no proof": lambda a, b: publish(a, with_first(b, proof=())),
    "wrong rows": lambda a, b: publish(a, with_first(b, rows=5)),
    "absent group": lambda a, b: publish(a, with_first(b, cid=ABSENT)),
    "foreign group": lambda a, b: publish(a, with_first(b, cid=FOREIGN)),
    "group missing": lambda a, b: publish(a, replace(b, groups=b.groups[1:])),
    "group twice": lambda a, b: publish(a, replace(b, groups=(*b.groups, b.groups[0]))),
    "not sorted": lambda a, b: publish(a, replace(b, groups=b.groups[::-1])),
    "other challenge": lambda a, b: publish(a, replace(b, challenge="0x" + "11" * 32)),
    "other part": lambda a, b: publish(
        a, replace(b, kind="test" if b.kind == "train" else "train")
    ),
}


def reveal_badly(arena: Arena, part: Part, fault: str) -> None:
    action = RevealTrain if part == "train" else RevealTest
    arena.wait("open_seed" if part == "train" else "open")
    cid = FAULTS[fault](arena, honest_bundle(arena, part))
    arena.send(ORGANIZER, action(arena.identity, cid))


def gathered(arena: Arena) -> tuple[str, str, int]:
    """Outcome, reason, and how many rows there are to evaluate on."""
    evidence = gather_evidence(arena.players["vera"], arena.challenge, arena.manifest)
    return evidence.outcome, evidence.reason, len(evidence.rows.target) if evidence.rows else 0


def test_honest_data_is_the_test_part(stages: ArenaAt) -> None:
    assert gathered(stages("reveal_test")) == ("test", "", 12)
    assert gathered(stages("open")) == (
        *("train-fallback", "the test data was not revealed in time", 28),
    )


def test_the_two_parts_are_all_rows_and_share_none(stages: ArenaAt) -> None:
    arena = stages("reveal_test")
    numbers = [
        fetch_rows(arena.host, arena.challenge, arena.manifest, part).features[:, 1]
        for part in ("train", "test")
    ]
    assert sorted(np.concatenate(numbers).tolist()) == list(range(40))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_train_bundle_is_void_and_says_nothing_that_could_differ(
    arena_at: ArenaAt, fault: str
) -> None:
    arena = arena_at("draw")
    reveal_badly(arena, "train", fault)
    assert gathered(arena) == ("void", "the train data is invalid or not to be had", 0)
    with pytest.raises(DankuError):
        fetch_rows(arena.players["alice"], arena.challenge, arena.manifest, "train")
    assert not arena.verify(worker=no_worker).ok, "undecided, the record contradicts itself"


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_test_bundle_falls_back_to_the_train_data(arena_at: ArenaAt, fault: str) -> None:
    arena = arena_at("open")
    reveal_badly(arena, "test", fault)
    reason = "the test data is invalid or not to be had"
    assert gathered(arena) == ("train-fallback", reason, 28)


def test_data_is_not_there_before_it_is_revealed(stages: ArenaAt) -> None:
    for step, part, rule in (("draw", "train", "TrainNotRevealed"), ("open", "test", "Early")):
        arena = stages(step)
        with pytest.raises(Rejected) as raised:
            fetch_rows(arena.host, arena.challenge, stages("claim").manifest, part)  # type: ignore[arg-type]
        assert raised.value.rule == rule
    arena = stages("open_seeds")
    with pytest.raises(Rejected) as raised:
        group_indices(arena.challenge, "train")
    assert raised.value.rule == "NotDrawn"


def test_a_validator_whose_own_store_fails_abstains(
    arena_at: ArenaAt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The publisher answers for what is missing, not for somebody else's disk."""
    arena = arena_at("convene")

    def fail(self: EmbeddedStore, cid: str, limit: int) -> bytes:
        raise StoreUnusable("the disk is on fire")

    manifest = arena.manifest
    monkeypatch.setattr(EmbeddedStore, "get", fail)
    with pytest.raises(StoreUnusable):
        gather_evidence(arena.host, arena.challenge, manifest)


@pytest.mark.parametrize("fault", ["flipped bit", "absent"])
def test_void_from_end_to_end(arena_at: ArenaAt, fault: str) -> None:
    arena = arena_at("draw")
    reveal_badly(arena, "train", fault)
    arena.play(since="reveal_train")
    settlement = arena.challenge.settlement
    assert settlement is not None and settlement.ballot is not None
    assert settlement.ballot.outcome == "void"
    assert arena.gains() == {
        ORGANIZER: -FEE - BOND + DUST,
        **dict.fromkeys(SUBMITTERS, SPOILS - ENTRY),
        **dict.fromkeys(VALIDATORS, SHARE),
    }
    assert sum(arena.gains().values()) == 0
    assert arena.challenge.escrow == 0
    lines = board(arena.host, arena.challenge).lines
    assert all((line.rank, line.score, line.status) == (None, None, "opened") for line in lines)
    report = arena.verify(head=arena.host.ledger.head())
    assert report.ok, report.steps
    assert "as the committee found" in report.steps[3].detail


@pytest.mark.parametrize("fault", ["flipped bit", "absent", "not revealed"])
def test_train_fallback_from_end_to_end(arena_at: ArenaAt, fault: str) -> None:
    arena = arena_at("open")
    if fault != "not revealed":
        reveal_badly(arena, "test", fault)
    arena.play(since="reveal_test")
    settlement = arena.challenge.settlement
    assert settlement is not None and settlement.ballot is not None
    assert settlement.ballot.outcome == "train-fallback"
    assert arena.gains() == {
        "alice": POT + SPOILS - ENTRY,
        "bob": SPOILS - ENTRY,
        "carol": SPOILS - ENTRY,
        ORGANIZER: -POT - FEE - BOND + DUST,
        **dict.fromkeys(VALIDATORS, SHARE),
    }
    assert arena.challenge.escrow == 0
    shown = board(arena.host, arena.challenge)
    assert [line.rank for line in shown.lines] == [1, 2, 3]
    assert shown.outcome == "train-fallback"
    report = arena.verify(head=arena.host.ledger.head())
    assert report.ok, report.steps


def test_a_fallback_with_unopened_and_rejected_submissions(arena_at: ArenaAt) -> None:
    """The bond and what they lose go to the ranked ones alone."""
    arena = arena_at("reveal_train")
    arena.submit(alice=model(0.0), bob=model(2.0), carol=b"not a model")
    arena.open("alice", "carol")
    arena.wait("open")
    arena.play(since="reveal_test")
    lines = board(arena.host, arena.challenge).lines
    assert [(line.submission, line.status) for line in lines] == [
        *((0, "ranked"), (1, "unopened"), (2, "rejected")),
    ]
    assert arena.gains() == {
        "alice": POT + BOND + 2 * STAKE - ENTRY,
        "bob": -STAKE - ENTRY,
        "carol": -STAKE - ENTRY,
        ORGANIZER: -POT - FEE - BOND,
        **dict.fromkeys(VALIDATORS, SHARE),
    }
    assert arena.verify().ok


def test_nobody_reaching_the_threshold_gives_the_pot_back(tmp_path: Path) -> None:
    arena = Arena(tmp_path / "arena", threshold='"0.76"')
    arena.play(until="reveal_train")
    arena.submit(bob=model(2.0), carol=model(4.0))
    arena.open("bob", "carol")
    arena.play(since="open")
    assert arena.gains() == {
        "bob": -ENTRY,
        "carol": -ENTRY,
        ORGANIZER: -FEE + (FEE + 2 * ENTRY) % 3,
        **dict.fromkeys(VALIDATORS, (FEE + 2 * ENTRY) // 3),
    }
    assert [line.passes for line in board(arena.host, arena.challenge).lines] == [False, False]
    assert arena.verify().ok


def test_a_damaged_blob_of_a_void_challenge_is_still_damage(arena_at: ArenaAt) -> None:
    """The committee's finding excuses what was never right, not what somebody changed."""
    arena = arena_at("draw")
    reveal_badly(arena, "train", "wrong rows")
    arena.play(since="reveal_train")
    challenge = arena.challenge
    assert arena.verify().ok
    assert challenge.train is not None
    blob = arena.public / "blobs" / challenge.train
    data = blob.read_bytes()
    blob.write_bytes(data[:-1])
    report = arena.verify(worker=no_worker)
    assert [step.ok for step in report.steps[:4]] == [True, True, True, False]
    assert challenge.train in report.steps[3].detail
    blob.unlink()
    assert arena.verify().ok, "once deleted it counts as missing, as good as void"


def test_a_store_that_loses_a_group_is_told_apart_from_a_lie(arena_at: ArenaAt) -> None:
    arena = arena_at("reveal_train")
    bundle = honest_bundle(arena, "train")
    (arena.public / "blobs" / bundle.groups[0].cid).unlink()
    with pytest.raises(NotFound, match=bundle.groups[0].cid):
        fetch_rows(arena.host, arena.challenge, arena.manifest, "train")


def test_claims_of_a_void_challenge_need_only_its_result(arena_at: ArenaAt) -> None:
    arena = arena_at("draw")
    reveal_badly(arena, "train", "absent")
    arena.play(until="finalize", since="reveal_train")
    assert [item.what for item in claim_all(*arena["carol"])] == ["payout of small"]
