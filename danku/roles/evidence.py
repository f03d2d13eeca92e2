"""The public data of a challenge, fetched and verified against the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from danku.crypto.hashing import from_hex
from danku.dataset.bundle import (
    BUNDLE_BYTES,
    GroupForm,
    VerifiedGroup,
    decode_bundle,
    verify_bundle,
)
from danku.dataset.groups import GROUP_BYTES
from danku.errors import DataError, Rejected
from danku.protocol.actions import Outcome
from danku.protocol.draw import complement, partition, yardstick
from danku.protocol.errors import RULES
from danku.protocol.manifest import Manifest
from danku.protocol.state import Challenge
from danku.protocol.types import Cid
from danku.roles.prefetch import prefetch
from danku.roles.progress import Progress, quiet
from danku.roles.workspace import Workspace
from danku.storage.port import BlobTooLarge, Corrupt, NotFound

if TYPE_CHECKING:
    import numpy as np

Part = Literal["train", "test"]

NOT_TO_BE_HAD = (DataError, NotFound, Corrupt, BlobTooLarge)
"""What a blob's publisher answers for; any other storage error is this machine's own."""


@dataclass(frozen=True)
class Rows:
    """Verified rows in ascending group order: features [rows, *shape], target [rows]."""

    features: np.ndarray
    target: np.ndarray


@dataclass(frozen=True)
class Evidence:
    """What an evaluation runs on; ``rows`` is None when the outcome is void."""

    outcome: Outcome
    reason: str
    rows: Rows | None
    yardstick: Rows | None = None
    """None where the challenge has no yardstick, or the outcome is void."""


def group_indices(challenge: Challenge, part: Part) -> tuple[int, ...]:
    """The groups that the seed puts into a part, ascending.

    Raises:
        Rejected: NotDrawn.
    """
    if challenge.seed is None:
        raise Rejected(
            "NotDrawn",
            f"the seed of {challenge.id} is not drawn yet",
            why=RULES["NotDrawn"],
            fix=f"danku status {challenge.id} shows when it is",
        )
    test = partition(challenge.seed, challenge.terms.groups, challenge.terms.test_groups)
    return test if part == "test" else complement(test, challenge.terms.groups)


def yardstick_indices(challenge: Challenge, manifest: Manifest) -> tuple[int, ...]:
    """The train groups that the seed sets apart as the yardstick, ascending; often none.

    Raises:
        Rejected: NotDrawn.
    """
    train = group_indices(challenge, "train")
    assert challenge.seed is not None
    return yardstick(challenge.seed, train, manifest.evaluation.yardstick_groups)


def bundle_cid(challenge: Challenge, part: Part) -> Cid:
    """Where the ledger says that a part's bundle is.

    Raises:
        Rejected: the organizer has not revealed it.
    """
    cid = challenge.train if part == "train" else challenge.test
    if cid is None:
        raise Rejected(
            "TrainNotRevealed" if part == "train" else "Early",
            f"the {part} data of {challenge.id} is not revealed",
            why="data becomes public when the organizer reveals it in its window",
            fix=f"danku status {challenge.id} shows when",
        )
    return cid


def fetch_rows(
    workspace: Workspace,
    challenge: Challenge,
    manifest: Manifest,
    part: Part,
    progress: Progress = quiet,
) -> Rows:
    """The rows of a revealed part, every group checked against the data root.

    Those of the train part are all train rows, the yardstick's included.

    Raises:
        Rejected: not revealed yet.
        DataError: the bundle or a group is not what the organizer committed to.
        StorageError: the bundle or a group cannot be had.
    """
    return _joined(_fetch_groups(workspace, challenge, manifest, part, progress))


def fetch_train(
    workspace: Workspace, challenge: Challenge, manifest: Manifest, progress: Progress = quiet
) -> tuple[Rows, Rows | None]:
    """The train rows to learn from, and those of the yardstick, if the challenge has one.

    Raises:
        Rejected, DataError, StorageError: as `fetch_rows`.
    """
    groups = _fetch_groups(workspace, challenge, manifest, "train", progress)
    apart = frozenset(yardstick_indices(challenge, manifest))
    learning = [group for group in groups if group.index not in apart]
    return _joined(learning), _yardstick_rows(challenge, manifest, groups)


def _yardstick_rows(
    challenge: Challenge, manifest: Manifest, groups: Sequence[VerifiedGroup]
) -> Rows | None:
    apart = frozenset(yardstick_indices(challenge, manifest))
    return _joined([group for group in groups if group.index in apart]) if apart else None


def _joined(groups: Sequence[VerifiedGroup]) -> Rows:
    import numpy as np

    return Rows(
        np.concatenate([group.features for group in groups]),
        np.concatenate([group.target for group in groups]),
    )


def _fetch_groups(
    workspace: Workspace,
    challenge: Challenge,
    manifest: Manifest,
    part: Part,
    progress: Progress,
) -> list[VerifiedGroup]:
    bundle = decode_bundle(workspace.store.get(bundle_cid(challenge, part), BUNDLE_BYTES))
    prefetch(workspace, [group.cid for group in bundle.groups], GROUP_BYTES, part, progress)
    expected = group_indices(challenge, part)
    model, found = manifest.model, []
    groups = verify_bundle(
        bundle,
        challenge=challenge.id,
        kind=part,
        data_root=from_hex(challenge.terms.data_root),
        count=challenge.terms.groups,
        expected=expected,
        form=GroupForm(model.dtype, model.shape, len(model.classes)),
        fetch=lambda cid: workspace.store.get(cid, GROUP_BYTES),
    )
    for done, group in enumerate(groups, start=1):
        found.append(group)
        progress(f"checking {part} groups", done, len(expected))
    return found


def gather_evidence(
    workspace: Workspace, challenge: Challenge, manifest: Manifest, progress: Progress = quiet
) -> Evidence:
    """What the committee evaluates on: the test data, else the train data, else nothing.

    A train bundle that is invalid or not to be had makes the outcome `void`; a test bundle that is
    late, invalid or not to be had makes it `train-fallback`. The reasons are part of what is voted
    on, so they say nothing that could differ from one validator to the next.

    Raises:
        StorageError: this machine's store does not work; the validator must abstain.
    """
    try:
        train = _fetch_groups(workspace, challenge, manifest, "train", progress)
    except NOT_TO_BE_HAD:
        return Evidence("void", "the train data is invalid or not to be had", None)
    apart = _yardstick_rows(challenge, manifest, train)
    late = "the test data was not revealed in time"
    if challenge.test is None:
        return Evidence("train-fallback", late, _joined(train), apart)
    bad = "the test data is invalid or not to be had"
    try:
        test = fetch_rows(workspace, challenge, manifest, "test", progress)
    except NOT_TO_BE_HAD:
        return Evidence("train-fallback", bad, _joined(train), apart)
    return Evidence("test", "", test, apart)
