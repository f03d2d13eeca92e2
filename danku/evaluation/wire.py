"""A bounded walk over a model's protobuf bytes, before any library is trusted with them.

Only the fields listed here may occur, so that a model means the same whatever version of onnx or
protobuf is installed. Lengths, nesting, varints and UTF-8 are checked; nothing is copied.
Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

import re
from functools import cache

from danku.evaluation import profile
from danku.evaluation.messages import MESSAGES, Field
from danku.evaluation.refusal import ModelRejected

_VARINT, _EIGHT_BYTES, _DELIMITED, _FOUR_BYTES = 0, 1, 2, 5
_FIXED_BYTES = {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}
_GRAPH = 7
"""The number of a model's field that holds its graph."""
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

_REMEDIES = {
    "control flow": "export it without Loop, Scan and If; k-nearest neighbours of scikit-learn: "
    'convert_sklearn(..., options={id(model): {"optim": "cdist"}})',
    "external data": "store the weights in the file itself: onnx.save(onnx.load(file), file)",
    "local functions": "export it with the functions expanded: onnx.inliner.inline_local_functions",
}
"""What the author of a model can do about what is refused."""


def scan(model: bytes) -> None:
    """Check that the bytes are a protobuf message that holds only what `exact/1` allows.

    Raises:
        ModelRejected: malformed bytes, too deep, too many fields, or a field that is not listed.
    """
    _Scan(model).outline()
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

    def outline(self) -> None:
        """Check that the whole is a protobuf message with a graph in it, whatever else it holds."""
        position, end = 0, len(self.data)
        graph = False
        while position < end:
            self.count()
            key, position = self.varint(position, end)
            number, wire = key >> 3, key & 7
            graph |= (number, wire) == (_GRAPH, _DELIMITED)
            if wire == _VARINT:
                _, position = self.varint(position, end)
            elif wire == _DELIMITED:
                length, position = self.varint(position, end)
                position = self.skip(position, length, end)
            elif wire in _FIXED_BYTES:
                position = self.skip(position, _FIXED_BYTES[wire], end)
            else:
                raise not_onnx()
        if not graph:
            raise not_onnx()

    def count(self) -> None:
        self.fields += 1
        if self.fields > profile.MESSAGE_FIELDS:
            raise ModelRejected("wire", "too many protobuf fields")

    def message(self, name: str, start: int, end: int, depth: int) -> None:
        if depth > profile.MESSAGE_DEPTH:
            raise ModelRejected("wire", "messages are nested too deeply")
        allowed, seen, position = MESSAGES[name], set(), start
        while position < end:
            self.count()
            begin = position
            key, position = self.varint(position, end)
            number, wire = key >> 3, key & 7
            field = allowed.get(number)
            if field is None:
                if number == 0 or wire not in (_VARINT, _EIGHT_BYTES, _DELIMITED, _FOUR_BYTES):
                    raise not_onnx()
                raise ModelRejected("wire", f"field {number} of {name} is not allowed")
            if field.kind == "refused":
                raise ModelRejected(
                    "wire", f"{field.detail} not allowed", fix=_REMEDIES.get(field.detail, "")
                )
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
