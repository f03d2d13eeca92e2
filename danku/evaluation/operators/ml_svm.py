"""ai.onnx.ml SVMClassifier and SVMRegressor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from danku.evaluation import profile
from danku.evaluation.graph import Node
from danku.evaluation.inference import refuse
from danku.evaluation.kernels import elementwise, functions, gemm, machines, reductions
from danku.evaluation.operators.ml_linear import (
    DOMAIN,
    FLOAT32,
    class_labels,
    float_list,
    label_array,
    require_features,
)
from danku.evaluation.registry import Attribute, Operator
from danku.evaluation.tensor import Array, TensorType

_KERNELS = ("LINEAR", "POLY", "RBF", "SIGMOID")
_KERNEL_WORK = 16
"""Multiply-accumulates that a kernel function counts, besides its products."""
_PART = 2**18
"""Elements of scratch; rows go through in parts of so many, which changes no result."""


def _list(node: Node, name: str) -> Array:
    """A list of float32, widened to float64."""
    return node.derived(("wide", name), lambda: float_list(node, name).astype(np.float64))


def _check(node: Node, features: TensorType, vectors: int) -> None:
    require_features(node, features)
    if node["kernel_type"] not in _KERNELS:
        raise refuse(node, f"kernel_type is not one of {', '.join(_KERNELS)}")
    if node["kernel_type"] != "LINEAR" and len(_list(node, "kernel_params")) != 3:
        raise refuse(node, "kernel_params are not gamma, coef0 and degree")
    if len(_list(node, "support_vectors")) != vectors * features.shape[1]:
        raise refuse(node, f"support_vectors are not {vectors} times {features.shape[1]}")
    if node["post_transform"] != "NONE":
        raise refuse(node, "post_transform is not NONE")


def _similarities(node: Node, features: Array, vectors: int) -> Array:
    """The kernel of each row with each support vector, [rows, vectors] in float32."""
    rows = elementwise.cast(features, FLOAT32)
    points = float_list(node, "support_vectors").reshape(vectors, rows.shape[1])
    kind = node["kernel_type"]
    with np.errstate(all="ignore"):
        if kind == "RBF":
            gamma = _list(node, "kernel_params")[0]
            distances = machines.squared_distances(rows, points)
            return functions.exp(-gamma * distances).astype(FLOAT32)
        products = gemm.matmul(rows, points.T)
        if kind == "LINEAR":
            return products
        gamma, added, degree = float_list(node, "kernel_params")
        products = products * gamma + added
        return functions.tanh(products) if kind == "SIGMOID" else functions.power(products, degree)


def _infer_regressor(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    [features] = inputs
    vectors = node["n_supports"]
    if not 0 <= vectors <= len(node["coefficients"]):
        raise refuse(node, f"{vectors} support vectors")
    _check(node, features, vectors)
    wanted = vectors or features.shape[1]
    if len(node["coefficients"]) != wanted:
        raise refuse(node, f"coefficients are not {wanted}")
    if len(node["rho"]) != 1:
        raise refuse(node, "rho is not one number")
    return [TensorType(FLOAT32, (features.shape[0], 1))]


def _parts(features: Array, width: int) -> Iterator[Array]:
    """Rows in parts, at least one, whose scratch of ``width`` elements a row stays small."""
    step = max(1, _PART // max(width, 1))
    for start in range(0, max(len(features), 1), step):
        yield features[start : start + step]


def _run_regressor(node: Node, arrays: Sequence[Array]) -> list[Array]:
    parts = _parts(arrays[0], node["n_supports"])
    return [np.concatenate([_regressed(node, part) for part in parts])]


def _regressed(node: Node, features: Array) -> Array:
    """The weighted sum of the kernels plus rho: one float64 accumulator, rounded once."""
    vectors = node["n_supports"]
    if vectors:
        values = _similarities(node, features, vectors)
    else:
        values = elementwise.cast(features, FLOAT32)
    with np.errstate(all="ignore"):
        terms = values.astype(np.float64) * _list(node, "coefficients")
        scores = (reductions.total(terms, (1,), True) + _list(node, "rho")).astype(FLOAT32)
    return np.where(scores > 0, np.float32(1), np.float32(-1)) if node["one_class"] else scores


def _sizes(node: Node) -> tuple[int, int]:
    """How many classes and support vectors."""
    labels = class_labels(node, "classlabels_ints", "classlabels_strings")
    return len(labels), node.derived("vectors", lambda: sum(node["vectors_per_class"] or ()))


def _infer_classifier(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    [features] = inputs
    labels = class_labels(node, "classlabels_ints", "classlabels_strings")
    classes, vectors = _sizes(node)
    counts = node["vectors_per_class"] or ()
    if classes < 2 or len(counts) != classes or min(counts) < 0 or vectors == 0:
        raise refuse(node, "vectors_per_class are not one count for each of two classes or more")
    if vectors > len(node["coefficients"]):
        raise refuse(node, f"coefficients are not {classes - 1} times {vectors}")
    _check(node, features, vectors)
    pairs = classes * (classes - 1) // 2
    if len(node["coefficients"]) != (classes - 1) * vectors:
        raise refuse(node, f"coefficients are not {classes - 1} times {vectors}")
    if len(node["rho"]) != pairs:
        raise refuse(node, f"rho is not {pairs} numbers")
    likely = len(node["prob_a"] or ())
    if likely not in (0, pairs) or len(node["prob_b"] or ()) != likely:
        raise refuse(node, f"prob_a and prob_b are not {pairs} numbers")
    kind = profile.STRING if isinstance(labels[0], str) else np.dtype(np.int64)
    rows = features.shape[0]
    scores = TensorType(FLOAT32, (rows, classes if likely else max(pairs, 2)))
    if likely:
        scores = TensorType(FLOAT32, scores.shape, columns=labels)
    return [TensorType(kind, (rows,)), scores]


def _run_classifier(node: Node, arrays: Sequence[Array]) -> list[Array]:
    _, vectors = _sizes(node)
    parts = _parts(arrays[0], max(vectors, len(_list(node, "rho"))))
    winners, scores = zip(*(_classified(node, part) for part in parts), strict=True)
    labels = label_array(node, class_labels(node, "classlabels_ints", "classlabels_strings"))
    return [labels[np.concatenate(winners)], np.concatenate(scores)]


def _classified(node: Node, features: Array) -> tuple[Array, Array]:
    """Each pair of classes votes, the first class with the most votes wins."""
    classes, vectors = _sizes(node)
    similarities = _similarities(node, features, vectors).astype(np.float64)
    rho, rows = _list(node, "rho"), len(similarities)
    starts = np.cumsum([0, *node["vectors_per_class"]]).astype(np.intp)
    coefficients = _list(node, "coefficients").reshape(classes - 1, vectors)
    decisions, votes = np.empty((rows, len(rho)), FLOAT32), np.zeros((rows, classes), np.intp)
    machines.decide(similarities, coefficients, starts, rho, decisions, votes)
    if node["prob_a"]:
        scores = _coupled(node, decisions, classes)
    else:
        scores = np.concatenate([-decisions, decisions], axis=1) if classes == 2 else decisions
    return reductions.argmax(votes, 1), scores


def _coupled(node: Node, decisions: Array, classes: int) -> Array:
    probabilities = np.empty((len(decisions), classes))
    pairs, products = np.empty((2, classes, classes))
    platt = _list(node, "prob_a"), _list(node, "prob_b")
    scratch = pairs, products, probabilities, np.empty(classes)
    machines.couple(decisions, *platt, *scratch)
    with np.errstate(all="ignore"):
        return probabilities.astype(FLOAT32)


def _regressor_work(node: Node, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> int:
    rows, features = inputs[0].shape
    return rows * int(node["n_supports"] or 1) * (features + 1 + _KERNEL_WORK)


def _classifier_work(
    node: Node, inputs: Sequence[TensorType], outputs: Sequence[TensorType]
) -> int:
    classes, vectors = _sizes(node)
    rows, features = inputs[0].shape
    coupling = machines.ROUNDS * classes * classes * 2 if node["prob_a"] else classes * classes
    return rows * (vectors * (features + classes - 1 + _KERNEL_WORK) + coupling)


_MACHINE = {
    "coefficients": Attribute("floats", required=True),
    "kernel_params": Attribute("floats"),
    "kernel_type": Attribute("string", "LINEAR"),
    "post_transform": Attribute("string", "NONE"),
    "rho": Attribute("floats", required=True),
    "support_vectors": Attribute("floats"),
}

OPERATORS = [
    Operator(
        "SVMRegressor",
        _infer_regressor,
        _run_regressor,
        inputs=(1, 1),
        domain=DOMAIN,
        attributes={
            **_MACHINE,
            "n_supports": Attribute("int", 0),
            "one_class": Attribute("int", 0),
        },
        work=_regressor_work,
    ),
    Operator(
        "SVMClassifier",
        _infer_classifier,
        _run_classifier,
        inputs=(1, 1),
        outputs=(2, 2),
        domain=DOMAIN,
        attributes={
            **_MACHINE,
            "classlabels_ints": Attribute("ints"),
            "classlabels_strings": Attribute("strings"),
            "prob_a": Attribute("floats"),
            "prob_b": Attribute("floats"),
            "vectors_per_class": Attribute("ints"),
        },
        work=_classifier_work,
    ),
]
