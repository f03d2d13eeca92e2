"""What tabular exporters emit: trees, vector machines, linear models, texts; quantized layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.evaluation.golden.building import Cases, Net, register
from tests.evaluation.golden.numbers import integers, spread, uniform

CASES: Cases = {}
ML = "ai.onnx.ml"
FEATURES = 5


def _trees(key: str, count: int, depth: int, weights: str, outputs: int) -> dict[str, Any]:
    """Full binary trees, numbered from the root; children of node n are 2 n + 1 and 2 n + 2."""
    inner = 2**depth - 1
    nodes, total = 2 ** (depth + 1) - 1, count * (2 ** (depth + 1) - 1)
    place = np.tile(np.arange(nodes), count)
    leaf = place >= inner
    thresholds = np.where(leaf, 0, uniform(f"{key}/thresholds", (total,), exponent=2))
    modes = np.array(["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GT"], object)
    chosen = np.where(leaf, "LEAF", modes[integers(f"{key}/modes", (total,), 0, 3)])
    leaves = np.flatnonzero(leaf)
    tree = np.repeat(np.arange(count), nodes)
    return {
        "nodes_treeids": tree.tolist(),
        "nodes_nodeids": place.tolist(),
        "nodes_featureids": np.where(
            leaf, 0, integers(f"{key}/features", (total,), 0, FEATURES)
        ).tolist(),
        "nodes_values": thresholds.tolist(),
        "nodes_modes": [str(mode) for mode in chosen],
        "nodes_truenodeids": np.where(leaf, 0, 2 * place + 1).tolist(),
        "nodes_falsenodeids": np.where(leaf, 0, 2 * place + 2).tolist(),
        "nodes_missing_value_tracks_true": (place % 2).tolist(),
        f"{weights}_treeids": tree[leaves].tolist(),
        f"{weights}_nodeids": place[leaves].tolist(),
        f"{weights}_ids": (leaves % outputs).tolist(),
        f"{weights}_weights": spread(f"{key}/weights", (len(leaves),)).tolist(),
    }


def _rows(key: str, count: int = 24) -> Any:
    rows = spread(key, (count, FEATURES), width=3)
    rows[3, 1] = np.nan
    rows[5, 2] = np.inf
    return rows


@register(CASES, by_rows=True)
def tree_ensembles(net: Net) -> None:
    x = net.input(_rows("trees"))
    wide = net("Cast", x, to=11)
    for transform in ("NONE", "SOFTMAX", "LOGISTIC"):
        named: dict[str, Any] = {
            "classlabels_strings": ["a", "b", "c"],
            "post_transform": transform,
        }
        forest = _trees(f"forest/{transform}", 30, 4, "class", 3)
        net.output(*net.several(2, "TreeEnsembleClassifier", x, domain=ML, **forest, **named))
    two = _trees("forest/two", 40, 3, "class", 1)
    more = {"classlabels_int64s": [0, 1], "base_values": [0.1], "post_transform": "LOGISTIC"}
    net.output(*net.several(2, "TreeEnsembleClassifier", x, domain=ML, **two, **more))
    for aggregate in ("SUM", "AVERAGE", "MIN", "MAX"):
        named: dict[str, Any] = {
            "aggregate_function": aggregate,
            "n_targets": 2,
            "base_values": [0.5, -0.25],
        }
        forest = _trees(f"forest/{aggregate}", 20, 4, "target", 2)
        for rows in (x, wide):
            net.output(net("TreeEnsembleRegressor", rows, domain=ML, **forest, **named))


@register(CASES, by_rows=True)
def vector_machines(net: Net) -> None:
    x = net.input(spread("machines", (12, FEATURES), width=1))
    vectors = uniform("machines/vectors", (9, FEATURES)).reshape(-1).tolist()
    for kernel in ("LINEAR", "POLY", "RBF", "SIGMOID"):
        machine = {
            "kernel_type": kernel,
            "kernel_params": [0.25, 0.5, 3.0],
            "support_vectors": vectors,
        }
        weights = uniform(f"machines/{kernel}", (18,)).tolist()
        regressor = {"coefficients": weights[:9], "rho": [0.3], "n_supports": 9}
        net.output(net("SVMRegressor", x, domain=ML, **machine, **regressor))
        classifier = {
            "coefficients": weights,
            "rho": [0.1, -0.2, 0.3],
            "vectors_per_class": [2, 3, 4],
            "classlabels_ints": [0, 1, 2],
        }
        platt = {"prob_a": [-1.5, -0.5, -2.0], "prob_b": [0.1, 0.2, -0.3]}
        for more in ({}, platt):
            named = {**machine, **classifier, **more}
            net.output(*net.several(2, "SVMClassifier", x, domain=ML, **named))


def _linear(net: Net, x: str, transform: str, labels: Sequence[int]) -> None:
    key = f"linear/{transform}/{len(labels)}"
    named = {
        "coefficients": uniform(key, (len(labels) * FEATURES,)).tolist(),
        "intercepts": uniform(f"{key}/b", (len(labels),)).tolist(),
        "classlabels_ints": list(labels),
        "post_transform": transform,
    }
    net.output(*net.several(2, "LinearClassifier", x, domain=ML, **named))


@register(CASES, by_rows=True)
def linear_pipelines(net: Net) -> None:
    x = net.input(_rows("pipelines"))
    missing = {"imputed_value_floats": [0.5], "replaced_value_float": float("nan")}
    x = net("Imputer", x, domain=ML, **missing)
    x = net("Clip", x, net.constant(np.float32(-100)), net.constant(np.float32(100)))
    scaling = {
        "offset": uniform("scaler/offset", (FEATURES,)).tolist(),
        "scale": uniform("scaler/scale", (FEATURES,)).tolist(),
    }
    x = net("Scaler", x, domain=ML, **scaling)
    net.output(*(net("Normalizer", x, domain=ML, norm=norm) for norm in ("L1", "L2", "MAX")))
    net.output(net("Binarizer", x, domain=ML, threshold=0.1))
    for transform in ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO"):
        _linear(net, x, transform, (0, 1, 2))
    named = {"coefficients": uniform("linear", (2 * FEATURES,)).tolist(), "targets": 2}
    net.output(net("LinearRegressor", x, domain=ML, intercepts=[0.1, -0.7], **named))
    near = {"metric": "sqeuclidean"}
    net.output(net("CDist", x, net.weight(7, FEATURES), domain="com.microsoft", **near))


@register(CASES, by_rows=True)
def texts(net: Net) -> None:
    words = ["red", "Green", " blue", "", "ß", "1.5", "-2e-3", "nan", "Red", "inf", "7", "0"]
    x = net.input(np.array(words, object).reshape(6, 2))
    cats = ["red", "Green", "blue"]
    one_hot = net("OneHotEncoder", x, domain=ML, cats_strings=cats, zeros=1)
    labelled = {"keys_strings": cats, "values_floats": [0.1, 0.2, 0.3], "default_float": -1.0}
    encoded = net("LabelEncoder", x, domain=ML, **labelled)
    net.output(one_hot, encoded, net("Equal", x, net.constant(np.array(["red", "1.5"], object))))
    shown = [net("Cast", net("Div", encoded, net.constant(np.float32(7))), to=8)]
    shown.append(net("Cast", net("Cast", encoded, to=11), to=8))
    net.output(*shown, net("StringConcat", x, shown[0]))
    numbers = net.input(np.array(["1", "-2.5e3", "inf", "NaN", "0.1", "1e-50"], object))
    net.output(net("Cast", numbers, to=1), net("Cast", numbers, to=11))


@register(CASES, by_rows=True)
def quantized_layers(net: Net) -> None:
    """QDQ around a convolution and a product, and QLinearMatMul, as exporters write them."""
    x = net.input(uniform("quantized", (3, 2, 8, 9), exponent=1))
    byte, signed = np.uint8, np.int8
    step = net.constant(np.float32(0.0173))
    quantized = [step, net.constant(byte(117))]
    x = net("DequantizeLinear", net("QuantizeLinear", x, *quantized), *quantized)
    weights = net.constant(integers("quantized/weights", (6, 2, 3, 3), -128, 128, signed))
    steps = net.constant(np.abs(uniform("quantized/steps", (6,), exponent=-6)))
    zeros = net.constant(np.zeros(6, signed))
    filters = net("DequantizeLinear", weights, steps, zeros, axis=0)
    x = net("Relu", net("Conv", x, filters, net.weight(6)))
    after = [net.constant(np.float32(0.031)), net.constant(byte(0))]
    x = net("QuantizeLinear", x, *after)
    flat = net("Reshape", x, net.constant([0, 252]))
    matrix = net.constant(integers("quantized/matrix", (252, 10), -128, 128, signed))
    scale = [net.constant(np.float32(0.004)), net.constant(signed(0))]
    result = [net.constant(np.float32(0.21)), net.constant(byte(130))]
    net.output(x, net("MatMulInteger", flat, matrix, after[1], scale[1]))
    net.output(net("QLinearMatMul", flat, *after, matrix, *scale, *result))


@register(CASES, by_rows=False)
def quantized_at_run_time(net: Net) -> None:
    """The scale comes from the largest and smallest of all rows."""
    x = net.input(spread("dynamic", (5, 40), width=2))
    y, step, zero = net.several(3, "DynamicQuantizeLinear", x)
    matrix = net.constant(integers("dynamic/matrix", (40, 12), 0, 256, np.uint8))
    product = net("MatMulInteger", y, matrix, zero, net.constant(np.uint8(128)))
    scaled = net(
        "Mul", net("Cast", product, to=1), net("Mul", step, net.constant(np.float32(0.01)))
    )
    net.output(y, step, zero, scaled)
