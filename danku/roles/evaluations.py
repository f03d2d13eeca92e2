"""What a machine has evaluated before, so that a run that was cut short need not begin again.

A verdict follows from the profile, the manifest, the rows and the model's bytes, and its place is
named by all four; what a model scores on the yardstick is a verdict over other rows. Only a
validator's own private folder is believed; `danku verify` believes none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace

from danku import __version__
from danku.crypto.hashing import Keccak, keccak, to_hex
from danku.errors import DataError
from danku.evaluation.pool import Evaluator, Pool
from danku.evaluation.verdict import Verdict
from danku.evaluation.work import Work, Yardstick
from danku.protocol.manifest import Manifest, Record
from danku.protocol.records import decode, encode
from danku.protocol.types import Digest, Score
from danku.roles.workspace import Workspace
from danku.storage.files import make_folder

if TYPE_CHECKING:
    from danku.evaluation.cluster import Cluster
    from danku.evaluation.tensor import Array


@contextmanager
def own_evaluator(workspace: Workspace) -> Iterator[Evaluator]:
    """This machine's worker processes, or the cluster's, and what was found before."""
    with _evaluator(workspace) as evaluator:
        yield Remembering(evaluator, workspace.evaluations)


def _evaluator(workspace: Workspace) -> Pool | Cluster:
    if workspace.cluster is None:
        return Pool(workspace.workers)
    from danku.evaluation.cluster import Cluster

    return Cluster(workspace.cluster)


class _Remembered(Record):
    model: Digest
    reason: str
    score: Score
    status: Literal["scored", "rejected"]


class Remembering:
    """An evaluator that asks another only for what it does not remember.

    ``folder`` holds one file for each set of rows and terms, a line for each model. A line that was
    not written whole is passed over.
    """

    def __init__(self, evaluator: Evaluator, folder: Path) -> None:
        self._evaluator = evaluator
        self._folder = folder

    def evaluate_each(
        self,
        models: Iterable[tuple[Digest, bytes]],
        features: Array,
        target: Array,
        manifest: Manifest,
        yardstick: Yardstick | None = None,
    ) -> Iterator[tuple[Digest, Verdict]]:
        """See `Evaluator`."""
        make_folder(self._folder, mode=0o700)
        memory = _Memory(self._folder, Work(features, target, manifest, yardstick))
        remembered: list[tuple[Digest, Verdict]] = []

        def unknown() -> Iterator[tuple[Digest, bytes]]:
            for name, model in models:
                digest = to_hex(keccak(model))
                verdict = memory.recall(name, digest)
                if verdict is None:
                    digests[name] = digest
                    yield name, model
                else:
                    remembered.append((name, verdict))

        digests: dict[Digest, Digest] = {}
        found = self._evaluator.evaluate_each(unknown(), features, target, manifest, yardstick)
        for name, verdict in found:
            memory.keep(name, digests[name], verdict)
            yield name, verdict
            yield from _drained(remembered)
        yield from _drained(remembered)


def _drained(remembered: list[tuple[Digest, Verdict]]) -> Iterator[tuple[Digest, Verdict]]:
    while remembered:
        yield remembered.pop(0)


class _Memory:
    """The verdicts over the rows of some work, and over its yardstick's, in a file each."""

    def __init__(self, folder: Path, work: Work) -> None:
        self._work = work
        self._rows = _File(folder, work.features, work.target, work.manifest)
        self._apart: _File | None = None
        if work.yardstick is not None:
            apart = work.yardstick
            self._apart = _File(folder, apart.features, apart.target, work.manifest)

    def recall(self, name: Digest, model: Digest) -> Verdict | None:
        """The verdict of a model with all that is asked of it, or None."""
        verdict = self._rows.known.get(model)
        if verdict is None or not self._is_measured(name, verdict) or self._apart is None:
            return verdict
        second = self._apart.known.get(model)
        if second is None:
            return None
        return replace(verdict, yardstick=second.score if second.status == "scored" else None)

    def keep(self, name: Digest, model: Digest, verdict: Verdict) -> None:
        """Write down a verdict."""
        if self._apart is not None and self._is_measured(name, verdict):
            score = verdict.yardstick
            status: Literal["scored", "rejected"] = "rejected" if score is None else "scored"
            self._apart.append(_Remembered(model, "", score or Score(0), status))
        self._rows.append(_Remembered(model, verdict.reason, verdict.score, verdict.status))

    def _is_measured(self, name: Digest, verdict: Verdict) -> bool:
        return verdict.status == "scored" and bool(self._work.measured([name]))


class _File:
    def __init__(self, folder: Path, features: Array, target: Array, manifest: Manifest) -> None:
        self._path = folder / f"{_work_digest(features, target, manifest)}.jsonl"
        self.known = _read(self._path)

    def append(self, record: _Remembered) -> None:
        # NOTE: a newline before it as well, so that it does not stick to a line that was cut off.
        with self._path.open("ab") as file:
            file.write(b"\n" + encode(record) + b"\n")


def _work_digest(features: Array, target: Array, manifest: Manifest) -> Digest:
    import numpy as np

    hasher = Keccak()
    for part in (features, target):
        hasher.update(f"{part.dtype.str} {part.shape}\n".encode())
        hasher.update(np.ascontiguousarray(part).data)
    return to_hex(keccak(__version__.encode(), b"\n", hasher.digest(), encode(manifest)))


def _read(path: Path) -> dict[Digest, Verdict]:
    known: dict[Digest, Verdict] = {}
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return known
    for line in lines:
        try:
            found = decode(line, _Remembered, "a remembered verdict")
        except DataError:
            continue
        known[found.model] = Verdict(found.status, found.score, found.reason)
    return known
