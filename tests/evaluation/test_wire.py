"""The walk over a model's bytes: what is not listed is refused, and nothing hangs or crashes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from danku.evaluation import profile, wire
from danku.evaluation.refusal import ModelRejected


def field(number: int, payload: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def varint(value: int) -> bytes:
    data = bytearray()
    while value > 127:
        data.append(value & 127 | 128)
        value >>= 7
    return bytes([*data, value])


def node(payload: bytes) -> bytes:
    return field(7, field(1, payload))


def refusal(data: bytes) -> str:
    with pytest.raises(ModelRejected) as caught:
        wire.scan(data)
    return caught.value.reason


def test_the_listed_fields_are_those_of_onnx() -> None:
    """Every listed field exists in onnx with the same type; a number that onnx lacks is a slip."""
    kinds = {
        "Model": onnx.ModelProto,
        "Graph": onnx.GraphProto,
        "Node": onnx.NodeProto,
        "Attribute": onnx.AttributeProto,
        "Tensor": onnx.TensorProto,
        "ValueInfo": onnx.ValueInfoProto,
        "Type": onnx.TypeProto,
        "TensorType": onnx.TypeProto.Tensor,
        "SequenceType": onnx.TypeProto.Sequence,
        "MapType": onnx.TypeProto.Map,
        "Shape": onnx.TensorShapeProto,
        "Dimension": onnx.TensorShapeProto.Dimension,
        "OperatorSet": onnx.OperatorSetIdProto,
        "Metadata": onnx.StringStringEntryProto,
    }
    assert kinds.keys() == wire.MESSAGES.keys()
    types = {
        "integer": {3, 4, 5, 13, 14},
        "zero": {14},
        "float": {2},
        "double": {1},
        "name": {9},
        "text": {9},
        "bytes": {12},
        "message": {11},
    }
    for name, fields in wire.MESSAGES.items():
        known = kinds[name].DESCRIPTOR.fields_by_number
        for number, listed in fields.items():
            assert number in known, (name, number)
            if listed.kind != "refused":
                assert known[number].type in types[listed.kind], (name, number)
                assert known[number].is_repeated == listed.repeated, (name, number)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (field(99, b"") + field(7, b""), "field 99 of Model is not allowed"),
        (node(field(99, b"")), "field 99 of Node is not allowed"),
        (b"\x08\x07\x08\x07" + field(7, b""), "field 1 of Model occurs twice"),
        (field(7, b"") * 2, "field 7 of Model occurs twice"),
        (b"\x0b", "not an ONNX model"),  # a group
        (b"\x00\x00", "not an ONNX model"),  # field 0
        (b"\x08", "not an ONNX model"),  # no value
        (b"\x08" + b"\xff" * 10, "not an ONNX model"),  # an endless varint
        (b"\x08" + b"\xff" * 9 + b"\x02", "not an ONNX model"),  # above 64 bits
        (b"\x0a\x00", "not an ONNX model"),  # a string where an integer belongs
        (b"\x3a" + varint(2**63), "not an ONNX model"),  # a length beyond the end
        (field(7, field(1, field(1, b"abc"))[:-1]), "not an ONNX model"),
        (field(7, field(2, b"\xff")), "text is not UTF-8"),
        (field(7, field(2, b"n" * 1_025)), "a name is longer than 1024 bytes"),
        (node(field(5, b"\x3d\0\0\0")), "not an ONNX model"),  # an unpacked float cut short
        (node(field(5, field(7, b"\0\0\0"))), "not an ONNX model"),  # a packed one
        (node(field(5, field(8, b"\x80"))), "not an ONNX model"),
    ],
)
def test_malformed_messages(data: bytes, expected: str) -> None:
    assert refusal(data) == expected


def test_types_nested_without_end() -> None:
    nested = b""
    for _ in range(1_000):
        nested = field(4, field(1, nested))
    assert refusal(field(7, field(11, field(2, nested)))) == "messages are nested too deeply"


def test_very_many_fields_are_refused_in_time() -> None:
    started = time.perf_counter()
    assert refusal(field(7, field(1, b"") * (profile.MESSAGE_FIELDS + 1))) == (
        "too many protobuf fields"
    )
    assert time.perf_counter() - started < 10


@pytest.mark.parametrize("packed", [True, False])
def test_long_lists_of_numbers_are_one_step(packed: bool) -> None:
    count = 2 * profile.MESSAGE_FIELDS
    attribute = (
        field(7, b"\0\0\x80\x3f" * count) + field(8, b"\x96\x01" * count)
        if packed
        else b"\x3d\0\0\x80\x3f" * count + b"\x40\x96\x01" * count
    )
    data = node(field(5, attribute))
    started = time.perf_counter()
    wire.scan(data)
    assert time.perf_counter() - started < 2
    parsed = onnx.ModelProto.FromString(data).graph.node[0].attribute[0]
    assert (len(parsed.floats), parsed.ints[-1]) == (count, 150)


@settings(max_examples=300)
@given(st.binary(max_size=60))
def test_random_bytes_are_refused_or_parse(data: bytes) -> None:
    try:
        wire.scan(data)
    except ModelRejected:
        return
    onnx.ModelProto.FromString(data)


def test_what_exporters_write_passes(model: Callable[..., Any]) -> None:
    built = model([helper.make_node("Relu", ["x"], ["y"], doc_string="d")], ["y"])
    built.metadata_props.add(key="k", value="v")
    built.graph.value_info.append(helper.make_tensor_value_info("v", 1, ["batch", 3]))
    sequence = helper.make_sequence_type_proto(helper.make_tensor_type_proto(1, [1]))
    built.graph.value_info.append(helper.make_value_info("s", sequence))
    wire.scan(built.SerializeToString())
