"""What `make emulate` makes of equal, different, failing and missing runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.emulation import __main__ as command
from tests.emulation import rows, versions
from tests.emulation.rows import NotRun, Python, Row, compare

SCRIPT = """
import json
print(json.dumps({{"environment": {{"python": "3.99"}}}}))
for name, value in {runs}.items():
    print(json.dumps({{"run": name, "digests": {{name: value}}}}))
{end}
"""
GOLDEN = {"exp": "00", "log": "11"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(rows, "BUILD", tmp_path / "build")
    monkeypatch.setattr(rows, "DIGESTS", tmp_path / "digests.json")
    (tmp_path / "digests.json").write_text(json.dumps(GOLDEN))
    return tmp_path


def told(folder: Path, runs: dict[str, str], end: str = "") -> Row:
    """The row of a process that reports these runs."""
    script = folder / "told.py"
    script.write_text(SCRIPT.format(runs=runs, end=end))
    # NOTE: what stands behind the script, `-m tests...`, becomes its arguments.
    return compare("told", Python((sys.executable, str(script))))


def test_equal_digests_are_the_same(folder: Path) -> None:
    row = told(folder, GOLDEN)
    assert (row.status, row.digests, row.different) == ("same", 2, [])
    assert row.environment == {"python": "3.99"}


@pytest.mark.parametrize(
    ("runs", "detail"),
    [
        ({"exp": "00", "log": "12"}, "log"),
        ({"exp": "00"}, "log (missing)"),
        ({"exp": "00", "log": "11", "new": "22"}, "new"),
        ({}, "exp (missing), log (missing)"),
    ],
)
def test_anything_else_is_different(folder: Path, runs: dict[str, str], detail: str) -> None:
    row = told(folder, runs)
    assert (row.status, row.detail) == ("different", detail)


@pytest.mark.parametrize(
    ("end", "detail"),
    [
        ("raise SystemExit(3)", "exit code 3"),
        ("raise ValueError('no such thing')", "ValueError: no such thing"),
        ("import os; os.kill(os.getpid(), 9)", "killed by SIGKILL"),
    ],
)
def test_a_process_that_dies_has_failed_even_if_all_was_equal(
    folder: Path, end: str, detail: str
) -> None:
    row = told(folder, GOLDEN, f"import sys; sys.stdout.flush(); {end}")
    assert (row.status, row.detail) == ("failed", detail)


SAME, DIFFERENT, FAILED = Row("nehalem", "same"), Row("x", "different"), Row("x", "failed")
MISSING = Row("haswell", "not run")
PYTHONS = [Row("python 3.11", "same"), Row("python 3.12", "same")]
NO_PYTHON = Row("python 3.14", "not run")


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ([SAME], 0),
        ([], 1),
        ([SAME, DIFFERENT, MISSING], 1),
        ([SAME, FAILED], 1),
        ([SAME, MISSING], 2),
        ([*PYTHONS, NO_PYTHON], 0),
        ([PYTHONS[0], NO_PYTHON], 2),
        ([*PYTHONS, NO_PYTHON, MISSING], 2),
    ],
)
def test_exit_codes(found: list[Row], code: int) -> None:
    assert command.verdict(found) == code


def test_what_is_missing_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("sys.argv", ["emulation", "--only", "nehalem", "--json"])
    assert command.main() == 2
    captured = capsys.readouterr()
    [row] = json.loads(captured.out)
    assert row["status"] == "not run"
    assert "install qemu's user mode" in row["detail"]
    assert "Could not be run here: nehalem." in captured.err
    monkeypatch.setattr("sys.argv", ["emulation", "--only", "nehalem"])
    assert command.main() == 2
    assert "| nehalem |" in capsys.readouterr().out


def test_a_python_that_is_missing_or_broken_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(folder))
    with pytest.raises(NotRun, match=r"python2\.9 is not on the path"):
        versions.interpreter("2.9")
    broken = folder / "python2.9"
    broken.write_text("#!/bin/sh\nexit 127\n")
    broken.chmod(0o755)
    with pytest.raises(NotRun, match="does not start"):
        versions.interpreter("2.9")


def test_older_versions_are_older_than_what_danku_asks_for() -> None:
    asked = versions.requirements()
    for library in ("numpy", "numba", "onnx"):
        text = versions.wanted(library)
        assert asked[library] not in text
        assert asked[library].replace(">=", "<") in text
    assert len(versions.wanted(*versions.OLDER)) == len(asked) + 1
