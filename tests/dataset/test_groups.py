"""Rows into groups, and groups into bytes and back."""

from __future__ import annotations

import hashlib
import json
import struct
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from danku.crypto.hashing import domain
from danku.dataset import groups
from danku.dataset.groups import (
    GROUPS_LIMIT,
    GroupBroken,
    TooFewRows,
    TooManyGroups,
    decode_group,
    encode_group,
    plan_groups,
)
from danku.errors import DataError

SEED = bytes(range(32))
DTYPES = ["float32", "float64", "int64", "int32", "uint8", "int8"]


def as_lists(plan: list[np.ndarray]) -> list[list[int]]:
    return [group.tolist() for group in plan]


class TestPlan:
    def test_in_the_order_of_the_file_the_last_one_short(self) -> None:
        assert as_lists(plan_groups(7, 3)) == [[0, 1, 2], [3, 4, 5], [6]]

    def test_a_seed_shuffles_as_documented(self) -> None:
        stream = hashlib.shake_256(domain("row-order") + SEED).digest(8 * 10)
        words = [int.from_bytes(stream[i : i + 8], "little") for i in range(0, 80, 8)]
        order = sorted(range(10), key=words.__getitem__)
        assert as_lists(plan_groups(10, 4, SEED)) == [order[:4], order[4:8], order[8:]]

    def test_the_order_is_frozen(self) -> None:
        assert as_lists(plan_groups(10, 5, SEED)) == [[3, 9, 8, 5, 2], [7, 1, 6, 0, 4]]

    def test_equal_words_leave_their_rows_in_order(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Constant:
            def digest(self, length: int) -> bytes:
                return bytes(length)

        monkeypatch.setattr(groups.hashlib, "shake_256", lambda data: Constant())
        assert as_lists(plan_groups(40, 20, SEED)) == [list(range(20)), list(range(20, 40))]

    @given(
        rows=st.integers(2, 300),
        group_rows=st.integers(1, 299),
        seed=st.none() | st.binary(min_size=32, max_size=32),
    )
    def test_every_row_is_in_one_group(self, rows: int, group_rows: int, seed: bytes) -> None:
        if rows <= group_rows:
            with pytest.raises(TooFewRows):
                plan_groups(rows, group_rows, seed)
            return
        plan = plan_groups(rows, group_rows, seed)
        assert [len(group) for group in plan[:-1]] == [group_rows] * (len(plan) - 1)
        assert 0 < len(plan[-1]) <= group_rows
        assert sorted(np.concatenate(plan).tolist()) == list(range(rows))

    @given(
        keys=st.lists(st.integers(-5, 20), min_size=1, max_size=200),
        group_rows=st.integers(1, 50),
        seed=st.none() | st.binary(min_size=32, max_size=32),
    )
    def test_equal_keys_stay_together(
        self, keys: list[int], group_rows: int, seed: bytes | None
    ) -> None:
        try:
            plan = plan_groups(len(keys), group_rows, seed, np.array(keys))
        except TooFewRows:
            largest = max(keys.count(key) for key in keys)
            assert len(keys) < 2 * group_rows + largest
            return
        assert sorted(np.concatenate(plan).tolist()) == list(range(len(keys)))
        home: dict[int, int] = {}
        for index, group in enumerate(plan):
            assert all(home.setdefault(keys[row], index) == index for row in group.tolist())
        for group in plan[:-1]:
            kept = [keys[row] for row in group.tolist()]
            assert len(kept) >= group_rows
            assert len(kept) - kept.count(kept[-1]) < group_rows

    @given(keys=st.lists(st.integers(0, 9), min_size=1, max_size=60), group_rows=st.integers(1, 12))
    def test_keys_fill_one_group_after_the_other(self, keys: list[int], group_rows: int) -> None:
        expected: list[list[int]] = [[]]
        for key in dict.fromkeys(keys):
            if len(expected[-1]) >= group_rows:
                expected.append([])
            expected[-1] += [row for row, other in enumerate(keys) if other == key]
        if len(expected) < 2:
            with pytest.raises(TooFewRows):
                plan_groups(len(keys), group_rows, None, np.array(keys))
        else:
            assert as_lists(plan_groups(len(keys), group_rows, None, np.array(keys))) == expected

    def test_without_a_seed_keys_come_in_the_order_of_their_first_rows(self) -> None:
        keys = np.array([9, 3, 9, 5, 3, 1])
        assert as_lists(plan_groups(6, 2, None, keys)) == [[0, 2], [1, 4], [3, 5]]

    def test_with_a_seed_it_is_the_keys_that_are_shuffled(self) -> None:
        keys = np.repeat(np.arange(10), 3)
        order = np.concatenate(plan_groups(10, 5, SEED)).tolist()
        rows = np.concatenate(plan_groups(30, 5, SEED, keys)).tolist()
        assert rows == [key * 3 + i for key in order for i in range(3)]

    @pytest.mark.parametrize(
        ("rows", "group_rows", "keys"),
        [(0, 1, None), (1, 1, None), (10, 10, None), (10, 11, None), (10, 2, [4] * 10)],
    )
    def test_too_few_rows_says_the_numbers(
        self, rows: int, group_rows: int, keys: list[int] | None
    ) -> None:
        with pytest.raises(TooFewRows) as refusal:
            plan_groups(rows, group_rows, SEED, None if keys is None else np.array(keys))
        assert refusal.value.exit_code == 5
        assert f"{rows} rows" in refusal.value.what
        assert f"groups of {group_rows} rows" in refusal.value.what
        assert refusal.value.fix

    def test_too_many_groups_says_how_many_rows_would_do(self) -> None:
        rows = 3 * GROUPS_LIMIT - 1
        with pytest.raises(TooManyGroups) as refusal:
            plan_groups(rows, 2)
        assert "to 3 or more" in refusal.value.fix
        assert len(plan_groups(rows, 3)) == GROUPS_LIMIT

    @pytest.mark.parametrize("length", [0, 31, 33])
    def test_a_seed_has_32_bytes(self, length: int) -> None:
        with pytest.raises(DataError, match="32 bytes"):
            plan_groups(10, 2, bytes(length))

    def test_millions_of_rows_take_seconds(self) -> None:
        started = time.perf_counter()
        plan = plan_groups(3_000_000, 300, SEED)
        assert time.perf_counter() - started < 3
        assert len(plan) == 10_000

    def test_each_place_is_as_likely_as_any_other(self) -> None:
        counts = np.zeros((6, 6))
        for number in range(3_000):
            order = np.concatenate(plan_groups(6, 2, number.to_bytes(32, "big")))
            counts[np.arange(6), order] += 1
        squares = ((counts - 500) ** 2 / 500).sum()
        assert squares < 61.1  # chi-squared with 25 degrees of freedom exceeds it once in 10^4


def arrays(rows: int = 3, dtype: str = "float32") -> tuple[np.ndarray, np.ndarray]:
    features = np.arange(rows * 2).reshape(rows, 2).astype(dtype)
    return features, np.arange(rows) % 2


GOLDEN = {
    "classes": (
        arrays(),
        '{"target":{"dtype":"I64","shape":[3],"data_offsets":[0,24]},'
        '"features":{"dtype":"F32","shape":[3,2],"data_offsets":[24,48]}}    ',
        "000000000000000001000000000000000000000000000000"
        "000000000000803f000000400000404000008040" + "0000a040",
    ),
    "values": (
        (np.array([[1.0], [-0.0]]), np.array([0.5, 2.0])),
        '{"features":{"dtype":"F64","shape":[2,1],"data_offsets":[0,16]},'
        '"target":{"dtype":"F64","shape":[2],"data_offsets":[16,32]}}    ',
        "000000000000f03f0000000000000080000000000000e03f0000000000000040",
    ),
    "bytes": (
        (np.array([1, 2], np.uint8), np.array([1, 0])),
        '{"target":{"dtype":"I64","shape":[2],"data_offsets":[0,16]},'
        '"features":{"dtype":"U8","shape":[2],"data_offsets":[16,18]}}       ',
        "0100000000000000000000000000000001" + "02",
    ),
}


@pytest.mark.parametrize(("group", "header", "data"), GOLDEN.values(), ids=GOLDEN.keys())
def test_the_bytes_of_a_group_are_frozen(
    group: tuple[np.ndarray, np.ndarray], header: str, data: str
) -> None:
    expected = struct.pack("<Q", len(header)) + header.encode() + bytes.fromhex(data)
    assert encode_group(*group) == expected


@pytest.mark.parametrize(
    "change",
    [
        np.asfortranarray,
        lambda array: array.astype(array.dtype.newbyteorder(">")),
        lambda array: np.repeat(array, 2, axis=0)[::2],
        lambda array: array[::-1][::-1],
    ],
    ids=["fortran", "big-endian", "strided", "reversed"],
)
def test_the_bytes_do_not_depend_on_how_arrays_lie_in_memory(change) -> None:
    features, target = arrays()
    assert encode_group(change(features), change(target)) == encode_group(features, target)


@settings(max_examples=60)
@given(
    dtype=st.sampled_from(DTYPES),
    rows=st.integers(1, 5),
    shape=st.lists(st.integers(1, 3), max_size=3),
    classes=st.integers(0, 4),
    data=st.data(),
)
def test_a_group_comes_back(
    dtype: str, rows: int, shape: list[int], classes: int, data: st.DataObject
) -> None:
    size = rows * int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = data.draw(st.binary(min_size=size, max_size=size))
    features = np.frombuffer(raw, dtype).reshape(rows, *shape)
    target = np.arange(rows) % classes if classes else np.linspace(-1, 1, rows)
    encoded = encode_group(features, target)
    again = decode_group(encoded, dtype, shape, classes=classes)
    assert again[0].tobytes() == raw
    assert again[0].shape == features.shape
    assert again[0].dtype == np.dtype(dtype)
    np.testing.assert_array_equal(again[1], target)
    assert again[1].dtype == (np.int64 if classes else np.float64)


def safetensors(header: dict[str, object], data: bytes, padding: int = 0) -> bytes:
    text = json.dumps(header, separators=(",", ":")).encode() + b" " * padding
    return struct.pack("<Q", len(text)) + text + data


def tensor(dtype: str, shape: list[int], start: int, stop: int) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


TARGET = tensor("I64", [2], 0, 16)
FEATURES = tensor("F32", [2, 1], 16, 24)
WELL_FORMED = safetensors({"target": TARGET, "features": FEATURES}, bytes(24), 4)
STRANGE = {
    "nothing": b"",
    "no header": b"\0" * 8,
    "not safetensors": b"PK\3\4 something else entirely",
    "header that never ends": struct.pack("<Q", 2**63) + b"{}",
    "cut": WELL_FORMED[:-1],
    "trailing byte": WELL_FORMED + b"\0",
    "metadata": safetensors(
        {"__metadata__": {"a": "b"}, "target": TARGET, "features": FEATURES}, bytes(24), 1
    ),
    "other order": safetensors({"features": FEATURES, "target": TARGET}, bytes(24), 4),
    "other padding": safetensors({"target": TARGET, "features": FEATURES}, bytes(24), 12),
    "tab in the header": WELL_FORMED.replace(b"    ", b"\t   ", 1),
    "features before": safetensors(
        {"target": tensor("I64", [2], 8, 24), "features": tensor("F32", [2, 1], 0, 8)},
        bytes(24),
        5,
    ),
    "overlapping": safetensors(
        {"target": TARGET, "features": tensor("F32", [2, 1], 8, 16)}, bytes(24), 5
    ),
    "one more tensor": safetensors(
        {"target": TARGET, "features": FEATURES, "x": tensor("U8", [1], 24, 25)}, bytes(25)
    ),
    "no target": safetensors({"features": tensor("F32", [2, 1], 0, 8)}, bytes(8)),
    "no features": safetensors({"target": TARGET}, bytes(16)),
    "float16": safetensors(
        {"target": TARGET, "features": tensor("F16", [2, 1], 16, 20)}, bytes(20), 4
    ),
    "bfloat16": safetensors(
        {"target": TARGET, "features": tensor("BF16", [2, 1], 16, 20)}, bytes(20), 4
    ),
    "bool": safetensors(
        {"target": TARGET, "features": tensor("BOOL", [2, 1], 16, 18)}, bytes(18), 4
    ),
    "wider rows": encode_group(np.zeros((2, 2), np.float32), np.zeros(2, np.int64)),
    "flat rows": encode_group(np.zeros(2, np.float32), np.zeros(2, np.int64)),
    "other type": encode_group(np.zeros((2, 1), np.float64), np.zeros(2, np.int64)),
    "more targets": encode_group(np.zeros((2, 1), np.float32), np.zeros(3, np.int64)),
    "target in two dimensions": encode_group(
        np.zeros((2, 1), np.float32), np.zeros((2, 1), np.int64)
    ),
    "float target": encode_group(np.zeros((2, 1), np.float32), np.zeros(2)),
    "int32 target": encode_group(np.zeros((2, 1), np.float32), np.zeros(2, np.int32)),
    "no rows": encode_group(np.zeros((0, 1), np.float32), np.zeros(0, np.int64)),
    "class too high": encode_group(np.zeros((2, 1), np.float32), np.array([0, 3])),
    "class below zero": encode_group(np.zeros((2, 1), np.float32), np.array([0, -1])),
}


def test_the_group_that_the_strange_ones_deviate_from_is_fine() -> None:
    features, target = decode_group(WELL_FORMED, "float32", [1], classes=3)
    assert features.tolist() == [[0], [0]]
    assert target.tolist() == [0, 0]


@pytest.mark.parametrize("data", STRANGE.values(), ids=STRANGE.keys())
def test_a_strange_group_is_refused(data: bytes) -> None:
    with pytest.raises(GroupBroken) as refusal:
        decode_group(data, "float32", [1], classes=3)
    assert refusal.value.exit_code == 5


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_refused(value: float) -> None:
    data = encode_group(np.zeros((2, 1), np.float32), np.array([0.0, value]))
    with pytest.raises(GroupBroken, match="not a finite number"):
        decode_group(data, "float32", [1], classes=0)


def test_a_group_that_is_too_large_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(GroupBroken, match="at most 10 are allowed"):
        decode_group(b"x" * 11, "float32", [1], classes=3, max_bytes=10)


@settings(max_examples=300)
@given(data=st.data())
def test_any_change_of_the_header_is_refused_or_another_group(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(WELL_FORMED) - 1))
    flip = data.draw(st.integers(1, 255))
    changed = bytearray(WELL_FORMED)
    changed[place] ^= flip
    try:
        again = decode_group(bytes(changed), "float32", [1], classes=3)
    except GroupBroken:
        return
    assert encode_group(*again) == changed
