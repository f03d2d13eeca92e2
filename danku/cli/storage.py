"""`danku storage`: where blobs are kept, looked for, and how long."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from danku.cli.session import Session, command

if TYPE_CHECKING:
    from danku.protocol.state import Challenge
    from danku.storage.network import NetworkStore

app = typer.Typer(name="storage", help="Where blobs are kept and looked for.", no_args_is_help=True)
INCOMPLETE = 6
"""Exit code where something could not be had."""

ChallengeNames = Annotated[
    list[str] | None, typer.Argument(help="Challenges' names or ids; else all that are not final.")
]


@command(app, "status", "danku storage status --json")
def status(session: Session) -> None:
    """Show the settings, what each source answers, and what is kept."""
    from danku.roles.prefetch import network_store
    from danku.roles.storage_report import report

    found = report(session.workspace, network_store(session.workspace))

    def show() -> None:
        from danku.cli.render import table
        from danku.cli.terminal import verbatim

        plain = [(key, verbatim(_words(value))) for key, value in found.items() if key != "sources"]
        session.out.print(table("", ("", ""), plain))
        if found["sources"]:
            told = [
                (verbatim(each["name"]), "yes" if each["ok"] else "no", verbatim(each["detail"]))
                for each in found["sources"]
            ]
            session.out.print(table("", ("source", "works", "detail"), told))

    session.emit(found, show)
    if not all(each["ok"] for each in found["sources"]):
        raise typer.Exit(INCOMPLETE)


def _words(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


@command(app, "use", "danku storage use ipfs --gateway https://gateway.example")
def use(
    session: Session,
    kind: Annotated[str, typer.Argument(help="embedded or ipfs.")],
    api: Annotated[
        str | None, typer.Option("--api", metavar="MULTIADDR", help="The own node's RPC API.")
    ] = None,
    peer: Annotated[
        list[str] | None,
        typer.Option("--peer", metavar="MULTIADDR", help="Another's node; repeatable."),
    ] = None,
    gateway: Annotated[
        list[str] | None,
        typer.Option("--gateway", metavar="URL", help="A gateway to read from; repeatable."),
    ] = None,
    keep_days: Annotated[
        int | None,
        typer.Option("--keep-days", min=0, help="How long blobs stay pinned after the end."),
    ] = None,
) -> None:
    """Choose the store, and write it to danku.toml; the node has to answer."""
    import msgspec

    from danku.errors import UsageError
    from danku.roles.storage_settings import write_storage
    from danku.roles.workspace import read_settings
    from danku.storage.gateway import Gateway
    from danku.storage.node import Node
    from danku.storage.settings import KINDS, StorageSettings
    from danku.storage.source import Patience

    workspace = session.workspace
    if kind not in KINDS:
        raise UsageError(f"there is no store {kind!r}", fix=f"use one of {', '.join(KINDS)}")
    given = {
        "kind": kind,
        "api": api,
        "peers": peer or None,
        "gateways": gateway or None,
        "keep_days": keep_days,
    }
    before = read_settings(workspace.root).storage
    changed = {name: value for name, value in given.items() if value is not None}
    settings = msgspec.convert({**msgspec.structs.asdict(before), **changed}, StorageSettings)
    for address in settings.gateways:
        Gateway(address, Patience())
    node = Node(settings.api, Patience()).version() if kind == "ipfs" else None
    write_storage(workspace, settings)
    value = {**msgspec.to_builtins(settings), "node": node}

    def show() -> None:
        session.out.tell(f"blobs are kept by {node or 'the shared folder'}")
        if node is not None:
            session.say("danku storage pin has the node keep what unfinished challenges need")

    session.emit(value, show)


@command(app, "pin", "danku storage pin digits")
def pin(session: Session, challenges: ChallengeNames = None) -> None:
    """Fetch all that challenges need, and have the own node keep and serve it."""
    _obtain(session, challenges, pinned=True)


@command(app, "fetch", "danku storage fetch digits")
def fetch(
    session: Session,
    what: Annotated[
        list[str] | None,
        typer.Argument(help="Challenges, or one CID; else all challenges that are not final."),
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="For a CID: where to write it.")
    ] = None,
) -> None:
    """Fetch all that challenges need, or one blob; goes on where it stopped before."""
    from danku.errors import UsageError
    from danku.storage.cid import UnknownCid, check_cid

    try:
        cid = check_cid(what[0]) if what and len(what) == 1 else None
    except UnknownCid:
        cid = None
    if cid is not None:
        _fetch_blob(session, cid, to)
    elif to is not None:
        raise UsageError("--to goes with one CID", fix="danku storage fetch CID --to FILE")
    else:
        _obtain(session, what, pinned=False)


@command(app, "gc", "danku storage gc --dry-run")
def gc(
    session: Session,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be taken back.")
    ] = False,
) -> None:
    """Unpin, and remove from the cache, what no challenge needs and whose time is over."""
    from danku.roles.storage import collect

    store = _network(session)
    planned = collect(session.workspace, store, now=int(time.time()), dry_run=True)
    amount = len(planned.unpinned) + len(planned.removed)
    if amount and not dry_run:
        session.confirm(
            f"unpin {len(planned.unpinned)} blobs and remove {len(planned.removed)} files?"
        )
        planned = collect(session.workspace, store, now=int(time.time()))
    value = {
        "dry_run": dry_run,
        "unpinned": list(planned.unpinned),
        "removed": list(planned.removed),
        "kept": planned.kept,
    }
    verb = "would be" if dry_run else "were"
    session.emit(
        value,
        lambda: session.out.tell(
            f"{len(planned.unpinned)} blobs {verb} unpinned, {len(planned.removed)} files {verb} "
            f"removed; {planned.kept} pins stay"
        ),
    )


def _network(session: Session) -> NetworkStore:
    from danku.errors import UsageError
    from danku.roles.prefetch import network_store

    store = network_store(session.workspace)
    if store is None:
        raise UsageError(
            "this workspace's blobs lie in the shared folder, and nowhere else",
            why="there is no node to keep them and no gateway to fetch them from",
            fix="danku storage use ipfs, or danku storage use embedded --gateway URL",
        )
    return store


def _chosen(session: Session, names: list[str] | None) -> list[Challenge]:
    if names:
        return [session.challenge(name) for name in names]
    challenges = session.workspace.state().challenges.values()
    return [challenge for challenge in challenges if challenge.settlement is None]


def _obtain(session: Session, names: list[str] | None, *, pinned: bool) -> None:
    from danku.errors import UsageError
    from danku.roles.names import name_of
    from danku.roles.storage import obtain

    store = _network(session)
    if pinned and store.node is None:
        raise UsageError("there is no node that could pin", fix="danku storage use ipfs")
    value = []
    lines = []
    with session.progress() as progress:
        for challenge in _chosen(session, names):
            found = obtain(session.workspace, store, challenge, progress, pin=pinned)
            name = name_of(session.workspace, challenge.id) or challenge.id
            value.append(
                {
                    "challenge": challenge.id,
                    "here": [need.cid for need in found.here],
                    "missing": [
                        {"cid": need.cid, "what": need.what, "why": why}
                        for need, why in found.missing
                    ],
                    "pinned": found.pinned,
                }
            )
            lines.append(
                f"{name}: {len(found.here)} blobs here"
                + (f", {found.pinned} newly pinned" if pinned else "")
            )
            lines += [f"  {need.what} {need.cid}: {why}" for need, why in found.missing]
    session.emit(value, lambda: session.out.tell("\n".join(lines) or "no challenge is unfinished"))
    if any(each["missing"] for each in value):
        raise typer.Exit(INCOMPLETE)


def _fetch_blob(session: Session, cid: str, to: Path | None) -> None:
    store = _network(session)
    with session.progress() as progress:
        store.obtain(
            cid, None, lambda done, total: progress("fetching (KiB)", done >> 10, total >> 10)
        )
    if to is not None:
        store.fetch(cid, to)
    value = {"cid": cid, "file": str(to) if to else None}
    session.emit(value, lambda: session.out.tell(f"{cid} is here" + (f": {to}" if to else "")))
