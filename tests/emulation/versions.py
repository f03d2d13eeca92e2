"""Throw-away environments: other versions of Python and of one library at a time."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from tests.emulation.rows import BUILD, PROJECT, NotRun, Python, completed, say

NEEDED = ("ml-dtypes", "msgspec", "numba", "numpy", "onnx", "pycryptodome", "rfc8785")
"""What the golden runs import, by the names in pyproject.toml."""

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
OLDER = ("numpy", "numba", "onnx", "protobuf")
"""Libraries of which the version before the least that danku asks for is tried as well."""

PROTOBUF = "protobuf<7"
"""NOTE: onnx brings protobuf along, so that danku states no version; 7 is what pip installs."""


def requirements() -> dict[str, str]:
    """What pyproject.toml asks for, by package."""
    text = (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
    listed: list[str] = tomllib.loads(text)["project"]["dependencies"]
    by_name = {re.split(r"[^\w-]", each)[0]: each for each in listed}
    return {name: by_name[name] for name in NEEDED}


def older(library: str) -> str:
    """A requirement for a version older than danku's own."""
    if library == "protobuf":
        return PROTOBUF
    return requirements()[library].replace(">=", "<")


def wanted(*replaced: str) -> list[str]:
    """All requirements, with older versions of these libraries."""
    names = requirements()
    kept = [text for name, text in names.items() if name not in replaced]
    return [*kept, *(older(library) for library in replaced)]


def interpreter(version: str) -> str:
    """A Python by its name on the path.

    Raises:
        NotRun: there is none, or it does not start.
    """
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    found = shutil.which(f"python{version}")
    if found is None:
        raise NotRun(f"python{version} is not on the path")
    probe = [found, "-c", "import ensurepip, venv"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        raise NotRun(f"python{version} is on the path, but does not start or lacks venv")
    return found


def environment(name: str, python: str, packages: Sequence[str]) -> Python:
    """A virtual environment with these packages and nothing else; kept for the next time."""
    folder = BUILD / "environments" / name
    executable, stamp = folder / "bin" / "python", folder / "installed.txt"
    listed = "\n".join(packages)
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != listed:
        say(f"  {name}: installing {', '.join(packages)}")
        completed([python, "-m", "venv", "--clear", str(folder)])
        pip = [str(executable), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        completed([*pip, "--only-binary=:all:", *packages])
        stamp.write_text(listed, encoding="utf-8")
    return Python((str(Path(executable)),))
