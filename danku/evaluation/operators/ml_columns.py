"""ai.onnx.ml Imputer, Binarizer, FeatureVectorizer, OneHotEncoder and CategoryMapper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan, prod
from typing import Any

import numpy as np

from danku.evaluation import profile
from danku.evaluation.graph import Node
from danku.evaluation.inference import refuse, require_kind, require_rank
from danku.evaluation.initializers import strings
from danku.evaluation.kernels import elementwise
from danku.evaluation.kernels.rejection import RuntimeRejection
from danku.evaluation.operators.ml_linear import DOMAIN, FEATURE_TYPES, FLOAT32, require_features
from danku.evaluation.refusal import ModelRejected
from danku.evaluation.registry import ANY_NUMBER, Attribute, Operator
from danku.evaluation.tensor import Array, TensorType

_INT64 = np.dtype(np.int64)


def _imputed(node: Node, data: TensorType) -> tuple[Array, Any]:
    """What is put in [1] or [features], and what is replaced."""
    floats = data.kind == "f"
    name = "imputed_value_floats" if floats else "imputed_value_int64s"
    replaced = node["replaced_value_float" if floats else "replaced_value_int64"]
    kind = np.float32 if floats else np.int64
    filling = node.derived(("imputed", name), lambda: np.array(node[name] or (), kind))
    if len(filling) not in (1, data.shape[-1]):
        raise refuse(node, f"{name} are not one for each feature")
    return filling.astype(data.dtype), replaced


def _infer_imputer(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    [data] = inputs
    require_features(node, data)
    _imputed(node, data)
    return [data.with_shape(*data.shape)]


def _run_imputer(node: Node, arrays: Sequence[Array]) -> list[Array]:
    """Where x equals the replaced value, NaN being equal to NaN, the imputed one, else x."""
    [data] = arrays
    filling, replaced = _imputed(node, TensorType(data.dtype, data.shape))
    missing = np.isnan(data) if isnan(replaced) else data == replaced
    return [np.where(missing, filling, data)]


def _infer_binarizer(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    [data] = inputs
    if data.dtype not in FEATURE_TYPES:
        raise ModelRejected("type", f"{node.operator}: unsupported type {data.dtype_name}")
    return [data.with_shape(*data.shape)]


def _run_binarizer(node: Node, arrays: Sequence[Array]) -> list[Array]:
    [data] = arrays
    above = elementwise.cast(data, np.float64) > np.float64(node["threshold"])
    return [above.astype(data.dtype)]


def _infer_vectorizer(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    require_kind(node, "fi", *inputs)
    widths = node["inputdimensions"]
    rows = inputs[0].shape[0] if inputs[0].rank else 0
    for width, data in zip(widths or (), inputs, strict=False):
        require_rank(node, data, 1, 2)
        if data.shape[0] != rows or prod(data.shape[1:]) != width:
            raise refuse(node, f"{data} is not {rows} rows of {width}")
    if widths is None or len(widths) != len(inputs):
        raise refuse(node, "inputdimensions are not one for each input")
    return [TensorType(FLOAT32, (rows, sum(widths)))]


def _run_vectorizer(node: Node, arrays: Sequence[Array]) -> list[Array]:
    parts = [elementwise.cast(each, FLOAT32).reshape(len(each), -1) for each in arrays]
    return [np.concatenate(parts, axis=1)]


def _categories(node: Node, numbers: str, texts: str) -> Mapping[Any, int]:
    if bool(node[numbers]) == bool(node[texts]):
        raise refuse(node, "needs integer or string categories, and not both")
    listed = node[numbers] or node[texts]
    places = node.derived("places", lambda: {each: place for place, each in enumerate(listed)})
    if len(places) != len(listed):
        raise refuse(node, "a category is listed twice")
    return places


def _infer_one_hot(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    [data] = inputs
    places = _categories(node, "cats_int64s", "cats_strings")
    expected = (profile.STRING,) if node["cats_strings"] else FEATURE_TYPES
    if data.dtype not in expected:
        raise ModelRejected("type", f"{node.operator}: unsupported type {data.dtype_name}")
    return [TensorType(FLOAT32, (*data.shape, len(places)))]


def _ascending(numbers: Sequence[int]) -> tuple[Array, Array]:
    """The numbers in ascending order, and where each of them stood."""
    known = np.array(numbers, np.int64)
    order = np.argsort(known, kind="stable")
    return known[order], order


def _run_one_hot(node: Node, arrays: Sequence[Array]) -> list[Array]:
    """A row of zeros with a 1 at the category's place; numbers are cast to int64 first."""
    [data] = arrays
    places = _categories(node, "cats_int64s", "cats_strings")
    if data.dtype == profile.STRING:
        found = np.array([places.get(each, -1) for each in data.reshape(-1)], np.int64)
    else:
        known, order = node.derived("sorted", lambda: _ascending(list(places)))
        wanted = elementwise.cast(data, np.int64).reshape(-1)
        place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        found = np.where(known[place] == wanted, order[place], -1)
    if not node["zeros"] and (found < 0).any():
        raise RuntimeRejection("OneHotEncoder: an unknown category")
    hot = np.zeros((found.size, len(places)), FLOAT32)
    rows = np.flatnonzero(found >= 0)
    hot[rows, found[rows]] = 1
    return [hot.reshape(*data.shape, len(places))]


def _infer_mapper(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    [data] = inputs
    numbers, texts = node["cats_int64s"], node["cats_strings"]
    if len(numbers) != len(texts):
        raise refuse(node, "as many integers as strings are needed")
    if len(set(numbers)) != len(numbers) or len(set(texts)) != len(texts):
        raise refuse(node, "a category is listed twice")
    if data.dtype not in (_INT64, profile.STRING):
        raise ModelRejected("type", f"{node.operator}: unsupported type {data.dtype_name}")
    return [TensorType(_INT64 if data.dtype == profile.STRING else profile.STRING, data.shape)]


def _mapping(node: Node, keys: str, values: str) -> dict[Any, Any]:
    return dict(zip(node[keys], node[values], strict=True))


def _run_mapper(node: Node, arrays: Sequence[Array]) -> list[Array]:
    [data] = arrays
    listed = data.reshape(-1).tolist()
    if data.dtype == profile.STRING:
        number_of = node.derived("numbers", lambda: _mapping(node, "cats_strings", "cats_int64s"))
        found = np.array([number_of.get(each, node["default_int64"]) for each in listed], np.int64)
    else:
        text_of = node.derived("texts", lambda: _mapping(node, "cats_int64s", "cats_strings"))
        found = strings([text_of.get(each, node["default_string"]) for each in listed])
    return [found.reshape(data.shape)]


OPERATORS = [
    Operator(
        "Imputer",
        _infer_imputer,
        _run_imputer,
        inputs=(1, 1),
        domain=DOMAIN,
        attributes={
            "imputed_value_floats": Attribute("floats"),
            "imputed_value_int64s": Attribute("ints"),
            "replaced_value_float": Attribute("float", 0.0),
            "replaced_value_int64": Attribute("int", 0),
        },
    ),
    Operator(
        "Binarizer",
        _infer_binarizer,
        _run_binarizer,
        inputs=(1, 1),
        domain=DOMAIN,
        attributes={"threshold": Attribute("float", 0.0)},
    ),
    Operator(
        "FeatureVectorizer",
        _infer_vectorizer,
        _run_vectorizer,
        inputs=(1, ANY_NUMBER),
        domain=DOMAIN,
        attributes={"inputdimensions": Attribute("ints")},
    ),
    Operator(
        "OneHotEncoder",
        _infer_one_hot,
        _run_one_hot,
        inputs=(1, 1),
        domain=DOMAIN,
        attributes={
            "cats_int64s": Attribute("ints"),
            "cats_strings": Attribute("strings"),
            "zeros": Attribute("int", 1),
        },
    ),
    Operator(
        "CategoryMapper",
        _infer_mapper,
        _run_mapper,
        inputs=(1, 1),
        domain=DOMAIN,
        attributes={
            "cats_int64s": Attribute("ints", required=True),
            "cats_strings": Attribute("strings", required=True),
            "default_int64": Attribute("int", -1),
            "default_string": Attribute("string", "_Unused"),
        },
    ),
]
