"""Two runtimes beside each other: they take turns, and the median of the turns counts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

import numpy as np
import onnxruntime

LEAST_SECONDS = 0.005
"""A turn repeats what is faster than this, and counts one run of it."""


def peer(model: bytes, threads: int) -> onnxruntime.InferenceSession:
    """The model in onnxruntime with its own defaults, and so many threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


Seconds = dict[str, float]


def medians(runs: Mapping[str, Callable[[], object]], rounds: int) -> tuple[Seconds, Seconds]:
    """Seconds of each: the median, and the least.

    NOTE: a turn begins with a run that is not timed: it warms the caches, and gives the other
    runtime's threads the time to stop looking for work.
    """
    repeats: dict[str, int] = {}
    for name, run in runs.items():
        run()
        repeats[name] = max(1, int(LEAST_SECONDS / _seconds(run, 1)))
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            _seconds(run, repeats[name])
            times[name].append(_seconds(run, repeats[name]))
    return (
        {name: median(taken) for name, taken in times.items()},
        {name: min(taken) for name, taken in times.items()},
    )


def _seconds(run: Callable[[], object], repeats: int) -> float:
    started = time.perf_counter()
    for _ in range(repeats):
        run()
    return (time.perf_counter() - started) / repeats


def same_bits(a: np.ndarray, b: np.ndarray) -> float:
    """The share of elements whose bits are equal."""
    return float((a.reshape(-1).view(np.uint32) == b.reshape(-1).view(np.uint32)).mean())


def table(rows: list[dict[str, Any]], columns: Mapping[str, str]) -> str:
    """Plain text; ``columns`` maps keys of the rows to formats."""
    cells = [[name.replace("_", " ") for name in columns]]
    for row in rows:
        cells.append(
            ["" if row[name] is None else format(row[name], form) for name, form in columns.items()]
        )
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for line in cells:
        first, *rest = zip(line, widths, strict=True)
        padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)
