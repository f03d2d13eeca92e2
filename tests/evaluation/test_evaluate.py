"""The verdict: scores, rejections while the model runs, and errors that are not the model's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from danku.errors import DataError
from danku.evaluation.evaluate import UnusableFeatures, evaluate, predict
from danku.evaluation.metrics import UnknownMetric, UnusableTarget, WrongOutput

Build = Callable[..., onnx.ModelProto]
ROWS = np.arange(33, dtype=np.float32).reshape(11, 3) % 7
TARGET = ROWS.argmax(axis=1)
CLASSES = ("a", "b", "c")


def node(operator: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, inputs.split(), outputs.split(), **attributes)


def winner(model: Build, **more: Any) -> bytes:
    """The index of the largest of three features."""
    built = model([node("ArgMax", "x", "y", axis=1, keepdims=0)], {"y": "int64"}, **more)
    return bytes(built.SerializeToString())


def test_a_score_is_exact(model: Build, manifest: Any) -> None:
    terms = manifest(classes=CLASSES)
    verdict = evaluate(winner(model), ROWS, TARGET, terms)
    assert (verdict.status, verdict.score, verdict.reason) == ("scored", 10**9, "")
    wrong = (TARGET + 1) % 3
    wrong[0] = TARGET[0]
    assert evaluate(winner(model), ROWS, wrong, terms).score == 90_909_091


def test_probabilities_serve_a_metric_of_labels(model: Build, manifest: Any) -> None:
    scores = model([node("Identity", "x", "y")], ["y"]).SerializeToString()
    terms = manifest("probabilities", classes=CLASSES, metric="accuracy")
    assert evaluate(scores, ROWS, TARGET, terms).score == 10**9


@pytest.mark.parametrize("shape", [[None, 3], ["rows", "columns"], [1, 3], [4, 3]])
def test_a_fixed_batch_gives_the_same_labels(shape: list[Any], model: Build, manifest: Any) -> None:
    found = predict(winner(model, shape=shape), ROWS, manifest(classes=CLASSES))
    assert found.values.tolist() == TARGET.tolist()


def test_padding_never_reaches_the_outcome(model: Build, manifest: Any) -> None:
    # 1 / x is infinite and inf - inf is NaN in padded rows only
    nodes = [node("Reciprocal", "x", "r"), node("Sub", "r r", "z"), node("Add", "z x", "y")]
    built = model(nodes, ["y"], shape=[4, 3]).SerializeToString()
    rows = ROWS + 1
    found = predict(built, rows, manifest("probabilities", classes=CLASSES))
    assert found.values.tolist() == rows.tolist()


@pytest.mark.parametrize("output", ["probabilities", "value"])
def test_nan_is_rejected_and_infinity_is_not(output: str, model: Build, manifest: Any) -> None:
    nodes = [node("Log", "x", "y")]
    shape = (3,) if output == "probabilities" else ()
    terms = manifest(output, classes=CLASSES, shape=shape)
    built = model(nodes, ["y"], shape=[None, *shape]).SerializeToString()
    rows = ROWS if output == "probabilities" else ROWS[:, 0]
    target = TARGET if output == "probabilities" else TARGET.astype(float)
    assert evaluate(built, rows, target, terms).status == "scored"
    rows = rows.copy()
    rows[10] = -1
    verdict = evaluate(built, rows, target, terms)
    assert (verdict.status, verdict.reason) == ("rejected", "output has NaN")


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ([node("Gather", "table i", "y")], "Gather: index out of range"),
        (
            [
                helper.make_node(
                    "ArrayFeatureExtractor", ["table", "i"], ["t"], domain="ai.onnx.ml"
                ),
                node("Reshape", "t s", "y"),
            ],
            "ArrayFeatureExtractor: index out of range",
        ),
        ([node("Div", "i i", "y")], "integer division by zero"),
    ],
)
def test_undefined_operations_are_rejected_when_the_data_ask_for_them(
    nodes: list[onnx.NodeProto], expected: str, model: Build, manifest: Any
) -> None:
    built = model(
        [node("Cast", "x", "i", to=7), *nodes],
        {"y": "int64"},
        shape=[None],
        constants={"table": np.array([0, 1], np.int64), "s": np.array([-1], np.int64)},
    ).SerializeToString()
    terms = manifest(shape=())
    fine = np.ones(11, np.float32)
    assert evaluate(built, fine, np.ones(11, np.int64), terms).score == 10**9
    bad = fine * (0 if expected.startswith("integer") else 2)
    verdict = evaluate(built, bad, np.ones(11, np.int64), terms)
    assert (verdict.status, verdict.reason) == ("rejected", expected)


def test_undefined_operations_on_constants_are_rejected_at_admission(
    model: Build, manifest: Any
) -> None:
    nodes = [node("Div", "c c", "d"), node("Add", "x d", "y")]
    built = model(
        nodes, ["y"], shape=[None], dtype="int64", constants={"c": np.array([0], np.int64)}
    )
    verdict = evaluate(
        built.SerializeToString(),
        np.ones(2, np.int64),
        np.ones(2, np.int64),
        manifest(shape=(), dtype="int64"),
    )
    assert (verdict.status, verdict.reason) == ("rejected", "integer division by zero")


def test_a_shape_that_does_not_fit_the_last_batch(model: Build, manifest: Any) -> None:
    nodes = [
        node("Shape", "x", "rows", start=0, end=1),
        node("Div", "four rows", "quotient"),
        node("Div", "four quotient", "again"),  # 4 for 4 rows, 1 for 1 row, but 4 for 3 rows
        node("Concat", "again three", "shape", axis=0),
        node("Reshape", "x shape", "y"),
    ]
    constants = {"four": np.array([4]), "three": np.array([3])}
    built = model(nodes, ["y"], constants=constants).SerializeToString()
    terms = manifest("probabilities", classes=CLASSES)
    assert evaluate(built, ROWS[:9], TARGET[:9], terms).status == "scored"
    verdict = evaluate(built, ROWS, TARGET, terms)
    assert verdict.reason == "Reshape: float32 [3, 3] does not fit the shape"


@pytest.mark.parametrize(
    ("rows", "target", "terms", "error"),
    [
        (ROWS.astype(float), TARGET, {}, UnusableFeatures),
        (ROWS[:, :2], TARGET, {}, UnusableFeatures),
        (ROWS[:0], TARGET[:0], {}, UnusableFeatures),
        (ROWS, TARGET + 9, {}, UnusableTarget),
        (ROWS, TARGET, {"metric": "rmse"}, WrongOutput),
        (ROWS, TARGET, {"metric": "nonsense"}, UnknownMetric),
    ],
)
def test_what_is_not_the_models_fault_raises(
    rows: np.ndarray,
    target: np.ndarray,
    terms: dict[str, Any],
    error: type[DataError],
    model: Build,
    manifest: Any,
) -> None:
    with pytest.raises(error):
        evaluate(winner(model), rows, target, manifest(classes=CLASSES, **terms))


def test_a_constant_model_is_legitimate(model: Build, manifest: Any) -> None:
    nodes = [
        node("Shape", "x", "s", start=0, end=1),
        node("ConstantOfShape", "s", "y", value=onnx.numpy_helper.from_array(np.array([2]))),
    ]
    built = model(nodes, {"y": "int64"}).SerializeToString()
    verdict = evaluate(built, ROWS, np.full(11, 2), manifest(classes=CLASSES))
    assert (verdict.status, verdict.score) == ("scored", 10**9)
