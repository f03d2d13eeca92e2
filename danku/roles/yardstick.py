"""Where a submitter stands: the score on the yardstick, and saying it to everybody.

The yardstick is a part of the train data that the seed sets apart. Whoever trains on it measures
nothing. A reported score is the submitter's word until validators have opened the model and scored
it on the same rows; one that is not exactly what they find makes the submission rejected.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from danku.crypto.hashing import keccak, to_hex
from danku.errors import DataError, UsageError
from danku.protocol.actions import Report
from danku.protocol.errors import refuse
from danku.protocol.manifest import Manifest
from danku.protocol.state import Challenge, Submission
from danku.protocol.types import Address, Digest, Score
from danku.roles.evidence import Rows, fetch_train, yardstick_indices
from danku.roles.progress import Progress, quiet
from danku.roles.rehearsal import rehearse
from danku.roles.submitter import (
    own_submissions,
    read_model,
    read_seal,
    sealed_model,
    submission_of,
)
from danku.roles.workspace import Workspace

if TYPE_CHECKING:
    from danku.crypto.signatures import PrivateKey
    from danku.ledger.port import Receipt


class NoYardstick(UsageError):
    """The challenge sets no group apart on which a score could be reported."""


class OtherModel(DataError):
    """A file that is not the model committed to."""


def require_yardstick(challenge: Challenge, manifest: Manifest) -> None:
    """Refuse a challenge on whose reports nobody would look.

    Raises:
        NoYardstick: it sets no group apart.
        Rejected: NotDrawn.
    """
    if not yardstick_indices(challenge, manifest):
        raise NoYardstick(
            f"the challenge {manifest.name} has no yardstick",
            why="its terms set no train group apart, so validators ignore reported scores",
            fix=f"danku model score {manifest.name} MODEL scores on the train data, for you alone",
        )


def fetch_yardstick(
    workspace: Workspace, challenge: Challenge, manifest: Manifest, progress: Progress = quiet
) -> Rows:
    """The yardstick's rows, verified.

    Raises:
        NoYardstick: there are none.
        Rejected, DataError, StorageError: as `danku.roles.evidence.fetch_train`.
    """
    require_yardstick(challenge, manifest)
    _, rows = fetch_train(workspace, challenge, manifest, progress)
    assert rows is not None
    return rows


def reportable(challenge: Challenge, submitter: Address, number: int | None) -> Submission:
    """The submission of this number, or the newest of the submitter.

    Raises:
        Rejected: UnknownSubmission.
    """
    if number is not None:
        return submission_of(challenge, number)
    own = own_submissions(challenge, submitter)
    if not own:
        refuse(
            "UnknownSubmission",
            f"{submitter} has no submission in {challenge.id}",
            f"danku model submit {challenge.id} MODEL commits to one",
        )
    return own[-1]


def committed_model(
    workspace: Workspace, challenge: Challenge, entry: Submission, file: Path | None, limit: int
) -> bytes:
    """The bytes of a submission's model: the private copy, or a file that holds the same.

    Raises:
        PrivateMissing: the private folder does not hold what was committed to.
        SealedModelBroken, OtherModel: the copy or the file is another model.
        ModelUnreadable, ModelTooLarge: as `danku.roles.submitter.read_model`.
    """
    if file is None:
        return sealed_model(workspace, challenge.id, entry)
    data = read_model(file, limit)
    committed = read_seal(workspace, challenge.id, entry).model
    if to_hex(keccak(data)) != committed:
        raise OtherModel(
            f"{file} is not the model of submission {entry.number}",
            why=f"its keccak is {to_hex(keccak(data))}, committed to was {committed}",
            fix="leave out --model to use the private copy, or name its submission",
        )
    return data


def measure(model: bytes, rows: Rows, manifest: Manifest) -> Score:
    """What validators will find on the yardstick, from their own evaluator.

    Raises:
        WouldBeRejected: they would reject the model.
        WorkerFailed: the worker hit its limits.
    """
    return Score(rehearse(model, rows, manifest).score)


def precheck_report(
    workspace: Workspace, key: PrivateKey, challenge_id: Digest, number: int
) -> None:
    """Raise what the rules would say of a report now, before the work of evaluating.

    Raises:
        Rejected: by a rule of `report`.
    """
    workspace.precheck(key, Report(challenge_id, number, Score(0)))


def report(
    workspace: Workspace, key: PrivateKey, challenge_id: Digest, number: int, score: Score
) -> Receipt:
    """Tell everybody a submission's score on the yardstick; a later report replaces it.

    Raises:
        NoYardstick: nobody would look at it.
        Rejected: by a rule of `report`.
    """
    challenge = workspace.challenge(challenge_id)
    require_yardstick(challenge, workspace.manifest(challenge))
    return workspace.send(key, Report(challenge_id, number, score))
