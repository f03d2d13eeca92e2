"""Dask workers: the same verdicts as here, though one is killed in the middle."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx
import psutil
import pytest
from onnx import helper

from danku.evaluation import cluster as clusters
from danku.evaluation.cluster import Cluster, ClusterMissing, ClusterUnfit, ClusterUnreachable
from danku.evaluation.evaluate import judge
from danku.evaluation.work import Work, Yardstick

distributed = pytest.importorskip("distributed")

Build = Callable[..., onnx.ModelProto]
MODELS = 60
CLASSES = ("a", "b", "c")
ROWS = np.random.default_rng(3).normal(size=(600, 3)).astype("<f4")
TARGET = ROWS.argmax(axis=1)


@pytest.fixture(scope="module")
def machines() -> Iterator[Any]:
    """Three Dask workers, each a process under a nanny that starts it again."""
    with distributed.LocalCluster(
        n_workers=3,
        threads_per_worker=1,
        dashboard_address=None,
        silence_logs=50,
        memory_limit=None,
    ) as local:
        yield local


@pytest.fixture
def models(model: Build) -> list[tuple[str, bytes]]:
    """Different models, one of which is none."""
    made = []
    for number in range(MODELS):
        shift = np.array([number / MODELS, 0, 0], np.float32)
        nodes = [
            helper.make_node("Add", ["x", "shift"], ["s"]),
            helper.make_node("ArgMax", ["s"], ["y"], axis=1, keepdims=0),
        ]
        built = model(nodes, {"y": "int64"}, constants={"shift": shift})
        made.append((f"{number}", built.SerializeToString()))
    return [*made, ("broken", b"no model")]


def processes(machines: Any) -> list[psutil.Process]:
    """The Dask workers."""
    with distributed.Client(machines.scheduler_address, set_as_default=False) as client:
        client.wait_for_workers(3, timeout=60)
        return [psutil.Process(number) for number in client.run(os.getpid).values()]


def test_machines_that_are_killed_change_no_verdict(
    machines: Any, models: list[tuple[str, bytes]], manifest: Any
) -> None:
    """Each of the three once, so that the one that holds the rows is among them."""
    terms = manifest(classes=CLASSES)
    apart = Yardstick(ROWS[:50], TARGET[:50], frozenset(["3", "50", "broken"]))
    work = Work(ROWS, TARGET, terms, apart)
    expected = {name: judge(data, work, measured=name in apart.models) for name, data in models}
    measured = {name for name, verdict in expected.items() if verdict.yardstick is not None}
    assert measured == {"3", "50"}
    victims = processes(machines)
    doomed, found = list(victims), {}
    with Cluster(machines.scheduler_address) as cluster:
        for name, verdict in cluster.evaluate_each(iter(models), ROWS, TARGET, terms, apart):
            assert name not in found
            found[name] = verdict
            if doomed and len(found) % 15 == 5:
                doomed.pop().send_signal(signal.SIGKILL)
    assert not doomed
    assert found == expected
    alive = processes(machines)
    assert not {each.pid for each in alive} & {each.pid for each in victims}
    assert [each.children() for each in alive] == [[], [], []], "no sandbox is left behind"


def test_another_version_on_the_cluster_is_named(
    machines: Any, models: list[tuple[str, bytes]], manifest: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "__version__", "0.0.0")
    with (
        Cluster(machines.scheduler_address) as cluster,
        pytest.raises(ClusterUnfit, match=r"this machine 0\.0\.0"),
    ):
        list(cluster.evaluate_each(models, ROWS, TARGET, manifest(classes=CLASSES)))


def test_a_cluster_without_machines_is_not_waited_for(
    models: list[tuple[str, bytes]], manifest: Any
) -> None:
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=None, silence_logs=50) as empty,
        Cluster(empty.scheduler_address, patience=0.5) as cluster,
        pytest.raises(ClusterUnreachable, match="cannot be used"),
    ):
        list(cluster.evaluate_each(models, ROWS, TARGET, manifest(classes=CLASSES)))


def test_nobody_at_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "CONNECT_SECONDS", 1)
    for address in ("tcp://127.0.0.1:9", "nonsense://x"):
        with pytest.raises(ClusterUnreachable):
            Cluster(address)


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ClusterMissing, match="cannot use a cluster") as caught:
        Cluster("tcp://127.0.0.1:8786")
    assert caught.value.exit_code == 2
