"""`danku explain`: what a word, a rule, a reason or an exit code means."""

from __future__ import annotations

from itertools import groupby
from typing import Annotated

import typer

from danku.cli.completion import words
from danku.cli.session import Session, command


def explain(
    session: Session,
    word: Annotated[
        list[str] | None,
        typer.Argument(
            help="A word, rule, reason of rejection or exit code; else all are listed.",
            metavar="[WORD]",
            autocompletion=words,
        ),
    ] = None,
) -> None:
    """Explain a word of danku's, a rule that refused something, a rejection, or an exit code."""
    from danku.cli.render import table
    from danku.cli.terminal import verbatim
    from danku.roles.glossary import entries
    from danku.roles.glossary import explain as look_up

    if word:
        found = look_up(" ".join(word))

        def show() -> None:
            for entry in found:
                session.out.tell((entry.name, "bold"), f"  ({entry.kind})")
                session.out.print(verbatim(f"  {entry.meaning}"))
                if entry.more:
                    session.out.tell(("  → " if _unicode(session) else "  > ", "dim"), entry.more)

        session.emit([entry.plain() for entry in found], show)
        return

    def show_all() -> None:
        for kind, group in groupby(entries(), key=lambda entry: entry.kind):
            rows = [(verbatim(entry.name, "bold"), verbatim(entry.meaning)) for entry in group]
            session.out.print(table(f"[bold]{kind}[/]", (kind, "meaning"), rows))

    session.emit([entry.plain() for entry in entries()], show_all)


def _unicode(session: Session) -> bool:
    return not session.out.options.ascii_only


def register(app: typer.Typer) -> None:
    """Add the command to the top level."""
    command(app, "explain", "danku explain train-fallback")(explain)
