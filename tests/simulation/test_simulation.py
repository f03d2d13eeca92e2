"""The simulation's own arithmetic, and what it promises of honest seats."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import combinations

import pytest

from tests.protocol.staked import STAKE
from tests.simulation.exact import chances, hypergeometric, quorum
from tests.simulation.players import DISHONEST, OWNERS, Play, organizer_of, registry
from tests.simulation.simulate import SEATS, Point, behaviours, far_off, history, measure


@pytest.mark.parametrize("bad", range(8))
def test_the_exact_chances_count_all_committees(bad: int) -> None:
    """Every pair of committees of 3 out of 7 seats, the first ``bad`` of which collude."""
    outcomes: dict[str, list[int]] = {"right": [], "captured": [], "none": []}
    for first in combinations(range(7), 3):
        left = [seat for seat in range(7) if seat not in first]
        for second in combinations(left, 3):
            for committee in (first, second):
                votes = sum(seat < bad for seat in committee)
                decided = "captured" if votes >= 2 else "right" if votes <= 1 else "none"
                if decided != "none":
                    break
            outcomes[decided].append(1)
    total = sum(map(len, outcomes.values()))
    expected = chances(7, bad, 3)
    assert expected == tuple(Fraction(len(outcomes[name]), total) for name in outcomes)


def test_the_chances_of_a_committee_that_needs_three_of_four() -> None:
    for bad in range(10):
        for alike in (True, False):
            found = chances(12, bad, 4, votes_alike=alike)
            assert sum(found) == 1
            assert alike or not found.captured
        assert sum(hypergeometric(12, bad, 4)) == 1
    assert [quorum(size) for size in (1, 2, 3, 4, 9, 16)] == [1, 2, 2, 3, 6, 11]


def test_measured_rates_agree_with_exact_ones() -> None:
    assert far_off([measure(("colluding", bad, 120)) for bad in (12, 24, 30)]) == []


def test_rates_that_chance_does_not_explain_are_noticed() -> None:
    assert far_off([Point("colluding", 30, {"right": 900, "wrong": 50, "none": 50}, {}, {})])


@pytest.mark.parametrize("behaviour", DISHONEST)
def test_a_dishonest_minority_loses_and_the_honest_gain(behaviour: str) -> None:
    chance = random.Random(behaviour)
    state = registry()
    for number in range(20):
        members = behaviours(behaviour, SEATS // 5, chance)
        play = Play(state, organizer_of(number), members)
        ending = play.play("honest", chance)
        if ending.verdict != "right":
            continue
        settlement = play.challenge.settlement
        assert settlement is not None
        deciding = play.challenge.rounds[settlement.round].committee
        for owner in OWNERS:
            gain = ending.gains[owner]
            if members[owner] == "honest":
                assert gain >= 0 and (gain > 0) == (owner in deciding)
            else:
                assert gain <= 0 and (gain < 0 or owner not in deciding)
        assert play.conserved()


def test_dishonest_seats_are_ended_by_their_losses() -> None:
    lines = history(60)
    for behaviour in DISHONEST:
        assert lines[behaviour][-1] < STAKE < lines["honest"][-1]
