"""How the demo is told: a panel a stage, a line a step, tables at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from danku.cli.render import amount, facts, leaderboard, table, verification
from danku.demo.cast import ROLES
from danku.roles.stages import span

if TYPE_CHECKING:
    from collections.abc import Mapping

    from danku.demo.cast import Actor
    from danku.errors import Rejected
    from danku.protocol.actions import Ballot
    from danku.protocol.manifest import Manifest
    from danku.protocol.state import Challenge
    from danku.roles.auditor import Report
    from danku.roles.board import Board

STAGE_TEXTS = (
    "The data is committed to before anybody knows how it will be split.",
    "Models are committed to; nobody can read or copy them.",
    "First the models are opened, then the test data.",
    "Validators evaluate bit for bit alike, and vote without seeing one another's votes.",
    "Two thirds of the votes decide; money moves only against proofs.",
)


class Narrator:
    """Tells the demo on a console, or keeps quiet."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self._console = console
        self._quiet = quiet
        self._bars: Progress | None = None
        self._task: TaskID | None = None

    def _print(self, content: object) -> None:
        if not self._quiet:
            self._console.print(content)

    def open(self, cast: Mapping[str, Actor]) -> None:
        """Introduce the actors."""
        people = [(name, ROLES[name]) for name in cast]
        self._print(facts("danku demo: a competition in which nobody trusts anybody", people))

    def stage(self, number: int, name: str) -> None:
        """Begin a stage."""
        text = STAGE_TEXTS[number - 1]
        self._print(Panel(text, title=f"{number} {name}", title_align="left", style="cyan"))

    def say(self, who: str, what: str) -> None:
        """One step of somebody's."""
        self._print(f"  [bold]{who:<12}[/] {escape(what)}")

    def refused(self, who: str, what: str, refusal: Rejected) -> None:
        """A step that the ledger refused."""
        self._print(
            f"  [bold]{who:<12}[/] {escape(what)}: [red]refused, {refusal.rule}[/]\n"
            f"  {'':<12} {escape(refusal.why)}"
        )

    def wait(self, seconds: int) -> None:
        """Sandbox time that goes by."""
        self._print(f"  [dim]… {span(seconds)} go by[/]")

    def created(self, challenge: Challenge, manifest: Manifest, rows: int) -> None:
        """What the organizer has just committed to."""
        reward = challenge.terms.reward
        terms = challenge.terms
        self._print(
            facts(
                manifest.title,
                (
                    ("challenge", challenge.id),
                    ("data", f"{rows} rows in {terms.groups} groups, {terms.test_groups} for test"),
                    ("data root", terms.data_root),
                    ("metric", f"{manifest.evaluation.metric}, exactly, by exact/1"),
                    ("pot", amount(reward.pot)),
                    ("escrow", amount(challenge.escrow)),
                ),
            )
        )

    def voted(self, name: str, ballot: Ballot, names: Mapping[str, str]) -> None:
        """A vote that was opened."""
        winner = names.get(ballot.winner, ballot.winner)
        self.say(name, f"opens its vote: {winner} wins, result {ballot.result[:14]}…")

    def leaderboard(self, board: Board, names: Mapping[str, str]) -> None:
        """The decided leaderboard."""
        self._print(leaderboard(board, names, width=self._console.width))

    def balances(
        self,
        before: Mapping[str, int],
        after: Mapping[str, int],
        payouts: Mapping[str, int],
    ) -> None:
        """Who gained and who lost."""
        rows = []
        for name in before:
            change = after[name] - before[name]
            colour = "green" if change > 0 else "red" if change < 0 else "dim"
            rows.append(
                (
                    name,
                    amount(before[name]),
                    amount(after[name]),
                    f"[{colour}]{change:+,}[/]",
                    amount(payouts.get(name, 0)),
                )
            )
        self._print(table("balances", ("who", "before", "after", "change", "payout"), rows))
        burned = sum(before.values()) - sum(after.values())
        if burned:
            self._print(f"  not claimed or burned: {amount(burned)}")

    def verified(self, report: Report, seconds: float) -> None:
        """The verification, and how long the demo took."""
        self._print(verification(report))
        if report.ok:
            self._print(f"[bold green]verified from the public record alone[/] in {seconds:.1f} s")
            self._print(f"ledger head {report.head}")

    def progress(self, what: str, done: int, total: int) -> None:
        """A bar for steps that take a while."""
        if self._quiet or not self._console.is_terminal:
            return
        if self._bars is None:
            columns = (TextColumn("  {task.description}"), BarColumn())
            self._bars = Progress(*columns, console=self._console, transient=True)
            self._bars.start()
            self._task = self._bars.add_task(what, total=total)
        if self._task is not None:
            self._bars.update(self._task, description=what, completed=done, total=total)
        if done >= total:
            self._bars.stop()
            self._bars = None
