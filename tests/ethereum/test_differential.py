"""Random sequences of actions run alike by the rules and by the contract on a real node."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.ethereum.both import Table
from tests.ethereum.coverage import Coverage
from tests.ethereum.random_play import Play, Tape, TapeEnds, arena

QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None}
OTHERWISE = {
    "TooManyContributions": "65 owners of seats have to contribute: test_a_crowd_contributes",
}
"""What random play does not reach."""


def play(table: Table, data: bytes) -> None:
    """One sequence from an empty ledger, step by step on both."""
    tape = Tape(data)
    with suppress(TapeEnds):
        game = Play(table.begin(arena(tape)), tape)
        while True:
            game.step()
    game.both.agree()


def run(table: Table, count: int, longest: int, *, fixed: bool) -> None:
    """So many sequences; if they are fixed, the same ones every time."""
    table.coverage = Coverage()

    @settings(max_examples=count, derandomize=fixed, **QUIET)
    @given(st.binary(min_size=120, max_size=longest))
    def some(data: bytes) -> None:
        play(table, data)

    some()
    print(table.coverage.table())


def test_the_contract_does_what_the_rules_say(table: Table) -> None:
    run(table, 50, 400, fixed=True)
    assert table.coverage.accepted.total() > 500
    assert len(table.coverage.rules) > 30


@pytest.mark.soak
def test_the_contract_does_what_the_rules_say_in_thousands_of_sequences(table: Table) -> None:
    run(table, 2_500, 600, fixed=False)
    assert not table.coverage.missing() - set(OTHERWISE)
