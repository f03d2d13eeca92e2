"""Verdicts that are remembered: asked for once, and never for another model, data or terms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from danku.crypto.hashing import keccak, to_hex
from danku.evaluation.verdict import Verdict
from danku.evaluation.work import Yardstick
from danku.evaluation.worker import WorkerDied
from danku.protocol.manifest import Manifest
from danku.protocol.types import Score
from danku.roles.evaluations import Remembering
from tests.roles.conftest import ArenaAt

FEATURES, TARGET = np.arange(6, dtype=np.float32).reshape(2, 3), np.array([0, 1])


class Counting:
    """An evaluator that counts what it is asked for; the model ``b"bad"`` kills it.

    A model of n bytes scores n, and 10 n on a yardstick; ``b"none"`` has no score there, and
    ``b"no"`` is rejected.
    """

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    def evaluate_each(
        self,
        models: Iterable[tuple[str, bytes]],
        features: Any,
        target: Any,
        manifest: Any,
        yardstick: Yardstick | None = None,
    ) -> Iterator[tuple[str, Verdict]]:
        for name, model in models:
            if model == b"bad":
                raise WorkerDied("killed")
            self.asked.append(model)
            yield name, verdict_of(name, model, yardstick)


def verdict_of(name: str, model: bytes, yardstick: Yardstick | None) -> Verdict:
    if model == b"no":
        return Verdict("rejected", Score(0), "no model")
    asked = yardstick is not None and name in yardstick.models and model != b"none"
    return Verdict("scored", Score(len(model)), "", Score(10 * len(model)) if asked else None)


@pytest.fixture
def manifest(stages: ArenaAt) -> Manifest:
    return stages("create").manifest


def named(*models: bytes) -> list[tuple[str, bytes]]:
    return [(to_hex(keccak(model)), model) for model in models]


def ask(
    folder: Path,
    manifest: Manifest,
    *models: bytes,
    features: Any = FEATURES,
    target: Any = TARGET,
) -> list[bytes]:
    """What the evaluator behind the memory was asked for; every verdict is checked."""
    counting = Counting()
    memory = Remembering(counting, folder)
    found = dict(memory.evaluate_each(named(*models), features, target, manifest))
    assert found == {name: Verdict("scored", Score(len(m)), "") for name, m in named(*models)}
    return counting.asked


def measure(
    folder: Path, manifest: Manifest, *models: bytes, among: tuple[bytes, ...], shift: int = 0
) -> list[bytes]:
    """As `ask`, with those ``among`` to be scored on a yardstick, too."""
    counting = Counting()
    names = frozenset(name for name, _ in named(*among))
    yardstick = Yardstick(FEATURES[:1] + 10 + shift, TARGET[:1], names)
    memory = Remembering(counting, folder)
    found = dict(memory.evaluate_each(named(*models), FEATURES, TARGET, manifest, yardstick))
    assert found == {name: verdict_of(name, model, yardstick) for name, model in named(*models)}
    return counting.asked


def test_a_score_on_the_yardstick_is_remembered_like_any_other(
    tmp_path: Path, manifest: Manifest
) -> None:
    models = (b"a", b"bb", b"none", b"no")
    assert measure(tmp_path, manifest, *models, among=models) == list(models)
    assert measure(tmp_path, manifest, *models, among=models) == []
    assert measure(tmp_path, manifest, *models, among=(b"bb",)) == []
    assert ask(tmp_path, manifest, b"a", b"bb") == []
    assert measure(tmp_path, manifest, *models, among=models, shift=1) == [b"a", b"bb", b"none"]


def test_what_was_not_asked_of_the_yardstick_before_is_asked_now(
    tmp_path: Path, manifest: Manifest
) -> None:
    assert ask(tmp_path, manifest, b"a", b"bb") == [b"a", b"bb"]
    assert measure(tmp_path, manifest, b"a", b"bb", b"ccc", among=(b"bb",)) == [b"bb", b"ccc"]
    assert measure(tmp_path, manifest, b"a", b"bb", b"ccc", among=(b"bb", b"ccc")) == [b"ccc"]
    assert ask(tmp_path, manifest, b"a", b"bb", b"ccc") == []


def test_a_model_is_evaluated_once(tmp_path: Path, manifest: Manifest) -> None:
    assert ask(tmp_path, manifest, b"a", b"bb") == [b"a", b"bb"]
    assert ask(tmp_path, manifest, b"bb", b"ccc", b"a") == [b"ccc"]
    assert ask(tmp_path, manifest, b"bb", b"ccc", b"a") == []
    assert ask(tmp_path, manifest) == []


def test_another_set_of_rows_or_terms_is_evaluated_anew(tmp_path: Path, manifest: Manifest) -> None:
    ask(tmp_path, manifest, b"a")
    other = replace(manifest, evaluation=replace(manifest.evaluation, batch=7))
    assert ask(tmp_path, other, b"a") == [b"a"]
    for features in (FEATURES + 1, FEATURES.reshape(2, 3, 1), FEATURES.view(np.int32)):
        assert ask(tmp_path, manifest, b"a", features=features) == [b"a"]
    assert ask(tmp_path, manifest, b"a", target=TARGET[::-1]) == [b"a"]
    assert ask(tmp_path, manifest, b"a") == []


def test_what_was_found_before_a_failure_is_kept(tmp_path: Path, manifest: Manifest) -> None:
    memory = Remembering(Counting(), tmp_path)
    with pytest.raises(WorkerDied):
        list(memory.evaluate_each(named(b"a", b"bb", b"bad"), FEATURES, TARGET, manifest))
    assert ask(tmp_path, manifest, b"a", b"bb", b"ccc") == [b"ccc"]


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_line_that_was_cut_off_is_evaluated_again(
    tmp_path: Path, manifest: Manifest, cut: int
) -> None:
    ask(tmp_path, manifest, b"a", b"bb")
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-cut])
    again = ask(tmp_path, manifest, b"a", b"bb", b"ccc")
    assert again in ([b"bb", b"ccc"], [b"ccc"])
    assert cut == 1 or b"bb" in again
    assert ask(tmp_path, manifest, b"a", b"bb", b"ccc") == []


def test_other_bytes_in_the_file_are_passed_over(tmp_path: Path, manifest: Manifest) -> None:
    ask(tmp_path, manifest, b"a")
    (file,) = tmp_path.iterdir()
    file.write_bytes(b"\xff\x00{}\n" + file.read_bytes() + b'{"model":1}\n')
    assert ask(tmp_path, manifest, b"a", b"bb") == [b"bb"]
