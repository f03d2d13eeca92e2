"""Single operators by family, on inputs that bend them: norms, sums, pools, casts, NaN, signals."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tests.evaluation.golden.building import Cases, Net, register
from tests.evaluation.golden.numbers import integers, special, spread, uniform

CASES: Cases = {}


@register(CASES, by_rows=True)
def norms(net: Net) -> None:
    for dtype in (np.float32, np.float64):
        _norms(net, net.input(spread("norms", (3, 6, 7, 9), dtype)), dtype)


def _norms(net: Net, x: str, dtype: DTypeLike) -> None:
    scale, bias = net.positive(6, dtype=dtype), net.weight(6, dtype=dtype)
    each = net.positive(7, 9, dtype=dtype), net.weight(7, 9, dtype=dtype)
    net.output(
        net("LayerNormalization", x, *each, axis=2),
        net("InstanceNormalization", x, scale, bias, epsilon=1e-2),
        net("GroupNormalization", x, scale, bias, num_groups=3),
        net("BatchNormalization", x, scale, bias, bias, scale),
        net("LRN", x, size=3, alpha=0.2, beta=0.6),
        net("LpNormalization", x, axis=1, p=1),
        net("LpNormalization", x, axis=-1, p=2),
        net("MeanVarianceNormalization", x, axes=[1, 3]),
    )


@register(CASES, by_rows=True)
def softmaxes(net: Net) -> None:
    x = net.input(spread("softmaxes", (4, 5, 33)))
    for axis in (1, 2):
        net.output(*(net(name, x, axis=axis) for name in ("Softmax", "LogSoftmax", "Hardmax")))


@register(CASES, by_rows=True, opset=11)
def softmaxes_of_old(net: Net) -> None:
    x = net.input(spread("softmaxes/old", (4, 5, 33)))
    net.output(*(net(name, x) for name in ("Softmax", "LogSoftmax", "Hardmax")))


@register(CASES, by_rows=True)
def activations(net: Net) -> None:
    usual = spread("activations", (60, 5), width=4)
    x = net.input(np.concatenate([usual.reshape(-1), special(np.float32)])[:340].reshape(-1, 4))
    net.outputs_of(
        x,
        *("Elu", "Selu", "Celu", "HardSigmoid", "HardSwish", "Mish", "Softsign", "Softplus"),
        *("Sigmoid", "Tanh", "Relu", "LeakyRelu", "ThresholdedRelu", "Shrink", "Erf", "Gelu"),
    )
    net.output(net("Gelu", x, approximate="tanh"), net("Clip", x, net.constant(np.float32(-0.5))))
    net.output(net("PRelu", x, net.weight(4)))


@register(CASES, by_rows=True)
def reductions(net: Net) -> None:
    for dtype in (np.float32, np.float64):
        x = net.input(spread("reductions", (3, 5, 4, 37), dtype, 30))
        for name in ("Sum", "Mean", "Prod", "L1", "L2", "LogSumExp", "SumSquare", "Max", "Min"):
            for axes in ([1], [2, 3], [1, 3]):
                net.output(net(f"Reduce{name}", x, net.constant(axes), keepdims=0))
        net.output(net("ReduceLogSum", net("Abs", x), net.constant([-1])))
        net.output(net("CumSum", x, net.constant(np.int64(3)), reverse=1))
        net.output(net("CumSum", x, net.constant(np.int64(1)), exclusive=1))
        net.output(*net.several(2, "TopK", x, net.constant([7]), axis=3))


@register(CASES, by_rows=True)
def contractions(net: Net) -> None:
    a = net.input(spread("contractions/a", (3, 4, 300)))
    b = net.input(spread("contractions/b", (3, 300, 5)))
    net.output(
        net("MatMul", a, b),
        net("Einsum", a, b, equation="bij,bjk->bik"),
        net("Einsum", a, b, equation="bij,bjk->bki"),
        net("Einsum", a, a, equation="bij,bij->b"),
        net("Einsum", a, equation="bij->bj"),
        net("Einsum", a, net.weight(300, 2, 5), equation="bij,jkl->bilk"),
        net("Einsum", a, b, net.weight(5), equation="...ij,...jk,k->...i"),
    )


@register(CASES, by_rows=True)
def pools(net: Net) -> None:
    x = net.input(spread("pools", (2, 3, 11, 10)))
    window: dict[str, Any] = {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 0, 1, 1]}
    net.output(
        net("MaxPool", x, **window, ceil_mode=1, dilations=[1, 2]),
        net("AveragePool", x, **window, ceil_mode=1),
        net("AveragePool", x, **window, count_include_pad=1),
        *(net("LpPool", x, **window, p=p) for p in (1, 2, 3)),
        *(net(f"Global{name}Pool", x) for name in ("Average", "Max", "Lp")),
    )


@register(CASES, by_rows=False)
def places(net: Net) -> None:
    """What knows where an element stands."""
    x = net.input(spread("places", (2, 3, 11, 10)))
    for number in (1, 11):
        plane = net("Cast", x, to=number)
        net.output(*net.several(2, "MaxPool", plane, kernel_shape=[3, 3], strides=[2, 2]))
    regions = net.constant(uniform("places/regions", (5, 4), exponent=3) + np.float32(8))
    which = net.constant([0, 1, 1, 0, 1])
    for mode in ("avg", "max"):
        more: dict[str, Any] = {
            "output_height": 3,
            "output_width": 2,
            "sampling_ratio": 2,
            "mode": mode,
        }
        net.output(net("RoiAlign", x, regions, which, **more))
    flat = net("Reshape", x, net.constant([-1]))
    spots = net.constant(integers("places/spots", (90,), 0, 660))
    updates = net.constant(spread("places/updates", (90,)))
    for reduction in ("add", "mul", "max", "min"):
        net.output(net("ScatterElements", flat, spots, updates, axis=0, reduction=reduction))
    blocks = net("Reshape", x, net.constant([2, 6, 55]))
    net.output(net("Col2Im", blocks, net.constant([6, 11]), net.constant([2, 3]), pads=[0, 1] * 2))
    net.output(net("DepthToSpace", net("Concat", x, x, x, x, axis=1), blocksize=2))
    net.output(
        net("Det", net("Slice", x, net.constant([0]), net.constant([10]), net.constant([2])))
    )


@register(CASES, by_rows=True)
def resizes(net: Net) -> None:
    x = net.input(spread("resizes", (2, 3, 7, 9)))
    scales = net.constant(np.array([1, 1, 1.7, 0.6], np.float32))
    for mode, transform in (
        *(("nearest", "asymmetric"), ("nearest", "half_pixel"), ("linear", "align_corners")),
        *(("linear", "pytorch_half_pixel"), ("cubic", "half_pixel"), ("cubic", "asymmetric")),
    ):
        more = {"mode": mode, "coordinate_transformation_mode": transform}
        net.output(net("Resize", x, "", scales, **more))
        if mode != "nearest":
            net.output(net("Resize", x, "", scales, antialias=1, **more))
    grid = net.input(uniform("resizes/grid", (2, 5, 6, 2), exponent=1))
    for mode in ("nearest", "linear", "cubic"):
        for padding in ("zeros", "border", "reflection"):
            net.output(net("GridSample", x, grid, mode=mode, padding_mode=padding))


@register(CASES, by_rows=True)
def not_a_number(net: Net) -> None:
    """NaN as it comes from a processor, whose sign is negative on x86 and positive on Arm."""
    x = net.input(special(np.float32).reshape(-1, 4))
    zero, one = net.constant(np.float32(0)), net.constant(np.float32(1))
    with_nan = net("Mul", net("Div", x, x), net("Sub", x, x))
    found = net("Add", net("Sqrt", x), with_nan)
    both = net("Concat", found, net("Neg", found), x, axis=1)
    net.output(both, *net.several(2, "TopK", both, net.constant([12]), axis=1))
    net.output(*net.several(2, "TopK", both, net.constant([5]), axis=1, largest=0))
    net.output(*(net(name, both, axis=1) for name in ("ArgMax", "ArgMin")))
    net.outputs_of(both, "Sign", "Abs", "Floor", "Relu", "Elu", "IsNaN", "Exp", "Log", "Reciprocal")
    net.output(net("Max", both, zero), net("Min", both, one), net("Clip", both, zero, one))
    net.output(net("Where", net("Less", both, zero), zero, one), net("Equal", both, both))
    net.output(net("Pow", both, zero), net("Pow", both, both), net("Mod", both, one, fmod=1))
    for name in ("Max", "Min", "Sum", "LogSumExp", "Mean"):
        net.output(net(f"Reduce{name}", both, net.constant([1])))
    net.output(net("CumSum", both, net.constant(np.int64(1))))
    for number in (3, 5, 6, 7, 2, 4, 12, 13, 9, 10, 11, 8):
        net.output(net("Cast", both, to=number))
    for number in (16, 17, 18, 19, 20):
        net.output(net("Cast", net("Cast", both, to=number), to=1))


@register(CASES, by_rows=True)
def casts(net: Net) -> None:
    every = special(np.float64)
    with np.errstate(all="ignore"):
        wide = net.input(np.concatenate([every, -every * 1e9]).reshape(-1, 8))
    half = net.input(np.resize(special(np.float16), (16, 8)))
    whole = net.input(integers("casts", (16, 8), -(2**62), 2**62))
    for x in (wide, half, whole):
        for number in (1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 8):
            net.output(net("Cast", x, to=number))
        for number in (16, 17, 18, 19, 20, 21, 22):
            net.output(net("Cast", net("Cast", x, to=number), to=1))


@register(CASES, by_rows=True)
def integers_only(net: Net) -> None:
    a = net.input(integers("integers/a", (6, 40), -(2**31), 2**31, np.int32))
    b = net.constant(integers("integers/b", (40,), 1, 50, np.int32))
    net.output(*(net(name, a, b) for name in ("Add", "Mul", "Div", "Mod", "Pow", "Max")))
    net.output(net("Mod", a, b, fmod=1), net("BitwiseXor", a, b), net("MatMul", a, _matrix(net)))
    for name in ("Sum", "Mean", "Prod", "L1", "SumSquare", "Min"):
        net.output(net(f"Reduce{name}", a, net.constant([1])))
    c = net("Cast", a, to=2)
    net.output(net("BitShift", c, net.constant(np.uint8(3)), direction="LEFT"))


def _matrix(net: Net) -> str:
    """A matrix for 40 columns of int32."""
    return net.constant(integers("integers/matrix", (40, 6), -(2**31), 2**31, np.int32))


@register(CASES, by_rows=True)
def signals(net: Net) -> None:
    x = net.input(spread("signals", (3, 60, 1)))
    axis = net.constant(np.int64(1))
    whole = net("DFT", x, "", axis)
    net.output(whole, net("DFT", x, "", axis, onesided=1), net("DFT", whole, "", axis, inverse=1))
    window = net("HannWindow", net.constant(np.int64(16)))
    frames = net("STFT", x, net.constant(np.int64(5)), window, net.constant(np.int64(16)))
    net.output(frames, net("Mul", x, net("HammingWindow", net.constant(np.int64(60)))))
    power = net("ReduceSumSquare", frames, net.constant([3]), keepdims=0)
    sizes = [net.constant(np.int64(number)) for number in (4, 16, 8000)]
    edges = [net.constant(np.float32(number)) for number in (0, 4000)]
    net.output(net("MatMul", power, net("MelWeightMatrix", *sizes, *edges)))


@register(CASES, by_rows=True)
def movements(net: Net) -> None:
    """What moves numbers and computes none, or adds them up where they meet."""
    x = net.input(spread("movements", (3, 4, 6, 5)))
    pads, first = net.constant([0, 1, -1, 2, 0, 0, 3, 1]), net.constant(np.float32(0.5))
    net.output(net("Pad", x, pads, first), *(net("Pad", x, pads, mode=m) for m in ("edge", "wrap")))
    net.output(net("Pad", x, pads, mode="reflect"), net("Trilu", x, net.constant(np.int64(1))))
    net.output(net("Tile", x, net.constant([1, 2, 1, 3])), net("SpaceToDepth", x, blocksize=1))
    net.output(*net.several(2, "Split", x, axis=2, num_outputs=2))
    net.output(net("CenterCropPad", x, net.constant([8, 3]), axes=[2, 3]))
    places = integers("movements/places", (3, 4, 6, 5), -5, 5)
    net.output(net("GatherElements", x, net.input(places), axis=3))
    whole = net("Reshape", net("Mul", x, x), net.constant([0, 120]))
    net.output(net("OneHot", net("Cast", whole, to=7), net.constant(np.int64(9)), net.weight(2)))
    twice = net("Expand", whole, net.constant([2, 1, 1]))
    net.output(net("ReduceSum", twice, net.constant([0, 2]), keepdims=0))


@register(CASES, by_rows=True, opset=26)
def later_operators(net: Net) -> None:
    x = net.input(spread("later", (3, 4, 6, 8), width=2))
    net.output(net("RMSNormalization", x, net.positive(8)), net("Swish", x, alpha=1.3))
    turns = uniform("later/turns", (3, 6, 4), exponent=2)
    cosines, sines = (net(name, net.input(turns)) for name in ("Cos", "Sin"))
    net.output(net("RotaryEmbedding", x, cosines, sines))
    net.output(net("CumProd", x, net.constant(np.int64(3))), net("BitCast", x, to=6))
    net.outputs_of(x, "Tan", "Sinh", "Cosh", "Asinh", "Atan", "Round", "Ceil")
    net.output(net("Mean", x, net("Sum", x, x, x)))
    labels = net.input(integers("later/labels", (3, 6, 8), 0, 4))
    net.output(net("SoftmaxCrossEntropyLoss", x, labels, net.positive(4), reduction="none"))
