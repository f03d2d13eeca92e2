"""Whole models as scikit-learn exports them, against onnxruntime, and any split of the rows."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from skl2onnx import to_onnx
from sklearn.datasets import load_iris
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    Perceptron,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, Normalizer, StandardScaler

from danku.evaluation.admission import admit
from danku.evaluation.evaluate import predict
from tests.evaluation import oracles
from tests.evaluation.widening import evaluate_wide

DATA = load_iris()
ROWS = DATA.data.astype(np.float32)
NAMES = tuple(str(name) for name in DATA.target_names)
BINARY = (DATA.target > 0).astype(np.int64)

CLASSIFIERS: dict[str, Callable[[], Any]] = {
    "logistic": lambda: LogisticRegression(max_iter=500),
    "scaled-logistic": lambda: make_pipeline(StandardScaler(), LogisticRegression()),
    "one-vs-rest": lambda: OneVsRestClassifier(LogisticRegression()),
    "sgd-log": lambda: SGDClassifier(loss="log_loss", random_state=0),
    "mlp-relu": lambda: MLPClassifier((16, 8), random_state=0, max_iter=80),
    "mlp-tanh": lambda: make_pipeline(
        MinMaxScaler(), MLPClassifier((8,), "tanh", random_state=0, max_iter=80)
    ),
    "mlp-logistic": lambda: MLPClassifier((8,), "logistic", random_state=0, max_iter=80),
    "perceptron": lambda: make_pipeline(MaxAbsScaler(), Perceptron()),
    "normalised-ridge": lambda: make_pipeline(Normalizer(), RidgeClassifier()),
}
REGRESSORS: dict[str, Callable[[], Any]] = {
    "linear": LinearRegression,
    "mlp": lambda: MLPRegressor(hidden_layer_sizes=(16,), random_state=0, max_iter=80),
    "scaled-linear": lambda: make_pipeline(StandardScaler(), LinearRegression()),
}
TARGETS = {"three": DATA.target, "two": BINARY, "names": np.array(NAMES)[DATA.target]}
CLASSES = {"three": NAMES, "two": NAMES[:2], "names": NAMES}


@cache
def exported(name: str, target: str, dtype: str = "float32", opset: int | None = None) -> bytes:
    estimator = {**CLASSIFIERS, **REGRESSORS}[name]()
    expected = DATA.data[:, 3] if name in REGRESSORS else TARGETS[target]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(ROWS, expected)
    data: bytes = to_onnx(estimator, ROWS[:1].astype(dtype), target_opset=opset).SerializeToString()
    return data


@cache
def peer(model: bytes, dtype: str) -> list[Any]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    found: list[Any] = session.run(None, {session.get_inputs()[0].name: ROWS.astype(dtype)})
    return found


def table(maps: Any) -> np.ndarray:
    return np.array([list(row.values()) for row in maps]) if isinstance(maps, list) else maps


def close(ours: np.ndarray, theirs: np.ndarray) -> bool:
    return bool(np.abs(ours - theirs).max() <= 1e-5 * np.abs(theirs).max())


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_agree_with_onnxruntime(name: str, target: str, manifest: Any) -> None:
    model = exported(name, target)
    labels, probabilities = peer(model, "float32")
    classes = CLASSES[target]
    ours = predict(model, ROWS, manifest(shape=(4,), classes=classes)).values
    expected = [classes.index(x) for x in labels] if target == "names" else labels.tolist()
    assert ours.tolist() == expected
    if (name, target) == ("normalised-ridge", "two"):
        return  # one decision value a row: no probabilities
    ours = predict(model, ROWS, manifest("probabilities", shape=(4,), classes=classes)).values
    assert close(ours, table(probabilities))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", REGRESSORS)
def test_regressors_agree_with_onnxruntime(name: str, dtype: str, manifest: Any) -> None:
    model = exported(name, "", dtype)
    terms = manifest("value", shape=(4,), dtype=dtype)
    ours = predict(model, ROWS.astype(dtype), terms).values
    assert close(ours, peer(model, dtype)[0].ravel())


EXPORTED = [
    *((name, target) for name in CLASSIFIERS for target in TARGETS),
    *((name, "") for name in REGRESSORS),
]


@pytest.mark.parametrize(("name", "target"), EXPORTED)
def test_results_are_as_near_to_float64_as_onnxruntimes(name: str, target: str) -> None:
    model = onnx.load_from_string(exported(name, target))
    inputs = {model.graph.input[0].name: ROWS}
    oracles.compare(
        oracles.run_ours(model, inputs),
        oracles.run_peer(model, inputs),
        evaluate_wide(model, inputs),
    )


@pytest.mark.parametrize("opset", [9, 11, 13, 15, 18, 21])
def test_exports_of_older_opsets(opset: int, manifest: Any) -> None:
    model = exported("mlp-relu", "three", opset=opset)
    terms = manifest("probabilities", shape=(4,), classes=NAMES)
    assert close(predict(model, ROWS, terms).values, table(peer(model, "float32")[1]))


@pytest.mark.parametrize("name", ["logistic", "mlp-relu", "sgd-log"])
def test_the_batch_size_changes_no_bit(name: str, manifest: Any) -> None:
    model = exported(name, "three")
    digests = {
        predict(
            model, ROWS, manifest("probabilities", shape=(4,), classes=NAMES, batch=batch)
        ).values.tobytes()
        for batch in (1, 2, 7, 64, 149, 150, 1_000)
    }
    assert len(digests) == 1


def test_the_cost_follows_from_the_shapes(manifest: Any) -> None:
    terms = manifest("probabilities", shape=(4,), classes=NAMES, batch=64)
    cost = admit(exported("mlp-relu", "three"), terms).cost
    assert cost.multiply_accumulates == 64 * (4 * 16 + 16 * 8 + 8 * 3)
    assert cost.nodes > 5
    assert cost.peak_bytes < 64 * 1024
