"""Small networks, and onnxruntime's own tools to quantize them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

FLOAT = np.float32
ROWS = 4


class Network:
    """A graph that grows by nodes; each call adds one and names its output."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def __call__(self, operator: str, *inputs: str, **attributes: Any) -> str:
        name = f"t{len(self._nodes)}"
        node = helper.make_node(operator, inputs, [name], name=f"node {name}", **attributes)
        self._nodes.append(node)
        return name

    def constant(self, value: Any) -> str:
        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def weight(self, *shape: int) -> str:
        spread = max(1, int(np.prod(shape[1:]))) ** -0.5
        return self.constant((self._random.normal(size=shape) * spread).astype(FLOAT))

    def convolution(self, x: str, channels: int, outputs: int, **attributes: Any) -> str:
        side, group = attributes.pop("side", 3), attributes.pop("group", 1)
        weights = self.weight(outputs, channels // group, side, side)
        pads = [side // 2] * 4
        return self("Conv", x, weights, self.weight(outputs), pads=pads, group=group, **attributes)

    def model(self, output: str, shape: Sequence[int], result: Sequence[int]) -> onnx.ModelProto:
        graph = helper.make_graph(
            self._nodes,
            "network",
            [helper.make_tensor_value_info("x", 1, ["rows", *shape])],
            [helper.make_tensor_value_info(output, 1, ["rows", *result])],
            self._constants,
        )
        imports = [helper.make_opsetid("", 17)]
        return helper.make_model(graph, opset_imports=imports, ir_version=8)


def perceptron() -> onnx.ModelProto:
    net = Network(1)
    x = net("Relu", net("Gemm", "x", net.weight(32, 20), net.weight(32), transB=1))
    x = net("Sigmoid", net("Gemm", x, net.weight(16, 32), net.weight(16), transB=1))
    x = net("LeakyRelu", net("Add", net("MatMul", x, net.weight(16, 16)), net.weight(16)))
    x = net("Gemm", x, net.weight(5, 16), net.weight(5), transB=1)
    return net.model(net("Softmax", x), [20], [5])


def convolutional() -> onnx.ModelProto:
    net = Network(2)
    x = net("Relu", net.convolution("x", 3, 8, side=5, strides=[2, 2]))
    x = net("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    y = net.convolution(net("Relu", net.convolution(x, 8, 8)), 8, 8)
    x = net("Relu", net("Add", x, y))
    y = net.convolution(x, 8, 8, group=8, dilations=[1, 1])
    x = net("Concat", x, net("Mul", y, net("Sigmoid", y)), axis=1)
    limits = net.constant(FLOAT(0)), net.constant(FLOAT(6))
    x = net("Clip", net.convolution(x, 16, 12, strides=[2, 2]), *limits)
    x = net("AveragePool", x, kernel_shape=[2, 2], strides=[1, 1], pads=[0, 0, 1, 1])
    x = net("Flatten", net("GlobalAveragePool", x))
    x = net("Gemm", x, net.weight(4, 12), net.weight(4), transB=1)
    return net.model(x, [3, 32, 32], [4])


def attention(length: int = 6, width: int = 16, heads: int = 2) -> onnx.ModelProto:
    net = Network(3)
    apart = net.constant(np.array([0, length, heads, width // heads]))
    joined = net.constant(np.array([0, length, width]))

    def projected() -> str:
        x = net("Add", net("MatMul", "x", net.weight(width, width)), net.weight(width))
        return net("Transpose", net("Reshape", x, apart), perm=[0, 2, 1, 3])

    queries, keys, values = projected(), projected(), projected()
    scores = net("MatMul", queries, net("Transpose", keys, perm=[0, 1, 3, 2]))
    scores = net("Mul", scores, net.constant(FLOAT(0.35)))
    x = net("MatMul", net("Softmax", scores, axis=-1), values)
    x = net("Reshape", net("Transpose", x, perm=[0, 2, 1, 3]), joined)
    x = net("Add", "x", net("MatMul", x, net.weight(width, width)))
    ones, zeros = net.constant(np.ones(width, FLOAT)), net.constant(np.zeros(width, FLOAT))
    x = net("LayerNormalization", x, ones, zeros)
    y = net("Relu", net("Add", net("MatMul", x, net.weight(width, 32)), net.weight(32)))
    x = net("Add", x, net("MatMul", y, net.weight(32, width)))
    return net.model(x, [length, width], [length, width])


NETWORKS = {
    "perceptron": (perceptron, (20,)),
    "convolutional": (convolutional, (3, 32, 32)),
    "attention": (attention, (6, 16)),
}


def rows(shape: Sequence[int], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(ROWS, *shape)).astype(FLOAT)


class _Calibration(CalibrationDataReader):
    def __init__(self, shape: Sequence[int]) -> None:
        self._left = [{"x": rows(shape, seed)} for seed in range(3)]

    def get_next(self) -> dict[str, np.ndarray] | None:
        return self._left.pop() if self._left else None


def quantized(
    network: str, how: str, activations: str, weights: str, folder: Path, **options: Any
) -> bytes:
    """A network through `quantize_dynamic`, or `quantize_static` in the format ``how``.

    Args:
        activations, weights: "QUInt8" and the like.
        folder: to write to.
    """
    make, shape = NETWORKS[network]
    given, made = folder / "given.onnx", folder / "made.onnx"
    onnx.save(make(), given)
    logging.disable(logging.WARNING)
    try:
        if how == "dynamic":
            quantize_dynamic(given, made, weight_type=QuantType[weights], **options)
        else:
            quantize_static(
                given,
                made,
                _Calibration(shape),
                quant_format=QuantFormat[how],
                activation_type=QuantType[activations],
                weight_type=QuantType[weights],
                **options,
            )
    finally:
        logging.disable(logging.NOTSET)
    return made.read_bytes()
