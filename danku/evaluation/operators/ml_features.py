"""ai.onnx.ml preprocessing: Scaler, Normalizer, ArrayFeatureExtractor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from danku.evaluation.graph import Node
from danku.evaluation.inference import ANYTHING, refuse, require_kind
from danku.evaluation.kernels import elementwise, reductions
from danku.evaluation.kernels.rejection import RuntimeRejection
from danku.evaluation.operators.ml_linear import DOMAIN, FLOAT32, float_list, require_features
from danku.evaluation.registry import Attribute, Operator
from danku.evaluation.tensor import Array, TensorType

_FLOAT64 = np.dtype(np.float64)
_INT64 = np.dtype(np.int64)


def _infer_scaler(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    [features] = inputs
    require_features(node, features)
    lengths = {len(node["offset"]), len(node["scale"])}
    if lengths not in ({1}, {features.shape[1]}):
        raise refuse(node, "offset and scale are not one for each feature")
    return [TensorType(FLOAT32, features.shape)]


def _run_scaler(node: Node, arrays: Sequence[Array]) -> list[Array]:
    """(x - offset) * scale in float32; float64 input is scaled in float64, then rounded."""
    dtype = _FLOAT64 if arrays[0].dtype == _FLOAT64 else FLOAT32
    features = elementwise.cast(arrays[0], dtype)
    offset, scale = (float_list(node, name).astype(dtype) for name in ("offset", "scale"))
    with np.errstate(all="ignore"):
        return [elementwise.cast((features - offset) * scale, FLOAT32)]


def _infer_normalizer(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    [features] = inputs
    require_features(node, features)
    if node["norm"] not in ("MAX", "L1", "L2"):
        raise refuse(node, "norm is not one of MAX, L1, L2")
    if features.shape[1] == 0:
        raise refuse(node, "nothing to normalise")
    return [TensorType(FLOAT32, features.shape, columns=features.columns)]


def _run_normalizer(node: Node, arrays: Sequence[Array]) -> list[Array]:
    """x / norm of its row in float32; rows whose norm is 0 stay as they are.

    MAX is the row's largest element, not the largest absolute value: so says ONNX.
    """
    features = elementwise.cast(arrays[0], FLOAT32)
    norms = {
        "MAX": reductions.maximum,
        "L1": reductions.l1_norm,
        "L2": reductions.l2_norm,
    }
    size = norms[node["norm"]](features, (1,), True)
    with np.errstate(all="ignore"):
        return [np.where(size == 0, features, elementwise.divide(features, size))]


def _infer_extractor(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    data, places = inputs
    require_kind(node, ANYTHING, data)
    if places.dtype != _INT64:
        raise refuse(node, f"indices of type {places.dtype_name}")
    if data.rank == 0:
        raise refuse(node, "input of rank 0")
    rows = data.shape[:-1] or (1,)
    return [data.with_shape(*rows, places.elements)]


def _run_extractor(node: Node, arrays: Sequence[Array]) -> list[Array]:
    data, places = np.atleast_2d(arrays[0]), arrays[1].reshape(-1)
    if ((places < 0) | (places >= data.shape[-1])).any():
        raise RuntimeRejection("ArrayFeatureExtractor: index out of range")
    return [np.take(data, places, axis=-1)]


OPERATORS = [
    Operator(
        "Scaler",
        _infer_scaler,
        _run_scaler,
        inputs=(1, 1),
        domain=DOMAIN,
        attributes={
            "offset": Attribute("floats", required=True),
            "scale": Attribute("floats", required=True),
        },
    ),
    Operator(
        "Normalizer",
        _infer_normalizer,
        _run_normalizer,
        inputs=(1, 1),
        domain=DOMAIN,
        attributes={"norm": Attribute("string", "MAX")},
    ),
    Operator(
        "ArrayFeatureExtractor",
        _infer_extractor,
        _run_extractor,
        inputs=(2, 2),
        domain=DOMAIN,
    ),
]
