"""How things look in a terminal: times, amounts, panels and tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from rich import box
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from danku.cli.drawing import Bar, Mark, Rule, Spark, buckets, elapsed
from danku.cli.terminal import verbatim
from danku.roles.stages import calendar, span, window_state

if TYPE_CHECKING:
    from danku.ledger.ethereum.sender import Quote
    from danku.protocol.state import Challenge
    from danku.roles.auditor import Report
    from danku.roles.board import Board, Line

SHOWN = 50
"""Rows of a leaderboard in a terminal, unless all are asked for."""
WIDE = 104
"""Columns of a terminal from which on scores have bars."""
FEW = 8
"""Scores of which a distribution says nothing."""
MEDALS = {1: "bold yellow", 2: "bold white", 3: "bold dark_orange"}
NUMBERS = {
    "score",
    "amount",
    "rank",
    "no.",
    "pot",
    "before",
    "after",
    "change",
    "payout",
    "value",
    "balance",
    "owed",
    "lost",
    "stake",
}
MARKS = {True: "[green]ok[/]", False: "[bold red]FAILED[/]", None: "[dim]not reached[/]"}
STATUS_COLOURS = {
    "ranked": "green",
    "duplicate": "yellow",
    "rejected": "red",
    "unopened": "red",
    "unavailable": "red",
}


def moment(seconds: int) -> str:
    """A ledger time as UTC to the second."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def coin(wei: int) -> str:
    """Wei as the chain's coin, to six significant digits."""
    return f"{wei / 10**18:.6g} ether"


def cost(quote: Quote) -> str:
    """What a transaction costs, in a line."""
    from danku.ledger.ethereum.fees import gwei

    each = min(quote.base_fee + quote.fees.tip, quote.fees.most)
    carried = f", and carries {coin(quote.value)}" if quote.value else ""
    return (
        f"{quote.what}: {quote.gas:,} gas, about {coin(quote.expected)} at {gwei(each)} gwei each, "
        f"never more than {coin(quote.ceiling)}{carried}"
    )


def relative(when: int, now: int) -> str:
    """A time as seen from now: "in 3h 5m" or "2d 1h ago"."""
    return f"in {span(when - now)}" if when > now else f"{span(now - when)} ago"


def amount(units: int) -> str:
    """Money with thousands separators."""
    return f"{units:,}"


def short(identifier: str) -> str:
    """The beginning of an address or digest, enough to tell it apart and to type it."""
    return identifier[:10] + "…"


def table(title: str | Text, columns: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> Table:
    """A plain table; strings may carry markup, so what others wrote must be `verbatim` text."""
    drawn = _simple(title, columns)
    for row in rows:
        drawn.add_row(*row)
    return drawn


def _simple(title: str | Text, columns: Sequence[str]) -> Table:
    drawn = Table(
        title=title or None,
        title_justify="left",
        header_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for column in columns:
        justify: Literal["left", "right"] = "right" if column in NUMBERS else "left"
        drawn.add_column(column, justify=justify, overflow="fold")
    return drawn


def facts(title: str, pairs: Iterable[tuple[str, str]]) -> Panel:
    """A panel of names and values, all without markup."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim")
    grid.add_column(overflow="fold")
    for name, value in pairs:
        grid.add_row(name, verbatim(value))
    return Panel(grid, title=verbatim(title), title_align="left")


def windows(challenge: Challenge, now: int, *, width: int = 80) -> Table:
    """The calendar: what is done, what goes on and for how long; a stage at its first window."""
    bars = width >= WIDE
    columns = ("", "stage", "step", "who", *([""] * bars), "closes (UTC)", "")
    drawn = _simple("", columns)
    named = ""
    for window in calendar(challenge):
        state = window_state(challenge, window, now)
        current = window.opens <= now < window.closes
        style = "bold" if current else "dim" if window.closes <= now else ""
        cells: list[str | Bar] = [
            window.stage if window.stage != named else "",
            window.name,
            window.who,
            *([Bar(elapsed(window, now), style="cyan" if current else "dim")] * bars),
            moment(window.closes)[len("2026-") : len("2026-11-22 21:57")],
            relative(window.closes, now),
        ]
        named = window.stage
        styled = [Text(cell, style) if isinstance(cell, str) else cell for cell in cells]
        drawn.add_row(Mark(state), *styled)
    return drawn


def leaderboard(
    board: Board,
    names: Mapping[str, str] | None = None,
    limit: int | None = None,
    *,
    width: int = 80,
) -> Table:
    """The leaderboard; ``names`` may give addresses readable names, ``limit`` cuts its end off.

    Scores have bars where the terminal is wide enough for them.
    """
    bars = width >= WIDE
    better = "higher" if board.higher_is_better else "lower"
    title = f"{board.title}\n{board.metric}, {better} is better, threshold "
    title += f"{_six_places(board.threshold)}; {board.tie_break}"
    columns = ("rank", "score", *([""] * bars), "submitter", "no.", "status", "reason")
    drawn = _simple(verbatim(title, "table.title"), columns)
    ranked = [line for line in board.lines if line.rank is not None]
    below = next((line for line in ranked if not line.passes), None)
    scores = [float(line.score) for line in ranked if line.score]
    for line in board.lines[:limit]:
        if line is below and line is not ranked[0]:
            dashes = [Rule("yellow")] * bars
            drawn.add_row("", f"[yellow]{_six_places(board.threshold)}[/]", *dashes, "threshold")
        rank, score, bar, *rest = _line(board, line, scores, names or {})
        drawn.add_row(rank, score, *([bar] * bars), *rest)
    return drawn


def _line(
    board: Board, line: Line, scores: Sequence[float], names: Mapping[str, str]
) -> list[str | Text | Bar]:
    colour = STATUS_COLOURS.get(line.status, "") if line.passes is not False else "default"
    status = {True: "passes", False: "below threshold", None: line.status}[line.passes]
    medal = MEDALS.get(line.rank or 0, "bold") if line.passes else ""
    bar: str | Bar = ""
    if line.rank is not None and line.score is not None:
        bar = Bar(_share(float(line.score), scores, board.higher_is_better), 14, colour)
    return [
        Text(str(line.rank or "–"), medal),
        Text(_six_places(line.score) if line.score else "–", "bold" if line.passes else ""),
        bar,
        verbatim(names.get(line.submitter, short(line.submitter))),
        str(line.submission),
        Text(status, colour),
        verbatim(line.reason),
    ]


def _share(score: float, scores: Sequence[float], higher: bool) -> float:
    """How far a score is from the worst, which keeps a stub, to the best."""
    low, high = min(scores), max(scores)
    part = (score - low) / (high - low) if high > low else 1.0
    return 0.06 + 0.94 * (part if higher or high == low else 1 - part)


def distribution(board: Board) -> Table | None:
    """The scores of the ranked submissions as one line; None where there are few."""
    scores = [float(line.score) for line in board.lines if line.rank is not None and line.score]
    if len(scores) < FEW:
        return None
    grid = Table.grid(padding=(0, 1))
    low, high = (_six_places(f"{score:.9f}") for score in (min(scores), max(scores)))
    grid.add_row("scores", low, Spark(buckets(scores)), high, f"{len(scores):,} ranked")
    return grid


def committee(board: Board) -> Table:
    """The staked seats that judged, and what each lost."""
    rows = [
        (
            str(seated.round),
            str(seated.seat),
            verbatim(short(seated.owner)),
            seated.vote,
            amount(seated.lost) if seated.lost else "",
        )
        for seated in board.committee
    ]
    return table("", ("round", "seat", "owner", "vote", "lost"), rows)


def left_out(total: int, where: str) -> str:
    """What a table that was cut off says of the rest; nothing where nothing was."""
    return f"{total - SHOWN:,} more of {total:,}; {where} shows all" if total > SHOWN else ""


def _six_places(score: str) -> str:
    """A score's first six places; the JSON output has all nine."""
    whole, _, places = score.partition(".")
    return f"{whole}.{places[:6]}"


def verification(report: Report) -> Table:
    """The numbered steps of a verification."""
    rows = [
        (str(step.number), step.name, MARKS[step.ok], verbatim(step.detail))
        for step in report.steps
    ]
    return table("", ("step", "what", "", "detail"), rows)
