"""What a validator does: vote for what it evaluated, open the vote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from danku.crypto.commitments import vote_commitment
from danku.crypto.hashing import from_hex, keccak, to_hex
from danku.errors import DataError
from danku.protocol.actions import OUTCOMES, Ballot, OpenVote, Vote
from danku.protocol.committee import round_due
from danku.protocol.errors import refuse
from danku.protocol.manifest import Record
from danku.protocol.types import ZERO_DIGEST, Digest
from danku.roles.assessment import Assessment
from danku.roles.workspace import Workspace
from danku.storage.cid import cid_of

if TYPE_CHECKING:
    from danku.crypto.signatures import PrivateKey
    from danku.ledger.port import Receipt


class SealedVote(Record):
    """What opens a vote."""

    ballot: Ballot
    salt: Digest


def _name(commitment: Digest) -> str:
    return f"vote-{commitment}.json"


def _result_name(commitment: Digest) -> str:
    return f"vote-{commitment}-result.json"


def precheck_vote(workspace: Workspace, key: PrivateKey, challenge_id: Digest) -> None:
    """Raise what the rules would say of a vote now, before the work of evaluating.

    Raises:
        Rejected: by a rule of `vote`.
    """
    workspace.precheck(key, Vote(challenge_id, ZERO_DIGEST))


def cast_vote(
    workspace: Workspace, key: PrivateKey, challenge_id: Digest, assessment: Assessment
) -> Receipt:
    """Commit to what was evaluated; ballot, salt and result are on the disk before.

    Raises:
        Rejected: by a rule of `vote`.
    """
    precheck_vote(workspace, key, challenge_id)
    number = round_due(workspace.challenge(challenge_id), workspace.ledger.time())
    commitment = _seal(workspace, key, challenge_id, number, assessment)
    return workspace.send(key, Vote(challenge_id, commitment))


def _seal(
    workspace: Workspace,
    key: PrivateKey,
    challenge_id: Digest,
    number: int,
    assessment: Assessment,
) -> Digest:
    """Keep what opens a vote; the commitment to it.

    The salt follows from the key, so that a CI run on an empty disk can open what another voted.
    """
    ballot = assessment.ballot
    salt = key.derive("vote salt", from_hex(challenge_id), bytes([number]))
    commitment = to_hex(
        vote_commitment(
            from_hex(challenge_id),
            number,
            key.address,
            OUTCOMES.index(ballot.outcome),
            from_hex(ballot.result),
            from_hex(ballot.payout_root),
            ballot.payout_total,
            ballot.winner,
            ballot.score,
            salt,
        )
    )
    vault = workspace.vault
    vault.keep(challenge_id, _result_name(commitment), assessment.data)
    vault.keep_record(challenge_id, _name(commitment), SealedVote(ballot, to_hex(salt)))
    return commitment


def committed_vote(workspace: Workspace, key: PrivateKey, challenge_id: Digest) -> Digest:
    """The commitment of a key's vote in the round that is due.

    Raises:
        Rejected: NotVoted.
    """
    challenge = workspace.challenge(challenge_id)
    number = round_due(challenge, workspace.ledger.time())
    votes = challenge.rounds[number].votes if number in challenge.rounds else {}
    if key.address not in votes:
        refuse("NotVoted", f"{key.address} committed to no vote in round {number}")
    return votes[key.address].commitment


def holds_vote(workspace: Workspace, key: PrivateKey, challenge_id: Digest) -> bool:
    """Whether the private folder has what opens the vote in the round that is due."""
    commitment = committed_vote(workspace, key, challenge_id)
    folder = workspace.vault.folder(challenge_id)
    return all((folder / name(commitment)).is_file() for name in (_name, _result_name))


def recover_vote(
    workspace: Workspace, key: PrivateKey, challenge_id: Digest, assessment: Assessment
) -> None:
    """Make again what opens a vote that was committed on another machine.

    Raises:
        DataError: evaluating again does not lead to the vote that was committed.
    """
    commitment = committed_vote(workspace, key, challenge_id)
    number = round_due(workspace.challenge(challenge_id), workspace.ledger.time())
    if _seal(workspace, key, challenge_id, number, assessment) != commitment:
        raise DataError(
            "evaluating again does not lead to the vote that was committed",
            why="data or models came or went since, or another machine voted something else",
            fix="open it where it was made, with the private folder that is there",
        )


def open_vote(workspace: Workspace, key: PrivateKey, challenge_id: Digest) -> Receipt:
    """Publish the result that was voted for and open the vote.

    Raises:
        PrivateMissing: the private folder does not hold the vote.
        DataError: it holds another result.
        Rejected: by a rule of `open_vote`; then nothing was published.
    """
    commitment = committed_vote(workspace, key, challenge_id)
    vault = workspace.vault
    purpose = "the ballot and salt that open a vote"
    sealed = vault.read_record(challenge_id, _name(commitment), SealedVote, purpose)
    result = vault.read(challenge_id, _result_name(commitment), "the result that was voted for")
    if to_hex(keccak(result)) != sealed.ballot.result:
        raise DataError(
            "the private copy of the result is not the one that was voted for",
            why="others could not check the vote against it",
            fix="restore the private folder from a backup",
        )
    action = OpenVote(challenge_id, sealed.ballot, sealed.salt, cid_of(result))
    workspace.precheck(key, action)
    workspace.store.put(result)
    return workspace.send(key, action)
