"""What every ledger with a registry must do alike, played through the port."""

from __future__ import annotations

from pathlib import Path

import pytest

from danku.errors import Rejected
from danku.protocol import actions
from danku.protocol.terms import RegistryTerms, SeatsPanel
from danku.protocol.types import BURN_ADDRESS, Amount
from tests.ethereum.fixtures import MakeWorld
from tests.ledger.worlds import FUNDS, VALIDATORS, EmbeddedWorld, PortGame, World, key_of
from tests.protocol.simulator import terms
from tests.protocol.staked import StakedGame

STAKE, UNBONDING = 1_000, 990


class StakedPortGame(PortGame):
    """Three validators with three seats each, of which four judge."""

    registry = StakedGame.registry
    panel = StakedGame.panel
    owners = StakedGame.owners
    own = StakedGame.own
    convene = StakedGame.convene
    leave = StakedGame.leave
    unstake = StakedGame.unstake

    def __init__(self, world: World) -> None:
        for name in VALIDATORS:
            world.fund(name, FUNDS)
            world.ledger.submit(key_of(name), actions.Join(3, 0), 3 * STAKE)
        super().__init__(world, terms(SeatsPanel(4, 3_000, 500)))


@pytest.fixture(params=["embedded", "ethereum"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    registry = RegistryTerms(Amount(STAKE), UNBONDING)
    if request.param == "embedded":
        return EmbeddedWorld(tmp_path, registry=registry)
    make: MakeWorld = request.getfixturevalue("ethereum")
    return make(registry)


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cached state is written at every action."""
    monkeypatch.setattr("danku.ledger.embedded.ledger.CACHE_INTERVAL", 1)


@pytest.mark.usefixtures("eager")
def test_a_whole_staked_competition(world: World) -> None:
    game = StakedPortGame(world)
    game.tested().convene()
    committee = game.challenge.rounds[1].committee
    silent = next(
        who for who in committee if committee.count(who) == min(map(committee.count, committee))
    )
    voters = [who for who in dict.fromkeys(committee) if who != silent]
    weight = committee.count(silent)
    ballot = game.ballot()
    game.vote(ballot, *voters).open_vote(ballot, *voters)
    game.finalize("second_open_vote")
    settlement = game.challenge.settlement
    assert settlement is not None
    assert settlement.kind == ("decided" if weight == 1 else "no-quorum")
    assert [(each.owner, int(each.amount)) for each in settlement.penalties] == [
        (silent, 50)
    ] * weight
    assert game.state.credits[BURN_ADDRESS] == 50 * weight
    assert game.registry.staked == 9 * STAKE - 50 * weight
    assert world.again().state() == game.state
    assert world.ledger.state() == game.state

    game.leave(silent)
    with pytest.raises(Rejected) as refusal:
        game.unstake(silent)
    assert refusal.value.rule == "Early"
    game.time += UNBONDING
    before = world.ledger.balance(silent)
    game.unstake(silent)
    assert world.ledger.balance(silent) == before + 3 * STAKE - 50 * weight
    assert world.again().state() == game.state


def test_a_stake_is_paid_like_any_other_money(world: World) -> None:
    world.fund("outsider", 2 * STAKE)
    key = key_of("outsider")
    with pytest.raises(Rejected) as refusal:
        world.ledger.submit(key, actions.Join(3, 0), 3 * STAKE)
    assert refusal.value.rule == "InsufficientBalance"
    with pytest.raises(Rejected) as refusal:
        world.ledger.submit(key, actions.Join(2, 0), STAKE)
    assert refusal.value.rule == "WrongValue"
    world.ledger.submit(key, actions.Join(2, 0), 2 * STAKE)
    assert world.ledger.balance(key.address) == 0


@pytest.mark.usefixtures("eager")
def test_the_largest_stake_survives_reading_the_ledger_again(tmp_path: Path) -> None:
    stake = 2**96 - 1
    world = EmbeddedWorld(tmp_path, registry=RegistryTerms(Amount(stake), 1))
    world.fund("outsider", stake)
    key = key_of("outsider")
    world.ledger.submit(key, actions.Join(1, 0), stake)
    assert world.again().state() == world.again(private=False).state()
    world.ledger.submit(key, actions.Leave((0,)))
    world.wait_until(world.ledger.time() + 1)
    world.ledger.submit(key, actions.Unstake((0,)))
    assert world.again().state() == world.again(private=False).state()
    assert world.ledger.balance(key.address) == stake
