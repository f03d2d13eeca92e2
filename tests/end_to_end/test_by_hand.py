"""The same competition as the demo's, by hand: every step a process of its role."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHALLENGES = Path(__file__).parents[2] / "challenges"


def train(data: Path, model: Path) -> None:
    """Train the shipped baseline on pulled data."""
    baseline = CHALLENGES / "breast-cancer" / "baseline.py"
    subprocess.run([sys.executable, baseline, data, model], check=True, timeout=120)


@pytest.fixture
def players(table):
    organizer = table.seat("organizer", keystore=True)
    submitters = [table.seat("sue", keystore=True), table.seat("sam")]
    validators = [table.seat(f"validator-{number}") for number in (1, 2, 3)]
    return organizer, submitters, validators


def wait_for(organizer, deadline: int) -> None:
    now = organizer("ledger", "show")["time"]
    if deadline > now:
        organizer("ledger", "advance-time", f"{deadline - now}s")


def windows(organizer) -> dict[str, int]:
    shown = organizer("challenge", "show", "breast-cancer")
    ends, at = {}, shown["created"]
    for name, seconds in shown["terms"]["schedule"].items():
        ends[name] = seconds
    order = ("contribute", "open_seed", "reveal_train", "submit")
    order += ("open", "reveal_test", "vote", "open_vote")
    for name in order:
        at += ends[name]
        ends[name] = at
    return ends


def test_a_competition_by_hand(table, players) -> None:
    organizer, submitters, validators = players
    panel = [table.addresses[player.name] for player in validators]
    words = [word for address in panel for word in ("--validator", address)]
    organizer("challenge", "new", "--from", "breast-cancer", *words)
    checked = organizer("challenge", "check", "challenges/breast-cancer")
    chance = {"single-class-groups"}
    assert {item["code"] for item in checked["findings"]} <= chance
    created = organizer("challenge", "create", "challenges/breast-cancer")
    name = "breast-cancer"
    ends = windows(organizer)

    again = organizer.try_("challenge", "create", "challenges/breast-cancer", "--yes")
    assert again.code == 2
    assert "--again" in again.err

    for validator in validators:
        assert validator("validator", "run") == [
            {"challenge": created["challenge"], "done": ["contribute"]}
        ]
    nothing = validators[0].try_("validator", "run")
    assert nothing.code == 4

    early = submitters[0].try_("data", "pull", name)
    assert early.code == 3
    wait_for(organizer, ends["contribute"])
    for player in (organizer, *validators):
        assert player("advance", name)["done"] == ["open_seed"]
    wait_for(organizer, ends["open_seed"])
    assert organizer("advance", name)["done"] == ["draw", "reveal_train"]

    for submitter in submitters:
        pulled = submitter("data", "pull", name, "--to", "train.npz")
        train(submitter.folder / pulled["file"], submitter.folder / "model.onnx")
        assert submitter("model", "check", name, "model.onnx")["admitted"]
        exact = submitter("model", "score", name, "model.onnx")
        preview = submitter("model", "score", name, "model.onnx", "--runtime", "onnxruntime")
        assert exact["passes"]
        assert exact["score"] == preview["score"]
        made = submitter("model", "submit", name, "model.onnx")
        assert made["remaining"] == 4
    commands = [step["command"] for step in submitters[0]("status", name)["challenges"][0]["next"]]
    assert any(command.startswith(f"danku model submit {name}") for command in commands)

    public = table.public
    sealed = {path.name for path in (public / "blobs").iterdir()}
    wait_for(organizer, ends["submit"])
    for submitter in submitters:
        assert submitter("advance", name)["done"] == ["open"]
    opened = {path.name for path in (public / "blobs").iterdir()}
    assert len(opened - sealed) == 1, "two equal models are one blob, and it was not there before"
    wait_for(organizer, ends["open"])
    organizer("challenge", "reveal-test", name)

    wait_for(organizer, ends["reveal_test"])
    for validator, steps in zip(validators, (["convene", "vote"], ["vote"], ["vote"]), strict=True):
        assert validator("validator", "run")[0]["done"] == steps
    wait_for(organizer, ends["vote"])
    for validator in validators:
        assert validator("validator", "run")[0]["done"] == ["open_vote"]
    wait_for(organizer, ends["open_vote"])
    assert submitters[1]("advance", name)["done"] == ["finalize"]

    board = organizer("board", name)
    assert [(line["status"], line["rank"]) for line in board["lines"]] == [
        ("ranked", 1),
        ("duplicate", None),
    ]
    assert board["lines"][0]["submitter"] == table.addresses["sue"]
    claimed = submitters[0]("claim")
    assert int(claimed["total"]) >= 1_000_000
    for player in (organizer, submitters[1], *validators):
        player("claim")
    assert submitters[0].try_("claim").code == 4

    verified = validators[0]("verify", name)
    assert verified["ok"]
    noted = verified["ledger_head"]
    assert submitters[1]("verify", name, "--head", noted)["ok"]
