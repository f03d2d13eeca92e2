"""What `danku challenge check` finds in data, and what it leaves alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from danku.dataset import table as table_module
from danku.dataset.groups import plan_groups
from danku.dataset.lint import (
    few_test_groups,
    lint_data,
    repeated_rows,
    single_class_groups,
    sorted_target,
)
from danku.dataset.table import Table


def table(features: list[list[float]], target: list[int], dtype: str = "float32") -> Table:
    return Table(np.array(features, dtype), np.array(target), (), None, dtype)


def test_a_good_data_set_has_no_findings() -> None:
    features = [[float(row)] for row in range(200)]
    good = table(features, [row % 3 for row in range(200)])
    assert lint_data(good, plan_groups(200, 5), shuffled=False, test_groups=20) == []


def test_every_finding_says_what_to_do() -> None:
    bad = table([[1.0]] * 12, [0] * 6 + [1] * 6)
    found = lint_data(bad, plan_groups(12, 3), shuffled=False, test_groups=1)
    codes = [finding.code for finding in found]
    assert codes == ["repeated-rows", "single-class-groups", "few-test-groups", "sorted-target"]
    assert all(finding.message and finding.fix for finding in found)
    shuffled = lint_data(bad, plan_groups(12, 3), shuffled=True, test_groups=1)
    assert [finding.code for finding in shuffled] == codes[:3]


class TestRepeatedRows:
    def test_named_by_rows_and_groups(self) -> None:
        data = table([[1], [2], [3], [4], [2], [6]], [0, 1, 0, 1, 1, 1])
        finding = repeated_rows(data, plan_groups(6, 2))
        assert finding is not None
        assert "2 rows" in finding.message
        assert "rows 1 and 4" in finding.message
        assert "groups 0 and 2" in finding.message

    def test_the_target_is_part_of_a_row(self) -> None:
        assert repeated_rows(table([[1], [2], [1], [4]], [0, 1, 1, 1]), plan_groups(4, 2)) is None

    def test_within_one_group_they_do_no_harm(self) -> None:
        assert repeated_rows(table([[1], [1], [2], [2]], [0, 0, 1, 1]), plan_groups(4, 2)) is None

    @given(
        rows=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), min_size=2, max_size=30),
        group_rows=st.integers(1, 5),
        dtype=st.sampled_from(["float32", "uint8", "float64"]),
        block=st.sampled_from([1, 40, 10**6]),
    )
    def test_agrees_with_comparing_all_pairs(
        self, rows: list[tuple[int, int]], group_rows: int, dtype: str, block: int
    ) -> None:
        if len(rows) <= group_rows:
            return
        plan = plan_groups(len(rows), group_rows, bytes(32))
        home = {row: index for index, group in enumerate(plan) for row in group.tolist()}
        repeated = {
            row
            for row in home
            for other in home
            if rows[row] == rows[other]
            and any(home[row] != home[third] for third in home if rows[third] == rows[row])
        }
        data = table([[a] for a, _ in rows], [b for _, b in rows], dtype)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(table_module, "BLOCK_BYTES", block)
            finding = repeated_rows(data, plan)
        assert (finding is not None) == bool(repeated)
        if finding:
            assert finding.message.startswith(f"{len(repeated)} rows are repeated")

    def test_rows_of_any_shape_and_layout(self) -> None:
        features = np.asfortranarray(np.arange(24, dtype=">f4").reshape(6, 2, 2))
        features[5] = features[0]
        data = Table(features, np.zeros(6, np.int64), (), None, "float32")
        finding = repeated_rows(data, plan_groups(6, 3))
        assert finding is not None
        assert "rows 0 and 5" in finding.message


def test_single_class_groups() -> None:
    target = np.array([0, 0, 0, 1, 1, 1, 2])
    finding = single_class_groups(target, plan_groups(7, 2), shuffled=False)
    assert finding is not None
    assert finding.message.startswith("2 of 4 groups")
    assert "shuffle" in finding.fix
    shuffled = single_class_groups(target, plan_groups(7, 2), shuffled=True)
    assert shuffled is not None
    assert "shuffle" not in shuffled.fix
    assert single_class_groups(np.arange(7) % 2, plan_groups(7, 2), shuffled=True) is None
    assert single_class_groups(np.zeros(7), plan_groups(7, 2), shuffled=True) is None


def test_few_test_groups() -> None:
    assert few_test_groups(20) is None
    finding = few_test_groups(19)
    assert finding is not None
    assert "19 test groups" in finding.message


@pytest.mark.parametrize(
    ("target", "is_sorted"),
    [
        ([0, 0, 1, 1, 2], True),
        ([2, 2, 0, 0, 1], True),
        ([0, 1, 0, 1, 2], False),
        ([0, 0, 0], False),
        ([0], False),
        ([0.0, 1.5, 2.5], True),
        ([2.0, 1.5, 1.5], True),
        ([2.0, 1.5, 1.6], False),
        ([1.0, 1.0], False),
    ],
)
def test_sorted_targets(target: list[float], is_sorted: bool) -> None:
    assert (sorted_target(np.array(target)) is not None) == is_sorted
