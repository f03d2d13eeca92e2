"""Quantized models under exact/1 beside onnxruntime, with 1 and 2 threads, warm.

    python tests/bench/bench_quantized.py [--rounds 15] [--json]

The network is a ResNet-18 for images of 64 x 64, quantized by onnxruntime's own tools. Each time is
the median of the rounds; the runtimes take turns.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

from danku.evaluation.kernels.threads import threads as use_threads
from danku.evaluation.session import Session
from danku.protocol.manifest import Limits

LIMIT = 1.25
"""Times onnxruntime's time for the float32 network, for those that are quantized statically."""
RANDOM = np.random.default_rng(11)
SIDE, CLASSES = 64, 10
STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))
GENEROUS = Limits(multiply_accumulates=10**13, elements=10**12, peak_bytes=10**12)


class Network:
    """A graph that grows by nodes; each call adds one and names its output."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []

    def __call__(self, operator: str, *inputs: str, **attributes: Any) -> str:
        name = f"t{len(self._nodes)}"
        node = helper.make_node(operator, inputs, [name], name=f"node {name}", **attributes)
        self._nodes.append(node)
        return name

    def weight(self, *shape: int) -> str:
        name = f"w{len(self._weights)}"
        spread = (2 / max(1, np.prod(shape[1:]))) ** 0.5
        values = (RANDOM.normal(size=shape) * spread).astype(np.float32)
        self._weights.append(numpy_helper.from_array(values, name))
        return name

    def convolution(self, x: str, channels: int, outputs: int, side: int, stride: int) -> str:
        return self(
            "Conv",
            x,
            self.weight(outputs, channels, side, side),
            self.weight(outputs),
            kernel_shape=[side, side],
            strides=[stride, stride],
            pads=[side // 2] * 4,
        )

    def model(self, output: str, shape: Sequence[Any], result: Sequence[Any]) -> onnx.ModelProto:
        graph = helper.make_graph(
            self._nodes,
            "bench",
            [helper.make_tensor_value_info("x", 1, shape)],
            [helper.make_tensor_value_info(output, 1, result)],
            self._weights,
        )
        imports = [helper.make_opsetid("", 17)]
        return helper.make_model(graph, opset_imports=imports, ir_version=8)


def resnet() -> onnx.ModelProto:
    network = Network()
    x = network("Relu", network.convolution("x", 3, 64, 7, 2))
    x = network("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    channels = 64
    for outputs, stride in STAGES:
        for step in (stride, 1):
            y = network("Relu", network.convolution(x, channels, outputs, 3, step))
            y = network.convolution(y, outputs, outputs, 3, 1)
            if step > 1:
                x = network.convolution(x, channels, outputs, 1, step)
            x, channels = network("Relu", network("Add", y, x)), outputs
    x = network("Flatten", network("GlobalAveragePool", x))
    x = network("Gemm", x, network.weight(CLASSES, 512), network.weight(CLASSES), transB=1)
    return network.model(x, ["rows", 3, SIDE, SIDE], ["rows", CLASSES])


def product(rows: int, depth: int, columns: int) -> tuple[onnx.ModelProto, np.ndarray]:
    network = Network()
    x = network("MatMul", "x", network.weight(depth, columns))
    rows_in = RANDOM.normal(size=(rows, depth)).astype(np.float32)
    return network.model(x, [rows, depth], [rows, columns]), rows_in


class Images(CalibrationDataReader):
    def __init__(self) -> None:
        self._left = [{"x": images(2)} for _ in range(2)]

    def get_next(self) -> dict[str, np.ndarray] | None:
        return self._left.pop() if self._left else None


def images(count: int) -> np.ndarray:
    return RANDOM.normal(size=(count, 3, SIDE, SIDE)).astype(np.float32)


def quantized(model: onnx.ModelProto, kind: str, activations: QuantType) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        given, path = (Path(folder) / name for name in ("given.onnx", "made.onnx"))
        onnx.save(model, given)
        if kind == "dynamic":
            quantize_dynamic(given, path, weight_type=QuantType.QInt8)
        else:
            quantize_static(
                given,
                path,
                Images(),
                quant_format=QuantFormat[kind],
                activation_type=activations,
                weight_type=QuantType.QInt8,
                per_channel=True,
            )
        return path.read_bytes()


def peer(model: bytes, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def cases() -> Iterator[tuple[str, bytes, bytes, np.ndarray]]:
    """Name, float32 model, quantized model and input."""
    network = resnet()
    plain = network.SerializeToString()
    for kind, activations in (
        ("QOperator", QuantType.QUInt8),
        ("QOperator", QuantType.QInt8),
        ("QDQ", QuantType.QUInt8),
        ("dynamic", QuantType.QUInt8),
    ):
        found = quantized(network, kind, activations)
        name = f"ResNet-18 {SIDE} x {SIDE}, {kind} {activations.name[1:].lower()}"
        for rows in (1, 8):
            yield f"{name}, {rows} rows", plain, found, images(rows)
    for shape in ((256, 256, 256), (1024, 1024, 1024), (128, 1152, 6272)):
        model, x = product(*shape)
        found = quantized(model, "dynamic", QuantType.QUInt8)
        yield f"dynamic product {shape}", model.SerializeToString(), found, x


def medians(runs: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """Seconds of each."""
    times: list[list[float]] = [[] for _ in runs]
    for run in runs:
        run()
    for _ in range(rounds):
        for run, taken in zip(runs, times, strict=True):
            started = time.perf_counter()
            run()
            taken.append(time.perf_counter() - started)
    return [median(taken) for taken in times]


def measure(rounds: int) -> Iterator[dict[str, Any]]:
    for name, plain, small, x in cases():
        started = time.perf_counter()
        session = Session(small, {"x": x.shape}, limits=GENEROUS)
        session.run({"x": x})
        prepared = time.perf_counter() - started
        for threads in (1, 2):
            wide, narrow = peer(plain, threads), peer(small, threads)
            with use_threads(threads):
                ours, float32, int8 = medians(
                    [
                        partial(session.run, {"x": x}),
                        partial(wide.run, None, {"x": x}),
                        partial(narrow.run, None, {"x": x}),
                    ],
                    rounds,
                )
            yield {
                "model": name,
                "threads": threads,
                "exact_ms": ours * 1e3,
                "float32_ms": float32 * 1e3,
                "int8_ms": int8 * 1e3,
                "to_float32": ours / float32,
                "to_int8": ours / int8,
                "prepared_s": prepared,
            }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    found = list(measure(arguments.rounds))
    if arguments.json:
        print(json.dumps(found, indent=2))
    else:
        print(
            f"{'model':44} {'threads':>7} {'exact':>10} {'ort float32':>12} {'ratio':>6} "
            f"{'ort int8':>10} {'ratio':>6} {'prepare':>8}"
        )
        for each in found:
            print(
                f"{each['model']:44} {each['threads']:7} {each['exact_ms']:7.2f} ms "
                f"{each['float32_ms']:9.2f} ms {each['to_float32']:6.2f} {each['int8_ms']:7.2f} ms "
                f"{each['to_int8']:6.2f} {each['prepared_s']:6.2f} s"
            )
    static = [each for each in found if "dynamic" not in each["model"]]
    return int(max(each["to_float32"] for each in static) > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
