"""Self-reported scores in a terminal: apart from what was decided, so that none is taken for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from danku.cli.render import short, table
from danku.cli.terminal import verbatim

if TYPE_CHECKING:
    from rich.table import Table

    from danku.roles.board import Board, Line

SELF_REPORTED = "self-reported"


def self_reports(board: Board, limit: int | None = None) -> Table | None:
    """What submitters say of their scores on the yardstick; None where nobody says anything.

    In the order of submission, so that it cannot be read as a ranking.
    """
    lines = sorted(board.lines, key=lambda line: line.submission)
    said = [line for line in lines if line.reported is not None]
    if not said:
        return None
    rows = [
        (str(line.submission), verbatim(short(line.submitter)), self_reported(line))
        for line in said[:limit]
    ]
    title = f"self-reported {board.metric} on the yardstick; nobody is ranked by it"
    return table(verbatim(title, "table.title"), ("no.", "submitter", SELF_REPORTED), rows)


def self_reported(line: Line) -> str:
    """What a submitter says of its score, and what became of it; nothing where it says nothing."""
    if line.reported is None:
        return ""
    became = {True: "holds", False: "false", None: "unchecked"}[line.report_holds]
    whole, _, places = line.reported.partition(".")
    return f"{whole}.{places[:6]} {became}"
