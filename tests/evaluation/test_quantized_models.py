"""What onnxruntime's quantizer writes: admitted, computed, and what onnxruntime computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from danku.evaluation.kernels.threads import threads
from danku.evaluation.session import Session
from tests.evaluation.quantizing import NETWORKS, quantized, rows

# NOTE: weights of 7 bits where uint8 meets int8, since there onnxruntime's sums saturate on some
# processors.
STATIC = [
    ("QUInt8", "QUInt8", {}),
    ("QUInt8", "QInt8", {"per_channel": True, "reduce_range": True}),
    ("QInt8", "QInt8", {"per_channel": True}),
]


def exact(model: bytes, x: np.ndarray) -> np.ndarray:
    [found] = Session(model, {"x": x.shape}).run({"x": x}).values()
    return found


def literal(model: bytes, x: np.ndarray) -> np.ndarray:
    """By onnxruntime, node by node as the model says."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    [found] = session.run(None, {"x": x})
    return np.asarray(found)


def last_step(model: bytes) -> float:
    """How far apart two neighbouring outputs are."""
    graph = onnx.load_from_string(model).graph
    scales = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
    [last] = [node for node in graph.node if graph.output[0].name in node.output]
    return float(scales[last.input[1]]) if last.op_type == "DequantizeLinear" else 0.0


@pytest.mark.parametrize(("activations", "weights", "options"), STATIC)
@pytest.mark.parametrize("how", ["QOperator", "QDQ"])
@pytest.mark.parametrize("network", NETWORKS)
def test_static_models_agree_with_onnxruntime(
    network: str, how: str, activations: str, weights: str, options: dict[str, bool], tmp_path: Path
) -> None:
    model = quantized(network, how, activations, weights, tmp_path, **options)
    x = rows(NETWORKS[network][1], 9)
    found, expected = exact(model, x), literal(model, x)
    # NOTE: a tie that falls the other way in one layer moves what follows by about a step.
    step = last_step(model) or np.abs(expected).max() / 255
    assert np.abs(found - expected).max() <= 2.01 * step
    assert (np.abs(found - expected) < step / 2).mean() > 0.9


@pytest.mark.parametrize("weights", ["QUInt8", "QInt8"])
@pytest.mark.parametrize("network", NETWORKS)
def test_dynamic_models_agree_with_onnxruntime(network: str, weights: str, tmp_path: Path) -> None:
    reduced = weights == "QInt8"
    model = quantized(network, "dynamic", "", weights, tmp_path, reduce_range=reduced)
    x = rows(NETWORKS[network][1], 9)
    found, expected = exact(model, x), literal(model, x)
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("own", ["", "com.microsoft"])
def test_wider_activations_agree_with_onnxruntime(own: str, tmp_path: Path) -> None:
    """Of 16 bits, with the operators of com.microsoft and without."""
    contributed = {"UseQDQContribOps": own == "com.microsoft"}
    model = quantized(
        "convolutional", "QDQ", "QUInt16", "QInt8", tmp_path, extra_options=contributed
    )
    nodes = onnx.load_from_string(model).graph.node
    assert {node.domain for node in nodes if node.op_type == "QuantizeLinear"} == {own}
    x = rows((3, 32, 32), 9)
    found, expected = exact(model, x), literal(model, x)
    assert np.abs(found - expected).max() <= 1e-3 * np.abs(expected).max()


@pytest.mark.parametrize("how", ["QOperator", "QDQ"])
@pytest.mark.parametrize("network", NETWORKS)
def test_neither_threads_nor_batches_change_anything(
    network: str, how: str, tmp_path: Path
) -> None:
    model = quantized(network, how, "QUInt8", "QInt8", tmp_path, per_channel=True)
    x = rows(NETWORKS[network][1], 9)
    expected = exact(model, x)
    with threads(2):
        assert exact(model, x).tobytes() == expected.tobytes()
    alone = np.concatenate([exact(model, each[np.newaxis]) for each in x])
    assert alone.tobytes() == expected.tobytes()
