"""The payout list: every unit of prizes, bonds and forfeits has exactly one owner."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from danku.mechanisms import Ranked, prizes
from danku.mechanisms.settlement import BadAmount, BadPrize, BadSettlement, Entry, settle
from danku.protocol.manifest import MechanismTerms
from danku.protocol.types import AMOUNT_LIMIT, BURN_ADDRESS

STATUSES = ["ranked", "duplicate", "rejected", "unavailable", "unopened"]
OUTCOMES = ["test", "train-fallback", "void"]
A, B, C, D = ("0x" + digit * 40 for digit in "abcd")

addresses = st.sampled_from([A, B, C, D])
amounts = st.integers(0, 50) | st.integers(0, 2**80)


@st.composite
def decided(draw: st.DrawFn):
    """(outcome, submissions, prizes, bond, forfeits), with prizes for some ranked submissions."""
    outcome = draw(st.sampled_from(OUTCOMES))
    rows = draw(st.lists(st.tuples(addresses, st.sampled_from(STATUSES)), max_size=12))
    submissions = [Entry(number, *row) for number, row in enumerate(rows)]
    won = {
        entry.number: draw(st.integers(1, 2**80))
        for entry in submissions
        if outcome != "void" and entry.status == "ranked" and draw(st.booleans())
    }
    return outcome, submissions, won, draw(amounts), draw(amounts)


@settings(deadline=None)
@given(decided())
def test_all_that_comes_in_is_paid_but_for_dust(case):
    outcome, submissions, won, bond, forfeits = case
    paid = settle(*case)
    incoming = sum(won.values()) + bond * len(submissions) + forfeits
    sharers = [entry for entry in submissions if outcome == "void" or entry.status == "ranked"]
    dust = incoming - sum(amount for _, amount in paid)
    assert 0 <= dust < max(1, len(sharers))


@settings(deadline=None)
@given(decided())
def test_one_row_an_address_sorted_and_never_zero(case):
    paid = settle(*case)
    payees = [address for address, _ in paid]
    assert payees == sorted(set(payees))
    assert all(type(amount) is int and amount > 0 for _, amount in paid)
    submitters = {entry.submitter for entry in case[1]}
    assert set(payees) <= submitters | {BURN_ADDRESS}


@settings(deadline=None)
@given(decided(), st.randoms(use_true_random=False))
def test_the_order_of_submissions_and_prizes_does_not_matter(case, random):
    outcome, submissions, won, bond, forfeits = case
    shuffled, items = list(submissions), list(won.items())
    random.shuffle(shuffled)
    random.shuffle(items)
    assert settle(outcome, shuffled, dict(items), bond, forfeits) == settle(*case)


@settings(deadline=None)
@given(decided())
def test_everybody_gets_at_least_their_bonds_and_prizes(case):
    outcome, submissions, won, bond, _ = case
    paid = dict(settle(*case))
    for address in (A, B, C, D):
        own = [entry for entry in submissions if entry.submitter == address]
        kept = [entry for entry in own if outcome == "void" or entry.status in STATUSES[:2]]
        least = bond * len(kept) + sum(won.get(entry.number, 0) for entry in own)
        assert paid.get(address, 0) >= least


@settings(deadline=None)
@given(decided())
def test_a_submission_that_loses_its_bond_gains_nothing_by_others_losing_theirs(case):
    outcome, submissions, _, bond, forfeits = case
    paid = dict(settle(outcome, submissions, {}, bond, forfeits))
    for address in (A, B, C, D):
        own = {entry.status for entry in submissions if entry.submitter == address}
        if outcome != "void" and own and own <= {"rejected", "unavailable", "unopened"}:
            assert address not in paid


@settings(deadline=None)
@given(decided())
def test_nothing_is_burned_while_somebody_may_have_it(case):
    outcome, submissions, _, bond, forfeits = case
    sharers = [entry for entry in submissions if outcome == "void" or entry.status == "ranked"]
    lost = 0 if outcome == "void" else sum(entry.status in STATUSES[2:] for entry in submissions)
    burned = dict(settle(*case)).get(BURN_ADDRESS, 0)
    assert burned == (0 if sharers else forfeits + bond * lost)


@settings(deadline=None)
@given(st.lists(addresses, min_size=1, max_size=8), st.integers(0, 2**90))
def test_prizes_and_settlement_together_pay_the_pot_and_no_more(submitters, pot):
    submissions = [Entry(number, owner, "ranked") for number, owner in enumerate(submitters)]
    ranking = [Ranked(number, 100 - number) for number in range(len(submitters))]
    won = prizes(MechanismTerms(name="proportional"), ranking, pot, 50, True)
    paid = settle("test", submissions, won, 0, 0)
    assert pot - len(submitters) < sum(amount for _, amount in paid) <= pot


MIXED = [
    Entry(0, A, "ranked"),
    Entry(1, B, "duplicate"),
    Entry(2, C, "rejected"),
    Entry(3, D, "ranked"),
    Entry(4, B, "unopened"),
    Entry(5, A, "unavailable"),
]


@pytest.mark.parametrize("outcome", ["test", "train-fallback"])
def test_a_decided_competition_by_hand(outcome):
    # Lost: three bonds of 10 and 5 of forfeits, 35 for two ranked submissions, 1 of dust.
    assert settle(outcome, MIXED, {0: 100}, 10, 5) == [(A, 127), (B, 10), (D, 27)]


def test_a_void_challenge_by_hand():
    # Forfeits of 20 for six submissions: 3 each, 2 of dust.
    assert settle("void", MIXED, {}, 10, 20) == [(A, 26), (B, 26), (C, 13), (D, 13)]


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_forfeits_of_an_empty_challenge_are_burned(outcome):
    assert settle(outcome, [], {}, 10, 7) == [(BURN_ADDRESS, 7)]
    assert settle(outcome, [], {}, 10, 0) == []


def test_without_a_ranked_submission_lost_bonds_and_forfeits_are_burned():
    submissions = [Entry(0, A, "duplicate"), Entry(1, B, "rejected"), Entry(2, C, "unopened")]
    assert settle("test", submissions, {}, 10, 7) == [(BURN_ADDRESS, 27), (A, 10)]


@pytest.mark.parametrize(
    ("outcome", "won"),
    [
        ("test", {9: 1}),
        ("test", {1: 1}),
        ("test", {2: 1}),
        ("test", {0: 0}),
        ("test", {0: -1}),
        ("test", {0: AMOUNT_LIMIT}),
        ("void", {0: 1}),
    ],
)
def test_impossible_prizes_are_refused(outcome, won):
    with pytest.raises(BadPrize):
        settle(outcome, MIXED, won, 10, 0)


@pytest.mark.parametrize(
    ("bond", "forfeits"),
    [(-1, 0), (0, -1), (AMOUNT_LIMIT, 0), (0, AMOUNT_LIMIT), (AMOUNT_LIMIT // 2, 0)],
)
def test_amounts_out_of_range_are_refused(bond, forfeits):
    with pytest.raises(BadAmount):
        settle("test", MIXED, {}, bond, forfeits)


@pytest.mark.parametrize(
    ("outcome", "submissions"),
    [
        ("draw", []),
        ("test", [Entry(0, A, "ranked"), Entry(0, B, "ranked")]),
        ("test", [Entry(0, A, "late")]),
        ("test", [Entry(0, A.upper(), "ranked")]),
        ("test", [Entry(0, A + "\n", "ranked")]),
        ("test", [Entry(0, "alice", "ranked")]),
    ],
)
def test_nonsense_is_refused(outcome, submissions):
    with pytest.raises(BadSettlement):
        settle(outcome, submissions, {}, 10, 0)
