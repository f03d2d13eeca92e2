"""The worker process: the same verdicts, limits that strike it and nobody else, no network."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import psutil
import pytest
from onnx import helper

from danku.evaluation.evaluate import evaluate, judge
from danku.evaluation.frames import Answer, Isolation
from danku.evaluation.verdict import Verdict
from danku.evaluation.work import Work, Yardstick
from danku.evaluation.worker import Worker, WorkerFailed, WorkerTimedOut
from danku.protocol.manifest import Limits
from danku.protocol.types import Score

Build = Callable[..., onnx.ModelProto]
ROWS = np.arange(33, dtype="<f4").reshape(11, 3) % 7
TARGET = ROWS.argmax(axis=1)
CLASSES = ("a", "b", "c")


def child(worker: Worker) -> psutil.Process:
    assert worker._process is not None
    return psutil.Process(worker._process.pid)


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker(seconds=60) as started:
        started.start()
        yield started


@pytest.fixture
def winner(model: Build) -> bytes:
    """The index of the largest of three features."""
    node = helper.make_node("ArgMax", ["x"], ["y"], axis=1, keepdims=0)
    return model([node], {"y": "int64"}).SerializeToString()


@pytest.fixture
def terms(manifest: Any) -> Any:
    return manifest(classes=CLASSES)


def test_verdicts_are_those_of_the_function(worker: Worker, winner: bytes, terms: Any) -> None:
    wrong = (TARGET + 1) % 3
    for model, target in ((winner, TARGET), (winner, wrong), (b"no model", TARGET), (b"", TARGET)):
        expected = evaluate(model, ROWS, target, terms)
        assert worker.evaluate(model, ROWS, target, terms) == expected


def test_some_models_of_a_job_are_scored_on_the_yardstick_too(
    worker: Worker, winner: bytes, terms: Any
) -> None:
    """The rows of both travel once, and the yardstick of the job before is not taken for this."""
    apart, names = (ROWS[:4], (TARGET[:4] + np.array([0, 0, 1, 1])) % 3), frozenset({"asked"})
    models = [winner, b"no model", winner, b"no model"]
    work = Work(ROWS, TARGET, terms, Yardstick(*apart, names))
    plain = worker.judge(models, Work(ROWS, TARGET, terms))
    assert [verdict.yardstick for verdict in plain] == [None] * 4
    expected = [judge(model, work, measured=place > 1) for place, model in enumerate(models)]
    assert [verdict.yardstick for verdict in expected] == [None, None, Score(500_000_000), None]
    measured = work.measured(["other", "other", "asked", "asked"])
    for _ in range(2):
        assert worker.judge(models, work, measured) == expected
    other = Work(ROWS, TARGET, terms, Yardstick(ROWS[:4], TARGET[:4], names))
    assert worker.judge(models, other, measured)[2].yardstick == Score(10**9)
    assert worker.judge(models, Work(ROWS, TARGET, terms)) == plain


def test_one_process_serves_many_jobs(worker: Worker, winner: bytes, terms: Any) -> None:
    before = child(worker).pid
    for _ in range(20):
        assert worker.evaluate(winner, ROWS, TARGET, terms).score == 10**9
    assert child(worker).pid == before


def test_a_death_between_jobs_costs_no_verdict(worker: Worker, winner: bytes, terms: Any) -> None:
    worker.evaluate(winner, ROWS, TARGET, terms)
    before = child(worker)
    os.kill(before.pid, signal.SIGKILL)
    assert worker.evaluate(winner, ROWS, TARGET, terms).score == 10**9
    assert child(worker).pid != before.pid


def test_an_error_that_is_not_the_models_is_an_abstention(
    worker: Worker, winner: bytes, terms: Any
) -> None:
    with pytest.raises(WorkerFailed, match="UnusableTarget"):
        worker.evaluate(winner, ROWS, TARGET + 5, terms)
    assert worker.evaluate(winner, ROWS, TARGET, terms).score == 10**9


def test_predictions_come_with_the_verdict(worker: Worker, winner: bytes, terms: Any) -> None:
    work = Work(ROWS, (TARGET + 1) % 3, terms)
    for _ in range(2):
        verdict, said = worker.predict(winner, work)
        assert verdict == evaluate(winner, ROWS, work.target, terms)
        assert said.tolist() == TARGET.tolist()
    verdict, said = worker.predict(b"no model", work)
    assert verdict.status == "rejected" and said.tolist() == []
    assert worker.evaluate(winner, ROWS, TARGET, terms).score == 10**9, "the next job is itself"


def test_probabilities_become_labels_and_values_stay(
    worker: Worker, model: Build, manifest: Any
) -> None:
    softmax = model([helper.make_node("Softmax", ["x"], ["y"])], ["y"]).SerializeToString()
    terms = manifest("probabilities", classes=CLASSES)
    assert worker.predict(softmax, Work(ROWS, TARGET, terms))[1].tolist() == TARGET.tolist()
    axes = {"axes": np.array([1])}
    node = helper.make_node("ReduceSum", ["x", "axes"], ["y"], keepdims=0)
    total = model([node], ["y"], constants=axes).SerializeToString()
    _, said = worker.predict(total, Work(ROWS, ROWS.sum(axis=1), manifest("value")))
    assert said.dtype == np.float64 and said.tolist() == ROWS.sum(axis=1).tolist()


def test_a_worker_that_says_too_little_or_too_much_is_not_believed(
    winner: bytes, terms: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    isolation, verdict = Isolation(True, True), Verdict("scored", Score(1), "")
    for said, verdicts in ((b"", (verdict,)), (b"\0" * 96, (verdict,)), (b"\0" * 88, ())):
        answer = Answer("predicted", isolation, verdicts, said=said)
        monkeypatch.setattr(Worker, "start", lambda self: None)
        monkeypatch.setattr(Worker, "_exchange", lambda *words, answer=answer: answer)
        with pytest.raises(WorkerFailed, match="bytes for 11 rows"):
            Worker().predict(winner, Work(ROWS, TARGET, terms))


def heavy(model: Build, nodes: int) -> bytes:
    chain = [
        helper.make_node("MatMul", [f"t{i}" if i else "x", "w"], [f"t{i + 1}"])
        for i in range(nodes)
    ]
    last = helper.make_node("ReduceSum", [f"t{nodes}", "axis"], ["y"])
    constants = {"w": np.eye(512, dtype=np.float32), "axis": np.array([1])}
    built = model([*chain, last], ["y"], shape=[None, 512], constants=constants)
    return bytes(built.SerializeToString())


def test_a_slow_model_is_an_abstention(model: Build, manifest: Any) -> None:
    limits = Limits(multiply_accumulates=2**47, elements=2**40, peak_bytes=2**30)
    terms = manifest("value", shape=(512,), batch=4_096, limits=limits)
    rows, target = np.ones((4_096, 512), "<f4"), np.zeros(4_096)
    with Worker(seconds=1) as worker:
        with pytest.raises(WorkerTimedOut, match="longer than 1 s"):
            worker.evaluate(heavy(model, 1_000), rows, target, terms)
        worker.seconds = 60
        assert worker.evaluate(heavy(model, 1), rows, target, terms).score > 0


def test_a_model_that_takes_all_memory_is_an_abstention(model: Build, manifest: Any) -> None:
    nodes = [
        helper.make_node("Expand", ["x", "huge"], ["e"]),
        helper.make_node("Add", ["e", "e"], ["f"]),
        helper.make_node("ReduceSum", ["f", "axes"], ["s"], keepdims=0),
        helper.make_node("Add", ["s", "first"], ["y"]),
    ]
    constants = {
        "huge": np.array([10_000, 4_000, 1, 3]),
        "axes": np.array([0, 1]),
        "first": np.zeros(3, np.float32),
    }
    built = model(nodes, ["y"], constants=constants).SerializeToString()
    limits = Limits(peak_bytes=2**40, elements=2**40)
    terms = manifest("probabilities", classes=CLASSES, limits=limits)
    with (
        Worker(seconds=60, memory_bytes=2**30) as worker,
        pytest.raises(WorkerFailed, match="MemoryError"),
    ):
        worker.evaluate(built, ROWS, TARGET, terms)


def test_the_process_ends_with_the_context(winner: bytes, terms: Any) -> None:
    with Worker() as worker:
        worker.evaluate(winner, ROWS, TARGET, terms)
        process = child(worker)
    assert not process.is_running()


def test_the_worker_sees_nothing_of_the_validators_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DANKU_PASSWORD", "secret")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "numpy.py").write_text("raise SystemExit(3)")
    with Worker() as fresh:
        fresh.start()
        process = child(fresh)
        assert "secret" not in repr(process.environ())
        assert process.cwd() == "/"
        assert len(process.open_files()) <= 1
        assert os.getsid(process.pid) == process.pid


def test_no_network_where_the_kernel_allows() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        script = (
            "import socket, sys\n"
            "from danku.evaluation.sandbox import leave_network\n"
            "left = leave_network()\n"
            "try: socket.create_connection(('127.0.0.1', int(sys.argv[1])), 2)\n"
            "except OSError: reached = False\n"
            "else: reached = True\n"
            "print(left, reached)"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, str(server.getsockname()[1])],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
    assert done.stdout.split() in (["True", "False"], ["False", "True"])


def test_isolation_is_reported(worker: Worker) -> None:
    assert worker.isolation is not None
    assert worker.isolation.no_network or not worker.isolation.confined
    assert Worker().isolation is None
