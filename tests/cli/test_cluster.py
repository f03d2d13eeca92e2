"""`danku validator run --cluster`: the same result on other machines, and clear errors."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from tests.cli.driver import Danku

distributed = pytest.importorskip("distributed")

At = Callable[[str], Danku]


def test_a_cluster_comes_to_the_same_vote(at: At) -> None:
    danku = at("voting").of("vera")
    [here] = danku("validator", "run", "--dry-run")
    (danku.folder / "danku.toml").write_text(
        (danku.folder / "danku.toml").read_text() + '\nevaluations = "private/elsewhere"\n'
    )
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50
    ) as cluster:
        address = ("--cluster", cluster.scheduler_address)
        [there] = danku("validator", "run", "--dry-run", *address)
        assert there == here
        told = danku("validator", "run", *address)
    assert [step for visit in told["done"] for step in visit["steps"]] == ["convene", "vote"]


def test_a_cluster_that_is_not_there_is_named_and_nothing_is_voted(
    at: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("danku.evaluation.cluster.CONNECT_SECONDS", 1)
    danku = at("voting").of("vera")
    cluster = ("validator", "run", "--cluster", "tcp://127.0.0.1:9")
    danku.refused(*cluster, code=6, error="ClusterUnreachable")
    monkeypatch.setitem(sys.modules, "distributed", None)
    danku.refused(*cluster, code=2, error="ClusterMissing")
    assert not list((danku.folder / "private").rglob("vote-*.json"))
