"""What only a process of its own shows: pipes, encodings, interrupts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.cli.driver import NAME, Danku

At = Callable[[str], Danku]


def start(danku: Danku, *words: str, **environment: str) -> subprocess.Popen[bytes]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("DANKU_")}
    return subprocess.Popen(
        [sys.executable, "-m", "danku", *words],
        cwd=danku.folder,
        env={**clean, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_our_characters(at: At, encoding: str) -> None:
    process = start(at("final"), "board", NAME, PYTHONIOENCODING=encoding)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b"")
    assert "A small competition" in out.decode(encoding)


def test_a_reader_that_goes_away(at: At) -> None:
    process = start(at("final"), "ledger", "show", "--json")
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    complaints = process.stderr.read()
    process.wait(60)
    process.stderr.close()
    assert process.returncode in (1, 120)
    assert b"Traceback" not in complaints


def test_an_interrupt(at: At) -> None:
    with start(at("final"), "verify", NAME) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.4)
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=60)
    assert process.returncode in (130, -signal.SIGINT), "the latter if it was still importing"
    assert b"Crash" not in complaints
