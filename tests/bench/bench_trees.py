"""Tree ensembles under exact/1 beside onnxruntime, one thread each, warm.

    python tests/bench/bench_trees.py [--rounds 9] [--json]

Each time is the median of the rounds; the two runtimes take turns.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
import onnxruntime
from skl2onnx import to_onnx
from sklearn.datasets import make_classification, make_regression
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)

from danku.evaluation.session import Session
from danku.protocol.manifest import Limits

LIMIT = 1.25
"""Times onnxruntime's time with one thread, for the 500-tree gradient boosting."""
FEATURES = 20
TRAINING = 2_000
BATCHES = (64, 1_024, 10_000)


def models() -> Iterator[tuple[str, Any, np.ndarray]]:
    """Name, ONNX model and rows [10000, features]."""
    rows, values = make_regression(max(BATCHES), FEATURES, random_state=0)
    told, classes = make_classification(
        max(BATCHES), FEATURES, n_informative=8, n_classes=4, random_state=0
    )
    for name, estimator, x, y in (
        ("boosting, 500 trees", GradientBoostingRegressor(n_estimators=500), rows, values),
        (
            "boosting, 500 trees of depth 6",
            GradientBoostingRegressor(n_estimators=500, max_depth=6),
            rows,
            values,
        ),
        (
            "boosting, 4 x 125 trees",
            GradientBoostingClassifier(n_estimators=125),
            told,
            classes,
        ),
        ("forest, 100 trees", RandomForestRegressor(100, random_state=0), rows, values),
        ("forest of 4 classes", RandomForestClassifier(100, random_state=0), told, classes),
    ):
        x = x.astype(np.float32)
        fitted = estimator.fit(x[:TRAINING], y[:TRAINING])
        options = {id(fitted): {"zipmap": False}} if hasattr(fitted, "classes_") else None
        yield name, to_onnx(fitted, x[:1], options=options), x


def median_times(first: Callable[[], object], second: Callable[[], object], rounds: int) -> Any:
    """Seconds of each."""
    times: tuple[list[float], list[float]] = ([], [])
    first(), second()
    for _ in range(rounds):
        for run, taken in zip((first, second), times, strict=True):
            started = time.perf_counter()
            run()
            taken.append(time.perf_counter() - started)
    return tuple(map(median, times))


def measure(rounds: int) -> Iterator[dict[str, Any]]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    generous = Limits(multiply_accumulates=10**12, elements=10**12)
    for name, model, rows in models():
        data = model.SerializeToString()
        peer = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        fed = peer.get_inputs()[0].name
        for batch in BATCHES:
            x = rows[:batch]
            started = time.perf_counter()
            session = Session(data, {fed: x.shape}, limits=generous)
            prepared = time.perf_counter() - started
            exact, theirs = median_times(
                partial(session.run, {fed: x}), partial(peer.run, None, {fed: x}), rounds
            )
            yield {
                "model": name,
                "rows": batch,
                "exact_ms": exact * 1e3,
                "onnxruntime_ms": theirs * 1e3,
                "ratio": exact / theirs,
                "prepared_s": prepared,
            }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = list(measure(arguments.rounds))
    if arguments.json:
        print(json.dumps(found, indent=2))
    else:
        print(
            f"{'model':32} {'rows':>6} {'exact':>9} {'onnxruntime':>12} {'ratio':>6} {'prepare':>8}"
        )
        for each in found:
            print(
                f"{each['model']:32} {each['rows']:6} {each['exact_ms']:6.2f} ms "
                f"{each['onnxruntime_ms']:9.2f} ms {each['ratio']:6.2f} {each['prepared_s']:6.2f} s"
            )
    worst = max(each["ratio"] for each in found if each["model"].startswith("boosting, 500"))
    return int(worst > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
