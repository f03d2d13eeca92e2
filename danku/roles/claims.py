"""What an address is owed, and the actions that take it out."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from danku.crypto.hashing import keccak, to_hex
from danku.errors import DankuError, DataError, StorageError
from danku.protocol.actions import Action, Claim, ClaimDeposit, Withdraw
from danku.protocol.records import decode
from danku.protocol.registry import registry_of
from danku.protocol.result import RESULT_BYTES, Result
from danku.protocol.state import Challenge, State
from danku.protocol.types import Address, Amount
from danku.roles.assessment import payout_tree, payouts_of
from danku.roles.seats import holding, stakes_of, unstaking
from danku.roles.workspace import Workspace

if TYPE_CHECKING:
    from danku.crypto.signatures import PrivateKey


@dataclass(frozen=True)
class Owed:
    """One amount that can be taken out, and the action that does it."""

    what: str
    payee: Address
    amount: int
    action: Action


class ResultMissing(StorageError):
    """The result that a committee decided cannot be had."""


class PayoutsContradict(DataError):
    """The payouts that follow from the decided result are not the decided ones."""


def decided_result(workspace: Workspace, challenge: Challenge) -> Result:
    """The result of a decided challenge, from whoever of the majority serves the right bytes.

    Raises:
        ResultMissing: nobody does.
    """
    settlement = challenge.settlement
    if settlement is None or settlement.ballot is None:
        raise DataError(f"no committee decided {challenge.id}", fix="danku status shows its state")
    votes = challenge.rounds[settlement.round].votes
    for voter in settlement.majority:
        cid = votes[voter].cid
        try:
            data = workspace.store.get(cid or "", RESULT_BYTES)
        except (DataError, StorageError):
            continue
        if to_hex(keccak(data)) == settlement.ballot.result:
            return decode(data, Result, "result")
    raise ResultMissing(
        f"nobody serves the result {settlement.ballot.result} of {challenge.id}",
        why="the blobs that the majority named are missing or are other bytes",
        fix=f"danku verify {challenge.id} re-computes it from the models and the data",
    )


def payout_claims(workspace: Workspace, challenge: Challenge) -> list[Owed]:
    """All payouts of a decided challenge that are not paid yet, whoever the payee is.

    Raises:
        DataError, StorageError: the result cannot be had or does not fit.
    """
    settlement = challenge.settlement
    if settlement is None or settlement.ballot is None or not settlement.ballot.payout_total:
        return []
    manifest = workspace.manifest(challenge)
    payouts = payouts_of(challenge, manifest, decided_result(workspace, challenge))
    tree = payout_tree(payouts)
    if to_hex(tree.root) != settlement.ballot.payout_root:
        raise PayoutsContradict(f"the payouts of {challenge.id} do not have the decided root")
    return [
        Owed(
            f"payout of {manifest.name}",
            payee,
            amount,
            Claim(
                challenge.id,
                index,
                payee,
                Amount(amount),
                tuple(to_hex(node) for node in tree.proof(index)),
            ),
        )
        for index, (payee, amount) in enumerate(payouts)
        if not settlement.claimed >> index & 1
    ]


def deposit_claims(challenge: Challenge) -> list[Owed]:
    """All submission deposits that the ledger itself owes and that are not paid yet."""
    settlement = challenge.settlement
    if settlement is None or settlement.deposit == 0:
        return []
    return [
        Owed(
            "deposit",
            entry.submitter,
            settlement.deposit,
            ClaimDeposit(challenge.id, entry.number),
        )
        for entry in challenge.submissions
        if (settlement.kind == "cancelled" or entry.opening is not None)
        and not settlement.deposits_claimed >> entry.number & 1
    ]


def stake_claims(state: State, address: Address, time: int) -> list[Owed]:
    """The stakes of ended seats of an address that can be taken out at a time.

    Raises:
        Rejected: NoRegistry.
    """
    registry = registry_of(state)
    return [
        Owed(
            f"stake of {len(action.seats)} seat(s)",
            address,
            stakes_of(registry, action.seats),
            action,
        )
        for action in unstaking(holding(state, address, time))
    ]


def owed_to(workspace: Workspace, address: Address) -> list[Owed]:
    """Everything that an address can take out now; a challenge without its result is left out."""
    state = workspace.state()
    owed: list[Owed] = []
    for challenge in state.challenges.values():
        if address not in challenge.counts:
            continue
        items = deposit_claims(challenge)
        with suppress(DankuError):
            items += payout_claims(workspace, challenge)
        owed += [item for item in items if item.payee == address]
    if state.registry is not None:
        owed += stake_claims(state, address, workspace.ledger.time())
    credit = state.credits.get(address, 0)
    if credit:
        owed.append(Owed("credit", address, credit, Withdraw()))
    return owed


def claim_all(workspace: Workspace, key: PrivateKey) -> list[Owed]:
    """Take out everything owed to a key's address; what was taken.

    Raises:
        Rejected: by a rule of the claims.
    """
    owed = owed_to(workspace, key.address)
    for item in owed:
        workspace.send(key, item.action)
    return owed
