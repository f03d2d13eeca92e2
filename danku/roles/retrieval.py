"""When a validator may hold it against a publisher that a blob cannot be had.

The first half of a vote window is for fetching: whoever does not get a blob votes nothing yet, and
tries again with its next run. In the second half a blob that cannot be had counts as not revealed
(`void` for the train data, `train-fallback` for the test data, `unavailable` for a model). The rule
is the ledger's clock's, alike for all members of a committee; what they found is decided by their
votes. It holds for stores that look beyond a folder; in a folder a blob is there or it is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from danku.errors import DataError, NotYet, StorageError
from danku.protocol.committee import round_due
from danku.protocol.state import Challenge
from danku.roles.evidence import fetch_rows
from danku.roles.prefetch import network_store
from danku.roles.progress import Progress, quiet
from danku.storage.port import BlobTooLarge, Corrupt, ForeignFile, NotRetrieved

if TYPE_CHECKING:
    from danku.roles.evidence import Part
    from danku.roles.workspace import Workspace
    from danku.storage.network import NetworkStore


class NotServed(StorageError):
    """A validator's node does not keep what was evaluated."""


class StillRetrieving(NotYet):
    """A blob cannot be had yet, and may still come before it counts as not revealed."""


def retrieval_end(challenge: Challenge, number: int) -> int:
    """The ledger time from which on a blob that cannot be had counts as not revealed."""
    start, end = challenge.windows.vote_window(number)
    return start + (end - start) // 2


def retrieval_seconds(challenge: Challenge, number: int, time: int) -> int:
    """How long one attempt may take, so that there is time left to evaluate and to vote."""
    start, end = challenge.windows.vote_window(number)
    return max(start + 3 * (end - start) // 4 - time, (end - time) // 2, 1)


@contextmanager
def retrieved(
    workspace: Workspace, challenge: Challenge, progress: Progress = quiet
) -> Iterator[None]:
    """Within it, everything that a vote depends on is at hand, or counts as not to be had.

    Raises:
        StillRetrieving: something is missing, and its time is not over.
        StorageError: this machine's store does not work; the validator must abstain.
    """
    store = network_store(workspace)
    if store is None:
        yield
        return
    time = workspace.ledger.time()
    number = round_due(challenge, time)
    with store.for_seconds(retrieval_seconds(challenge, number, time)):
        missing = _missing(workspace, store, challenge, progress)
        end = retrieval_end(challenge, number)
        if missing and workspace.ledger.time() < end:
            raise StillRetrieving(
                f"{missing[0]} of {challenge.id} cannot be had yet"
                + (f", and {len(missing) - 1} more" if len(missing) > 1 else ""),
                why=f"until {end} on the ledger's clock a blob may still come; from then on "
                "what cannot be had counts as not revealed",
                fix="run this again later in the window; danku storage status shows your sources",
            )
        yield


def serve(workspace: Workspace, challenge: Challenge, progress: Progress = quiet) -> None:
    """Have the own node, if there is one, pin and serve what a vote rests on.

    Raises:
        NotServed: it does not; the vote stands all the same.
    """
    from danku.roles.storage import obtain

    store = network_store(workspace)
    if store is None or store.node is None:
        return
    try:
        obtain(workspace, store, challenge, progress, pin=True)
    except StorageError as error:
        raise NotServed(
            f"the vote stands, but your node does not serve what it rests on: {error.what}",
            why=error.why,
            fix=f"danku storage pin {challenge.id}, so that others find it as you did",
        ) from None


def _missing(
    workspace: Workspace, store: NetworkStore, challenge: Challenge, progress: Progress
) -> list[str]:
    """What could not be had, in words; everything else is at hand afterwards."""
    try:
        manifest = workspace.manifest(challenge)
    except NotRetrieved:
        return ["the manifest"]
    missing = []
    for part in _revealed(challenge):
        try:
            with suppress(DataError, Corrupt, ForeignFile, BlobTooLarge):
                fetch_rows(workspace, challenge, manifest, part, progress)
        except NotRetrieved:
            missing.append(f"the {part} data")
    openings = {e.opening.cid: e.number for e in challenge.submissions if e.opening is not None}
    lost = store.obtain_each(
        list(openings),
        manifest.evaluation.limits.model_bytes,
        lambda done, total: progress("fetching models", done, total),
    )
    return missing + [f"the model of submission {openings[cid]}" for cid in lost]


def _revealed(challenge: Challenge) -> Iterator[Part]:
    yield "train"
    if challenge.test is not None:
        yield "test"
