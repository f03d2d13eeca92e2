"""A ledger in memory that plays whole challenges: honest by default, dishonest on request."""

from __future__ import annotations

import base64
import copy
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import pytest

from danku.crypto.commitments import seed_commitment, submission_commitment, vote_commitment
from danku.crypto.hashing import from_hex, keccak, to_hex
from danku.crypto.merkle import PayoutTree
from danku.errors import Rejected
from danku.protocol import actions
from danku.protocol.draw import challenge_id
from danku.protocol.rules import apply
from danku.protocol.schedule import Windows
from danku.protocol.state import Challenge, Context, Registry, State
from danku.protocol.terms import NamedPanel, RegistryTerms, Reward, Schedule, SeatsPanel, Terms
from danku.protocol.types import ZERO_ADDRESS, Amount, Score

START = 1_700_000_000
CHAIN = 0xDA2C_0001


def digest(name: str) -> str:
    return to_hex(keccak(name.encode()))


def address(name: str) -> str:
    return "0x" + digest(name)[-40:]


def cid(name: str) -> str:
    """The CIDv1 (raw, sha2-256) of the name's bytes."""
    multihash = b"\x01\x55\x12\x20" + hashlib.sha256(name.encode()).digest()
    return "b" + base64.b32encode(multihash).decode().lower().rstrip("=")


LEDGER = address("ledger")
ORGANIZER, ALICE, BOB, CAROL, OUTSIDER = map(
    address, ("organizer", "alice", "bob", "carol", "outsider")
)
PANEL = tuple(address(f"validator {number}") for number in range(4))
BEACON = digest("beacon")

# NOTE: all lengths and all amounts differ, so that no window and no amount passes for another.
SCHEDULE = Schedule(100, 70, 50, 300, 90, 60, 80, 40)
REWARD = Reward(*map(Amount, (1000, 102, 501, 7, 20, 3)), max_submissions=2, max_entries=5)


def terms(
    panel: Sequence[str] | SeatsPanel = PANEL[:3],
    schedule: Schedule = SCHEDULE,
    *,
    groups: int = 10,
    test_groups: int = 3,
    seed_source: Any = "contributions",
    min_contributions: int | None = None,
    **reward: int,
) -> Terms:
    """Playable terms, with amounts and counts of the reward by name."""
    counts = {"max_submissions", "max_entries"}
    changed = {key: value if key in counts else Amount(value) for key, value in reward.items()}
    if min_contributions is None:
        min_contributions = 0 if seed_source == "beacon" else 1
    return Terms(
        manifest=digest("manifest"),
        data_root=digest("data root"),
        groups=groups,
        test_groups=test_groups,
        seed_source=seed_source,
        min_contributions=min_contributions,
        schedule=schedule,
        reward=msgspec.structs.replace(REWARD, **changed),
        panel=panel if isinstance(panel, SeatsPanel) else NamedPanel(tuple(panel)),
    )


def price(state: State, action: actions.Action) -> int:
    """The money that an action must carry."""
    if isinstance(action, actions.Create):
        reward = action.terms.reward
        return reward.pot + reward.fee + reward.organizer_bond
    if isinstance(action, actions.Join):
        return action.seats * state.registry.terms.stake if state.registry else 0
    challenge = state.challenges.get(getattr(action, "challenge", ""))
    if challenge is not None and isinstance(action, actions.Contribute):
        return challenge.terms.reward.contribution_deposit
    if challenge is not None and isinstance(action, actions.Submit):
        return challenge.terms.reward.submission_bond + challenge.terms.reward.entry_fee
    return 0


class Ledger:
    """A state and a clock; every accepted action is logged."""

    def __init__(self, *, beacon: str | None = None, staking: RegistryTerms | None = None) -> None:
        self.state = State(CHAIN, LEDGER, Registry(staking) if staking else None)
        self.time = START
        self.beacon = beacon
        self.log: list[tuple[actions.Action, Context]] = []

    def context(self, action: actions.Action, sender: str, value: int | None = None) -> Context:
        carried = price(self.state, action) if value is None else value
        return Context(sender, self.time, carried, self.beacon)

    def send(self, action: actions.Action, sender: str, value: int | None = None) -> None:
        context = self.context(action, sender, value)
        self.state = apply(self.state, action, context)
        self.log.append((action, context))

    def refused(self, action: actions.Action, sender: str, value: int | None = None) -> str:
        """The rule that refuses the action; the state stays, and a wrong value hides no rule."""
        before = copy.deepcopy(self.state)
        rule = self._refused(action, self.context(action, sender, value))
        wrong = self._refused(action, self.context(action, sender, 10**40))
        assert wrong == rule, "the value is judged after all other rules"
        assert self.state == before
        return rule

    def _refused(self, action: actions.Action, context: Context) -> str:
        with pytest.raises(Rejected) as refusal:
            apply(self.state, action, context)
        assert refusal.value.what
        assert refusal.value.why
        return refusal.value.rule

    def balance(self, who: str) -> int:
        """What an address got or can withdraw."""
        return self.state.credits.get(who, 0) + self.state.paid.get(who, 0)


class Moves:
    """Valid actions on one challenge, with the secrets of everybody who plays."""

    def __init__(self, agreed: Terms, organizer: str, nonce: int = 0) -> None:
        self.terms = agreed
        self.organizer = organizer
        self.nonce = nonce
        self.id = challenge_id(CHAIN, LEDGER, organizer, nonce)
        self.leaves: list[tuple[int, str, int]] = []

    @property
    def panel(self) -> tuple[str, ...]:
        return self.terms.panel.members

    def creating(self, nonce: int | None = None) -> actions.Create:
        commitment = seed_commitment(from_hex(self.id), self.organizer, _secret(self.organizer))
        return actions.Create(
            self.terms, cid("manifest"), to_hex(commitment), self.nonce if nonce is None else nonce
        )

    def contributing(self, who: str) -> actions.Contribute:
        commitment = seed_commitment(from_hex(self.id), who, _secret(who))
        return actions.Contribute(self.id, to_hex(commitment))

    def opening_seed(self, who: str) -> actions.OpenSeed:
        return actions.OpenSeed(self.id, to_hex(_secret(who)))

    def submitting(self, who: str, model: str = "model") -> actions.Submit:
        commitment = submission_commitment(
            from_hex(self.id), who, from_hex(digest(model)), cid(model), _secret(who + model)
        )
        return actions.Submit(self.id, to_hex(commitment))

    def opening(self, number: int, who: str, model: str = "model") -> actions.Open:
        salt = to_hex(_secret(who + model))
        return actions.Open(self.id, number, digest(model), cid(model), salt)

    def voting(self, who: str, ballot: actions.Ballot, round_number: int = 1) -> actions.Vote:
        commitment = vote_commitment(
            from_hex(self.id),
            round_number,
            who,
            actions.OUTCOMES.index(ballot.outcome),
            from_hex(ballot.result),
            from_hex(ballot.payout_root),
            ballot.payout_total,
            ballot.winner,
            ballot.score,
            _secret(who),
        )
        return actions.Vote(self.id, to_hex(commitment))

    def opening_vote(self, who: str, ballot: actions.Ballot) -> actions.OpenVote:
        return actions.OpenVote(self.id, ballot, to_hex(_secret(who)), cid("result " + who))

    def claiming(self, place: int) -> actions.Claim:
        """The claim of a payout of the latest ballot."""
        index, payee, amount = self.leaves[place]
        proof = PayoutTree(self.leaves).proof(place)
        return actions.Claim(
            self.id, index, payee, Amount(amount), tuple(to_hex(node) for node in proof)
        )

    def ballot(
        self,
        payouts: Mapping[str, int] | None = None,
        outcome: Any = "test",
        *,
        winner: str = ZERO_ADDRESS,
        score: int = 0,
        total: int | None = None,
        result: str = "result",
    ) -> actions.Ballot:
        """A ballot over payouts by address, whose leaves `claiming` then proves."""
        self.leaves = [
            (index, payee, amount) for index, (payee, amount) in enumerate((payouts or {}).items())
        ]
        amount = sum((payouts or {}).values()) if total is None else total
        root = to_hex(PayoutTree(self.leaves).root)
        return actions.Ballot(outcome, digest(result), root, Amount(amount), winner, Score(score))


class Game(Moves, Ledger):
    """One challenge; a method a step, which waits for its window if that is still to come."""

    def __init__(
        self,
        agreed: Terms | None = None,
        *,
        organizer: str = ORGANIZER,
        beacon: str | None = None,
    ) -> None:
        Moves.__init__(self, agreed or terms(), organizer)
        Ledger.__init__(self, beacon=beacon)
        self.send(self.creating(), organizer)

    @property
    def challenge(self) -> Challenge:
        return self.state.challenges[self.id]

    @property
    def windows(self) -> Windows:
        return self.challenge.windows

    def wait(self, window: str, seconds: int = 0) -> None:
        """Move the clock to the end of a window, unless it is later already."""
        self.time = max(self.time, getattr(self.windows, window) + seconds)

    def contribute(self, *who: str) -> Game:
        for each in who or self.panel:
            self.send(self.contributing(each), each)
        return self

    def open_seed(self, *who: str) -> Game:
        self.wait("contribute")
        for each in who or (self.organizer, *(c.contributor for c in self.challenge.contributions)):
            self.send(self.opening_seed(each), each)
        return self

    def draw(self) -> Game:
        self.wait("open_seed")
        self.send(actions.Draw(self.id), OUTSIDER)
        return self

    def reveal_train(self) -> Game:
        self.send(actions.RevealTrain(self.id, cid("train")), self.organizer)
        return self

    def submit(self, *who: str, model: str = "model") -> Game:
        for each in who or (ALICE, BOB, CAROL):
            self.send(self.submitting(each, model), each)
        return self

    def open(self, *numbers: int, model: str = "model") -> Game:
        self.wait("submit")
        submissions = self.challenge.submissions
        for number in numbers or range(len(submissions)):
            who = submissions[number].submitter
            self.send(self.opening(number, who, model), who)
        return self

    def reveal_test(self) -> Game:
        self.wait("open")
        self.send(actions.RevealTest(self.id, cid("test")), self.organizer)
        return self

    def convene(self) -> Game:
        self.wait("reveal_test")
        self.send(actions.Convene(self.id), OUTSIDER)
        return self

    def vote(self, ballot: actions.Ballot, *who: str, round_number: int = 1) -> Game:
        self.wait("reveal_test" if round_number == 1 else "open_vote")
        for each in who or self.panel:
            self.send(self.voting(each, ballot, round_number), each)
        return self

    def open_vote(self, ballot: actions.Ballot, *who: str, round_number: int = 1) -> Game:
        self.wait("vote" if round_number == 1 else "second_vote")
        for each in who or self.panel:
            self.send(self.opening_vote(each, ballot), each)
        return self

    def finalize(self, window: str = "open_vote") -> Game:
        self.wait(window)
        self.send(actions.Finalize(self.id), OUTSIDER)
        return self

    def cancel(self) -> Game:
        self.send(actions.Cancel(self.id), self.organizer)
        return self

    def claim(self) -> Game:
        """Claim all payouts."""
        for place in range(len(self.leaves)):
            self.send(self.claiming(place), OUTSIDER)
        return self

    def claim_deposits(self, numbers: Iterable[int]) -> Game:
        for number in numbers:
            self.send(actions.ClaimDeposit(self.id, number), OUTSIDER)
        return self

    def drawn(self) -> Game:
        """Played until the seed is drawn."""
        if self.terms.seed_source != "beacon":
            self.contribute().open_seed()
        return self.draw()

    def trained(self) -> Game:
        """Played until the train data is public."""
        return self.drawn().reveal_train()

    def tested(self) -> Game:
        """Played until the test data is public, with three opened submissions."""
        return self.trained().submit().open().reveal_test()

    def opened(self, ballot: actions.Ballot | None = None) -> Game:
        """Played until the whole panel has opened the same ballot."""
        agreed = ballot or self.ballot()
        return self.tested().convene().vote(agreed).open_vote(agreed)


def _secret(name: str) -> bytes:
    return keccak(b"secret", name.encode())
