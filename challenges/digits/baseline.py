"""Baseline for digits: a network with one hidden layer, trained by gradient descent.

    python baseline.py DATA.npz OUT.onnx

DATA.npz is the pulled train data: ``features`` float32 [rows, 64], ``target`` [rows] with the
digit 0 to 9. Needs numpy and onnx, which come with danku.
"""

from __future__ import annotations

import sys

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save

DIGITS = 10
HIDDEN = 64
STEPS = 300
LEARNING_RATE = 0.1
MOMENTUM = 0.9
WEIGHT_DECAY = 0.001
SEED = 0


def softmax(scores):
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def train(features, target):
    """Return (mean, scale, [weights 1, bias 1, weights 2, bias 2]) of a fitted network."""
    features = features.astype(np.float64)
    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale[scale == 0] = 1  # pixels in the corners are always white
    inputs = (features - mean) / scale
    wanted = np.eye(DIGITS)[target]

    generator = np.random.default_rng(SEED)
    width = inputs.shape[1]
    parameters = [
        generator.normal(0, np.sqrt(2 / width), (width, HIDDEN)),
        np.zeros(HIDDEN),
        generator.normal(0, np.sqrt(1 / HIDDEN), (HIDDEN, DIGITS)),
        np.zeros(DIGITS),
    ]
    velocities = [np.zeros_like(parameter) for parameter in parameters]
    for _ in range(STEPS):
        weights_1, bias_1, weights_2, bias_2 = parameters
        hidden = np.maximum(inputs @ weights_1 + bias_1, 0)
        error = (softmax(hidden @ weights_2 + bias_2) - wanted) / len(inputs)
        hidden_error = (error @ weights_2.T) * (hidden > 0)
        gradients = [
            inputs.T @ hidden_error + WEIGHT_DECAY * weights_1,
            hidden_error.sum(axis=0),
            hidden.T @ error + WEIGHT_DECAY * weights_2,
            error.sum(axis=0),
        ]
        for parameter, velocity, gradient in zip(parameters, velocities, gradients, strict=True):
            velocity *= MOMENTUM
            velocity -= LEARNING_RATE * gradient
            parameter += velocity
    return mean, scale, parameters


def export(mean, scale, parameters):
    """Return the network as ONNX: raw pixels in, the digit out."""
    names = ["weights_1", "bias_1", "weights_2", "bias_2"]
    constants = {"mean": mean, "scale": scale, **dict(zip(names, parameters, strict=True))}
    graph = helper.make_graph(
        [
            helper.make_node("Sub", ["features", "mean"], ["centred"]),
            helper.make_node("Div", ["centred", "scale"], ["standard"]),
            helper.make_node("Gemm", ["standard", "weights_1", "bias_1"], ["hidden"]),
            helper.make_node("Relu", ["hidden"], ["active"]),
            helper.make_node("Gemm", ["active", "weights_2", "bias_2"], ["scores"]),
            helper.make_node("ArgMax", ["scores"], ["label"], axis=1, keepdims=0),
        ],
        "network",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", len(mean)])],
        [helper.make_tensor_value_info("label", TensorProto.INT64, ["batch"])],
        [
            numpy_helper.from_array(value.astype(np.float32), name)
            for name, value in constants.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model, full_check=True)
    return model


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: python baseline.py DATA.npz OUT.onnx")
    with np.load(sys.argv[1]) as data:
        model = export(*train(data["features"], data["target"]))
    save(model, sys.argv[2])


if __name__ == "__main__":
    main()
