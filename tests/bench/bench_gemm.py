"""Matrix products under exact/1 beside onnxruntime, float32, warm.

    python tests/bench/bench_gemm.py [--rounds 9] [--json]

Each time is the median of the rounds; the runtimes take turns. "at best" is the ratio of the least
times, which says more where other processes disturb. "constant" has the right operand
among the weights of a model, packed in advance by both; "running" has it as an input.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from danku.evaluation.kernels import tile
from danku.evaluation.kernels.blocks import BLOCK, ROWS, VECTOR_BYTES, VECTORS, panel_lines
from danku.evaluation.kernels.compiler import FLOAT32, INDEX, INT64, kernel, source, target
from danku.evaluation.kernels.threads import threads
from danku.evaluation.session import Session
from danku.protocol.manifest import Limits
from tests.bench.turns import medians, peer, same_bits, table

LIMIT = 1.1
"""Times onnxruntime's time with one thread and a constant right operand."""
SIZES = ((256, 256, 256), (1024, 1024, 1024), (128, 1152, 6272))
GENEROUS = Limits(model_bytes=2**30, multiply_accumulates=10**12, elements=10**12)


@kernel(source(FLOAT32, 1), source(FLOAT32, 1), source(INT64, 1), INDEX, target(FLOAT32, 1))
def _tiles(a: Any, b: Any, lines: Any, count: int, sums: Any) -> None:
    """The same tile of sums ``count`` times, out of the nearest cache."""
    left, right, offsets = tile.pointer(a, 0), tile.pointer(b, 0), tile.pointer(lines, 0)
    out, width = tile.pointer(sums, 0), sums.size // ROWS
    for _ in range(count):
        tile.multiply(ROWS, 1, VECTORS, lines.size, left, right, 0, offsets, out, width, False)


def peak(rounds: int) -> float:
    """fma of float32 per second with one thread."""
    width, count = VECTORS * VECTOR_BYTES // 4, 20_000
    ones = np.ones(BLOCK * max(width, ROWS), np.float32)
    lines, sums = panel_lines(width), np.zeros(width * ROWS, np.float32)
    times = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        _tiles(ones, ones, lines, count, sums)
        times.append(time.perf_counter() - started)
    return count * BLOCK * sums.size / min(times[1:])


def product(b: np.ndarray | None, rows: int, depth: int, columns: int) -> bytes:
    inputs = [helper.make_tensor_value_info("a", TensorProto.FLOAT, [rows, depth])]
    if b is None:
        inputs.append(helper.make_tensor_value_info("b", TensorProto.FLOAT, [depth, columns]))
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["a", "b"], ["c"])],
        "product",
        inputs,
        [helper.make_tensor_value_info("c", TensorProto.FLOAT, [rows, columns])],
        [] if b is None else [numpy_helper.from_array(b, "b")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(made.SerializeToString())


def measure(rounds: int) -> Iterator[dict[str, Any]]:
    random = np.random.default_rng(0)
    for size in SIZES:
        depth = size[1]
        a = random.standard_normal((size[0], depth), np.float32)
        b = random.standard_normal((depth, size[2]), np.float32)
        for constant in (True, False):
            data = product(b if constant else None, *size)
            inputs = {"a": a} if constant else {"a": a, "b": b}
            session = Session(data, {name: x.shape for name, x in inputs.items()}, limits=GENEROUS)
            for count in (1, 2):
                theirs = peer(data, count)
                with threads(count):
                    taken, least = medians(
                        {
                            "exact": partial(session.run, inputs),
                            "peer": partial(theirs.run, None, inputs),
                        },
                        rounds,
                    )
                    ours = session.run(inputs)["c"]
                ratio = taken["exact"] / taken["peer"]
                limit = LIMIT if constant and count == 1 else None
                yield {
                    "product": "x".join(map(str, size)),
                    "right": "constant" if constant else "running",
                    "threads": count,
                    "exact_ms": taken["exact"] * 1e3,
                    "onnxruntime_ms": taken["peer"] * 1e3,
                    "ratio": ratio,
                    "at_best": least["exact"] / least["peer"],
                    "limit": limit,
                    "Gfma/s": size[0] * depth * size[2] / taken["exact"] / 1e9,
                    "same_bits": same_bits(ours, theirs.run(None, inputs)[0]),
                    "missed": limit is not None and ratio > limit,
                }


COLUMNS = {
    "product": "",
    "right": "",
    "threads": "",
    "exact_ms": ".2f",
    "onnxruntime_ms": ".2f",
    "ratio": ".2f",
    "at_best": ".2f",
    "limit": "",
    "Gfma/s": ".1f",
    "same_bits": ".2%",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    most, found = peak(arguments.rounds), list(measure(arguments.rounds))
    if arguments.json:
        print(json.dumps({"peak_fma_per_second": most, "products": found}, indent=2))
    else:
        print(table(found, COLUMNS))
        print(f"The most that one thread can do here: {most / 1e9:.1f} Gfma/s.")
    return int(any(each["missed"] for each in found))


if __name__ == "__main__":
    sys.exit(main())
