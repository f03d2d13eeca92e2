"""A new challenge's folder, from a ready-made one."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from danku.dataset.shipped import shipped_challenges
from danku.errors import UsageError
from danku.roles.workspace import Workspace
from danku.storage.files import make_folder


class FolderExists(UsageError):
    """There is something where the new challenge should go."""


class UnknownTemplate(UsageError):
    """No ready-made challenge has this name."""


def new_challenge(
    workspace: Workspace, name: str | None, template: str, validators: Sequence[str]
) -> Path:
    """Copy a ready-made challenge; its data file goes to the private folder.

    The public folder is what others see, so the data, with the test rows in it, must not lie there.

    Raises:
        UnknownTemplate, FolderExists: see there.
    """
    known = shipped_challenges()
    if template not in known:
        raise UnknownTemplate(
            f"there is no ready-made challenge {template!r}", fix=f"use one of {', '.join(known)}"
        )
    folder = workspace.root / "challenges" / (name or template)
    private = workspace.private / "sources" / (name or template)
    for place in (folder, private):
        if place.exists():
            raise FolderExists(f"{place} exists", fix="give the challenge another name")
    make_folder(private, 0o700)
    make_folder(folder)
    for path in sorted(known[template].iterdir()):
        if path.name == "challenge.toml" or not path.is_file():
            continue
        shutil.copyfile(path, (private if path.suffix == ".csv" else folder) / path.name)
    text = (known[template] / "challenge.toml").read_text("utf-8")
    text = _set(text, "name", json.dumps(name or template))
    text = _set(text, "source", json.dumps(_relative(folder, private / "data.csv")))
    if validators:
        text = _set(text, "addresses", json.dumps([address.lower() for address in validators]))
    (folder / "challenge.toml").write_text(text, "utf-8")
    return folder


def _relative(folder: Path, target: Path) -> str:
    import os

    return os.path.relpath(target, folder).replace("\\", "/")


def _set(text: str, key: str, value: str) -> str:
    """Replace the value of the first line that sets a key; comments after it stay."""
    pattern = re.compile(rf'^({key} = )("[^"]*"|\[[^\]]*\])', re.MULTILINE)
    return pattern.sub(lambda match: match[1] + value, text, count=1)
