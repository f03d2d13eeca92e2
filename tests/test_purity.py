"""What must be a function of its arguments imports no clock, no randomness and no environment."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import danku

ROOT = Path(danku.__file__).parent
PURE = ("protocol", "mechanisms", "evaluation")
PROCESS_EDGE = ROOT / "evaluation" / "worker.py"

IMPURE = {
    *("time", "datetime", "random", "secrets", "uuid", "locale", "numpy.random"),
    *("os.environ", "os.environb", "os.getenv", "os.getenvb", "os.urandom", "os.getrandom"),
    *("np.random", "sys.argv"),
}
WITHOUT_FILES = {
    *("os", "io", "pathlib", "tempfile", "shutil", "glob", "fcntl", "sys"),
    *("socket", "ssl", "http", "urllib", "asyncio", "threading", "multiprocessing", "subprocess"),
}


def _names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every module that is imported, and every dotted name that is used, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            yield node.lineno, module
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Attribute):
            yield node.lineno, ast.unparse(node)


def _impurities(path: Path, forbidden: set[str]) -> list[str]:
    return [
        f"{path.name}:{line} {name}"
        for line, name in _names(ast.parse(path.read_text(encoding="utf-8")))
        if any(name == word or name.startswith(word + ".") for word in forbidden)
    ]


def _modules(package: str) -> list[Path]:
    found = sorted((ROOT / package).rglob("*.py"))
    assert found
    return [path for path in found if path != PROCESS_EDGE]


@pytest.mark.parametrize("package", PURE)
def test_no_clock_no_randomness_no_environment(package: str) -> None:
    assert [line for path in _modules(package) for line in _impurities(path, IMPURE)] == []


@pytest.mark.parametrize("package", ["protocol", "mechanisms"])
def test_no_files_no_network_no_threads(package: str) -> None:
    modules = _modules(package)
    assert [line for path in modules for line in _impurities(path, WITHOUT_FILES)] == []
    for path in modules:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                # NOTE: hash and id differ from process to process.
                banned = {"open", "input", "print", "hash", "id", "__import__", "exec", "eval"}
                assert node.func.id not in banned, f"{path.name}:{node.lineno} {node.func.id}"


def test_the_check_sees_what_it_forbids(tmp_path: Path) -> None:
    impure = tmp_path / "impure.py"
    impure.write_text(
        "import time\nfrom os import environ\nimport numpy as np\nnp.random.rand()\n"
        "import os\nos.environ['X']\nfrom datetime import datetime\nimport secrets as quiet\n"
    )
    found = {line.split(":")[1].split(" ")[0] for line in _impurities(impure, IMPURE)}
    assert found == {"1", "2", "4", "6", "7", "8"}
    assert {line.split(" ")[1] for line in _impurities(impure, WITHOUT_FILES)} >= {"os"}


REPLAY = """
import sys
sys.path[:0] = [{root!r}]
from tests.protocol.simulator import ALICE, BOB, Game
game = Game()
game.opened(game.ballot({{ALICE: 700, BOB: 300}}, winner=ALICE, score=1)).finalize().claim()
print(repr(game.state))
"""


def test_a_replay_does_not_depend_on_the_process() -> None:
    """The order of every dict and the value of every digest are the same in each process."""
    program = REPLAY.format(root=str(Path(__file__).parents[1]))
    states = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "TZ": zone, "PYTHONPATH": str(ROOT.parent)},
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout
        for seed, zone in (("1", "UTC"), ("2", "Asia/Kathmandu"))
    }
    assert len(states) == 1
    assert len(states.pop()) > 1000
