"""Parquet in, where pyarrow is installed, and the advice where it is not."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from danku.dataset.sources import read_source
from danku.dataset.table import ColumnMissing, FeatureBroken, SourceBroken, Table, TargetBroken


def read(path: Path, **options: Any) -> Table:
    settings = {"dtype": "float32", "row_shape": (2,), "classes": ("no", "yes"), "group_by": None}
    return read_source(path, "answer", **(settings | options))


def test_without_pyarrow_the_error_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(SourceBroken) as refusal:
        read(tmp_path / "data.parquet")
    assert "pip install 'danku[parquet]'" in refusal.value.fix


class TestWithPyarrow:
    @pytest.fixture(autouse=True)
    def _arrow(self) -> None:
        self.arrow: Any = pytest.importorskip("pyarrow")
        self.parquet: Any = pytest.importorskip("pyarrow.parquet")

    def write(self, folder: Path, **columns: Any) -> Path:
        path = folder / "data.parquet"
        self.parquet.write_table(self.arrow.table(columns), path, row_group_size=2)
        return path

    def test_columns_in_the_files_order(self, tmp_path: Path) -> None:
        path = self.write(
            tmp_path, b=[1.5, 2.5, None], answer=["yes", "no", "yes"], a=[4, 5, 6], who=[7, 8, 7]
        )
        table = read(path, group_by="who")
        assert table.columns == ("b", "a")
        np.testing.assert_array_equal(
            table.features, np.array([[1.5, 4], [2.5, 5], [np.nan, 6]], np.float32)
        )
        assert table.features.dtype == np.float32
        assert table.target.tolist() == [1, 0, 1]
        assert table.group_keys is not None
        assert table.group_keys.tolist() == [0, 1, 0]

    def test_a_dictionary_of_text_and_a_column_with_a_dot(self, tmp_path: Path) -> None:
        answer = self.arrow.array(["yes", "no"]).dictionary_encode()
        path = self.write(tmp_path, **{"a": [1.0, 2.0], "a.b": [3.0, 4.0], "answer": answer})
        table = read(path)
        assert table.features.tolist() == [[1, 3], [2, 4]]
        assert table.target.tolist() == [1, 0]

    def test_values_to_predict(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, a=[1, 2], b=[3, 4], answer=[5, 6])
        assert read(path, classes=()).target.tolist() == [5.0, 6.0]

    @pytest.mark.parametrize(
        ("change", "kind", "words"),
        [
            ({"a": ["x", "y"]}, FeatureBroken, "column 'a'"),
            ({"a": [1.0, float("inf")]}, FeatureBroken, "column 'a', row 1"),
            ({"answer": ["yes", None]}, TargetBroken, "row 1: the target is empty"),
            ({"answer": ["yes", "maybe"]}, TargetBroken, "row 1"),
            ({"answer": ["yes", "yes"]}, TargetBroken, "'no'"),
            ({"c": [1, 2]}, SourceBroken, "3 feature columns"),
        ],
    )
    def test_bad_cells(
        self, tmp_path: Path, change: dict[str, Any], kind: type[SourceBroken], words: str
    ) -> None:
        columns = {"a": [1.0, 2.0], "b": [3.0, 4.0], "answer": ["yes", "no"]}
        with pytest.raises(kind, match=words):
            read(self.write(tmp_path, **(columns | change)))

    def test_a_missing_cell_has_no_place_in_whole_numbers(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, a=[1, None], b=[3, 4], answer=["yes", "no"])
        with pytest.raises(FeatureBroken, match="column 'a': 1 cells are null"):
            read(path, dtype="int64")

    def test_bad_files(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, a=[1, 2], b=[3, 4], answers=["yes", "no"])
        with pytest.raises(ColumnMissing) as refusal:
            read(path)
        assert "'answers'" in refusal.value.fix
        path.write_bytes(path.read_bytes()[:-20])
        with pytest.raises(SourceBroken, match="cannot be read as parquet"):
            read(path)
        with pytest.raises(SourceBroken, match="cannot be read"):
            read(tmp_path / "absent.parquet")
