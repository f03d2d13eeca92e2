"""Imports point one way, downwards; the pure parts stay pure; the command line starts light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import danku

PACKAGE = Path(danku.__file__).parent

LAYERS = [
    {"__main__"},
    {"cli"},
    {"demo", "pages"},
    {"roles"},
    {"ledger", "evaluation", "mechanisms"},
    {"dataset"},
    {"protocol"},
    {"crypto", "storage"},
]
"""From top to bottom; parts of one layer do not import one another."""

FOR_ALL = {"danku", "danku.errors"}

IMPURE = {
    *("asyncio", "ctypes", "datetime", "http", "io", "multiprocessing", "os"),
    *("pathlib", "platform", "random", "secrets", "shutil", "socket", "ssl", "subprocess"),
    *("sys", "tempfile", "threading", "time", "urllib", "uuid"),
}

HEAVY = {
    *("Crypto", "coincurve", "cytoolz", "google", "jinja2", "llvmlite", "numba", "numpy", "onnx"),
    *("onnxruntime", "pyarrow", "safetensors", "scipy", "sklearn", "web3"),
    *("ipfshttpclient", "multiaddr", "requests", "urllib3"),
}


def sources() -> dict[str, str]:
    """The text of every module of danku, by its dotted name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = path.read_text(encoding="utf-8")
    return found


def imported(module: str, text: str, modules: set[str], *, package: bool) -> Iterator[str]:
    """What a module imports, wherever in it: modules of ``modules``, else the dotted names."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = module.split(".")
            base = parts[: len(parts) - node.level + package] if node.level else []
            origin = ".".join([*base, *filter(None, [node.module])])
            for alias in node.names:
                full = f"{origin}.{alias.name}"
                yield full if full in modules else origin


def imports(texts: dict[str, str]) -> dict[str, set[str]]:
    """For each module, what it imports other than itself."""
    modules = set(texts)
    packages = {name.rpartition(".")[0] for name in modules}
    return {
        module: set(imported(module, text, modules, package=module in packages)) - {module}
        for module, text in texts.items()
    }


def wrong_directions(graph: dict[str, set[str]]) -> list[str]:
    """Imports of danku that do not point downwards."""
    depth = {part: place for place, layer in enumerate(LAYERS) for part in layer}
    wrong = []
    for module, targets in graph.items():
        for target in sorted(targets):
            if target.split(".")[0] != "danku" or target in FOR_ALL:
                continue
            part = target.split(".")[1]
            own = module.split(".")[1] if "." in module else ""
            if part != own and depth.get(part, -1) <= depth.get(own, len(LAYERS)):
                wrong.append(f"{module} imports {target}")
    return wrong


def circles(graph: dict[str, set[str]]) -> list[str]:
    """Modules that reach themselves, written as the way around."""
    found = []
    done: set[str] = set()

    def walk(module: str, trail: list[str]) -> None:
        if module in trail:
            found.append(" -> ".join([*trail[trail.index(module) :], module]))
        elif module not in done:
            for target in sorted(graph.get(module, ())):
                walk(target, [*trail, module])
            done.add(module)

    for module in sorted(graph):
        walk(module, [])
    return found


def test_imports_point_downwards() -> None:
    assert wrong_directions(imports(sources())) == []


def test_no_import_goes_in_a_circle() -> None:
    assert circles(imports(sources())) == []


def test_every_part_has_its_layer() -> None:
    parts = {name.split(".")[1] for name in sources() if "." in name} - {"errors"}
    assert parts <= set().union(*LAYERS)


@pytest.mark.parametrize("part", ["protocol", "mechanisms"])
def test_pure_parts_have_no_clock_no_files_no_network_no_randomness(part: str) -> None:
    graph = imports(sources())
    used = {
        f"{module} imports {target}"
        for module, targets in graph.items()
        for target in targets
        if module.split(".")[1:2] == [part] and target.split(".")[0] in IMPURE
    }
    assert used == set()


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("danku.crypto.merkle", "import danku.protocol.terms"),
        ("danku.crypto.merkle", "from danku.storage import port"),
        ("danku.crypto.merkle", "def late():\n    from danku.storage.port import Store"),
        ("danku.crypto.merkle", "from ..protocol.terms import Terms"),
        ("danku.storage", "from .. import crypto"),
        ("danku.protocol.rules", "from danku.dataset.groups import split"),
        ("danku.evaluation.metrics", "from danku.mechanisms import prizes"),
        ("danku.roles.submitter", "from danku.cli.render import table"),
        ("danku.errors", "from danku.crypto import hashing"),
        ("danku.stray", "import danku.stray.more\nfrom danku.cli import app"),
    ],
)
def test_the_check_sees_a_wrong_direction(module: str, text: str) -> None:
    others = ["crypto", "storage", "protocol", "dataset", "mechanisms", "cli", "storage.port"]
    texts = {**{f"danku.{name}": "" for name in others}, module: text}
    assert len(wrong_directions(imports(texts))) == 1


def test_the_check_sees_circles_and_only_circles() -> None:
    texts = {
        "danku": "",
        "danku.a": "from danku.b import name",
        "danku.b": "from . import c\nimport danku.d",
        "danku.c": "from danku.d import name",
        "danku.d": "",
    }
    assert circles(imports(texts)) == []
    texts["danku.d"] = "def late():\n    from danku import a"
    [around, *_] = circles(imports(texts))
    assert set(around.split(" -> ")) >= {"danku.a", "danku.b", "danku.d"}


@pytest.mark.parametrize(
    "script",
    [
        "import danku.cli.app",
        "import danku.cli.app\ntry: danku.cli.app.main()\nexcept SystemExit: pass",
    ],
    ids=["import", "help"],
)
def test_the_command_line_starts_light(script: str) -> None:
    report = "import sys\nsys.stderr.write(' '.join(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", f"{script}\n{report}", "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded = {name.split(".")[0] for name in done.stderr.split()}
    assert "typer" in loaded
    assert {name for name in loaded if name in HEAVY or name.startswith("eth_")} == set()
