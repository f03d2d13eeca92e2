"""What the shell offers while a command is typed: challenges and keys of the workspace.

A shell asks at every press of a key, so nothing of danku is imported, nothing is verified, and
nothing is written, asked or reported: what cannot be read is not offered.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

BYTES = 64 * 2**20
"""A journal longer than this is read up to here."""

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,47}")
_CID = re.compile(r"[A-Za-z0-9]{46,80}")
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MANIFEST_BYTES = 65_536


def challenge_names(ctx: Any, incomplete: str) -> list[str]:
    """Names of the ledger's challenges that begin like this."""
    return _offered(_challenges, ctx, incomplete)


def key_names(ctx: Any, incomplete: str) -> list[str]:
    """Names of the workspace's keys that begin like this."""
    return _offered(_keys, ctx, incomplete)


def words(ctx: Any, incomplete: str) -> list[str]:
    """Words that `danku explain` explains."""
    from danku.roles.glossary import entries

    wanted = incomplete.lower()
    return [entry.name for entry in entries() if entry.name.lower().startswith(wanted)]


def _offered(
    find: Callable[[Path, dict[str, Any]], Iterator[str]], context: Any, incomplete: str
) -> list[str]:
    import tomllib

    try:
        root = _workspace(context)
        settings = tomllib.loads((root / "danku.toml").read_text("utf-8"))
        found = dict.fromkeys(find(root, settings))
        return [name for name in found if name.startswith(incomplete)]
    except Exception:  # NOTE: whatever it is, a shell's prompt is no place to tell of it
        return []


def _workspace(context: Any) -> Path:
    given = (getattr(context, "params", None) or {}).get("workspace")
    given = given or os.environ.get("DANKU_WORKSPACE")
    if given:
        return Path(given)
    here = Path.cwd()
    return next(folder for folder in (here, *here.parents) if (folder / "danku.toml").is_file())


def _keys(root: Path, settings: dict[str, Any]) -> Iterator[str]:
    folder = root / str(settings.get("keys", "keys"))
    for path in sorted(folder.glob("*.json")):
        if _KEY.fullmatch(path.stem):
            yield path.stem


def _challenges(root: Path, settings: dict[str, Any]) -> Iterator[str]:
    public = root / str(settings.get("public", "challenges"))
    with (public / "ledger.jsonl").open("rb") as journal:
        whole = journal.read(BYTES)
    for line in whole.split(b"\n"):
        if b'"kind":"create"' not in line:
            continue
        cid = json.loads(line)["action"]["action"]["manifest"]
        blob = public / "blobs" / cid
        if not _CID.fullmatch(cid) or not blob.is_file():
            continue
        with blob.open("rb") as file:
            name = json.loads(file.read(_MANIFEST_BYTES))["name"]
        if _NAME.fullmatch(name):
            yield name
