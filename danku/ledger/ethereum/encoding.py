"""From an action to the call that makes it, with everything that the contract wants handed over."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from danku.crypto.hashing import from_hex
from danku.ledger.ethereum import witness
from danku.ledger.ethereum.artifact import ARENA, COURT, artifact
from danku.ledger.ethereum.errors import ExtraMissing
from danku.ledger.ethereum.history import History
from danku.protocol import actions as a
from danku.protocol.state import Challenge, State
from danku.protocol.types import Address

if TYPE_CHECKING:
    from web3.contract import Contract


def call_of(action: a.Action, sender: Address, history: History, after: State) -> bytes:
    """The call's data: the function's selector and its arguments.

    Args:
        history: what was accepted before.
        after: the state that the rules make of it.

    Raises:
        ExtraMissing: the packages for Ethereum are not installed.
    """
    name, arguments = _call(action, sender, history, after)
    return from_hex(_interface().encode_abi(name, args=arguments))


def creation_of(name: str, *arguments: Any) -> bytes:
    """The data of a transaction that creates one of the shipped contracts.

    Raises:
        ExtraMissing: the packages for Ethereum are not installed.
    """
    shipped = artifact(name)
    contract = _web3().eth.contract(abi=list(shipped.abi), bytecode=shipped.bytecode)
    return from_hex(contract.constructor(*arguments).data_in_transaction)


def _call(
    action: a.Action, sender: Address, history: History, after: State
) -> tuple[str, list[Any]]:
    name = a.kind_of(action)
    if isinstance(action, a.Create):
        terms, commitment = witness.terms_struct(action.terms), from_hex(action.seed_commitment)
        return name, [terms, action.manifest, commitment, action.nonce]
    if isinstance(action, a.Withdraw):
        return name, []
    if isinstance(action, a.Join):
        return name, [action.seats, action.held]
    if isinstance(action, a.Leave | a.Unstake):
        return name, [list(action.seats)]
    identity = from_hex(action.challenge)
    challenge = history.state.challenges[action.challenge]
    if isinstance(action, a.Claim):
        proof = [from_hex(node) for node in action.proof]
        payee = from_hex(action.payee)
        return name, [identity, action.index, payee, int(action.amount), proof]
    if isinstance(action, a.ClaimDeposit):
        entry = challenge.submissions[action.submission]
        place = witness.place_of(challenge, entry.number)
        return name, [identity, entry.number, from_hex(entry.submitter), place]
    terms = witness.agreement(challenge, history.origins[challenge.id])
    arguments = _arguments(action, sender, challenge, after.challenges[challenge.id])
    return name, [identity, terms, *arguments]


def _arguments(
    action: a.Action, sender: Address, challenge: Challenge, after: Challenge
) -> list[Any]:
    """What follows the challenge and its agreement."""
    panel = witness.panel(challenge)
    first, second = (witness.committee(challenge, number) for number in (1, 2))
    match action:
        case a.Contribute(commitment=commitment):
            return [panel, from_hex(commitment)]
        case a.OpenSeed(secret=secret):
            return [panel, from_hex(secret)]
        case a.Draw():
            return [panel, *witness.openings(challenge)]
        case a.RevealTrain(bundle=bundle) | a.RevealTest(bundle=bundle):
            return [bundle]
        case a.Submit(commitment=commitment):
            return [panel, from_hex(commitment), challenge.counts.get(sender, 0)]
        case a.Open():
            opening = [action.submission, from_hex(action.model), action.cid, from_hex(action.salt)]
            return [*opening, witness.place_of(challenge, action.submission)]
        case a.Convene():
            return [panel, first, second]
        case a.Vote(commitment=commitment):
            round_due = next(n for n, r in after.rounds.items() if r != challenge.rounds.get(n))
            return [panel, witness.committee(challenge, round_due), from_hex(commitment)]
        case a.OpenVote():
            return [witness.ballot(action.ballot), from_hex(action.salt), action.cid]
        case a.Finalize():
            settlement = after.settlement
            decided = settlement.ballot if settlement else None
            return [panel, first, second, witness.ballot(decided)]
        case a.Cancel():
            return [witness.unopened(challenge)]
        case _:
            raise AssertionError(f"no call makes {a.kind_of(action)}")


@cache
def _interface() -> Contract:
    both = [*artifact(ARENA).abi, *(each for each in artifact(COURT).abi if _own(each))]
    found: Contract = _web3().eth.contract(abi=both)
    return found


def _own(plain: dict[str, Any]) -> bool:
    """Whether only the court has it."""
    return plain["type"] == "function" and plain["name"] not in artifact(ARENA).functions


@cache
def _web3() -> Any:
    try:
        from web3 import Web3
    except ImportError:
        raise ExtraMissing("web3") from None
    return Web3()
