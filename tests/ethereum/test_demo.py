"""The demo on a real node ends as on the embedded ledger: leaderboard, payouts, result, money."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.demo.played import Recorder
from tests.ethereum.demo import play
from tests.ethereum.fixtures import need_node
from tests.ethereum.node import running_node
from tests.ethereum.world import FREE


@pytest.mark.soak
def test_the_demo_ends_alike_on_both_ledgers(tmp_path: Path) -> None:
    need_node()
    with running_node(tmp_path, *FREE) as node:
        on_chain, embedded, again, verified = play(tmp_path, node, Recorder())
    assert verified
    assert on_chain == embedded
    assert on_chain.result == again
    first, *_ = on_chain.leaderboard
    assert first.rank == 1 and len(on_chain.leaderboard) == 7
    assert sum(on_chain.payouts.values()) == 1_140_000
    challenge = next(iter(on_chain.state.challenges.values()))
    assert challenge.terms.seed_source == "both"
