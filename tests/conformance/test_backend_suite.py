"""The ONNX project's own tests: no fewer pass than docs/conformance.md publishes."""

from __future__ import annotations

import re
import warnings

import numpy as np
import onnx
import pytest
from onnx.backend.test.runner import Runner

from tests.conformance import backend_suite
from tests.conformance.backend_suite import EXCLUDED, FAILED, PAGE, PASSED, SUITES, Result

PUBLISHED = PAGE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def found() -> list[Result]:
    with warnings.catch_warnings():
        # NOTE: the suite's own reference overflows and divides by zero on purpose.
        warnings.simplefilter("ignore")
        return backend_suite.results()


def published(suite: str) -> tuple[int, int, int]:
    """Cases, passed and failed, as the page has them."""
    [row] = re.findall(rf"^\| {SUITES[suite]} \| (\d+) \| (\d+) \| (\d+) \|", PUBLISHED, re.M)
    cases, passed, failed = map(int, row)
    return cases, passed, failed


@pytest.mark.parametrize("suite", SUITES)
def test_no_fewer_pass_than_published(suite: str, found: list[Result]) -> None:
    if f"of onnx {onnx.__version__})" not in PUBLISHED:
        pytest.skip("docs/conformance.md is about another version of onnx")
    outcomes = [each.outcome for each in found if each.suite == suite]
    cases, passed, failed = published(suite)
    assert len(outcomes) == cases
    assert outcomes.count(PASSED) >= passed
    assert outcomes.count(FAILED) <= failed


def test_the_page_names_every_case_that_does_not_pass(found: list[Result]) -> None:
    missed = [each for each in found if each.outcome not in (PASSED, EXCLUDED)]
    assert missed and all(each.reason for each in missed)
    page = backend_suite.page(found)
    assert all(f"`{each.name}`" in page for each in missed)
    assert not any("crash" in each.reason for each in missed)


def test_the_goal_is_held(found: list[Result]) -> None:
    assert backend_suite.share([each for each in found if each.suite == "node"]) >= 0.9


@pytest.mark.parametrize("name", ["test_dft_inverse", "test_dft_inverse_opset19"])
def test_the_suite_refuses_the_exact_inverse_transform(name: str) -> None:
    [case] = [each for each in backend_suite.cases("node") if each.name == name]
    [(given, [suite])] = case.data
    signal = backend_suite._array(given[0]).astype(np.float64)
    waves = np.fft.ifft(signal[..., 0] + 1j * signal[..., 1], axis=1)
    exact = np.stack([waves.real, waves.imag], axis=-1)
    names = [value.name for value in case.model.graph.input]
    inputs = dict(zip(names, map(backend_suite._array, given), strict=True))
    [ours], _ = backend_suite._outputs(case.model.SerializeToString(), inputs)
    assert np.abs(ours - exact).max() < np.abs(suite - exact).max() / 3
    for result in (ours, exact.astype(np.float32)):
        with pytest.raises(AssertionError):
            Runner.assert_similar_outputs([suite], [result], case.rtol, case.atol)
    outside = np.abs(ours - suite) > case.atol + case.rtol * np.abs(suite)
    assert outside.sum() == 10
    assert np.abs(exact[outside]).max() < 1e-13 and np.abs(suite[outside]).min() > 1.9e-7


def test_half_types_come_nearer_to_the_exact_result_than_the_suite() -> None:
    name = "test_attention_4d_causal_fp16"
    pair = [each for each in backend_suite.cases("node") if each.name.startswith(name)]
    for case in pair:
        [(given, [suite])] = case.data
        query, key, value = (each.astype(np.float64) for each in given)
        scores = query @ key.swapaxes(2, 3) / np.sqrt(query.shape[3])
        scores[..., np.triu(np.ones(scores.shape[2:], bool), 1)] = -np.inf
        shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
        exact = (shares / shares.sum(axis=-1, keepdims=True)) @ value
        inputs = dict(zip("QKV", given, strict=True))
        [ours], _ = backend_suite._outputs(case.model.SerializeToString(), inputs)
        assert np.abs(ours - exact).max() < np.abs(suite - exact).max()


def test_a_wrong_result_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    [case] = [each for each in backend_suite.cases("node") if each.name == "test_abs"]
    assert backend_suite.assess(case).outcome == PASSED
    right = backend_suite._outputs

    def wrong(*given: object) -> object:
        outputs, fixed = right(*given)
        return [output * 1.01 for output in outputs], fixed

    monkeypatch.setattr(backend_suite, "_outputs", wrong)
    assert backend_suite.assess(case).outcome == FAILED
