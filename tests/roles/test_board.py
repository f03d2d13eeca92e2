"""The leaderboard: everybody is on it, and nothing that was not ranked has a rank."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from danku.protocol.result import result_digest
from danku.roles import organizer
from danku.roles.board import Board, Line, board, decimal
from tests.demo.played import Played
from tests.roles.arena import ORGANIZER, VALIDATORS, Arena, concluded, key_of, model
from tests.roles.conftest import ArenaAt


def shown(arena: Arena) -> Board:
    return board(arena.players["carol"], arena.challenge)


def brief(line: Line) -> tuple[int, str, int | None, str | None]:
    return line.submission, line.status, line.rank, line.score


def check(found: Board) -> None:
    """What holds of every board."""
    for line in found.lines:
        assert (line.rank is not None) == (line.status == "ranked")
        assert (line.score is not None) == (line.status in ("ranked", "duplicate"))
        assert (line.passes is not None) == (line.status == "ranked")
        assert bool(line.reason) == (
            line.status in ("unopened", "rejected", "duplicate", "unavailable")
        )
    ranks = [line.rank for line in found.lines if line.rank]
    assert ranks == list(range(1, len(ranks) + 1))
    assert [line.rank for line in found.lines[: len(ranks)]] == ranks, "ranked ones stand first"
    others = [line.submission for line in found.lines[len(ranks) :]]
    assert others == sorted(others)
    assert json.loads(json.dumps(found.plain()))["lines"] is not None


def test_nothing_is_ranked_before_a_committee_has_decided(stages: ArenaAt) -> None:
    for step in ("create", "submit", "open", "reveal_test", "vote", "open_votes"):
        arena = stages(step)
        found = shown(arena)
        check(found)
        assert len(found.lines) == len(arena.challenge.submissions)
        assert {line.status for line in found.lines} <= {"sealed", "opened"}
        assert (found.outcome, found.settled) == (None, "")


def test_sealed_models_stay_unnamed(stages: ArenaAt) -> None:
    assert [line.model for line in shown(stages("submit")).lines] == [None] * 3
    assert all(line.model for line in shown(stages("open")).lines)


def test_a_decided_board(stages: ArenaAt) -> None:
    found = shown(stages("finalize"))
    check(found)
    assert [brief(line) for line in found.lines] == [
        (0, "ranked", 1, "1.000000000"),
        (1, "ranked", 2, "0.750000000"),
        (2, "ranked", 3, "0.500000000"),
    ]
    assert [line.passes for line in found.lines] == [True, True, False]
    assert (found.metric, found.threshold) == ("accuracy", "0.600000000")
    assert "earlier" in found.tie_break
    assert "3 of 3 seats" in found.settled


def test_the_demonstrations_board(demo: Played) -> None:
    workspace = demo.workspace()
    found = board(workspace, workspace.challenge(demo.identity))
    check(found)
    assert [line.status for line in found.lines] == [
        *(["ranked"] * 4 + ["unopened", "duplicate", "rejected"])
    ]


def test_equal_scores_go_to_the_earlier_submission(arena_at: ArenaAt) -> None:
    arena = arena_at("reveal_train")
    arena.submit(carol=model(2.0), alice=model(2.1), bob=model(0.0))
    arena.open()
    arena.play(since="open")
    found = shown(arena)
    check(found)
    assert [(line.submission, line.submitter) for line in found.lines] == [
        (number, key_of(name).address) for number, name in ((2, "bob"), (0, "carol"), (1, "alice"))
    ]
    assert found.lines[1].score == found.lines[2].score


def test_a_cancelled_board_ranks_nobody(arena_at: ArenaAt) -> None:
    arena = arena_at("submit")
    organizer.cancel(*arena[ORGANIZER], arena.identity)
    found = shown(arena)
    assert [line.rank for line in found.lines] == [None] * 3
    assert "cancelled" in found.settled
    assert found.stage == "final"


@pytest.mark.parametrize("status", ["rejected", "unavailable", "duplicate"])
def test_a_majority_cannot_rank_what_has_no_score(arena_at: ArenaAt, status: str) -> None:
    """A made-up result may say anything; the board shows no rank beside such a status."""
    arena = arena_at("convene")
    honest = arena.assess()
    first, *others = honest.result.rows
    bare = replace(honest.result, rows=())
    lied = replace(bare, rows=(replace(first, status=status, reason="made up"), *others))
    vote = concluded(arena, bare)
    ballot = replace(vote.ballot, result=result_digest(lied))
    vote = type(vote)(lied, vote.payouts, ballot)
    arena.vote(vera=vote, victor=vote, viola=vote)
    arena.play(until="finalize", since="vote")
    lines = {line.submission: line for line in shown(arena).lines}
    assert lines[0].status == status
    assert lines[0].rank is None
    assert not arena.verify().ok


def test_a_missing_result_is_said_and_nobody_is_ranked(arena_at: ArenaAt) -> None:
    arena = arena_at("finalize")
    cid = arena.challenge.rounds[1].votes[key_of("vera").address].cid
    assert cid is not None
    (arena.public / "blobs" / cid).unlink()
    found = shown(arena)
    assert "nobody serves the result" in found.settled
    assert [line.rank for line in found.lines] == [None] * 3


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_scores_are_shown_in_full(units: int) -> None:
    text = decimal(units)
    assert Decimal(text) == Decimal(units).scaleb(-9)
    assert len(text.split(".")[1]) == 9


def test_who_judged_and_how_is_on_the_board(stages: ArenaAt) -> None:
    names = [key_of(name).address for name in VALIDATORS]
    for step, said in (
        ("reveal_test", []),
        ("convene", ["none"] * 3),
        ("vote", ["committed"] * 3),
        ("open_votes", ["opened"] * 3),
        ("finalize", ["majority"] * 3),
    ):
        found = shown(stages(step)).committee
        assert [seated.vote for seated in found] == said
        assert [seated.owner for seated in found] == names[: len(said)]
        assert all((seated.round, seated.seat, seated.lost) == (1, None, 0) for seated in found)
