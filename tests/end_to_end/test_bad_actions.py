"""Actions from the wrong role, at the wrong time or for another challenge: nothing changes."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable

import pytest
import rfc8785

from danku.crypto.hashing import keccak, to_hex
from danku.protocol.actions import Submit
from danku.protocol.types import Amount
from danku.roles.workspace import Workspace
from tests.cli.driver import NAME, Danku, lines_of, sealed_by, unchanged, write_challenge
from tests.roles.arena import key_of

PLACE = f"challenges/{NAME}"

At = Callable[[str], Danku]


ACTIONS = (
    # From the wrong role.
    ("seeded", "alice", f"challenge reveal-train {NAME}", 3, "NotOrganizer"),
    ("revealing", "alice", f"challenge reveal-test {NAME}", 3, "NotOrganizer"),
    ("created", "alice", f"challenge cancel {NAME}", 3, "NotOrganizer"),
    ("train", "vera", f"model submit {NAME} alice.onnx", 3, "PanelMember"),
    ("opening", "alice", f"model open {NAME} --submission 1", 3, "NotSubmitter"),
    ("opening", "organizer", f"model open {NAME}", 4, "NotYet"),
    ("created", "alice", "validator run", 4, "NotYet"),
    ("created", "alice", f"advance {NAME}", 4, "NotYet"),
    ("train", "alice", f"ledger grant {'0x' + '1' * 40} 5", 3, "NotTreasurer"),
    # At the wrong stage, before its time.
    ("created", "organizer", f"challenge draw {NAME}", 3, "Early"),
    ("created", "organizer", f"challenge reveal-train {NAME}", 3, "NotDrawn"),
    ("created", "alice", f"model submit {NAME} alice.onnx", 3, "TrainNotRevealed"),
    ("created", "alice", f"data pull {NAME}", 3, "TrainNotRevealed"),
    ("submitted", "alice", f"model open {NAME}", 3, "Early"),
    ("opened", "organizer", f"challenge reveal-test {NAME}", 3, "Early"),
    ("opened", "alice", f"data pull {NAME} --part test", 3, "Early"),
    ("revealed", "vera", f"advance {NAME}", 4, "NotYet"),
    ("submitted", "bob", f"challenge finalize {NAME}", 3, "Early"),
    ("voted", "alice", "claim", 4, "NotYet"),
    # After it was done.
    ("train", "organizer", f"challenge draw {NAME}", 3, "AlreadyDrawn"),
    ("train", "organizer", f"challenge reveal-train {NAME}", 3, "AlreadyRevealed"),
    ("revealed", "organizer", f"challenge reveal-test {NAME}", 3, "AlreadyRevealed"),
    ("submitted", "alice", f"model submit {NAME} alice.onnx", 2, "AlreadySubmitted"),
    ("opened", "alice", f"model open {NAME} --submission 0", 3, "AlreadyOpened"),
    ("opened", "alice", f"model open {NAME}", 4, "NotYet"),
    ("contributed", "vera", "validator run", 4, "NotYet"),
    ("final", "bob", f"challenge finalize {NAME}", 3, "Final"),
    ("final", "organizer", f"challenge cancel {NAME}", 3, "Final"),
    ("created", "organizer", f"challenge create {PLACE}", 2, "AlreadyRunning"),
    # About nothing.
    ("opening", "alice", f"model open {NAME} --submission 9", 3, "UnknownSubmission"),
    ("train", "alice", "model submit nothing alice.onnx", 2, "UnknownName"),
    ("train", "alice", f"verify {'0x' + 'ab' * 32}", 7, ""),
)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: f"{action[0]} {action[2]}")
def test_an_action_out_of_place(at: At, action: tuple[str, str, str, int, str]) -> None:
    stage, who, words, code, error = action
    danku = at(stage).of(who)
    with unchanged(danku):
        run = danku.try_(*words.split(), "--json", "--yes")
    assert (run.code, run.json.get("error", "")) == (code, error), run.out
    if error:
        assert run.json["what"] and (run.json["fix"] or run.json["why"])


LATE = (
    ("created", "contribute", "vera", "validator run", 4, "NotYet"),
    ("seeded", "reveal_train", "organizer", f"challenge draw {NAME}", 3, "Late"),
    ("train", "submit", "alice", f"model submit {NAME} alice.onnx", 3, "Late"),
    ("opening", "open", "alice", f"model open {NAME}", 3, "Late"),
    ("revealing", "reveal_test", "organizer", f"challenge reveal-test {NAME}", 3, "Late"),
    ("voting", "vote", "vera", f"advance {NAME}", 4, "NotYet"),
)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("action", LATE, ids=lambda action: action[3])
def test_an_action_after_its_deadline(at: At, action: tuple[str, str, str, str, int, str]) -> None:
    stage, window, who, words, code, error = action
    danku = at(stage).of(who)
    danku.until(window)
    with unchanged(danku):
        run = danku.refused(*words.split(), code=code, error=error)
    if error == "Late":
        assert re.search(r"closed at \d+, \d+ s ago", run.json["what"])


def test_time_is_not_moved_outside_a_sandbox(empty: Danku) -> None:
    empty("init", ".")
    with unchanged(empty):
        empty.of("alice").refused("ledger", "advance-time", "1h", code=3, error="NotSandbox")


def test_money_that_is_not_there(empty: Danku) -> None:
    empty("init", ".")
    write_challenge(empty.folder)
    with unchanged(empty):
        run = empty.of("organizer").refused(
            "challenge", "create", PLACE, code=3, error="InsufficientBalance"
        )
    assert "15900" in run.json["what"]


@pytest.fixture
def two(at: At) -> tuple[Danku, str, str]:
    """A second challenge of the same kind at the stage in which the first one is opened."""
    danku = at("opening")
    first = danku("challenge", "show", NAME)["challenge"]
    second = danku.of("organizer")("challenge", "create", PLACE, "--again")["challenge"]
    return danku, first, second


def test_an_opening_of_another_challenge(two: tuple[Danku, str, str]) -> None:
    danku, _, second = two
    danku.of("vera")("validator", "run")
    danku.until("contribute", second)
    for name in ("organizer", "vera"):
        danku.of(name)("advance", second)
    danku.until("open_seed", second)
    danku.of("organizer")("advance", second)
    workspace = Workspace(danku.folder)
    seal = sealed_by(danku, "alice")
    commitment = json.loads(seal.read_text())["commitment"]
    workspace.send(key_of("alice"), Submit(second, commitment), Amount(210))
    for path in (seal, seal.with_suffix(".onnx")):
        shutil.copy(path, workspace.vault.folder(second))
    danku.until("submit", second)
    with unchanged(danku):
        run = danku.of("alice").refused("model", "open", second, code=3, error="CommitmentMismatch")
    assert "was made with" in run.json["fix"]


def test_a_signature_for_another_challenge_or_place(two: tuple[Danku, str, str]) -> None:
    danku, first, second = two
    danku.of("alice")("model", "open", first)
    copy = danku.folder / "copy.jsonl"
    genuine = json.loads(lines_of(danku)[-1])
    assert genuine["action"]["action"]["kind"] == "open"
    head = to_hex(keccak(lines_of(danku)[-1][:-1]))
    place = {"previous": head, "sequence": genuine["sequence"] + 1, "time": genuine["time"]}
    action = genuine["action"]
    elsewhere = {**action, "action": {**action["action"], "challenge": second}}
    later = {**elsewhere, "nonce": action["nonce"] + 1}
    for forged, rule in ((action, "WrongNonce"), (elsewhere, "BadSignature"), (later, "BadSig")):
        line = rfc8785.dumps({**genuine, **place, "action": forged})
        copy.write_bytes(b"".join(lines_of(danku)) + line + b"\n")
        with unchanged(danku):
            run = danku.refused("ledger", "import", str(copy), code=7, error="JournalBroken")
        assert rule in run.json["what"]
        assert f"line {len(lines_of(danku)) + 1} " in run.json["what"]
