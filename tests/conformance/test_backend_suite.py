"""The ONNX project's own tests: no fewer pass than docs/conformance.md publishes."""

from __future__ import annotations

import re
import warnings

import onnx
import pytest

from tests.conformance import backend_suite
from tests.conformance.backend_suite import FAILED, PAGE, PASSED, SUITES, Result

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


def test_a_wrong_result_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    [case] = [each for each in backend_suite.cases("node") if each.name == "test_abs"]
    assert backend_suite.assess(case).outcome == PASSED
    right = backend_suite._outputs

    def wrong(*given: object) -> object:
        outputs, fixed = right(*given)
        return [output * 1.01 for output in outputs], fixed

    monkeypatch.setattr(backend_suite, "_outputs", wrong)
    assert backend_suite.assess(case).outcome == FAILED
