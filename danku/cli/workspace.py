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
        str | None,
        typer.Option(
            "--treasurer", metavar="KEY", help="Who may grant money: an address, or a name."
        ),
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

    A --treasurer that is a name gets a new key in it. In a git repository, git learns to merge the
    ledger as well. With --ci an existing workspace gets the pipeline and nothing else.
    """
    from danku.crypto.signatures import checksum_address
    from danku.roles.pipelines import check_system, write_pipeline
    from danku.roles.setup import make_workspace, registry_terms
    from danku.roles.workspace import CONFIG, Workspace

    if ci is not None:
        check_system(ci)
    root = folder.resolve()
    present = ci is not None and (root / CONFIG).exists()
    if present:
        made = Workspace(root)
    else:
        made = make_workspace(
            root,
            join=join.resolve() if join else None,
            sandbox=sandbox,
            treasurer=_treasurer(root, treasurer) if treasurer and not join else None,
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
        "treasurer": made.embedded.genesis.treasurer,
    }

    def show() -> None:
        if not present:
            session.out.tell(f"workspace {made.root}, ledger {made.journal}")
        if pipeline is not None:
            session.out.tell(f"pipeline {pipeline}")
            session.say("it begins with what it needs: a secret, and the right to push")
        if present:
            return
        if granting := made.embedded.genesis.treasurer:
            session.out.tell(f"treasurer {checksum_address(granting)}")
        step = "danku keys new NAME"
        if treasurer and not treasurer.startswith("0x"):
            step = f"danku ledger grant ADDRESS AMOUNT --as {treasurer}"
        session.say(f"next: {step}{_where(folder)}")

    session.emit(value, show)


def _treasurer(root: Path, wanted: str) -> str:
    """The treasurer's address; one that has only a name yet gets a key in the workspace.

    Else nobody could begin: the ledger names its treasurer, and keys are made in a workspace.
    """
    from danku.cli.unlock import address_of_key, keep_key
    from danku.crypto.keystore import listing
    from danku.crypto.signatures import PrivateKey
    from danku.roles.workspace import CONFIG
    from danku.storage.files import make_folder

    keys = root / "keys"
    if wanted.startswith("0x") or (root / CONFIG).exists():
        return wanted
    if wanted in {file.name for file in listing(keys)}:
        return address_of_key(keys, wanted)
    make_folder(keys)
    key = PrivateKey.generate()
    keep_key(keys, wanted, key)
    return key.address


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
