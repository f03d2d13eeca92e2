"""Graphs that keep [rows, columns] and make something of the operands of each row and column."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.evaluation.golden import suite
from tests.evaluation.golden.building import Net
from tests.evaluation.golden.numbers import Array, uniform

Fill = Callable[[Net, str, Array], str]
"""Adds nodes behind an input and gives the output; the array is what the input will be."""


def constants(net: Net, x: Array, *shape: int) -> str:
    """The same for every number of rows and columns."""
    name = f"order/{shape}"
    return net.constant(uniform(name, shape, x.dtype, -1))


def ones(net: Net, x: Array, count: int) -> str:
    return net.constant(np.ones(count, x.dtype))


def along(operator: str, order: list[int], **attributes: Any) -> Fill:
    """The operator over the operands, with the axes in another order in memory."""

    def fill(net: Net, x: str, values: Array) -> str:
        turned, axis = net("Transpose", x, perm=order), order.index(2)
        if operator.startswith("Reduce"):
            y = net(operator, turned, net.constant([axis]), keepdims=1)
        elif operator == "CumSum":
            y = net(operator, turned, net.constant(np.int64(axis)))
        else:
            y = net(operator, turned, axis=axis, **attributes)
        return net("Transpose", y, perm=[order.index(i) for i in range(3)])

    return fill


def flat(fill: Fill) -> Fill:
    """The same over [rows * columns, operands]."""

    def around(net: Net, x: str, values: Array) -> str:
        rows, columns, length = values.shape
        y = net("Reshape", x, net.constant([rows * columns, length]))
        y = fill(net, y, values)
        return net("Reshape", y, net.constant([rows, columns, -1]))

    return around


def attention(net: Net, x: str, values: Array) -> str:
    """Columns are queries; keys and values are the same for all."""
    length = values.shape[2]
    keys, held = constants(net, values, length, 21), constants(net, values, 21, 5)
    weights = net("Softmax", net("MatMul", x, keys), axis=-1)
    return net("MatMul", weights, held)


def recurrent(operator: str, gates: int) -> Fill:
    """Each lane is a sequence of four steps."""

    def fill(net: Net, x: str, values: Array) -> str:
        size, hidden = values.shape[2] // 4, 3
        steps = net("Reshape", x, net.constant([-1, 4, size]))
        steps = net("Transpose", steps, perm=[1, 0, 2])
        weights = (
            constants(net, values, 2, gates * hidden, size),
            constants(net, values, 2, gates * hidden, hidden),
        )
        more = {"hidden_size": hidden, "direction": "bidirectional"}
        y = net("Transpose", net(operator, steps, *weights, **more), perm=[2, 0, 1, 3])
        return net("Reshape", y, net.constant([*values.shape[:2], -1]))

    return fill


def depthwise(net: Net, x: str, values: Array) -> str:
    columns = values.shape[1]
    weights = np.repeat(uniform("order/depthwise", (1, 1, 3), values.dtype), columns, axis=0)
    return net("Conv", x, net.constant(weights), group=columns, pads=[1, 1])


def transposed(net: Net, x: str, values: Array) -> str:
    columns = values.shape[1]
    weights = np.repeat(uniform("order/transposed", (1, 1, 3), values.dtype), columns, axis=0)
    return net("ConvTranspose", x, net.constant(weights), group=columns, strides=[2])


def pooled(operator: str, **attributes: Any) -> Fill:
    window = {"kernel_shape": [4], "strides": [2], "pads": [1, 1]}
    return lambda net, x, values: net(operator, x, **window, **attributes)


ORDERS = ([0, 1, 2], [0, 2, 1], [2, 0, 1])
SUMS = ("Sum", "Mean", "Prod", "L1", "L2", "LogSumExp", "SumSquare", "Max")

GRAPHS: dict[str, Fill] = {
    **{
        f"{name}-{order}": along(name, order)
        for name in (*(f"Reduce{each}" for each in SUMS), "Softmax", "LogSoftmax", "CumSum")
        for order in ORDERS
    },
    "LpNormalization": along("LpNormalization", [0, 2, 1], p=2),
    "LayerNormalization": lambda net, x, values: net(
        "LayerNormalization", x, ones(net, values, values.shape[2])
    ),
    "InstanceNormalization": lambda net, x, values: net(
        "InstanceNormalization",
        *(x, ones(net, values, values.shape[1]), ones(net, values, values.shape[1])),
    ),
    "MeanVarianceNormalization": lambda net, x, values: net(
        "MeanVarianceNormalization", x, axes=[2]
    ),
    "MatMul": lambda net, x, values: net("MatMul", x, constants(net, values, values.shape[2], 7)),
    "Gemm": flat(
        lambda net, x, values: net(
            "Gemm",
            *(x, constants(net, values, 7, values.shape[2]), constants(net, values, 7)),
            transB=1,
            alpha=0.3,
            beta=0.7,
        )
    ),
    "Gemm-transposed": flat(
        lambda net, x, values: net(
            "Gemm",
            net("Transpose", x, perm=[1, 0]),
            constants(net, values, values.shape[2], 7),
            transA=1,
        )
    ),
    "Einsum-product": lambda net, x, values: net(
        "Einsum", x, constants(net, values, values.shape[2], 7), equation="rci,ij->rcj"
    ),
    "Einsum-square": lambda net, x, values: net(
        "Unsqueeze", net("Einsum", x, x, equation="rci,rci->rc"), net.constant([2])
    ),
    "attention": attention,
    "LSTM": recurrent("LSTM", 4),
    "GRU": recurrent("GRU", 3),
    "RNN": recurrent("RNN", 1),
    "depthwise": depthwise,
    "transposed": transposed,
    "AveragePool": pooled("AveragePool"),
    "MaxPool": pooled("MaxPool"),
    "LpPool": pooled("LpPool", p=3),
    "GlobalAveragePool": lambda net, x, values: net("GlobalAveragePool", x),
    "Resize": lambda net, x, values: net(
        "Resize", x, "", net.constant(np.array([1, 1, 0.7], np.float32)), mode="cubic"
    ),
    "DFT": lambda net, x, values: net(
        "Reshape",
        net("DFT", net("Unsqueeze", x, net.constant([3])), "", net.constant(np.int64(2))),
        net.constant([*values.shape[:2], -1]),
    ),
    "CDist": flat(
        lambda net, x, values: net(
            "CDist",
            *(x, constants(net, values, 5, values.shape[2])),
            domain="com.microsoft",
            metric="euclidean",
        )
    ),
}


def computed(fill: Fill, x: Array) -> Array:
    """[rows, columns, ...]."""
    net = Net("order")
    net.output(fill(net, net.input(x), x))
    [result] = suite.outputs(net.finish(by_rows=True), {"x1": x}).values()
    return result
