"""How things look in a terminal: times, amounts, panels and tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from rich import box
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from danku.cli.terminal import verbatim

if TYPE_CHECKING:
    from danku.ledger.ethereum.sender import Quote
    from danku.roles.auditor import Report
    from danku.roles.board import Board
    from danku.roles.stages import Window

SHOWN = 50
"""Rows of a leaderboard in a terminal, unless all are asked for."""
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


def span(seconds: int) -> str:
    """A length of time in its two largest units."""
    parts = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2]) or "0s"


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
    for row in rows:
        drawn.add_row(*row)
    return drawn


def facts(title: str, pairs: Iterable[tuple[str, str]]) -> Panel:
    """A panel of names and values, all without markup."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim")
    grid.add_column(overflow="fold")
    for name, value in pairs:
        grid.add_row(name, verbatim(value))
    return Panel(grid, title=verbatim(title), title_align="left")


def windows(calendar: Sequence[Window], now: int) -> Table:
    """The calendar with the current window marked; a stage is named at its first window."""
    rows = []
    named = ""
    for window in calendar:
        current = window.opens <= now < window.closes
        style = "bold" if current else "dim" if window.closes <= now else "default"
        cells = (
            ">" if current else "",
            window.stage if window.stage != named else "",
            window.name,
            window.who,
            moment(window.closes)[len("2026-") : len("2026-11-22 21:57")],
            relative(window.closes, now),
        )
        named = window.stage
        rows.append(tuple(f"[{style}]{cell}[/]" for cell in cells))
    return table("", ("", "stage", "step", "who", "closes (UTC)", ""), rows)


def leaderboard(
    board: Board, names: Mapping[str, str] | None = None, limit: int | None = None
) -> Table:
    """The leaderboard; ``names`` may give addresses readable names, ``limit`` cuts its end off."""
    names = names or {}
    rows = []
    for line in board.lines[:limit]:
        colour = STATUS_COLOURS.get(line.status, "")
        status = {True: "passes", False: "below threshold", None: line.status}[line.passes]
        shown = f"[{colour}]{status}[/]" if colour else status
        rows.append(
            (
                str(line.rank or "–"),
                _six_places(line.score) if line.score else "–",
                verbatim(names.get(line.submitter, short(line.submitter))),
                str(line.submission),
                shown,
                verbatim(line.reason),
            )
        )
    better = "higher" if board.higher_is_better else "lower"
    title = f"{board.title}\n{board.metric}, {better} is better, threshold "
    title += f"{_six_places(board.threshold)}; {board.tie_break}"
    return table(
        verbatim(title, "table.title"),
        ("rank", "score", "submitter", "no.", "status", "reason"),
        rows,
    )


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
