"""Small classifiers for the demonstration, trained in numpy and written as ONNX.

Every model takes raw ``features`` [batch, columns] float32, standardises them inside its graph
and gives ``label`` [batch] int64. The same arguments train the same model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import NodeProto

    Features = NDArray[np.floating[Any]]
    Target = NDArray[np.integer[Any]]
    Weights = NDArray[np.float64]

OPSET = 17
IR_VERSION = 8
LEARNING_RATE = 0.3
MOMENTUM = 0.9
WEIGHT_DECAY = 0.003


def train_logistic(
    features: Features,
    target: Target,
    *,
    columns: Sequence[int] | None,
    steps: int,
    seed: int,
) -> bytes:
    """Train a multinomial logistic regression by full-batch gradient descent.

    Args:
        features: [rows, columns], raw.
        target: [rows], classes 0, 1, ...
        columns: the feature columns that the model looks at; all of them if ``None``.
        steps: gradient steps.
        seed: of the starting weights.

    Returns:
        The model's ONNX bytes.
    """
    import numpy as np
    from onnx import helper

    chosen = np.arange(features.shape[1]) if columns is None else np.asarray(columns)
    mean, scale = _mean_and_scale(features[:, chosen])
    inputs = (features[:, chosen].astype(np.float64) - mean) / scale
    one_hot = _one_hot(target)
    generator = np.random.default_rng(seed)
    weights = [
        generator.normal(0, 0.1, (inputs.shape[1], one_hot.shape[1])),
        np.zeros(one_hot.shape[1]),
    ]
    descent = _Descent(weights)
    for _ in range(steps):
        error = _softmax(inputs @ weights[0] + weights[1]) - one_hot
        descent.step([inputs.T @ error / len(inputs), error.mean(axis=0)])

    nodes = [
        helper.make_node("Gather", ["features", "columns"], ["chosen"], axis=1),
        helper.make_node("Sub", ["chosen", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "scale"], ["standard"]),
        helper.make_node("Gemm", ["standard", "weights", "bias"], ["scores"]),
        helper.make_node("ArgMax", ["scores"], ["label"], axis=1, keepdims=0),
    ]
    constants = {
        "columns": chosen.astype(np.int64),
        "mean": mean,
        "scale": scale,
        "weights": weights[0],
        "bias": weights[1],
    }
    return _onnx_bytes("logistic", nodes, constants, width=features.shape[1])


def train_network(
    features: Features, target: Target, *, hidden: int, steps: int, seed: int
) -> bytes:
    """Train a network with one hidden layer of rectified units by full-batch gradient descent.

    Args:
        features: [rows, columns], raw.
        target: [rows], classes 0, 1, ...
        hidden: units of the hidden layer.
        steps: gradient steps.
        seed: of the starting weights.

    Returns:
        The model's ONNX bytes.
    """
    import numpy as np
    from onnx import helper

    mean, scale = _mean_and_scale(features)
    inputs = (features.astype(np.float64) - mean) / scale
    one_hot = _one_hot(target)
    width, classes = inputs.shape[1], one_hot.shape[1]
    generator = np.random.default_rng(seed)
    weights = [
        generator.normal(0, np.sqrt(2 / width), (width, hidden)),
        np.zeros(hidden),
        generator.normal(0, np.sqrt(1 / hidden), (hidden, classes)),
        np.zeros(classes),
    ]
    descent = _Descent(weights)
    for _ in range(steps):
        active = np.maximum(inputs @ weights[0] + weights[1], 0)
        error = (_softmax(active @ weights[2] + weights[3]) - one_hot) / len(inputs)
        hidden_error = (error @ weights[2].T) * (active > 0)
        descent.step(
            [inputs.T @ hidden_error, hidden_error.sum(axis=0), active.T @ error, error.sum(axis=0)]
        )

    nodes = [
        helper.make_node("Sub", ["features", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "scale"], ["standard"]),
        helper.make_node("Gemm", ["standard", "weights_1", "bias_1"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["active"]),
        helper.make_node("Gemm", ["active", "weights_2", "bias_2"], ["scores"]),
        helper.make_node("ArgMax", ["scores"], ["label"], axis=1, keepdims=0),
    ]
    names = ["weights_1", "bias_1", "weights_2", "bias_2"]
    constants = {"mean": mean, "scale": scale, **dict(zip(names, weights, strict=True))}
    return _onnx_bytes("network", nodes, constants, width=width)


def broken_model(width: int = 30) -> bytes:
    """A well-formed model that tosses a coin: its random operator is in no exact profile."""
    import numpy as np
    from onnx import helper

    nodes = [
        helper.make_node("Gather", ["features", "columns"], ["chosen"], axis=1),
        helper.make_node("RandomUniformLike", ["chosen"], ["scores"]),
        helper.make_node("ArgMax", ["scores"], ["label"], axis=1, keepdims=0),
    ]
    columns = np.arange(2, dtype=np.int64)
    return _onnx_bytes("coin", nodes, {"columns": columns}, width=width)


class _Descent:
    """Gradient descent with momentum and weight decay, changing the weights in place."""

    def __init__(self, weights: list[Weights]) -> None:
        self._weights = weights
        self._velocities = [weight * 0 for weight in weights]

    def step(self, gradients: list[Weights]) -> None:
        for weight, velocity, gradient in zip(
            self._weights, self._velocities, gradients, strict=True
        ):
            # NOTE: biases are not decayed: they carry how frequent a class is.
            decay = WEIGHT_DECAY * weight if weight.ndim == 2 else 0.0
            velocity *= MOMENTUM
            velocity -= LEARNING_RATE * (gradient + decay)
            weight += velocity


def _mean_and_scale(features: Features) -> tuple[Weights, Weights]:
    """Mean and standard deviation of each column; 1 where a column is constant."""
    import numpy as np

    mean = features.mean(axis=0, dtype=np.float64)
    deviation = features.std(axis=0, dtype=np.float64)
    return mean, np.where(deviation == 0, 1.0, deviation)


def _one_hot(target: Target) -> Weights:
    import numpy as np

    return np.eye(max(2, int(target.max()) + 1))[target]


def _softmax(scores: Weights) -> Weights:
    import numpy as np

    powers: Weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    total: Weights = powers.sum(axis=1, keepdims=True)
    return powers / total


def _onnx_bytes(
    name: str,
    nodes: list[NodeProto],
    constants: dict[str, NDArray[Any]],
    *,
    width: int,
) -> bytes:
    """The checked model; its real constants are rounded to float32."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    initializers = [
        numpy_helper.from_array(
            value.astype(np.float32) if value.dtype.kind == "f" else value, constant
        )
        for constant, value in constants.items()
    ]
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", width])
    label = helper.make_tensor_value_info("label", TensorProto.INT64, ["batch"])
    graph = helper.make_graph(nodes, name, [features], [label], initializers)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    onnx.checker.check_model(model, full_check=True)
    serialized: bytes = model.SerializeToString()
    return serialized
