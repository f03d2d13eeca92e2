"""A new workspace, with a ledger of its own or joined to one that is there."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from danku.errors import DataError, UsageError
from danku.protocol.terms import RegistryTerms
from danku.roles.workspace import CONFIG, Workspace
from danku.storage.files import NewFile, make_folder

_IGNORED = (
    "private/\nkeys/*\n!keys/README.md\n*.lock\n*.new\n*.torn-*\n*.refused\n.incoming-*\n.cache/\n"
)
_KEYS_README = "Encrypted Web3 Secret Storage v3 files. Git ignores them; back them up yourself.\n"


class WorkspaceExists(UsageError):
    """There is a workspace already."""


class BadRegistry(UsageError):
    """A ledger cannot have staked validators on these terms."""


class BadAddress(UsageError):
    """Not an address."""


def make_workspace(
    root: Path,
    *,
    join: Path | None = None,
    sandbox: bool = False,
    treasurer: str | None = None,
    play_money: int = 0,
    registry: RegistryTerms | None = None,
) -> Workspace:
    """Make a workspace at ``root``.

    Args:
        join: a public folder with a ledger; else a new ledger is made.
        sandbox: play money for every address, and time that can be advanced.
        treasurer: the address that may grant money.
        play_money: what every address starts with in a sandbox.
        registry: the stake and unbonding delay of validators' seats, if there are to be any.

    Raises:
        WorkspaceExists: ``root`` is one.
        UsageError: nothing to join, or an address that is none.
    """
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
    ignore_private(root / ".gitignore")
    if join is None:
        _create_ledger(
            public / "ledger.jsonl",
            sandbox=sandbox,
            play_money=play_money if sandbox else 0,
            treasurer=treasurer.lower() if treasurer else None,
            registry=registry,
        )
    # NOTE: with links in either path, only the real ones are apart by "../".
    relative = Path(os.path.relpath(public.resolve(), root.resolve())).as_posix()
    with NewFile(root) as config:
        config.write(f"public = {json.dumps(relative, ensure_ascii=False)}\n".encode())
        config.keep(root / CONFIG)
    return Workspace(root)


def registry_terms(stake: int, unbonding: str) -> RegistryTerms | None:
    """What a new ledger fixes about staked validators; None for a stake of 0.

    Args:
        stake: one seat's deposit in the ledger's smallest unit.
        unbonding: how long it stays bound after leaving, such as "30d".

    Raises:
        BadRegistry: a value is malformed or out of bounds.
    """
    from danku.protocol.records import convert
    from danku.roles.challenge_file import parse_duration

    if not stake:
        return None
    try:
        plain = {"stake": str(stake), "unbonding": int(parse_duration(unbonding))}
        return convert(plain, RegistryTerms, "the registry")
    except (ValueError, DataError) as error:
        raise BadRegistry(
            f"--stake {stake} --unbonding {unbonding}: {error}",
            fix='give a whole amount below 2^96, and a time such as "30d"',
        ) from None


def ignore_private(file: Path) -> None:
    """Have git pass over what is private, whatever else the file says."""
    present = file.read_text("utf-8") if file.exists() else ""
    missing = [line for line in _IGNORED.splitlines() if line not in present.splitlines()]
    if missing:
        joint = "" if not present or present.endswith("\n") else "\n"
        file.write_text(present + joint + "\n".join(missing) + "\n", "utf-8")


def _create_ledger(
    journal: Path,
    *,
    sandbox: bool,
    play_money: int,
    treasurer: str | None,
    registry: RegistryTerms | None,
) -> None:
    """Start a journal, or take one of the same kind, without any action, from a killed `init`.

    Raises:
        JournalExists: there is another one.
    """
    from danku.ledger.embedded.errors import JournalExists
    from danku.ledger.embedded.genesis import create_journal, read_genesis
    from danku.ledger.embedded.ledger import system_clock

    try:
        create_journal(
            journal,
            sandbox=sandbox,
            play_money=play_money,
            treasurer=treasurer,
            sequencer=None,
            clock=system_clock,
            registry=registry,
        )
    except JournalExists:
        first, *others = journal.read_bytes().split(b"\n")
        if others != [b""]:
            raise
        found = read_genesis(first).genesis
        wanted = (sandbox, play_money, treasurer, None, registry)
        kept = (found.sandbox, found.play_money, found.treasurer, found.sequencer, found.registry)
        if kept != wanted:
            raise
