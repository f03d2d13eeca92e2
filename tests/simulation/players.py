"""Challenges played on the real rules by validators and organizers of every kind."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from danku.errors import Rejected
from danku.protocol import actions
from danku.protocol.committee import decision
from danku.protocol.initialization import next_nonce
from danku.protocol.money import distributable
from danku.protocol.state import State
from danku.protocol.terms import SeatsPanel
from tests.protocol.simulator import ALICE, BOB, Ledger, Moves, address, digest, terms
from tests.protocol.staked import REGISTRY, StakedGame

Behaviour = Literal["honest", "colluding", "lazy", "copying", "silent"]
DISHONEST: tuple[Behaviour, ...] = ("colluding", "lazy", "copying", "silent")
Conduct = Literal["honest", "withholding"]

SEATS = 60
PANEL = SeatsPanel(9, 3_000, 500)
TERMS = terms(PANEL, fee=900)
OWNERS = tuple(address(f"seat owner {number}") for number in range(SEATS))
"""One seat each."""


def registry() -> State:
    """A ledger on which every owner has bought its seat, and nothing else has happened."""
    ledger = Ledger(staking=REGISTRY)
    for owner in OWNERS:
        ledger.send(actions.Join(1, 0), owner)
    return ledger.state


@dataclass(frozen=True)
class Ending:
    """How one challenge ended."""

    verdict: Literal["right", "wrong", "none"]
    organizer: int
    """What the organizer got back, less what it paid in."""
    gains: Mapping[str, int]
    """Of each owner: fees, less what its seat lost."""


class Play(StakedGame):
    """One challenge on a given ledger; everybody behaves as told."""

    def __init__(self, state: State, organizer: str, behaviours: Mapping[str, Behaviour]) -> None:
        Moves.__init__(self, TERMS, organizer, next_nonce(state, organizer))
        Ledger.__init__(self, staking=REGISTRY)
        self.state = state
        self.behaviours = behaviours
        self.send(self.creating(), organizer)

    def play(self, conduct: Conduct, chance: random.Random) -> Ending:
        """The whole challenge, round two included where it is needed."""
        self.contribute(self.owners()[0]).open_seed().draw().reveal_train()
        before, lost = dict(self.state.credits), self.losses()
        self.submit(ALICE, BOB).open()
        if conduct == "honest":
            self.reveal_test()
        outcome: actions.Outcome = "test" if conduct == "honest" else "train-fallback"
        divided = distributable(self.challenge, outcome)
        honest = self.ballot({ALICE: divided}, outcome, winner=ALICE, score=9)
        forged = self.ballot({BOB: divided}, outcome, winner=BOB, score=10)
        for number in (1, 2):
            self._judge(number, honest, forged, chance)
            if decision(self.challenge, number):
                break
        self.finalize("open_vote" if number == 1 else "second_open_vote")
        return self._ending(honest, before, lost)

    def _judge(
        self,
        number: int,
        honest: actions.Ballot,
        forged: actions.Ballot,
        chance: random.Random,
    ) -> None:
        self.wait("reveal_test" if number == 1 else "open_vote")
        self.convene()
        committed: dict[str, actions.Ballot] = {}
        copied: actions.Vote | None = None
        for owner in self.panel:
            match self.behaviours[owner]:
                case "honest":
                    committed[owner] = honest
                case "colluding":
                    committed[owner] = forged
                case "lazy":
                    guess = f"guess {chance.random()}"
                    committed[owner] = self.ballot(outcome=honest.outcome, result=guess)
                case "copying" | "silent":
                    continue
            vote = self.voting(owner, committed[owner], number)
            copied = copied or vote
            self.send(vote, owner)
        copies = [owner for owner in self.panel if self.behaviours[owner] == "copying"]
        for owner in copies:
            self.send(copied or self.voting(owner, honest, number), owner)
        self.wait("vote" if number == 1 else "second_vote")
        for owner, ballot in committed.items():
            self.send(self.opening_vote(owner, ballot), owner)
        for owner in copies:
            self._refused_opening(owner, honest)

    def _refused_opening(self, owner: str, ballot: actions.Ballot) -> None:
        """A copied commitment names its first owner: nobody else can open it."""
        try:
            self.send(self.opening_vote(owner, ballot), owner)
        except Rejected as refusal:
            assert refusal.rule == "CommitmentMismatch"

    def _ending(
        self, honest: actions.Ballot, before: Mapping[str, int], lost: Mapping[str, int]
    ) -> Ending:
        settlement = self.challenge.settlement
        assert settlement is not None
        verdict: Literal["right", "wrong", "none"] = "none"
        if settlement.ballot is not None:
            verdict = "right" if settlement.ballot == honest else "wrong"
        losses = self.losses()
        gains = {
            owner: self.state.credits.get(owner, 0)
            - before.get(owner, 0)
            - losses.get(owner, 0)
            + lost.get(owner, 0)
            for owner in OWNERS
        }
        reward = TERMS.reward
        paid = int(reward.pot) + int(reward.fee) + int(reward.organizer_bond)
        back = self.state.credits.get(self.organizer, 0)
        return Ending(verdict, back - paid, gains)


def organizer_of(number: int) -> str:
    """A fresh organizer for each challenge, so that no two challenges have one id."""
    return "0x" + digest(f"organizer {number}")[-40:]
