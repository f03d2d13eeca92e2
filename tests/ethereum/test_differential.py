"""Random sequences of actions run alike by the rules and by the contract on a real node."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.ethereum.both import OPTIONS, Table
from tests.ethereum.coverage import Coverage
from tests.ethereum.fixtures import need_node
from tests.ethereum.node import running_node
from tests.ethereum.random_play import ACTORS, Play, Tape, TapeEnds, arena

QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None}
OTHERWISE = {
    "TooManyContributions": "65 owners of seats have to contribute: test_a_crowd_contributes",
}
"""What random play does not reach."""


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Table]:
    need_node()
    with running_node(tmp_path_factory.mktemp("anvil"), *OPTIONS) as node:
        yield Table(node, ACTORS)


def play(table: Table, data: bytes) -> None:
    """One sequence from an empty ledger, step by step on both."""
    tape = Tape(data)
    with suppress(TapeEnds):
        game = Play(table.begin(arena(tape)), tape)
        while True:
            game.step()
    game.both.agree()


def run(table: Table, count: int, longest: int) -> None:
    """So many sequences, the same ones every time."""

    @settings(max_examples=count, derandomize=True, **QUIET)
    @given(st.binary(min_size=120, max_size=longest))
    def some(data: bytes) -> None:
        play(table, data)

    some()
    print(table.coverage.table())


def test_the_contract_does_what_the_rules_say(table: Table) -> None:
    run(table, 50, 400)
    assert table.coverage.accepted.total() > 500
    assert len(table.coverage.rules) > 30


@pytest.mark.soak
def test_the_contract_does_what_the_rules_say_in_thousands_of_sequences(table: Table) -> None:
    table.coverage = Coverage()
    run(table, 2_500, 600)
    assert not table.coverage.missing() - set(OTHERWISE)
