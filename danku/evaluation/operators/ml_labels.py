"""ai.onnx.ml labels: LabelEncoder and ZipMap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
_UNSET: dict[str, Any] = {"O": "_Unused", "i": -1, "u": 0, "f": -0.0}
"""What unknown keys become, by the kind of the values."""
_NAN = object()


@dataclass(frozen=True)
class _Table:
    """From keys to values."""

    keys: DType
    values: DType
    found: Mapping[Any, Any]
    default: Any

    def __call__(self, labels: Array) -> Array:
        found = np.empty(labels.size, self.values)
        listed = labels.reshape(-1).tolist()
        found[:] = [self.found.get(_key(label), self.default) for label in listed]
        return found.reshape(labels.shape)


def _key(value: Any) -> Any:
    """What is looked up: numbers by value, so that -0 is 0; every NaN is the same key."""
    return _NAN if isinstance(value, float) and value != value else value


def _listed(node: Node, side: str) -> tuple[str, DType, list[Any]]:
    """Which attribute has the keys or values, their type, and they themselves."""
    tensor = node.attributes.get(f"{side}_tensor")
    names = [f"{side}_{kind}" for kind in _KINDS if node[f"{side}_{kind}"] is not None]
    if len(names) + (tensor is not None) != 1:
        raise refuse(node, f"{len(names) + (tensor is not None)} lists of {side}")
    if tensor is None:
        [name] = names
        dtype = _KINDS[name.removeprefix(f"{side}_")]
        return name, dtype, np.array(node[name], dtype).tolist()
    if tensor.ndim != 1 or tensor.dtype.kind not in _UNSET:
        raise refuse(node, f"{side}_tensor is no list of numbers or strings")
    return f"{side}_tensor", tensor.dtype, tensor.tolist()


def _default(node: Node, name: str, dtype: DType) -> Any:
    tensor = node.attributes.get("default_tensor")
    if tensor is not None:
        if tensor.size != 1 or tensor.dtype != dtype:
            raise refuse(node, "default_tensor is not one value of the type of the values")
        return tensor.reshape(-1).tolist()[0]
    known = _DEFAULTS.get(name.removeprefix("values_"))
    return node[known] if known else _UNSET[dtype.kind]


def _table(node: Node) -> _Table:
    return node.derived("table", lambda: _made(node))


def _made(node: Node) -> _Table:
    _, key_type, keys = _listed(node, "keys")
    name, value_type, values = _listed(node, "values")
    if len(keys) != len(values):
        raise refuse(node, "as many values as keys are needed")
    found: dict[Any, Any] = {}
    for key, value in zip(keys, values, strict=True):
        found.setdefault(_key(key), value)
    return _Table(key_type, value_type, found, _default(node, name, value_type))


def _infer_encoder(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    [labels] = inputs
    table = _table(node)
    if labels.dtype != table.keys:
        raise ModelRejected("type", f"{node.operator}: unsupported type {labels.dtype_name}")
    return [TensorType(table.values, labels.shape)]


def _run_encoder(node: Node, arrays: Sequence[Array]) -> list[Array]:
    return [_table(node)(arrays[0])]


def _infer_old_encoder(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    [labels] = inputs
    if labels.dtype not in (profile.STRING, _KINDS["int64s"]):
        raise ModelRejected("type", f"{node.operator}: unsupported type {labels.dtype_name}")
    to_text = labels.dtype != profile.STRING
    return [TensorType(_KINDS["strings" if to_text else "int64s"], labels.shape)]


def _run_old_encoder(node: Node, arrays: Sequence[Array]) -> list[Array]:
    [labels] = arrays
    if labels.dtype != profile.STRING:
        return [node.derived("names", lambda: _names(node))(labels)]
    return [node.derived("numbers", lambda: _numbers(node))(labels)]


def _names(node: Node) -> _Table:
    names = dict(enumerate(node["classes_strings"]))
    return _Table(_KINDS["int64s"], profile.STRING, names, node["default_string"])


def _numbers(node: Node) -> _Table:
    places: dict[str, int] = {}
    for place, name in enumerate(node["classes_strings"]):
        places.setdefault(name, place)
    return _Table(profile.STRING, _KINDS["int64s"], places, node["default_int64"])


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
_ENCODER = {
    **_lists("keys"),
    **_lists("values"),
    **_TEXT_DEFAULT,
    **_INTEGER_DEFAULT,
    "default_float": Attribute("float", -0.0),
}

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
        attributes=_ENCODER,
    ),
    Operator(
        "LabelEncoder",
        _infer_encoder,
        _run_encoder,
        inputs=(1, 1),
        domain=DOMAIN,
        opsets=(4, 1_000),
        attributes={
            **_ENCODER,
            "keys_tensor": Attribute("tensor"),
            "values_tensor": Attribute("tensor"),
            "default_tensor": Attribute("tensor"),
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
