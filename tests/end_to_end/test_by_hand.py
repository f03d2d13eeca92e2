"""The same competition as the demo's, by hand: every step a process of its role."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Player, Table

CHALLENGES = Path(__file__).parents[2] / "challenges"
NAME = "breast-cancer"
WINDOWS = ("contribute", "open_seed", "reveal_train", "submit")
WINDOWS += ("open", "reveal_test", "vote", "open_vote")


def train(data: Path, model: Path) -> None:
    """Train the shipped baseline on pulled data."""
    baseline = CHALLENGES / NAME / "baseline.py"
    subprocess.run([sys.executable, baseline, data, model], check=True, timeout=120)


@dataclass
class Calendar:
    """Windows' ends, and somebody who moves the sandbox's time to them."""

    player: Player
    ends: dict[str, int]
    time: int

    @classmethod
    def of(cls, player: Player) -> Calendar:
        shown = player("challenge", "show", NAME)
        ends, at = {}, shown["created"]
        for window in WINDOWS:
            at += shown["terms"]["schedule"][window]
            ends[window] = at
        return cls(player, ends, shown["created"])

    def until(self, window: str) -> None:
        moved = self.player("ledger", "advance-time", f"{self.ends[window] - self.time}s")
        self.time = moved["time"]


@pytest.fixture
def players(table: Table) -> tuple[Player, list[Player], list[Player]]:
    organizer = table.seat("organizer")
    submitters = [table.seat("sue", keystore=True), table.seat("sam")]
    validators = [table.seat(f"validator-{number}") for number in (1, 2, 3)]
    return organizer, submitters, validators


def together(players: list[Player], *words: str) -> list[str]:
    """The same command of several players at the same time; the names of the steps done."""
    started = [player.start(*words, "--json", "--yes") for player in players]
    ended = [(process, *process.communicate(timeout=180)) for process in started]
    assert all(process.returncode == 0 for process, _, _ in ended), ended
    said = [json.loads(out) for _, out, _ in ended]
    if words[0] == "advance":
        return sorted(step for item in said for step in item["done"])
    return sorted(step for item in said for visit in item["done"] for step in visit["steps"])


@pytest.mark.soak
def test_a_competition_by_hand(
    table: Table, players: tuple[Player, list[Player], list[Player]]
) -> None:
    organizer, submitters, validators = players
    sue, sam = submitters
    panel = [table.addresses[player.name] for player in validators]
    words = [word for address in panel for word in ("--validator", address)]
    organizer("challenge", "new", "--from", NAME, *words)
    checked = organizer("challenge", "check", f"challenges/{NAME}")
    assert {item["code"] for item in checked["findings"]} <= {"single-class-groups"}
    created = organizer("challenge", "create", f"challenges/{NAME}")
    calendar = Calendar.of(sam)

    assert together(validators, "validator", "run") == ["contribute"] * 3

    calendar.until("contribute")
    assert together([organizer, *validators], "advance", NAME) == ["open_seed"] * 4
    calendar.until("open_seed")
    assert organizer("advance", NAME)["done"] == ["draw", "reveal_train"]

    for submitter in submitters:
        pulled = submitter("data", "pull", NAME, "--to", "train.npz")
        train(submitter.folder / pulled["file"], submitter.folder / "model.onnx")
    assert sam("model", "check", NAME, "model.onnx")["admitted"]
    exact = sam("model", "score", NAME, "model.onnx")
    preview = sam("model", "score", NAME, "model.onnx", "--runtime", "onnxruntime")
    assert exact["passes"]
    assert exact["score"] == preview["score"]
    assert sue("model", "submit", NAME, "model.onnx")["remaining"] == 4
    assert sam("model", "submit", NAME, "model.onnx", "--unchecked")["remaining"] == 4
    commands = [step["command"] for step in sue("status", NAME)["challenges"][0]["next"]]
    assert any(command.startswith(f"danku model submit {NAME}") for command in commands)

    blobs = table.public / "blobs"
    sealed = {path.name for path in blobs.iterdir()}
    calendar.until("submit")
    for submitter in submitters:
        assert submitter("advance", NAME)["done"] == ["open"]
    opened = {path.name for path in blobs.iterdir()}
    assert len(opened - sealed) == 1, "two equal models are one blob, and it was not there before"
    calendar.until("open")
    organizer("challenge", "reveal-test", NAME)

    calendar.until("reveal_test")
    assert together(validators, "validator", "run") == ["convene", *["vote"] * 3]
    calendar.until("vote")
    assert together(validators, "validator", "run") == ["open_vote"] * 3
    calendar.until("open_vote")
    assert sam("advance", NAME)["done"] == ["finalize"]

    lines = organizer("board", NAME)["lines"]
    assert [(line["status"], line["rank"]) for line in lines] == [
        ("ranked", 1),
        ("duplicate", None),
    ]
    assert lines[0]["submitter"] == table.addresses["sue"]
    assert int(sue("claim")["total"]) >= 1_000_000
    sam("claim")
    assert sam.try_("claim").code == 4

    verified = validators[0]("verify", NAME, "--head", created["ledger_head"])
    assert verified["ok"]
    assert "the noted head is" in verified["steps"][0]["detail"]
