"""The shipped challenges: real data, terms that fit it, and baselines that do what they say."""

from __future__ import annotations

import csv
import math
import re
import runpy
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits

from danku.dataset.shipped import shipped_challenges
from danku.dataset.sources import read_source
from danku.evaluation.evaluate import evaluate
from danku.evaluation.metrics import metric
from danku.protocol import records
from danku.protocol.manifest import (
    DataDescription,
    EvaluationTerms,
    Manifest,
    MechanismTerms,
    ModelContract,
)
from danku.protocol.types import SCORE_UNIT, Score
from danku.roles.challenge_file import (
    evaluation_of,
    mechanism_of,
    read_challenge_file,
    reward_of,
    schedule_of,
)

NAMES = ["breast-cancer", "diabetes", "digits"]
SPLITS = 20
TEST_FRACTION = 0.3

Array = NDArray[Any]


@dataclass(frozen=True)
class Challenge:
    """A shipped challenge as a stranger reads it."""

    folder: Path
    terms: dict[str, Any]
    columns: list[str]
    features: Array
    target: list[str]

    @property
    def classes(self) -> list[str]:
        return list(self.terms["model"].get("classes", ()))

    @property
    def threshold(self) -> int:
        return int(Fraction(self.terms["evaluation"]["threshold"]) * SCORE_UNIT)

    def arrays(self) -> tuple[Array, Array]:
        """The arrays that a submitter pulls."""
        if self.classes:
            target: Array = np.array([self.classes.index(name) for name in self.target])
        else:
            target = np.array(self.target, dtype=np.float64)
        return self.features.astype(np.float32), target

    def manifest(self) -> Manifest:
        terms = self.terms
        return Manifest(
            name=terms["challenge"]["name"],
            title=terms["challenge"]["title"],
            summary=terms["challenge"]["summary"],
            data=DataDescription(
                columns=tuple(self.columns),
                target=terms["data"]["target"],
                rows=len(self.target),
            ),
            evaluation=EvaluationTerms(
                metric=terms["evaluation"]["metric"],
                threshold=Score(self.threshold),
                batch=terms["evaluation"]["batch"],
            ),
            model=ModelContract(
                shape=tuple(terms["model"]["shape"]),
                output=terms["model"]["output"],
                dtype=terms["model"]["dtype"],
                classes=tuple(self.classes),
            ),
            mechanism=MechanismTerms(
                name=terms["reward"]["mechanism"], shares=tuple(terms["reward"].get("shares", ()))
            ),
        )

    def score(self, model: bytes, features: Array, target: Array) -> int:
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        [prediction] = session.run(None, {session.get_inputs()[0].name: features})
        rule = metric(self.terms["evaluation"]["metric"])
        return rule.compute(target, prediction.reshape(len(features)), len(self.classes))


@pytest.fixture(params=NAMES)
def challenge(request: pytest.FixtureRequest) -> Challenge:
    folder = shipped_challenges()[request.param]
    terms = tomllib.loads((folder / "challenge.toml").read_text(encoding="utf-8"))
    with (folder / terms["data"]["source"]).open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    place = header.index(terms["data"]["target"])
    features = np.array([row[:place] + row[place + 1 :] for row in rows], dtype=np.float64)
    columns = header[:place] + header[place + 1 :]
    return Challenge(folder, terms, columns, features, [row[place] for row in rows])


def split(rows: int, seed: int) -> tuple[Array, Array]:
    """Row numbers of a random train and test part."""
    order = np.random.default_rng(seed).permutation(rows)
    cut = round(rows * TEST_FRACTION)
    return order[cut:], order[:cut]


def test_exactly_these_challenges_are_shipped() -> None:
    assert list(shipped_challenges()) == NAMES


def test_data_is_what_scikit_learn_bundles(challenge: Challenge) -> None:
    bundled = {
        "breast-cancer": load_breast_cancer,
        "digits": load_digits,
        "diabetes": lambda: load_diabetes(scaled=False),
    }[challenge.folder.name]()

    np.testing.assert_array_equal(challenge.features, bundled.data)
    if challenge.folder.name == "breast-cancer":
        assert challenge.target == [bundled.target_names[number] for number in bundled.target]
    else:
        np.testing.assert_array_equal(np.array(challenge.target, dtype=float), bundled.target)


def test_terms_fit_the_data(challenge: Challenge) -> None:
    terms = challenge.terms
    assert terms["challenge"]["name"] == challenge.folder.name
    assert terms["model"]["shape"] == [len(challenge.columns)]
    assert len(set(challenge.columns)) == len(challenge.columns)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", column) for column in challenge.columns)
    if challenge.classes:
        assert set(challenge.classes) == set(challenge.target)

    groups = math.ceil(len(challenge.target) / terms["data"]["group_rows"])
    assert math.floor(groups * terms["data"]["test_fraction"]) >= 20
    assert terms["data"]["shuffle"] is True


def test_the_positive_class_of_breast_cancer_is_malignant() -> None:
    terms = tomllib.loads((shipped_challenges()["breast-cancer"] / "challenge.toml").read_text())
    assert terms["model"]["classes"].index("malignant") == 1


def test_terms_keep_the_rules(challenge: Challenge) -> None:
    terms, reward = challenge.terms, challenge.terms["reward"]
    rule = metric(terms["evaluation"]["metric"])
    assert rule.accepts(terms["model"]["output"])
    assert rule.lowest <= challenge.threshold <= rule.highest
    assert 2 * int(reward["organizer_bond"]) >= int(reward["pot"]) > 0

    manifest = challenge.manifest()
    assert records.decode(records.encode(manifest), Manifest, "the manifest") == manifest
    assert (reward["mechanism"] == "top-k") == (sum(manifest.mechanism.shares) == 10_000)


def test_danku_reads_the_terms_and_the_data(challenge: Challenge) -> None:
    path = challenge.folder / "challenge.toml"
    file = read_challenge_file(path)
    manifest = challenge.manifest()
    assert evaluation_of(file, path) == manifest.evaluation
    assert mechanism_of(file, path) == manifest.mechanism
    assert file.model == manifest.model
    assert reward_of(file, path).pot == int(challenge.terms["reward"]["pot"])
    assert schedule_of(file).submit == 7 * 86_400

    table = read_source(
        challenge.folder / file.data.source,
        file.data.target,
        dtype=file.model.dtype,
        row_shape=file.model.shape,
        classes=file.model.classes,
        group_by=file.data.group_by,
    )
    features, target = challenge.arrays()
    assert list(table.columns) == challenge.columns
    np.testing.assert_array_equal(table.features.astype(np.float32), features)
    np.testing.assert_array_equal(table.target, target)


def test_baseline_trains_from_the_command_line(challenge: Challenge, tmp_path: Path) -> None:
    features, target = challenge.arrays()
    train, test = split(len(target), seed=0)
    np.savez(tmp_path / "data.npz", features=features[train], target=target[train])

    models = []
    for name in ("first.onnx", "second.onnx"):
        subprocess.run(
            [sys.executable, challenge.folder / "baseline.py", "data.npz", name],
            cwd=tmp_path,
            check=True,
            timeout=60,
        )
        models.append((tmp_path / name).read_bytes())
    assert models[0] == models[1]

    score = challenge.score(models[0], features[test], target[test])
    rule = metric(challenge.terms["evaluation"]["metric"])
    assert rule.passes(score, challenge.threshold)


def test_validators_score_the_baseline_like_onnxruntime(challenge: Challenge) -> None:
    baseline = runpy.run_path(str(challenge.folder / "baseline.py"))
    features, target = challenge.arrays()
    train, test = split(len(target), seed=0)
    model = baseline["export"](*baseline["train"](features[train], target[train]))
    verdict = evaluate(
        model.SerializeToString(), features[test], target[test], challenge.manifest()
    )
    assert (verdict.status, verdict.reason) == ("scored", "")
    preview = challenge.score(model.SerializeToString(), features[test], target[test])
    # NOTE: float32 predictions differ in their last bits; labels far from a tie do not.
    assert verdict.score == pytest.approx(preview, rel=0 if challenge.classes else 1e-6)


def stated_scores(challenge: Challenge) -> tuple[float, float, float]:
    """Mean, worst and best score of the baseline, as the challenge's README states them."""
    readme = (challenge.folder / "README.md").read_text(encoding="utf-8")
    stated = re.search(r"\| `baseline\.py` \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|", readme)
    assert stated is not None
    mean, worst, best = map(float, stated.groups())
    return mean, worst, best


def measured_scores(challenge: Challenge, splits: int) -> list[float]:
    """The baseline's scores on the first random splits."""
    baseline = runpy.run_path(str(challenge.folder / "baseline.py"))
    features, target = challenge.arrays()
    scores = []
    for seed in range(splits):
        train, test = split(len(target), seed)
        model = baseline["export"](*baseline["train"](features[train], target[train]))
        score = challenge.score(model.SerializeToString(), features[test], target[test])
        scores.append(score / SCORE_UNIT)
    return scores


def test_baseline_reaches_what_its_readme_states(challenge: Challenge) -> None:
    _, worst, best = stated_scores(challenge)
    for score in measured_scores(challenge, 3):
        assert 0.99 * min(worst, best) <= score <= 1.01 * max(worst, best)


@pytest.mark.soak
def test_readme_states_mean_worst_and_best_of_all_splits(challenge: Challenge) -> None:
    mean, worst, best = stated_scores(challenge)
    scores = measured_scores(challenge, SPLITS)
    higher = metric(challenge.terms["evaluation"]["metric"]).higher_is_better
    # NOTE: numpy's float arithmetic may differ in the last bits, and a label with it, by machine.
    assert np.mean(scores) == pytest.approx(mean, rel=0.003)
    assert min(scores) == pytest.approx(worst if higher else best, rel=0.01)
    assert max(scores) == pytest.approx(best if higher else worst, rel=0.01)


def test_baseline_says_how_it_is_used(challenge: Challenge) -> None:
    done = subprocess.run(
        [sys.executable, challenge.folder / "baseline.py"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "usage: python baseline.py DATA.npz OUT.onnx" in done.stderr
    assert "Traceback" not in done.stderr


def test_readme_states_source_licence_and_threshold(challenge: Challenge) -> None:
    readme = (challenge.folder / "README.md").read_text(encoding="utf-8")
    assert "## Source and licence" in readme
    assert "CC BY 4.0" in readme or "BSD 3-Clause" in readme
    assert f"{challenge.terms['evaluation']['threshold']} passes" in readme
    assert f"{challenge.terms['data']['group_rows']} rows each" in readme
