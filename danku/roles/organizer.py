"""What an organizer does: commit to data and terms, reveal what the seed decides, settle."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from danku.crypto.commitments import random_secret
from danku.crypto.hashing import keccak, to_hex
from danku.crypto.merkle import DataTree
from danku.errors import UsageError
from danku.protocol.actions import Cancel, Create, RevealTest, RevealTrain
from danku.protocol.draw import challenge_id
from danku.protocol.initialization import next_nonce
from danku.protocol.manifest import DataDescription, Manifest, Record
from danku.protocol.records import encode
from danku.protocol.state import Challenge
from danku.protocol.terms import Terms, escrow_of
from danku.protocol.types import ZERO_DIGEST, Address, Digest
from danku.roles.challenge_file import (
    ChallengeFile,
    check_yardstick,
    evaluation_of,
    mechanism_of,
    panel_of,
    read_challenge_file,
    reward_of,
    schedule_of,
)
from danku.roles.evidence import Part, group_indices
from danku.roles.names import name_of
from danku.roles.playable import check_playable
from danku.roles.progress import Progress, quiet
from danku.roles.seeds import keep_secret
from danku.roles.workspace import Workspace
from danku.storage.cid import cid_of

if TYPE_CHECKING:
    import numpy as np

    from danku.crypto.signatures import PrivateKey
    from danku.dataset.private import PrivateGroups
    from danku.dataset.table import Table
    from danku.ledger.port import Receipt

DATA_RECORD = "data.json"


class AlreadyRunning(UsageError):
    """The organizer has an unfinished challenge of this name."""


class CommittedData(Record):
    """Where in the challenge's private folder the groups and nonces behind its data root are."""

    folder: str


@dataclass(frozen=True)
class Draft:
    """A challenge before its data is committed to."""

    file: ChallengeFile
    manifest: Manifest
    terms: Terms
    """With a zero data root."""
    table: Table
    plan: list[np.ndarray]


def read_draft(path: Path) -> Draft:
    """Read challenge.toml and its data; nothing is written.

    Raises:
        DataError: the file or the data is bad or missing.
    """
    from danku.dataset.groups import plan_groups
    from danku.dataset.sources import read_source
    from danku.evaluation.metrics import metric

    file = read_challenge_file(path)
    metric(file.evaluation.metric)
    table = read_source(
        path.parent / file.data.source,
        file.data.target,
        dtype=file.model.dtype,
        row_shape=file.model.shape,
        classes=file.model.classes,
        group_by=file.data.group_by,
    )
    seed = random_secret() if file.data.shuffle else None
    plan = plan_groups(table.rows, file.data.group_rows, seed, table.group_keys)
    manifest = Manifest(
        name=file.challenge.name,
        title=file.challenge.title,
        summary=file.challenge.summary,
        data=DataDescription(table.columns, file.data.target, table.rows),
        evaluation=evaluation_of(file, path),
        model=file.model,
        mechanism=mechanism_of(file, path),
    )
    check_playable(manifest)
    terms = Terms(
        manifest=to_hex(keccak(encode(manifest))),
        data_root=ZERO_DIGEST,
        groups=len(plan),
        test_groups=min(len(plan) - 1, max(1, round(file.data.test_fraction * len(plan)))),
        seed_source=file.validators.seed_source,
        min_contributions=file.validators.min_contributions,
        schedule=schedule_of(file),
        reward=reward_of(file, path),
        panel=panel_of(file, path),
    )
    check_yardstick(manifest.evaluation, path, terms.groups - terms.test_groups)
    return Draft(file, manifest, terms, table, plan)


def _refuse_rerun(workspace: Workspace, organizer: Address, name: str) -> None:
    for challenge in workspace.state().challenges.values():
        own = challenge.organizer == organizer and challenge.settlement is None
        if own and name_of(workspace, challenge.id) == name:
            raise AlreadyRunning(
                f"your challenge {name} ({challenge.id}) is not finished",
                why="a second one would lock up a second pot and bond",
                fix="add --again if that is meant, or give it another name",
            )


def create(
    workspace: Workspace,
    key: PrivateKey,
    draft: Draft,
    *,
    again: bool = False,
    progress: Progress = quiet,
) -> Challenge:
    """Commit to the data and the terms, and escrow pot, fee and bond.

    Nonces, groups and the seed secret are on the disk before the action is sent.

    Raises:
        AlreadyRunning: an unfinished challenge has the same name.
        Rejected: by a rule of `create`; no money has moved.
    """
    from danku.dataset.commit import commit_groups

    value = escrow_of(draft.terms)
    workspace.private.mkdir(mode=0o700, exist_ok=True)
    with FileLock(workspace.private / "create.lock"):
        if not again:
            _refuse_rerun(workspace, key.address, draft.manifest.name)
        manifest = encode(draft.manifest)
        state = workspace.state()
        nonce = next_nonce(state, key.address)
        workspace.precheck(key, Create(draft.terms, cid_of(manifest), ZERO_DIGEST, nonce), value)
        identity = challenge_id(state.chain_id, state.ledger, key.address, nonce)
        _discard_unsent(workspace, identity)
        folder = f"groups-{secrets.token_hex(8)}"
        commitments = commit_groups(
            draft.table,
            draft.plan,
            workspace.vault.folder(identity) / folder,
            nonces=random_secret,
            progress=lambda done, total: progress("committing to groups", done, total),
        )
        workspace.vault.keep_record(identity, DATA_RECORD, CommittedData(folder))
        root = to_hex(DataTree([item.leaf for item in commitments]).root)
        terms = _with_root(draft.terms, root)
        seed_commitment = keep_secret(workspace, identity, key.address)
        workspace.store.put(manifest)
        workspace.send(key, Create(terms, cid_of(manifest), seed_commitment, nonce), value)
    return workspace.state().challenges[identity]


def _with_root(terms: Terms, root: Digest) -> Terms:
    from msgspec.structs import replace

    return replace(terms, data_root=root)


def _discard_unsent(workspace: Workspace, identity: Digest) -> None:
    """Remove groups of an earlier try at this id, which no commitment can depend on."""
    for folder in workspace.vault.folder(identity).glob("groups-*"):
        shutil.rmtree(folder)


def reveal(
    workspace: Workspace,
    key: PrivateKey,
    identity: Digest,
    part: Part,
    progress: Progress = quiet,
) -> Receipt:
    """Publish the groups of a part with what proves them, and name the bundle on the ledger.

    Raises:
        PrivateMissing: the private folder does not hold the groups or their nonces.
        PrivateGroupsBroken: they are not those committed to; then nothing was published.
        Rejected: by a rule of `reveal_train` or `reveal_test`; then nothing was published.
    """
    from danku.dataset.bundle import build_bundle, encode_bundle
    from danku.dataset.private import PrivateGroups

    challenge = workspace.challenge(identity)
    action = RevealTrain if part == "train" else RevealTest
    workspace.precheck(key, action(identity, cid_of(b"")))
    purpose = "where the groups and nonces behind the data root are"
    committed = workspace.vault.read_record(identity, DATA_RECORD, CommittedData, purpose)
    private = PrivateGroups(workspace.vault.folder(identity) / committed.folder)
    indices = group_indices(challenge, part)
    _check_private(challenge, private, indices)
    cids = {}
    for done, index in enumerate(indices, start=1):
        cids[index] = workspace.store.put(private.read(index))
        progress(f"publishing {part} groups", done, len(indices))
    bundle = build_bundle(identity, part, private.commitments, indices, cids)
    return workspace.send(key, action(identity, workspace.store.put(encode_bundle(bundle))))


def _check_private(challenge: Challenge, private: PrivateGroups, indices: Sequence[int]) -> None:
    """Refuse groups that are not those committed to, before any of them is published."""
    from danku.dataset.private import PrivateGroupsBroken

    root = to_hex(DataTree([item.leaf for item in private.commitments]).root)
    if root != challenge.terms.data_root:
        raise PrivateGroupsBroken(
            f"the private groups in {private.folder} are not those committed to",
            why=f"they lead to the data root {root}, the terms hold {challenge.terms.data_root}",
            fix="bring the private folder back from a backup",
        )
    for index in indices:
        private.read(index)


def cancel(workspace: Workspace, key: PrivateKey, identity: Digest) -> Receipt:
    """End a challenge; free only before the first contribution.

    Raises:
        Rejected: by a rule of `cancel`.
    """
    return workspace.send(key, Cancel(identity))
