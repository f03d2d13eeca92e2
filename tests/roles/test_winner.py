"""What the winner's model gets wrong, and what a constant would have scored."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from danku.evaluation.worker import WorkerDied
from danku.protocol.types import SCORE_UNIT, Score
from danku.roles.evidence import Rows
from danku.roles.winner import ROWS_SHOWN, Winner, _pairs, baseline, confusion, winner
from tests.roles.arena import Arena, InProcess, concluded, model
from tests.roles.conftest import ArenaAt


@pytest.fixture(autouse=True)
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("danku.evaluation.worker.Worker", InProcess)


def looked(arena: Arena, **options: Any) -> Winner | None:
    return winner(arena.host, arena.challenge, arena.manifest, **options)


def test_nobody_has_won_before_a_committee_has_decided(stages: ArenaAt) -> None:
    assert looked(stages("submit")) is None
    assert looked(stages("open_votes")) is None


def test_a_winner_without_mistakes(stages: ArenaAt) -> None:
    found = looked(stages("finalize"))
    assert found is not None
    assert (found.submission, found.part, found.rows, found.problem) == (0, "test", 12, "")
    assert found.confusion == ((6, 0, 0), (0, 6, 0))
    assert found.baseline is not None
    assert found.baseline.score == SCORE_UNIT // 2


def test_a_winner_with_mistakes(arena_at: ArenaAt) -> None:
    arena = arena_at("reveal_train")
    arena.submit(bob=model(2.0))
    arena.open("bob")
    arena.play(until="finalize", since="open")
    found = looked(arena)
    assert found is not None and found.confusion == ((6, 0, 0), (3, 3, 0))


def test_a_fallback_is_looked_at_on_the_train_rows(arena_at: ArenaAt) -> None:
    arena = arena_at("open")
    arena.wait("open")
    arena.play(until="finalize", since="reveal_test")
    found = looked(arena)
    assert found is not None
    assert (found.part, found.rows) == ("train", 28)
    assert sum(map(sum, found.confusion)) == 28


def test_what_stands_in_the_way_is_said(arena_at: ArenaAt, monkeypatch: pytest.MonkeyPatch) -> None:
    arena = arena_at("finalize")
    found = looked(arena, evaluate=False)
    assert found is not None and found.problem == "the model was not run for this page"
    assert found.baseline is not None and found.confusion == ()

    def dies(*_: object) -> None:
        raise WorkerDied("the worker ended by SIGKILL")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(InProcess, "predict", dies)
        found = looked(arena)
        assert found is not None and found.problem == "the worker ended by SIGKILL"
    opening = arena.challenge.submissions[0].opening
    assert opening is not None and arena.challenge.test is not None
    (arena.public / "blobs" / opening.cid).unlink()
    found = looked(arena)
    assert found is not None and found.problem == "nobody serves its model any more"
    (arena.public / "blobs" / arena.challenge.test).unlink()
    found = looked(arena)
    assert found is not None and "not to be had any more" in found.problem


def test_a_lying_committees_winner_is_not_shown_as_if_it_were_true(arena_at: ArenaAt) -> None:
    arena = arena_at("convene")
    honest = arena.assess()
    first, *others = honest.result.rows
    result = replace(honest.result, rows=(replace(first, score=Score(first.score + 1)), *others))
    arena.vote(**dict.fromkeys(("vera", "victor", "viola"), concluded(arena, result)))
    arena.play(until="finalize", since="vote")
    found = looked(arena)
    assert found is not None and found.confusion == ()
    assert "not what the committee decided" in found.problem


def test_labels_that_are_no_class_stand_in_a_column_of_their_own() -> None:
    actual, said = np.array([0, 1, 1, 2, 2]), np.array([0, -1, 1, 99, 2])
    assert confusion(actual, said, 3) == ((1, 0, 0, 0), (0, 1, 0, 1), (0, 0, 1, 1))


def test_pairs_are_taken_at_even_distances() -> None:
    values = np.arange(10 * ROWS_SHOWN + 1, dtype=np.float64)
    pairs = _pairs(values, -values)
    assert len(pairs) <= ROWS_SHOWN
    assert pairs[:2] == ((0.0, -0.0), (11.0, -11.0))


@pytest.mark.parametrize(
    ("name", "output", "target", "score"),
    [
        ("accuracy", "label", [0, 1, 1, 1], 750_000_000),
        ("f1", "label", [0, 1, 1, 1], 857_142_857),
        ("rmse", "value", [1.0, 3.0], SCORE_UNIT),
        ("log-loss", "probabilities", [0, 1], 693_147_181),
    ],
)
def test_a_baseline_is_the_best_constant(
    stages: ArenaAt, name: str, output: str, target: list[float], score: int
) -> None:
    manifest = stages("create").manifest
    evaluation = replace(manifest.evaluation, metric=name)
    contract = replace(manifest.model, output=output)
    rows = Rows(np.zeros((len(target), 2), np.float32), np.array(target))
    found = baseline(replace(manifest, evaluation=evaluation, model=contract), rows)
    assert found is not None and found.score == score
    assert found.meaning.startswith("always")
