"""Conv, ConvTranspose and pooling as operators: onnxruntime's results, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx import helper

from danku.evaluation.admission import admit
from danku.evaluation.refusal import ModelRejected
from danku.protocol.manifest import Limits
from tests.evaluation.conftest import make_model, run_exact

Build = Callable[..., onnx.ModelProto]
Exact = Callable[..., dict[str, np.ndarray]]
FLOAT = np.float32


def spread(seed: int, *shape: int, dtype: Any = FLOAT) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def peer(model: onnx.ModelProto, x: np.ndarray) -> dict[str, np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"x": x}), strict=True))


def assert_agree(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    for name, wanted in theirs.items():
        found = ours[name]
        assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
        if wanted.dtype.kind == "f":
            largest = np.abs(wanted).max(initial=1e-30)
            np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * largest)
        else:
            assert np.array_equal(found, wanted)


def build(
    model: Build, operator: str, x: np.ndarray, *constants: np.ndarray, **more: Any
) -> onnx.ModelProto:
    """One node; ``outputs`` and ``opset`` apart, keywords are its attributes."""
    outputs, opset = more.pop("outputs", {"y": x.dtype.name}), more.pop("opset", 17)
    names = [f"c{i}" for i in range(len(constants))]
    node = helper.make_node(operator, ["x", *names], list(outputs), **more)
    return model(
        [node],
        outputs,
        shape=x.shape,
        dtype=x.dtype.name,
        constants=dict(zip(names, constants, strict=True)),
        opset=opset,
    )


CONVOLUTIONS: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "1-d": ((2, 3, 20), (5, 3, 4), {"strides": [2], "pads": [3, 1]}),
    "2-d": ((2, 3, 9, 11), (6, 3, 3, 2), {}),
    "3-d": ((1, 2, 5, 6, 7), (3, 2, 2, 3, 2), {"pads": [1, 1, 0, 0, 1, 2], "strides": [1, 2, 3]}),
    "strided": ((1, 3, 23, 17), (8, 3, 7, 5), {"strides": [2, 3], "pads": [3, 2, 3, 2]}),
    "dilated": ((1, 4, 19, 19), (5, 4, 3, 3), {"dilations": [2, 4], "pads": [2, 4, 2, 4]}),
    "groups": ((2, 6, 8, 8), (9, 2, 3, 3), {"group": 3, "pads": [1, 1, 1, 1]}),
    "depthwise": ((2, 7, 8, 9), (7, 1, 3, 3), {"group": 7, "pads": [1] * 4, "strides": [2, 1]}),
    "multiplied": ((1, 4, 6, 6), (12, 1, 3, 3), {"group": 4}),
    "pointwise": ((2, 30, 5, 6), (20, 30, 1, 1), {}),
    "pointwise-strided": ((2, 5, 8, 7), (4, 5, 1, 1), {"strides": [2, 2]}),
    "uneven-pads": ((1, 2, 5, 5), (3, 2, 3, 3), {"pads": [0, 2, 4, 1]}),
    "more-padding-than-kernel": ((1, 2, 3, 3), (2, 2, 2, 1), {"pads": [4, 3, 5, 2]}),
    "valid": ((1, 2, 8, 8), (3, 2, 3, 3), {"auto_pad": "VALID", "strides": [3, 2]}),
    "same-upper": ((1, 2, 8, 7), (3, 2, 4, 4), {"auto_pad": "SAME_UPPER", "strides": [2, 1]}),
    "same-lower": ((1, 2, 8, 7), (3, 2, 4, 4), {"auto_pad": "SAME_LOWER", "strides": [2, 3]}),
    "many-channels": ((1, 70, 4, 4), (33, 70, 3, 3), {"pads": [1, 1, 1, 1]}),
}


@pytest.mark.parametrize("opset", [9, 11, 22])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_agree(name: str, opset: int, model: Build, exact: Exact) -> None:
    shape, weights, attributes = CONVOLUTIONS[name]
    x, bias = spread(1, *shape), spread(3, weights[0])
    constants = (spread(2, *weights), bias)[: 1 if opset == 9 else 2]
    built = build(model, "Conv", x, *constants, opset=opset, **attributes)
    assert_agree(exact(built, x), peer(built, x))


TRANSPOSED: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "1-d": ((2, 3, 9), (3, 4, 3), {"strides": [2]}),
    "2-d": ((2, 3, 5, 4), (3, 4, 3, 3), {}),
    "3-d": ((1, 2, 3, 4, 3), (2, 3, 2, 3, 2), {"strides": [2, 1, 3], "pads": [0, 1, 0, 1, 1, 0]}),
    "doubling": ((1, 6, 7, 7), (6, 3, 2, 2), {"strides": [2, 2]}),
    "overlapping": ((1, 6, 7, 7), (6, 3, 4, 4), {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
    "gaps": ((1, 2, 4, 4), (2, 3, 2, 1), {"strides": [3, 4]}),
    "groups": ((2, 6, 5, 5), (6, 2, 3, 3), {"group": 3, "strides": [2, 2]}),
    "dilated": ((1, 3, 6, 6), (3, 2, 3, 3), {"dilations": [2, 3], "strides": [3, 2]}),
    "padded": ((1, 3, 6, 6), (3, 2, 3, 3), {"output_padding": [1, 0], "strides": [2, 3]}),
    "shape": ((1, 3, 6, 6), (3, 2, 3, 3), {"output_shape": [12, 16], "strides": [2, 3]}),
    "same": ((1, 3, 6, 5), (3, 2, 3, 4), {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    "same-lower": ((1, 3, 6, 5), (3, 2, 3, 4), {"auto_pad": "SAME_LOWER", "strides": [2, 3]}),
    "many-channels": ((1, 100, 3, 3), (100, 9, 3, 3), {"strides": [2, 2]}),
}


@pytest.mark.parametrize("opset", [9, 11, 22])
@pytest.mark.parametrize("name", TRANSPOSED)
def test_transposed_convolutions_agree(name: str, opset: int, model: Build, exact: Exact) -> None:
    shape, weights, attributes = TRANSPOSED[name]
    x = spread(1, *shape)
    bias = spread(3, weights[1] * attributes.get("group", 1))
    built = build(model, "ConvTranspose", x, spread(2, *weights), bias, opset=opset, **attributes)
    assert_agree(exact(built, x), peer(built, x))


@pytest.mark.parametrize("operator", ["Conv", "ConvTranspose"])
@pytest.mark.parametrize(("dtype", "inner"), [("float16", "float32"), ("float64", "float64")])
def test_other_floats_are_the_chain_in_float32_or_float64(
    operator: str, dtype: str, inner: str, model: Build, exact: Exact
) -> None:
    arrays = [spread(i, *shape) for i, shape in enumerate([(1, 4, 6, 6), (4, 4, 3, 3), (4,)])]
    rounded = [each.astype(dtype) for each in arrays]
    built = build(model, operator, *(each.astype(inner) for each in rounded))
    expected = exact(built, rounded[0].astype(inner))["y"].astype(dtype)
    nodes = [
        helper.make_node("Cast", ["x"], ["h"], to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype))),
        helper.make_node(operator, ["h", "w", "b"], ["c"]),
        helper.make_node("Cast", ["c"], ["y"], to=11),
    ]
    weights = dict(zip("wb", rounded[1:], strict=True))
    whole = model(nodes, {"y": "float64"}, shape=(1, 4, 6, 6), dtype=inner, constants=weights)
    found = exact(whole, arrays[0].astype(inner))["y"]
    assert found.tobytes() == expected.astype(np.float64).tobytes()
    theirs = peer(build(model, operator, *arrays), arrays[0])["y"]
    np.testing.assert_allclose(found, theirs, atol=0.03 if dtype == "float16" else 1e-5)


@pytest.mark.parametrize("operator", ["Conv", "ConvTranspose"])
def test_weights_may_depend_on_the_input(operator: str, model: Build, exact: Exact) -> None:
    x = spread(1, 3, 3, 5, 5)
    nodes = [
        helper.make_node("Mul", ["x", "two"], ["w"]),
        helper.make_node(operator, ["x", "w"], ["y"], pads=[2, 2, 2, 2]),
    ]
    built = model(nodes, ["y"], shape=x.shape, constants={"two": np.full(1, 2, FLOAT)})
    assert_agree(exact(built, x), peer(built, x))


POOLS: list[tuple[str, tuple[int, ...], dict[str, Any], tuple[int, ...]]] = [
    ("MaxPool", (2, 3, 20), {"kernel_shape": [3], "strides": [2]}, (9, 11, 22)),
    ("MaxPool", (1, 2, 9, 8), {"kernel_shape": [3, 2], "pads": [1, 0, 1, 1]}, (9, 12, 22)),
    ("MaxPool", (1, 2, 5, 6, 7), {"kernel_shape": [2, 3, 2], "strides": [1, 2, 3]}, (9, 12)),
    ("MaxPool", (1, 2, 9, 9), {"kernel_shape": [2, 2], "dilations": [2, 3]}, (10, 12)),
    (
        "MaxPool",
        (1, 2, 7, 8),
        {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1},
        (10, 22),
    ),
    ("MaxPool", (1, 2, 9, 8), {"kernel_shape": [3, 2], "auto_pad": "SAME_LOWER"}, (9, 12)),
    ("AveragePool", (2, 3, 20), {"kernel_shape": [3], "strides": [2]}, (9, 11, 19, 22)),
    ("AveragePool", (1, 2, 9, 8), {"kernel_shape": [3, 2], "pads": [1, 0, 1, 1]}, (9, 11, 19)),
    (
        "AveragePool",
        (1, 2, 9, 8),
        {"kernel_shape": [3, 3], "pads": [1, 0, 1, 1], "count_include_pad": 1, "ceil_mode": 1},
        (10, 19),
    ),
    (
        "AveragePool",
        (1, 2, 6, 7),
        {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 1, 1, 1], "ceil_mode": 1},
        (10, 11, 19),
    ),
    ("AveragePool", (1, 1, 5, 6, 7), {"kernel_shape": [2, 2, 3], "dilations": [2, 1, 2]}, (19, 22)),
    ("AveragePool", (1, 2, 9, 8), {"kernel_shape": [4, 3], "auto_pad": "SAME_UPPER"}, (9, 19)),
    *(
        ("LpPool", (1, 2, 9, 8), {"kernel_shape": [3, 2], "pads": [1, 0, 1, 1], "p": p}, (11, 18))
        for p in (1, 2, 3)
    ),
    (
        "LpPool",
        (1, 2, 9, 8),
        {"kernel_shape": [3, 2], "dilations": [1, 2], "ceil_mode": 1},
        (18, 22),
    ),
    *(
        (name, shape, {}, opsets)
        for name, opsets in (
            ("GlobalAveragePool", (9, 22)),
            ("GlobalMaxPool", (9, 22)),
            ("GlobalLpPool", (9, 17)),
        )
        for shape in ((2, 3, 5, 7), (2, 3, 300), (1, 2, 3, 4, 5))
    ),
]


@pytest.mark.parametrize(
    ("operator", "shape", "attributes", "opset"),
    [
        pytest.param(name, shape, attributes, opset, id=f"{name}-{number}-{opset}")
        for number, (name, shape, attributes, opsets) in enumerate(POOLS)
        for opset in opsets
    ],
)
def test_pools_agree(
    operator: str,
    shape: tuple[int, ...],
    attributes: dict[str, Any],
    opset: int,
    model: Build,
    exact: Exact,
) -> None:
    x = spread(1, *shape)
    built = build(model, operator, x, opset=opset, **attributes)
    assert_agree(exact(built, x), peer(built, x))


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("shape", [(2, 2, 9), (2, 2, 6, 7), (1, 2, 4, 5, 6)])
def test_indices_of_maxima_agree(
    order: int, shape: tuple[int, ...], model: Build, exact: Exact
) -> None:
    count = len(shape) - 2
    x = np.random.default_rng(3).integers(0, 4, shape).astype(FLOAT)
    outputs = {"y": "float32", "i": "int64"}
    built = build(
        *(model, "MaxPool", x),
        outputs=outputs,
        kernel_shape=[3] * count,
        strides=[2] * count,
        pads=[1] * (2 * count),
        storage_order=order,
    )
    assert_agree(exact(built, x), peer(built, x))


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_maxima_of_small_integers_agree(dtype: str, model: Build, exact: Exact) -> None:
    x = np.random.default_rng(3).integers(0, 256, (2, 3, 6, 7)).astype(dtype)
    built = build(model, "MaxPool", x, kernel_shape=[2, 3], pads=[1, 1, 0, 2], opset=12)
    assert_agree(exact(built, x), peer(built, x))


def test_windows_that_meet_nothing(model: Build, exact: Exact) -> None:
    x = np.ones((1, 1, 1), FLOAT)
    window = {"kernel_shape": [2], "dilations": [4], "pads": [3, 3], "opset": 19}
    averages = exact(build(model, "AveragePool", x, **window), x)["y"]
    assert averages.shape == (1, 1, 3)
    assert np.isnan(averages).all()
    outputs = {"y": "float32", "i": "int64"}
    found = exact(build(model, "MaxPool", x, **window, outputs=outputs), x)
    assert found["y"].tolist() == [[[-np.inf] * 3]]
    assert found["i"].tolist() == [[[-1] * 3]]


HOSTILE: dict[str, tuple[str, tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "strides-zero": ("Conv", (1, 1, 4), (1, 1, 2), {"strides": [0]}),
    "strides-negative": ("Conv", (1, 1, 4), (1, 1, 2), {"strides": [-1]}),
    "strides-huge": ("Conv", (1, 1, 4), (1, 1, 2), {"strides": [2**62]}),
    "strides-too-many": ("Conv", (1, 1, 4), (1, 1, 2), {"strides": [1, 1]}),
    "dilations-zero": ("Conv", (1, 1, 4), (1, 1, 2), {"dilations": [0]}),
    "dilations-huge": ("Conv", (1, 1, 4), (1, 1, 2), {"dilations": [2**63 - 1]}),
    "pads-negative": ("Conv", (1, 1, 4), (1, 1, 2), {"pads": [-1, 0]}),
    "pads-huge": ("Conv", (1, 1, 4), (1, 1, 2), {"pads": [2**40, 0]}),
    "pads-too-few": ("Conv", (1, 1, 4), (1, 1, 2), {"pads": [1]}),
    "auto-pad": ("Conv", (1, 1, 4), (1, 1, 2), {"auto_pad": "SAME"}),
    "kernel-shape": ("Conv", (1, 1, 4), (1, 1, 2), {"kernel_shape": [3]}),
    "kernel-too-large": ("Conv", (1, 1, 4), (1, 1, 5), {}),
    "kernel-empty": ("Conv", (1, 1, 4), (1, 1, 0), {}),
    "no-channels": ("Conv", (1, 0, 4), (1, 0, 2), {}),
    "no-outputs": ("Conv", (1, 1, 4), (0, 1, 2), {}),
    "group-zero": ("Conv", (1, 1, 4), (1, 1, 2), {"group": 0}),
    "group-negative": ("Conv", (1, 1, 4), (1, 1, 2), {"group": -1}),
    "group-odd": ("Conv", (1, 4, 4), (3, 2, 2), {"group": 2}),
    "channels": ("Conv", (1, 3, 4), (1, 2, 2), {}),
    "rank": ("Conv", (1, 3), (1, 3), {}),
    "rank-too-high": ("Conv", (1, 1, 2, 2, 2, 2), (1, 1, 1, 1, 1, 1), {}),
    "rank-of-weights": ("Conv", (1, 1, 4, 4), (1, 1, 2), {}),
    "transposed-channels": ("ConvTranspose", (1, 3, 4), (2, 3, 2), {}),
    "transposed-groups": ("ConvTranspose", (1, 3, 4), (3, 3, 2), {"group": 2}),
    "transposed-pads": ("ConvTranspose", (1, 1, 2), (1, 1, 2), {"pads": [3, 3]}),
    "output-padding": ("ConvTranspose", (1, 1, 2), (1, 1, 2), {"output_padding": [-1]}),
    "output-shape": ("ConvTranspose", (1, 1, 2), (1, 1, 2), {"output_shape": [1, 1, 4]}),
    "output-shape-huge": ("ConvTranspose", (1, 1, 2), (1, 1, 2), {"output_shape": [2**31 - 1]}),
    "output-huge": ("ConvTranspose", (1, 1, 9), (1, 1, 2), {"strides": [2**31 - 1]}),
    "pool-without-kernel": ("MaxPool", (1, 1, 4), (), {}),
    "pool-kernel-zero": ("MaxPool", (1, 1, 4), (), {"kernel_shape": [0]}),
    "pool-kernel-huge": ("MaxPool", (1, 1, 4), (), {"kernel_shape": [2**33]}),
    "pool-kernel-too-large": ("AveragePool", (1, 1, 4), (), {"kernel_shape": [5]}),
    "pool-work": (
        "AveragePool",
        (1, 1, 4),
        (),
        {"kernel_shape": [2**31 - 1], "pads": [2**30, 2**30]},
    ),
    "pool-p": ("LpPool", (1, 1, 4), (), {"kernel_shape": [2], "p": 0}),
    "global-p": ("GlobalLpPool", (1, 1, 4), (), {"p": -1}),
    "global-of-nothing": ("GlobalMaxPool", (1, 1, 0), (), {}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_attributes_and_shapes_are_refused(name: str, model: Build, manifest: Any) -> None:
    operator, shape, weights, attributes = HOSTILE[name]
    x = np.zeros(shape, FLOAT)
    constants = [np.zeros(weights, FLOAT)] if weights else []
    built = build(model, operator, x, *constants, **attributes)
    terms = manifest("value", shape=shape[1:] if 0 not in shape else (4,), batch=1)
    with pytest.raises(ModelRejected):
        admit(built.SerializeToString(), terms)


def test_a_bias_of_another_length_is_refused(model: Build, manifest: Any) -> None:
    x = np.zeros((1, 1, 4), FLOAT)
    for operator in ("Conv", "ConvTranspose"):
        built = build(model, operator, x, np.zeros((1, 1, 2), FLOAT), np.zeros(2, FLOAT))
        with pytest.raises(ModelRejected, match="a bias that is not one for each channel"):
            admit(built.SerializeToString(), manifest("value", shape=(1, 4), batch=1))


@pytest.mark.parametrize(
    ("operator", "weights", "attributes", "expected"),
    [
        ("Conv", (6, 2, 3, 3), {"group": 2}, 6 * 4 * 5 * (2 * 9)),
        ("ConvTranspose", (4, 3, 3, 3), {"group": 2, "strides": [2, 4]}, 120 * 3 * 9 + 6 * 2**14),
        ("MaxPool", (), {"kernel_shape": [3, 3]}, 4 * 4 * 5 * 9),
        ("AveragePool", (), {"kernel_shape": [3, 3]}, 4 * 4 * 5 * 9),
        ("GlobalAveragePool", (), {}, 0),
    ],
)
def test_work_follows_from_the_shapes(
    operator: str,
    weights: tuple[int, ...],
    attributes: dict[str, Any],
    expected: int,
    model: Build,
    manifest: Any,
) -> None:
    x = np.zeros((1, 4, 6, 7) if operator != "ConvTranspose" else (1, 4, 5, 6), FLOAT)
    constants = [np.zeros(weights, FLOAT)] if weights else []
    built = build(model, operator, x, *constants, **attributes)
    nodes = [*built.graph.node, helper.make_node("ReduceSum", ["y"], ["s"], keepdims=0)]
    nodes[-1].input.append("axes")
    whole = model(
        nodes,
        ["s"],
        shape=x.shape,
        constants={"axes": np.array([1, 2, 3]), **({"c0": constants[0]} if constants else {})},
    )
    terms = manifest("value", shape=x.shape[1:], batch=1, limits=Limits())
    assert admit(whole.SerializeToString(), terms).cost.multiply_accumulates == expected


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=3).flatmap(
        lambda kernel: st.tuples(
            st.just(kernel),
            *(
                st.lists(st.integers(low, high), min_size=len(kernel), max_size=len(kernel))
                for low, high in ((5, 9), (1, 4), (1, 2), (0, 1), (0, 1))
            ),
        )
    ),
    st.sampled_from(["MaxPool", "AveragePool"]),
    st.booleans(),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_any_pool_agrees(
    case: tuple[list[int], ...], operator: str, ceiling: bool, padded: bool
) -> None:
    kernel, sizes, strides, dilations, before, after = case
    sides = zip(kernel, dilations, sizes, before, strict=True)
    assume(all((k - 1) * d < size + pad for k, d, size, pad in sides))
    pads = [min(pad, k - 1) for pad, k in zip(before + after, kernel * 2, strict=True)]
    attributes: dict[str, Any] = {"ceil_mode": int(ceiling), "dilations": dilations}
    if operator == "AveragePool":
        attributes["count_include_pad"] = int(padded)
    x = spread(sum(kernel), 1, 2, *sizes)
    built = build(
        *(make_model, operator, x),
        opset=19,
        kernel_shape=kernel,
        strides=strides,
        pads=pads,
        **attributes,
    )
    assert_agree(run_exact(built, x), peer(built, x))
