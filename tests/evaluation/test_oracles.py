"""The oracles see what is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from tests.evaluation import oracles

EXACT = np.random.default_rng(8).normal(size=(50, 4))
NEAREST = EXACT.astype(np.float32)
LABELS = NEAREST.argmax(axis=1)


def moved(by: float) -> np.ndarray:
    return (EXACT + by * np.abs(EXACT).max()).astype(np.float32)


def test_what_is_as_near_as_onnxruntime_passes() -> None:
    measured = oracles.measure("y", NEAREST, NEAREST, EXACT)
    measured.check()
    assert measured.equal == 1
    assert measured.ours == measured.theirs < 1e-7


@pytest.mark.parametrize(
    ("ours", "theirs"), [(2e-5, 0.0), (3e-6, 1e-6), (3e-7, 1e-7), (1e-7, 1e-8)]
)
def test_what_is_far_from_either_fails(ours: float, theirs: float) -> None:
    with pytest.raises(AssertionError):
        oracles.measure("y", moved(ours), moved(theirs), EXACT).check()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_fails(value: float) -> None:
    broken = NEAREST.copy()
    broken[3, 1] = value
    with pytest.raises(AssertionError):
        oracles.measure("y", broken, NEAREST, EXACT)


def test_labels_differ_only_where_scores_are_contested() -> None:
    scores = NEAREST.copy()
    scores[0, LABELS[0] - 1] = scores[0, LABELS[0]]
    theirs = {"label": LABELS, "scores": scores}
    exact = [LABELS, scores.astype(np.float64)]
    for row, accepted in ((0, True), (1, False)):
        changed = LABELS.copy()
        changed[row] = (changed[row] - 1) % 4
        ours = {"label": changed, "scores": scores}
        if accepted:
            oracles.compare(ours, theirs, exact)
        else:
            with pytest.raises(AssertionError):
                oracles.compare(ours, theirs, exact)
