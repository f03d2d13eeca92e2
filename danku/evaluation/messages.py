"""The fields that a model's protobuf messages may have, by their numbers in onnx.proto.

Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["integer", "float", "double", "name", "text", "bytes", "message", "zero", "refused"]


@dataclass(frozen=True)
class Field:
    """What one field number of one message type may hold."""

    kind: Kind
    repeated: bool = False
    detail: str = ""
    """The message type, or what a refused field is called."""


def _message(name: str) -> Field:
    return Field("message", detail=name)


def _messages(name: str) -> Field:
    return Field("message", repeated=True, detail=name)


def _refused(what: str) -> Field:
    return Field("refused", repeated=True, detail=what)


_INTEGER, _FLOAT, _NAME, _TEXT, _BYTES = (
    Field("integer"),
    Field("float"),
    Field("name"),
    Field("text"),
    Field("bytes"),
)
_INTEGERS, _NAMES = Field("integer", repeated=True), Field("name", repeated=True)
_METADATA = _messages("Metadata")

MESSAGES: dict[str, dict[int, Field]] = {
    "Model": {
        1: _INTEGER,  # ir_version
        2: _TEXT,  # producer_name
        3: _TEXT,  # producer_version
        4: _TEXT,  # domain
        5: _INTEGER,  # model_version
        6: _TEXT,  # doc_string
        7: _message("Graph"),
        8: _messages("OperatorSet"),
        14: _METADATA,
        20: _refused("training information"),
        25: _refused("local functions"),
        26: _refused("device configurations"),
    },
    "OperatorSet": {1: _NAME, 2: _INTEGER},
    "Metadata": {1: _TEXT, 2: _TEXT},
    "Graph": {
        1: _messages("Node"),
        2: _NAME,
        5: _messages("Tensor"),
        10: _TEXT,  # doc_string
        11: _messages("ValueInfo"),  # input
        12: _messages("ValueInfo"),  # output
        13: _messages("ValueInfo"),  # value_info
        14: _refused("quantization annotations"),
        15: _refused("sparse initializers"),
        16: _METADATA,
    },
    "Node": {
        1: _NAMES,  # input
        2: _NAMES,  # output
        3: _NAME,
        4: _NAME,  # op_type
        5: _messages("Attribute"),
        6: _TEXT,  # doc_string
        7: _NAME,  # domain
        8: _NAME,  # overload
        9: _METADATA,
        10: _refused("device configurations"),
    },
    "Attribute": {
        1: _NAME,
        2: _FLOAT,
        3: _INTEGER,
        4: _BYTES,
        5: _message("Tensor"),
        6: _refused("control flow"),  # g
        7: Field("float", repeated=True),
        8: _INTEGERS,
        9: Field("bytes", repeated=True),
        10: _refused("lists of tensors"),
        11: _refused("control flow"),  # graphs
        13: _TEXT,  # doc_string
        14: _refused("type attributes"),
        15: _refused("type attributes"),
        20: _INTEGER,  # type
        21: _refused("attribute references"),
        22: _refused("sparse tensors"),
        23: _refused("sparse tensors"),
    },
    "Tensor": {
        1: _INTEGERS,  # dims
        2: _INTEGER,  # data_type
        3: _refused("tensor segments"),
        4: Field("float", repeated=True),
        5: _INTEGERS,  # int32_data
        6: Field("bytes", repeated=True),  # string_data
        7: _INTEGERS,  # int64_data
        8: _NAME,
        9: _BYTES,  # raw_data
        10: Field("double", repeated=True),
        11: _INTEGERS,  # uint64_data
        12: _TEXT,  # doc_string
        13: _refused("external data"),
        14: Field("zero", detail="external data"),  # data_location
        16: _METADATA,
    },
    "ValueInfo": {1: _NAME, 2: _message("Type"), 3: _TEXT, 4: _METADATA},
    "Type": {
        1: _message("TensorType"),
        4: _message("SequenceType"),
        5: _message("MapType"),
        6: _TEXT,  # denotation
        7: _refused("opaque types"),
        8: _refused("sparse tensors"),
        9: _refused("optional types"),
    },
    "TensorType": {1: _INTEGER, 2: _message("Shape")},
    "SequenceType": {1: _message("Type")},
    "MapType": {1: _INTEGER, 2: _message("Type")},
    "Shape": {1: _messages("Dimension")},
    "Dimension": {1: _INTEGER, 2: _NAME, 3: _TEXT},
}
