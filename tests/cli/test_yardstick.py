"""Where a submitter stands, on the command line: scores, reports, the board, what is left."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from danku.protocol.actions import Report
from danku.protocol.types import Score
from danku.roles.workspace import Workspace
from tests.cli.driver import NAME, STAGES, Danku, Run, write_challenge
from tests.roles.arena import InProcess, key_of, model

At = Callable[[str], Danku]
pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture(scope="module")
def entered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Workspaces of a challenge with two yardstick groups; not to be written to."""
    root = tmp_path_factory.mktemp("yardstick")
    found: dict[str, Path] = {}
    current = root / "start"
    current.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("danku.evaluation.worker.Worker", InProcess)
        for step in STAGES[:6]:
            name = step.__name__.removeprefix("_")
            current = found[name] = shutil.copytree(current, root / name)
            step(Danku(current))
            if name == "made":
                write_challenge(current, batch="8\nyardstick_groups = 2")
    return found


@pytest.fixture
def there(entered: dict[str, Path], tmp_path: Path) -> At:
    """A workspace of one's own at a stage of that challenge."""
    return lambda stage: Danku(shutil.copytree(entered[stage], tmp_path / f"at-{stage}"))


def said(run: Run) -> str:
    assert run.code == 0, run.err
    return run.out


def test_a_model_is_scored_on_what_may_be_trained_on_and_on_the_yardstick(there: At) -> None:
    alice = there("train").of("alice")
    found = alice("model", "score", NAME, "bob.onnx")
    assert (found["score"], found["yardstick"]) == ("0.750000000", "0.750000000")
    assert found["yardstick_rows"] == 8
    for runtime in ("exact", "onnxruntime"):
        out = said(alice.try_("model", "score", NAME, "bob.onnx", "--runtime", runtime))
        assert "0.750000000 on train data" in out
        assert "0.750000000 on the 8 rows of the yardstick" in out


def test_without_a_yardstick_nothing_is_said_of_one(at: At) -> None:
    alice = at("submitted").of("alice")
    found = alice("model", "score", NAME, "bob.onnx")
    assert (found["yardstick"], found["yardstick_rows"]) == (None, 0)
    assert "yardstick" not in said(alice.try_("model", "score", NAME, "bob.onnx"))
    alice.refused("model", "report", NAME, code=2, error="NoYardstick")
    refused = ("model", "submit", NAME, "bob.onnx", "--report")
    before = alice.digest()
    alice.refused(*refused, code=2, error="NoYardstick")
    assert alice.digest() == before
    board = alice("board", NAME)
    assert board["yardstick_groups"] == 0
    assert "self-reported" not in said(alice.try_("board", NAME))


def test_the_yardstick_is_pulled_apart_from_the_train_rows(there: At) -> None:
    danku = there("train")
    found = danku("data", "pull", NAME, "--to", "train.npz")
    assert (found["rows"], found["yardstick_rows"], found["files"]) == (20, 8, ["train.npz"])
    with np.load(danku.folder / "train.npz") as arrays:
        assert len(arrays["target"]) == 20 and len(arrays["yardstick_target"]) == 8
    found = danku("data", "pull", NAME, "--to", "train.csv")
    assert found["files"] == ["train.csv", "train-yardstick.csv"]
    lines = [len((danku.folder / name).read_text().splitlines()) for name in found["files"]]
    assert lines == [21, 9]
    out = danku.try_("data", "pull", NAME, "--to", "train.csv")
    assert "8 rows of the yardstick, in train-yardstick.csv" in said(out)
    assert "do not train on the yardstick" in out.err


def test_a_report_is_measured_from_the_sealed_model_and_sent(there: At) -> None:
    danku = there("submitted")
    bob = danku.of("bob")
    found = bob("model", "report", NAME)
    assert (found["submission"], found["yardstick"], found["replaced"]) == (1, "0.750000000", None)
    again = bob("model", "report", NAME, "--submission", "1", "--model", "bob.onnx")
    assert (again["yardstick"], again["replaced"]) == ("0.750000000", "0.750000000")
    assert again["sequence"] == found["sequence"] + 1
    out = said(bob.try_("model", "report", NAME, "--yes"))
    assert "submission 1 reported: accuracy 0.750000000 on the yardstick" in out
    lines = {line["submission"]: line for line in danku("board", NAME)["lines"]}
    assert [lines[number]["reported"] for number in range(2)] == [None, "0.750000000"]
    assert lines[1]["score"] is None and lines[1]["rank"] is None
    listed = bob("model", "list", NAME)["submissions"]
    assert [(line["reported"], line["report_holds"]) for line in listed] == [("0.750000000", None)]
    assert "0.750000 unchecked" in said(bob.try_("model", "list", NAME))


def test_what_a_report_is_refused_for(there: At) -> None:
    danku = there("submitted")
    bob = danku.of("bob")
    before = danku.digest()
    bob.refused("model", "report", NAME, "--submission", "0", code=3, error="NotSubmitter")
    bob.refused("model", "report", NAME, "--submission", "7", code=3, error="UnknownSubmission")
    bob.refused("model", "report", NAME, "--model", "alice.onnx", code=5, error="OtherModel")
    vera = danku.of("vera")
    vera.refused("model", "report", NAME, code=3, error="UnknownSubmission")
    unasked = bob.try_("model", "report", NAME)
    assert unasked.code == 2 and "tell everybody" in unasked.err
    for path in (danku.folder / "private").glob("0x*/submission-*.onnx"):
        path.unlink()
    bob.refused("model", "report", NAME, code=5, error="PrivateMissing")
    assert danku.digest() == before
    bob("model", "report", NAME, "--model", "bob.onnx")
    danku.until("submit")
    bob.refused("model", "report", NAME, "--model", "bob.onnx", code=3, error="Late")


def test_a_model_is_submitted_and_reported_at_once(there: At) -> None:
    alice = there("train").of("alice")
    declined = alice.try_("model", "submit", NAME, "bob.onnx", "--report")
    assert declined.code == 2
    assert "tell everybody accuracy 0.750000000 on the yardstick" in declined.err
    found = alice("model", "submit", NAME, "bob.onnx", "--report")
    assert found["report"]["yardstick"] == "0.750000000"
    assert found["report"]["sequence"] == found["sequence"] + 1
    (line,) = alice("board", NAME)["lines"]
    assert line["reported"] == "0.750000000"


def test_a_whole_challenge_with_a_false_report(there: At) -> None:
    """Alice's better model is out; the board says whose word was good."""
    danku = there("submitted")
    workspace = Workspace(danku.folder)
    (identity,) = workspace.state().challenges
    workspace.send(key_of("alice"), Report(identity, 0, Score(10**9 - 1)))
    danku.of("bob")("model", "report", NAME)
    board = said(danku.try_("board", NAME))
    assert "self-reported" in board and "nobody is ranked by it" in board
    assert "0.999999 unchecked" in board
    for step in STAGES[6:]:
        step(danku)
    lines = danku("board", NAME)["lines"]
    assert [(line["submission"], line["rank"], line["report_holds"]) for line in lines] == [
        (1, 1, True),
        (0, None, False),
    ]
    assert lines[1]["reason"] == "false report: 0.999999999 reported, 1.000000000 found"
    shown = said(danku.try_("board", NAME))
    assert "0.750000 holds" in shown and "0.999999 false" in shown
    verified = danku("verify", NAME)
    assert verified["ok"]
    assert any("false: of [0]" in step["detail"] for step in verified["steps"])


def test_what_is_left_and_until_when_is_always_in_sight(there: At) -> None:
    danku = there("submitted")
    alice = danku.of("alice")
    listed = alice("model", "list", NAME)
    assert (listed["used"], listed["remaining"], listed["max_submissions"]) == (1, 2, 3)
    assert listed["submit_until"] == listed["open_from"] < listed["open_until"]
    out = said(alice.try_("model", "list", NAME))
    assert "1 of 3 used, 2 left; none comes back" in out
    assert "submit until 20" in out and "open until 20" in out and "in 4d" in out
    (status,) = alice("status", NAME)["challenges"]
    who = next(iter(status["used"]))
    assert (status["used"][who], status["remaining"][who], status["max_submissions"]) == (1, 2, 3)
    assert (status["submit_until"], status["open_until"]) == (
        listed["submit_until"],
        listed["open_until"],
    )
    assert "1 of 3 submissions used, 2 left; submitting closes in 4d" in said(
        alice.try_("status", NAME)
    )
    vera = said(danku.of("vera").try_("status", NAME))
    assert "submissions used" not in vera
    danku.until("submit")
    assert "1 of 3 submissions used, 2 left; submitting closed" in said(alice.try_("status", NAME))


def test_the_check_of_a_challenge_shows_its_yardstick(there: At) -> None:
    danku = there("made")
    found = danku("challenge", "check", f"challenges/{NAME}")
    assert found["yardstick_groups"] == 2
    assert "small-yardstick" in {item["code"] for item in found["findings"]}
    out = said(danku.try_("challenge", "check", f"challenges/{NAME}"))
    assert "2 of the train groups, drawn by the seed" in out
    shown = there("created").try_("challenge", "show", NAME)
    assert "2 of the train groups, drawn by the seed" in said(shown)
    write_challenge(danku.folder, batch="8\nyardstick_groups = 9")
    danku.refused("challenge", "check", f"challenges/{NAME}", code=5, error="ChallengeFileBroken")


def test_a_model_that_validators_would_reject_has_nothing_to_report(there: At) -> None:
    danku = there("train")
    alice = danku.of("alice")
    (danku.folder / "bad.onnx").write_bytes(model(0.0)[:-9])
    alice("model", "submit", NAME, "bad.onnx", "--unchecked")
    before = danku.digest()
    alice.refused("model", "report", NAME, code=5, error="WouldBeRejected")
    assert danku.digest() == before
