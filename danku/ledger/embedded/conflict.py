"""What git leaves in a journal that it could not merge, and how its two sides are read back.

Each line of a journal names the one before it, so two journals that went separate ways have no
line in common behind the fork: one conflict holds all of both endings.
"""

from __future__ import annotations

from itertools import takewhile
from operator import eq

_OURS, _BASE, _MIDDLE, _THEIRS = b"<<<<<<<", b"|||||||", b"=======", b">>>>>>>"
_MARKERS = (_OURS, _BASE, _MIDDLE, _THEIRS)


def is_marker(line: bytes) -> bool:
    """Whether a line is one that git puts around a conflict; no line of a journal begins so."""
    return line.startswith(_MARKERS)


def whole_lines(data: bytes) -> list[bytes]:
    """The lines that end in a newline, without it."""
    return data[: data.rfind(b"\n") + 1].split(b"\n")[:-1]


def in_common(first: list[bytes], second: list[bytes]) -> int:
    """How many lines two lists begin with alike."""
    return sum(1 for _ in takewhile(bool, map(eq, first, second)))


def marked(ours: bytes, theirs: bytes) -> bytes:
    """Two journals as one file with a conflict, as git's own merge of text would leave them."""
    left, right = whole_lines(ours), whole_lines(theirs)
    fork = in_common(left, right)
    parts = [*left[:fork], _OURS + b" ours", *left[fork:], _MIDDLE, *right[fork:]]
    return b"\n".join([*parts, _THEIRS + b" theirs", b""])


def sides(data: bytes) -> tuple[bytes, bytes]:
    """The two journals, ours and theirs, that a file with conflicts was made of."""
    ours: list[bytes] = []
    theirs: list[bytes] = []
    targets: tuple[list[bytes], ...] = (ours, theirs)
    inside = {_OURS: (ours,), _BASE: (), _MIDDLE: (theirs,), _THEIRS: (ours, theirs)}
    for line in whole_lines(data):
        if is_marker(line):
            targets = inside[line[: len(_OURS)]]
            continue
        for target in targets:
            target.append(line)
    return (b"\n".join([*ours, b""]), b"\n".join([*theirs, b""]))
