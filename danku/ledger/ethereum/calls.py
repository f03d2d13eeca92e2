"""Actions as calls of the contract: its function, and the arguments with all witnesses.

A witness is what the contract keeps only the hash of, so that whoever acts has to hand it over. It
is read from the state that the events so far add up to. Where the state does not know what an
action names, the witness is empty, and the contract refuses as the rules do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from danku.crypto.hashing import from_hex
from danku.ledger.ethereum import layout
from danku.protocol import actions as a
from danku.protocol.committee import decision
from danku.protocol.manifest import Record
from danku.protocol.state import Challenge, State
from danku.protocol.terms import (
    SEED_SOURCES,
    NamedPanel,
    Reward,
    Schedule,
    Terms,
    escrow_of,
)
from danku.protocol.types import ZERO_ADDRESS, ZERO_DIGEST, Address, Amount, Digest, Score

NO_BALLOT = a.Ballot("test", ZERO_DIGEST, ZERO_DIGEST, Amount(0), ZERO_ADDRESS, Score(0))
NO_AGREEMENT: layout.Agreement = (0, 0, 0, 0, 0, bytes(32))
NO_PANEL: layout.Panel = (bytes(32), ())


@dataclass(frozen=True)
class Call:
    """A function of the contract and its arguments, in order."""

    function: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class Known:
    """What a call is built from."""

    state: State
    beacon_blocks: Mapping[Digest, int]
    """Of each challenge, as its `Created` event says."""
    sender: Address

    def challenge(self, identity: Digest) -> Challenge | None:
        return self.state.challenges.get(identity)

    def head(self, identity: Digest) -> tuple[bytes, layout.Agreement]:
        """The first two arguments of whatever acts on an ongoing challenge."""
        found = self.challenge(identity)
        block = self.beacon_blocks.get(identity, 0)
        return from_hex(identity), layout.agreement(found, block) if found else NO_AGREEMENT

    def panel(self, identity: Digest) -> layout.Panel:
        found = self.challenge(identity)
        return layout.panel(found) if found else NO_PANEL

    def committee(self, identity: Digest, number: int) -> layout.Committee:
        found = self.challenge(identity)
        return layout.committee(found, number) if found else layout.NO_COMMITTEE

    def place(self, identity: Digest, number: int) -> tuple[Address, int]:
        """Whose submission a number is, and how many that submitter made before it."""
        found = self.challenge(identity)
        if found is None or number >= len(found.submissions):
            return ZERO_ADDRESS, 0
        who = found.submissions[number].submitter
        return who, sum(1 for entry in found.submissions[:number] if entry.submitter == who)


def call_of(
    action: Record, sender: Address, state: State, beacon_blocks: Mapping[Digest, int]
) -> Call:
    """The call that an action is, as things stand.

    Args:
        beacon_blocks: of each challenge, as its `Created` event says.
    """
    arguments = _ARGUMENTS[type(action)](action, Known(state, beacon_blocks, sender))
    return Call(a.kind_of(action), arguments)


def value_of(action: Record, state: State) -> int:
    """The money that an action must carry: what the rules demand, to the last unit."""
    if isinstance(action, a.Create):
        return escrow_of(action.terms)
    if isinstance(action, a.Join):
        return action.seats * int(state.registry.terms.stake) if state.registry else 0
    challenge = state.challenges.get(getattr(action, "challenge", ""))
    if challenge is None:
        return 0
    reward = challenge.terms.reward
    if isinstance(action, a.Contribute):
        return int(reward.contribution_deposit)
    if isinstance(action, a.Submit):
        return reward.submission_bond + reward.entry_fee
    return 0


def terms_words(terms: Terms) -> tuple[Any, ...]:
    """Terms as the contract's struct: the values of `terms_digest`, in its order."""
    panel = terms.panel
    if isinstance(panel, NamedPanel):
        kind: tuple[Any, ...] = (0, layout.numbers(panel.members), 0, 0, 0)
    else:
        kind = (1, (), panel.seats, panel.minority_share, panel.silence_share)
    return (
        from_hex(terms.data_root),
        terms.groups,
        terms.test_groups,
        SEED_SOURCES.index(terms.seed_source),
        terms.min_contributions,
        *(getattr(terms.schedule, name) for name in Schedule.__struct_fields__),
        *(int(getattr(terms.reward, name)) for name in Reward.__struct_fields__),
        *kind,
        from_hex(terms.manifest),
    )


def _create(action: a.Create, known: Known) -> tuple[Any, ...]:
    commitment = from_hex(action.seed_commitment)
    return terms_words(action.terms), action.manifest, commitment, action.nonce


def _contribute(action: a.Contribute, known: Known) -> tuple[Any, ...]:
    panel = known.panel(action.challenge)
    return *known.head(action.challenge), panel, from_hex(action.commitment)


def _open_seed(action: a.OpenSeed, known: Known) -> tuple[Any, ...]:
    panel = known.panel(action.challenge)
    return *known.head(action.challenge), panel, from_hex(action.secret)


def _draw(action: a.Draw, known: Known) -> tuple[Any, ...]:
    found = known.challenge(action.challenge)
    who: list[Address] = []
    secrets: list[bytes] = []
    if found is not None and found.terms.seed_source != "beacon" and found.seed_secret:
        secrets.append(from_hex(found.seed_secret))
        for entry in found.contributions:
            if entry.secret is not None:
                who.append(entry.contributor)
                secrets.append(from_hex(entry.secret))
    panel = known.panel(action.challenge) if secrets else NO_PANEL
    return *known.head(action.challenge), panel, tuple(who), tuple(secrets)


def _reveal(action: a.RevealTrain | a.RevealTest, known: Known) -> tuple[Any, ...]:
    return *known.head(action.challenge), action.bundle


def _submit(action: a.Submit, known: Known) -> tuple[Any, ...]:
    found = known.challenge(action.challenge)
    place = found.counts.get(known.sender, 0) if found else 0
    panel = known.panel(action.challenge)
    return *known.head(action.challenge), panel, from_hex(action.commitment), place


def _report(action: a.Report, known: Known) -> tuple[Any, ...]:
    _, place = known.place(action.challenge, action.submission)
    return *known.head(action.challenge), action.submission, int(action.score), place


def _open(action: a.Open, known: Known) -> tuple[Any, ...]:
    _, place = known.place(action.challenge, action.submission)
    opening = from_hex(action.model), action.cid, from_hex(action.salt)
    return *known.head(action.challenge), action.submission, *opening, place


def _convene(action: a.Convene, known: Known) -> tuple[Any, ...]:
    identity = action.challenge
    found = known.challenge(identity)
    commitment, committees = bytes(32), [layout.NO_COMMITTEE] * 2
    # NOTE: of a named panel only round two asks who sat in round one.
    if found is not None and (found.pool is not None or 1 in found.rounds):
        commitment = from_hex(found.seed_commitment)
        committees[0] = known.committee(identity, 1)
        if found.pool is not None:
            committees[1] = known.committee(identity, 2)
    return *known.head(identity), commitment, *committees


def _vote(action: a.Vote, known: Known) -> tuple[Any, ...]:
    found = known.challenge(action.challenge)
    # NOTE: round two is called when round one is over.
    number = 2 if found is not None and 2 in found.rounds else 1
    committee = known.committee(action.challenge, number)
    commitment, _ = known.panel(action.challenge)
    return *known.head(action.challenge), commitment, committee, from_hex(action.commitment)


def _open_vote(action: a.OpenVote, known: Known) -> tuple[Any, ...]:
    ballot = layout.ballot(action.ballot)
    return *known.head(action.challenge), ballot, from_hex(action.salt), action.cid


def _finalize(action: a.Finalize, known: Known) -> tuple[Any, ...]:
    identity = action.challenge
    found = known.challenge(identity)
    commitment, committees = bytes(32), [layout.NO_COMMITTEE] * 2
    decided = None
    if found is not None and found.settlement is None:
        commitment = from_hex(found.seed_commitment)
        decided = decision(found, 1) or decision(found, 2)
        for number in found.rounds:
            committees[number - 1] = known.committee(identity, number)
    ballot = decided[0] if decided else NO_BALLOT
    return *known.head(identity), commitment, *committees, layout.ballot(ballot)


def _cancel(action: a.Cancel, known: Known) -> tuple[Any, ...]:
    found = known.challenge(action.challenge)
    entries = found.contributions if found else ()
    unopened = tuple(entry.contributor for entry in entries if entry.secret is None)
    return *known.head(action.challenge), unopened


def _claim(action: a.Claim, known: Known) -> tuple[Any, ...]:
    proof = tuple(from_hex(node) for node in action.proof)
    return from_hex(action.challenge), action.index, action.payee, int(action.amount), proof


def _claim_deposit(action: a.ClaimDeposit, known: Known) -> tuple[Any, ...]:
    who, place = known.place(action.challenge, action.submission)
    return from_hex(action.challenge), action.submission, who, place


def _withdraw(action: a.Withdraw, known: Known) -> tuple[Any, ...]:
    return ()


def _join(action: a.Join, known: Known) -> tuple[Any, ...]:
    return action.seats, action.held


def _own_seats(action: a.Leave | a.Unstake, known: Known) -> tuple[Any, ...]:
    return (action.seats,)


_ARGUMENTS: dict[type[Record], Callable[[Any, Known], tuple[Any, ...]]] = {
    a.Create: _create,
    a.Contribute: _contribute,
    a.OpenSeed: _open_seed,
    a.Draw: _draw,
    a.RevealTrain: _reveal,
    a.Submit: _submit,
    a.Report: _report,
    a.Open: _open,
    a.RevealTest: _reveal,
    a.Convene: _convene,
    a.Vote: _vote,
    a.OpenVote: _open_vote,
    a.Finalize: _finalize,
    a.Cancel: _cancel,
    a.Claim: _claim,
    a.ClaimDeposit: _claim_deposit,
    a.Withdraw: _withdraw,
    a.Join: _join,
    a.Leave: _own_seats,
    a.Unstake: _own_seats,
}
