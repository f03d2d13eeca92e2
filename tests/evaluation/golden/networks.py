"""Neural networks: dense, convolutional, recurrent, attention; float32, float64 and float16."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tests.evaluation.golden.building import Cases, Net, register
from tests.evaluation.golden.numbers import integers, spread, uniform

CASES: Cases = {}


@register(CASES, by_rows=True)
def perceptron(net: Net) -> None:
    """Inner lengths of 300 and 520 need two and three blocks of the sum."""
    x = net.input(spread("perceptron", (7, 300)))
    x = net("Gemm", x, net.weight(520, 300), net.weight(520), transB=1, alpha=0.3, beta=0.7)
    x = net("Relu", x)
    x = net("Add", net("MatMul", x, net.weight(520, 33)), net.weight(33))
    x = net("Tanh", x)
    x = net("Gemm", x, net.weight(33, 5), net.weight(5))
    net.output(x, net("Softmax", x, axis=-1), net("ArgMax", x, axis=-1))


@register(CASES, by_rows=True)
def residual_network(net: Net) -> None:
    x = net.input(uniform("residual", (3, 3, 17, 13)))
    x = _normalized(net, net("Conv", x, net.weight(30, 3, 3, 3), pads=[1, 1, 1, 1]), 30)
    x = net("Relu", x)
    y = net("Conv", x, net.weight(30, 30, 3, 3, exponent=-4), net.weight(30), pads=[1, 1, 1, 1])
    x = net("Relu", net("Add", _normalized(net, y, 30), x))
    x = net("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    x = net("Conv", x, net.weight(40, 30, 3, 3, exponent=-4), strides=[2, 2])
    x = net("Flatten", net("GlobalAveragePool", net("Relu", x)))
    net.output(net("LogSoftmax", net("Gemm", x, net.weight(40, 10), net.weight(10)), axis=-1))


def _normalized(net: Net, x: str, channels: int) -> str:
    scale, bias = net.positive(channels), net.weight(channels)
    mean, variance = net.weight(channels), net.positive(channels)
    return net("BatchNormalization", x, scale, bias, mean, variance, epsilon=1e-3)


@register(CASES, by_rows=True)
def separable_convolutions(net: Net) -> None:
    x = net.input(uniform("separable", (2, 24, 15, 18)))
    for dilation in (1, 2):
        pads = [dilation] * 4
        x = net("Conv", x, net.weight(24, 1, 3, 3), group=24, pads=pads, dilations=[dilation] * 2)
        x = net("HardSwish", net("Conv", x, net.weight(24, 24, 1, 1), net.weight(24)))
    x = net("Conv", x, net.weight(12, 6, 3, 3), group=4, auto_pad="SAME_UPPER", strides=[2, 2])
    net.output(net("AveragePool", net("LeakyRelu", x, alpha=0.1), kernel_shape=[2, 2]))


@register(CASES, by_rows=True)
def lines_and_volumes(net: Net) -> None:
    x = net.input(uniform("lines", (3, 4, 48)))
    x = net("Conv", x, net.weight(6, 4, 5), net.weight(6), strides=[2], pads=[2, 2])
    x = net("Reshape", x, net.constant([0, 2, 3, 4, 6]))
    x = net("Conv", x, net.weight(5, 2, 2, 3, 3), pads=[0, 1, 1, 1, 1, 1])
    pooled = net("MaxPool", x, kernel_shape=[2, 2, 2], strides=[1, 2, 2])
    net.output(pooled, net("AveragePool", x, kernel_shape=[2, 3, 3], pads=[1, 1, 1, 1, 1, 1]))


@register(CASES, by_rows=True)
def transposed_convolutions(net: Net) -> None:
    x = net.input(uniform("transposed", (2, 20, 5, 6)))
    x = net(
        "ConvTranspose",
        *(x, net.weight(20, 14, 4, 3), net.weight(14)),
        strides=[2, 3],
        pads=[1, 0, 1, 1],
        output_padding=[0, 1],
    )
    x = net("ConvTranspose", net("Relu", x), net.weight(14, 2, 3, 3), group=2, dilations=[2, 1])
    net.output(net("Tanh", x))


@register(CASES, by_rows=True)
def transformer(net: Net) -> None:
    """Token numbers, embedding, two encoder blocks with padding masked, pooling, classes."""
    length, width, heads = 12, 48, 4
    tokens = net.input(integers("tokens", (3, length), 0, 50))
    hidden = net("Equal", tokens, net.constant(np.int64(0)))
    mask = net("Where", hidden, net.constant(np.float32(-1e9)), net.constant(np.float32(0)))
    mask = net("Unsqueeze", mask, net.constant([1, 2]))
    x = net("Add", net("Gather", net.weight(50, width), tokens), net.weight(length, width))
    for _ in range(2):
        y = net("LayerNormalization", x, net.positive(width), net.weight(width))
        x = net("Add", x, _attention(net, y, mask, length, width, heads))
        y = net("LayerNormalization", x, net.positive(width), net.weight(width))
        y = net("Add", net("MatMul", y, net.weight(width, 4 * width)), net.weight(4 * width))
        y = net("Gelu", y)
        x = net("Add", x, net("MatMul", y, net.weight(4 * width, width, exponent=-4)))
    x = net("ReduceMean", x, net.constant([1]), keepdims=0)
    net.output(x, net("Softmax", net("Gemm", x, net.weight(width, 6)), axis=-1))


def _attention(net: Net, x: str, mask: str, length: int, width: int, heads: int) -> str:
    parts = []
    for order in ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]):
        part = net("Add", net("MatMul", x, net.weight(width, width)), net.weight(width))
        part = net("Reshape", part, net.constant([0, length, heads, width // heads]))
        parts.append(net("Transpose", part, perm=order))
    query, key, value = parts
    scores = net(
        "Div", net("MatMul", query, key), net.constant(np.sqrt(np.float32(width // heads)))
    )
    weights = net("Softmax", net("Add", scores, mask), axis=-1)
    mixed = net("Transpose", net("MatMul", weights, value), perm=[0, 2, 1, 3])
    mixed = net("Reshape", mixed, net.constant([0, length, width]))
    return net("MatMul", mixed, net.weight(width, width))


def _recurrent(net: Net, key: str, dtype: DTypeLike) -> None:
    steps, rows, size, hidden = 6, 4, 9, 11
    x = net.input(uniform(key, (rows, steps, size), dtype, 1))
    x = net("Transpose", x, perm=[1, 0, 2])
    for operator, gates in (("LSTM", 4), ("GRU", 3), ("RNN", 1)):
        weights = [
            net.weight(2, gates * hidden, size, dtype=dtype),
            net.weight(2, gates * hidden, hidden, dtype=dtype),
            net.weight(2, 2 * gates * hidden, dtype=dtype),
        ]
        for linear in (0, 1) if operator == "GRU" else (0,):
            more: dict[str, Any] = {"linear_before_reset": 1} if linear else {}
            y = net(operator, x, *weights, hidden_size=hidden, direction="bidirectional", **more)
            net.output(net("Transpose", y, perm=[2, 0, 1, 3]))


@register(CASES, by_rows=True)
def recurrent_networks(net: Net) -> None:
    _recurrent(net, "recurrent", np.float32)


@register(CASES, by_rows=True)
def double_precision(net: Net) -> None:
    _recurrent(net, "recurrent/64", np.float64)
    x = net.input(spread("double", (4, 2, 9, 300), np.float64))
    y = net("MatMul", x, net.weight(300, 20, dtype=np.float64))
    y = net("LayerNormalization", y, net.positive(20, dtype=np.float64))
    net.output(net("Softmax", y, axis=1), net("LogSoftmax", y, axis=-1))
    y = net("Conv", x, net.weight(5, 2, 3, 3, dtype=np.float64), net.weight(5, dtype=np.float64))
    net.output(net("MaxPool", y, kernel_shape=[2, 2]), net("LpPool", y, kernel_shape=[2, 3], p=3))


@register(CASES, by_rows=True)
def half_precision(net: Net) -> None:
    x = net.input(uniform("half", (4, 3, 9, 20), np.float16, 1))
    y = net("Conv", x, net.weight(6, 3, 3, 3, dtype=np.float16), net.weight(6, dtype=np.float16))
    y = net("Sigmoid", net("InstanceNormalization", y, *(net.positive(6, dtype=np.float16),) * 2))
    y = net("Gemm", net("Flatten", y), net.weight(756, 9, dtype=np.float16))
    net.output(y, net("Softmax", y, axis=-1), net("ReduceMean", y, net.constant([1])))
    brain = net("Cast", x, to=16)
    y = net("MatMul", brain, net("Cast", net.weight(20, 7), to=16))
    y = net("Softmax", net("Mul", net("Exp", y), y), axis=-1)
    net.output(net("Cast", y, to=1))
