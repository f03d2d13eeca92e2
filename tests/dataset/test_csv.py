"""CSV in: what is read, and what every bad file is told."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from danku.dataset.sources import read_source
from danku.dataset.table import ColumnMissing, FeatureBroken, SourceBroken, Table, TargetBroken

GOOD = "length,width,kind\n1.5,2,long\n3,4e-1,short\n-0.25,+6,long\n"


def read(
    text: str | bytes,
    folder: Path,
    *,
    target: str = "kind",
    dtype: str = "float32",
    shape: tuple[int, ...] = (2,),
    classes: tuple[str, ...] = ("short", "long"),
    group_by: str | None = None,
) -> Table:
    path = folder / "data.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_source(
        path, target, dtype=dtype, row_shape=shape, classes=classes, group_by=group_by
    )


def test_features_in_header_order_and_classes_by_index(tmp_path: Path) -> None:
    table = read(GOOD, tmp_path)
    assert table.columns == ("length", "width")
    assert table.features.dtype == np.float32
    assert table.features.tolist() == [[1.5, 2], [3, np.float32(0.4)], [-0.25, 6]]
    assert table.target.dtype == np.int64
    assert table.target.tolist() == [1, 0, 1]
    assert table.group_keys is None
    assert table.rows == 3


def test_the_target_may_stand_anywhere(tmp_path: Path) -> None:
    table = read("a,kind,b\n1,long,2\n3,short,4\n", tmp_path)
    assert table.columns == ("a", "b")
    assert table.features.tolist() == [[1, 2], [3, 4]]
    assert table.target.tolist() == [1, 0]


def test_a_row_may_have_any_shape(tmp_path: Path) -> None:
    table = read("a,b,c,d,kind\n1,2,3,4,long\n5,6,7,8,short\n", tmp_path, shape=(2, 2))
    assert table.features.tolist() == [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]


def test_values_to_predict(tmp_path: Path) -> None:
    table = read("x,y\n1,0.1\n2,-3e2\n", tmp_path, target="y", shape=(1,), classes=())
    assert table.target.dtype == np.float64
    assert table.target.tolist() == [0.1, -300.0]


@pytest.mark.parametrize("cells", [("0", "1"), ("0.0", "1.0"), ("0", "+1e0"), (" 0", "1 ")])
def test_a_class_named_by_a_number_matches_its_value(
    tmp_path: Path, cells: tuple[str, str]
) -> None:
    text = f"x,y\n5,{cells[1]}\n6,{cells[0]}\n"
    table = read(text, tmp_path, target="y", shape=(1,), classes=("0", "1"))
    assert table.target.tolist() == [1, 0]


def test_the_spellings_of_windows_are_read(tmp_path: Path) -> None:
    text = '\ufeff"length",width, kind \r\n1.5,2,"long"\r\n\r\n3,4,short\r\n'
    table = read(text, tmp_path)
    assert table.columns == ("length", "width")
    assert table.features.tolist() == [[1.5, 2], [3, 4]]


def test_keys_are_no_features(tmp_path: Path) -> None:
    text = "patient,x,kind\nann_1,1,long\nbob,2,short\nann_1,3,long\n"
    table = read(text, tmp_path, shape=(1,), group_by="patient")
    assert table.columns == ("x",)
    assert table.group_keys is not None
    assert table.group_keys.tolist() == [0, 1, 0]


def test_a_missing_feature_is_nan_where_the_type_has_it(tmp_path: Path) -> None:
    table = read("a,b,kind\nnan,2,long\n3,NaN,short\n", tmp_path)
    assert np.isnan(table.features).tolist() == [[True, False], [False, True]]
    with pytest.raises(FeatureBroken, match="line 2, column 'a': 'nan' is not a number"):
        read("a,b,kind\nnan,2,long\n3,4,short\n", tmp_path, dtype="int64")


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32", "int64"])
def test_whole_numbers_keep_every_digit(tmp_path: Path, dtype: str) -> None:
    limits = np.iinfo(dtype)
    text = f"a,b,kind\n{limits.max},{limits.min},long\n7.0,1e1,short\n"
    table = read(text, tmp_path, dtype=dtype)
    assert table.features.dtype == dtype
    assert table.features.tolist() == [[limits.max, limits.min], [7, 10]]


def test_more_rows_than_fit_into_one_batch(tmp_path: Path) -> None:
    lines = [f"{row},{-row},{'long' if row % 3 else 'short'}" for row in range(10_000)]
    table = read("a,b,kind\n" + "\n".join(lines), tmp_path, dtype="int32")
    assert table.features[:, 0].tolist() == list(range(10_000))
    assert table.target.sum() == sum(row % 3 > 0 for row in range(10_000))
    lines[9_000] = "1,x,long"
    with pytest.raises(FeatureBroken, match="line 9002, column 'b': 'x'"):
        read("a,b,kind\n" + "\n".join(lines), tmp_path)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.floats(), st.floats(width=32, allow_infinity=False), st.booleans()),
        min_size=1,
        max_size=20,
    )
)
def test_numbers_survive_being_written_by_python(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float, float, bool]]
) -> None:
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(["a", "b", "kind"])
    full = [*rows, (0.0, 0.0, True), (0.0, 0.0, False)]
    writer.writerows([a, b, "long" if kind else "short"] for a, b, kind in full)
    folder = tmp_path_factory.mktemp("csv")
    if any(math.isinf(a) for a, _, _ in rows):
        with pytest.raises(FeatureBroken, match="infinite"):
            read(file.getvalue(), folder, dtype="float64")
    else:
        table = read(file.getvalue(), folder, dtype="float64")
        np.testing.assert_array_equal(table.features, [[a, b] for a, b, _ in full])


REFUSED: dict[str, tuple[str | bytes, type[SourceBroken], list[str]]] = {
    "no bytes": ("", SourceBroken, ["data.csv", "no header"]),
    "header only": ("a,b,kind\n", SourceBroken, ["no rows"]),
    "unknown target": (
        "a,b,kinds\n1,2,long\n",
        ColumnMissing,
        ["no column 'kind'", "a, b, kinds", "did you mean 'kinds'?"],
    ),
    "target in another case": ("a,b,Kind\n1,2,long\n", ColumnMissing, ["did you mean 'Kind'?"]),
    "same column twice": ("a,a,kind\n1,2,long\n", SourceBroken, ["two columns", "'a'"]),
    "nameless column": ("a,,kind\n1,2,long\n", SourceBroken, ["column 2 has no name"]),
    "semicolons": ("a;b;kind\n1;2;long\n", SourceBroken, ["semicolons"]),
    "tabs": ("a\tb\tkind\n1\t2\tlong\n", SourceBroken, ["tabs"]),
    "short line": ("a,b,kind\n1,2,long\n1,2\n", SourceBroken, ["line 3", "2 cells", "has 3"]),
    "long line": ("a,b,kind\n1,2,3,long\n", SourceBroken, ["line 2", "4 cells", "has 3"]),
    "open quote": ('a,b,kind\n1,2,"long\n', SourceBroken, ["line 2"]),
    "too few columns": ("a,kind\n1,long\n", SourceBroken, ["1 feature columns", "takes 2", "[2]"]),
    "too many columns": (
        "a,b,c,kind\n1,2,3,long\n",
        SourceBroken,
        ["3 feature columns", "a, b, c"],
    ),
    "text feature": (
        "a,b,kind\n1,2,long\n3,red,short\n",
        FeatureBroken,
        ["data.csv, line 3, column 'b'", "'red' is not a number", "encode"],
    ),
    "empty feature": ("a,b,kind\n1,,long\n", FeatureBroken, ["line 2, column 'b'", "empty", "nan"]),
    "underscore": ("a,b,kind\n1,1_0,long\n", FeatureBroken, ["line 2, column 'b'", "'1_0'"]),
    "other digits": ("a,b,kind\n1,\u0663,long\n", FeatureBroken, ["line 2, column 'b'"]),
    "hexadecimal": ("a,b,kind\n1,0x10,long\n", FeatureBroken, ["'0x10'"]),
    "infinite feature": ("a,b,kind\n1,inf,long\n", FeatureBroken, ["line 2", "infinite"]),
    "beyond float32": ("a,b,kind\n1,1e39,long\n", FeatureBroken, ["line 2", "1e+39", "float32"]),
    "empty target": ("a,b,kind\n1,2,\n", TargetBroken, ["line 2, column 'kind'", "empty"]),
    "NaN target": ("a,b,kind\n1,2,NaN\n", TargetBroken, ["line 2, column 'kind'", "NaN"]),
    "unknown class": (
        "a,b,kind\n1,2,medium\n",
        TargetBroken,
        ["line 2, column 'kind'", "'medium'", "'short', 'long'"],
    ),
    "absent class": ("a,b,kind\n1,2,long\n", TargetBroken, ["'short'", "no row"]),
    "latin-1": (
        "a,b,kind\n1,2,long\n1,2,l\xe4ng\n".encode("latin-1"),
        SourceBroken,
        ["line 3", "UTF-8"],
    ),
    "utf-16": (GOOD.encode("utf-16"), SourceBroken, ["UTF-16"]),
    "endless cell": ("a,b,kind\n1," + "9" * 200_000 + ",long\n", SourceBroken, ["line 2"]),
    "long number": ("a,b,kind\n1," + "9" * 5_000 + ",long\n", FeatureBroken, ["infinite"]),
    "binary": (bytes(range(256)) * 10, SourceBroken, ["data.csv"]),
}


@pytest.mark.parametrize(("text", "kind", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_a_bad_file_is_told_where_and_what_to_do(
    tmp_path: Path, text: str | bytes, kind: type[SourceBroken], words: list[str]
) -> None:
    with pytest.raises(kind) as refusal:
        read(text, tmp_path)
    error = refusal.value
    told = " ".join([error.what, error.why, error.fix])
    assert [word for word in words if word not in told] == []
    assert error.exit_code == 5


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("256", "does not fit into uint8"),
        ("-1", "does not fit into uint8"),
        ("1.5", "does not fit into uint8"),
        ("99999999999999999999", "does not fit into uint8"),
        ("inf", "not a number"),
        ("1e400", "infinite"),
        ("9" * 5_000, "infinite"),
    ],
)
def test_a_number_that_is_not_of_a_whole_type(tmp_path: Path, cell: str, words: str) -> None:
    with pytest.raises(FeatureBroken, match=words) as refusal:
        read(f"a,b,kind\n1,2,long\n3,{cell},short\n", tmp_path, dtype="uint8")
    assert "line 3, column 'b'" in refusal.value.what


@pytest.mark.parametrize("cell", ["inf", "-inf", "1e400", "high", "1_0"])
def test_a_target_that_is_no_finite_value(tmp_path: Path, cell: str) -> None:
    with pytest.raises(TargetBroken, match="line 3, column 'y'"):
        read(f"x,y\n1,2\n3,{cell}\n", tmp_path, target="y", shape=(1,), classes=())


@pytest.mark.parametrize("cell", ["", "nan", "NaN", " "])
def test_a_missing_value_is_refused(tmp_path: Path, cell: str) -> None:
    with pytest.raises(TargetBroken, match="line 3, column 'y'"):
        read(f"x,y\n1,2\n3,{cell}\n", tmp_path, target="y", shape=(1,), classes=())


@pytest.mark.parametrize("classes", [("a", "a"), ("1", "1.0"), ("0", "-0", "1")])
def test_classes_that_cannot_be_told_apart(tmp_path: Path, classes: tuple[str, ...]) -> None:
    with pytest.raises(TargetBroken, match="are the same"):
        read("x,y\n1,1\n", tmp_path, target="y", shape=(1,), classes=classes)


def test_grouping_by_the_target_or_by_nothing(tmp_path: Path) -> None:
    with pytest.raises(SourceBroken, match="group_by is the target"):
        read(GOOD, tmp_path, group_by="kind")
    with pytest.raises(ColumnMissing, match="no column 'patient'"):
        read(GOOD, tmp_path, group_by="patient")


def test_a_line_number_counts_lines_within_quotes(tmp_path: Path) -> None:
    text = 'a,b,kind\n1,2,"lo\nng"\n'
    with pytest.raises(TargetBroken, match="line 3"):
        read(text, tmp_path)


def test_missing_files_and_other_kinds(tmp_path: Path) -> None:
    (tmp_path / "data.xlsx").write_bytes(b"PK")
    for name, words in (("absent.csv", "cannot be read"), ("data.xlsx", "no kind that danku")):
        with pytest.raises(SourceBroken, match=words) as refusal:
            read_source(
                tmp_path / name,
                "y",
                dtype="float32",
                row_shape=(1,),
                classes=(),
                group_by=None,
            )
        assert name in refusal.value.what
        assert refusal.value.fix
