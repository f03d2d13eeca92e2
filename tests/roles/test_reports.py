"""Reports for CI: they parse whatever others wrote, and tell nothing before its time."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from danku.roles.board import Board, board
from danku.roles.reports import Report, due_in_words, junit, markdown, workflow_commands
from tests.demo.played import Played
from tests.roles.conftest import ArenaAt

NASTY = st.text(max_size=60) | st.sampled_from(
    ["]]>", "<script>", "a|b\n::error::x", "\x00\x1b[31m\ud800", "![x](http://x)", "%0A::stop"]
)


@pytest.fixture(scope="module")
def final(demo: Played) -> Board:
    workspace = demo.workspace()
    return board(workspace, workspace.challenge(demo.identity))


def test_a_case_for_each_submission(final: Board) -> None:
    root = ElementTree.fromstring(junit([Report(final)]))
    (suite,) = root
    assert len(suite) == len(final.lines) == int(suite.get("tests", 0))
    told = {case.get("name"): case for case in suite}
    for line in final.lines:
        case = told[f"submission {line.submission} of {line.submitter}"]
        failure = case.find("failure")
        assert (failure is not None) == (line.status in ("rejected", "unopened", "unavailable"))
        if failure is not None:
            assert line.reason in str(failure.get("message"))
        else:
            assert str(line.score) in str(case.findtext("system-out"))
    assert int(suite.get("failures", 0)) == len(suite.findall("testcase/failure")) > 0


def test_a_run_that_went_wrong_is_an_error(final: Board) -> None:
    (suite,) = ElementTree.fromstring(junit([Report(final, error="the worker died")]))
    (error,) = suite.iter("error")
    assert (error.get("message"), suite.get("errors")) == ("the worker died", "1")
    assert "::error title=breast-cancer::the worker died" in workflow_commands(
        [Report(final, error="the worker died")]
    )


def test_nothing_is_told_of_models_before_a_committee_has_decided(stages: ArenaAt) -> None:
    for step in ("submit", "open", "vote", "open_votes"):
        arena = stages(step)
        report = Report(board(arena.host, arena.challenge))
        (suite,) = ElementTree.fromstring(junit([report]))
        assert len(suite.findall("testcase/skipped")) == len(suite) == len(report.board.lines)
        assert workflow_commands([report]) == []
        rows = [row for row in markdown([report]).splitlines() if row.startswith("| ")][2:]
        assert rows and all(row.startswith("|  |  | `0x") for row in rows)


@given(NASTY, NASTY, NASTY)
def test_reports_hold_whatever_others_wrote(
    stages: ArenaAt, title: str, reason: str, error: str
) -> None:
    found = board(stages("submit").host, stages("submit").challenge)
    lines = tuple(replace(line, status="rejected", reason=reason) for line in found.lines)
    report = Report(replace(found, title=title, lines=lines), error=error)
    (suite,) = ElementTree.fromstring(junit([report]))
    assert int(suite.get("failures", 0)) == len(lines)
    shown = markdown([report])
    rows = [row for row in shown.splitlines() if row.startswith("| ")]
    assert len(rows) == 2 + len(lines)
    for row in rows[2:]:
        assert len(re.findall(r"(?<!\\)\|", row)) == 7
        assert not re.search(r"(?<!\\)<", row)
    for command in workflow_commands([report]):
        assert "\n" not in command and "\r" not in command
        assert re.match(r"::(error|warning) title=[^:,]*::", command)


def test_the_summary_shows_the_leaderboard(final: Board) -> None:
    shown = markdown([Report(final, ("vote",), due_in_words("open_vote", 0, 60))])
    assert "Done: vote." in shown
    assert "open\\_vote from 1970\\-01\\-01 00\\:00 UTC until 1970\\-01\\-01 00\\:01 UTC" in shown
    for line in final.lines:
        assert f"`{line.submitter}`" in shown
    assert "No challenge" in markdown([])
