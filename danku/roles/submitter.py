"""What a submitter does: commit to a model, and open it when its time comes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from danku.crypto.commitments import random_secret, submission_commitment
from danku.crypto.hashing import from_hex, keccak, to_hex
from danku.errors import DataError, NotYet, UsageError
from danku.protocol.actions import Open, Submit
from danku.protocol.errors import refuse
from danku.protocol.manifest import Record
from danku.protocol.state import Challenge, Submission
from danku.protocol.types import ZERO_DIGEST, Address, Cid, Digest
from danku.roles.workspace import Workspace
from danku.storage.cid import cid_of

if TYPE_CHECKING:
    from danku.crypto.signatures import PrivateKey
    from danku.ledger.port import Receipt


class SealedModel(Record):
    """What opens a submission; the model's bytes lie beside it."""

    submitter: Address
    commitment: Digest
    model: Digest
    cid: Cid
    salt: Digest


class ModelUnreadable(DataError):
    """A model file that is missing or must not be read."""


class AlreadySubmitted(UsageError):
    """The submitter has committed to the same model."""


class SealedModelBroken(DataError):
    """The model in the private folder is not the one that was committed to."""


class ModelTooLarge(DataError):
    """A model file above the terms' limit."""


def _seal_name(commitment: Digest) -> str:
    return f"submission-{commitment}.json"


def _model_name(commitment: Digest) -> str:
    return f"submission-{commitment}.onnx"


def read_model(path: Path, limit: int) -> bytes:
    """A model file's bytes.

    Raises:
        ModelUnreadable: it cannot be read.
        ModelTooLarge: above ``limit`` bytes.
    """
    try:
        if path.stat().st_size > limit:
            raise ModelTooLarge(
                f"{path} has {path.stat().st_size} bytes, the limit is {limit}",
                why="the terms state it, and every validator rejects a larger model",
                fix="use fewer or smaller weights",
            )
        return path.read_bytes()
    except OSError as error:
        raise ModelUnreadable(
            f"{path} cannot be read: {error.strerror}", fix="check the path"
        ) from None


def seal(workspace: Workspace, challenge: Challenge, submitter: Address, model: bytes) -> Digest:
    """Keep a model and its salt in the private folder and return the commitment.

    The same model that was sealed but never committed, as after a crash, keeps its salt.

    Raises:
        AlreadySubmitted: the same model was committed to before.
    """
    digest = to_hex(keccak(model))
    committed = {entry.commitment: entry.number for entry in challenge.submissions}
    for sealed in workspace.vault.records(challenge.id, "submission-*.json", SealedModel):
        if (sealed.submitter, sealed.model) != (submitter, digest):
            continue
        if sealed.commitment in committed:
            raise AlreadySubmitted(
                f"this very model is your submission {committed[sealed.commitment]}",
                why="an equal model is never ranked twice, and would cost bond and fee again",
                fix="danku model list shows your submissions",
            )
        return sealed.commitment
    salt, cid = random_secret(), cid_of(model)
    commitment = to_hex(
        submission_commitment(from_hex(challenge.id), submitter, keccak(model), cid, salt)
    )
    sealed = SealedModel(submitter, commitment, digest, cid, to_hex(salt))
    workspace.vault.keep(challenge.id, _model_name(commitment), model)
    workspace.vault.keep_record(challenge.id, _seal_name(commitment), sealed)
    return commitment


def precheck_submit(workspace: Workspace, key: PrivateKey, challenge_id: Digest) -> int:
    """Raise what the rules would say of a submission now; the money that it takes.

    Raises:
        Rejected: by a rule of `submit`.
    """
    reward = workspace.challenge(challenge_id).terms.reward
    value = reward.submission_bond + reward.entry_fee
    workspace.precheck(key, Submit(challenge_id, ZERO_DIGEST), value)
    return value


def submit(workspace: Workspace, key: PrivateKey, challenge_id: Digest, model: bytes) -> Receipt:
    """Commit to a model; its bytes stay private until `open_submission`.

    Raises:
        AlreadySubmitted: the same model was committed to before, perhaps by a killed command.
        Rejected: by a rule of `submit`.
    """
    value = precheck_submit(workspace, key, challenge_id)
    challenge = workspace.challenge(challenge_id)
    commitment = seal(workspace, challenge, key.address, model)
    return workspace.send(key, Submit(challenge_id, commitment), value)


def own_submissions(challenge: Challenge, submitter: Address) -> list[Submission]:
    """The submissions of one address, in order."""
    return [entry for entry in challenge.submissions if entry.submitter == submitter]


def submission_of(challenge: Challenge, number: int) -> Submission:
    """The submission of this number.

    Raises:
        Rejected: UnknownSubmission.
    """
    if not 0 <= number < len(challenge.submissions):
        refuse(
            "UnknownSubmission",
            f"no submission {number}; there are {len(challenge.submissions)}",
            f"danku model list {challenge.id}",
        )
    return challenge.submissions[number]


def read_seal(workspace: Workspace, challenge_id: Digest, entry: Submission) -> SealedModel:
    """What opens a submission.

    Raises:
        PrivateMissing: the private folder does not hold it.
    """
    purpose = f"the salt that opens submission {entry.number}; without it the bond is lost"
    name = _seal_name(entry.commitment)
    return workspace.vault.read_record(challenge_id, name, SealedModel, purpose)


def sealed_model(workspace: Workspace, challenge_id: Digest, entry: Submission) -> bytes:
    """The private copy of a submission's model.

    Raises:
        PrivateMissing: the private folder does not hold the model or its salt.
        SealedModelBroken: it holds another model.
    """
    sealed = read_seal(workspace, challenge_id, entry)
    model = workspace.vault.read(challenge_id, _model_name(entry.commitment), "the submitted model")
    if to_hex(keccak(model)) != sealed.model:
        raise SealedModelBroken(
            f"the private copy of submission {entry.number} is not the model committed to",
            why="opening it would publish bytes that validators reject",
            fix="restore the private folder from a backup",
        )
    return model


def open_submission(
    workspace: Workspace, key: PrivateKey, challenge_id: Digest, number: int
) -> Receipt:
    """Publish a sealed model and open its commitment.

    Raises:
        Rejected: by a rule of `open`; then nothing was published.
        PrivateMissing: the private folder does not hold the model or its salt.
        SealedModelBroken: it holds another model.
    """
    entry = submission_of(workspace.challenge(challenge_id), number)
    sealed = read_seal(workspace, challenge_id, entry)
    model = sealed_model(workspace, challenge_id, entry)
    action = Open(challenge_id, number, sealed.model, sealed.cid, sealed.salt)
    workspace.precheck(key, action)
    workspace.store.put(model)
    return workspace.send(key, action)


def open_all(workspace: Workspace, key: PrivateKey, challenge_id: Digest) -> list[Receipt]:
    """Open every submission of this key that is not open yet.

    Raises:
        NotYet: there is none.
        Rejected: by a rule of `open`.
    """
    challenge = workspace.challenge(challenge_id)
    waiting = [
        entry.number for entry in own_submissions(challenge, key.address) if entry.opening is None
    ]
    if not waiting:
        raise NotYet(
            f"{key.address} has no sealed submission in {challenge_id}",
            fix="danku model list shows the submissions of this key",
        )
    return [open_submission(workspace, key, challenge_id, number) for number in waiting]
