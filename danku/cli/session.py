"""What every command shares: its common options, the workspace, the key, and where output goes."""

from __future__ import annotations

import functools
import inspect
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from danku.cli.completion import challenge_names, key_names
from danku.errors import UsageError

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

    from danku.cli.terminal import Terminal
    from danku.crypto.signatures import PrivateKey
    from danku.ledger.ethereum.sender import Quote
    from danku.protocol.state import Challenge
    from danku.roles.progress import Progress
    from danku.roles.workspace import Workspace

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
AsOption = Annotated[
    str | None,
    typer.Option(
        "--as",
        metavar="KEY",
        envvar="DANKU_AS",
        help="Key name, address or file.",
        autocompletion=key_names,
    ),
]
WorkspaceOption = Annotated[
    Path | None,
    typer.Option("--workspace", metavar="DIR", envvar="DANKU_WORKSPACE", help="The workspace."),
]
ChallengeName = Annotated[
    str, typer.Argument(help="A challenge's name or id.", autocompletion=challenge_names)
]
"""What most commands take first."""
VerboseOption = Annotated[bool, typer.Option("--verbose", help="Show where an error arose.")]
COMMON = {
    "json_": (JsonOption, False),
    "yes": (YesOption, False),
    "as_": (AsOption, None),
    "workspace": (WorkspaceOption, None),
    "verbose": (VerboseOption, False),
}


class Declined(UsageError):
    """The user did not confirm, or could not be asked."""


class Session:
    """One command's run."""

    def __init__(
        self,
        *,
        json_: bool,
        yes: bool,
        as_: str | None,
        workspace: Path | None,
        verbose: bool = False,
    ) -> None:
        self.json = json_
        self.verbose = verbose
        self.yes = yes
        self.key_name = as_
        self._root = workspace
        self._shown: list[Bars] = []
        self._bars = ExitStack()
        self._report: Progress | None = None

    @cached_property
    def out(self) -> Terminal:
        """Results, on stdout."""
        from danku.cli.terminal import Terminal

        return Terminal()

    @cached_property
    def err(self) -> Terminal:
        """Progress and advice, on stderr."""
        from danku.cli.terminal import Terminal

        return Terminal(stderr=True)

    @cached_property
    def workspace(self) -> Workspace:
        """The workspace that the command acts on."""
        from danku.roles.workspace import Workspace, find_workspace

        root = self._root.resolve() if self._root else find_workspace(Path.cwd())
        found = Workspace(root)
        found.approve, found.reading = self.approve, self._reading
        return found

    @cached_property
    def key(self) -> PrivateKey:
        """The unlocked key of `--as`, or of DANKU_PRIVATE_KEY."""
        from danku.cli.unlock import unlock_key

        return unlock_key(self.workspace.keys, self.key_name)

    @cached_property
    def address(self) -> str:
        """The address of `--as`, without unlocking its key."""
        from danku.cli.unlock import address_of_key

        return address_of_key(self.workspace.keys, self.key_name)

    def challenge(self, text: str) -> Challenge:
        """The challenge that a command's argument means."""
        from danku.roles.names import resolve

        return self.workspace.challenge(resolve(self.workspace, text))

    def emit(self, value: Any, show: Callable[[], None]) -> None:
        """The command's result: as JSON if asked for, else as ``show`` prints it."""
        if self.json:
            print(json.dumps(value, indent=2, sort_keys=False))
        else:
            show()

    def say(self, text: str, style: str = "") -> None:
        """One line of advice on stderr; silent with --json."""
        if not self.json:
            self.err.tell((text, style))

    def confirm(self, question: str) -> None:
        """Go on only if the user agrees, or said so with --yes.

        Raises:
            Declined: no, or nobody to ask.
        """
        from danku.cli.terminal import printable

        if self.yes:
            return
        if not sys.stdin.isatty():
            raise Declined(
                "this needs a confirmation, and nobody can be asked here",
                why=question,
                fix="add --yes",
            )
        if not typer.confirm(printable(question), err=True):
            raise Declined("declined; nothing was done", fix="run it again, or add --yes")

    def approve(self, quote: Quote) -> None:
        """Show what a transaction costs, and go on only if the user agrees.

        Raises:
            Declined: as `confirm`.
        """
        from danku.cli.render import cost

        for bars in self._shown:
            bars.stop()
        self.say(cost(quote))
        self.confirm(f"send the {quote.what}?")
        for bars in self._shown:
            bars.start()

    def _reading(self, what: str, done: int, total: int) -> None:
        """Show how far reading a ledger has come; the bar goes when it is done."""
        report = self._bars.enter_context(self.progress()) if self._report is None else self._report
        self._report = report
        report(what, done, total)
        if done >= total:
            self._bars.close()
            self._report = None

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """A progress bar on stderr for steps of more than a moment; hidden with --json."""
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        hidden = self.json or not self.err.is_terminal
        with Bars(*columns, console=self.err, transient=True, disable=hidden) as bars:
            self._shown.append(bars)
            tasks: dict[str, Any] = {}

            def report(what: str, done: int, total: int) -> None:
                if what not in tasks:
                    tasks[what] = bars.add_task(what, total=total)
                bars.update(tasks[what], completed=done, total=total)

            try:
                yield report
            finally:
                self._shown.remove(bars)


def command(
    group: typer.Typer, name: str, example: str, *, hidden: bool = False
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function as a command that also takes the common options.

    The function's first parameter receives the `Session`; ``example`` ends its help.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(function, eval_str=True)
        own = list(signature.parameters.values())[1:]
        common = [
            inspect.Parameter(
                key, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
            )
            for key, (annotation, default) in COMMON.items()
        ]

        @functools.wraps(function)
        def run(**values: Any) -> None:
            common = {key: values.pop(key) for key in COMMON}
            # NOTE: `danku.cli.app.main` looks for --verbose itself, also where this fails.
            session = Session(**common)
            function(session, **values)

        own = [item.replace(kind=inspect.Parameter.KEYWORD_ONLY) for item in own]
        run.__signature__ = signature.replace(parameters=[*own, *common])  # type: ignore[attr-defined]
        run.__annotations__ = {item.name: item.annotation for item in (*own, *common)}
        del run.__wrapped__
        summary = inspect.getdoc(function)  # else lists of commands cut it off
        epilog = "Example: " + example
        group.command(name, epilog=epilog, short_help=summary, hidden=hidden)(run)
        return function

    return register
