"""The commands that there are, and whether words are one of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import typer.main

from danku.cli.app import app


def _walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if hasattr(command, "commands"):
        for name, below in command.commands.items():
            yield from _walk(below, (*path, name))
    else:
        yield path, command


ROOT: Any = typer.main.get_command(app)
COMMANDS: dict[tuple[str, ...], Any] = dict(_walk(ROOT, ()))


def parse(words: Sequence[str]) -> tuple[str, ...]:
    """The path of the command that words (without `danku`) call; nothing is run.

    Raises:
        Exception: there is no such command or option, or an argument is missing.
    """
    rest = list(words)
    command, path = ROOT, ()
    while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        path = (*path, rest.pop(0))
        command = command.commands[path[-1]]
    if path in COMMANDS:
        command.make_context("danku", rest)
    elif rest not in ([], ["--help"], ["--version"]):
        raise ValueError(f"danku {' '.join(words)} is no command")
    return path
