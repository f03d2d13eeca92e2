"""A workspace's journal and another one become one, by hand or when git asks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from danku.crypto.hashing import keccak, to_hex
from danku.errors import DataError
from danku.ledger.embedded.conflict import is_marker, marked, sides, whole_lines
from danku.ledger.embedded.envelope import SignedAction
from danku.ledger.embedded.errors import NothingToMerge
from danku.ledger.embedded.files import disk_errors, locked
from danku.ledger.embedded.genesis import identify
from danku.ledger.embedded.heads import Head, Heads
from danku.ledger.embedded.journal import Journal
from danku.ledger.embedded.ledger import system_clock
from danku.ledger.embedded.merge import Merged, Side, merge
from danku.ledger.embedded.repository import Repository, View, keeps_theirs
from danku.ledger.embedded.transfer import put_merged
from danku.ledger.embedded.verification import verify_journal
from danku.roles.progress import Progress, quiet
from danku.roles.workspace import Workspace

if TYPE_CHECKING:
    from danku.crypto.signatures import PrivateKey

Key: TypeAlias = "Callable[[], PrivateKey | None]"
"""Gives the key of a ledger's sequencer; asked only where there is one."""

Source: TypeAlias = Path | bytes
_MINE = "this workspace's journal"


@dataclass(frozen=True)
class Joined:
    """What a merge did."""

    merged: Merged
    kept: str
    """The side whose lines stayed where they were."""
    resolved: bool | None = None
    """Whether git was told that its conflict is resolved; None if there was none."""


def merge_other(
    workspace: Workspace,
    other: Path,
    *,
    keep_mine: bool = False,
    key: Key = lambda: None,
    progress: Progress = quiet,
) -> Joined:
    """Join another journal with the workspace's: the other's lines stay, unless ``keep_mine``.

    Raises:
        JournalBroken, OtherLedger: the other is no whole journal of this ledger.
        Rewritten: lines would move that others are known to have.
        Rejected: the ledger has a sequencer, whose key is not at hand.
    """
    pair: tuple[tuple[str, Source], tuple[str, Source]]
    pair = (str(other), other), (_MINE, workspace.journal)
    if keep_mine:
        pair = pair[1], pair[0]
    return _join(workspace, pair, key, progress)


def merge_shared(
    workspace: Workspace, *, key: Key = lambda: None, progress: Progress = quiet
) -> Joined:
    """Join the two sides of a conflict that git left, or else the journal with its shared copy.

    Raises:
        NothingToMerge: there is neither.
        VerificationFailed, DataError, Rejected: as `merge_other`.
    """
    journal = workspace.journal
    repository = Repository.around(journal)
    view = repository.view() if repository else View(tracked=False)
    copies, found = view.copies, view.unmerged
    if found is None:
        with disk_errors(journal):
            data = journal.read_bytes()
        if any(is_marker(line) for line in whole_lines(data)):
            found = sides(data)
    if found is not None:
        pair = _ordered(*found, view, _remembered(workspace, found[0])[0])
        joined = _join(workspace, pair, key, progress)
        resolved = repository.mark_resolved() if repository and view.unmerged else None
        return Joined(joined.merged, joined.kept, resolved)
    if len(copies) == 1:
        return _join(workspace, ((copies[0].name, copies[0].data), (_MINE, journal)), key, progress)
    if not _remembered(workspace, data)[1]:
        raise NothingToMerge(
            "there is no other journal to merge",
            why="the branch that is checked out has no upstream with this journal in it, and git "
            "left no conflict" + (f" ({view.problem})" if view.problem else ""),
            fix="name it: danku ledger merge OTHER; or git branch --set-upstream-to=origin/main",
        )
    return _join(workspace, ((_MINE, journal), (_MINE, journal)), key, progress)


def merge_for_git(
    workspace: Workspace | None, ours: Path, theirs: Path, journal: Path, *, key: Key
) -> Joined:
    """Join the two versions in git's temporary files; the result is put into ``ours``.

    ``journal`` is where the result will stand, and what the merge refuses is noted beside it. If
    there can be no result, both sides are left in ``ours`` as a conflict.

    Raises:
        DankuError: there can be none; as `merge_other`.
    """
    from danku.ledger.embedded.refusals import note_refusals

    with disk_errors(ours):
        mine, others = ours.read_bytes(), theirs.read_bytes()
    try:
        repository = Repository.around(journal)
        view = repository.view() if repository else View(tracked=False)
        floor = _remembered(workspace, mine)[0] if workspace else None
        (kept, first), (name, second) = _ordered(mine, others, view, floor)
        merged = merge(
            Side(kept, whole_lines(first)),
            Side(name, whole_lines(second)),
            now=(workspace.clock if workspace else system_clock)(),
            floor=floor,
            sequencer=key,
        )
        with disk_errors(ours):
            ours.write_bytes(merged.data)
        verify_journal(ours, clock=workspace.clock if workspace else system_clock)
        note_refusals(journal, merged.refused)
    except BaseException:
        # NOTE: git would else show one side as if there had never been another.
        with disk_errors(ours):
            ours.write_bytes(marked(mine, others))
        raise
    return Joined(merged, kept)


def _ordered(
    ours: bytes, theirs: bytes, view: View, floor: Head | None
) -> tuple[tuple[str, bytes], tuple[str, bytes]]:
    """The side that stays and the one that moves: what others have stays, else what git builds on.

    A rebase builds on the branch that it goes to, a merge on the one that is checked out: ours.
    """
    theirs_stay = keeps_theirs(ours, theirs, view)
    if theirs_stay is not None:
        kept, moving = "the shared side", "the pending side"
        return ((kept, theirs), (moving, ours)) if theirs_stay else ((kept, ours), (moving, theirs))
    pair = ("our side", ours), ("their side", theirs)
    if floor is not None and _contains(theirs, floor) and not _contains(ours, floor):
        return pair[1], pair[0]
    return pair


def _contains(data: bytes, head: Head) -> bool:
    found = whole_lines(data)[head.sequence : head.sequence + 1]
    return bool(found) and to_hex(keccak(found[0])) == head.digest


def _remembered(workspace: Workspace, data: bytes) -> tuple[Head | None, list[SignedAction]]:
    """The line that may not move, and the pending actions, that the workspace remembers."""
    try:
        ledger = identify(next(iter(whole_lines(data)), b"")).address
    except DataError:
        return None, []
    heads = Heads(workspace.heads)
    known = heads.known(workspace.journal, ledger)
    return (known.shared, heads.pending(ledger)) if known else (None, [])


def _join(
    workspace: Workspace,
    pair: tuple[tuple[str, Source], tuple[str, Source]],
    key: Key,
    progress: Progress,
) -> Joined:
    (kept, first), (name, second) = pair
    journal, now = workspace.journal, workspace.clock()
    with locked(journal):
        mine = next((source for source in (first, second) if isinstance(source, bytes)), b"")
        with disk_errors(journal):
            floor, pending = _remembered(workspace, journal.read_bytes() or mine)
        merged = merge(
            Side(kept, _watched(first, f"reading {kept}", progress)),
            Side(name, _watched(second, f"reading {name}", progress)),
            now=now,
            floor=floor,
            extra=pending,
            sequencer=key,
        )
        put_merged(
            merged,
            journal,
            clock=lambda: now,
            progress=lambda done, total: progress("verifying the result", done, total),
        )
    return Joined(merged, kept)


def _watched(source: Source, what: str, progress: Progress) -> Iterator[bytes]:
    if isinstance(source, bytes):
        lines, total = iter(whole_lines(source)), len(source)
    else:
        lines, total = Journal(source).read(), source.stat().st_size if source.exists() else 0
    done = 0
    for number, line in enumerate(lines):
        done += len(line) + 1
        if number % 100 == 0:
            progress(what, done, total)
        yield line
