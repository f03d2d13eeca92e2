"""The copy of a journal that others have: its version in the branch that git pushes to.

Git is only read here. What a remote-tracking branch holds was fetched from there or pushed there,
so it is no secret of this clone any more.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from danku.ledger.embedded.conflict import whole_lines
from danku.ledger.embedded.files import disk_errors

_SECONDS = 20.0
_BRANCHES = 50
_OF_THE_CALLER = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR")


@dataclass(frozen=True)
class Copy:
    """A version of the journal that others have."""

    name: str
    """The branch, such as origin/main."""
    data: bytes


@dataclass(frozen=True)
class View:
    """What git says of a journal."""

    tracked: bool
    """Whether git carries it to others at all; if not, nothing of it is pending."""
    copies: tuple[Copy, ...] = ()
    """The upstream branch's, or without an upstream those of all remote branches."""
    fetched: Copy | None = None
    """What was fetched last, be it into a branch or, as by `git pull URL`, into none."""
    unmerged: tuple[bytes, bytes] | None = None
    """Both sides, ours and theirs, of a conflict that waits to be resolved."""
    problem: str = ""
    """Why git could not be asked; then nothing new is known to be shared."""

    @property
    def name(self) -> str | None:
        """What to call the shared copy; None if there is none."""
        return ", ".join(copy.name for copy in self.copies) or None


class Repository:
    """The git repository around a journal."""

    def __init__(self, journal: Path) -> None:
        self._folder = journal.resolve().parent
        self._name = journal.name

    @classmethod
    def around(cls, journal: Path) -> Repository | None:
        """The repository that a journal's folder is in, if it is in one."""
        folder = journal.resolve().parent
        inside = any((parent / ".git").exists() for parent in (folder, *folder.parents))
        return cls(journal) if inside else None

    def view(self) -> View:
        """What git says now. Never raises: without git, it says so."""
        try:
            return self._view()
        except (FileNotFoundError, NotADirectoryError):
            return View(tracked=True, problem="git is not installed")
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            said = getattr(error, "stderr", b"") or str(error).encode()
            return View(tracked=True, problem=_first_line(said))

    def mark_resolved(self) -> bool:
        """Have git take the journal as it is for the solution of a conflict; whether it did."""
        try:
            self._git("add", "--", self._name)
        except (OSError, subprocess.SubprocessError):
            return False
        return True

    def _view(self) -> View:
        upstream, remotes = self._branches()
        branches = [upstream] if upstream else remotes[:_BRANCHES]
        *found, last, ours, theirs = self._versions([*branches, "FETCH_HEAD", ":2", ":3"])
        copies: dict[bytes, str] = {}
        for branch, data in zip(branches, found, strict=True):
            if data is not None:
                copies.setdefault(data, branch.removeprefix("refs/remotes/"))
        known = tuple(Copy(name, data) for data, name in copies.items())
        unmerged = (ours, theirs) if ours is not None and theirs is not None else None
        tracked = bool(known or unmerged) or (bool(upstream or remotes) and self._is_tracked())
        fetched = Copy("what was fetched", last) if last is not None else None
        return View(tracked, known, fetched, unmerged)

    def _branches(self) -> tuple[str | None, list[str]]:
        """The upstream of the branch that is checked out, and all remote branches."""
        form = "--format=%(HEAD)%00%(refname)%00%(upstream)"
        upstream, remotes = None, []
        for line in self._git("for-each-ref", form, "refs/heads", "refs/remotes").splitlines():
            current, name, followed = line.decode("utf-8", "surrogateescape").split("\0")
            if name.startswith("refs/remotes/"):
                remotes += [name] if not name.endswith("/HEAD") else []
            elif current == "*" and followed:
                upstream = followed
        return upstream, remotes

    def _versions(self, places: Sequence[str]) -> list[bytes | None]:
        wanted = "".join(f"{place}:./{self._name}\n" for place in places)
        asked = wanted.encode("utf-8", "surrogateescape")
        said, found = self._git("cat-file", "--batch", given=asked), list[bytes | None]()
        start = 0
        while start < len(said):
            end = said.index(b"\n", start)
            words, start = said[start:end].split(b" "), end + 1
            if words[-1].isdigit() and words[-2] == b"blob":
                size = int(words[-1])
                found.append(said[start : start + size])
                start += size + 1
            else:
                found.append(None)
        if len(found) != len(places):
            raise ValueError("git gave other answers than asked for")
        return found

    def _is_tracked(self) -> bool:
        return bool(self._git("ls-files", "--", self._name))

    def _git(self, *words: str, given: bytes = b"") -> bytes:
        # NOTE: a hook or an alias tells its commands where the repository is, seen from elsewhere.
        environment = {key: text for key, text in os.environ.items() if key not in _OF_THE_CALLER}
        environment |= {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1"}
        done = subprocess.run(
            ["git", *words],
            cwd=self._folder,
            env=environment,
            input=given,
            capture_output=True,
            timeout=_SECONDS,
            check=True,
        )
        return done.stdout


def _first_line(said: bytes) -> str:
    return said.decode("utf-8", "replace").strip().partition("\n")[0]


def shared_sequence(journal: Path, view: View, newest: int) -> int | None:
    """Sequence of the newest line that others have too, the first one's if there is none.

    None if nothing is to be pending; never beyond ``newest``.

    Raises:
        JournalUnavailable: the journal cannot be read.
    """
    if not view.tracked:
        return None
    with disk_errors(journal):
        data = journal.read_bytes()
    lines = max((_lines_alike(data, copy.data) for copy in view.copies), default=0)
    return min(max(lines - 1, 0), newest)


def _lines_alike(first: bytes, second: bytes) -> int:
    low, high = 0, min(len(first), len(second))
    while low < high:
        middle = (low + high + 1) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle - 1
    return first.count(b"\n", 0, low)


def keeps_theirs(ours: bytes, theirs: bytes, view: View) -> bool | None:
    """Which of two journals that went separate ways others have: theirs, ours, or None if unknown.

    What was fetched last counts where branches say nothing. Where they say both it is ours, which
    is what git builds the result on.
    """
    left, right = whole_lines(ours), whole_lines(theirs)
    fork = _lines_alike(ours, theirs)
    for copies in (view.copies, (view.fetched,) if view.fetched else ()):
        said = set()
        for copy in copies:
            line = whole_lines(copy.data)[fork : fork + 1]
            if line and line == left[fork : fork + 1]:
                said.add(False)
            elif line and line == right[fork : fork + 1]:
                said.add(True)
        if said:
            return False not in said
    return None
