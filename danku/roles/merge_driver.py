"""What a clone needs so that git joins journals by itself: an attribute and a merge driver."""

from __future__ import annotations

import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from danku.errors import DankuError, UsageError
from danku.roles.workspace import Workspace

NAME = "danku-ledger"
_ATTRIBUTES = f"ledger.jsonl -text merge={NAME}\nblobs/** -text\n"


class NoRepository(UsageError):
    """The journal is in no git repository."""


class GitRefused(DankuError):
    """Git is missing, or did not do what it was asked for."""


@dataclass(frozen=True)
class Installed:
    """What was installed; installing it again changes nothing."""

    repository: Path
    attributes: Path
    """The file that names the driver to git; it is to be committed."""
    command: str
    """What this clone runs for it; it stays in the clone."""


def install_driver(workspace: Workspace) -> Installed:
    """Have git merge this workspace's journal with danku.

    Raises:
        NoRepository: it is in no repository.
        GitRefused: git is missing or refuses.
    """
    public = workspace.public
    repository = Path(_git(public, "rev-parse", "--show-toplevel"))
    attributes = public / ".gitattributes"
    _add_lines(attributes, _ATTRIBUTES)
    command = _command(workspace)
    settings = {
        "name": "joins danku's journals",
        "driver": command,
        # Of several common ancestors git makes one first, and danku does not look at it.
        "recursive": "binary",
    }
    for key, value in settings.items():
        _git(public, "config", "--local", f"merge.{NAME}.{key}", value)
    return Installed(repository, attributes, command)


def is_installed(workspace: Workspace) -> bool:
    """Whether git knows the driver here."""
    try:
        return bool(_git(workspace.public, "config", "--get", f"merge.{NAME}.driver"))
    except DankuError:
        return False


def _command(workspace: Workspace) -> str:
    # NOTE: -P, since git runs it in a folder of files that others wrote, such as a danku.py.
    words = [sys.executable, "-P", "-m", "danku", "ledger", "merge-driver"]
    words += ["--workspace", str(workspace.root)]
    return shlex.join(words).replace("%", "%%") + " -- %O %A %B %P"


def _add_lines(file: Path, lines: str) -> None:
    present = file.read_text("utf-8") if file.exists() else ""
    missing = [line for line in lines.splitlines() if line not in present.splitlines()]
    if missing:
        joint = "" if not present or present.endswith("\n") else "\n"
        file.write_text(present + joint + "\n".join(missing) + "\n", "utf-8")


def _git(folder: Path, *words: str) -> str:
    try:
        done = subprocess.run(
            ["git", *words], cwd=folder, capture_output=True, text=True, timeout=20, check=False
        )
    except OSError as error:
        raise GitRefused(
            f"git cannot be run: {error.strerror}", fix="install it, then try again"
        ) from None
    except subprocess.TimeoutExpired:
        raise GitRefused(f"git {words[0]} does not end", fix="try again") from None
    if done.returncode and "not a git repository" in done.stderr:
        raise NoRepository(
            f"{folder} is in no git repository",
            why="only git needs to know how journals are joined",
            fix="git init, or danku ledger merge OTHER by hand",
        )
    if done.returncode:
        said = done.stderr.strip().partition("\n")[0] or f"it ended with {done.returncode}"
        raise GitRefused(f"git {words[0]} failed: {said}", fix="see to that, then try again")
    return done.stdout.rstrip("\n")
