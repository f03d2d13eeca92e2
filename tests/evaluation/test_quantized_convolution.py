"""ConvInteger and QLinearConv against sums in 64 bits, onnxruntime, and hostile input."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest
from onnx import helper

from danku.evaluation.kernels import integer_convolution, integer_layout
from danku.evaluation.kernels.layout import Axis
from danku.evaluation.kernels.threads import threads
from danku.evaluation.refusal import ModelRejected
from danku.evaluation.registry import catalogue
from tests.evaluation.test_operators import Case, build, run_peer

FLOAT = np.float32
RANGES = {"int8": (-128, 127), "uint8": (0, 255)}
KINDS = [(x, w) for x in RANGES for w in RANGES]


def whole(random: np.random.Generator, kind: str, *shape: int) -> np.ndarray:
    """Half of them at an end of the range."""
    low, high = RANGES[kind]
    values = random.integers(low, high, shape, endpoint=True)
    ends = random.choice([low, high], shape)
    return np.where(random.random(shape) < 0.5, values, ends).astype(kind)


def padding(
    sizes: Sequence[int], kernel: Sequence[int], attributes: dict[str, Any]
) -> list[tuple[int, int]]:
    """Before and after, on each axis, by ONNX's words for `auto_pad`."""
    count = len(sizes)
    strides = attributes.get("strides", [1] * count)
    dilations = attributes.get("dilations", [1] * count)
    pads = attributes.get("pads", [0] * 2 * count)
    side = attributes.get("auto_pad", "NOTSET")
    found = []
    for i in range(count):
        if side == "NOTSET":
            found.append((pads[i], pads[count + i]))
        elif side == "VALID":
            found.append((0, 0))
        else:
            outputs = -(-sizes[i] // strides[i])
            reach = (kernel[i] - 1) * dilations[i] + 1
            total = max(0, (outputs - 1) * strides[i] + reach - sizes[i])
            less, more = total // 2, total - total // 2
            found.append((less, more) if side == "SAME_UPPER" else (more, less))
    return found


def sums(
    x: np.ndarray, w: np.ndarray, x_zero: int, w_zero: Any, attributes: dict[str, Any]
) -> np.ndarray:
    """The convolution in int64, one element of the kernel after another."""
    count, groups = x.ndim - 2, attributes.get("group", 1)
    strides = attributes.get("strides", [1] * count)
    dilations = attributes.get("dilations", [1] * count)
    kernel = w.shape[2:]
    data = x.astype(np.int64) - x_zero
    weights = w.astype(np.int64) - np.asarray(w_zero, np.int64).reshape(-1, *(1,) * (count + 1))
    data = np.pad(data, [(0, 0), (0, 0), *padding(x.shape[2:], kernel, attributes)])
    counts = [
        (data.shape[2 + i] - (kernel[i] - 1) * dilations[i] - 1) // strides[i] + 1
        for i in range(count)
    ]
    out = np.zeros((x.shape[0], w.shape[0], *counts), np.int64)
    members, rows = w.shape[1], w.shape[0] // groups
    for group, place in product(range(groups), np.ndindex(*kernel)):
        met = tuple(
            slice(j * d, j * d + (o - 1) * s + 1, s)
            for j, d, o, s in zip(place, dilations, counts, strides, strict=True)
        )
        seen = data[(slice(None), slice(group * members, (group + 1) * members), *met)]
        outputs = slice(group * rows, (group + 1) * rows)
        chosen = weights[(outputs, slice(None), *place)]
        out[:, outputs] += np.moveaxis(np.tensordot(chosen, seen, ([1], [1])), 0, 1)
    return out


def wrapped(values: np.ndarray) -> np.ndarray:
    return ((values + 2**31) % 2**32 - 2**31).astype(np.int32)


@cache
def requantized(total: int, multiplier: np.float32, zero: int, kind: str) -> int:
    """By fractions, but for the product that is rounded to float32."""
    low, high = RANGES[kind]
    with np.errstate(all="ignore"):
        scaled = FLOAT(total) * multiplier
    if np.isnan(scaled):
        return 0
    if np.isinf(scaled):
        return high if scaled > 0 else low
    return min(max(round(Fraction(float(scaled))) + zero, low), high)


SHAPES: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    ((2, 3, 9), (4, 3, 3), {"strides": [2], "pads": [1, 2], "dilations": [2]}),
    ((2, 5, 7, 6), (9, 5, 3, 2), {"pads": [1, 0, 2, 1]}),
    ((1, 4, 8, 9), (6, 2, 3, 3), {"group": 2, "strides": [2, 1], "pads": [1] * 4}),
    ((2, 6, 5, 5), (6, 1, 3, 3), {"group": 6, "pads": [1] * 4}),
    ((1, 6, 7, 7), (12, 1, 2, 2), {"group": 6, "dilations": [3, 2]}),
    ((1, 3, 4, 5, 4), (5, 3, 2, 3, 1), {"pads": [1, 0, 0, 0, 1, 2], "strides": [1, 2, 3]}),
    *(
        ((1, 3, 8, 7), (4, 3, 3, 4), {"auto_pad": side, "strides": [2, 3]})
        for side in ("SAME_UPPER", "SAME_LOWER", "VALID")
    ),
    ((1, 200, 2, 2), (130, 200, 3, 3), {"pads": [1] * 4}),
    ((3, 16, 4, 4), (80, 16, 3, 3), {"pads": [1] * 4, "strides": [2, 2]}),
    ((1, 2, 1, 1, 1), (2, 1, 2, 2, 2), {"group": 2, "pads": [29] * 6, "dilations": [29] * 3}),
    ((1, 1030, 2, 3), (3, 1030, 1, 1), {}),
]


@pytest.mark.parametrize("number", range(len(SHAPES)))
@pytest.mark.parametrize(("kind", "other"), KINDS)
def test_integer_convolutions_are_exact(
    number: int, kind: str, other: str, model: Any, exact: Any
) -> None:
    """The largest numbers too, where hardware that adds pairs in 16 bits saturates."""
    random = np.random.default_rng(number)
    shape, weights, attributes = SHAPES[number]
    x, w = whole(random, kind, *shape), whole(random, other, *weights)
    x_zero, w_zero = whole(random, kind, 1)[0], whole(random, other, weights[0])
    for zeros in ([], [x_zero], [x_zero, w_zero[0]], [x_zero, w_zero]):
        case = Case("ConvInteger", x, [w, *zeros], attributes, outputs=["int32"])
        built, _ = build(case, 10, model, 3)
        first, second = [*zeros, 0, 0][:2]
        expected = sums(x, w, int(first), second, attributes)
        assert exact(built, x)["y0"].tolist() == expected.tolist()


@pytest.mark.parametrize("number", range(len(SHAPES)))
def test_paddings_too_large_for_memory_change_nothing(
    number: int, model: Any, exact: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape, weights, attributes = SHAPES[number]
    random = np.random.default_rng(number)
    x, w = whole(random, "uint8", *shape), whole(random, "int8", *weights)
    zero, scale = np.uint8(77), FLOAT(0.01)
    w_zero = whole(random, "int8", weights[0])
    inputs = [scale, zero, w, np.full(weights[0], scale), w_zero, FLOAT(0.3), zero]
    cases = (
        Case("ConvInteger", x, [w, zero, w_zero], attributes, outputs=["int32"]),
        Case("QLinearConv", x, inputs, attributes, outputs=["uint8"]),
    )
    built = [build(case, 10, model, 3)[0] for case in cases]
    near = [exact(each, x)["y0"].tolist() for each in built]
    monkeypatch.setattr(integer_convolution, "MOST_LAID_OUT", 0)
    monkeypatch.setattr(integer_convolution, "ROOM", 0)
    assert [exact(each, x)["y0"].tolist() for each in built] == near


@pytest.mark.parametrize("number", range(len(SHAPES)))
@pytest.mark.parametrize("kind", RANGES)
def test_linear_convolutions_are_exact_then_rounded(
    number: int, kind: str, model: Any, exact: Any
) -> None:
    random = np.random.default_rng(100 + number)
    shape, weights, attributes = SHAPES[number]
    x, w = whole(random, kind, *shape), whole(random, "int8", *weights)
    outputs = weights[0]
    x_zero, zero = whole(random, kind, 1)[0], whole(random, kind, 1)[0]
    bias = random.integers(-(2**18), 2**18, outputs).astype(np.int32)
    for channels in (1, outputs):
        w_zero = whole(random, "int8", channels)
        w_scale = random.uniform(0.001, 0.1, channels).astype(FLOAT)
        x_scale, scale = FLOAT(0.037), FLOAT(1.7)
        inputs = [x_scale, x_zero, w, w_scale, w_zero, scale, zero, bias]
        case = Case("QLinearConv", x, inputs, attributes, outputs=[kind])
        found = exact(build(case, 10, model, 3)[0], x)["y0"]
        total = sums(x, w, int(x_zero), w_zero, attributes)
        total = wrapped(total + bias.reshape(-1, *(1,) * (x.ndim - 2)))
        for place in np.ndindex(total.shape):
            factor = (x_scale * w_scale[place[1] % channels]) / scale
            assert found[place] == requantized(int(total[place]), factor, int(zero), kind)


@pytest.mark.parametrize("kind", RANGES)
def test_onnxruntime_finds_the_same(kind: str, model: Any, exact: Any) -> None:
    """Of one type, or of 7 bits: its sums of uint8 and int8 saturate on some processors."""
    random = np.random.default_rng(3)
    x = whole(random, kind, 2, 6, 8, 8)
    w = whole(random, kind, 8, 3, 3, 3)
    bias = random.integers(-9000, 9000, 8).astype(np.int32)
    w_scale = random.uniform(0.001, 0.1, 8).astype(FLOAT)
    zero = x.dtype.type(3)
    inputs = [FLOAT(0.03), zero, w, w_scale, np.full(8, 0, kind), FLOAT(0.9), zero, bias]
    attributes = {"group": 2, "pads": [1] * 4, "strides": [2, 1]}
    case = Case("QLinearConv", x, inputs, attributes, outputs=[kind])
    built, _ = build(case, 10, model, 3)
    assert exact(built, x)["y0"].tolist() == run_peer(built, x)["y0"].tolist()


def test_sums_and_biases_wrap_at_32_bits(model: Any, exact: Any) -> None:
    x, w = np.full((1, 40_000, 1), 255, np.uint8), np.full((2, 40_000, 1), 255, np.uint8)
    case = Case("ConvInteger", x, [w], outputs=["int32"])
    found = exact(build(case, 10, model, 3)[0], x)["y0"]
    total = 40_000 * 255 * 255
    assert found.reshape(-1).tolist() == [total - 2**32] * 2
    bias = np.array([2**31 - 1, total - 2**32], np.int32)
    one, zero = FLOAT(1), np.uint8(0)
    inputs = [one, zero, w, one, zero, FLOAT(2**24), zero, bias]
    case = Case("QLinearConv", x, inputs, outputs=["uint8"])
    found = exact(build(case, 10, model, 3)[0], x)["y0"]
    sum_of_first = (total + 2**31 - 1 + 2**31) % 2**32 - 2**31
    sum_of_second = (2 * total + 2**31) % 2**32 - 2**31
    expected = [max(0, round(each / 2**24)) for each in (sum_of_first, sum_of_second)]
    assert found.reshape(-1).tolist() == expected


@pytest.mark.parametrize("scale", [0.0, -0.0, -1.5, np.inf, -np.inf, np.nan, 1e-45])
@pytest.mark.parametrize("place", [1, 4, 6])
def test_any_scale_has_a_meaning(scale: float, place: int, model: Any, exact: Any) -> None:
    random = np.random.default_rng(5)
    x, w = whole(random, "int8", 1, 2, 3, 3), whole(random, "int8", 3, 2, 2, 2)
    zero = np.int8(-7)
    inputs = [FLOAT(0.5), zero, w, FLOAT(0.25), zero, FLOAT(3), zero]
    inputs[{1: 0, 4: 3, 6: 5}[place]] = FLOAT(scale)
    case = Case("QLinearConv", x, inputs, outputs=["int8"])
    found = exact(build(case, 10, model, 3)[0], x)["y0"]
    with np.errstate(all="ignore"):
        factor = (inputs[0] * inputs[3]) / inputs[5]
    total = sums(x, w, -7, -7, {})
    expected = [requantized(int(each), factor, -7, "int8") for each in total.reshape(-1)]
    assert found.reshape(-1).tolist() == expected


def test_weights_and_zero_points_may_be_computed(model: Any, exact: Any) -> None:
    """As a quantizer of activations does, which knows the zero point only while it runs."""
    x = np.random.default_rng(7).normal(size=(2, 3, 6, 6)).astype(FLOAT)
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        helper.make_node("ConvInteger", ["q", "w", "z"], ["y"], pads=[1] * 4),
        helper.make_node("ConvInteger", ["w", "q", "", "z"], ["t"]),
    ]
    w = whole(np.random.default_rng(8), "uint8", 4, 3, 6, 6)
    kinds = {"q": "uint8", "z": "uint8", "y": "int32", "t": "int32"}
    built = model(nodes, kinds, shape=x.shape, constants={"w": w}, opset=11)
    found = exact(built, x)
    zero = int(found["z"])
    expected = sums(found["q"], w, zero, 0, {"pads": [1] * 4})
    assert found["y"].tolist() == expected.tolist()
    assert found["t"].tolist() == sums(w, found["q"], 0, zero, {}).tolist()


def kernel(images: int, channels: int, outputs: int, side: int) -> Any:
    random = np.random.default_rng(images)
    w = whole(random, "int8", 1, outputs, channels, 9)
    axis = Axis(side, 1, (-1, 0, 1), side)
    packed = integer_layout.pack(w, np.int8(3))
    shape = images, channels, 1, side, side
    axes = Axis(1, 1, (0,), 1), axis, axis
    return integer_convolution.Convolution(packed, axes, shape), whole(random, "uint8", *shape)


@pytest.mark.parametrize(("channels", "outputs", "side"), [(3, 20, 21), (70, 300, 3), (130, 40, 9)])
def test_neither_threads_nor_batches_change_anything(
    channels: int, outputs: int, side: int
) -> None:
    together, x = kernel(5, channels, outputs, side)
    alone, _ = kernel(1, channels, outputs, side)
    alone._weights = together._weights
    expected = together.run(x, 9)
    with threads(2):
        assert (together.run(x, 9) == expected).all()
    for image in range(5):
        assert (alone.run(x[image : image + 1], 9) == expected[image : image + 1]).all()


X = whole(np.random.default_rng(1), "uint8", 2, 4, 5, 5)
W = whole(np.random.default_rng(2), "uint8", 6, 4, 3, 3)
ONE, ZERO = FLOAT(1), np.uint8(0)
LINEAR = [ONE, ZERO, W, ONE, ZERO, ONE, ZERO]


def linear(place: int, value: np.ndarray) -> Case:
    others: list[Any] = [*LINEAR, np.zeros(6, np.int32)]
    others[place] = value
    return Case("QLinearConv", X, others, outputs=["uint8"])


HOSTILE = [
    (Case("ConvInteger", X.astype(FLOAT), [W]), "unsupported type float32"),
    (Case("ConvInteger", X, [W.astype(np.int16)]), "unsupported type int16"),
    (Case("ConvInteger", X, [W, np.int8(0)]), "unsupported type int8"),
    (Case("ConvInteger", X, [W, np.zeros(4, np.uint8)]), "more than one scale or zero point"),
    (Case("ConvInteger", X, [W, ZERO, np.zeros(4, np.uint8)]), "one for each channel"),
    (Case("ConvInteger", X, [W[:, :3]]), "channels that do not fit"),
    (Case("ConvInteger", X, [W], {"group": 0}), "0 groups"),
    (Case("ConvInteger", X, [W], {"group": 4}), "channels that do not fit"),
    (Case("ConvInteger", X, [W[:0]]), "weights without elements"),
    (Case("ConvInteger", X, [W[:, :, :, :0]]), "weights without elements"),
    (Case("ConvInteger", X, [W[..., 0]]), "weights of rank 3"),
    (Case("ConvInteger", X[0, 0], [W]), "input of rank 2"),
    (Case("ConvInteger", X, [W], {"kernel_shape": [2, 3]}), "kernel_shape is not that"),
    (Case("ConvInteger", X, [W], {"strides": [0, 1]}), "strides out of range"),
    (Case("ConvInteger", X, [W], {"pads": [-1, 0, 0, 0]}), "pads out of range"),
    (Case("ConvInteger", X, [W], {"dilations": [3, 1]}), "a kernel larger than the input"),
    (Case("ConvInteger", X, [W], {"pads": [2**30] * 4}), "a dimension is negative or too large"),
    (linear(0, np.float16(1)), "unsupported type float16"),
    (linear(0, np.ones(4, FLOAT)), "more than one scale or zero point"),
    (linear(3, np.ones(4, FLOAT)), "one for each channel"),
    (linear(3, np.ones(6, FLOAT)), "a zero point of another shape"),
    (linear(5, np.ones(6, FLOAT)), "more than one scale or zero point"),
    (linear(6, np.int32(0)), "unsupported type int32"),
    (linear(7, np.zeros(6, FLOAT)), "unsupported type float32"),
    (linear(7, np.zeros(5, np.int32)), "a bias that is not one for each channel"),
]


@pytest.mark.parametrize(
    ("case", "reason"),
    [pytest.param(*each, id=f"{each[0].operator}-{i}") for i, each in enumerate(HOSTILE)],
)
def test_hostile_convolutions_are_refused(case: Case, reason: str, model: Any, exact: Any) -> None:
    built, x = build(case, 13, model, 3)
    with pytest.raises(ModelRejected) as refused:
        exact(built, x)
    assert reason in refused.value.reason


def test_no_images_give_no_results(model: Any, exact: Any) -> None:
    case = Case("QLinearConv", X[:0], LINEAR, outputs=["uint8"])
    assert exact(build(case, 13, model, 3)[0], X[:0])["y0"].shape == (0, 6, 3, 3)


def test_every_operator_of_integers_is_here() -> None:
    names = {name for _, name in catalogue()}
    assert {f"QLinear{name}" for name in ("Conv", "MatMul")} <= names
    assert {"ConvInteger", "MatMulInteger", "DynamicQuantizeLinear"} <= names
    assert all((domain, "QuantizeLinear") in catalogue() for domain in ("", "com.microsoft"))
