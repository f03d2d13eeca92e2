"""The golden digests come out on this machine, however threads and rows are divided."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from danku.evaluation.kernels.compiler import KERNELS, Kernel
from danku.evaluation.kernels.threads import threads
from tests.evaluation.golden import __main__ as command
from tests.evaluation.golden import suite
from tests.evaluation.golden.building import Case, rows_of

RUNS = dict(suite.runs())


@cache
def case(name: str) -> Case:
    return suite.MODELS[name]()


BY_ROWS = [name for name in suite.MODELS if case(name).by_rows]


@pytest.fixture(params=[1, 2], ids=["one-thread", "two-threads"])
def shared_out(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """However little there is to do, each thread gets its part."""
    monkeypatch.setattr("danku.evaluation.kernels.threads.LEAST_WORK", 1)
    with threads(request.param):
        yield


@pytest.mark.parametrize("name", RUNS)
def test_golden_digests(name: str, shared_out: None) -> None:
    found = RUNS[name]()
    wanted = {key: value for key, value in suite.golden().items() if key in found}
    assert suite.different(found, wanted) == []


def test_every_digest_belongs_to_a_run() -> None:
    names = {name.split(" ")[0] for name in suite.golden()}
    assert names == {name.split(" ")[0] for name in RUNS}


def test_every_kernel_has_a_golden_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """NOTE: whoever adds a kernel adds a model that runs it to `tests/evaluation/golden`."""
    run: set[str] = set()
    call = Kernel.__call__

    def recorded(kernel: Kernel, *arguments: object) -> None:
        run.add(kernel.name)
        call(kernel, *arguments)

    monkeypatch.setattr(Kernel, "__call__", recorded)
    monkeypatch.setattr("danku.evaluation.kernels.threads.LEAST_WORK", 1)
    with threads(2):
        for golden in RUNS.values():
            golden()
    assert {kernel.name for kernel in KERNELS} - run == set()


@pytest.mark.parametrize("name", BY_ROWS)
@settings(max_examples=5, deadline=None)
@given(data=st.data())
def test_any_split_of_the_rows_gives_the_same_bits(name: str, data: st.DataObject) -> None:
    model = case(name)
    rows = len(next(iter(model.inputs.values())))
    cuts = data.draw(st.sets(st.integers(1, rows - 1), min_size=1, max_size=3))
    parts = [
        suite.outputs(model, rows_of(model, first, after))
        for first, after in pairwise([0, *sorted(cuts), rows])
    ]
    golden = suite.golden()
    for output in parts[0]:
        joined = np.concatenate([part[output] for part in parts])
        assert suite.digest(joined) == golden[f"{name} {output}"], output


def test_models_that_mix_rows_are_the_exception() -> None:
    assert set(suite.MODELS) - set(BY_ROWS) == {"places", "quantized-at-run-time"}


def test_a_digest_sees_one_bit_and_not_what_is_canonical() -> None:
    x = np.array([1.0, 0.0, np.nan], np.float32)
    wanted = suite.digest(x)
    alike = np.array([0x3F800000, 0x80000000, 0xFFC00001], np.uint32).view(np.float32)
    assert suite.digest(alike) == wanted
    assert suite.digest(np.nextafter(x, np.float32(9))) != wanted
    assert suite.digest(x.astype(np.float64)) != wanted
    assert suite.digest(x.reshape(1, 3)) != wanted
    split = [np.array(each, object) for each in (["a", "bc"], ["ab", "c"])]
    assert suite.digest(split[0]) != suite.digest(split[1])


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """One run, and digests of its own."""
    monkeypatch.setattr(suite, "DIGESTS", tmp_path / "digests.json")
    monkeypatch.setattr(suite, "runs", lambda: iter([("exp float32", RUNS["exp float32"])]))
    return tmp_path / "digests.json"


def test_digests_are_never_replaced_silently(
    few: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["golden", *arguments])
        return command.main(), capsys.readouterr().out

    few.write_text('{"exp float32": "00", "gone": "11"}')
    before = few.read_text()
    code, said = run()
    assert code == 1
    assert "exp float32: 00 -> " in said
    assert "gone: 11 -> absent" in said
    assert few.read_text() == before
    code, said = run("--write")
    assert code == 0
    assert "2 of 1 digests differ" in said or "gone: 11 -> absent" in said
    assert run() == (0, "0 of 1 digests differ\n")


@pytest.mark.parametrize("build", suite.MODELS.values(), ids=suite.MODELS)
def test_models_are_built_alike_every_time(build: Callable[[], Case]) -> None:
    assert build().model == build().model
