"""A damaged journal, damaged data and damaged private files: named errors, and nothing changed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from danku.crypto.hashing import from_hex, keccak, to_hex
from danku.crypto.merkle import hash_leaf
from danku.dataset.bundle import build_bundle, encode_bundle
from danku.dataset.private import PrivateGroups
from danku.protocol.actions import RevealTrain
from danku.roles.evidence import group_indices
from danku.roles.workspace import Workspace
from tests.cli.driver import NAME, Danku, lines_of, sealed_by, unchanged
from tests.roles.arena import key_of

At = Callable[[str], Danku]


def _refuse_journal(danku: Danku, lines: list[bytes], *more: list[str]) -> None:
    (danku.folder / "challenges" / "ledger.jsonl").write_bytes(b"".join(lines))
    with unchanged(danku):
        for words in (["ledger", "verify"], *more):
            run = danku.try_(*words, "--json", "--yes")
            assert run.code == 7, f"{words}\n{run.out}"
            assert run.json["error"] in ("JournalBroken", "Rewritten")
            assert "Traceback" not in run.err


def test_a_truncated_journal(at: At) -> None:
    danku = at("final").of("alice")
    lines = lines_of(danku)
    everyday = ["status"], ["claim"], ["ledger", "advance-time", "1s"], ["board", NAME]
    for kept in range(len(lines)):
        _refuse_journal(danku, lines[:kept], *everyday[: 1 + kept % 4])
    for cut in (1, 7, len(lines[-1]) - 1):
        _refuse_journal(danku, [*lines[:-1], lines[-1][:-cut]], *everyday)


def test_an_edited_journal(at: At) -> None:
    danku = at("final").of("alice")
    lines, random = lines_of(danku), Random(2)
    everyday = ["status"], ["claim"], ["ledger", "advance-time", "1s"], ["board", NAME]
    for place, line in enumerate(lines):
        at_byte = random.randrange(len(line) - 1)
        flipped = bytearray(line)
        flipped[at_byte] ^= 1 << random.randrange(5)
        if 10 in flipped[:-1]:
            continue
        more = everyday[place % 4]
        _refuse_journal(danku, [*lines[:place], bytes(flipped), *lines[place + 1 :]], more)
        _refuse_journal(danku, [*lines[:place], *lines[place + 1 :]], more)
        _refuse_journal(danku, [*lines[: place + 1], line, *lines[place + 1 :]], more)
        if place:
            swapped = [*lines[: place - 1], line, lines[place - 1], *lines[place + 1 :]]
            _refuse_journal(danku, swapped, more)


def test_a_truncated_journal_against_a_noted_head(at: At) -> None:
    danku = at("final")
    noted = danku("ledger", "show")["head"]
    lines = lines_of(danku)
    (danku.folder / "challenges" / "ledger.jsonl").write_bytes(b"".join(lines[:-1]))
    danku("init", "fresh", "--join", "challenges")
    fresh = Danku(danku.folder / "fresh")
    assert fresh("ledger", "verify")["ok"], "a newcomer cannot see it from the chain alone"
    fresh.refused("ledger", "verify", "--head", noted, code=7, error="Rewritten")
    run = fresh.try_("verify", NAME, "--head", noted, "--json")
    assert (run.code, run.json["ok"], run.json["steps"][0]["ok"]) == (7, False, False)


def _groups(danku: Danku) -> list[Path]:
    return [
        path
        for path in sorted((danku.folder / "challenges" / "blobs").iterdir())
        if not path.read_bytes().startswith(b"{")
    ]


def _flip(path: Path, place: int = -1) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 4
    path.write_bytes(data)


def test_a_public_group_with_a_flipped_bit(at: At) -> None:
    danku = at("train").of("alice")
    groups = _groups(danku)
    assert len(groups) == 7
    for group, place in ((groups[0], 0), (groups[3], 100), (groups[6], -1)):
        _flip(group, place)
        with unchanged(danku):
            danku.refused("data", "pull", NAME, "--to", "train.npz", code=6, error="Corrupt")
            danku.refused("model", "score", NAME, "alice.onnx", code=6, error="Corrupt")
            danku.refused("model", "submit", NAME, "alice.onnx", code=6, error="Corrupt")
            run = danku.try_("verify", NAME, "--json")
        assert run.code == 7
        failed = next(step for step in run.json["steps"] if step["ok"] is False)
        assert (failed["number"], failed["name"]) == (4, "train data")
        _flip(group, place)
    assert danku("data", "pull", NAME)["rows"] == 28


@pytest.fixture
def drawn(at: At) -> Danku:
    """The seed is drawn, the train data not yet revealed."""
    danku = at("seeded").of("organizer")
    danku.until("open_seed")
    danku("challenge", "draw", NAME)
    return danku


def _index(danku: Danku) -> Path:
    (found,) = (danku.folder / "private").glob("0x*/groups-*/groups.json")
    return found


def test_a_private_group_with_a_flipped_bit(drawn: Danku) -> None:
    groups = _index(drawn).with_name("groups.bin")
    # NOTE: in each group, since any of them may be a test group, which is not revealed here.
    for place in range(1, groups.stat().st_size, 100):
        _flip(groups, place)
    with unchanged(drawn):
        drawn.refused("challenge", "reveal-train", NAME, code=5, error="PrivateGroupsBroken")
        drawn.refused("advance", NAME, code=5, error="PrivateGroupsBroken")


def test_a_wrong_nonce_in_the_private_folder(drawn: Danku) -> None:
    index = _index(drawn)
    entries = json.loads(index.read_text())
    for entry in entries:
        entry["nonce"] = to_hex(keccak(from_hex(entry["nonce"])))
    index.write_text(json.dumps(entries))
    with unchanged(drawn):
        drawn.refused("challenge", "reveal-train", NAME, code=5, error="PrivateGroupsBroken")
    groups = index.with_name("groups.bin").read_bytes()
    for entry in entries:
        data, groups = groups[: entry["size"]], groups[entry["size"] :]
        entry["leaf"] = to_hex(hash_leaf(from_hex(entry["nonce"]), [data]))
    index.write_text(json.dumps(entries))
    with unchanged(drawn):
        run = drawn.refused("challenge", "reveal-train", NAME, code=5, error="PrivateGroupsBroken")
    assert "data root" in run.json["why"]


def test_a_wrong_nonce_in_a_revealed_bundle(drawn: Danku) -> None:
    index = _index(drawn)
    workspace = Workspace(drawn.folder)
    (challenge,) = workspace.state().challenges.values()
    private = PrivateGroups(index.parent)
    indices = group_indices(challenge, "train")
    cids = {group: workspace.store.put(private.read(group)) for group in indices}
    changed = [
        replace(item, nonce=bytes(32)) if item.index == indices[2] else item
        for item in private.commitments
    ]
    bundle = build_bundle(challenge.id, "train", changed, indices, cids)
    cid = workspace.store.put(encode_bundle(bundle))
    workspace.send(key_of("organizer"), RevealTrain(challenge.id, cid))
    alice = drawn.of("alice")
    with unchanged(alice):
        run = alice.refused("data", "pull", NAME, code=5, error="BundleBroken")
        assert str(indices[2]) in run.json["what"]
        alice.refused("model", "submit", NAME, "alice.onnx", code=5, error="BundleBroken")
        verified = alice.try_("verify", NAME, "--json")
    assert verified.code == 7
    assert [step["ok"] for step in verified.json["steps"]][:4] == [True, True, True, False]


def _with_salt(path: Path, salt: str) -> None:
    path.write_text(re.sub(r'"salt":"[^"]*"', f'"salt":"{salt}"', path.read_text()))


def test_a_wrong_salt(at: At) -> None:
    danku = at("opening").of("alice")
    _with_salt(sealed_by(danku, "alice"), "0x" + "12" * 32)
    with unchanged(danku):
        for words in (["model", "open", NAME], ["advance", NAME]):
            danku.refused(*words, code=3, error="CommitmentMismatch")
    danku.of("bob")("model", "open", NAME)


def test_a_damaged_private_folder(at: At) -> None:
    danku = at("opening").of("alice")
    seal = sealed_by(danku, "alice")
    whole, model_file = seal.read_bytes(), seal.with_suffix(".onnx")
    _with_salt(seal, "0x12")
    with unchanged(danku):
        danku.refused("model", "open", NAME, code=5, error="DataError")
    seal.write_bytes(whole[:-9])
    with unchanged(danku):
        danku.refused("model", "open", NAME, code=5, error="DataError")
    seal.unlink()
    with unchanged(danku):
        run = danku.refused("advance", NAME, code=5, error="PrivateMissing")
    assert "bond is lost" in run.json["what"]
    seal.write_bytes(whole)
    _flip(model_file)
    with unchanged(danku):
        danku.refused("model", "open", NAME, code=5, error="SealedModelBroken")
    _flip(model_file)
    danku("model", "open", NAME)


def test_a_damaged_private_result(at: At) -> None:
    danku = at("voted").of("vera")
    for path in (danku.folder / "private").glob("0x*/vote-*-result.json"):
        path.write_bytes(path.read_bytes().replace(b"ranked", b"rankeD"))
    with unchanged(danku):
        danku.refused("advance", NAME, code=5, error="DataError")
