"""A bounded walk over a model's protobuf bytes, before any library is trusted with them.

Only the fields listed here may occur, so that a model means the same whatever version of onnx or
protobuf is installed. Lengths, nesting, varints and UTF-8 are checked; nothing is copied.
Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Literal

from danku.evaluation import profile
from danku.evaluation.refusal import ModelRejected

Kind = Literal["integer", "float", "double", "name", "text", "bytes", "message", "zero", "refused"]

_VARINT, _EIGHT_BYTES, _DELIMITED, _FOUR_BYTES = 0, 1, 2, 5
_SCALAR_WIRE = {
    "integer": _VARINT,
    "zero": _VARINT,
    "float": _FOUR_BYTES,
    "double": _EIGHT_BYTES,
}
# NOTE: possessive quantifiers, so that a run of millions of elements needs no backtracking memory.
_VARINT_BYTES = rb"(?:[\x80-\xff]{0,8}+[\x00-\x7f]|[\x80-\xff]{9}[\x00\x01])"
_SCALAR_BYTES = {
    "integer": _VARINT_BYTES,
    "float": rb"[\x00-\xff]{4}",
    "double": rb"[\x00-\xff]{8}",
}


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


def scan(model: bytes) -> None:
    """Check that the bytes are a protobuf message that holds only what `exact/1` allows.

    Raises:
        ModelRejected: malformed bytes, too deep, too many fields, or a field that is not listed.
    """
    _Scan(model).message("Model", 0, len(model), 1)


def not_onnx() -> ModelRejected:
    """The refusal of bytes that are no model at all."""
    return ModelRejected(
        "not-onnx", "not an ONNX model", fix="export the model again and submit the .onnx file"
    )


@cache
def _run(number: int, kind: str) -> re.Pattern[bytes]:
    """Any number of unpacked elements of one repeated scalar field, tags included."""
    key = number << 3 | _SCALAR_WIRE[kind]
    tag = bytes([key]) if key < 128 else bytes([key & 127 | 128, key >> 7])
    return re.compile(b"(?:" + re.escape(tag) + _SCALAR_BYTES[kind] + b")++")


@cache
def _packed(kind: str) -> re.Pattern[bytes]:
    return re.compile(b"(?:" + _SCALAR_BYTES[kind] + b")*+")


class _Scan:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.fields = 0

    def message(self, name: str, start: int, end: int, depth: int) -> None:
        if depth > profile.MESSAGE_DEPTH:
            raise ModelRejected("wire", "messages are nested too deeply")
        allowed, seen, position = MESSAGES[name], set(), start
        while position < end:
            self.fields += 1
            if self.fields > profile.MESSAGE_FIELDS:
                raise ModelRejected("wire", "too many protobuf fields")
            begin = position
            key, position = self.varint(position, end)
            number, wire = key >> 3, key & 7
            field = allowed.get(number)
            if field is None:
                if number == 0 or wire not in (_VARINT, _EIGHT_BYTES, _DELIMITED, _FOUR_BYTES):
                    raise not_onnx()
                raise ModelRejected("wire", f"field {number} of {name} is not allowed")
            if field.kind == "refused":
                raise ModelRejected("wire", f"{field.detail} not allowed")
            if not field.repeated and number in seen:
                raise ModelRejected("wire", f"field {number} of {name} occurs twice")
            seen.add(number)
            if wire == _SCALAR_WIRE.get(field.kind, _DELIMITED):
                position = self.field(field, number, begin, position, end, depth)
            elif wire == _DELIMITED and field.repeated:
                position = self.packed(field, position, end)
            else:
                raise not_onnx()

    def field(
        self, field: Field, number: int, begin: int, position: int, end: int, depth: int
    ) -> int:
        """Check one value, or a run of unpacked scalars; returns where the next field begins."""
        if field.kind in _SCALAR_WIRE:
            if field.repeated:
                match = _run(number, field.kind).match(self.data, begin, end)
                if match is None:
                    raise not_onnx()
                return match.end()
            if _SCALAR_WIRE[field.kind] == _VARINT:
                value, position = self.varint(position, end)
                if field.kind == "zero" and value:
                    raise ModelRejected("wire", f"{field.detail} not allowed")
                return position
            return self.skip(position, 4 if field.kind == "float" else 8, end)
        length, position = self.varint(position, end)
        stop = self.skip(position, length, end)
        if field.kind == "message":
            self.message(field.detail, position, stop, depth + 1)
        elif field.kind == "name" and length > profile.NAME_BYTES:
            raise ModelRejected("wire", f"a name is longer than {profile.NAME_BYTES} bytes")
        elif field.kind != "bytes":
            try:
                self.data[position:stop].decode("utf-8")
            except UnicodeDecodeError:
                raise ModelRejected("wire", "text is not UTF-8") from None
        return stop

    def packed(self, field: Field, position: int, end: int) -> int:
        length, position = self.varint(position, end)
        stop = self.skip(position, length, end)
        if _packed(field.kind).fullmatch(self.data, position, stop) is None:
            raise not_onnx()
        return stop

    def skip(self, position: int, length: int, end: int) -> int:
        if length > end - position:
            raise not_onnx()
        return position + length

    def varint(self, position: int, end: int) -> tuple[int, int]:
        value = shift = 0
        while position < end and shift < 70:
            byte = self.data[position]
            position += 1
            value |= (byte & 127) << shift
            if byte < 128:
                if value >= 2**64:
                    break
                return value, position
            shift += 7
        raise not_onnx()
