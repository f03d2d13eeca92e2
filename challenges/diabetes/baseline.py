"""Baseline for diabetes: ridge regression in closed form.

    python baseline.py DATA.npz OUT.onnx

DATA.npz is the pulled train data: ``features`` float32 [rows, 10], ``target`` [rows] with the
disease's progression. Needs numpy and onnx, which come with danku.
"""

from __future__ import annotations

import sys

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save

PENALTY = 10.0


def train(features, target):
    """Return (mean, scale, weights, bias) of a ridge regression on standardised features."""
    features = features.astype(np.float64)
    mean, scale = features.mean(axis=0), features.std(axis=0)
    inputs = (features - mean) / scale
    bias = target.mean()
    weights = np.linalg.solve(
        inputs.T @ inputs + PENALTY * np.eye(inputs.shape[1]), inputs.T @ (target - bias)
    )
    return mean, scale, weights, bias


def export(mean, scale, weights, bias):
    """Return the regression as ONNX: raw features in, the predicted progression out."""
    constants = {
        "mean": mean,
        "scale": scale,
        "weights": weights[:, np.newaxis],
        "bias": np.array([bias]),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Sub", ["features", "mean"], ["centred"]),
            helper.make_node("Div", ["centred", "scale"], ["standard"]),
            helper.make_node("Gemm", ["standard", "weights", "bias"], ["value"]),
        ],
        "ridge_regression",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", len(mean)])],
        [helper.make_tensor_value_info("value", TensorProto.FLOAT, ["batch", 1])],
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
