"""QuantizeLinear and DequantizeLinear as one step: the bits of the two, wherever they are done."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest

from danku.evaluation import round_trips
from tests.evaluation.conftest import make_model
from tests.evaluation.quantizing import NETWORKS, quantized, rows
from tests.evaluation.test_program import executed, node, one_by_one, plan_of

FLOAT = np.float32
EDGES = [np.nan, np.inf, -np.inf, -0.0, 0.2, -0.2, 0.5, 1.5, -0.5, -2.5, 1e-40, 3e38, 254.5, 127.5]
KINDS = ["uint8", "int8", "uint16", "int16"]
SCALES = [1.0, 0.3, -0.7, 0.0, np.inf, np.nan, 1e-44]


def numbers(*shape: int) -> np.ndarray:
    values = np.random.default_rng(4).normal(size=shape).astype(FLOAT) * FLOAT(70)
    flat = values.reshape(-1)
    places = np.arange(len(EDGES)) * (flat.size // len(EDGES))
    flat[places] = EDGES
    return values


def check(model: onnx.ModelProto, x: np.ndarray) -> list[str]:
    """What is executed, if it gives the bits that the nodes one by one give."""
    plan = plan_of(model, x)
    with np.errstate(all="ignore"):
        assert plan.run(x).tobytes() == one_by_one(plan, x).tobytes()
    return executed(plan)


def pair(kind: str, scale: float, back: float, zero: int) -> dict[str, Any]:
    return {"s": FLOAT(scale), "t": FLOAT(back), "z": np.asarray(zero, kind)}


PAIR = [
    node("QuantizeLinear", "p s z", "q"),
    node("DequantizeLinear", "q t z", "y"),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", SCALES)
def test_one_step_has_the_bits_of_two(kind: str, scale: float) -> None:
    limits = np.iinfo(kind)
    x = numbers(3, 50, 60)
    for zero in (limits.min, 0, 7, limits.max):
        for back in (scale, -0.25):
            constants = pair(kind, scale, back, zero)
            relu = node("Relu", "x", "p")
            built = make_model([relu, *PAIR], ["y"], shape=x.shape, constants=constants, opset=21)
            assert check(built, x) == ["Relu", round_trips.NAME]
            built = make_model(
                [node("Neg", "x", "p"), *PAIR],
                ["y"],
                shape=x.shape,
                constants=constants,
                opset=21,
            )
            assert check(built, x) == ["Neg", round_trips.NAME]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", SCALES)
def test_it_follows_a_product_with_the_same_bits(kind: str, scale: float) -> None:
    limits = np.iinfo(kind)
    matrix = np.eye(20, dtype=FLOAT)
    kernel = np.eye(20, dtype=FLOAT).reshape(20, 20, 1, 1)
    for zero in (limits.min, 0, 7, limits.max):
        constants = {**pair(kind, scale, scale, zero), "m": matrix, "k": kernel}
        x = numbers(40, 20)
        built = make_model(
            [node("MatMul", "x m", "p"), *PAIR], ["y"], shape=x.shape, constants=constants, opset=21
        )
        assert check(built, x) == ["MatMul"]
        x = numbers(2, 20, 5, 7)
        built = make_model(
            [node("Conv", "x k", "p"), *PAIR], ["y"], shape=x.shape, constants=constants, opset=21
        )
        assert check(built, x) == ["Conv"]


def test_what_is_more_than_a_pair_stays_apart() -> None:
    x = numbers(4, 6)
    constants = pair("uint8", 0.5, 0.5, 3)
    constants |= {"o": np.uint8(4), "a": np.full(6, 0.5, FLOAT), "b": np.full(6, 3, np.uint8)}
    constants |= {"h": np.float16(0.5), "n": np.asarray(1, ml_dtypes.int4), "d": FLOAT(2)}
    first, second = node("Neg", "x", "p"), node("Cast", "r", "y", to=1)
    for steps in (
        [PAIR[0], node("DequantizeLinear", "q t o", "r")],
        [node("QuantizeLinear", "p a b", "q"), node("DequantizeLinear", "q a b", "r")],
        [PAIR[0], node("DequantizeLinear", "q h z", "r")],
        [node("QuantizeLinear", "p s n", "q"), node("DequantizeLinear", "q s n", "r")],
        [
            PAIR[0],
            node("DequantizeLinear", "q t z", "u"),
            node("DequantizeLinear", "q s z", "v"),
            node("Add", "u v", "r"),
        ],
    ):
        built = make_model(
            [first, *steps, second], ["y"], shape=x.shape, constants=constants, opset=21
        )
        assert round_trips.NAME not in check(built, x)


def test_integers_that_are_read_stay() -> None:
    x = numbers(4, 6)
    model = make_model(
        [node("Neg", "x", "p"), *PAIR],
        {"q": "uint8", "y": "float32"},
        shape=x.shape,
        constants=pair("uint8", 0.5, 0.5, 3),
        opset=21,
    )
    assert executed(plan_of(model, x, "q")) == ["Neg", "QuantizeLinear"]
    assert executed(plan_of(model, x, "y")) == ["Neg", round_trips.NAME]


@pytest.mark.parametrize(("network", "channels"), list(product(NETWORKS, [False, True])))
def test_models_keep_their_bits(network: str, channels: bool, tmp_path: Path) -> None:
    model = quantized(network, "QDQ", "QUInt8", "QInt8", tmp_path, per_channel=channels)
    x = rows(NETWORKS[network][1], 3)
    x.reshape(-1)[::97] = np.resize(EDGES, x.reshape(-1)[::97].shape)
    built = onnx.load_from_string(model)
    plan = plan_of(built, x, built.graph.output[0].name)
    assert plan.run(x).tobytes() == one_by_one(plan, x).tobytes()
    assert "QuantizeLinear" not in executed(plan)
