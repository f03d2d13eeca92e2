"""The demonstration over a real IPFS daemon ends as it does in a folder, digest for digest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from danku.demo.play import play
from danku.roles.workspace import Workspace
from danku.storage.settings import StorageSettings
from tests.demo.played import Recorder
from tests.demo.unrandom import unrandom
from tests.storage.daemons import daemon, needs_daemon

DIGESTS = ("challenge", "leaderboard", "payouts", "votes", "balances")


def facts(root: Path, story: dict[str, Any]) -> dict[str, Any]:
    challenge = Workspace(root / "organizer").challenge(story["challenge"])
    assert challenge.settlement is not None
    return {
        **{name: story[name] for name in DIGESTS},
        "ballot": challenge.settlement.ballot,
        "blobs": (challenge.manifest, challenge.train, challenge.test),
        "models": [entry.opening for entry in challenge.submissions],
    }


@needs_daemon
@pytest.mark.soak
def test_the_same_digests_as_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with unrandom(monkeypatch):
        plain = play(Recorder(), tmp_path / "folder")
    with daemon(tmp_path / "repository") as real, unrandom(monkeypatch):
        settings = StorageSettings(kind="ipfs", api=real.api)
        story = play(Recorder(), tmp_path / "ipfs", settings)
    assert story["verification"]["ok"]
    assert facts(tmp_path / "ipfs", story) == facts(tmp_path / "folder", plain)
    assert not (tmp_path / "ipfs/organizer/challenges/blobs").exists()


@needs_daemon
@pytest.mark.soak
def test_the_command_plays_it_over_the_daemon(tmp_path: Path) -> None:
    with daemon(tmp_path / "repository") as real:
        command = [sys.executable, "-m", "danku", "demo", "--storage", "ipfs", "--json"]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env={**os.environ, "DANKU_IPFS_API": real.api},
            cwd=tmp_path,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verification"]["ok"]
    assert done.stderr == ""


def test_without_a_node_it_does_not_begin(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "danku", "demo", "--storage", "ipfs", "--json"]
    done = subprocess.run(
        [*command, "--api", "/ip4/127.0.0.1/tcp/9", "--keep", "kept"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 6
    assert json.loads(done.stdout)["error"] == "NodeUnreachable"
    assert not (tmp_path / "kept").exists()
