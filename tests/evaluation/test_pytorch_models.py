"""Networks as PyTorch's two exporters and onnxruntime's quantizer write them.

The fixtures are made by `tests/evaluation/pytorch/export.py`; their float64 outputs are stored.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from danku.evaluation.evaluate import predict
from danku.evaluation.refusal import ModelRejected
from tests.evaluation import oracles
from tests.evaluation.pytorch.load import FOLDER, Fixture, fixtures

FIXTURES = fixtures()
BYTES = 5 * 2**20

REFUSED = dict.fromkeys(
    (
        "diagonal-torchscript",
        "embedding-bag-dynamo",
        "embedding-bag-torchscript",
        "norm-response-torchscript",
        "scatter-reduce-torchscript",
    ),
    "control flow not allowed",
)
"""What exporters write that is outside the profile, and the reason that is given."""


def compare(fixture: Fixture) -> list[oracles.Measured]:
    theirs = oracles.run_peer(fixture.model, fixture.inputs, as_written=fixture.quantized)
    return oracles.compare(oracles.run_ours(fixture.model, fixture.inputs), theirs, fixture.exact)


@pytest.mark.parametrize("name", sorted(set(FIXTURES) - set(REFUSED)))
def test_results_agree_with_onnxruntime_and_float64(name: str) -> None:
    compare(FIXTURES[name])


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_outside_the_profile_is_refused_by_name(name: str) -> None:
    fixture = FIXTURES[name]
    with pytest.raises(ModelRejected, match=REFUSED[name]):
        oracles.run_ours(fixture.model, fixture.inputs)


CLASSIFIERS = {
    "mlp": 4,
    "cnn-residual": 5,
    "cnn-mobile": 4,
    "lstm": 3,
    "gru": 3,
    "text-mean": 3,
    "text-encoder": 4,
    "vision-transformer": 5,
    "tabular-embedding": 3,
    "quantized-mlp-qdq": 4,
}
"""Networks that keep a challenge's contract, with the number of their classes."""


def terms(manifest: Any, fixture: Fixture, classes: int, batch: int) -> Any:
    [rows] = fixture.inputs.values()
    return manifest(
        "probabilities",
        shape=rows.shape[1:],
        dtype=str(rows.dtype),
        classes=tuple(f"class {place}" for place in range(classes)),
        batch=batch,
    )


@pytest.mark.parametrize(
    "name", [name for name, each in FIXTURES.items() if each.case in CLASSIFIERS]
)
def test_an_open_batch_takes_any_number_of_rows(name: str, manifest: Any) -> None:
    fixture = FIXTURES[name]
    [rows] = fixture.inputs.values()
    [expected] = oracles.run_ours(fixture.model, fixture.inputs).values()
    rows, expected = (np.concatenate([each] * 5)[:23] for each in (rows, expected))
    for batch in (1, 5, 64):
        keeping = terms(manifest, fixture, CLASSIFIERS[fixture.case], batch)
        found = predict(fixture.path.read_bytes(), rows, keeping).values
        assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("exporter", ["torchscript", "dynamo"])
def test_a_fixed_batch_is_filled_up(exporter: str, manifest: Any) -> None:
    fixture = FIXTURES[f"mlp-fixed-batch-{exporter}"]
    [rows] = fixture.inputs.values()
    [expected] = oracles.run_ours(fixture.model, fixture.inputs).values()
    data = fixture.path.read_bytes()
    for count in (1, 3, 4):
        found = predict(data, rows[:count], terms(manifest, fixture, 4, batch=4)).values
        assert found.tobytes() == expected[:count].tobytes()
    with pytest.raises(ModelRejected, match="batch is fixed to 4, not open, 1 or 8"):
        predict(data, rows, terms(manifest, fixture, 4, batch=8))


@pytest.mark.parametrize("exporter", ["torchscript", "dynamo"])
def test_a_batch_of_one_runs_row_by_row(exporter: str, manifest: Any) -> None:
    fixture = FIXTURES[f"mlp-single-row-{exporter}"]
    [row] = fixture.inputs.values()
    [expected] = oracles.run_ours(fixture.model, fixture.inputs).values()
    rows = np.concatenate([row, -row, row])
    found = predict(fixture.path.read_bytes(), rows, terms(manifest, fixture, 4, batch=64)).values
    assert found[0].tobytes() == found[2].tobytes() == expected.tobytes()


def test_networks_of_two_inputs_do_not_keep_the_contract(manifest: Any) -> None:
    fixture = FIXTURES["bilinear-dynamo"]
    rows = next(iter(fixture.inputs.values()))
    keeping = manifest("probabilities", shape=(5,), classes=("a", "b", "c"))
    with pytest.raises(ModelRejected, match="2 inputs, the contract has one"):
        predict(fixture.path.read_bytes(), rows, keeping)


def test_the_fixtures_are_small_and_name_no_machine() -> None:
    files = sorted(path for path in FOLDER.iterdir() if path.name != "index.json")
    expected = {f"{name}.onnx" for name in FIXTURES}
    expected |= {f"{each.case}.npz" for each in FIXTURES.values()}
    assert {path.name for path in files} == expected
    assert sum(path.stat().st_size for path in files) < BYTES
    for path in files:
        data = path.read_bytes()
        assert not any(word in data for word in (b"site-packages", b"/tmp/", b"/home/", b"/root/"))
