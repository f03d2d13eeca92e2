"""Facts as HTML: templates that escape everything, one style sheet, one script, a strict policy.

The page needs nothing but itself. Its policy (CSP) allows the one script and the one style sheet
by their hashes, and no connection; the script may load the two files beside the page.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from danku import __version__
from danku.pages import text
from danku.pages.data import as_json, page_data
from danku.pages.facts import Entry, Facts
from danku.pages.icons import icon
from danku.pages.plots import plots
from danku.pages.timeline import next_step, timeline

if TYPE_CHECKING:
    from jinja2 import Environment

FIRST_ROWS = 100
"""Rows that stand in the HTML; the script draws the others a page at a time."""
PAYOUTS_SHOWN = 100


@dataclass(frozen=True)
class Step:
    """One numbered step of `danku verify`, and what of it a browser does."""

    name: str
    here: str


STEPS = (
    Step("journal", "hash chain, times, order and every signature; not the rules of each action"),
    Step("terms", "the manifest and the terms digest"),
    Step("seed", "openings against commitments, the seed, and the split that follows"),
    Step("train data", "Merkle proofs of the groups that come with this page"),
    Step("models", "openings against commitments, reports, and models that come with this page"),
    Step("test data", "as for the train data"),
    Step("votes", "openings against commitments, the count, and the result that won"),
    Step("evaluation", "not in a browser: danku verify runs every model again"),
    Step("payouts", "the payout tree and every claim's proof; not how prizes follow from scores"),
    Step("money", "this challenge's learning link; not the balance of the whole ledger"),
)
"""The names are those of `danku.roles.auditor.STEPS`."""


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("danku.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., Any]] = {
        "plain": text.plain,
        "number": text.number,
        "score": text.score,
        "moment": text.moment,
        "stamp": text.stamp,
        "short": text.short,
        "icon": icon,
        "spaced": lambda name: name.replace("_", " "),
        "capital": lambda words: words[:1].upper() + words[1:],
    }
    made.filters.update(filters)
    return made


@lru_cache(maxsize=8)
def asset(name: str) -> str:
    """A file of danku/pages/assets as text."""
    return resources.files("danku.pages").joinpath("assets", name).read_text("utf-8")


def _hash(content: str) -> str:
    digest = hashlib.sha256(content.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def policy(*, live: bool) -> str:
    """The page's Content-Security-Policy; a served page may ask its own server for news."""
    script, style = _hash(asset("page.js")), _hash(asset("page.css"))
    connect = "'self'" if live else "'none'"
    return (
        f"default-src 'none'; script-src {script} 'strict-dynamic'; style-src {style}; "
        f"connect-src {connect}; base-uri 'none'; form-action 'none'"
    )


def _render(name: str, *, live: bool, data: object, **values: Any) -> str:
    from markupsafe import Markup

    return (
        _environment()
        .get_template(name)
        .render(
            csp=Markup(policy(live=live)),
            style=Markup(asset("page.css")),
            script=asset("page.js"),
            data=as_json(data),
            version=__version__,
            **values,
        )
    )


def render_board(facts: Facts, *, live: str = "", index: str = "") -> str:
    """A challenge's page.

    Args:
        live: the version that a server which keeps the page up to date gives it.
        index: where the list of all challenges is, if there is one.
    """
    settlement = facts.challenge.settlement
    shown = facts.entries[:FIRST_ROWS]
    return _render(
        "board.html",
        live=bool(live),
        data=page_data(facts, live=live),
        index=index,
        facts=replace(facts, names=_Names(facts.names)),
        board=facts.board,
        challenge=facts.challenge,
        manifest=facts.manifest,
        record=facts.record,
        best=facts.best,
        settled=settlement is not None,
        settled_reason=facts.board.settled,
        problems=[facts.problem] if facts.problem else [],
        mechanism=facts.manifest.mechanism.name.replace("-", " "),
        passing=sum(1 for entry in facts.entries if entry.passes),
        timeline=timeline(facts),
        next_step=next_step(facts),
        second_round=2 in facts.challenge.rounds,
        statuses=sorted({entry.status for entry in facts.entries}),
        rows=list(_rows(facts, shown)),
        rows_said=rows_said(len(shown), len(facts.entries)),
        more=max(len(facts.entries) - FIRST_ROWS, 0),
        reports=facts.reports[:FIRST_ROWS],
        reports_said=rows_said(len(facts.reports[:FIRST_ROWS]), len(facts.reports), "report"),
        more_reports=max(len(facts.reports) - FIRST_ROWS, 0),
        became={True: "holds", False: "false", None: "unchecked"},
        plots=plots(facts),
        winner_problem=facts.winner.problem if facts.winner else "",
        payouts_shown=sorted(facts.payouts, key=lambda item: -item.amount)[:PAYOUTS_SHOWN],
        payouts_left=max(len(facts.payouts) - PAYOUTS_SHOWN, 0),
        steps=STEPS,
    )


def render_index(items: Iterable[Mapping[str, Any]], live: str, **values: Any) -> str:
    """The list of a ledger's challenges, kept up to date by a server."""
    return _render("index.html", live=True, data={"live": live}, items=list(items), **values)


class _Names(dict[str, str]):
    """An address without a name is no error in a template."""

    def __missing__(self, key: str) -> str:
        return ""


def rows_said(shown: int, total: int, what: str = "submission") -> str:
    """What the caption says of the rows."""
    if shown < total:
        return f"Rows 1 to {shown:,} of {total:,}."
    return f"{total:,} {what}{'' if total == 1 else 's'}."


@dataclass(frozen=True)
class Row:
    """A row of the table: an entry, or a line across it."""

    entry: Entry | None = None
    said: str = ""
    percent: str = "0"
    """How full the bar under its score is."""
    divider: str = ""
    score: int = 0
    meaning: str = ""


def _rows(facts: Facts, shown: Iterable[Entry]) -> Iterator[Row]:
    waiting = _dividers(facts)
    higher = facts.board.higher_is_better
    scores = [entry.score for entry in facts.entries if entry.score is not None]
    worst, best = (min(scores), max(scores)) if scores else (0, 0)
    for entry in shown:
        while waiting and (entry.rank is None or _beyond(entry, waiting[0].score, higher)):
            yield waiting.pop(0)
        yield Row(entry, said(entry), percent(entry.score, worst, best, higher))
    if waiting and len(facts.entries) <= FIRST_ROWS:
        yield from waiting


def _dividers(facts: Facts) -> list[Row]:
    """The threshold and the baseline, the better one first; none where nobody is ranked."""
    if facts.best is None:
        return []
    lines = [Row(divider="threshold", score=facts.threshold)]
    found = facts.winner.baseline if facts.winner else None
    if found is not None:
        lines.append(Row(divider="baseline", score=found.score, meaning=found.meaning))
    return sorted(lines, key=lambda row: -row.score if facts.board.higher_is_better else row.score)


def _beyond(entry: Entry, line: int, higher: bool) -> bool:
    score = entry.score or 0
    return score < line if higher else score > line


def percent(score: int | None, worst: int, best: int, higher: bool) -> str:
    """How far a score is on the way from the worst (which keeps a stub) to the best."""
    if score is None or best == worst:
        return "100"
    part = (score - worst) / (best - worst)
    return f"{6 + 94 * (part if higher else 1 - part):.1f}"


def said(entry: Entry) -> str:
    """An entry's status in words."""
    return {True: "passes", False: "below threshold", None: entry.status}[entry.passes]
