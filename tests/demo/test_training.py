"""The demonstration's models really learn, run in onnxruntime and stand clearly apart."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

from danku.dataset.shipped import shipped_challenges
from danku.demo.training import broken_model, train_logistic, train_network
from danku.evaluation.evaluate import evaluate
from danku.evaluation.metrics import metric
from danku.protocol.manifest import (
    DataDescription,
    EvaluationTerms,
    Manifest,
    MechanismTerms,
    ModelContract,
)
from danku.protocol.types import SCORE_UNIT, Score

Array = NDArray[Any]
Trainer = Callable[[Array, Array], bytes]

VARIANTS: list[Trainer] = [
    lambda features, target: train_network(features, target, hidden=16, steps=300, seed=1),
    lambda features, target: train_logistic(features, target, columns=range(4), steps=200, seed=1),
    lambda features, target: train_logistic(features, target, columns=[26], steps=200, seed=1),
    lambda features, target: train_logistic(features, target, columns=[1, 4], steps=200, seed=1),
]

MANIFEST = Manifest(
    name="breast-cancer",
    title="Breast cancer",
    summary="",
    data=DataDescription(columns=(), target="diagnosis", rows=569),
    evaluation=EvaluationTerms(metric="f1", threshold=Score(0)),
    model=ModelContract(shape=(30,), output="label", classes=("benign", "malignant")),
    mechanism=MechanismTerms(name="winner-takes-all"),
)


@pytest.fixture(scope="module")
def data() -> tuple[Array, Array]:
    with (shipped_challenges()["breast-cancer"] / "data.csv").open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    features = np.array([row[:-1] for row in rows], dtype=np.float32)
    return features, np.array([int(row[-1] == "malignant") for row in rows])


def predict(model: bytes, features: Array) -> Array:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    [label] = session.run(["label"], {"features": features})
    return np.asarray(label)


def test_four_variants_of_clearly_different_quality(data: tuple[Array, Array]) -> None:
    features, target = data
    means, by_variant = [], []
    for trainer in VARIANTS:
        scores = []
        for seed in range(5):
            order = np.random.default_rng(seed).permutation(len(target))
            test, train = order[:171], order[171:]
            begin = time.perf_counter()
            model = trainer(features[train], target[train])
            assert time.perf_counter() - begin < 2
            label = predict(model, features[test])
            assert label.dtype == np.int64
            assert label.shape == (len(test),)
            scores.append(metric("f1").compute(target[test], label, 2))
        means.append(sum(scores) / len(scores) / SCORE_UNIT)
        by_variant.append(scores)

    assert means[0] > 0.94
    assert 0.5 < means[3] < 0.75
    assert all(better > worse + 0.04 for better, worse in pairwise(means))
    assert all(scores[0] > max(scores[1:]) for scores in zip(*by_variant, strict=True))


@pytest.mark.parametrize("trainer", VARIANTS)
def test_the_same_arguments_train_the_same_model(
    data: tuple[Array, Array], trainer: Trainer
) -> None:
    assert trainer(*data) == trainer(*data)


def test_another_seed_trains_another_model(data: tuple[Array, Array]) -> None:
    first, second = (train_network(*data, hidden=4, steps=20, seed=seed) for seed in (1, 2))
    assert first != second
    first, second = (train_logistic(*data, columns=None, steps=20, seed=seed) for seed in (1, 2))
    assert first != second


def test_a_model_looks_only_at_its_columns(data: tuple[Array, Array]) -> None:
    features, target = data
    model = train_logistic(features, target, columns=[1, 4], steps=50, seed=1)
    others = [column for column in range(30) if column not in (1, 4)]
    changed = features.copy()
    changed[:, others] = -1e6
    np.testing.assert_array_equal(predict(model, features), predict(model, changed))


@pytest.mark.parametrize("classes", [2, 4])
def test_constant_columns_and_more_classes(classes: int) -> None:
    generator = np.random.default_rng(0)
    target = np.arange(200) % classes
    features = generator.normal(0, 0.1, (200, 3)).astype(np.float32)
    features[:, 0] += target
    features[:, 2] = 7
    for model in (
        train_logistic(features, target, columns=None, steps=300, seed=0),
        train_network(features, target, hidden=16, steps=300, seed=0),
    ):
        assert (predict(model, features) == target).mean() > 0.95


def test_any_batch_size(data: tuple[Array, Array]) -> None:
    features, target = data
    model = train_network(features, target, hidden=4, steps=20, seed=1)
    rows = [predict(model, features[row : row + 1])[0] for row in range(20)]
    np.testing.assert_array_equal(predict(model, features[:20]), rows)


def test_models_are_plain_onnx(data: tuple[Array, Array]) -> None:
    model = onnx.load_from_string(train_logistic(*data, columns=None, steps=5, seed=1))
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]
    assert model.ir_version == 8
    assert not model.metadata_props


def test_the_broken_model_runs_elsewhere_and_is_rejected_with_its_reason(
    data: tuple[Array, Array],
) -> None:
    features, target = data
    model = broken_model()
    onnx.checker.check_model(onnx.load_from_string(model), full_check=True)
    assert set(predict(model, features)) == {0, 1}

    verdict = evaluate(model, features, target, MANIFEST)
    assert verdict.status == "rejected"
    assert verdict.reason.startswith("unsupported operator RandomUniformLike")


@pytest.mark.parametrize("trainer", VARIANTS)
def test_validators_score_the_models_like_onnxruntime(
    data: tuple[Array, Array], trainer: Trainer
) -> None:
    features, target = data
    model = trainer(features, target)
    verdict = evaluate(model, features, target, MANIFEST)
    assert verdict.status == "scored", verdict.reason
    assert verdict.score == metric("f1").compute(target, predict(model, features), 2)
