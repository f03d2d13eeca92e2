"""Random play: many actors, valid and invalid actions in any order, and what must always hold.

After every step: money is conserved to the last unit, nothing is negative, each escrow is what the
challenge's history says, all stakes are what the seats say, a refusal leaves the state as it was,
and a final challenge changes only by its claims. In the end all challenges can be settled, all
claims are paid, all stakes taken out, and the whole sequence, replayed from the start, gives the
same refusals and the same state.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from danku.errors import Rejected
from danku.protocol import actions
from danku.protocol.errors import RULES
from danku.protocol.registry import held_at, held_by, seats_of
from danku.protocol.rules import apply
from danku.protocol.schedule import Windows
from danku.protocol.state import Challenge, Context, Fault, Registry, SettlementKind, State
from danku.protocol.terms import RegistryTerms, Schedule, SeatsPanel, Terms
from danku.protocol.types import AMOUNT_LIMIT, BURN_ADDRESS, Amount, Score
from tests.protocol.simulator import (
    ALICE,
    BEACON,
    BOB,
    CAROL,
    CHAIN,
    LEDGER,
    ORGANIZER,
    OUTSIDER,
    PANEL,
    START,
    Moves,
    cid,
    digest,
    price,
    terms,
)

ORGANIZERS = (ORGANIZER, CAROL)
SUBMITTERS = (ALICE, BOB, CAROL)
ACTORS = (*PANEL, ORGANIZER, ALICE, BOB, CAROL, OUTSIDER)
MODELS = ("model", "second", "third")

STAKING = RegistryTerms(Amount(101), 60)
"""A stake, and just longer than the longest schedule of `agreements`."""

reached: Counter[str] = Counter()
"""Rules and settlements that all runs of this process met."""

small = st.integers(0, 60)
amounts = st.one_of(small, st.sampled_from([0, 1, 1000, AMOUNT_LIMIT // 2]))
bits = st.sampled_from([0] * 15 + [1, 2, 3, 5, 15])
"""Who stays away or disagrees: mostly nobody, so that challenges come to an end."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """How one stage is played."""

    away: int
    dissent: int
    variant: int
    faithless: bool
    """The organizer does nothing."""
    move_on: bool


rarely = st.sampled_from([False] * 9 + [True])
variants = st.sampled_from([0] * 10 + [1, 2, 3, 4, 5, 5, 6, 7])
plans = st.builds(Plan, bits, bits, variants, rarely, rarely.map(lambda each: not each))


@st.composite
def agreements(draw: st.DrawFn) -> Terms:
    """Terms, a few of them unplayable."""
    staked = draw(st.booleans())
    shares = draw(st.sampled_from([(3_000, 500), (5_000, 1), (2, 1), (1, 1)]))
    panel: Any = PANEL[: draw(st.integers(1, 4))]
    if staked:
        panel = SeatsPanel(draw(st.integers(1, 4)), *shares)
    size = panel.seats if isinstance(panel, SeatsPanel) else len(panel)
    source = draw(st.sampled_from(["contributions", "contributions", "both", "beacon"]))
    pot = draw(amounts)
    half = (pot + 1) // 2
    bond = draw(st.sampled_from([half] * 6 + [half + 1] * 6 + [half // 2]))
    least = 0 if source == "beacon" else 1
    lengths = [draw(st.integers(1, 4)) for _ in range(8)]
    return terms(
        panel,
        Schedule(*lengths),
        groups=10,
        test_groups=draw(st.sampled_from([3] * 12 + [10])),
        seed_source=source,
        min_contributions=draw(st.sampled_from([least] * 12 + [0, size, 4])),
        pot=pot,
        organizer_bond=bond,
        fee=draw(small),
        contribution_deposit=draw(small),
        submission_bond=draw(small),
        entry_fee=draw(small),
        max_submissions=draw(st.integers(1, 2)),
        max_entries=draw(st.integers(2, 5)),
    )


def owed_deposits(challenge: Challenge) -> int:
    """How many deposits of a final challenge were not claimed yet."""
    settlement = challenge.settlement
    assert settlement is not None
    return sum(
        1
        for entry in challenge.submissions
        if not settlement.deposits_claimed >> entry.number & 1
        and (settlement.kind == "cancelled" or entry.opening is not None)
        and settlement.kind in ("cancelled", "no-quorum")
    )


MOVING = {"escrow", "opened", "counts", "mix", "claimed", "deposits_claimed", "eligible", "report"}


def keeps(before: Any, after: Any) -> bool:
    """Whether everything that was said still stands: lists grow, gaps fill, amounts move."""
    if before is None:
        return True
    if isinstance(before, msgspec.Struct):
        names = set(before.__struct_fields__) - MOVING
        return all(keeps(getattr(before, name), getattr(after, name)) for name in names)
    if isinstance(before, tuple):
        return len(before) <= len(after) and all(map(keeps, before, after))
    if isinstance(before, dict):
        return all(name in after and keeps(said, after[name]) for name, said in before.items())
    return bool(before == after)


class Competition(RuleBasedStateMachine):
    """Several challenges on one ledger, whose clock never runs backwards."""

    def __init__(self) -> None:
        super().__init__()
        self.state = State(CHAIN, LEDGER, Registry(STAKING))
        self.time = START
        self.beacon: str | None = None
        self.moves: dict[str, Moves] = {}
        self.attempts: list[tuple[actions.Action, Context, str | None]] = []
        self.snapshots: list[tuple[State, str]] = []
        self.received = 0
        self.claimed: Counter[str] = Counter()
        self.paid: set[tuple[str, int]] = set()
        self.final: dict[str, Challenge] = {}
        self.trees: dict[str, list[tuple[int, str, int]]] = {}
        self.votes: dict[tuple[str, int, str], actions.Ballot] = {}

    # --- sending ------------------------------------------------------------------------------

    def attempt(self, action: actions.Action, sender: str, value: int | None = None) -> bool:
        """Send an action, whatever becomes of it; by default with the money that it needs."""
        carried = price(self.state, action) if value is None else value
        context = Context(sender, self.time, carried, self.beacon)
        before, written = self.state, repr(self.state)
        try:
            after = apply(before, action, context)
        except Rejected as refusal:
            assert refusal.rule in RULES
            assert refusal.rule != "EscrowExhausted" or isinstance(action, actions.Claim)
            assert repr(before) == written
            reached[refusal.rule] += 1
            self.attempts.append((action, context, refusal.rule))
            return False
        assert repr(before) == written
        self.snapshots.append((before, written))
        self.attempts.append((action, context, None))
        self.state = after
        self.received += carried
        for name, challenge in before.challenges.items():
            assert keeps(challenge, after.challenges[name])
        gained = Counter(after.paid) - Counter(before.paid)
        if isinstance(action, actions.Claim):
            assert (action.challenge, action.index) not in self.paid
            self.paid.add((action.challenge, action.index))
            assert gained == {action.payee: action.amount}
        elif isinstance(action, actions.ClaimDeposit):
            submissions = before.challenges[action.challenge].submissions
            assert list(gained) == [submissions[action.submission].submitter]
        elif isinstance(action, actions.Withdraw):
            assert gained == {sender: before.credits[sender]}
        elif isinstance(action, actions.Unstake):
            seats = [seat for number in action.seats if (seat := before.registry.seats[number])]
            left = sum(101 - seat.loss for seat in seats)
            assert gained == ({sender: left} if left else {})
        else:
            assert not gained
        if isinstance(action, actions.Claim | actions.ClaimDeposit):
            self.claimed[action.challenge] += gained.total()
        return True

    def pick(self, number: int) -> tuple[Moves, Challenge]:
        """A challenge, most often one that goes on."""
        names = list(self.state.challenges)
        ongoing = [name for name in names if self.state.challenges[name].settlement is None]
        if number % 8:
            names = ongoing or names
        name = names[number % len(names)]
        return self.moves[name], self.state.challenges[name]

    @property
    def registry(self) -> Registry:
        found = self.state.registry
        assert found is not None
        return found

    def move_to(self, time: int) -> None:
        self.time = max(self.time, time)

    def ballot(self, moves: Moves, variant: int) -> actions.Ballot:
        """One of eight ballots: honest ones, ones that lie in the sum, ones that ask too much."""
        challenge, reward = self.state.challenges[moves.id], moves.terms.reward
        outcome = actions.OUTCOMES[variant % 3] if challenge.test else "train-fallback"
        unopened = sum(1 for each in challenge.contributions if each.secret is None)
        total = len(challenge.submissions) * reward.submission_bond
        total += unopened * reward.contribution_deposit
        total += 0 if outcome == "void" else reward.pot
        total += 0 if outcome == "test" else reward.organizer_bond
        share = total // 3
        payouts = {ALICE: total - 2 * share, BOB: share, BURN_ADDRESS: share}
        payouts = {who: amount for who, amount in payouts.items() if amount}
        stated = {5: sum(payouts.values()) // 2, 6: total + 1, 7: 0}.get(variant)
        if stated is not None and stated >= AMOUNT_LIMIT:
            stated = None
        winner = {3: ALICE, 4: OUTSIDER}.get(variant)
        ballot = moves.ballot(payouts, outcome, total=stated, result=f"result {variant}")
        if winner:
            ballot = msgspec.structs.replace(ballot, winner=winner)
        self.trees[ballot.payout_root] = moves.leaves
        return ballot

    # --- what happens -------------------------------------------------------------------------

    @initialize(
        agreed=agreements(), stages=st.sampled_from([0, 3, 4, 5, 6, 7, 7, 7, 8, 9]), data=st.data()
    )
    def begin(self, agreed: Terms, stages: int, data: st.DataObject) -> None:
        """Some seats, and a challenge that was played for a while."""
        self.beacon = BEACON
        for who in PANEL:
            self.attempt(actions.Join(3, 0), who)
        self.create(ORGANIZER, agreed, 0)
        if self.moves:
            self.play(0, data.draw(st.lists(plans, min_size=stages, max_size=stages)))

    @rule(
        organizer=st.sampled_from(ORGANIZERS),
        agreed=agreements(),
        off=st.sampled_from([0, 0, 1]),
        repeated=st.sampled_from([0] * 9 + [1]),
    )
    def create(self, organizer: str, agreed: Terms, off: int, repeated: int = 0) -> None:
        if len(self.state.challenges) == 6:
            return
        created = self.state.created.get(organizer, 0)
        moves = Moves(agreed, organizer, max(created - repeated, 0))
        action = moves.creating()
        if self.attempt(action, organizer, price(self.state, action) + off):
            self.moves[moves.id] = moves

    @rule(seconds=st.integers(0, 3), beacon=st.sampled_from([None, BEACON, BEACON]))
    def tick(self, seconds: int, beacon: str | None) -> None:
        self.time += seconds
        self.beacon = beacon

    @precondition(lambda self: self.moves)
    @rule(number=small, skipped=st.sampled_from([0, 0, 0, 1, 5]), offset=st.integers(-1, 1))
    def jump(self, number: int, skipped: int, offset: int) -> None:
        """To just before, at or just after a coming deadline."""
        _, challenge = self.pick(number)
        ends = dataclasses.astuple(challenge.windows)
        coming = [end for end in ends if end + offset > self.time][skipped : skipped + 1]
        self.move_to(max(coming, default=0) + offset)

    @precondition(lambda self: self.moves)
    @rule(number=small, plans=st.lists(plans, min_size=1, max_size=10))
    def play(self, number: int, plans: list[Plan]) -> None:
        """Some stages of a challenge, one after the other."""
        moves, _ = self.pick(number)
        for plan in plans:
            challenge = self.state.challenges[moves.id]
            if challenge.settlement is not None:
                return
            end = self._stage(moves, challenge.windows, plan)
            if plan.move_on:
                self.move_to(end)
            self.attempt(actions.Finalize(moves.id), OUTSIDER)

    def _stage(self, moves: Moves, windows: Windows, plan: Plan) -> int:
        """What those who take part do in the window that is open; returns its end."""
        present = [each for place, each in enumerate(PANEL) if not plan.away >> place & 1]
        organizer = [] if plan.faithless else [moves.organizer]
        if self.time < windows.contribute:
            self._each(moves.contributing, present)
            return windows.contribute
        if self.time < windows.open_seed:
            self._each(moves.opening_seed, organizer + present)
            return windows.open_seed
        if self.time < windows.submit:
            self.attempt(actions.Draw(moves.id), OUTSIDER)
            self._each(lambda _: actions.RevealTrain(moves.id, cid("train")), organizer)
            for place, who in enumerate(SUBMITTERS):
                if not plan.away >> place & 1:
                    self.attempt(moves.submitting(who), who)
            if plan.dissent:
                self.attempt(moves.submitting(PANEL[0]), PANEL[0])
            return windows.submit
        if self.time < windows.open:
            for entry in self.state.challenges[moves.id].submissions:
                if not plan.away >> entry.number & 1:
                    self._open(moves, entry.number, entry.submitter)
            return windows.open
        if self.time < windows.reveal_test:
            self._each(lambda _: actions.RevealTest(moves.id, cid("test")), organizer)
            return windows.reveal_test
        return self._evaluate(moves, present, plan)

    def _each(self, build: Any, senders: list[str]) -> None:
        for sender in senders:
            self.attempt(build(sender), sender)

    def _open(self, moves: Moves, number: int, who: str) -> None:
        for model in MODELS:
            if self.attempt(moves.opening(number, who, model), who):
                return

    def _evaluate(self, moves: Moves, present: list[str], plan: Plan) -> int:
        windows = self.state.challenges[moves.id].windows
        number = 2 if self.time >= windows.open_vote else 1
        start, end = windows.vote_window(number)
        if start <= self.time < end:
            self.attempt(actions.Convene(moves.id), OUTSIDER)
            for who in present:
                variant = 0 if plan.dissent >> PANEL.index(who) & 1 else plan.variant
                self.votes[moves.id, number, who] = self.ballot(moves, variant)
                self.attempt(moves.voting(who, self.votes[moves.id, number, who], number), who)
            return end
        for who in present:
            if plan.dissent >> PANEL.index(who) & 1:
                self.attempt(moves.opening_vote(who, self.ballot(moves, plan.variant)), who)
            elif (moves.id, number, who) in self.votes:
                self.attempt(moves.opening_vote(who, self.votes[moves.id, number, who]), who)
        return windows.open_vote_window(number)[1]

    @precondition(lambda self: self.moves)
    @rule(
        number=small,
        sender=st.sampled_from(ACTORS),
        kind=st.integers(0, 17),
        detail=small,
        off=st.sampled_from([0, 0, 0, 1, -1]),
    )
    def meddle(self, number: int, sender: str, kind: int, detail: int, off: int) -> None:
        """Any action by anybody at any time."""
        moves, challenge = self.pick(number)
        entries = challenge.submissions
        entry = entries[detail % len(entries)] if entries else None
        ballot = self.ballot(moves, detail % 8)
        choices: list[actions.Action] = [
            moves.contributing(sender),
            moves.opening_seed(sender),
            moves.opening_seed(PANEL[detail % 4]),
            actions.Draw(moves.id),
            actions.RevealTrain(moves.id, cid(f"train {detail}")),
            moves.submitting(sender, MODELS[detail % 3]),
            moves.opening(
                entry.number if entry else detail,
                entry.submitter if entry and detail % 2 else sender,
                MODELS[detail % 3],
            ),
            actions.RevealTest(moves.id, cid(f"test {detail}")),
            actions.Convene(moves.id),
            moves.voting(sender, ballot, 1 + detail % 2),
            moves.opening_vote(sender, ballot),
            actions.Finalize(moves.id),
            actions.Cancel(moves.id),
            actions.ClaimDeposit(moves.id, detail % 6),
            actions.Withdraw(),
            actions.Draw(digest("unknown")),
            moves.claiming(detail % len(moves.leaves)) if moves.leaves else actions.Withdraw(),
            actions.Report(moves.id, entry.number if entry else detail, Score(detail - 30)),
        ]
        action = choices[kind]
        self.attempt(action, sender, price(self.state, action) + off)

    @precondition(lambda self: self.moves)
    @rule(number=small)
    def submit_honestly(self, number: int) -> None:
        moves, challenge = self.pick(number)
        who = SUBMITTERS[number % 3]
        model = MODELS[challenge.counts.get(who, 0) % 3]
        self.attempt(moves.submitting(who, model), who)

    @precondition(lambda self: self.moves)
    @rule(number=small, score=st.integers(-9, 9))
    def report_honestly(self, number: int, score: int) -> None:
        """The newest report stands, whatever was said before; nothing else changes."""
        moves, challenge = self.pick(number)
        if not challenge.submissions:
            return
        entry = challenge.submissions[number % len(challenge.submissions)]
        report = actions.Report(moves.id, entry.number, Score(score))
        if self.attempt(report, entry.submitter):
            entries = list(challenge.submissions)
            entries[entry.number] = msgspec.structs.replace(entry, report=Score(score))
            expected = msgspec.structs.replace(challenge, submissions=tuple(entries))
            assert self.state.challenges[moves.id] == expected

    @precondition(lambda self: self.moves)
    @rule(number=small, sure=rarely)
    def cancel(self, number: int, sure: bool) -> None:
        if sure:
            moves, _ = self.pick(number)
            self.attempt(actions.Cancel(moves.id), moves.organizer)

    @precondition(lambda self: self.attempts)
    @rule(number=st.integers(0, 500), sender=st.one_of(st.none(), st.sampled_from(ACTORS)))
    def replay(self, number: int, sender: str | None) -> None:
        """An action that somebody sent before, once more, now, perhaps by somebody else."""
        action, context, _ = self.attempts[number % len(self.attempts)]
        if not isinstance(action, actions.Create):
            self.attempt(action, sender or context.sender, context.value)

    @precondition(lambda self: len(self.moves) > 1)
    @rule(number=st.integers(0, 500), other=small)
    def carry_over(self, number: int, other: int) -> None:
        """An action on one challenge, said of another one."""
        action, context, _ = self.attempts[number % len(self.attempts)]
        if hasattr(action, "challenge"):
            moves, _ = self.pick(other)
            moved = msgspec.structs.replace(action, challenge=moves.id)
            self.attempt(moved, context.sender)

    @precondition(lambda self: self.final)
    @rule(number=small, place=small, forged=st.integers(0, 4))
    def claim(self, number: int, place: int, forged: int) -> None:
        names = list(self.final)
        name = names[number % len(names)]
        self.attempt(actions.ClaimDeposit(name, place % 6), OUTSIDER)
        settlement = self.final[name].settlement
        ballot = settlement.ballot if settlement else None
        leaves = self.trees.get(ballot.payout_root) if ballot else None
        if leaves:
            self.moves[name].leaves = leaves
            claim = self.moves[name].claiming(place % len(leaves))
            self.attempt(claim, OUTSIDER)
            assert not self.attempt(claim, OUTSIDER)
            if forged < 2:
                amount = type(claim.amount)(min(claim.amount + 1, AMOUNT_LIMIT - 1))
                richer = [{"amount": amount}, {"index": place}][forged]
                self.attempt(msgspec.structs.replace(claim, **richer), OUTSIDER)

    @rule(
        sender=st.sampled_from(ACTORS),
        count=st.integers(1, 3),
        off=st.sampled_from([0, 0, 0, 1, -1]),
    )
    def join(self, sender: str, count: int, off: int) -> None:
        held = max(held_by(self.registry, sender) + off, 0)
        self.attempt(actions.Join(count, held), sender)

    @rule(
        sender=st.sampled_from(ACTORS),
        numbers=st.lists(st.integers(0, 15), min_size=1, max_size=3, unique=True),
        own=st.booleans(),
        taking=st.booleans(),
    )
    def end(self, sender: str, numbers: list[int], own: bool, taking: bool) -> None:
        """End seats or take out stakes, often one's own."""
        mine = tuple(seats_of(self.registry, sender))
        chosen = mine[:2] if own and mine else tuple(numbers)
        action = actions.Unstake if taking else actions.Leave
        self.attempt(action(chosen), sender)

    @rule(sender=st.sampled_from(ACTORS))
    def withdraw(self, sender: str) -> None:
        self.attempt(actions.Withdraw(), sender)

    # --- what holds ---------------------------------------------------------------------------

    @invariant()
    def money_is_conserved(self) -> None:
        state = self.state
        assert state.received == self.received
        escrows = sum(challenge.escrow for challenge in state.challenges.values())
        escrows += self.registry.staked
        assert escrows + sum(state.credits.values()) + sum(state.paid.values()) == state.received
        assert all(challenge.escrow >= 0 for challenge in state.challenges.values())
        assert all(amount > 0 for amount in state.credits.values())
        assert all(amount > 0 for amount in state.paid.values())

    @invariant()
    def the_registry_adds_up(self) -> None:
        registry = self.registry
        seats = [seat for seat in registry.seats if seat is not None]
        assert registry.staked == sum(101 - seat.loss for seat in seats)
        assert registry.active == sum(1 for seat in seats if not seat.until)
        assert sorted(registry.free) == [
            number for number, seat in enumerate(registry.seats) if seat is None
        ]
        for owner in {seat.owner for seat in seats} | set(registry.held):
            active = sum(1 for seat in seats if seat.owner == owner and not seat.until)
            assert held_by(registry, owner) == active
        for seat in seats:
            assert 0 <= seat.loss <= 101 and seat.since <= registry.version
            assert (seat.until == 0) == (seat.free == 0)
            assert seat.until or 2 * (101 - seat.loss) >= 101
        for challenge in self.state.challenges.values():
            pool = challenge.pool
            if pool is not None and challenge.settlement is None:
                barred = {challenge.organizer, *challenge.counts}
                owners = set(registry.held) - barred
                held = [held_at(registry, owner, pool.version) for owner in owners]
                assert pool.eligible == sum(held) >= 2 * challenge.terms.panel.seats

    @invariant()
    def each_escrow_is_what_its_challenge_owes(self) -> None:
        for challenge in self.state.challenges.values():
            reward, settlement = challenge.terms.reward, challenge.settlement
            if settlement is None:
                unopened = sum(1 for each in challenge.contributions if each.secret is None)
                entered = len(challenge.submissions) * (reward.submission_bond + reward.entry_fee)
                assert challenge.escrow == (
                    reward.pot
                    + reward.fee
                    + reward.organizer_bond
                    + unopened * reward.contribution_deposit
                    + entered
                )
            elif settlement.kind == "decided":
                assert settlement.ballot is not None
                owed = settlement.ballot.payout_total - self.claimed[challenge.id]
                assert challenge.escrow == owed
            else:
                assert challenge.escrow == settlement.deposit * owed_deposits(challenge)

    @invariant()
    def a_final_challenge_changes_by_claims_only(self) -> None:
        for name, challenge in self.state.challenges.items():
            settlement = challenge.settlement
            if settlement is None:
                assert name not in self.final
                continue
            if name not in self.final:
                reached[settlement.kind] += 1
                reached.update(penalty.fault for penalty in settlement.penalties)
                self.final[name] = challenge
            first = self.final[name]
            bare = msgspec.structs.replace(settlement, claimed=0, deposits_claimed=0)
            assert msgspec.structs.replace(
                challenge, settlement=bare, escrow=0
            ) == msgspec.structs.replace(
                first,
                settlement=msgspec.structs.replace(first.settlement, claimed=0, deposits_claimed=0),
                escrow=0,
            )

    @invariant()
    def counts_fit_what_they_count(self) -> None:
        for challenge in self.state.challenges.values():
            submissions = challenge.submissions
            assert [entry.number for entry in submissions] == list(range(len(submissions)))
            assert challenge.counts == Counter(entry.submitter for entry in submissions)
            assert challenge.opened == sum(1 for entry in submissions if entry.opening)
            assert len(submissions) <= challenge.terms.reward.max_entries

    def teardown(self) -> None:
        self._settle_everything()
        self._pay_everything()
        self._replay_everything()
        assert all(repr(state) == written for state, written in self.snapshots)

    def _settle_everything(self) -> None:
        """No challenge can be stuck: far in the future each of them is final or can be."""
        self.time += 10**6
        for name, challenge in self.state.challenges.items():
            if challenge.settlement is None:
                assert self.attempt(actions.Finalize(name), OUTSIDER)
        self.a_final_challenge_changes_by_claims_only()

    def _pay_everything(self) -> None:
        for name, challenge in self.state.challenges.items():
            for entry in challenge.submissions:
                self.attempt(actions.ClaimDeposit(name, entry.number), OUTSIDER)
            settlement = challenge.settlement
            assert settlement is not None
            ballot = settlement.ballot
            leaves = self.trees.get(ballot.payout_root, []) if ballot else []
            self.moves[name].leaves = leaves
            for place in range(len(leaves)):
                self.attempt(self.moves[name].claiming(place), OUTSIDER)
            if sum(amount for _, _, amount in leaves) == (ballot.payout_total if ballot else 0):
                assert self.state.challenges[name].escrow == 0
        self.money_is_conserved()
        self.each_escrow_is_what_its_challenge_owes()
        self._unstake_everything()
        for actor in ACTORS:
            self.attempt(actions.Withdraw(), actor)
        assert set(self.state.credits) <= {BURN_ADDRESS}
        self.money_is_conserved()

    def _unstake_everything(self) -> None:
        """No stake can be stuck either."""
        for owner in ACTORS:
            own = seats_of(self.registry, owner)
            active = tuple(number for number, seat in own.items() if not seat.until)
            assert not active or self.attempt(actions.Leave(active), owner)
        self.time += STAKING.unbonding
        for owner in ACTORS:
            own = seats_of(self.registry, owner)
            assert not own or self.attempt(actions.Unstake(tuple(own)), owner)
        assert self.registry.staked == self.registry.active == 0
        self.the_registry_adds_up()

    def _replay_everything(self) -> None:
        state = State(CHAIN, LEDGER, Registry(STAKING))
        for action, context, refused in self.attempts:
            try:
                state = apply(state, action, context)
                assert refused is None
            except Rejected as refusal:
                assert refusal.rule == refused
        assert repr(state) == repr(self.state)


QUIET = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "derandomize": False,  # else, in CI, every try would be the same one
}
SETTLEMENTS = set(get_args(SettlementKind))
FAULTS = set(get_args(Fault))


def test_random_sequences_keep_every_promise() -> None:
    """Some hundreds of sequences, more only if they did not meet every ending."""
    some = settings(max_examples=60, stateful_step_count=25, **QUIET)
    for _ in range(8):
        run_state_machine_as_test(Competition, settings=some)
        if len(reached.keys() & SETTLEMENTS) == len(SETTLEMENTS) and sum(reached.values()) > 1_000:
            return
    pytest.fail(f"never met: {SETTLEMENTS - set(reached)}")


@pytest.mark.soak
def test_many_long_random_sequences() -> None:
    many = settings(max_examples=3_000, stateful_step_count=100, **QUIET)
    run_state_machine_as_test(Competition, settings=many)
    assert set(reached) >= SETTLEMENTS | FAULTS
