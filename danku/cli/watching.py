"""`--watch`: a command's result again and again, until the user has seen enough."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

if TYPE_CHECKING:
    from danku.cli.session import Session

Shown: TypeAlias = tuple[Any, Callable[[], None]]
"""A result as JSON would have it, and what prints it."""

WatchOption = Annotated[
    bool, typer.Option("--watch", help="Show it again as it changes; Ctrl-C ends it.")
]
EveryOption = Annotated[
    float, typer.Option("--every", min=0.2, help="Seconds between two looks with --watch.")
]
SECONDS = 2.0


def emit(session: Session, read: Callable[[], Shown], *, watch: bool, every: float) -> None:
    """The result once, or with ``watch`` whenever it is another; with --json a line each."""
    if not watch:
        session.emit(*read())
        return
    # NOTE: a screen that is drawn anew only makes sense where there is one.
    screen = session.out.is_terminal and not session.out.is_dumb_terminal
    before = ""
    try:
        while True:
            value, show = read()
            now = json.dumps(value)
            if session.json:
                if now != before:
                    print(now, flush=True)
            elif screen:
                session.out.clear()
                show()
                session.out.tell((f"every {every:g} s; Ctrl-C ends it", "dim"))
            elif now != before:
                show()
            before = now
            time.sleep(every)
    except KeyboardInterrupt:
        return
