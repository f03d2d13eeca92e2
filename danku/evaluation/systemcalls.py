"""A filter of Linux system calls: no network, no new process, no way into another one.

It needs no privilege and no user namespace, so it works inside containers too. What it lists is
refused with "operation not permitted"; threads, memory and files are left alone.
Format: https://www.kernel.org/doc/html/latest/userspace-api/seccomp_filter.html
"""

from __future__ import annotations

import ctypes
import os
import platform
from dataclasses import dataclass
from errno import ENOSYS, EPERM

_NO_NEW_PRIVILEGES = 38
_SET_SECCOMP, _MODE_FILTER = 22, 2

_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_GREATER, _JUMP_IF_SET, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
"""Where the kernel puts them; of the argument, the lower half."""
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
_CLONE_THREAD = 0x10000
_X32 = 0x40000000
"""From here on x86-64 has a second table of the same calls."""


@dataclass(frozen=True)
class _Machine:
    """An architecture's name in the kernel, and the numbers of its system calls."""

    architecture: int
    clone: int
    clone3: int
    tgkill: int
    refused: tuple[int, ...]


_EVERYWHERE = (
    *(424, 434, 438),  # pidfd_send_signal, pidfd_open, pidfd_getfd
    *(425, 426, 427),  # io_uring_*, which could open sockets
)
_MACHINES = {
    "x86_64": _Machine(
        architecture=0xC000003E,
        clone=56,
        clone3=435,
        tgkill=234,
        refused=(
            *(41, 53),  # socket, socketpair
            *(57, 58, 59, 322),  # fork, vfork, execve, execveat
            *(62, 200, 129, 297),  # kill, tkill, rt_sigqueueinfo, rt_tgsigqueueinfo
            *(101, 310, 311),  # ptrace, process_vm_readv, process_vm_writev
            *(165, 272, 308, 321),  # mount, unshare, setns, bpf
            *_EVERYWHERE,
        ),
    ),
    "aarch64": _Machine(
        architecture=0xC00000B7,
        clone=220,
        clone3=435,
        tgkill=131,
        refused=(
            *(198, 199),  # socket, socketpair
            *(221, 281),  # execve, execveat
            *(129, 130, 138, 240),  # kill, tkill, rt_sigqueueinfo, rt_tgsigqueueinfo
            *(117, 270, 271),  # ptrace, process_vm_readv, process_vm_writev
            *(40, 97, 268, 280),  # mount, unshare, setns, bpf
            *_EVERYWHERE,
        ),
    ),
}


class _Instruction(ctypes.Structure):
    _fields_ = [
        ("code", ctypes.c_ushort),
        ("if_true", ctypes.c_ubyte),
        ("if_false", ctypes.c_ubyte),
        ("value", ctypes.c_uint32),
    ]


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("start", ctypes.POINTER(_Instruction))]


Line = tuple[int, int, int, int]
"""What to do, how many lines to skip if a comparison holds, and if not, and the operand."""


def _refuse(error: int) -> Line:
    return (_RETURN, 0, 0, _ERROR | error)


def _lines(machine: _Machine, process: int) -> list[Line]:
    """NOTE: a jump counts the lines that it skips."""
    lines: list[Line] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_JUMP_IF_EQUAL, 1, 0, machine.architecture),
        _refuse(EPERM),
        (_LOAD, 0, 0, _NUMBER),
        (_JUMP_IF_GREATER, 0, 1, _X32 - 1),
        _refuse(EPERM),
        (_JUMP_IF_EQUAL, 0, 1, machine.clone3),
        # NOTE: its flags cannot be seen; told that there is no such call, a C library uses clone.
        _refuse(ENOSYS),
        (_JUMP_IF_EQUAL, 0, 4, machine.clone),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_JUMP_IF_SET, 0, 1, _CLONE_THREAD),
        (_RETURN, 0, 0, _ALLOW),
        _refuse(EPERM),
        (_JUMP_IF_EQUAL, 0, 4, machine.tgkill),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_JUMP_IF_EQUAL, 0, 1, process),
        (_RETURN, 0, 0, _ALLOW),
        _refuse(EPERM),
    ]
    for number in machine.refused:
        lines += [(_JUMP_IF_EQUAL, 0, 1, number), _refuse(EPERM)]
    return [*lines, (_RETURN, 0, 0, _ALLOW)]


def forbid() -> bool:
    """Filter the system calls of this process for the rest of its life; whether that worked."""
    machine = _MACHINES.get(platform.machine())
    if machine is None or platform.system() != "Linux":
        return False
    lines = _lines(machine, os.getpid())
    program = _Program(
        len(lines), (_Instruction * len(lines))(*(_Instruction(*line) for line in lines))
    )
    try:
        libc = ctypes.CDLL(None)
        libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        return bool(libc.prctl(_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0) == 0)
    except (OSError, AttributeError):
        return False
