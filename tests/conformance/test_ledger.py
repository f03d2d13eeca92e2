"""What every ledger must do alike: one competition after the other, played through the port."""

from __future__ import annotations

from pathlib import Path

import pytest

from danku.crypto.signatures import PrivateKey
from danku.errors import DataError, Rejected
from danku.protocol import actions
from danku.protocol.draw import challenge_id
from danku.protocol.types import BURN_ADDRESS, Amount, Score
from tests.ethereum.fixtures import MakeWorld
from tests.ledger.worlds import (
    FUNDS,
    SUBMITTERS,
    VALIDATORS,
    EmbeddedWorld,
    PortGame,
    World,
    key_of,
)
from tests.protocol.simulator import cid, digest


@pytest.fixture(params=["embedded", "ethereum"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    if request.param == "embedded":
        return EmbeddedWorld(tmp_path)
    make: MakeWorld = request.getfixturevalue("ethereum")
    return make(None)


@pytest.fixture
def game(world: World) -> PortGame:
    return PortGame(world)


def address(name: str) -> str:
    return key_of(name).address


def decided(game: PortGame) -> PortGame:
    """Played to the end: alice wins 700 of the pot of 1000, all bonds of 20 go back."""
    ballot = game.ballot(
        {address("alice"): 720, address("bob"): 20, address("carol"): 20},
        winner=address("alice"),
        score=5,
    )
    wrong = game.ballot({address("bob"): 1060}, winner=address("bob"), score=9, result="wrong")
    game.tested().convene()
    game.vote(ballot, *map(address, VALIDATORS[:2])).vote(wrong, address(VALIDATORS[2]))
    game.open_vote(ballot, *map(address, VALIDATORS[:2]))
    game.open_vote(wrong, address(VALIDATORS[2]))
    game.finalize()
    game.leaves = [
        (index, address(name), amount)
        for index, (name, amount) in enumerate((("alice", 720), ("bob", 20), ("carol", 20)))
    ]
    return game


def refusal(game: PortGame, action: actions.Action, name: str, value: int = 0) -> Rejected:
    """The refusal of an action, which must change nothing."""
    key, ledger = key_of(name), game.ledger
    before = (ledger.state(), ledger.head(), ledger.nonce(key.address), ledger.balance(key.address))
    with pytest.raises(Rejected) as refused:
        ledger.submit(key, action, value)
    after = (ledger.state(), ledger.head(), ledger.nonce(key.address), ledger.balance(key.address))
    assert after == before
    assert refused.value.what and refused.value.why
    return refused.value


def test_a_whole_competition_pays_everybody_what_the_table_says(game: PortGame) -> None:
    settled = decided(game).challenge.settlement
    assert settled is not None and settled.kind == "decided"
    assert settled.majority == tuple(map(address, VALIDATORS[:2]))
    game.claim()
    # The fee of 102 and three entry fees of 3 go to two seats; the dust and the rest of the pot
    # and the bond of 501 to the organizer.
    assert {name: game.money(name) for name in SUBMITTERS} == {
        "alice": 720 - 23,
        "bob": -3,
        "carol": -3,
    }
    for name in ("organizer", *VALIDATORS):
        game.send(actions.Withdraw(), address(name))
    assert [game.money(name) for name in VALIDATORS] == [55, 55, 0]
    assert game.money("organizer") == -700 - 102 + 1
    assert game.challenge.escrow == 0


def test_nobody_is_paid_who_does_not_pull(game: PortGame) -> None:
    game.tested()
    held = {name: game.money(name) for name in ("organizer", *VALIDATORS)}
    agreed = game.ballot({address("alice"): 1060}, winner=address("alice"), score=5)
    game.convene().vote(agreed).open_vote(agreed).finalize()
    assert {name: game.money(name) for name in held} == held
    assert game.money("alice") == -23


def test_what_is_owed_is_paid_once(game: PortGame) -> None:
    decided(game)
    game.send(game.claiming(0), address("outsider"))
    assert game.money("alice") == 720 - 23
    assert refusal(game, game.claiming(0), "alice").rule == "AlreadyClaimed"
    game.send(actions.Withdraw(), address("organizer"))
    assert refusal(game, actions.Withdraw(), "organizer").rule == "NothingOwed"


def test_a_forged_claim_pays_nothing(game: PortGame) -> None:
    decided(game)
    true = game.claiming(1)
    for index, payee, amount, proof in (
        (1, address("outsider"), 20, true.proof),
        (1, true.payee, 21, true.proof),
        (2, true.payee, 20, true.proof),
        (1, true.payee, 20, true.proof[1:]),
        (1, true.payee, 20, ()),
    ):
        forged = actions.Claim(game.id, index, payee, Amount(amount), proof)
        assert refusal(game, forged, "outsider").rule == "BadProof"


def test_cancelling_before_the_first_contribution_is_free(game: PortGame) -> None:
    assert game.money("organizer") == -1603
    game.cancel().send(actions.Withdraw(), address("organizer"))
    assert game.money("organizer") == 0


def test_cancelling_late_costs_the_bond_and_submitters_nothing(game: PortGame) -> None:
    game.trained().submit().cancel()
    game.claim_deposits(range(3))
    game.send(actions.Withdraw(), address("organizer"))
    assert all(game.money(name) >= 0 for name in SUBMITTERS)
    assert game.money("organizer") == -501


def test_without_a_quorum_submitters_get_fee_and_bonds(game: PortGame) -> None:
    game.tested().convene()
    game.finalize("second_open_vote")
    game.claim_deposits(range(3))
    assert [game.money(name) for name in SUBMITTERS] == [34, 34, 34]
    assert refusal(game, actions.ClaimDeposit(game.id, 0), "alice").rule == "AlreadyClaimed"


def test_burned_money_is_burned(game: PortGame) -> None:
    game.contribute().finalize("open_seed")
    assert game.state.credits[BURN_ADDRESS] == 501 + 3 * 7


def test_refusals_name_the_rule_of_the_protocol(game: PortGame) -> None:
    stray = digest("no such challenge")
    expected = [
        ("UnknownChallenge", actions.Draw(stray), "organizer", 0),
        ("WrongValue", game.contributing(address(VALIDATORS[0])), VALIDATORS[0], 6),
        ("AlreadyCreated", game.creating(), "organizer", 1603),
        ("WrongValue", game.creating(1), "organizer", 1602),
        ("NotOnPanel", game.contributing(address("alice")), "alice", 7),
        ("Early", game.opening_seed(address("organizer")), "organizer", 0),
        ("NotOrganizer", actions.Cancel(game.id), "alice", 0),
        ("TrainNotRevealed", game.submitting(address("alice")), "alice", 23),
        ("NotFinal", actions.ClaimDeposit(game.id, 0), "alice", 0),
        ("NothingOwed", actions.Withdraw(), "alice", 0),
    ]
    for rule, action, name, value in expected:
        assert refusal(game, action, name, value).rule == rule
    game.trained().submit(address("alice"))
    alice = address("alice")
    game.wait("submit")
    copied = game.opening(0, alice)
    expected = [
        ("Late", game.submitting(address("bob")), "bob", 23),
        ("NotSubmitter", copied, "bob", 0),
        (
            "CommitmentMismatch",
            actions.Open(game.id, 0, copied.model, copied.cid, digest("another salt")),
            "alice",
            0,
        ),
        ("UnknownSubmission", actions.Open(game.id, 1, *_parts(copied)), "alice", 0),
        ("Early", actions.RevealTest(game.id, cid("test")), "organizer", 0),
        ("Early", actions.Finalize(game.id), "outsider", 0),
    ]
    for rule, action, name, value in expected:
        assert refusal(game, action, name, value).rule == rule


def _parts(opening: actions.Open) -> tuple[str, str, str]:
    return opening.model, opening.cid, opening.salt


def test_a_check_says_what_submitting_would_and_changes_nothing(game: PortGame) -> None:
    who, ledger = address(VALIDATORS[0]), game.ledger
    before = (ledger.state(), ledger.head())
    ledger.check(who, game.contributing(who), 7)
    for rule, sender, action, value in (
        ("WrongValue", who, game.contributing(who), 6),
        ("NotOnPanel", address("alice"), game.contributing(address("alice")), 7),
        ("Early", game.organizer, game.opening_seed(game.organizer), 0),
        ("InsufficientBalance", address("alice"), game.creating(), FUNDS + 1),
    ):
        with pytest.raises(Rejected) as refused:
            ledger.check(sender, action, value)
        assert refused.value.rule == rule
    assert (ledger.state(), ledger.head()) == before
    game.contribute(who)


def test_windows_open_and_close_to_the_second(game: PortGame) -> None:
    game.world.wait_until(game.windows.contribute - 1)
    if game.ledger.time() < game.windows.contribute:
        game.contribute(address(VALIDATORS[0]))
    game.world.wait_until(game.windows.contribute)
    late = game.contributing(address(VALIDATORS[1]))
    assert refusal(game, late, VALIDATORS[1], 7).rule == "Late"
    game.send(game.opening_seed(game.organizer), game.organizer)


def test_nobody_spends_what_they_do_not_have(world: World) -> None:
    game = PortGame(world)
    poor = address("poor")
    creating = game.creating()
    assert refusal(game, creating, "poor", 1603).rule == "InsufficientBalance"
    world.fund("poor", 1602)
    assert refusal(game, creating, "poor", 1603).rule == "InsufficientBalance"
    world.fund("poor", 1)
    game.ledger.submit(key_of("poor"), creating, 1603)
    assert game.ledger.balance(poor) == 0


def test_credits_and_escrows_cannot_be_spent(game: PortGame) -> None:
    decided(game)
    organizer = address("organizer")
    assert game.state.credits[organizer] > 0
    too_much = game.ledger.balance(organizer) + 1
    assert refusal(game, game.creating(), "organizer", too_much).rule == "InsufficientBalance"


def test_money_in_hand_can_be_used_again(game: PortGame) -> None:
    decided(game).claim()
    second = PortGame(game.world, game.terms, fund=False)
    assert second.id != game.id
    decided(second).claim()
    assert game.money("alice") == 2 * (720 - 23)
    assert second.state.link != game.challenge.settlement.link
    assert second.state.link == second.challenge.settlement.link


def test_malformed_actions_are_refused_before_they_count(game: PortGame) -> None:
    head = game.ledger.head()
    for action, value in (
        (actions.Draw("0x12"), 0),
        (actions.Draw(digest("upper").upper()), 0),
        (actions.Submit(game.id, "text"), 23),
        (actions.Open(game.id, -1, digest("m"), cid("m"), digest("s")), 0),
        (actions.RevealTrain(game.id, "../../etc/passwd"), 0),
        (actions.Draw(game.id), -1),
        (actions.Draw(game.id), 2**96),
        (actions.Claim(game.id, 0, game.organizer, Amount(1), (digest("n"),) * 33), 0),
    ):
        with pytest.raises(DataError):
            game.ledger.submit(key_of("organizer"), action, value)
    assert game.ledger.head() == head


def test_a_report_is_kept_replaced_and_moves_no_money(game: PortGame) -> None:
    game.trained().submit()
    alice, bob = address("alice"), address("bob")
    held = {name: game.money(name) for name in SUBMITTERS}
    assert refusal(game, actions.Report(game.id, 3, Score(1)), "alice").rule == "UnknownSubmission"
    assert refusal(game, actions.Report(game.id, 0, Score(1)), "bob").rule == "NotSubmitter"
    assert refusal(game, actions.Report(game.id, 0, Score(1)), "alice", 1).rule == "WrongValue"
    for score in (-(2**63) + 1, 950_000_000):
        game.send(actions.Report(game.id, 0, Score(score)), alice)
    game.send(actions.Report(game.id, 1, Score(0)), bob)
    assert {name: game.money(name) for name in SUBMITTERS} == held
    game.wait("submit")
    assert refusal(game, actions.Report(game.id, 0, Score(1)), "alice").rule == "Late"
    game.open()
    found = [entry.report for entry in game.challenge.submissions]
    assert found == [Score(950_000_000), Score(0), None]


def test_nonces_count_accepted_actions(game: PortGame) -> None:
    organizer = address("organizer")
    assert game.ledger.nonce(organizer) == 1
    refusal(game, actions.Draw(game.id), "organizer")
    assert game.ledger.nonce(organizer) == 1
    game.cancel()
    assert game.ledger.nonce(organizer) == 2
    assert game.ledger.nonce(PrivateKey.generate().address) == 0


def test_time_only_goes_forward(game: PortGame) -> None:
    decided(game)
    times = [receipt.time for receipt in game.receipts]
    assert times == sorted(times)
    assert game.ledger.time() >= times[-1]
    assert game.challenge.settlement.time == times[-1]


def test_every_action_moves_the_head_and_has_a_place_and_a_name(world: World) -> None:
    game = PortGame(world)
    heads = [game.ledger.head()]
    for name in VALIDATORS:
        game.contribute(address(name))
        heads.append(game.ledger.head())
    assert len(set(heads)) == len(heads)
    places = [receipt.sequence for receipt in game.receipts]
    assert places == sorted(set(places))
    assert len({receipt.digest for receipt in game.receipts}) == len(game.receipts)


def test_history_tells_who_did_what_when(game: PortGame) -> None:
    decided(game).claim()
    told = list(game.ledger.actions(game.id))
    assert [(e.sequence, e.time, e.digest) for e in told] == [
        (r.sequence, r.time, r.digest) for r in game.receipts
    ]
    assert isinstance(told[0].action, actions.Create)
    assert (told[0].sender, told[0].value) == (address("organizer"), 1603)
    entered = [e for e in told if isinstance(e.action, actions.Submit)]
    assert [e.sender for e in entered] == list(map(address, SUBMITTERS))


def test_history_keeps_challenges_apart(world: World) -> None:
    first = PortGame(world)
    second = PortGame(world, first.terms, fund=False)
    second.cancel()
    first.contribute()
    kinds = [actions.kind_of(entry.action) for entry in world.ledger.actions(second.id)]
    assert kinds == ["create", "cancel"]
    whole = [entry.sequence for entry in world.ledger.actions()]
    assert whole == sorted(whole)
    assert {e.sequence for e in world.ledger.actions(first.id)} < set(whole)
    assert list(world.ledger.actions(digest("no such challenge"))) == []


def test_another_process_sees_the_same(game: PortGame) -> None:
    decided(game)
    ledger, other = game.ledger, game.world.again()
    assert other.state() == ledger.state()
    assert other.head() == ledger.head()
    assert (other.chain_id, other.address) == (ledger.chain_id, ledger.address)
    other.submit(key_of("organizer"), actions.Withdraw())
    assert ledger.head() == other.head()
    assert ledger.balance(address("organizer")) == other.balance(address("organizer"))
    assert list(ledger.actions()) == list(other.actions())


def test_challenge_ids_are_the_ledgers_own(game: PortGame) -> None:
    ledger = game.ledger
    assert set(ledger.state().challenges) == {
        challenge_id(ledger.chain_id, ledger.address, address("organizer"), 0)
    }
    assert (ledger.state().chain_id, ledger.state().ledger) == (ledger.chain_id, ledger.address)
    assert ledger.balance(address("outsider")) == FUNDS
