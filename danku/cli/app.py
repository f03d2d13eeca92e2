"""The `danku` command: its groups, and the one place where errors become exit codes."""

from __future__ import annotations

import io
import json
import sys
from typing import Annotated

import typer

from danku import __version__
from danku.cli import (
    challenge,
    competition,
    data,
    explain,
    keys,
    learn,
    ledger,
    merging,
    model,
    network,
    serve,
    status,
    storage,
    validator,
    workspace,
)
from danku.errors import DankuError, StorageError, UsageError

EXIT_CODES = """Exit codes: 0 done, 1 failed, 2 usage, 3 rejected by the rules, 4 not yet or
nothing is due, 5 bad or missing data, 6 network or storage, 7 verification failed."""

app = typer.Typer(
    name="danku",
    help="Trustless machine-learning competitions from the terminal.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # NOTE: rich help doubles the time that `danku --help` takes.
    rich_markup_mode=None,
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


for group in (workspace, status, competition, serve, explain):
    group.register(app)
merging.register(ledger.app)
for group in (keys, challenge, data, model, validator, learn, ledger, network, storage):
    app.add_typer(group.app)


class Crash(DankuError):
    """danku met an error that it does not expect: a fault of its own."""


class SystemRefused(StorageError):
    """The operating system does not let a file or a folder be used."""


def _expected(error: Exception) -> DankuError:
    """What to tell of an error that a command ended in.

    An unexpected error's own text is not told: nobody has made sure that it holds no secret.
    """
    if isinstance(error, DankuError):
        return error
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return SystemRefused(
            f"{place}{error.strerror or type(error).__name__}",
            fix="check that the file or folder is there and yours, and that the disk is not full",
        )
    return Crash(
        f"danku ended in an error that it does not expect ({type(error).__name__})",
        why="this is a fault in danku, not in what you did",
        fix="run the command again with --verbose, and report what it prints",
    )


def _misused(error: typer.TyperException) -> UsageError:
    """What to tell of words that are no command."""
    context = getattr(error, "ctx", None)
    where = context.command_path if context else "danku"
    return UsageError(error.format_message(), fix=f"{where} --help shows what it takes")


def _report(error: DankuError, name: str) -> None:
    """Say name, what, why and fix: on stderr, and with --json as an object on stdout."""
    from danku.cli.terminal import Terminal

    if "--json" in sys.argv:
        fields = {"error": name, "what": error.what, "why": error.why, "fix": error.fix}
        print(json.dumps(fields, indent=2))
    console = Terminal(stderr=True)
    console.tell((name, "bold red"), f": {error.what}")
    if error.why:
        console.tell(f"  why: {error.why}")
    if error.fix:
        console.tell(f"  fix: {error.fix}")


def _trace(error: Exception) -> None:
    import traceback

    from danku.cli.terminal import Terminal

    Terminal(stderr=True).tell("".join(traceback.format_exception(error)))


def main() -> None:
    """Run the command line; every error ends in its family's exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that has no "…" is no reason to fail
    try:
        sys.exit(app(prog_name="danku", standalone_mode=False))
    except typer.Abort:
        sys.exit(1)
    except typer.TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error.format_message(), file=sys.stderr)
        else:
            _report(_misused(error), type(error).__name__)
        sys.exit(UsageError.exit_code)
    except BrokenPipeError:
        sys.exit(1)
    except Exception as error:
        if "--verbose" in sys.argv:
            _trace(error)
        told = _expected(error)
        _report(told, told.name)
        sys.exit(told.exit_code)
