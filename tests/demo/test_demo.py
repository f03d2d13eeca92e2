"""The demonstration shows what it promises: in its story, in its money and on its record."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from sklearn.metrics import f1_score

from danku.crypto.hashing import keccak, to_hex
from danku.demo.play import play
from danku.errors import UsageError
from danku.protocol.types import BURN_ADDRESS
from danku.roles.evidence import fetch_rows
from tests.demo.played import Played, Recorder

HONEST = ("ada", "ben", "cleo", "dan")
VALIDATORS = ("validator-1", "validator-2", "validator-3")
MAJORITY = VALIDATORS[:2]
STAGES = ["initialization", "submission", "test reveal", "evaluation", "finalization"]
STEPS = [
    *("journal", "terms", "seed", "train data", "models", "test data"),
    *("votes", "evaluation", "payouts", "money"),
]


@pytest.fixture(scope="module")
def story(demo: Played) -> dict[str, Any]:
    return demo.story


@pytest.fixture(scope="module")
def reward(demo: Played) -> dict[str, int]:
    """The amounts as the organizer's file states them."""
    file = demo.public / "breast-cancer" / "challenge.toml"
    stated = tomllib.loads(file.read_text("utf-8"))["reward"]
    return {key: int(value) for key, value in stated.items() if str(value).isdigit()}


@pytest.fixture(scope="module")
def board(story: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {line["name"]: line for line in story["leaderboard"]}


def actions(story: dict[str, Any], stage: str) -> list[tuple[str, str]]:
    (found,) = [item for item in story["stages"] if item["name"] == stage]
    return [(done["action"], done["by"]) for done in found["actions"] if done["accepted"]]


def test_the_five_stages_and_who_did_what_in_them(story: dict[str, Any]) -> None:
    assert [stage["name"] for stage in story["stages"]] == STAGES
    assert actions(story, "initialization") == [
        ("create", "organizer"),
        *(("contribute", name) for name in VALIDATORS),
        *(("open_seed", name) for name in ("organizer", *VALIDATORS)),
        ("draw", "ada"),
        ("reveal_train", "organizer"),
    ]
    assert actions(story, "submission") == [
        ("submit", name) for name in (*HONEST, "mallory", "eve", "oscar")
    ]
    assert actions(story, "test reveal") == [
        *(("open", name) for name in (*HONEST, "eve", "oscar")),
        ("reveal_test", "organizer"),
    ]
    assert actions(story, "evaluation") == [
        ("convene", "validator-1"),
        *(("vote", name) for name in VALIDATORS),
        *(("open_vote", name) for name in VALIDATORS),
    ]
    settled = actions(story, "finalization")
    assert settled[0] == ("finalize", "eve")
    assert Counter(settled[1:]) == Counter(
        [("withdraw", name) for name in ("organizer", *VALIDATORS)]
        + [("claim", name) for name in (*HONEST, "eve")]
    )


def test_time_never_runs_backwards(story: dict[str, Any]) -> None:
    times = [
        done["time"] for stage in story["stages"] for done in stage["actions"] if done["accepted"]
    ]
    assert all(earlier <= later for earlier, later in pairwise(times))


def test_the_narrator_hears_each_stage_and_the_refusal(demo: Played) -> None:
    assert demo.recorder.all("stage") == list(enumerate(STAGES, start=1))
    ((who, _, refusal),) = demo.recorder.all("refused")
    assert (who, refusal.rule) == ("mallory", "CommitmentMismatch")
    assert {name for name, _, _ in demo.recorder.all("voted")} == set(VALIDATORS)
    ((report, seconds),) = demo.recorder.all("verified")
    assert report.ok
    assert 0 < seconds < 30


def test_the_honest_winner_is_ranked_first_and_paid(
    story: dict[str, Any], board: dict[str, Any], reward: dict[str, int]
) -> None:
    assert board["ada"]["rank"] == 1
    assert board["ada"]["status"] == "ranked"
    assert board["ada"]["passes"]
    assert int(story["payouts"]["ada"]) >= reward["pot"]
    assert [line["rank"] for line in story["leaderboard"]] == [1, 2, 3, 4, None, None, None]
    assert {line["name"] for line in story["leaderboard"][:4]} == set(HONEST)
    scores = [float(line["score"]) for line in story["leaderboard"][:4]]
    assert scores == sorted(scores, reverse=True)


def test_scores_are_scikit_learns_on_the_revealed_test_rows(
    demo: Played, board: dict[str, Any]
) -> None:
    workspace = demo.workspace("ben")
    challenge = workspace.challenge(demo.identity)
    manifest = workspace.manifest(challenge)
    rows = fetch_rows(workspace, challenge, manifest, "test")
    opened = {entry.number: entry.opening for entry in challenge.submissions}
    for name in (*HONEST, "eve"):
        opening = opened[board[name]["submission"]]
        assert opening is not None
        session = onnxruntime.InferenceSession(
            workspace.store.get(opening.cid, 2**24), providers=["CPUExecutionProvider"]
        )
        (label,) = session.run(None, {"features": rows.features})
        expected = f1_score(rows.target, np.asarray(label))
        assert float(board[name]["score"]) == pytest.approx(expected, abs=1e-9), name


def test_the_copied_commitment_is_refused(story: dict[str, Any], board: dict[str, Any]) -> None:
    refused = [
        done for stage in story["stages"] for done in stage["actions"] if not done["accepted"]
    ]
    (refusal,) = refused
    assert (refusal["by"], refusal["action"]) == ("mallory", "open")
    assert refusal["rule"] == "CommitmentMismatch"
    assert refusal in story["stages"][2]["actions"]
    assert (board["mallory"]["status"], board["mallory"]["rank"]) == ("unopened", None)
    assert board["mallory"]["score"] is None
    assert "not opened" in board["mallory"]["reason"]
    assert "mallory" not in story["payouts"]


def test_the_leaked_copy_is_a_duplicate(board: dict[str, Any]) -> None:
    line = board["eve"]
    assert (line["status"], line["rank"], line["passes"]) == ("duplicate", None, None)
    assert f"submission {board['ada']['submission']}" in line["reason"]


def test_the_broken_model_is_rejected_with_its_reason(board: dict[str, Any]) -> None:
    line = board["oscar"]
    assert (line["status"], line["rank"], line["score"]) == ("rejected", None, None)
    assert line["reason"].startswith("unsupported operator RandomUniformLike")


def test_the_wrong_validator_is_outvoted_and_unpaid(story: dict[str, Any]) -> None:
    votes = {vote["validator"]: vote for vote in story["votes"]}
    assert {name: vote["majority"] for name, vote in votes.items()} == {
        "validator-1": True,
        "validator-2": True,
        "validator-3": False,
    }
    assert votes["validator-1"]["result"] == votes["validator-2"]["result"]
    assert votes["validator-3"]["result"] != votes["validator-1"]["result"]
    balance = story["balances"]["validator-3"]
    assert balance["after"] == balance["before"], "the deposit is back, and nothing else"


def test_every_amount_follows_from_the_terms(story: dict[str, Any], reward: dict[str, int]) -> None:
    pot, fee, bond = reward["pot"], reward["fee"], reward["submission_bond"]
    entry_fee, entries = reward["entry_fee"], 7
    # NOTE: mallory and oscar lose their bonds to the four that are ranked.
    share = 2 * bond // 4
    payouts = dict.fromkeys(HONEST, bond + share) | {"eve": bond}
    payouts["ada"] += pot
    assert {name: int(amount) for name, amount in story["payouts"].items()} == payouts

    gains = {name: payouts.get(name, 0) - bond - entry_fee for name in (*HONEST, "eve")}
    gains |= dict.fromkeys(("mallory", "oscar"), -bond - entry_fee)
    judged = fee + entries * entry_fee
    gains |= dict.fromkeys(MAJORITY, judged // 2) | {"validator-3": 0}
    gains["organizer"] = -pot - fee + judged % 2
    found = {
        name: int(balance["after"]) - int(balance["before"])
        for name, balance in story["balances"].items()
    }
    assert found == gains


def test_no_unit_of_money_appears_or_vanishes(demo: Played, story: dict[str, Any]) -> None:
    before, after = (
        sum(int(balance[moment]) for balance in story["balances"].values())
        for moment in ("before", "after")
    )
    state = demo.workspace().state()
    escrow = sum(challenge.escrow for challenge in state.challenges.values())
    kept = escrow + sum(state.credits.values()) + state.paid.get(BURN_ADDRESS, 0)
    assert after + kept == before
    assert state.received == escrow + sum(state.credits.values()) + sum(state.paid.values())
    assert escrow == 0, "everybody was paid and nothing is left over"


def test_the_verification_holds_in_all_ten_steps(story: dict[str, Any]) -> None:
    assert story["verification"]["ok"] is True
    steps = story["verification"]["steps"]
    assert [(step["number"], step["name"], step["ok"]) for step in steps] == [
        (number, name, True) for number, name in enumerate(STEPS, start=1)
    ]
    assert all(step["detail"] for step in steps)


def test_the_head_is_the_journals(demo: Played) -> None:
    last = (demo.public / "ledger.jsonl").read_bytes().split(b"\n")[-2]
    assert demo.head == to_hex(keccak(last))
    assert all(demo.workspace(name).ledger.head() == demo.head for name in ("ada", "oscar"))


def test_everybody_has_only_a_private_folder_of_their_own(demo: Played) -> None:
    public = set(demo.root.rglob("ledger.jsonl"))
    assert public == {demo.public / "ledger.jsonl"}
    kept = {
        player.name: sorted(path.name for path in (player / "private").rglob("submission-*.onnx"))
        for player in demo.root.iterdir()
    }
    assert {name for name, files in kept.items() if files} == {*HONEST, "eve", "oscar"}


def test_a_folder_to_keep_must_be_new(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exists"):
        play(Recorder(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_as_a_process_it_prints_one_object_and_leaves_nothing(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if "DANKU" not in key}
    run = subprocess.run(
        [sys.executable, "-m", "danku", "demo", "--json"],
        cwd=tmp_path,
        env={**environment, "TMPDIR": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    assert {"challenge", "stages", "leaderboard", "payouts", "balances"} < told.keys()
    assert told["verification"]["ok"] is True
    assert [step["number"] for step in told["verification"]["steps"]] == list(range(1, 11))
    assert told["ledger_head"].startswith("0x")
    assert run.stderr == ""
    assert told["seconds"] < 30
    assert not list(tmp_path.iterdir()), "the sandbox is thrown away"
