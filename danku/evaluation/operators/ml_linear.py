"""ai.onnx.ml LinearClassifier and LinearRegressor: MatMul's chain in float32, then the rest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from danku.evaluation import profile
from danku.evaluation.graph import Node
from danku.evaluation.inference import refuse, require_rank
from danku.evaluation.initializers import strings
from danku.evaluation.kernels import elementwise, functions, gemm, reductions
from danku.evaluation.refusal import ModelRejected
from danku.evaluation.registry import Attribute, Operator
from danku.evaluation.tensor import Array, Label, TensorType

DOMAIN = "ai.onnx.ml"
FLOAT32 = np.dtype(np.float32)
FEATURE_TYPES = tuple(np.dtype(name) for name in ("float32", "float64", "int64", "int32"))

TRANSFORMS = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO")


def require_features(node: Node, features: TensorType) -> None:
    """Raises ModelRejected unless the tensor holds rows of numbers."""
    require_rank(node, features, 2)
    if features.dtype not in FEATURE_TYPES:
        raise ModelRejected("type", f"{node.operator}: unsupported type {features.dtype_name}")


def class_labels(node: Node, integers: str, texts: str) -> tuple[Label, ...]:
    """The labels of whichever of the two attributes is given."""
    if bool(node[integers]) == bool(node[texts]):
        raise refuse(node, "needs integer or string labels, and not both")
    return tuple(node[integers] or node[texts])


def label_array(node: Node, labels: Sequence[Label]) -> Array:
    """The labels of a node as a tensor [n] of int64 or strings."""

    def made() -> Array:
        if isinstance(labels[0], str):
            return strings([str(label) for label in labels])
        return np.array(labels, np.int64)

    return node.derived("labels", made)


def float_list(node: Node, name: str) -> Array:
    """An attribute that is a list of floats, as float32 [n]; empty if it is absent."""
    return node.derived(("floats", name), lambda: np.array(node[name] or (), np.float32))


def _linear(node: Node, features: TensorType, outputs: int) -> None:
    """Check coefficients [outputs, features] and intercepts [outputs]."""
    require_features(node, features)
    if outputs < 1 or len(node["coefficients"]) != outputs * features.shape[1]:
        raise refuse(node, f"{len(node['coefficients'])} coefficients")
    if node["intercepts"] is not None and len(node["intercepts"]) != outputs:
        raise refuse(node, f"{len(node['intercepts'])} intercepts")
    if node["post_transform"] not in TRANSFORMS:
        raise refuse(node, f"post_transform is not one of {', '.join(TRANSFORMS)}")


def _scores(node: Node, features: Array, outputs: int) -> Array:
    coefficients = float_list(node, "coefficients").reshape(outputs, features.shape[1])
    scores = gemm.matmul(elementwise.cast(features, FLOAT32), coefficients.T)
    if node["intercepts"] is not None:
        with np.errstate(all="ignore"):
            scores = scores + float_list(node, "intercepts")
    return scores


def transformed(scores: Array, transform: str) -> Array:
    """Scores [rows, outputs] after `post_transform`."""
    if transform == "SOFTMAX":
        return reductions.softmax(scores, -1)
    if transform == "SOFTMAX_ZERO":
        # NOTE: scores that are exactly 0 stay 0 and take no part.
        zero = scores == 0
        shares = reductions.softmax(np.where(zero, np.float32(-np.inf), scores), -1)
        return np.where(zero, np.float32(0), shares)
    return functions.sigmoid(scores) if transform == "LOGISTIC" else scores


def _infer_regressor(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    [features] = inputs
    _linear(node, features, node["targets"])
    if node["targets"] == 1 and node["post_transform"] != "NONE":
        raise refuse(node, "post_transform of a single target")
    return [TensorType(FLOAT32, (features.shape[0], node["targets"]))]


def _run_regressor(node: Node, arrays: Sequence[Array]) -> list[Array]:
    return [transformed(_scores(node, arrays[0], node["targets"]), node["post_transform"])]


def _class_scores(node: Node) -> int:
    """Scores computed for each row: one for each class, or a single one for two classes."""
    labels = class_labels(node, "classlabels_ints", "classlabels_strings")
    single = node["intercepts"] is not None and len(node["intercepts"]) == 1
    return 1 if single and len(labels) == 2 else len(labels)


def _infer_classifier(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    [features] = inputs
    labels = class_labels(node, "classlabels_ints", "classlabels_strings")
    if len(labels) < 2:
        raise refuse(node, "fewer than two classes")
    _linear(node, features, _class_scores(node))
    kind = profile.STRING if isinstance(labels[0], str) else np.dtype(np.int64)
    rows = features.shape[0]
    return [
        TensorType(kind, (rows,)),
        TensorType(FLOAT32, (rows, len(labels)), columns=labels),
    ]


def _run_classifier(node: Node, arrays: Sequence[Array]) -> list[Array]:
    labels = class_labels(node, "classlabels_ints", "classlabels_strings")
    count = _class_scores(node)
    scores = _scores(node, arrays[0], count)
    transform = node["post_transform"]
    if count == 1:
        winners = (scores[:, 0] > 0).astype(np.int64)
        second = transformed(scores, transform if transform == "LOGISTIC" else "NONE")
        with np.errstate(all="ignore"):
            probabilities = np.concatenate([np.float32(1) - second, second], axis=1)
    else:
        winners = reductions.argmax(scores, 1)
        probabilities = transformed(scores, transform)
    return [label_array(node, labels)[winners], probabilities]


_COEFFICIENTS = {
    "coefficients": Attribute("floats", required=True),
    "intercepts": Attribute("floats"),
    "post_transform": Attribute("string", "NONE"),
}


def _classifier_work(
    node: Node, inputs: Sequence[TensorType], outputs: Sequence[TensorType]
) -> int:
    return inputs[0].elements * _class_scores(node)


def _regressor_work(node: Node, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> int:
    return inputs[0].elements * int(node["targets"])


OPERATORS = [
    Operator(
        "LinearRegressor",
        _infer_regressor,
        _run_regressor,
        inputs=(1, 1),
        domain=DOMAIN,
        attributes=_COEFFICIENTS | {"targets": Attribute("int", 1)},
        work=_regressor_work,
    ),
    Operator(
        "LinearClassifier",
        _infer_classifier,
        _run_classifier,
        inputs=(1, 1),
        outputs=(2, 2),
        domain=DOMAIN,
        attributes={
            **_COEFFICIENTS,
            "classlabels_ints": Attribute("ints"),
            "classlabels_strings": Attribute("strings"),
            # NOTE: ignored, as in onnxruntime: what it could change, post_transform says.
            "multi_class": Attribute("int", 0),
        },
        work=_classifier_work,
    ),
]
