"""What a worker process gives up before it touches a model: network, memory, time, files.

Linux offers all of it; elsewhere what is missing is reported, not pretended. Imports nothing heavy:
a process can leave its namespaces only while it has a single thread.
"""

from __future__ import annotations

import ctypes
import os
import resource
from contextlib import suppress
from math import ceil
from pathlib import Path

OPEN_FILES = 64
FILE_BYTES = 64 * 2**20
"""Compiled kernels are written to numba's cache; nothing else is written."""

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_NO_NEW_PRIVILEGES = 38


def leave_network() -> bool:
    """Move to a network namespace without any interface; whether the kernel allowed it."""
    user, group = os.getuid(), os.getgid()
    try:
        libc = ctypes.CDLL(None)
        libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
            return False
    except (OSError, AttributeError):
        return False
    # NOTE: keeps the process's own ids, so that it finds its home folder; not needed for isolation.
    with suppress(OSError):
        Path("/proc/self/setgroups").write_text("deny", "ascii")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1", "ascii")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1", "ascii")
    return True


def limit_files() -> None:
    """No core dumps, few open files, no large files; for the rest of the process's life."""
    for kind, limit in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_FSIZE, FILE_BYTES),
    ):
        _, hard = resource.getrlimit(kind)
        limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(kind, (limit, limit))


def limit_job(seconds: float, memory_bytes: int) -> None:
    """Allow this much more processor time and address space than is used now."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _lower(resource.RLIMIT_CPU, ceil(usage.ru_utime + usage.ru_stime + seconds) + 1)
    _lower(resource.RLIMIT_AS, _address_space() + memory_bytes)


def _lower(kind: int, limit: int) -> None:
    _, hard = resource.getrlimit(kind)
    limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    # NOTE: only the soft limit, since the next job gets its own.
    with suppress(ValueError, OSError):
        resource.setrlimit(kind, (limit, hard))


def _address_space() -> int:
    """Bytes mapped now: Python, numpy and LLVM alone map more than a gigabyte."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    except OSError:
        return 4 * 2**30
    return pages * resource.getpagesize()
