"""Random play on several challenges at once: mostly what is due, often what is not.

A sequence is read off a tape of bytes. What they mean depends on how things stand, so that a
shortened tape still plays, and deep stages are reached often.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from danku.protocol import actions as a
from danku.protocol.initialization import next_nonce
from danku.protocol.registry import held_by, seats_of
from danku.protocol.state import Challenge
from danku.protocol.terms import Schedule, SeatsPanel, Terms
from danku.protocol.types import AMOUNT_LIMIT, BURN_ADDRESS, Amount, Score
from tests.ethereum.both import KINDS_OF_ARENA, Both, Kind
from tests.protocol.simulator import (
    ALICE,
    BOB,
    CAROL,
    ORGANIZER,
    OUTSIDER,
    PANEL,
    Moves,
    address,
    cid,
    digest,
    terms,
)

DAVE = address("dave")
ORGANIZERS = (ORGANIZER, CAROL)
SUBMITTERS = (ALICE, BOB, CAROL, DAVE)
ACTORS = (*PANEL, ORGANIZER, *SUBMITTERS, OUTSIDER)
MODELS = ("model", "second", "third")
CHALLENGES = 5
"""At most, in one sequence."""

T = TypeVar("T")


class TapeEnds(Exception):
    """Nothing is left to read."""


class Tape:
    """Choices read off bytes."""

    def __init__(self, data: bytes) -> None:
        self._bytes = iter(data)

    def byte(self) -> int:
        """The next byte.

        Raises:
            TapeEnds: there is none.
        """
        found = next(self._bytes, None)
        if found is None:
            raise TapeEnds
        return found

    def one(self, *options: T) -> T:
        """One of some options, each as likely as it is often among them."""
        return options[self.byte() % len(options)]

    def rarely(self, times: int) -> bool:
        """True once in so many times."""
        return self.byte() % times == times - 1


@dataclasses.dataclass(frozen=True)
class Move:
    """One step of a sequence: what its numbers mean is up to what is done."""

    name: str
    who: int
    what: int
    twist: int
    offset: int
    """What money or a time is off by."""


# NOTE: a name stands here as often as it shall be drawn.
_NAMES = (
    *("stage",) * 40,
    *("jump",) * 5,
    *("meddle",) * 20,
    *("again",) * 6,
    *("elsewhere",) * 3,
    *("claim",) * 6,
    *("create",) * 2,
    *("seats",) * 6,
    *("withdraw",) * 3,
    *("report",) * 3,
    *("cancel",) * 2,
    *("settle",) * 3,
    *("tick",) * 3,
)
_MASKS = (*(0,) * 14, 1, 2, 4, 8, 3, 6, 12, 15)


def move(tape: Tape) -> Move:
    """The next step.

    Raises:
        TapeEnds: there is none.
    """
    offset = tape.one(*(0,) * 8, 1, -1)
    return Move(tape.one(*_NAMES), tape.byte(), tape.byte(), tape.one(*_MASKS), offset)


def arena(tape: Tape) -> Kind:
    """What the ledger of a sequence fixes."""
    return tape.one(*(KINDS_OF_ARENA[0],) * 6, *KINDS_OF_ARENA)


def agreement(tape: Tape) -> Terms:
    """Terms; some of them unplayable, some of them at their limits."""
    panel: Any = PANEL[: tape.one(1, 2, 3, 3, 4)]
    if tape.rarely(2):
        shares = tape.one((3_000, 500), (5_000, 1), (2, 1), (5_000, 4_999), (5_000, 4_000))
        if tape.rarely(30):
            shares = (1, 1)
        panel = SeatsPanel(tape.one(1, 2, 2, 3, 3, 4), *shares)
    size = panel.seats if isinstance(panel, SeatsPanel) else len(panel)
    source = tape.one("contributions", "contributions", "both", "beacon")
    amounts = tuple(range(41))
    if tape.rarely(12):
        amounts = (0, 1, 2**95, 2**96 - 1, 2**96 // 3)
    pot = tape.one(*amounts)
    half = (pot + 1) // 2
    bond = min(half + tape.one(0, 1, 7), AMOUNT_LIMIT - 1)
    longest = 40 if tape.rarely(30) else 4
    least = 0 if source == "beacon" else 1
    if tape.rarely(12):
        least = tape.one(0, size, size + 1)
    elif least and tape.rarely(3):
        least = size
    return terms(
        panel,
        Schedule(*(1 + tape.byte() % longest for _ in range(8))),
        test_groups=10 if tape.rarely(40) else 3,
        seed_source=source,
        min_contributions=least,
        pot=pot,
        organizer_bond=half // 2 if tape.rarely(25) else bond,
        fee=tape.one(*amounts),
        contribution_deposit=tape.byte() % 41,
        submission_bond=tape.byte() % 41,
        entry_fee=tape.byte() % 41,
        max_submissions=tape.one(1, 2, 2, 3),
        max_entries=tape.one(3, 5, 5, 100_000) if not tape.rarely(20) else 1,
    )


class Play:
    """A sequence under way."""

    def __init__(self, both: Both, tape: Tape) -> None:
        self.both, self.tape = both, tape
        self.moves: dict[str, Moves] = {}
        self.trees: dict[str, list[tuple[int, str, int]]] = {}
        self.votes: dict[tuple[str, int, str], a.Ballot] = {}
        for who in PANEL:
            self.attempt(a.Join(tape.one(2, 3, 3, 4), 0), who)
        self.create(Move("create", 0, 0, 0, 0))

    def step(self) -> None:
        """Do what the tape says, as things stand.

        Raises:
            TapeEnds: it says nothing more.
        """
        found = move(self.tape)
        _MEANINGS[found.name](self, found)

    def attempt(self, action: a.Action, sender: str, off: int = 0) -> bool:
        return self.both.attempt(action, sender, off) is None

    @property
    def challenges(self) -> dict[str, Challenge]:
        return self.both.state.challenges

    def pick(self, number: int) -> tuple[Moves, Challenge] | None:
        """A challenge, most often one that goes on."""
        names = list(self.moves)
        ongoing = [name for name in names if self.challenges[name].settlement is None]
        if number % 8:
            names = ongoing or names
        if not names:
            return None
        name = names[number % len(names)]
        return self.moves[name], self.challenges[name]

    def one_of(self, all_: tuple[str, ...], often: tuple[str, ...], move: Move) -> str:
        """Somebody, more often one of the latter."""
        chosen = often if move.who % 2 else all_
        return chosen[move.who // 2 % len(chosen)]

    # --- time ---------------------------------------------------------------------------------

    def tick(self, move: Move) -> None:
        self.both.time += move.what % 4

    def jump(self, move: Move) -> None:
        """To just before, at, or just after a coming deadline."""
        found = self.pick(move.who)
        if found is not None:
            ends = dataclasses.astuple(found[1].windows)
            coming = [end + move.offset for end in ends if end + move.offset > self.both.time]
            self.both.time = max(self.both.time, *coming[move.twist % 4 :][:1], 0)

    # --- challenges ---------------------------------------------------------------------------

    def create(self, move: Move) -> None:
        if len(self.challenges) == CHALLENGES:
            return
        organizer = ORGANIZERS[move.who % 2]
        agreed = agreement(self.tape)
        nonce = next_nonce(self.both.state, organizer)
        moves = Moves(agreed, organizer, max(nonce - (move.what % 5 == 4), 0))
        if self.attempt(moves.creating(), organizer, move.offset):
            self.moves[moves.id] = moves

    def stage(self, move: Move) -> None:
        """What those who take part do in the window that is open; then time goes to its end."""
        found = self.pick(move.who)
        if found is None:
            return
        moves, challenge = found
        if challenge.settlement is not None:
            (self.claim if move.what % 4 else self.create)(move)
            return
        end = self._stage(moves, challenge, move)
        if move.what % 8:
            self.both.time = max(self.both.time, end)
        self.attempt(a.Finalize(moves.id), OUTSIDER)

    def _stage(self, moves: Moves, challenge: Challenge, move: Move) -> int:
        windows, time = challenge.windows, self.both.time
        present = [who for place, who in enumerate(PANEL) if not move.twist >> place & 1]
        organizer = [] if move.what % 16 == 15 else [moves.organizer]
        if time < windows.contribute:
            self._each(moves.contributing, present)
            return windows.contribute
        if time < windows.open_seed:
            self._each(moves.opening_seed, organizer + present)
            return windows.open_seed
        if time < windows.submit:
            self.attempt(a.Draw(moves.id), OUTSIDER)
            self._each(lambda _: a.RevealTrain(moves.id, cid("train")), organizer)
            for place, who in enumerate(SUBMITTERS[: 1 + move.what % 4]):
                if not move.twist >> place & 1:
                    model = MODELS[challenge.counts.get(who, 0) % 3]
                    self.attempt(moves.submitting(who, model), who)
            if move.what % 4 == 2:
                self.report(move)
            if move.twist:
                self.attempt(moves.submitting(PANEL[move.what % 4]), PANEL[move.what % 4])
            return windows.submit
        if time < windows.open:
            for entry in challenge.submissions:
                if not move.twist >> entry.number % 4 & 1:
                    self._open(moves, entry.number, entry.submitter)
            return windows.open
        if time < windows.reveal_test:
            self._each(lambda _: a.RevealTest(moves.id, cid("test")), organizer)
            return windows.reveal_test
        return self._evaluate(moves, present, move)

    def report(self, move: Move) -> None:
        """Somebody says what a model scores."""
        found = self.pick(move.who)
        if found is None:
            return
        moves, challenge = found
        entries = challenge.submissions
        number = move.what % (len(entries) + 1)
        sender = ACTORS[move.who % len(ACTORS)]
        if number < len(entries) and move.twist < 4:
            sender = entries[number].submitter
        score = (0, 1, -1, 2**63 - 1, -(2**63) + 1)[move.what % 5]
        self.attempt(a.Report(moves.id, number, Score(score)), sender, move.offset)

    def _each(self, build: Callable[[str], a.Action], senders: list[str]) -> None:
        for sender in senders:
            self.attempt(build(sender), sender)

    def _open(self, moves: Moves, number: int, who: str) -> None:
        for model in MODELS:
            if self.attempt(moves.opening(number, who, model), who):
                return

    def _evaluate(self, moves: Moves, present: list[str], move: Move) -> int:
        windows = self.challenges[moves.id].windows
        number = 2 if self.both.time >= windows.open_vote else 1
        start, end = windows.vote_window(number)
        variant = move.what // 8 % 8 if move.what % 3 == 0 else 0
        if start <= self.both.time < end:
            self.attempt(a.Convene(moves.id), OUTSIDER)
            dissent = 1 << move.who % 4 if move.what % 4 == 1 else 0
            for place, who in enumerate(present):
                own = variant if not dissent >> place & 1 else (variant + 1) % 8
                ballot = self.ballot(moves, own)
                if self.attempt(moves.voting(who, ballot, number), who):
                    self.votes[moves.id, number, who] = ballot
            return end
        for who in present:
            told = self.votes.get((moves.id, number, who)) or self.ballot(moves, variant)
            self.attempt(moves.opening_vote(who, told), who)
        return windows.open_vote_window(number)[1]

    def ballot(self, moves: Moves, variant: int) -> a.Ballot:
        """One of eight ballots: honest ones, ones that lie in the sum, ones that ask too much."""
        challenge, reward = self.challenges[moves.id], moves.terms.reward
        outcome = a.OUTCOMES[variant % 3] if challenge.test else "train-fallback"
        unopened = sum(1 for each in challenge.contributions if each.secret is None)
        total = len(challenge.submissions) * reward.submission_bond
        total += unopened * reward.contribution_deposit
        total += 0 if outcome == "void" else reward.pot
        total += 0 if outcome == "test" else reward.organizer_bond
        share = total // 3
        payouts = {ALICE: total - 2 * share, BOB: share, BURN_ADDRESS: share}
        payouts = {who: amount for who, amount in payouts.items() if amount}
        stated = {5: total // 2, 6: min(total + 1, AMOUNT_LIMIT - 1), 7: 0}.get(variant)
        ballot = moves.ballot(payouts, outcome, total=stated, result=f"result {variant}")
        if variant in (3, 4):
            winner, score = (ALICE, -(2**63) + 1) if variant == 3 else (OUTSIDER, 1)
            score = type(ballot.score)(score)
            ballot = msgspec.structs.replace(ballot, winner=winner, score=score)
        self.trees[ballot.payout_root] = moves.leaves
        return ballot

    def cancel(self, move: Move) -> None:
        found = self.pick(move.who)
        if found is not None and move.what % 2:
            self.attempt(a.Cancel(found[0].id), found[0].organizer, move.offset)

    # --- anything by anybody ------------------------------------------------------------------

    def meddle(self, move: Move) -> None:
        found = self.pick(move.who)
        if found is None:
            return
        moves, challenge = found
        sender = ACTORS[move.who % len(ACTORS)]
        detail, entries = move.what // 4, challenge.submissions
        entry = entries[detail % len(entries)] if entries else None
        number = entry.number if entry and detail % 5 else detail
        owner = entry.submitter if entry and detail % 2 else sender
        ballot = self.ballot(moves, detail % 8)
        choices: list[a.Action] = [
            moves.contributing(sender),
            moves.opening_seed(sender),
            moves.opening_seed(PANEL[detail % 4]),
            a.Draw(moves.id),
            a.RevealTrain(moves.id, cid(f"train {detail}")),
            moves.submitting(sender, MODELS[detail % 3]),
            moves.opening(number, owner, MODELS[detail % 3]),
            a.RevealTest(moves.id, cid(f"test {detail}")),
            a.Convene(moves.id),
            moves.voting(sender, ballot, 1 + detail % 2),
            moves.opening_vote(sender, ballot),
            a.Finalize(moves.id),
            a.ClaimDeposit(moves.id, detail % 6),
            a.Claim(moves.id, detail, sender, Amount(detail), ()),
        ]
        if move.what % 4 == 0:
            sender = moves.organizer
        action = choices[(move.who + 7 * move.what) % len(choices)]
        if move.twist == 15:
            action = msgspec.structs.replace(action, challenge=digest("unknown"))
        self.attempt(action, sender, move.offset)

    def again(self, move: Move) -> None:
        """An earlier action once more, by the same sender or by another one."""
        action, sender = self.both.attempts[-1 - move.what % len(self.both.attempts)]
        if move.who % 3 == 0:
            sender = ACTORS[move.who % len(ACTORS)]
        if not isinstance(action, a.Create):
            self.attempt(action, sender, move.offset)

    def elsewhere(self, move: Move) -> None:
        """An earlier action, said of another challenge."""
        action, sender = self.both.attempts[-1 - move.what % len(self.both.attempts)]
        found = self.pick(move.who)
        if found is not None and hasattr(action, "challenge"):
            self.attempt(msgspec.structs.replace(action, challenge=found[0].id), sender)

    # --- money --------------------------------------------------------------------------------

    def claim(self, move: Move) -> None:
        """Payouts and deposits of a final challenge; now and then forged, and some twice."""
        final = [name for name in self.moves if self.challenges[name].settlement is not None]
        if not final:
            return
        moves = self.moves[final[move.who % len(final)]]
        entered = len(self.challenges[moves.id].submissions)
        if entered or move.twist == 15:
            number = move.what % (entered + 1)
            self.attempt(a.ClaimDeposit(moves.id, number), OUTSIDER, move.offset)
        settlement = self.challenges[moves.id].settlement
        ballot = settlement.ballot if settlement else None
        moves.leaves = self.trees.get(ballot.payout_root, []) if ballot else []
        if not moves.leaves:
            return
        claim = moves.claiming(move.what % len(moves.leaves))
        if move.twist:
            amount = Amount(min(claim.amount + 1, AMOUNT_LIMIT - 1))
            forged = [{"amount": amount}, {"index": move.what}, {"payee": OUTSIDER}][move.what % 3]
            self.attempt(msgspec.structs.replace(claim, **forged), OUTSIDER)
        self.attempt(claim, OUTSIDER, move.offset)

    def withdraw(self, move: Move) -> None:
        owed = [who for who in self.both.state.credits if who in ACTORS] if move.what % 4 else []
        senders = owed or list(ACTORS)
        self.attempt(a.Withdraw(), senders[move.who % len(senders)], move.offset)

    def settle(self, move: Move) -> None:
        """Long after: everything is settled, claimed and withdrawn."""
        if move.what % 2:
            return
        self.both.time += 1_000
        for name, moves in self.moves.items():
            if self.challenges[name].settlement is None:
                assert self.attempt(a.Finalize(name), OUTSIDER), "a challenge is stuck"
            settlement = self.challenges[name].settlement
            assert settlement is not None
            ballot = settlement.ballot
            moves.leaves = self.trees.get(ballot.payout_root, []) if ballot else []
            for place in range(len(moves.leaves)):
                self.attempt(moves.claiming(place), OUTSIDER)
            for entry in self.challenges[name].submissions:
                self.attempt(a.ClaimDeposit(name, entry.number), OUTSIDER)
        for who in [who for who in self.both.state.credits if who in ACTORS]:
            self.attempt(a.Withdraw(), who)
        for who in ACTORS:
            self._take_out(who)

    def _take_out(self, who: str) -> None:
        """All stakes of somebody whose time has come, and an end to the other seats."""
        registry = self.both.state.registry
        owned = seats_of(registry, who) if registry else {}
        for ended, action in ((True, a.Unstake), (False, a.Leave)):
            mine = tuple(number for number, seat in owned.items() if bool(seat.until) == ended)
            if mine:
                self.attempt(action(mine), who)

    # --- staked seats -------------------------------------------------------------------------

    def seats(self, move: Move) -> None:
        """Somebody buys seats, ends some, or takes stakes out; often its own."""
        sender, registry = self.one_of(ACTORS, PANEL, move), self.both.state.registry
        held = held_by(registry, sender) if registry else 0
        if move.what % 3 == 0:
            count = 1 + move.what % 2
            self.attempt(a.Join(count, max(held + move.offset, 0)), sender, move.twist % 2)
            return
        owned = seats_of(registry, sender) if registry else {}
        taking = move.what % 3 == 2
        mine = tuple(n for n, seat in owned.items() if bool(seat.until) == taking)[:2]
        if move.what % 8 < 2 or not mine:
            mine = tuple(range(move.what % 9, 12, 5)) if move.twist < 4 else (3, 3)
        elif taking and move.what % 4 == 1:
            self.both.time = max(self.both.time, *(owned[number].free for number in mine))
        self.attempt((a.Unstake if taking else a.Leave)(mine), sender, move.offset)


_MEANINGS: dict[str, Callable[[Play, Move], None]] = {
    name: getattr(Play, name) for name in dict.fromkeys(_NAMES)
}
