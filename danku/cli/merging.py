"""`danku ledger merge` and what has git call it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from danku.cli.session import Session, command

if TYPE_CHECKING:
    from danku.crypto.signatures import PrivateKey
    from danku.roles.merging import Joined

REFUSED = 3
"""Exit code of a merge that left actions out."""


def merge(
    session: Session,
    other: Annotated[
        Path | None,
        typer.Argument(help="A journal that began like this one; else git's conflict or upstream."),
    ] = None,
    keep_mine: Annotated[
        bool, typer.Option("--keep-mine", help="My lines stay, and the other's actions move.")
    ] = False,
) -> None:
    """Join two journals that went separate ways; exit 3 if an action no longer fits.

    The other's lines stay, and the actions that only this one has follow them.
    """
    from danku.errors import UsageError
    from danku.roles.merging import merge_other, merge_shared

    if keep_mine and other is None:
        raise UsageError("--keep-mine needs another journal", fix="danku ledger merge OTHER")
    with session.progress() as progress:
        if other is None:
            joined = merge_shared(session.workspace, key=lambda: _key(session), progress=progress)
        else:
            joined = merge_other(
                session.workspace,
                other,
                keep_mine=keep_mine,
                key=lambda: _key(session),
                progress=progress,
            )
    if joined.resolved is not False:
        session.workspace.ledger.head()
    value = _value(joined, session.workspace.journal)
    session.emit(value, lambda: session.out.tell("\n".join(_told(joined, value))))
    if joined.resolved is False:
        session.say(f"git has not noticed; run git add {session.workspace.journal}", "yellow")
    if joined.merged.refused:
        raise typer.Exit(REFUSED)


def merge_driver(
    session: Session,
    base: Annotated[Path, typer.Argument(help="Git's file of the common ancestor; not read.")],
    ours: Annotated[Path, typer.Argument(help="Git's file of our version, and of the result.")],
    theirs: Annotated[Path, typer.Argument(help="Git's file of their version.")],
    path: Annotated[Path, typer.Argument(help="Where the journal will stand.")],
) -> None:
    """Join two versions of a journal for git, which calls this by itself."""
    from danku.roles.merging import merge_for_git
    from danku.roles.workspace import NoWorkspace

    try:
        workspace = session.workspace
    except NoWorkspace:
        workspace = None
    joined = merge_for_git(workspace, ours, theirs, path, key=lambda: _key(session))
    value = _value(joined, path)
    lines = [f"danku: {line}" for line in _told(joined, value)]
    session.emit(value, lambda: session.err.tell("\n".join(lines)))


def install_driver(session: Session) -> None:
    """Have git join journals by itself in this clone; doing it again changes nothing."""
    from danku.roles.merge_driver import install_driver as install

    done = install(session.workspace)
    value = {
        "repository": str(done.repository),
        "attributes": str(done.attributes),
        "command": done.command,
    }
    session.emit(value, lambda: session.out.tell(f"installed; commit {done.attributes}"))


def _key(session: Session) -> PrivateKey | None:
    from danku.errors import UsageError

    try:
        return session.key
    except UsageError:
        return None


def _value(joined: Joined, journal: Path) -> dict[str, Any]:
    from danku.crypto.hashing import to_hex
    from danku.ledger.embedded.refusals import refusals_file
    from danku.protocol.actions import kind_of

    merged = joined.merged
    return {
        "journal": str(journal),
        "head": to_hex(merged.replay.head),
        "lines": len(merged.lines),
        "kept": joined.kept,
        "resolved": joined.resolved,
        "moved": [
            {
                "digest": item.digest,
                "kind": item.kind,
                "sender": item.sender,
                "sequence": item.sequence,
                "time": item.time,
            }
            for item in merged.moved
        ],
        "refused": [
            {
                "digest": to_hex(item.action.digest),
                "kind": kind_of(item.action.action),
                "sender": item.action.sender,
                "rule": item.rule,
                "what": item.what,
            }
            for item in merged.refused
        ],
        "refused_file": str(refusals_file(journal)) if merged.refused else None,
    }


def _told(joined: Joined, value: dict[str, Any]) -> list[str]:
    said = [f"{joined.kept} stays; {len(value['moved'])} action(s) moved behind it"]
    for item in value["refused"]:
        said.append(f"refused {item['kind']} of {item['sender']}: {item['rule']}, {item['what']}")
    if value["refused"]:
        said.append(f"what was refused is in {value['refused_file']}; danku status shows it")
    return [*said, f"head {value['head']}"]


def register(group: typer.Typer) -> None:
    """Add the commands to `danku ledger`."""
    command(group, "merge", "danku ledger merge ledger-of-bob.jsonl")(merge)
    command(group, "install-driver", "danku ledger install-driver")(install_driver)
    example = "danku ledger merge-driver BASE OURS THEIRS challenges/ledger.jsonl"
    command(group, "merge-driver", example, hidden=True)(merge_driver)
