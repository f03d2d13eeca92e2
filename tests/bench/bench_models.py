"""Whole models under exact/1 beside onnxruntime, with one thread and with two, warm.

    python tests/bench/bench_models.py [--rounds 9] [--json] [--only NAME]

Each time is the median of the rounds; the runtimes take turns. "at best" is the ratio of the least
times, which says more where other processes disturb. After that, the transformer in fresh
processes: how long one takes from its start to the first result, with the kernels cached on disk
and without, and the most memory it holds beyond what the runtime takes by itself: imported, and a
tiny model run once.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
from skl2onnx import to_onnx
from sklearn.datasets import make_regression
from sklearn.ensemble import GradientBoostingRegressor

from danku.evaluation.kernels.threads import threads
from danku.evaluation.session import Session
from danku.protocol.manifest import Limits
from tests.bench import networks
from tests.bench.turns import medians, peer, table

LIMIT = 1.25
"""Times onnxruntime's time, with one thread and with two."""
SECONDS = 5.0
"""Of a fresh process with a warm cache, to the transformer's first result."""
MEMORY = 1.5
"""Times onnxruntime's memory."""
GENEROUS = Limits(model_bytes=2**30, multiply_accumulates=10**12, elements=10**12)


@cache
def boosting() -> bytes:
    """500 trees of scikit-learn's defaults, 20 features."""
    rows, values = make_regression(2_000, 20, random_state=0)
    fitted = GradientBoostingRegressor(n_estimators=500).fit(rows.astype(np.float32), values)
    return bytes(to_onnx(fitted, rows[:1].astype(np.float32)).SerializeToString())


MODELS: dict[str, tuple[Any, list[tuple[int, ...]], bool]] = {
    "MLP": (networks.multilayer, [(1, 64), (64, 64), (1024, 64)], True),
    "LeNet": (networks.lenet, [(1, 1, 28, 28), (64, 1, 28, 28)], True),
    "ResNet-18": (networks.residual, [(1, 3, 224, 224), (4, 3, 224, 224)], True),
    "transformer": (networks.transformer, [(1, 128, 384), (4, 128, 384)], True),
    "transformer, GELU of 5 nodes": (
        partial(networks.transformer, whole_gelu=False),
        [(1, 128, 384)],
        True,
    ),
    "transformer, 8 heads": (partial(networks.transformer, heads=8), [(1, 128, 384)], False),
    "LSTM": (networks.recurrent, [(100, 1, 64), (100, 32, 64)], False),
    "boosting, 500 trees": (boosting, [(64, 20), (1024, 20)], True),
}
"""Name: what makes it, shapes of the input, and whether the limit is asked of it."""


def measure(rounds: int, only: str | None) -> Iterator[dict[str, Any]]:
    for name, (make, shapes, limited) in MODELS.items():
        if only is not None and only not in name:
            continue
        data = make()
        for shape in shapes:
            x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
            for count in (1, 2):
                theirs = peer(data, count)
                fed = {theirs.get_inputs()[0].name: x}
                session = Session(data, dict.fromkeys(fed, x.shape), limits=GENEROUS)
                with threads(count):
                    taken, least = medians(
                        {
                            "exact": partial(session.run, fed),
                            "peer": partial(theirs.run, None, fed),
                        },
                        rounds,
                    )
                    ours = next(iter(session.run(fed).values()))
                other = theirs.run(None, fed)[0]
                ratio = taken["exact"] / taken["peer"]
                yield {
                    "model": name,
                    "input": "x".join(map(str, shape)),
                    "threads": count,
                    "exact_ms": taken["exact"] * 1e3,
                    "onnxruntime_ms": taken["peer"] * 1e3,
                    "ratio": ratio,
                    "at_best": least["exact"] / least["peer"],
                    "limit": LIMIT if limited else None,
                    "apart": float(np.abs(ours - other).max() / np.abs(other).max()),
                    "missed": limited and ratio > LIMIT,
                }


_EXACT = """
from danku.evaluation.session import Session
from danku.protocol.manifest import Limits
limits = Limits(model_bytes=2**30, multiply_accumulates=10**12, elements=10**12)
def prepare(data, shape):
    return Session(data, {"x": shape}, limits=limits).run
"""
_PEER = """
from tests.bench.turns import peer
def prepare(data, shape):
    return lambda fed: peer(data, 1).run(None, fed)
"""
_FRESH = """
import re, sys, time
started = time.perf_counter()
sys.path.insert(0, {root!r})
import numpy as np
def held(name):
    return int(re.search(name + r":\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
{prepare}
imported = time.perf_counter()
def run(path, *shape):
    data = open(path, "rb").read()
    prepare(data, shape)({{"x": np.ones(shape, np.float32)}})
if {tiny!r}:
    run({tiny!r}, 1, 64)
before = held("VmRSS")
run({path!r}, 1, 128, 384)
ended = time.perf_counter()
print(ended - started, ended - imported, held("VmHWM") - before, held("VmHWM"))
"""


def fresh(prepare: str, path: Path, tiny: Path | None, count: int = 3) -> list[float]:
    """The least of so many fresh processes that run the transformer once: seconds, seconds after
    the imports, bytes beyond what was held before, bytes."""
    root, before = str(Path(__file__).parents[2]), "" if tiny is None else str(tiny)
    code = _FRESH.format(root=root, prepare=prepare, path=str(path), tiny=before)
    found = []
    for _ in range(count):
        done = subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        )
        found.append([float(each) for each in done.stdout.split()])
    return [min(each) for each in zip(*found, strict=True)]


def processes() -> dict[str, dict[str, float]]:
    """What the transformer takes in a fresh process of either runtime."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        path, tiny = Path(folder, "transformer.onnx"), Path(folder, "tiny.onnx")
        path.write_bytes(networks.transformer())
        tiny.write_bytes(networks.multilayer())
        for name, prepare in (("exact", _EXACT), ("onnxruntime", _PEER)):
            seconds, after, _, _ = fresh(prepare, path, None)
            _, _, beyond, total = fresh(prepare, path, tiny)
            found[name] = {
                "seconds": seconds,
                "seconds_after_imports": after,
                "bytes_beyond_runtime": beyond,
                "bytes": total,
            }
        with cold_cache():
            found["exact"]["seconds_cold"] = fresh(_EXACT, path, None, 1)[0]
    return found


@contextmanager
def cold_cache() -> Iterator[None]:
    """Processes started meanwhile find no compiled kernel."""
    with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, NUMBA_CACHE_DIR=folder):
        yield


COLUMNS = {
    "model": "",
    "input": "",
    "threads": "",
    "exact_ms": ".3f",
    "onnxruntime_ms": ".3f",
    "ratio": ".2f",
    "at_best": ".2f",
    "limit": "",
    "apart": ".0e",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", help="measure the models with this in their name")
    arguments = parser.parse_args()
    found = list(measure(arguments.rounds, arguments.only))
    missed = any(each["missed"] for each in found)
    started = {} if arguments.only else processes()
    if started:
        ours, theirs = started["exact"], started["onnxruntime"]
        missed |= ours["seconds"] > SECONDS
        missed |= ours["bytes_beyond_runtime"] > MEMORY * theirs["bytes_beyond_runtime"]
    if arguments.json:
        print(json.dumps({"models": found, "fresh_process": started}, indent=2))
        return int(missed)
    print(table(found, COLUMNS))
    if started:
        print("\nThe transformer in a fresh process:")
        for name, each in started.items():
            print(
                f"  {name:12} {each['seconds']:.2f} s to the first result "
                f"({each['seconds_after_imports']:.2f} s of it after the imports), "
                f"{each['bytes_beyond_runtime'] / 2**20:.0f} MiB beyond the runtime, "
                f"{each['bytes'] / 2**20:.0f} MiB in all"
            )
        ratio, whole = (ours[name] / theirs[name] for name in ("bytes_beyond_runtime", "bytes"))
        print(f"  without a cache: {ours['seconds_cold']:.1f} s; limit with one: {SECONDS} s")
        print(f"  memory: {ratio:.2f} times onnxruntime's, limit {MEMORY}; in all {whole:.2f}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
