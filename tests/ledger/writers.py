"""What other processes do to a journal in the tests; importable, so that they can be started."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

from danku.ledger.embedded.envelope import AdvanceTime
from danku.ledger.embedded.ledger import EmbeddedLedger
from tests.ledger.worlds import Clock, key_of

# NOTE: each process is forked from one that has imported this module and does nothing else.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.ledger.writers"])


def append(folder: Path, name: str, count: int) -> None:
    """Append actions to the folder's sandbox, and note each in a file once it is acknowledged."""
    ledger = EmbeddedLedger(
        folder / "ledger.jsonl",
        clock=Clock(),
        cache=folder / f"{name}.cache",
        heads=folder / "heads.json",
    )
    noted = os.open(folder / f"{name}.acknowledged", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for _ in range(count):
        receipt = ledger.submit(key_of(name), AdvanceTime(1))
        os.write(noted, f"{receipt.sequence} {receipt.digest}\n".encode())


def acknowledged(folder: Path, name: str) -> dict[int, str]:
    """Sequence and digest of every action that `append` was told is safe."""
    path = folder / f"{name}.acknowledged"
    text = path.read_text() if path.exists() else ""
    pairs = (line.split() for line in text.splitlines(keepends=True) if line.endswith("\n"))
    return {int(sequence): digest for sequence, digest in pairs}
