"""`danku validator run`: passes that can be repeated, watched, tried out and reported."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from danku.evaluation.verdict import Verdict
from danku.evaluation.worker import WorkerDied
from danku.ledger.embedded.envelope import AdvanceTime
from danku.roles.workspace import Workspace
from tests.cli.driver import Danku
from tests.cli.fixtures import Worker
from tests.roles.arena import key_of

At = Callable[[str], Danku]
pytestmark = pytest.mark.usefixtures("quick")


def given(danku: Danku, environment: dict[str, str]) -> Danku:
    """The same place and key, with more in the environment."""
    return Danku(danku.folder, {**danku.environment, **environment})


def steps(told: dict[str, Any]) -> list[str]:
    return [step for visit in told["done"] for step in visit["steps"]]


def test_a_pass_does_what_is_due_and_the_next_finds_nothing(at: At) -> None:
    danku = at("voting").of("vera")
    assert steps(danku("validator", "run")) == ["convene", "vote"]
    danku.refused("validator", "run", code=4, error="NotYet")
    assert steps(danku("validator", "run", "--ci")) == []


def test_a_pass_claims_the_fees(at: At) -> None:
    danku = at("decided")
    danku.until("open_vote")
    told = danku.of("vera")("validator", "run")
    assert "finalize" in steps(told)
    assert [item["what"] for item in told["claimed"]] == ["credit"]


def test_a_dry_run_shows_what_would_be_voted_and_sends_nothing(at: At) -> None:
    danku = at("voting").of("vera")
    head = danku("ledger", "show")["head"]
    [shown] = danku("validator", "run", "--dry-run")
    assert shown["ballot"]["outcome"] == "test"
    assert {row["submission"] for row in shown["result"]["rows"]} == {0, 1}
    assert danku("ledger", "show")["head"] == head
    assert not list((danku.folder / "private").rglob("vote-*.json"))
    assert at("submitted").of("vera")("validator", "run", "--dry-run") == []


def test_verdicts_are_remembered_from_pass_to_pass(at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluated: list[bytes] = []

    class Counting(Worker):
        def evaluate(self, model: bytes, *rest: Any) -> Verdict:
            evaluated.append(model)
            return super().evaluate(model, *rest)

    monkeypatch.setattr("danku.evaluation.worker.Worker", Counting)
    danku = at("voting").of("vera")
    danku("validator", "run", "--dry-run", "--workers", "2")
    assert len(evaluated) == 2
    assert steps(danku("validator", "run")) == ["convene", "vote"]
    assert len(evaluated) == 2


def test_a_worker_that_dies_on_a_model_abstains(at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    class Dying(Worker):
        def evaluate(self, *_: Any) -> Verdict:
            raise WorkerDied("the worker ended by SIGKILL", fix="abstain")

    danku = at("voting").of("vera")
    with monkeypatch.context() as patch:
        patch.setattr("danku.evaluation.worker.Worker", Dying)
        danku.refused("validator", "run", code=1, error="WorkerDied")
        danku.refused("validator", "run", "--ci", code=1, error="WorkerDied")
    assert steps(danku("validator", "run")) == ["vote"]


def test_a_window_that_closed_while_evaluating_is_named(
    at: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    danku = at("voting").of("vera")

    class Slow(Worker):
        def evaluate(self, *job: Any) -> Verdict:
            workspace = Workspace(danku.folder)
            (challenge,) = workspace.state().challenges.values()
            left = challenge.windows.vote - workspace.ledger.time()
            if left > 0:
                workspace.ledger.submit(key_of("alice"), AdvanceTime(left))
            return super().evaluate(*job)

    monkeypatch.setattr("danku.evaluation.worker.Worker", Slow)
    danku.refused("validator", "run", code=3, error="Late")


def test_reports_for_a_ci_system(at: At, tmp_path: Path) -> None:
    junit, summary = tmp_path / "junit.xml", tmp_path / "summary.md"
    summary.write_text("before\n")
    environment = {"GITHUB_STEP_SUMMARY": str(summary), "GITHUB_ACTIONS": "true"}
    danku = given(at("final").of("vera"), environment)
    run = danku.try_("validator", "run", "--ci", "--junit", str(junit))
    assert run.code == 0, run.err
    (suite,) = ElementTree.fromstring(junit.read_bytes())
    assert suite.get("tests") == "2"
    shown = summary.read_text()
    assert shown.startswith("before\n# danku\n") and "| rank | score |" in shown


def test_nothing_is_reported_of_a_vote_that_is_sealed(at: At, tmp_path: Path) -> None:
    danku = at("voting").of("vera")
    junit, summary = tmp_path / "junit.xml", tmp_path / "summary.md"
    files = ("--junit", str(junit), "--summary", str(summary))
    assert steps(danku("validator", "run", *files)) == ["convene", "vote"]
    (suite,) = ElementTree.fromstring(junit.read_bytes())
    assert len(suite.findall("testcase/skipped")) == len(suite) == 2
    [preview] = danku("validator", "run", "--dry-run")
    for row in preview["result"]["rows"]:
        units = int(row["score"])
        assert f"{units // 10**9}.{units % 10**9:09d}" not in summary.read_text()


def test_a_ci_run_without_its_secret(at: At) -> None:
    danku = given(at("voting"), {"DANKU_PRIVATE_KEY": ""})
    run = danku.try_("validator", "run", "--ci")
    assert run.code == 2
    assert "define the secret DANKU_PRIVATE_KEY" in run.err


def test_a_key_from_a_secret_votes_and_opens_on_empty_disks(at: At) -> None:
    danku = at("voting").of("vera")
    voted = danku("validator", "run", "--ci")
    assert steps(voted) == ["convene", "vote"]
    shutil.rmtree(danku.folder / "private")
    danku.until("vote")
    assert steps(danku("validator", "run", "--ci")) == ["open_vote"]


def test_watching_goes_on_until_it_is_interrupted(at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    danku = at("voting").of("vera")
    naps: list[int] = []

    def nap(seconds: int) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            raise KeyboardInterrupt
        danku.until("vote")

    monkeypatch.setattr("time.sleep", nap)
    run = danku.try_("validator", "run", "--watch", "--interval", "7", "--json")
    assert run.code == 0
    assert [steps(json.loads(line)) for line in run.out.splitlines()] == [
        ["convene", "vote"],
        ["open_vote"],
        [],
    ]
    assert naps == [7, 7, 7]
