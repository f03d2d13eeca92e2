"""What a machine has evaluated before, so that a run that was cut short need not begin again.

A verdict follows from the profile, the manifest, the rows and the model's bytes, and its place is
named by all four. Only a validator's own private folder is believed; `danku verify` believes none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from danku import __version__
from danku.crypto.hashing import Keccak, keccak, to_hex
from danku.errors import DataError
from danku.evaluation.pool import Evaluator, Pool
from danku.evaluation.verdict import Verdict
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
    ) -> Iterator[tuple[Digest, Verdict]]:
        """See `Evaluator`."""
        make_folder(self._folder, mode=0o700)
        path = self._folder / f"{_work_digest(features, target, manifest)}.jsonl"
        known = _read(path)
        remembered: list[tuple[Digest, Verdict]] = []

        def unknown() -> Iterator[tuple[Digest, bytes]]:
            for name, model in models:
                digest = to_hex(keccak(model))
                verdict = known.get(digest)
                if verdict is None:
                    digests[name] = digest
                    yield name, model
                else:
                    remembered.append((name, verdict))

        digests: dict[Digest, Digest] = {}
        found = self._evaluator.evaluate_each(unknown(), features, target, manifest)
        for name, verdict in found:
            _append(path, digests[name], verdict)
            yield name, verdict
            yield from _drained(remembered)
        yield from _drained(remembered)


def _drained(remembered: list[tuple[Digest, Verdict]]) -> Iterator[tuple[Digest, Verdict]]:
    while remembered:
        yield remembered.pop(0)


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


def _append(path: Path, model: Digest, verdict: Verdict) -> None:
    record = _Remembered(model, verdict.reason, verdict.score, verdict.status)
    # NOTE: a newline before it as well, so that it does not stick to a line that was cut off.
    with path.open("ab") as file:
        file.write(b"\n" + encode(record) + b"\n")
