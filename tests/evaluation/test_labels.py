"""Labels: LabelEncoder and ZipMap, and how a model's classes meet the challenge's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from onnx import helper

from danku.evaluation.evaluate import predict
from danku.evaluation.refusal import ModelRejected

ML = "ai.onnx.ml"
ROWS = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 5, 0], [9, 0, 0]], np.float32)
EYE = np.eye(3, dtype=np.float32)


def encoder(**attributes: Any) -> Any:
    return helper.make_node("LabelEncoder", ["x"], ["y"], domain=ML, **attributes)


@pytest.mark.parametrize(
    ("attributes", "version", "x", "expected"),
    [
        ({"classes_strings": ["a", "b"]}, 1, np.array([1, 0, 2]), ["b", "a", "_Unused"]),
        (
            {"classes_strings": ["a", "b"], "default_int64": 9},
            1,
            np.array(["b", "?"], object),
            [1, 9],
        ),
        (
            {"keys_strings": ["a", "b"], "values_floats": [0.5, 2]},
            2,
            np.array(["b", "a"], object),
            [2, 0.5],
        ),
        (
            {"keys_int64s": [3, 3], "values_strings": ["first", "second"], "default_string": "no"},
            3,
            np.array([3, 4]),
            ["first", "no"],
        ),
        (
            {"keys_floats": [0.0, float("nan")], "values_int64s": [1, 2]},
            2,
            np.array([-0.0, np.nan, 1], np.float32),
            [1, 2, -1],
        ),
    ],
)
def test_label_encoder(
    attributes: dict[str, Any],
    version: int,
    x: np.ndarray,
    expected: list[Any],
    model: Callable[..., Any],
    exact: Callable[..., Any],
) -> None:
    built = model(
        [encoder(**attributes)], ["y"], shape=[None], dtype=x.dtype.name, opset=17, ml=version
    )
    assert exact(built, x)["y"].tolist() == expected


def zipped(model: Callable[..., Any], **labels: Any) -> bytes:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["s"]),
        helper.make_node("ZipMap", ["s"], ["y"], domain=ML, **labels),
    ]
    data: bytes = model(nodes, ["y"], constants={"w": EYE}).SerializeToString()
    return data


@pytest.mark.parametrize(
    ("labels", "columns"),
    [
        ({"classlabels_strings": ["c", "a", "b"]}, [1, 2, 0]),
        ({"classlabels_int64s": [2, 1, 0]}, [2, 1, 0]),
        ({"classlabels_int64s": [10, 20, 30]}, [0, 1, 2]),
        ({"classlabels_strings": ["x", "a", "b"]}, [0, 1, 2]),
    ],
    ids=["names", "indices", "unknown-indices", "unknown-name"],
)
def test_columns_are_matched_by_label_where_labels_name_classes(
    labels: dict[str, Any], columns: list[int], model: Callable[..., Any], manifest: Any
) -> None:
    terms = manifest("probabilities", classes=("a", "b", "c"))
    found = predict(zipped(model, **labels), ROWS, terms)
    assert found.values.tolist() == ROWS[:, columns].tolist()


def test_a_class_that_the_model_never_saw_has_probability_zero(
    model: Callable[..., Any], manifest: Any
) -> None:
    terms = manifest("probabilities", classes=("a", "b", "c", "d"))
    found = predict(zipped(model, classlabels_strings=["d", "b", "a"]), ROWS, terms)
    assert found.values.shape == (5, 4)
    assert found.values[:, [3, 1, 0]].tolist() == ROWS.tolist()
    assert not found.values[:, 2].any()


def test_the_labels_of_a_classifier_survive_the_normaliser(
    model: Callable[..., Any], manifest: Any
) -> None:
    nodes = [
        helper.make_node(
            "LinearClassifier",
            ["x"],
            ["l", "p"],
            domain=ML,
            coefficients=EYE.ravel().tolist(),
            intercepts=[0.0] * 3,
            classlabels_strings=["c", "b", "a"],
        ),
        helper.make_node("Normalizer", ["p"], ["n"], domain=ML, norm="L1"),
        helper.make_node("Cast", ["n"], ["y"], to=11),
    ]
    built = model(nodes, {"l": "object", "y": "float64"}).SerializeToString()
    classes = ("a", "b", "c")
    found = predict(built, ROWS, manifest("probabilities", classes=classes))
    assert found.values[:3].tolist() == EYE[:, ::-1].tolist()
    labels = predict(built, ROWS, manifest("label", classes=classes))
    assert labels.values.tolist() == [2, 1, 0, 1, 2]


def test_labels_outside_the_classes_are_wrong_predictions(
    model: Callable[..., Any], manifest: Any
) -> None:
    cast = helper.make_node("Cast", ["x"], ["y"], to=7)
    built = model([cast], {"y": "int64"}, shape=[None]).SerializeToString()
    rows = np.array([0, 1, 2, -1, 1e18], np.float32)
    assert predict(built, rows, manifest(shape=())).values.tolist() == [0, 1, -1, -1, -1]

    names = encoder(keys_floats=[0.0, 1.0], values_strings=["yes", "maybe"])
    built = model([names], {"y": "object"}, shape=[None]).SerializeToString()
    assert predict(built, rows[:3], manifest(shape=())).values.tolist() == [1, -1, -1]


def test_the_output_of_zip_map_is_no_tensor(model: Callable[..., Any], manifest: Any) -> None:
    nodes = [
        helper.make_node("ZipMap", ["x"], ["m"], domain=ML, classlabels_int64s=[0, 1, 2]),
        helper.make_node("Identity", ["m"], ["y"]),
    ]
    with pytest.raises(ModelRejected, match="ZipMap is no tensor"):
        predict(model(nodes, ["y"]).SerializeToString(), ROWS, manifest("probabilities"))
