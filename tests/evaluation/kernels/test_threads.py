"""How work is shared, and what becomes of errors."""

from __future__ import annotations

import contextvars
import os
import threading
import time
from collections.abc import Iterator

import pytest

from danku.evaluation.kernels import threads as module
from danku.evaluation.kernels.threads import LEAST_WORK, share, thread_count, threads


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("units", [0, 1, 2, 3, 7, 100])
def test_every_unit_is_done_once(count: int, units: int) -> None:
    done: list[int] = []
    with threads(count):
        assert thread_count() == count
        share(lambda first, last: done.extend(range(first, last)), units, 100 * LEAST_WORK)
    assert sorted(done) == list(range(units))
    assert thread_count() == 1


def test_parts_run_at_the_same_time() -> None:
    meeting = threading.Barrier(3, timeout=20)
    with threads(3):
        share(lambda first, last: meeting.wait() and None, 3, 3 * LEAST_WORK)


def test_little_work_is_not_shared() -> None:
    names = []
    with threads(2):
        share(lambda first, last: names.append(threading.current_thread()), 2, LEAST_WORK)
    assert names == [threading.main_thread()]


@pytest.mark.parametrize("failing", [0, 1])
def test_an_error_in_any_part_is_raised_after_all_are_done(failing: int) -> None:
    done = []

    def part(first: int, last: int) -> None:
        if first == failing:
            raise ZeroDivisionError
        done.append(first)

    with threads(2):
        with pytest.raises(ZeroDivisionError):
            share(part, 2, 2 * LEAST_WORK)
        assert done == [1 - failing]
        share(lambda first, last: done.append(first), 2, 2 * LEAST_WORK)
    assert sorted(done[1:]) == [0, 1]


def test_a_helper_does_not_share_what_it_is_given() -> None:
    counts: list[int] = []
    with threads(2):
        share(lambda first, last: counts.append(thread_count()), 2, 2 * LEAST_WORK)
    assert sorted(counts) == [1, 2]


def test_no_threads_are_refused() -> None:
    with pytest.raises(ValueError, match="0 threads"), threads(0):
        pass
    assert module.thread_count() == 1


def test_a_copied_context_does_not_take_helpers_that_are_busy() -> None:
    counts: list[int] = []
    done: list[int] = []
    inside, outside = threading.Event(), threading.Event()

    def part(first: int, last: int) -> None:
        inside.set()
        assert outside.wait(20)
        counts.append(last - first)

    def other() -> None:
        share(lambda first, last: done.extend(range(first, last)), 5, 5 * LEAST_WORK)

    with threads(2):
        copied = contextvars.copy_context()
        first = threading.Thread(target=lambda: copied.run(share, part, 2, 2 * LEAST_WORK))
        first.start()
        assert inside.wait(20)
        other()
        assert done == [0, 1, 2, 3, 4]
        outside.set()
        first.join()
    assert counts == [1, 1]


def test_parts_may_be_shared_again() -> None:
    done: list[int] = []

    def inner(first: int, last: int) -> None:
        done.extend(range(first, last))

    with threads(3):
        share(lambda first, last: share(inner, 4, 4 * LEAST_WORK), 3, 3 * LEAST_WORK)
    assert sorted(done) == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_process_has_no_helpers() -> None:
    with threads(2):
        share(lambda first, last: None, 2, 2 * LEAST_WORK)
        child = os.fork()
        if child == 0:
            done: list[int] = []
            share(lambda first, last: done.extend(range(first, last)), 4, 4 * LEAST_WORK)
            os._exit(0 if (done, thread_count()) == ([0, 1, 2, 3], 1) else 1)
        assert os.waitpid(child, 0)[1] == 0


def test_waiting_is_short_or_long() -> None:
    """Helpers are awake after a short wait and asleep after a long one; either way they serve."""
    done: list[int] = []
    with threads(2):
        for wait in (0.0, 0.0, 0.2, 0.0, 0.2):
            time.sleep(wait)
            share(lambda first, last: done.append(time.sleep(0.02) or first), 2, 2 * LEAST_WORK)
    assert sorted(done) == [0] * 5 + [1] * 5
