"""NumPy files in: archives, memory-mapped pairs, and what bad ones are told."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from danku.dataset import table as table_module
from danku.dataset.sources import read_source
from danku.dataset.table import ColumnMissing, FeatureBroken, SourceBroken, Table, TargetBroken
from danku.dataset.table import release as release_pages

FEATURES = np.arange(12, dtype=np.float32).reshape(4, 3)
KINDS = np.array([1, 0, 1, 0])


class Exploit:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("a pickle was executed",))


def write(folder: Path, source: str, features: np.ndarray, **others: np.ndarray) -> Path:
    path = folder / f"data.{source}"
    if source == "npz":
        np.savez(path, features=features, **others)
    else:
        np.save(path, features)
        for name, array in others.items():
            np.save(folder / f"{name}.npy", array)
    return path


def read(
    path: Path,
    *,
    target: str = "kinds",
    dtype: str = "float32",
    shape: tuple[int, ...] = (3,),
    classes: tuple[str, ...] = ("0", "1"),
    group_by: str | None = None,
) -> Table:
    return read_source(
        path, target, dtype=dtype, row_shape=shape, classes=classes, group_by=group_by
    )


@pytest.fixture(params=["npz", "npy"])
def source(request: pytest.FixtureRequest) -> str:
    return request.param


def test_features_and_target(tmp_path: Path, source: str) -> None:
    table = read(write(tmp_path, source, FEATURES, kinds=KINDS))
    np.testing.assert_array_equal(table.features, FEATURES)
    assert table.target.dtype == np.int64
    assert table.target.tolist() == KINDS.tolist()
    assert table.columns == ()


@pytest.mark.parametrize(
    "kinds",
    [
        np.array([1.0, 0.0, 1.0, 0.0]),
        np.array([True, False, True, False]),
        np.array(["1", "0", "1", "0"]),
        np.array([b"1", b"0", b"1.0", b"0"]),
        np.array([1, 0, 1, 0], ">u2"),
    ],
    ids=lambda kinds: str(kinds.dtype),
)
def test_classes_in_every_type(tmp_path: Path, source: str, kinds: np.ndarray) -> None:
    assert read(write(tmp_path, source, FEATURES, kinds=kinds)).target.tolist() == [1, 0, 1, 0]


def test_classes_by_name(tmp_path: Path, source: str) -> None:
    path = write(tmp_path, source, FEATURES, kinds=np.array(["b", "a", "b", "c"]))
    assert read(path, classes=("c", "b", "a")).target.tolist() == [1, 2, 1, 0]


def test_values_to_predict(tmp_path: Path, source: str) -> None:
    for dtype in ("int32", "float32", "float64", ">f8"):
        path = write(tmp_path, source, FEATURES, kinds=KINDS.astype(dtype))
        table = read(path, classes=())
        assert table.target.dtype == np.float64
        assert table.target.tolist() == KINDS.tolist()


def test_keys_of_any_type(tmp_path: Path, source: str) -> None:
    owners = np.array(["x", "y", "x", "z"])
    table = read(write(tmp_path, source, FEATURES, kinds=KINDS, owners=owners), group_by="owners")
    assert table.group_keys is not None
    keys = table.group_keys.tolist()
    assert keys[0] == keys[2]
    assert len(set(keys)) == 3


def test_npy_is_memory_mapped_and_stays_so(tmp_path: Path) -> None:
    values = np.linspace(0, 1, 4)
    table = read(write(tmp_path, "npy", FEATURES, kinds=values), classes=())
    assert isinstance(table.features, np.memmap)
    assert isinstance(table.target, np.memmap)
    assert not table.features.flags.writeable


def test_letting_go_of_pages_loses_nothing(tmp_path: Path) -> None:
    table = read(write(tmp_path, "npy", FEATURES, kinds=KINDS))
    release_pages(table.features[1:])
    np.testing.assert_array_equal(table.features, FEATURES)
    for mode, value in (("c", 77), ("r+", 78)):
        changed = np.load(tmp_path / "data.npy", mmap_mode=mode)
        changed[0, 0] = value
        release_pages(changed)
        assert changed[0, 0] == value


@pytest.mark.parametrize("block_bytes", [1, 24, 50])
def test_places_are_right_in_every_block(
    tmp_path: Path, source: str, monkeypatch: pytest.MonkeyPatch, block_bytes: int
) -> None:
    monkeypatch.setattr(table_module, "BLOCK_BYTES", block_bytes)
    path = write(tmp_path, source, FEATURES, kinds=KINDS)
    assert read(path).target.tolist() == KINDS.tolist()
    with pytest.raises(FeatureBroken, match=re.escape("[3, 1]: the feature is infinite")):
        read(write(tmp_path, source, bad(np.inf, (3, 1)), kinds=KINDS))
    for classes, kinds in ((("0", "1"), [1, 0, 0, 7]), ((), [1.0, 0.0, 0.0, np.inf])):
        path = write(tmp_path, source, FEATURES, kinds=np.array(kinds))
        with pytest.raises(TargetBroken, match=re.escape("[3]: the target")):
            read(path, classes=classes)


def test_the_target_may_be_given_with_its_suffix(tmp_path: Path) -> None:
    path = write(tmp_path, "npy", FEATURES, kinds=KINDS)
    assert read(path, target="kinds.npy").rows == 4


@pytest.mark.parametrize(
    ("features", "dtype"),
    [
        (FEATURES.astype(np.float64), "float32"),
        (FEATURES.astype(np.int64), "float32"),
        (FEATURES.astype(">f4"), "float32"),
        (np.asfortranarray(FEATURES), "float32"),
        (FEATURES.astype(np.int64), "uint8"),
        (FEATURES.astype(np.uint8), "int64"),
        (FEATURES > 3, "float32"),
    ],
    ids=["f8", "i8", "big-endian", "fortran", "i8 to u1", "u1 to i8", "bool"],
)
def test_other_number_types_that_fit(
    tmp_path: Path, source: str, features: np.ndarray, dtype: str
) -> None:
    table = read(write(tmp_path, source, features, kinds=KINDS), dtype=dtype)
    np.testing.assert_array_equal(table.features.astype(dtype), features.astype(dtype))
    assert table.dtype == dtype


def bad(value: float, place: tuple[int, int] = (2, 1), dtype: str = "float64") -> np.ndarray:
    features = FEATURES.astype(dtype)
    features[place] = value
    return features


@pytest.mark.parametrize(
    ("features", "dtype", "words"),
    [
        (bad(np.inf), "float32", ["[2, 1]", "infinite"]),
        (bad(-np.inf, dtype="float32"), "float64", ["[2, 1]", "infinite"]),
        (bad(1e300), "float32", ["[2, 1]", "1e+300", "float32"]),
        (bad(256, dtype="int64"), "uint8", ["[2, 1]", "256", "uint8"]),
        (bad(-1, dtype="int32"), "uint8", ["[2, 1]", "-1"]),
        (FEATURES, "int64", ["float32", "int64"]),
        (FEATURES.astype(np.complex64), "float32", ["complex64"]),
        (FEATURES.astype(str), "float32", ["<U"]),
    ],
)
def test_features_that_do_not_fit(
    tmp_path: Path, source: str, features: np.ndarray, dtype: str, words: list[str]
) -> None:
    with pytest.raises(FeatureBroken) as refusal:
        read(write(tmp_path, source, features, kinds=KINDS), dtype=dtype)
    assert [word for word in words if word not in refusal.value.what] == []
    assert refusal.value.fix


def test_nan_is_a_missing_feature(tmp_path: Path, source: str) -> None:
    table = read(write(tmp_path, source, bad(np.nan), kinds=KINDS))
    assert np.isnan(table.features[2, 1])


@pytest.mark.parametrize(
    ("kinds", "classes", "words"),
    [
        (np.array([1.0, 0, np.nan, 0]), ("0", "1"), ["[2]", "nan"]),
        (np.array([1.0, 0, np.nan, 0]), (), ["[2]", "nan"]),
        (np.array([1.0, 0, np.inf, 0]), (), ["[2]", "inf"]),
        (np.array(["1", "0", "", "0"]), ("0", "1"), ["[2]", "empty"]),
        (np.array(["1", "0", "x", "0"]), (), ["[0]", "'1'"]),
        (np.array([1, 0, 2, 0]), ("0", "1"), ["[2]", "2", "'0', '1'"]),
        (np.array([1, 0, 1, 0]), ("0", "1", "2"), ["'2'", "no row"]),
        (np.array([0.5, 0, 1, 0]), ("0", "1"), ["[0]", "0.5"]),
    ],
)
def test_targets_that_cannot_be_used(
    tmp_path: Path, source: str, kinds: np.ndarray, classes: tuple[str, ...], words: list[str]
) -> None:
    with pytest.raises(TargetBroken) as refusal:
        read(write(tmp_path, source, FEATURES, kinds=kinds), classes=classes)
    assert [word for word in words if word not in refusal.value.what] == []


def test_shapes_that_do_not_match(tmp_path: Path, source: str) -> None:
    with pytest.raises(SourceBroken, match=r"shape \[4, 3\], expected \[rows, 3, 1\]"):
        read(write(tmp_path, source, FEATURES, kinds=KINDS), shape=(3, 1))
    with pytest.raises(SourceBroken, match=r"shape \[3\], expected \[4\]"):
        read(write(tmp_path, source, FEATURES, kinds=KINDS[:3]))
    with pytest.raises(SourceBroken, match=r"shape \[4, 1\], expected \[4\]"):
        read(write(tmp_path, source, FEATURES, kinds=KINDS[:, None]))


def test_no_rows(tmp_path: Path, source: str) -> None:
    with pytest.raises(SourceBroken):
        read(write(tmp_path, source, FEATURES[:0], kinds=KINDS[:0]))


def test_a_pickle_is_never_loaded(tmp_path: Path, source: str) -> None:
    objects = np.array([Exploit()] * 4, dtype=object)
    for features, kinds in ((objects, KINDS), (FEATURES, objects)):
        path = tmp_path / f"data.{source}"
        if source == "npz":
            np.savez(path, features=features, kinds=kinds, allow_pickle=True)
        else:
            np.save(path, features, allow_pickle=True)
            np.save(tmp_path / "kinds.npy", kinds, allow_pickle=True)
        with pytest.raises(SourceBroken):
            read(path)
    path.write_bytes(pickle.dumps(Exploit()))
    with pytest.raises(SourceBroken, match="NumPy's format"):
        read(path)


@pytest.mark.parametrize("keep", [0, 5, 40, 130, -1])
def test_a_truncated_file(tmp_path: Path, source: str, keep: int) -> None:
    path = write(tmp_path, source, FEATURES, kinds=KINDS)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(SourceBroken) as refusal:
        read(path)
    assert path.name in refusal.value.what


def test_a_header_that_claims_too_much(tmp_path: Path, source: str) -> None:
    path = write(tmp_path, source, FEATURES, kinds=KINDS)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"(4, 3)", b"(4, 9)", 1))
    with pytest.raises(SourceBroken):
        read(path)


def test_missing_arrays_are_listed(tmp_path: Path) -> None:
    path = write(tmp_path, "npz", FEATURES, kinds=KINDS)
    with pytest.raises(ColumnMissing, match="no array 'kind'") as refusal:
        read(path, target="kind")
    assert "features, kinds" in refusal.value.why
    assert "'kinds'" in refusal.value.fix
    np.savez(path, x=FEATURES, kinds=KINDS)
    with pytest.raises(ColumnMissing, match="no array 'features'"):
        read(path)


def test_missing_files_are_listed(tmp_path: Path) -> None:
    path = write(tmp_path, "npy", FEATURES, kinds=KINDS)
    with pytest.raises(ColumnMissing, match=r"no file 'kind\.npy'") as refusal:
        read(path, target="kind")
    assert "kinds.npy" in refusal.value.why
    for name in ("../kinds", "/etc/kinds", "sub/kinds.npy"):
        with pytest.raises(SourceBroken, match="not the name of a file"):
            read(path, target=name)


def test_one_kind_under_the_other_suffix(tmp_path: Path) -> None:
    archive = write(tmp_path, "npz", FEATURES, kinds=KINDS)
    single = write(tmp_path, "npy", FEATURES, kinds=KINDS)
    data = archive.read_bytes()
    archive.write_bytes(single.read_bytes())
    with pytest.raises(SourceBroken, match="cannot be read"):
        read(archive)
    single.write_bytes(data)
    with pytest.raises(SourceBroken, match="cannot be read"):
        read(single)
