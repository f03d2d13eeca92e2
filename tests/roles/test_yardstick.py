"""Reported scores: honest ones hold, false ones cost their own entry, and nobody else's."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from danku.crypto.hashing import keccak, to_hex
from danku.errors import DataError, Rejected, UsageError
from danku.protocol.actions import Report
from danku.protocol.records import encode
from danku.protocol.result import Row
from danku.protocol.types import Score
from danku.roles import organizer, submitter, yardstick
from danku.roles.assessment import assess
from danku.roles.board import Line, board
from danku.roles.claims import decided_result
from danku.roles.evidence import (
    Rows,
    fetch_rows,
    fetch_train,
    gather_evidence,
    group_indices,
    yardstick_indices,
)
from danku.roles.submitter import SealedModelBroken
from danku.roles.yardstick import (
    NoYardstick,
    OtherModel,
    committed_model,
    fetch_yardstick,
    measure,
    reportable,
)
from tests.roles.arena import ORGANIZER, STAKE, Arena, InProcess, key_of, model
from tests.roles.conftest import ArenaAt

GROUPS, ROWS = 2, 8
PERFECT, GOOD = Score(1_000_000_000), Score(750_000_000)
"""What alice's and bob's models score, on every split."""


@pytest.fixture(scope="module")
def entered(tmp_path_factory: pytest.TempPathFactory) -> Arena:
    """A competition with a yardstick that three have entered; not to be changed."""
    arena = Arena(
        tmp_path_factory.mktemp("yardstick") / "entered", batch=f"8\nyardstick_groups = {GROUPS}"
    )
    return arena.play(until="submit")


@pytest.fixture
def arena(entered: Arena, tmp_path: Path) -> Arena:
    return entered.fork(tmp_path / "arena")


@pytest.fixture
def plain(arena_at: ArenaAt) -> Arena:
    """A competition without a yardstick that three have entered."""
    return arena_at("submit")


def report(arena: Arena, name: str, number: int, score: int) -> None:
    yardstick.report(*arena[name], arena.identity, number, Score(score))


def rows_of(arena: Arena) -> dict[int, Row]:
    """What a validator finds, by submission, once everything is open."""
    if arena.challenge.opened == 0:
        arena.open()
    if arena.challenge.test is None and arena.clock.now < arena.challenge.windows.reveal_test:
        arena.reveal_test()
    return {row.submission: row for row in arena.assess().result.rows}


def entering(root: Path, **models: bytes) -> Arena:
    """A competition with a yardstick that these models have entered."""
    arena = Arena(root, batch=f"8\nyardstick_groups = {GROUPS}").play(until="reveal_train")
    arena.submit(**models)
    return arena


def lines_of(arena: Arena) -> list[Line]:
    return list(board(arena.players["bob"], arena.challenge).lines)


def numbers(rows: Rows) -> list[int]:
    """The second feature: each row's number in the data."""
    return [int(number) for number in rows.features[:, 1]]


# --- the rows -----------------------------------------------------------------------------------


def test_the_yardstick_is_some_train_groups_and_no_other_rows(arena: Arena) -> None:
    challenge, manifest = arena.challenge, arena.manifest
    apart = yardstick_indices(challenge, manifest)
    assert len(apart) == GROUPS
    assert set(apart) < set(group_indices(challenge, "train"))
    learning, rows = fetch_train(arena.host, challenge, manifest)
    assert rows is not None
    assert numbers(rows) == [4 * group + row for group in apart for row in range(4)]
    assert not set(numbers(rows)) & set(numbers(learning))
    everything = fetch_rows(arena.host, challenge, manifest, "train")
    assert sorted(numbers(rows) + numbers(learning)) == numbers(everything)
    assert fetch_yardstick(arena.host, challenge, manifest).target.tolist() == rows.target.tolist()


def test_without_a_yardstick_all_train_rows_are_there_to_learn_from(plain: Arena) -> None:
    challenge, manifest = plain.challenge, plain.manifest
    learning, rows = fetch_train(plain.host, challenge, manifest)
    assert rows is None
    assert numbers(learning) == numbers(fetch_rows(plain.host, challenge, manifest, "train"))
    with pytest.raises(NoYardstick, match="no yardstick") as raised:
        fetch_yardstick(plain.host, challenge, manifest)
    assert isinstance(raised.value, UsageError)


def test_judged_on_the_train_data_all_of_it_counts(arena: Arena) -> None:
    """The outcome of an organizer that withholds is what it was before there were yardsticks."""
    arena.open()
    arena.wait("reveal_test")
    evidence = gather_evidence(arena.host, arena.challenge, arena.manifest)
    assert evidence.outcome == "train-fallback"
    assert evidence.rows is not None and evidence.yardstick is not None
    assert len(evidence.rows.target) == 28 and len(evidence.yardstick.target) == ROWS


# --- a competition ------------------------------------------------------------------------------


def test_an_honest_a_false_and_no_report(arena: Arena) -> None:
    report(arena, "alice", 0, 950_000_000)
    report(arena, "bob", 1, GOOD)
    arena.play(since="submit")
    rows = {row.submission: row for row in decided_result(arena.host, arena.challenge).rows}
    assert (rows[0].status, rows[0].rank, rows[0].score) == ("rejected", 0, 0)
    assert rows[0].reason == "false report: 0.950000000 reported, 1.000000000 found"
    assert (rows[1].status, rows[1].rank, rows[1].score, rows[1].reason) == ("ranked", 1, GOOD, "")
    assert (rows[2].status, rows[2].rank) == ("ranked", 2)
    gains = arena.gains()
    assert gains["alice"] < -STAKE < gains["carol"] < gains["bob"]
    verified = arena.verify()
    assert verified.ok, verified
    steps = {step.name: step.detail for step in verified.steps}
    assert "2 groups are the yardstick" in steps["train data"]
    assert "reported scores that hold on the yardstick: 1; false: of [0]" in steps["evaluation"]


def test_the_newest_report_counts(arena: Arena) -> None:
    report(arena, "alice", 0, 0)
    report(arena, "alice", 0, PERFECT)
    report(arena, "bob", 1, GOOD)
    report(arena, "bob", 1, GOOD + 1)
    rows = rows_of(arena)
    assert (rows[0].status, rows[0].rank) == ("ranked", 1)
    assert rows[1].reason == "false report: 0.750000001 reported, 0.750000000 found"


def test_a_false_report_does_not_shadow_an_honest_entry_with_the_same_model(
    tmp_path: Path,
) -> None:
    """Whoever comes first and lies is rejected; the second is then the first that is ranked."""
    same = model(0.0)
    arena = entering(tmp_path / "twins", alice=same, bob=same, carol=same)
    report(arena, "alice", 0, 0)
    report(arena, "bob", 1, PERFECT)
    rows = rows_of(arena)
    assert rows[0].reason == "false report: 0.000000000 reported, 1.000000000 found"
    assert (rows[1].status, rows[1].rank) == ("ranked", 1)
    assert rows[2].status == "duplicate"
    assert "submission 1, which came first" in rows[2].reason


def test_a_false_report_of_a_copy_costs_the_copy_alone(tmp_path: Path) -> None:
    arena = entering(tmp_path / "twins", alice=model(0.0), bob=model(0.0), carol=model(4.0))
    report(arena, "bob", 1, 5)
    rows = rows_of(arena)
    assert (rows[0].status, rows[0].rank) == ("ranked", 1)
    assert rows[1].status == "rejected"
    assert rows[1].reason.startswith("false report: 0.000000005 reported")


def test_a_model_that_is_rejected_anyway_keeps_its_own_reason(tmp_path: Path) -> None:
    arena = entering(tmp_path / "broken", alice=b"no model", bob=model(2.0), carol=model(4.0))
    report(arena, "alice", 0, PERFECT)
    row = rows_of(arena)[0]
    assert row.status == "rejected"
    assert row.reason and "report" not in row.reason


def test_a_model_with_no_score_on_the_yardstick_has_none_to_report(tmp_path: Path) -> None:
    """It fails on one row of the yardstick only, and would be ranked without its report."""
    arena = Arena(tmp_path / "failing", batch=f"8\nyardstick_groups = {GROUPS}")
    arena.play(until="reveal_train")
    bad = 4 * yardstick_indices(arena.challenge, arena.manifest)[0]
    arena.submit(alice=failing_at(bad), bob=failing_at(bad + 1), carol=model(4.0))
    report(arena, "alice", 0, PERFECT)
    rows = rows_of(arena)
    assert rows[0].reason == "false report: 1.000000000 reported, no score found"
    assert (rows[1].status, rows[1].rank) == ("ranked", 1)


def failing_at(number: int) -> bytes:
    """As `model(0.0)`, but it divides by zero at the row of this number."""
    weights = numpy_helper.from_array(np.array([[0, 1], [0, 0]], np.float32), "weights")
    constants = {"place": 1, "number": number, "one": 1, "zero": 0}
    nodes = [
        helper.make_node("MatMul", ["features", "weights"], ["scores"]),
        helper.make_node("ArgMax", ["scores"], ["best"], axis=1, keepdims=0),
        helper.make_node("Gather", ["features", "place"], ["second"], axis=1),
        helper.make_node("Cast", ["second"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Sub", ["whole", "number"], ["off"]),
        helper.make_node("Div", ["one", "off"], ["inverse"]),
        helper.make_node("Mul", ["inverse", "zero"], ["nothing"]),
        helper.make_node("Add", ["best", "nothing"], ["label"]),
    ]
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", 2])
    label = helper.make_tensor_value_info("label", TensorProto.INT64, ["batch"])
    tensors = [
        numpy_helper.from_array(np.array(v, np.int64), name) for name, v in constants.items()
    ]
    graph = helper.make_graph(nodes, "failing", [features], [label], [weights, *tensors])
    opset = [helper.make_opsetid("", 17)]
    made: bytes = helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()
    return made


def test_reports_are_checked_where_models_are_judged_on_the_train_data(arena: Arena) -> None:
    report(arena, "alice", 0, 1)
    report(arena, "bob", 1, GOOD)
    arena.open()
    arena.wait("reveal_test")
    rows = rows_of(arena)
    assert rows[0].reason.startswith("false report")
    assert (rows[1].status, rows[1].rank) == ("ranked", 1)


def test_an_unopened_model_is_unopened_whatever_was_reported(arena: Arena) -> None:
    report(arena, "alice", 0, 1)
    arena.open("bob", "carol")
    assert sorted(rows_of(arena)) == [1, 2]
    arena.play(since="reveal_test", until="finalize")
    first = next(line for line in lines_of(arena) if line.submission == 0)
    assert (first.status, first.reported, first.report_holds) == ("unopened", "0.000000001", None)


def test_a_report_where_there_is_no_yardstick_is_ignored(plain: Arena) -> None:
    """The ledger cannot know. The role does not send it; whoever does all the same is unharmed."""
    with pytest.raises(NoYardstick):
        report(plain, "alice", 0, PERFECT)
    plain.send("alice", Report(plain.identity, 0, Score(1)))
    assert plain.challenge.submissions[0].report == 1
    rows = rows_of(plain)
    assert (rows[0].status, rows[0].rank) == ("ranked", 1)
    assert [line.reported for line in lines_of(plain)] == [None] * 3


def test_a_committee_that_overlooks_a_false_report_does_not_verify(arena: Arena) -> None:
    report(arena, "alice", 0, 5)
    arena.play(until="convene", since="submit")
    honest = arena.assess()
    blind = arena.fork(arena.root.parent / "blind")
    entries = [msgspec.structs.replace(entry, report=None) for entry in arena.challenge.submissions]
    forgetful = msgspec.structs.replace(arena.challenge, submissions=tuple(entries))
    wrong = assess(blind.host, forgetful, InProcess())  # type: ignore[arg-type]
    assert wrong.ballot.result != honest.ballot.result
    blind.vote(vera=wrong, victor=wrong, viola=wrong)
    blind.play(until="finalize", since="vote")
    found = blind.verify()
    (failed,) = [step for step in found.steps if step.ok is False]
    assert failed.name == "evaluation"
    assert "false report: 0.000000005 reported" in failed.detail


# --- the submitter's part -----------------------------------------------------------------------


def test_measuring_is_what_validators_will_find(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("danku.evaluation.worker.Worker", InProcess)
    workspace, key = arena["bob"]
    entry = reportable(arena.challenge, key.address, None)
    limit = arena.manifest.evaluation.limits.model_bytes
    data = committed_model(workspace, arena.challenge, entry, None, limit)
    rows = fetch_yardstick(workspace, arena.challenge, arena.manifest)
    assert measure(data, rows, arena.manifest) == GOOD


def test_only_what_was_committed_to_can_be_measured_for_a_report(
    arena: Arena, tmp_path: Path
) -> None:
    workspace, key = arena["bob"]
    entry = reportable(arena.challenge, key.address, 1)
    file = tmp_path / "model.onnx"
    file.write_bytes(model(2.0))
    assert committed_model(workspace, arena.challenge, entry, file, 10**6) == model(2.0)
    file.write_bytes(model(2.5))
    with pytest.raises(OtherModel, match="not the model of submission 1") as raised:
        committed_model(workspace, arena.challenge, entry, file, 10**6)
    assert isinstance(raised.value, DataError)
    assert "--model" in raised.value.fix
    (copy,) = workspace.private.rglob("submission-*.onnx")
    copy.write_bytes(model(2.5))
    with pytest.raises(SealedModelBroken):
        committed_model(workspace, arena.challenge, entry, None, 10**6)


def test_which_submission_is_meant(arena: Arena) -> None:
    submitter.submit(*arena["alice"], arena.identity, model(1.0))
    alice = key_of("alice").address
    assert reportable(arena.challenge, alice, None).number == 3
    assert reportable(arena.challenge, alice, 0).number == 0
    for who, number in ((alice, 4), (alice, -1), (key_of("vera").address, None)):
        with pytest.raises(Rejected) as refused:
            reportable(arena.challenge, who, number)
        assert refused.value.rule == "UnknownSubmission"
        assert refused.value.fix


@pytest.mark.parametrize(
    ("name", "number", "window", "rule"),
    [("bob", 0, "", "NotSubmitter"), ("alice", 0, "submit", "Late")],
)
def test_what_the_rules_say_is_said_before_the_work(
    arena: Arena, name: str, number: int, window: str, rule: str
) -> None:
    if window:
        arena.wait(window)
    with pytest.raises(Rejected) as refused:
        yardstick.precheck_report(*arena[name], arena.identity, number)
    assert refused.value.rule == rule


# --- the board ----------------------------------------------------------------------------------


def test_the_board_shows_reports_as_such_and_ranks_nobody_by_them(arena: Arena) -> None:
    assert board(arena.host, arena.challenge).yardstick_groups == GROUPS
    report(arena, "carol", 2, PERFECT)
    report(arena, "bob", 1, GOOD)
    lines = lines_of(arena)
    assert [line.submission for line in lines] == [0, 1, 2]
    assert [line.reported for line in lines] == [None, "0.750000000", "1.000000000"]
    assert [(line.rank, line.score, line.passes) for line in lines] == [(None, None, None)] * 3
    assert [line.report_holds for line in lines] == [None] * 3
    arena.play(since="submit", until="finalize")
    found = {line.submission: line for line in lines_of(arena)}
    assert [found[number].report_holds for number in range(3)] == [None, True, False]
    assert [found[number].rank for number in range(3)] == [1, 2, None]
    assert found[2].score is None
    value = board(arena.host, arena.challenge).plain()
    assert {line["reported"] for line in value["lines"]} == {None, "0.750000000", "1.000000000"}


def test_a_report_in_a_cancelled_challenge_stays_unchecked(arena: Arena) -> None:
    report(arena, "bob", 1, GOOD)
    organizer.cancel(*arena[ORGANIZER], arena.identity)
    line = next(line for line in lines_of(arena) if line.submission == 1)
    assert (line.reported, line.report_holds) == ("0.750000000", None)


# --- the organizer's file -----------------------------------------------------------------------


def draft(root: Path, groups: Any) -> organizer.Draft:
    return Arena(root, batch=f"8\nyardstick_groups = {groups}").draft()


def test_a_yardstick_leaves_a_group_to_train_on(tmp_path: Path) -> None:
    """Ten groups, three of them for testing."""
    found = draft(tmp_path / "six", 6)
    assert found.manifest.evaluation.yardstick_groups == 6
    with pytest.raises(DataError, match="7 of 7 train groups leave none") as raised:
        draft(tmp_path / "seven", 7)
    assert "yardstick_groups" in raised.value.what
    for bad in (-1, 65_537, '"3"', "1.5"):
        with pytest.raises(DataError, match="yardstick_groups"):
            draft(tmp_path / f"bad {bad}".replace('"', ""), bad)


def test_a_manifest_that_sets_all_groups_apart_leaves_one_and_stops_no_validator(
    tmp_path: Path,
) -> None:
    """The ledger takes any manifest; an organizer need not use danku to write it."""
    arena = Arena(tmp_path / "hostile")
    honest = arena.draft()
    evaluation = msgspec.structs.replace(honest.manifest.evaluation, yardstick_groups=65_536)
    manifest = msgspec.structs.replace(honest.manifest, evaluation=evaluation)
    named = msgspec.structs.replace(honest.terms, manifest=to_hex(keccak(encode(manifest))))
    hostile = dataclasses.replace(honest, manifest=manifest, terms=named)
    arena.identity = organizer.create(*arena[ORGANIZER], hostile).id
    arena.play(until="submit", since="create")
    learning, rows = fetch_train(arena.host, arena.challenge, arena.manifest)
    assert rows is not None
    assert (len(learning.target), len(rows.target)) == (4, 24)
    report(arena, "bob", 1, GOOD)
    assert [rows_of(arena)[number].status for number in range(3)] == ["ranked"] * 3


def test_none_is_the_manifest_that_there_always_was(tmp_path: Path) -> None:
    none = draft(tmp_path / "none", 0).terms.manifest
    assert none == Arena(tmp_path / "plain").draft().terms.manifest
    assert draft(tmp_path / "one", 1).terms.manifest != none
