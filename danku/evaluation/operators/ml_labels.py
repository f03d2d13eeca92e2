"""ai.onnx.ml labels: LabelEncoder and ZipMap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from danku.evaluation import profile
from danku.evaluation.graph import Node
from danku.evaluation.inference import FLOATS, refuse, require_kind, require_rank
from danku.evaluation.operators.ml_linear import DOMAIN, class_labels
from danku.evaluation.refusal import ModelRejected
from danku.evaluation.registry import Attribute, Operator
from danku.evaluation.tensor import Array, DType, TensorType

_KINDS: dict[str, DType] = {
    "strings": profile.STRING,
    "int64s": np.dtype(np.int64),
    "floats": np.dtype(np.float32),
}
_DEFAULTS = {"strings": "default_string", "int64s": "default_int64", "floats": "default_float"}
_NAN = object()


def _key(value: Any) -> Any:
    """What is looked up: numbers by value, so that -0 is 0; every NaN is the same key."""
    return _NAN if isinstance(value, float) and value != value else value


def _given(node: Node, side: str) -> str:
    kinds = [kind for kind in _KINDS if node[f"{side}_{kind}"] is not None]
    if len(kinds) != 1:
        raise refuse(node, f"{len(kinds)} lists of {side}")
    return kinds[0]


def _infer_encoder(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    [labels] = inputs
    keys, values = _given(node, "keys"), _given(node, "values")
    if len(node[f"keys_{keys}"]) != len(node[f"values_{values}"]):
        raise refuse(node, "as many values as keys are needed")
    if labels.dtype != _KINDS[keys]:
        raise ModelRejected("type", f"{node.operator}: unsupported type {labels.dtype_name}")
    return [TensorType(_KINDS[values], labels.shape)]


def _run_encoder(node: Node, arrays: Sequence[Array]) -> list[Array]:
    keys, values = _given(node, "keys"), _given(node, "values")
    table: dict[Any, Any] = {}
    for key, value in zip(node[f"keys_{keys}"], node[f"values_{values}"], strict=True):
        table.setdefault(_key(key), value)
    return [_looked_up(arrays[0], table, node[_DEFAULTS[values]], _KINDS[values])]


def _looked_up(labels: Array, table: Mapping[Any, Any], default: Any, dtype: DType) -> Array:
    found = np.empty(labels.size, dtype)
    found[:] = [table.get(_key(label), default) for label in labels.reshape(-1).tolist()]
    return found.reshape(labels.shape)


def _infer_old_encoder(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    [labels] = inputs
    if labels.dtype not in (profile.STRING, _KINDS["int64s"]):
        raise ModelRejected("type", f"{node.operator}: unsupported type {labels.dtype_name}")
    to_text = labels.dtype != profile.STRING
    return [TensorType(_KINDS["strings" if to_text else "int64s"], labels.shape)]


def _run_old_encoder(node: Node, arrays: Sequence[Array]) -> list[Array]:
    [labels] = arrays
    classes = node["classes_strings"]
    if labels.dtype != profile.STRING:
        names = dict(enumerate(classes))
        return [_looked_up(labels, names, node["default_string"], profile.STRING)]
    places: dict[str, int] = {}
    for place, name in enumerate(classes):
        places.setdefault(name, place)
    return [_looked_up(labels, places, node["default_int64"], _KINDS["int64s"])]


def _infer_zip_map(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    [scores] = inputs
    require_kind(node, FLOATS, scores)
    require_rank(node, scores, 2)
    labels = class_labels(node, "classlabels_int64s", "classlabels_strings")
    if len(labels) != scores.shape[1] or len(set(labels)) != len(labels):
        raise refuse(node, f"{len(labels)} labels for {scores.shape[1]} columns, or equal ones")
    return [TensorType(scores.dtype, scores.shape, columns=labels, is_map=True)]


def _lists(side: str) -> dict[str, Attribute]:
    return {
        f"{side}_strings": Attribute("strings"),
        f"{side}_int64s": Attribute("ints"),
        f"{side}_floats": Attribute("floats"),
    }


_TEXT_DEFAULT = {"default_string": Attribute("string", "_Unused")}
_INTEGER_DEFAULT = {"default_int64": Attribute("int", -1)}

OPERATORS = [
    Operator(
        "LabelEncoder",
        _infer_old_encoder,
        _run_old_encoder,
        inputs=(1, 1),
        domain=DOMAIN,
        opsets=(1, 1),
        attributes={
            "classes_strings": Attribute("strings", required=True),
            **_TEXT_DEFAULT,
            **_INTEGER_DEFAULT,
        },
    ),
    Operator(
        "LabelEncoder",
        _infer_encoder,
        _run_encoder,
        inputs=(1, 1),
        domain=DOMAIN,
        opsets=(2, 3),
        attributes={
            **_lists("keys"),
            **_lists("values"),
            **_TEXT_DEFAULT,
            **_INTEGER_DEFAULT,
            "default_float": Attribute("float", -0.0),
        },
    ),
    Operator(
        "ZipMap",
        _infer_zip_map,
        lambda node, arrays: [arrays[0]],
        inputs=(1, 1),
        domain=DOMAIN,
        attributes={
            "classlabels_int64s": Attribute("ints"),
            "classlabels_strings": Attribute("strings"),
        },
    ),
]
