"""Writing the table ``[storage]`` of danku.toml; the rest of the file stays as it is."""

from __future__ import annotations

import json
import re

import msgspec

from danku.errors import DataError
from danku.roles.setup import ignore_private
from danku.roles.workspace import CONFIG, Settings, Workspace
from danku.storage.files import NewFile
from danku.storage.settings import StorageSettings

_TABLE = re.compile(r"^\[storage\][^\n]*\n(?:(?!\[)[^\n]*\n?)*", re.MULTILINE)


def write_storage(workspace: Workspace, settings: StorageSettings) -> None:
    """Have the workspace use these settings from the next command on.

    Raises:
        DataError: danku.toml has them in a form that is not understood; it stays as it was.
    """
    root = workspace.root
    path = root / CONFIG
    text = _TABLE.sub("", path.read_text("utf-8")).rstrip("\n") + "\n"
    text += "\n[storage]\n" + "".join(
        f"{name} = {json.dumps(value, ensure_ascii=False)}\n"
        for name, value in msgspec.to_builtins(settings).items()
    )
    _check(text, settings)
    ignore_private(root / ".gitignore")
    with NewFile(root) as draft:
        draft.write(text.encode())
        draft.keep(path)


def _check(text: str, settings: StorageSettings) -> None:
    try:
        found = msgspec.toml.decode(text, type=Settings).storage
    except msgspec.DecodeError:
        found = None
    if found != settings:
        raise DataError(
            f"{CONFIG} says something of the store that cannot be replaced",
            why="a table [storage] is written over, storage.kind = … or storage = {…} is not",
            fix=f"remove it from {CONFIG} and run this again",
        )
