"""What a worker process cannot do any more, each shown by code that tries it."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import time
from threading import Thread
from typing import Any

import numpy as np
import psutil
import pytest

from danku.evaluation import serving, systemcalls
from danku.evaluation.worker import Worker, WorkerDied, WorkerFailed
from danku.protocol.manifest import Limits
from tests.evaluation.conftest import make_manifest, make_model
from tests.evaluation.test_worker import heavy

MEGABYTE = 2**20


def attempt(code: str, *, confined: bool = False) -> subprocess.CompletedProcess[str]:
    """Run code in a process that has set its limits; ``confined``: has given up all it can."""
    given_up = "assert systemcalls.forbid()\n" if confined else ""
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "import os, signal, socket, subprocess, sys\n"
            "from danku.evaluation import sandbox, systemcalls\n"
            f"sandbox.limit_files()\n{given_up}{code}",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_more_address_space_than_allowed_is_a_memory_error() -> None:
    done = attempt(
        "sandbox.limit_job(10, 64 * 2**20)\n"
        "kept = bytearray(32 * 2**20)\n"
        "try: bytearray(128 * 2**20)\n"
        "except MemoryError: print('struck')"
    )
    assert done.stdout.strip() == "struck"


def test_more_processor_time_than_allowed_ends_the_process() -> None:
    done = attempt("sandbox.limit_job(0, 2**30)\nwhile True: pass")
    assert done.returncode in (-signal.SIGXCPU, -signal.SIGKILL)


def test_the_next_job_has_its_own_time_and_memory() -> None:
    done = attempt(
        "for _ in range(3):\n"
        "    sandbox.limit_job(1, 96 * 2**20)\n"
        "    assert len(bytearray(64 * 2**20)) and sum(range(10**6))\n"
        "print('done')"
    )
    assert done.stdout.strip() == "done"


def test_files_cannot_grow_without_end(tmp_path: Any) -> None:
    done = attempt(
        f"target = open({str(tmp_path / 'large')!r}, 'wb')\n"
        "try:\n"
        "    while True: target.write(bytes(2**20)); target.flush()\n"
        "except OSError as problem: print(problem.strerror)"
    )
    assert done.stdout.strip() == os.strerror(27)
    assert (tmp_path / "large").stat().st_size <= 64 * MEGABYTE


def test_few_files_can_be_open_and_no_core_is_dumped() -> None:
    done = attempt(
        "import resource\n"
        "print(resource.getrlimit(resource.RLIMIT_CORE))\n"
        "try: kept = [open('/dev/null') for _ in range(200)]\n"
        "except OSError as problem: print(problem.strerror)"
    )
    assert done.stdout.split("\n")[:2] == ["(0, 0)", os.strerror(24)]


FILTERED = pytest.mark.skipif(
    platform.machine() not in systemcalls._MACHINES, reason="the filter knows other machines"
)


@FILTERED
@pytest.mark.parametrize(
    "code",
    [
        "socket.socket()",
        "socket.socket(socket.AF_UNIX)",
        "socket.socketpair()",
        "os.fork()",
        "subprocess.run(['/bin/true'])",
        "os.execv('/bin/true', ['true'])",
        "os.kill(os.getppid(), signal.SIGTERM)",
        "os.kill(os.getpid(), signal.SIGTERM)",
    ],
)
def test_what_the_filter_refuses(code: str) -> None:
    done = attempt(f"try: {code}\nexcept PermissionError: print('refused')", confined=True)
    assert done.stdout.strip() == "refused"


@FILTERED
def test_the_filter_leaves_threads_files_and_memory_alone(tmp_path: Any) -> None:
    done = attempt(
        "import threading\n"
        "thread = threading.Thread(target=print, args=('thread',))\n"
        "thread.start(); thread.join()\n"
        f"open({str(tmp_path / 'file')!r}, 'w').write('file')\n"
        "print(len(bytearray(10**6)), flush=True)\n"
        "os.abort()",
        confined=True,
    )
    assert done.stdout.split() == ["thread", "1000000"]
    assert done.returncode == -signal.SIGABRT
    assert (tmp_path / "file").exists()


def test_everything_is_given_up_before_a_job_is_read() -> None:
    """Whatever a job says, the calls that give up come first in the program."""
    names = serving.main.__code__.co_names
    order = [names.index(name) for name in ("leave_network", "forbid", "limit_files", "read_frame")]
    assert order == sorted(order)


def killed_while_it_works(number: int) -> WorkerFailed:
    """What a validator hears if its worker gets a signal in the middle of a job."""
    limits = Limits(multiply_accumulates=2**47, elements=2**40, peak_bytes=2**30)
    terms = make_manifest("value", shape=(512,), batch=4_096, limits=limits)
    rows, target = np.ones((4_096, 512), "<f4"), np.zeros(4_096)
    with Worker(seconds=60) as worker:
        worker.start()
        assert worker._process is not None
        process = psutil.Process(worker._process.pid)

        def kill() -> None:
            used = process.cpu_times().user
            while process.cpu_times().user < used + 0.3:
                time.sleep(0.05)
            process.send_signal(number)

        Thread(target=kill, daemon=True).start()
        with pytest.raises(WorkerFailed) as caught:
            # NOTE: the second attempt of a worker that had served before is no part of this.
            worker._exchange(_job(heavy(make_model, 1_000), rows, target, terms), 60, ("judged",))
    return caught.value


def _job(model: bytes, rows: Any, target: Any, terms: Any) -> list[bytes]:
    from danku.evaluation.frames import Job
    from danku.evaluation.work import Work
    from danku.protocol import records

    work = Work(rows, target, terms)
    return [records.encode(Job(60, 4 * 2**30, work.digest, True, 1)), *work.frames, model]


@pytest.mark.parametrize(
    ("number", "name"),
    [(signal.SIGKILL, "SIGKILL"), (signal.SIGSEGV, "SIGSEGV"), (40, "signal 40")],
)
def test_a_worker_that_is_killed_is_named_and_the_validator_goes_on(number: int, name: str) -> None:
    problem = killed_while_it_works(number)
    assert isinstance(problem, WorkerDied)
    assert f"ended by {name}" in str(problem)


def test_an_answer_out_of_place_is_an_abstention() -> None:
    with Worker(seconds=60) as worker:
        worker.start()
        with pytest.raises(WorkerFailed, match="it says judged"):
            worker._exchange(
                _job(
                    make_model([], ["x"]).SerializeToString(),
                    np.ones((1, 1), "<f4"),
                    np.zeros(1),
                    make_manifest("value", shape=(1,)),
                ),
                60,
                ("nothing",),
            )
