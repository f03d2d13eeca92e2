"""Every test of the rules, played on the contract as well."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from tests.ethereum.node import Node
from tests.ethereum.twin import twins
from tests.protocol import (
    test_committee,
    test_money,
    test_rules_models,
    test_rules_payments,
    test_rules_registry,
    test_rules_seed,
    test_rules_votes,
    test_rules_windows,
    test_slashing,
)

MODULES = (
    test_committee,
    test_money,
    test_rules_models,
    test_rules_payments,
    test_rules_registry,
    test_rules_seed,
    test_rules_votes,
    test_rules_windows,
    test_slashing,
)

NOT_ON_A_CHAIN = {
    "test_a_long_walk_is_walked_by_repeating_convene": "changes the steps of a walk",
    "test_a_committee_that_was_never_completed_judges_nothing_and_loses_nothing": "edits the state",
    "test_a_seat_with_less_than_half_its_stake_is_ended": "plays two ledgers as one",
    "test_actions_on_one_challenge_leave_the_others_alone": "edits the state",
    "test_create_refuses_a_beacon_where_there_is_none": "a chain has one",
    "test_a_beacon_seed_takes_the_beacon_alone_and_both_take_both": "invents the beacon",
    "test_draw_in_order": "time runs backwards",
    "test_learning_links_form_a_chain_over_challenges": "plays two ledgers as one",
}
"""What the simulator can do and no chain can."""

BEFORE_THE_FIRST_BLOCK = ("contribute", "cancel")
"""Windows that open with `create`: nothing is early on them."""

LONG = {
    "test_honest_opening_is_never_worse_than_any_deviation_by_a_minority",
    "test_two_thirds_of_the_seats_decide",
    "test_the_dearest_shares_and_the_smallest_stake_hold_too",
}
"""More than a second each."""

IN_SHORT = (test_money, test_rules_models, test_rules_payments, test_rules_votes)
"""Modules of `make test`; the others are for `make soak`."""


def _tests(module: ModuleType) -> Iterator[tuple[str, Any]]:
    for name, test in vars(module).items():
        if name.startswith("test_") and callable(test) and name not in NOT_ON_A_CHAIN:
            yield name, test


def _marked(module: ModuleType, name: str, test: Any) -> Any:
    if module in IN_SHORT and name not in LONG:
        return test

    # NOTE: marks are kept on the function, which belongs to another module.
    def longer(*words: Any, **named: Any) -> Any:
        return test(*words, **named)

    longer.__wrapped__ = test  # type: ignore[attr-defined]
    longer.pytestmark = [*getattr(test, "pytestmark", []), pytest.mark.soak]  # type: ignore[attr-defined]
    return longer


for module in MODULES:
    for name, test in list(_tests(module)):
        globals()[f"{name}__{module.__name__.rpartition('.')[2]}"] = _marked(module, name, test)


def test_what_is_left_out_exists() -> None:
    known = {name for module in MODULES for name in vars(module)}
    assert set(NOT_ON_A_CHAIN) | LONG <= known


@pytest.fixture(autouse=True)
def both(rules_node: Node, request: pytest.FixtureRequest) -> Iterator[None]:
    callspec = getattr(request.node, "callspec", None)
    if callspec and "includes_its_first_second" in request.node.name:
        if callspec.id in BEFORE_THE_FIRST_BLOCK:
            pytest.skip("nothing is early in a window that opens with create")
    with twins(rules_node):
        yield
