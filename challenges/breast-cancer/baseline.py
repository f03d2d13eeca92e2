"""Baseline for breast-cancer: logistic regression by gradient descent.

    python baseline.py DATA.npz OUT.onnx

DATA.npz is the pulled train data: ``features`` float32 [rows, 30], ``target`` [rows] with
1 for malignant. Needs numpy and onnx, which come with danku.
"""

from __future__ import annotations

import sys

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save

STEPS = 500
LEARNING_RATE = 0.5
WEIGHT_DECAY = 0.01


def train(features, target):
    """Return (mean, scale, weights, bias) of a logistic regression on standardised features."""
    features = features.astype(np.float64)
    mean, scale = features.mean(axis=0), features.std(axis=0)
    inputs = (features - mean) / scale
    weights, bias = np.zeros(inputs.shape[1]), 0.0
    for _ in range(STEPS):
        probability = 1 / (1 + np.exp(-(inputs @ weights + bias)))
        error = probability - target
        weights -= LEARNING_RATE * (inputs.T @ error / len(error) + WEIGHT_DECAY * weights)
        bias -= LEARNING_RATE * error.mean()
    return mean, scale, weights, bias


def export(mean, scale, weights, bias):
    """Return the regression as ONNX: raw features in, label 0 (benign) or 1 (malignant) out."""
    constants = {
        "mean": mean,
        "scale": scale,
        # One score for benign and its negative for malignant: the larger one is the label.
        "weights": np.stack([-weights, weights], axis=1),
        "bias": np.array([-bias, bias]),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Sub", ["features", "mean"], ["centred"]),
            helper.make_node("Div", ["centred", "scale"], ["standard"]),
            helper.make_node("Gemm", ["standard", "weights", "bias"], ["scores"]),
            helper.make_node("ArgMax", ["scores"], ["label"], axis=1, keepdims=0),
        ],
        "logistic_regression",
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
