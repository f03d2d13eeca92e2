"""`danku init` and `danku demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from danku.cli.session import Session, command


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
) -> None:
    """Make a workspace: danku.toml, challenges/ with the ledger, keys/, private/."""
    from danku.roles.setup import make_workspace

    made = make_workspace(
        folder.resolve(),
        join=join.resolve() if join else None,
        sandbox=sandbox,
        treasurer=treasurer,
        play_money=play_money,
    )
    value = {
        "workspace": str(made.root),
        "ledger": str(made.journal),
        "ledger_head": made.ledger.head(),
        "chain_id": made.ledger.chain_id,
    }

    def show() -> None:
        session.out.tell(f"workspace {made.root}, ledger {made.journal}")
        session.say("next: danku keys new NAME" + _where(folder))

    session.emit(value, show)


def _where(folder: Path) -> str:
    return f" --workspace {folder}" if folder != Path() else ""


def demo(
    session: Session,
    keep: Annotated[
        Path | None, typer.Option("--keep", help="Keep the sandbox in this new folder.")
    ] = None,
) -> None:
    """Play a whole competition on real data in a throw-away sandbox, and verify it."""
    from danku.cli.narrator import Narrator
    from danku.demo.play import play

    story = play(Narrator(session.err if session.json else session.out, quiet=session.json), keep)
    session.emit(story, lambda: None)
    if not story["verification"]["ok"]:
        raise typer.Exit(7)


def register(app: typer.Typer) -> None:
    """Add the commands to the top level."""
    command(app, "init", "danku init my-competition --sandbox")(init)
    command(app, "demo", "danku demo --json")(demo)
