"""Convolutions and element by element operators of bytes, in every way that they are computed."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from tests.evaluation.golden.building import Cases, Net, register
from tests.evaluation.golden.numbers import integers, uniform

CASES: Cases = {}
MS = "com.microsoft"


def _bytes(net: Net, key: str, *shape: int, dtype: DTypeLike = np.int8) -> str:
    limits = np.iinfo(np.dtype(dtype))
    return net.constant(integers(key, shape, limits.min, limits.max + 1, dtype))


def _scale(net: Net, step: float, zero: int, dtype: DTypeLike = np.uint8) -> tuple[str, str]:
    return net.constant(np.float32(step)), net.constant(zero, dtype)


@register(CASES, by_rows=True)
def integer_convolutions(net: Net) -> None:
    """Near and far places, few outputs of many channels, groups, one to three dimensions."""
    x = net.input(integers("integer/x", (2, 6, 12, 13), 0, 256, np.uint8))
    zero = net.constant(np.uint8(113))
    for number, (shape, more) in enumerate(
        (
            ((10, 6, 3, 3), {"pads": [1, 1, 1, 1]}),
            ((9, 2, 3, 3), {"group": 3, "strides": [2, 1], "dilations": [1, 2]}),
            ((6, 1, 5, 3), {"group": 6}),
            ((40, 6, 9, 9), {"strides": [3, 3]}),
            ((3, 6, 1, 1), {}),
        )
    ):
        weights = _bytes(net, f"integer/{number}", *shape)
        net.output(net("ConvInteger", x, weights, zero, net.constant(np.int8(0)), **more))
    column = net.input(integers("integer/column", (2, 1, 200, 1), 0, 256, np.uint8))
    weights = _bytes(net, "integer/far", 3, 1, 199, 1)
    net.output(net("ConvInteger", column, weights, zero, pads=[0, 1000, 0, 1000]))
    flat = net("Reshape", x, net.constant([0, 6, 156]))
    net.output(net("ConvInteger", flat, _bytes(net, "integer/line", 4, 6, 5), zero))


@register(CASES, by_rows=True)
def quantized_convolutions(net: Net) -> None:
    """QLinearConv with one scale and with one for each channel, then sums and pools of bytes."""
    x = net.input(integers("qlinear/x", (2, 4, 9, 10), 0, 256, np.uint8))
    given, made = _scale(net, 0.02, 120), _scale(net, 0.11, 128)
    steps = net.constant(np.abs(uniform("qlinear/steps", (8,), exponent=-6)))
    zeros = net.constant(np.zeros(8, np.int8))
    bias = net.constant(integers("qlinear/bias", (8,), -9000, 9000, np.int32))
    weights = _bytes(net, "qlinear/weights", 8, 4, 3, 3)
    y = net("QLinearConv", x, *given, weights, steps, zeros, *made, bias, pads=[1, 1, 1, 1])
    one = _scale(net, 0.004, 3, np.int8)
    z = net("QLinearConv", y, *made, _bytes(net, "qlinear/next", 8, 8, 1, 1), *one, *made)
    sums = net("QLinearAdd", y, *made, z, *made, *_scale(net, 0.17, 90), domain=MS)
    net.output(y, z, sums)
    for number in (2, 3, 4, 5):
        kind = {2: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16}[number]
        scale = _scale(net, 0.0173, 11, kind)
        back = net("DequantizeLinear", sums, *_scale(net, 0.17, 90))
        quantized = net("QuantizeLinear", back, *scale)
        net.output(quantized, net("DequantizeLinear", quantized, *scale))
