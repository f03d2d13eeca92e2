"""Memory is used again only when nobody looks at it, and no more of it is kept than is said."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from danku.evaluation.kernels import buffers
from danku.evaluation.kernels.buffers import LEAST_BYTES, MOST_BYTES, empty

SIZE = 4 * LEAST_BYTES


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffers, "_BLOCKS", buffers._Blocks())


def address(x: np.ndarray) -> int:
    return int(x.__array_interface__["data"][0])


def test_a_block_that_nobody_holds_is_used_again() -> None:
    first = empty(SIZE, np.uint8)
    place = address(first)
    second = empty(SIZE, np.uint8)
    assert address(second) != place
    del first
    assert address(empty((SIZE // 8,), np.float32)) == place


def test_a_view_holds_its_block() -> None:
    part = empty((SIZE // 8, 2), np.float32)[3:5, 1]
    part[...] = 7
    for _ in range(5):
        empty(SIZE, np.uint8)[...] = 1
    assert part.tolist() == [7, 7]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 6 * LEAST_BYTES)), max_size=40))
@settings(max_examples=50, deadline=None)
def test_arrays_that_are_held_never_share_memory(made: list[tuple[int, int]]) -> None:
    held: dict[int, np.ndarray] = {}
    for place, size in made:
        held.pop(place, None)
        held[place] = empty(size, np.uint8)
        held[place][...] = place
        assert held[place].nbytes == size
    assert all((x == place).all() for place, x in held.items())


def test_what_is_kept_is_bounded() -> None:
    for size in [LEAST_BYTES << i for i in range(14)] * 3:
        empty(size, np.uint8)
    assert 0 < sum(block.nbytes for block in buffers._BLOCKS.kept) <= MOST_BYTES
    held = [empty(MOST_BYTES // 4, np.uint8) for _ in range(6)]
    assert len({address(x) for x in held}) == 6
    assert sum(block.nbytes for block in buffers._BLOCKS.kept) <= MOST_BYTES


def test_small_and_huge_arrays_are_not_kept() -> None:
    empty(LEAST_BYTES - 1, np.uint8)
    empty(MOST_BYTES + 1, np.uint8)
    empty((0, 5), np.float32)
    assert buffers._BLOCKS.kept == []


def test_threads_do_not_take_from_each_other() -> None:
    mine = address(empty(SIZE, np.uint8))
    found: list[int] = []
    held = empty(SIZE, np.uint8)
    thread = threading.Thread(target=lambda: found.append(address(empty(SIZE, np.uint8))))
    thread.start()
    thread.join()
    assert address(held) == mine
    assert found[0] != mine
