"""Pulled rows are the committed ones to the last bit, in every format."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from safetensors.numpy import load_file

from danku.dataset.groups import decode_group
from danku.dataset.sources import read_source
from danku.errors import DataError, UsageError
from danku.protocol.manifest import (
    DataDescription,
    EvaluationTerms,
    Manifest,
    MechanismTerms,
    ModelContract,
)
from danku.protocol.types import Score
from danku.roles.evidence import Rows, fetch_rows
from danku.roles.pull import FORMATS, UnknownFormat, write_rows
from tests.roles.conftest import ArenaAt


def manifest(
    shape: tuple[int, ...],
    columns: tuple[str, ...],
    classes: tuple[str, ...] = (),
    dtype: Any = "float32",
) -> Manifest:
    return Manifest(
        name="pulled",
        title="Pulled",
        summary="",
        data=DataDescription(columns, "kind", 1),
        evaluation=EvaluationTerms(metric="accuracy", threshold=Score(0)),
        model=ModelContract(shape, "label" if classes else "value", dtype, classes),
        mechanism=MechanismTerms(name="winner-takes-all"),
    )


def same(first: NDArray[Any], second: NDArray[Any]) -> None:
    """Equal to the last bit, NaN included."""
    assert (first.dtype, first.shape) == (second.dtype, second.shape)
    assert first.tobytes() == second.tobytes()


@pytest.fixture(scope="module")
def pulled(stages: ArenaAt) -> tuple[Rows, Manifest]:
    arena = stages("claim")
    return fetch_rows(arena.host, arena.challenge, arena.manifest, "train"), arena.manifest


def test_npz(pulled: tuple[Rows, Manifest], tmp_path: Path) -> None:
    rows, terms = pulled
    write_rows(tmp_path / "train.npz", rows, terms)
    with np.load(tmp_path / "train.npz", allow_pickle=False) as archive:
        assert sorted(archive.files) == ["features", "target"]
        same(archive["features"], rows.features)
        same(archive["target"], rows.target)


def test_safetensors(pulled: tuple[Rows, Manifest], tmp_path: Path) -> None:
    rows, terms = pulled
    path = tmp_path / "train.safetensors"
    write_rows(path, rows, terms)
    tensors = load_file(path)
    same(tensors["features"], rows.features)
    features, target = decode_group(path.read_bytes(), "float32", (2,), classes=2)
    same(features, rows.features)
    same(target, rows.target)


def test_csv_reads_as_a_source_of_its_own(pulled: tuple[Rows, Manifest], tmp_path: Path) -> None:
    rows, terms = pulled
    path = tmp_path / "train.csv"
    write_rows(path, rows, terms)
    header, first, *_ = path.read_text().splitlines()
    assert header == "level,number,kind"
    assert first.split(",")[-1] in ("no", "yes")
    table = read_source(
        path, "kind", dtype="float32", row_shape=(2,), classes=("no", "yes"), group_by=None
    )
    assert table.columns == ("level", "number")
    same(np.asarray(table.features, np.float32), rows.features)
    same(table.target, rows.target)


@given(
    features=hnp.arrays(
        np.float32, (3, 2), elements=st.floats(width=32, allow_infinity=False, allow_nan=False)
    ),
    target=hnp.arrays(np.float64, 3, elements=st.floats(allow_infinity=False, allow_nan=False)),
)
def test_csv_keeps_every_bit(
    tmp_path_factory: pytest.TempPathFactory,
    features: NDArray[np.float32],
    target: NDArray[np.float64],
) -> None:
    path = tmp_path_factory.getbasetemp() / "bits.csv"
    columns = ('a "quoted", name', "line\nbreak")
    write_rows(path, Rows(features, target), manifest((2,), columns))
    table = read_source(path, "kind", dtype="float32", row_shape=(2,), classes=(), group_by=None)
    assert table.columns == columns
    same(np.asarray(table.features, np.float32), features)
    same(table.target, target)


def test_csv_keeps_missing_values(tmp_path: Path) -> None:
    path = tmp_path / "missing.csv"
    features = np.array([[np.nan, 1.5]], np.float32)
    write_rows(path, Rows(features, np.array([2.0])), manifest((2,), ("a", "b")))
    table = read_source(path, "kind", dtype="float32", row_shape=(2,), classes=(), group_by=None)
    np.testing.assert_array_equal(np.asarray(table.features), features)


@pytest.mark.parametrize("dtype", ["float64", "int64", "int32", "uint8", "int8"])
@pytest.mark.parametrize("suffix", FORMATS)
def test_other_types_and_shapes(tmp_path: Path, dtype: str, suffix: str) -> None:
    path = tmp_path / f"images{suffix}"
    features = np.arange(24).reshape(2, 3, 4).astype(dtype)
    target = np.array([1, 0])
    terms = manifest((3, 4), (), ("cat", "dog"), dtype)
    write_rows(path, Rows(features, target), terms)
    if suffix == ".csv":
        lines = path.read_text().splitlines()
        assert lines[0].split(",") == [*(f"x{place}" for place in range(12)), "kind"]
        assert [line.split(",")[-1] for line in lines[1:]] == ["dog", "cat"]
        read = read_source(
            path, "kind", dtype=dtype, row_shape=(3, 4), classes=("cat", "dog"), group_by=None
        )
        same(np.asarray(read.features, dtype), features)
        same(read.target, target)
    else:
        read_back = np.load(path) if suffix == ".npz" else load_file(path)
        same(read_back["features"], features)
        same(read_back["target"], target)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_yardstick_stands_apart(
    pulled: tuple[Rows, Manifest], tmp_path: Path, suffix: str
) -> None:
    rows, terms = pulled
    apart = Rows(rows.features[:5:2], rows.target[:5:2])
    learning = Rows(rows.features[5:], rows.target[5:])
    path = tmp_path / f"train{suffix}"
    written = write_rows(path, learning, terms, apart)
    assert sorted(written) == sorted(tmp_path.iterdir())
    assert written[0] == path
    if suffix == ".csv":
        assert [each.name for each in written] == ["train.csv", "train-yardstick.csv"]
        for each, expected in zip(written, (learning, apart), strict=True):
            table = read_source(
                each, "kind", dtype="float32", row_shape=(2,), classes=("no", "yes"), group_by=None
            )
            same(np.asarray(table.features, np.float32), expected.features)
            same(table.target, expected.target)
        return
    assert written == (path,)
    if suffix == ".npz":
        with np.load(path) as archive:
            read = dict(archive)
    else:
        read = load_file(path)
    assert sorted(read) == ["features", "target", "yardstick_features", "yardstick_target"]
    same(read["features"], learning.features)
    same(read["target"], learning.target)
    same(read["yardstick_features"], apart.features)
    same(read["yardstick_target"], apart.target)


@pytest.mark.parametrize("name", ["train", "train.parquet", "train.NPZ", ".npz", "train.csv.gz"])
def test_an_ending_that_says_nothing(
    pulled: tuple[Rows, Manifest], tmp_path: Path, name: str
) -> None:
    with pytest.raises(UnknownFormat) as raised:
        write_rows(tmp_path / name, *pulled)
    assert isinstance(raised.value, UsageError)
    assert all(ending in raised.value.fix for ending in FORMATS)
    assert not list(tmp_path.iterdir())


def test_where_nothing_can_be_written(pulled: tuple[Rows, Manifest], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be written"):
        write_rows(tmp_path / "missing" / "train.csv", *pulled)
    (tmp_path / "train.csv").mkdir()
    with pytest.raises(DataError, match="cannot be written"):
        write_rows(tmp_path / "train.csv", *pulled)


def test_a_failed_write_leaves_the_earlier_file(
    pulled: tuple[Rows, Manifest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "train.csv"
    path.write_text("earlier")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match="No space"):
        write_rows(path, *pulled)
    assert path.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [path]
