"""What an unattended run tells a CI system: JUnit XML, a Markdown summary, annotations.

A report is public and a vote is sealed, so nothing of a challenge's evaluation is told before the
window in which votes are committed is over: whoever read it could vote it without evaluating.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.etree import ElementTree

from danku.roles.board import Board, Line

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~@&:$])")
_FAILURES = ("rejected", "unavailable", "unopened")
ROWS = 100
"""Of a challenge in a job summary, which GitHub takes up to a megabyte of."""
WARNINGS = 10
"""Of a challenge; GitHub shows no more of a step."""


@dataclass(frozen=True)
class Report:
    """One challenge in a run; ``error`` is what went wrong, empty if nothing."""

    board: Board
    done: tuple[str, ...] = ()
    next: str = ""
    """What comes, and when."""
    error: str = ""


def junit(reports: Sequence[Report]) -> bytes:
    """JUnit XML: a suite a challenge, a case a submission.

    Rejected, unavailable and unopened ones are failures with their reason, those without a public
    verdict are skipped, and what went wrong in the run itself is an error.
    """
    root = ElementTree.Element("testsuites", name="danku")
    for report in reports:
        suite = ElementTree.SubElement(root, "testsuite", name=_xml(report.board.name))
        counts = Counter(tests=0, failures=0, errors=0, skipped=0)
        for line in report.board.lines:
            counts["tests"] += 1
            case = ElementTree.SubElement(
                suite,
                "testcase",
                classname=_xml(report.board.name),
                name=f"submission {line.submission} of {line.submitter}",
            )
            counts.update(_tell(case, line))
        if report.error:
            counts["tests"] += 1
            counts["errors"] += 1
            case = ElementTree.SubElement(
                suite, "testcase", classname=_xml(report.board.name), name="validator run"
            )
            ElementTree.SubElement(case, "error", message=_xml(report.error))
        for name, count in counts.items():
            suite.set(name, str(count))
    data: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return data + b"\n"


def _tell(case: ElementTree.Element, line: Line) -> list[str]:
    """Put a submission's outcome into its case; the counts that it adds to."""
    if line.status in _FAILURES:
        message = _xml(f"{line.status}: {line.reason}" if line.reason else line.status)
        ElementTree.SubElement(case, "failure", type=line.status, message=message)
        return ["failures"]
    if line.score is None:
        ElementTree.SubElement(case, "skipped", message=f"{line.status}, not judged in public yet")
        return ["skipped"]
    output = ElementTree.SubElement(case, "system-out")
    rank = f", rank {line.rank}" if line.rank else ""
    output.text = _xml(f"{line.status} with {line.score}{rank}. {line.reason}".strip())
    return []


def _xml(text: str) -> str:
    """Text without the characters that XML 1.0 cannot hold."""
    return _NOT_XML.sub("\ufffd", text)


def markdown(reports: Sequence[Report]) -> str:
    """A job summary: each challenge's leaderboard, what was done and what comes."""
    parts = ["# danku\n"]
    if not reports:
        parts.append("No challenge to judge.\n")
    for report in reports:
        board = report.board
        better = "higher" if board.higher_is_better else "lower"
        parts.append(f"## {_plain(board.title or board.name)}\n")
        parts.append(
            f"Stage: {_plain(board.stage)}. {_plain(board.metric)}, {better} is better, "
            f"threshold {board.threshold}; {_plain(board.tie_break)}. `{board.challenge}`\n"
        )
        if report.error:
            parts.append(f"**Failed:** {_plain(report.error)}\n")
        if report.done:
            parts.append(f"Done: {_plain(', '.join(report.done))}.\n")
        if report.next:
            parts.append(f"Next: {_plain(report.next)}.\n")
        parts.append(_table(board.lines) if board.lines else "No submission yet.\n")
    return "\n".join(parts)


def _table(lines: Sequence[Line]) -> str:
    rows = [
        "| rank | score | submitter | no. | status | reason |",
        "| ---: | ---: " + "| --- " * 4 + "|",
    ]
    for line in lines[:ROWS]:
        cells = (
            str(line.rank or ""),
            line.score or "",
            f"`{line.submitter}`",
            str(line.submission),
            line.status,
            _plain(line.reason),
        )
        rows.append("| " + " | ".join(cells) + " |")
    if len(lines) > ROWS:
        rows += ["", f"{len(lines) - ROWS:,} more of {len(lines):,}; the JUnit report has all."]
    return "\n".join(rows) + "\n"


def _plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return _MARKDOWN.sub(r"\\\1", " ".join(_xml(text).split()))


def workflow_commands(reports: Sequence[Report]) -> list[str]:
    """Workflow commands of GitHub Actions: errors of the run, and warnings of rejected models."""
    told = []
    for report in reports:
        name = report.board.name
        if report.error:
            told.append(f"::error title={_property(name)}::{_data(report.error)}")
        failed = [line for line in report.board.lines if line.status in _FAILURES]
        for line in failed[:WARNINGS]:
            text = f"submission {line.submission} is {line.status}: {line.reason}"
            told.append(f"::warning title={_property(name)}::{_data(text)}")
    return told


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def due_in_words(step: str, opens: int, closes: int | None) -> str:
    """A coming step with its absolute window."""
    until = f" until {_moment(closes)}" if closes else ""
    return f"{step} from {_moment(opens)}{until}"


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
