"""Several processes, and processes that are killed: what was acknowledged is there."""

from __future__ import annotations

import itertools
import random
import time
from pathlib import Path

import pytest

from danku.crypto.hashing import to_hex
from danku.ledger.embedded.envelope import AdvanceTime
from danku.ledger.embedded.lines import read_line
from danku.ledger.embedded.verification import verify_journal
from danku.ledger.port import Receipt
from tests.ledger.worlds import EmbeddedWorld, key_of
from tests.ledger.writers import PROCESSES, acknowledged, append

ENDLESS = 10**9


def stored(world: EmbeddedWorld) -> dict[int, str]:
    return {entry.sequence: entry.digest for entry in world.again().actions()}


def test_processes_that_append_at_once_lose_nothing(sandbox: EmbeddedWorld, tmp_path: Path) -> None:
    names, count = ("one", "two", "three"), 40
    processes = [PROCESSES.Process(target=append, args=(tmp_path, name, count)) for name in names]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    found = stored(sandbox)
    told = [acknowledged(tmp_path, name) for name in names]
    assert [len(each) for each in told] == [count] * 3
    assert {sequence: digest for each in told for sequence, digest in each.items()} == found
    assert len(found) == 3 * count
    report = verify_journal(sandbox.path, clock=sandbox.clock)
    assert (report.lines, report.signers) == (3 * count + 1, 3)
    senders = [entry.sender for entry in sandbox.ledger.actions()]
    assert any(a != b for a, b in itertools.pairwise(senders))


def kill_at_random(world: EmbeddedWorld, folder: Path, times: int, seed: int) -> None:
    """Kill one writer after the other, some while they start and the others at work."""
    moments = random.Random(seed)
    told: dict[int, str] = {}
    for number in range(times):
        name = f"writer {number}"
        process = PROCESSES.Process(target=append, args=(folder, name, ENDLESS))
        process.start()
        deadline = time.monotonic() + 30
        while number % 5 and not acknowledged(folder, name) and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(moments.random() * 0.02)
        process.kill()
        process.join(30)
        assert process.exitcode == -9
        new = acknowledged(folder, name)
        check_stored(world, new)
        receipt = append_next(world)
        told |= new | {receipt.sequence: receipt.digest}
    check_stored(world, told)
    assert len(told) > 1.7 * times, "they were killed at work"
    verify_journal(world.path, head=world.again().head(), clock=world.clock)


def check_stored(world: EmbeddedWorld, told: dict[int, str]) -> None:
    lines = world.lines()
    for sequence, digest in told.items():
        assert to_hex(read_line(lines[sequence][:-1]).action.digest) == digest


def append_next(world: EmbeddedWorld) -> Receipt:
    """The next command finds every whole line good, and works."""
    whole = sum(line.endswith(b"\n") for line in world.lines())
    ledger = world.again()
    receipt = ledger.submit(key_of("survivor"), AdvanceTime(1))
    assert (receipt.sequence, ledger.torn) == (whole, 0)
    return receipt


def test_kill_9_loses_nothing_acknowledged(sandbox: EmbeddedWorld, tmp_path: Path) -> None:
    kill_at_random(sandbox, tmp_path, 25, seed=1)


@pytest.mark.soak
def test_kill_9_loses_nothing_acknowledged_in_the_long_run(
    sandbox: EmbeddedWorld, tmp_path: Path
) -> None:
    kill_at_random(sandbox, tmp_path, 500, seed=2)
