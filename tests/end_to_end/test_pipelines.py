"""The CI pipelines: what they run is run here, each pass on an empty disk, as CI systems do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from danku import __version__
from danku.roles.pipelines import PLACES, PipelineExists, UnknownSystem, write_pipeline
from tests.cli.driver import NAME, write_challenge
from tests.end_to_end.clones import IDENTITY, Clone, another_clone, first_clone
from tests.end_to_end.conftest import Run
from tests.end_to_end.test_git_clones import Calendar
from tests.roles.arena import VALIDATORS, key_of, model


def pipeline(clone: Clone, system: str) -> Any:
    return yaml.safe_load((clone.folder / PLACES[system]).read_text())


def scripts(told: Any, system: str, job: str) -> list[str]:
    """What a job runs, a script for each shell; nothing is installed, danku is there."""
    if system == "github":
        steps = told["jobs"][job]["steps"]
        return [each["run"] for each in steps if "run" in each and "pip install" not in each["run"]]
    base = told[".danku"]["before_script"]
    lines = [line for line in base if "pip install" not in line]
    return ["\n".join([*lines, *told[f"danku-{job}"]["script"]])]


def pass_of(root: Path, system: str, job: str, who: str | None, **variables: str) -> list[Run]:
    """One run of a job in a clone that is deleted when it is over."""
    clone = Clone(root / f"runner-{who}", who or "nobody")
    words = ["git", "clone", "--quiet", "hub.git", clone.folder.name]
    subprocess.run(words, cwd=root, check=True, timeout=60, capture_output=True)
    told = pipeline(clone, system)
    secret = "0x" + key_of(who).unsafe_secret().hex() if who else ""
    environment = {
        **os.environ,
        **IDENTITY,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "DANKU_PRIVATE_KEY": secret,
        "CI_COMMIT_BRANCH": "main",
        "PROJECT_URL": str(root / "hub.git"),
        **variables,
    }
    runs = []
    for script in scripts(told, system, job):
        done = subprocess.run(
            ["bash", "-e", "-c", script],
            cwd=clone.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        runs.append(Run(done.returncode, done.stdout, done.stderr))
    shutil.rmtree(clone.folder)
    return runs


def passed(runs: list[Run]) -> None:
    assert all(run.code == 0 for run in runs), runs


def begun(root: Path, system: str) -> Calendar:
    """A challenge whose organizer leaves everything else to CI; the clock is somebody else's."""
    organizer = first_clone(root, "organizer")
    organizer.danku("init", ".", "--ci", system)
    organizer.danku("challenge", "create", str(write_challenge(organizer.folder)))
    organizer.danku("keys", "seal", "sealed/private.bin")
    organizer.share()
    return Calendar(another_clone(root, "clock"))


def judge(root: Path, system: str, *names: str) -> None:
    for name in names:
        passed(pass_of(root, system, "validator", name))


def advance(root: Path, system: str, who: str) -> None:
    variables = {"DANKU_ADVANCE": NAME, "CHALLENGES": NAME}
    passed(pass_of(root, system, "advance", who, **variables))


def test_a_competition_that_ci_judges(tmp_path: Path) -> None:
    """Validators, organizer and submitter leave everything after their first step to CI."""
    calendar = begun(tmp_path, "github")
    judges = VALIDATORS[:2]  # two thirds of the panel
    judge(tmp_path, "github", *judges)
    calendar.until("contribute")
    judge(tmp_path, "github", *judges)
    advance(tmp_path, "github", "organizer")
    calendar.until("open_seed")
    advance(tmp_path, "github", "organizer")

    alice = another_clone(tmp_path, "alice")
    (alice.folder / "private").mkdir(0o700)
    (alice.folder / "private" / "model.onnx").write_bytes(model(0.0))
    alice.danku("model", "submit", NAME, "private/model.onnx", "--unchecked")
    # NOTE: each keeps a repository of its own for this; here one follows the other in one.
    organizers = (alice.folder / "sealed" / "private.bin").read_bytes()
    (alice.folder / "sealed" / "private.bin").unlink()
    alice.danku("keys", "seal", "sealed/private.bin")
    alice.share()
    calendar.until("submit")
    advance(tmp_path, "github", "alice")
    calendar.until("open")
    alice.git("pull", "--quiet", "--no-rebase")
    (alice.folder / "sealed" / "private.bin").write_bytes(organizers)
    alice.share()
    advance(tmp_path, "github", "organizer")
    calendar.until("reveal_test")
    judge(tmp_path, "github", *judges)
    calendar.until("vote")
    judge(tmp_path, "github", *judges)
    calendar.until("open_vote")
    judge(tmp_path, "github", judges[0])
    auditor = another_clone(tmp_path, "auditor")
    assert auditor.danku("verify", NAME)["ok"]
    [line] = auditor.danku("board", NAME)["lines"]
    assert line["rank"] == 1


@pytest.mark.soak
def test_a_seed_that_another_ci_system_makes(tmp_path: Path) -> None:
    calendar = begun(tmp_path, "gitlab")
    judge(tmp_path, "gitlab", VALIDATORS[0])
    calendar.until("contribute")
    judge(tmp_path, "gitlab", VALIDATORS[0])
    advance(tmp_path, "gitlab", "organizer")
    shown = another_clone(tmp_path, "auditor").danku("status", NAME)
    assert shown["challenges"][0]["stage"] == "initialization"
    calendar.until("open_seed")
    advance(tmp_path, "gitlab", "organizer")
    assert another_clone(tmp_path, "pupil").danku("data", "pull", NAME, "--to", "train.npz")


def test_a_run_without_its_secret_fails_and_says_why(tmp_path: Path) -> None:
    organizer = first_clone(tmp_path, "organizer")
    organizer.danku("init", ".", "--ci", "github")
    organizer.share()
    prepared, judged, published = pass_of(tmp_path, "github", "validator", None)
    assert (prepared.code, published.code) == (0, 0)
    assert judged.code == 2
    assert "define the secret DANKU_PRIVATE_KEY" in judged.err


@pytest.mark.parametrize("system", PLACES)
def test_secrets_are_seen_by_the_steps_that_need_them_alone(tmp_path: Path, system: str) -> None:
    text = write_pipeline(tmp_path, system).read_text()
    told = yaml.safe_load(text)
    assert f"danku=={__version__}" in text and "@VERSION@" not in text
    if system == "github":
        assert set(told[True]) == {"push", "schedule", "workflow_dispatch"}, "no pull requests"
        assert told["permissions"] == {"contents": "write"}
        for job in told["jobs"].values():
            for step in job["steps"]:
                sees = "secrets." in str(step)
                assert sees == (step.get("name") in ("judge", "advance"))
                assert "${{" not in step.get("run", ""), "what others name is no part of a script"
    else:
        install = [line for line in told[".danku"]["before_script"] if "pip install" in line]
        assert all("-u DANKU_PRIVATE_KEY" in line for line in install)


def test_another_pipeline_is_not_overwritten(tmp_path: Path) -> None:
    target = tmp_path / PLACES["gitlab"]
    target.write_text("stages: [build]\n")
    with pytest.raises(PipelineExists):
        write_pipeline(tmp_path, "gitlab")
    assert target.read_text() == "stages: [build]\n"
    target.unlink()
    assert write_pipeline(tmp_path, "gitlab") == write_pipeline(tmp_path, "gitlab")
    with pytest.raises(UnknownSystem):
        write_pipeline(tmp_path, "jenkins")
