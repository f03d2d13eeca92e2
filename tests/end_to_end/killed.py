"""The process that is killed: `danku`, with everything imported that its commands use."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from danku.cli.app import main

for _heavy in (
    *("rich.console", "rich.progress", "typer._adapters", "pydantic", "eth_abi.codec"),
    *("eth_keys.main", "eth_keyfile.keyfile", "filelock", "numpy", "onnx", "safetensors"),
    *("danku.crypto.typed_data", "danku.dataset.bundle", "danku.dataset.commit"),
    *("danku.dataset.sources", "danku.evaluation.admission", "danku.evaluation.worker"),
    *("danku.ledger.embedded.ledger", "danku.roles.auditor", "danku.roles.duties"),
    *("danku.roles.lint", "danku.roles.rehearsal", "danku.storage.embedded"),
):
    importlib.import_module(_heavy)

WRITING = {"os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"}


class Steps:
    """Counts what a command does to the disk, and dies at a step of its choice."""

    def __init__(self, fatal: int) -> None:
        self.fatal = fatal
        """From 1; 0 lets the command live."""
        self.done = 0
        self._write, self._fsync = os.write, os.fsync

    def watch(self) -> None:
        """Look on from here to the end of the process."""
        sys.addaudithook(self._heard)
        os.write, os.fsync = self._written, self._synced

    def _due(self) -> bool:
        self.done += 1
        return self.done == self.fatal

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        opened = event == "open" and isinstance(arguments[2], int)
        if event in WRITING or (opened and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
            if self._due():
                die()

    def _written(self, descriptor: int, data: bytes) -> int:
        if self._due():
            self._write(descriptor, data[: len(data) // 2])
            die()
        return self._write(descriptor, data)

    def _synced(self, descriptor: int) -> None:
        if self._due():
            die()
        self._fsync(descriptor)


def die() -> None:
    """End as by `kill -9`, which it is."""
    os.kill(os.getpid(), signal.SIGKILL)


def _redirect(descriptor: int, path: Path) -> None:
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(target, descriptor)
    os.close(target)


def command(
    words: Sequence[str], folder: Path, environment: dict[str, str], said: Path, fatal: int
) -> None:
    """Run `danku` with words in a folder; what it says lands in ``said``.out and .err.

    The number of its writing steps lands in ``said``.steps, unless it dies at the step ``fatal``.
    """
    os.chdir(folder)
    for name in [name for name in os.environ if name.startswith("DANKU_")]:
        del os.environ[name]
    os.environ.update(environment)
    sys.stdout.flush()
    _redirect(1, said.with_suffix(".out"))
    _redirect(2, said.with_suffix(".err"))
    sys.argv = ["danku", *words]
    steps = Steps(fatal)
    steps.watch()
    try:
        main()
    finally:
        count, steps.fatal = steps.done, 0
        sys.stdout.flush()
        said.with_suffix(".steps").write_text(str(count))
