"""How a pot is divided: never more than there is, only to those who pass, best rank first."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import danku
from danku.mechanisms import (
    MECHANISMS,
    BadMechanismTerms,
    BadPot,
    BadRanking,
    Mechanism,
    Ranked,
    UnknownMechanism,
    check_terms,
    prizes,
)
from danku.mechanisms.definition import MechanismBroken
from danku.protocol.manifest import MechanismTerms
from danku.protocol.types import AMOUNT_LIMIT, Amount, Score

WINNER = MechanismTerms(name="winner-takes-all")
PROPORTIONAL = MechanismTerms(name="proportional")

pots = st.integers(0, 100) | st.integers(0, AMOUNT_LIMIT - 1)
scores = st.integers(-5, 5) | st.integers(-(2**63) + 1, 2**63 - 1)


def top_k(*shares: int) -> MechanismTerms:
    return MechanismTerms(name="top-k", shares=shares)


@st.composite
def share_lists(draw: st.DrawFn) -> MechanismTerms:
    parts = sorted(draw(st.lists(st.integers(1, 500), min_size=1, max_size=12)), reverse=True)
    return top_k(*(part * 10_000 // sum(parts) for part in parts))


terms_of_all_kinds = st.just(WINNER) | st.just(PROPORTIONAL) | share_lists()


@st.composite
def rankings(draw: st.DrawFn, higher_is_better: bool) -> list[Ranked]:
    values = draw(st.lists(scores, max_size=12))
    numbers = draw(st.permutations(range(len(values))))
    ordered = sorted(values, reverse=higher_is_better)
    return [Ranked(number, score) for number, score in zip(numbers, ordered, strict=True)]


@settings(deadline=None)
@given(st.data(), terms_of_all_kinds, pots, scores, st.booleans())
def test_only_passing_entries_are_paid_and_never_more_than_the_pot(
    data, terms, pot, threshold, higher_is_better
):
    ranking = data.draw(rankings(higher_is_better))
    sign = 1 if higher_is_better else -1
    passing = [entry for entry in ranking if sign * (entry.score - threshold) >= 0]
    paid = prizes(terms, ranking, pot, threshold, higher_is_better)
    assert set(paid) <= {entry.submission for entry in passing}
    assert all(type(amount) is int and amount > 0 for amount in paid.values())
    assert sum(paid.values()) <= pot
    if passing and terms.name != "top-k":
        assert pot - sum(paid.values()) < len(passing)
    stated = terms.shares[: len(passing)]
    if stated:
        assert pot * sum(stated) - 10_000 * sum(paid.values()) < 10_000 * len(stated)


@settings(deadline=None)
@given(st.data(), terms_of_all_kinds, pots, scores, st.booleans())
def test_a_better_rank_never_earns_less(data, terms, pot, threshold, higher_is_better):
    ranking = data.draw(rankings(higher_is_better))
    paid = prizes(terms, ranking, pot, threshold, higher_is_better)
    amounts = [paid.get(entry.submission, 0) for entry in ranking]
    assert amounts == sorted(amounts, reverse=True)


@settings(deadline=None)
@given(st.data(), terms_of_all_kinds, pots, scores)
def test_the_direction_of_the_metric_is_a_mirror(data, terms, pot, threshold):
    ranking = data.draw(rankings(True))
    mirrored = [Ranked(entry.submission, -entry.score) for entry in ranking]
    assert prizes(terms, ranking, pot, threshold, True) == prizes(
        terms, mirrored, pot, -threshold, False
    )


@settings(deadline=None)
@given(st.data(), terms_of_all_kinds, pots, scores)
def test_entries_that_fail_change_nothing(data, terms, pot, threshold):
    ranking = data.draw(rankings(True))
    passing = [entry for entry in ranking if entry.score >= threshold]
    assert prizes(terms, ranking, pot, threshold, True) == prizes(
        terms, passing, pot, threshold, True
    )


RANKING = [Ranked(7, 900), Ranked(2, 800), Ranked(5, 700), Ranked(1, 699)]


@pytest.mark.parametrize(
    ("terms", "pot", "threshold", "expected"),
    [
        (WINNER, 1001, 700, {7: 1001}),
        (WINNER, 1001, 900, {7: 1001}),
        (WINNER, 1001, 901, {}),
        (WINNER, 0, 700, {}),
        (top_k(6000, 3000, 1000), 1001, 700, {7: 600, 2: 300, 5: 100}),
        (top_k(6000, 3000, 1000), 1001, 800, {7: 600, 2: 300}),
        (top_k(5000), 3, 700, {7: 1}),
        (top_k(9999, 1), 100, 700, {7: 99}),
        (PROPORTIONAL, 1001, 700, {7: 667, 2: 333}),
        (PROPORTIONAL, 1001, 699, {7: 664, 2: 333, 5: 3}),
        (PROPORTIONAL, 1001, 900, {7: 1001}),
    ],
)
def test_prizes_by_hand(terms, pot, threshold, expected):
    assert prizes(terms, RANKING, pot, threshold, True) == expected


def test_all_exactly_on_the_threshold_share_a_proportional_pot_equally():
    level = [Ranked(3, 50), Ranked(1, 50), Ranked(2, 50), Ranked(9, 49)]
    assert prizes(PROPORTIONAL, level, 100, 50, True) == {3: 33, 1: 33, 2: 33}


def test_lower_is_better():
    ranking = [Ranked(1, 10), Ranked(2, 40), Ranked(3, 50), Ranked(4, 51)]
    assert prizes(PROPORTIONAL, ranking, 100, 50, False) == {1: 80, 2: 20}
    assert prizes(top_k(5000, 3000, 2000), ranking, 100, 50, False) == {1: 50, 2: 30, 3: 20}


def test_records_types_do_not_leak_into_the_prizes():
    paid = prizes(WINNER, [Ranked(0, Score("5"))], Amount("9"), Score("5"), True)
    assert paid == {0: 9}
    assert type(paid[0]) is int


@pytest.mark.parametrize(
    "ranking",
    [[Ranked(1, 5), Ranked(2, 6)], [Ranked(1, 6), Ranked(2, 5), Ranked(1, 4)]],
)
def test_a_ranking_out_of_order_or_with_a_repetition_is_refused(ranking):
    with pytest.raises(BadRanking):
        prizes(WINNER, ranking, 10, 0, True)


@pytest.mark.parametrize("pot", [-1, AMOUNT_LIMIT])
def test_an_impossible_pot_is_refused(pot):
    with pytest.raises(BadPot):
        prizes(WINNER, [], pot, 0, True)


@pytest.mark.parametrize("shares", [(), (6000, 4001), (3000, 4000), (0,), (-1,), (5000, -1)])
def test_unfit_shares_are_refused(shares):
    for refused in (check_terms, lambda terms: prizes(terms, [], 10, 0, True)):
        with pytest.raises(BadMechanismTerms):
            refused(top_k(*shares))


@pytest.mark.parametrize("name", ["winner-takes-all", "proportional"])
def test_shares_that_would_be_ignored_are_refused(name):
    with pytest.raises(BadMechanismTerms):
        check_terms(MechanismTerms(name=name, shares=(10_000,)))


def test_an_unknown_mechanism_lists_the_known_ones():
    with pytest.raises(UnknownMechanism) as caught:
        check_terms(MechanismTerms(name="lottery"))
    assert all(name in caught.value.fix for name in MECHANISMS)


def test_the_mechanisms_that_register_themselves():
    assert sorted(MECHANISMS) == ["proportional", "top-k", "winner-takes-all"]
    assert all(each.name == name for name, each in MECHANISMS.items())


@pytest.mark.parametrize("amounts", [{0: 11}, {0: -1}, {4: 1}])
def test_a_mechanism_that_breaks_the_rules_pays_nobody(monkeypatch, amounts):
    broken = Mechanism("broken", "Breaks.", lambda terms: None, lambda terms, best, pot: amounts)
    monkeypatch.setitem(MECHANISMS, "broken", broken)
    with pytest.raises(MechanismBroken):
        prizes(MechanismTerms(name="broken"), [Ranked(0, 1)], 10, 0, True)


NEW_FILE = """
from danku.mechanisms.definition import Mechanism, refuse_shares, register

def divide(terms, passing, pot):
    return {entry.submission: pot // len(passing) for entry in passing}

register(Mechanism("even", "All that pass share equally.", refuse_shares, divide))
"""


def test_a_new_mechanism_is_one_new_file(tmp_path):
    package = Path(danku.__file__).parent
    folder = tmp_path / "danku"
    for name in ("__init__.py", "errors.py", "protocol", "mechanisms"):
        source, copy = package / name, folder / name
        for file in [source] if source.is_file() else source.glob("*.py"):
            target = copy if source.is_file() else copy / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    (folder / "mechanisms" / "even.py").write_text(NEW_FILE)
    code = (
        "from danku.mechanisms import *; from danku.protocol.manifest import MechanismTerms;"
        "print(prizes(MechanismTerms(name='even'), [Ranked(4, 9), Ranked(1, 8)], 11, 0, True))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "{4: 5, 1: 5}\n"
