"""`danku serve`: the workspace's pages in a browser."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from danku.cli.session import Session, command

PORT = 8642


def serve(
    session: Session,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65_535, help="0 takes any that is free.")
    ] = PORT,
    host: Annotated[
        str,
        typer.Option(
            "--host",
            help="The address to listen on; others than this machine's "
            "own reach it only if you say so.",
        ),
    ] = "127.0.0.1",
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", metavar="NAME", help="A name that browsers may call it by."),
    ] = None,
    run: Annotated[
        bool, typer.Option("--run/--no-run", help="Run winners' models, to plot their mistakes.")
    ] = True,
) -> None:
    """Serve the leaderboard pages of this workspace, read-only and live; Ctrl-C ends it."""
    from danku.pages.live import Pages
    from danku.pages.serve import is_loopback, server
    from danku.roles.workspace import Workspace

    session.workspace.ledger.head()
    pages = Pages(lambda: Workspace(session.workspace.root), evaluate=run)
    names = frozenset(name.lower().rstrip(".") for name in allow_host or ())
    log = (lambda line: session.say(line, "dim")) if session.verbose else (lambda line: None)
    listening = server(pages, host, port, names=names, log=log)
    bound = listening.server_address[1]
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{bound}/"
    if not is_loopback(host):
        session.say(
            f"{host} is not this machine alone: whoever reaches it reads these pages. They hold "
            "nothing but the public record",
            "yellow",
        )
    if session.json:
        print(json.dumps({"url": url, "workspace": str(session.workspace.root)}), flush=True)
    else:
        session.out.tell(url)
        session.say("read-only; Ctrl-C ends it")
    try:
        listening.serve_forever(poll_interval=0.2)
    except KeyboardInterrupt:
        pass
    finally:
        listening.server_close()
        pages.close()


def register(app: typer.Typer) -> None:
    """Add the command to the top level."""
    command(app, "serve", "danku serve --port 8642")(serve)
