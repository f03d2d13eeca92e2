"""The `danku` command: its groups, and the one place where errors become exit codes."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from danku import __version__
from danku.cli import (
    challenge,
    competition,
    data,
    keys,
    ledger,
    model,
    status,
    validator,
    workspace,
)
from danku.errors import DankuError

EXIT_CODES = """Exit codes: 0 done, 1 failed, 2 usage, 3 rejected by the rules, 4 not yet or nothing
due, 5 bad or missing data, 6 network or storage, 7 verification failed."""

app = typer.Typer(
    name="danku",
    help="Trustless machine-learning competitions from the terminal.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Trustless machine-learning competitions from the terminal."""


for group in (workspace, status, competition):
    group.register(app)
for group in (keys, challenge, data, model, validator, ledger):
    app.add_typer(group.app)


def _report(error: DankuError) -> None:
    from rich.console import Console
    from rich.markup import escape

    if "--json" in sys.argv:
        fields = {"error": error.name, "what": error.what, "why": error.why, "fix": error.fix}
        print(json.dumps(fields, indent=2))
    console = Console(stderr=True, highlight=False)
    console.print(f"[bold red]{escape(error.name)}[/]: {escape(error.what)}")
    if error.why:
        console.print(f"  why: {escape(error.why)}")
    if error.fix:
        console.print(f"  fix: {escape(error.fix)}")


def main() -> None:
    """Run the command line; every expected error ends in its family's exit code."""
    verbose = "--verbose" in sys.argv
    if verbose:
        sys.argv.remove("--verbose")
    try:
        app(standalone_mode=True)
    except DankuError as error:
        if verbose:
            raise
        _report(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(1)
