"""A new workspace, with a ledger of its own or joined to one that is there."""

from __future__ import annotations

import os
import re
from pathlib import Path

from danku.errors import UsageError
from danku.roles.workspace import CONFIG, Workspace
from danku.storage.files import make_folder

_IGNORED = "private/\nkeys/*\n!keys/README.md\n*.lock\n*.new\n*.torn-*\n"
_KEYS_README = "Encrypted Web3 Secret Storage v3 files. Git ignores them; back them up yourself.\n"


class WorkspaceExists(UsageError):
    """There is a workspace already."""


class BadAddress(UsageError):
    """Not an address."""


def make_workspace(
    root: Path,
    *,
    join: Path | None = None,
    sandbox: bool = False,
    treasurer: str | None = None,
    play_money: int = 0,
) -> Workspace:
    """Make a workspace at ``root``.

    Args:
        join: a public folder with a ledger; else a new ledger is made.
        sandbox: play money for every address, and time that can be advanced.
        treasurer: the address that may grant money.
        play_money: what every address starts with in a sandbox.

    Raises:
        WorkspaceExists: ``root`` is one.
        UsageError: nothing to join, or an address that is none.
    """
    from danku.ledger.embedded.genesis import create_journal
    from danku.ledger.embedded.ledger import system_clock

    if (root / CONFIG).exists():
        raise WorkspaceExists(f"{root} is a workspace already", fix="danku status")
    if treasurer is not None and not re.fullmatch(r"0x[0-9a-fA-F]{40}", treasurer):
        raise BadAddress(f"{treasurer!r} is not an address", fix="danku keys list shows yours")
    if join is not None and not (join / "ledger.jsonl").is_file():
        raise UsageError(
            f"there is no ledger in {join}",
            fix="name the folder that holds ledger.jsonl and blobs/",
        )
    make_folder(root)
    public = join or root / "challenges"
    for folder in (public, root / "challenges", root / "keys"):
        make_folder(folder)
    make_folder(root / "private", 0o700)
    (root / "keys" / "README.md").write_text(_KEYS_README, "utf-8")
    (root / ".gitignore").write_text(_IGNORED, "utf-8")
    if join is None:
        create_journal(
            public / "ledger.jsonl",
            sandbox=sandbox,
            play_money=play_money if sandbox else 0,
            treasurer=treasurer.lower() if treasurer else None,
            sequencer=None,
            clock=system_clock,
        )
    relative = os.path.relpath(public, root).replace("\\", "/")
    (root / CONFIG).write_text(f'public = "{relative}"\n', "utf-8")
    return Workspace(root)
