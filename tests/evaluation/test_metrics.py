"""What holds for every metric: total, bounded, comparable, the same on every CPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import danku
from danku.evaluation.metrics import (
    METRICS,
    SCORE_BOUND,
    EmptyEvaluation,
    Metric,
    MetricNeedsTwoClasses,
    NotANumber,
    UnknownMetric,
    UnusablePrediction,
    WrongOutput,
    metric,
    view,
)

EVERY = pytest.mark.parametrize("each", METRICS.values(), ids=METRICS)
NAMES = (
    "accuracy balanced-accuracy "
    "precision precision-macro precision-micro precision-weighted "
    "recall recall-macro recall-micro recall-weighted f1 f1-macro f1-micro f1-weighted "
    "matthews-correlation roc-auc roc-auc-macro log-loss brier-score mse rmse mae r2 mape"
).split()


def perfect(each: Metric, target: np.ndarray) -> np.ndarray:
    if each.needs == "labels":
        return target.astype(np.int64)
    if each.needs == "probabilities":
        return np.eye(2)[target]
    return target.astype(np.float64)


def test_the_metrics_and_their_order():
    assert list(METRICS) == NAMES
    assert all(METRICS[name].name == name for name in NAMES)


def test_an_unknown_name_lists_the_known_ones():
    assert metric("f1") is METRICS["f1"]
    with pytest.raises(UnknownMetric) as caught:
        metric("f-one")
    assert "'f-one'" in caught.value.what
    assert all(name in caught.value.fix for name in NAMES)


@EVERY
def test_perfect_predictions_get_the_best_score(each):
    target = np.array([0, 1, 1, 0, 1])
    best = each.highest if each.higher_is_better else each.lowest
    assert each.compute(target, perfect(each, target), 2) == best


@EVERY
def test_worse_predictions_get_a_worse_score(each):
    target = np.array([0, 1, 1, 0, 1])
    good = each.compute(target, perfect(each, target), 2)
    bad = each.compute(target, perfect(each, np.array([1, 1, 0, 0, 1])), 2)
    assert each.better(good, bad) and not each.better(bad, good)


@EVERY
def test_no_rows_is_an_error_never_a_score(each):
    empty = np.zeros((0, 2)) if each.needs == "probabilities" else np.zeros(0, dtype=np.int64)
    with pytest.raises(EmptyEvaluation):
        each.compute(np.zeros(0, dtype=np.int64), empty, 2)


@pytest.mark.parametrize("name", [name for name in NAMES if METRICS[name].needs != "labels"])
def test_a_single_nan_is_refused_with_its_row(name):
    target = np.array([0, 1, 1, 0])
    prediction = perfect(METRICS[name], target).astype(np.float32)
    prediction[2, ...] = np.nan
    with pytest.raises(NotANumber, match="row 2"):
        METRICS[name].compute(target, prediction, 2)


@settings(deadline=None)
@given(st.data(), st.integers(1, 12), st.integers(2, 4))
def test_any_numbers_get_a_score_within_the_bounds(data, rows, classes):
    number = st.floats(allow_nan=False) | st.sampled_from([0.0, 1.0, float("inf"), -float("inf")])
    labels = data.draw(st.lists(st.integers(0, classes - 1), min_size=rows, max_size=rows))
    table = data.draw(st.lists(number, min_size=rows * classes, max_size=rows * classes))
    chances = np.array(table).reshape(rows, classes)
    values = np.array(
        data.draw(
            st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=rows, max_size=rows)
        )
    )
    predictions = {
        "labels": np.argmax(chances, axis=1),
        "probabilities": chances,
        "value": chances[:, 0],
    }
    for each in METRICS.values():
        if each.two_classes and classes != 2:
            continue
        target = values if each.needs == "value" else np.array(labels)
        found = each.compute(target, predictions[each.needs], classes)
        assert type(found) is int
        assert each.lowest <= found <= each.highest
        assert abs(found) <= SCORE_BOUND


@EVERY
def test_direction_and_threshold(each):
    better, worse = (8, 3) if each.higher_is_better else (3, 8)
    assert each.better(better, worse)
    assert not each.better(worse, better)
    assert not each.better(better, better)
    assert each.passes(better, worse)
    assert not each.passes(worse, better)
    assert each.passes(5, 5)
    assert ("at least" if each.higher_is_better else "at most") in each.threshold_meaning
    assert each.meaning.endswith(".")


@pytest.mark.parametrize("name", ["precision", "recall", "f1", "roc-auc"])
@pytest.mark.parametrize("classes", [1, 3])
def test_binary_metrics_refuse_another_number_of_classes(name, classes):
    each = METRICS[name]
    target = np.zeros(2, dtype=np.int64)
    prediction = target if each.needs == "labels" else np.zeros((2, classes))
    with pytest.raises(MetricNeedsTwoClasses):
        each.compute(target, prediction, classes)


def test_labels_are_the_first_of_the_largest_probabilities():
    chances = np.array([[0.2, 0.4, 0.4], [0.5, 0.5, 0.0], [0.1, 0.2, 0.7]], dtype=np.float32)
    assert view("probabilities", chances).tolist() == [1, 0, 2]
    assert view("probabilities", chances).dtype == np.int64
    assert view("probabilities", chances, "probabilities") is chances


def test_labels_and_values_are_viewed_as_they_are():
    labels, values = np.array([1, -1]), np.array([0.5, 2.0])
    assert view("label", labels, "labels") is labels
    assert view("value", values, "value") is values


def test_no_label_comes_from_nan_or_from_no_column():
    with pytest.raises(NotANumber, match="row 1"):
        view("probabilities", np.array([[0.1, 0.9], [np.nan, 1.0]]))
    for shape in ((2, 0), (2,)):
        with pytest.raises(UnusablePrediction):
            view("probabilities", np.zeros(shape))


@pytest.mark.parametrize(
    ("output", "served"),
    [
        ("label", {"labels"}),
        ("probabilities", {"labels", "probabilities"}),
        ("value", {"value"}),
    ],
)
def test_which_output_serves_which_metric(output, served):
    for each in METRICS.values():
        assert each.accepts(output) == (each.needs in served)
        if not each.accepts(output):
            with pytest.raises(WrongOutput):
                view(output, np.zeros((2, 2)), each.needs)


def python(code: str, **environment: str) -> str:
    root = Path(danku.__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(root), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_importing_the_metrics_compiles_nothing():
    assert python("import danku.evaluation.metrics, sys; print('numba' in sys.modules)") == (
        "False\n"
    )


SCORES_OF_RANDOM_ARRAYS = """
import numpy as np
from danku.evaluation.metrics import METRICS
random = np.random.default_rng(1)
labels, target = random.integers(-1, 2, 5001), random.integers(0, 2, 5001)
values, chances = random.normal(size=5001), random.random((5001, 2)).astype(np.float32)
for metric in METRICS.values():
    prediction = {"labels": labels, "probabilities": chances, "value": values}[metric.needs]
    truth = values**2 - 0.3 if metric.needs == "value" else target
    if metric.name != "log-loss":
        print(metric.name, metric.compute(truth, prediction, 2))
"""


def test_scores_are_the_same_without_the_cpu_extensions_numpy_chooses_at_run_time():
    extensions = " ".join(np._core._multiarray_umath.__cpu_dispatch__)
    plain = python(SCORES_OF_RANDOM_ARRAYS, NPY_DISABLE_CPU_FEATURES=extensions)
    assert plain == python(SCORES_OF_RANDOM_ARRAYS)
    assert len(plain.splitlines()) == len(METRICS) - 1
