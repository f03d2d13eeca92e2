"""`danku init` and `danku demo`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from danku.cli.session import Session, command

if TYPE_CHECKING:
    from danku.roles.workspace import Workspace
    from danku.storage.settings import StorageSettings


def init(
    session: Session,
    folder: Annotated[Path, typer.Argument(help="The new workspace.")] = Path(),
    join: Annotated[
        Path | None,
        typer.Option("--join", help="Folder of an existing public record: ledger and blobs."),
    ] = None,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Play money for all, and time that can be moved.")
    ] = False,
    treasurer: Annotated[
        str | None, typer.Option("--treasurer", help="Address that may grant money.")
    ] = None,
    play_money: Annotated[
        int, typer.Option("--play-money", help="What every address starts with in a sandbox.")
    ] = 10_000_000,
    stake: Annotated[
        int,
        typer.Option(
            "--stake", min=0, help="Deposit of one validator's seat; 0 for no staked validators."
        ),
    ] = 100_000,
    unbonding: Annotated[
        str, typer.Option("--unbonding", help="How long a stake stays bound after leaving.")
    ] = "30d",
    ci: Annotated[
        str | None,
        typer.Option("--ci", metavar="SYSTEM", help="Write a pipeline: github or gitlab."),
    ] = None,
) -> None:
    """Make a workspace: danku.toml, challenges/ with the ledger, keys/, private/.

    In a git repository, git learns to merge the ledger as well. With --ci an existing workspace
    gets the pipeline and nothing else.
    """
    from danku.roles.pipelines import check_system, write_pipeline
    from danku.roles.setup import make_workspace, registry_terms
    from danku.roles.workspace import CONFIG, Workspace

    if ci is not None:
        check_system(ci)
    root = folder.resolve()
    if ci is not None and (root / CONFIG).exists():
        made = Workspace(root)
    else:
        made = make_workspace(
            root,
            join=join.resolve() if join else None,
            sandbox=sandbox,
            treasurer=treasurer,
            play_money=play_money,
            registry=registry_terms(stake, unbonding),
        )
    pipeline = write_pipeline(made.root, ci) if ci is not None else None
    value = {
        "workspace": str(made.root),
        "ledger": str(made.journal),
        "ledger_head": made.ledger.head(),
        "chain_id": made.ledger.chain_id,
        "merge_driver": _install_driver(session, made),
        "pipeline": str(pipeline) if pipeline else None,
    }

    def show() -> None:
        session.out.tell(f"workspace {made.root}, ledger {made.journal}")
        if pipeline is not None:
            session.out.tell(f"pipeline {pipeline}")
            session.say("it begins with what it needs: a secret, and the right to push")
        session.say("next: danku keys new NAME" + _where(folder))

    session.emit(value, show)


def _install_driver(session: Session, made: Workspace) -> str | None:
    """Have git merge the ledger, where there is git; the file of attributes to commit."""
    from danku.errors import DankuError
    from danku.ledger.embedded.repository import Repository
    from danku.roles.merge_driver import install_driver

    if Repository.around(made.journal) is None:
        return None
    try:
        return str(install_driver(made).attributes)
    except DankuError as error:
        session.say(f"git does not merge the ledger yet: {error.what}; danku ledger install-driver")
        return None


def _where(folder: Path) -> str:
    return f" --workspace {folder}" if folder != Path() else ""


def demo(
    session: Session,
    keep: Annotated[
        Path | None, typer.Option("--keep", help="Keep the sandbox in this new folder.")
    ] = None,
    storage: Annotated[
        str,
        typer.Option(
            "--storage", envvar="DANKU_STORAGE", help="Where blobs are kept: embedded or ipfs."
        ),
    ] = "embedded",
    api: Annotated[
        str | None,
        typer.Option(
            "--api", metavar="MULTIADDR", envvar="DANKU_IPFS_API", help="The IPFS node's RPC API."
        ),
    ] = None,
) -> None:
    """Play a whole competition on real data in a throw-away sandbox, and verify it.

    With --storage ipfs all that becomes public goes through an IPFS node, which has to run.
    """
    from danku.cli.narrator import Narrator
    from danku.demo.play import play

    narrator = Narrator(session.err if session.json else session.out, quiet=session.json)
    story = play(narrator, keep, _demo_storage(storage, api))
    session.emit(story, lambda: None)
    if not story["verification"]["ok"]:
        raise typer.Exit(7)


def _demo_storage(kind: str, api: str | None) -> StorageSettings | None:
    """The settings of a demo's store; for IPFS, of a node that answers."""
    from danku.errors import UsageError
    from danku.storage.settings import DEFAULT_API, KINDS, StorageSettings

    if kind not in KINDS:
        raise UsageError(f"there is no store {kind!r}", fix=f"use one of {', '.join(KINDS)}")
    if kind == "embedded":
        return None
    from danku.storage.node import Node
    from danku.storage.source import Patience

    Node(api or DEFAULT_API, Patience()).version()
    return StorageSettings(kind="ipfs", api=api or DEFAULT_API)


def register(app: typer.Typer) -> None:
    """Add the commands to the top level."""
    command(app, "init", "danku init my-competition --sandbox")(init)
    command(app, "demo", "danku demo --json")(demo)
