"""Copied and repeated transactions: worth nothing for others or elsewhere."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from danku.crypto.hashing import from_hex
from danku.ledger.ethereum import calls
from danku.ledger.ethereum.decoding import read
from danku.protocol import actions as a
from danku.protocol.draw import challenge_id
from tests.ethereum.both import Both
from tests.ethereum.contract import deploy_arena
from tests.ethereum.staging import OnChain, StakedOnChain
from tests.ethereum.words import encoded, log_of
from tests.protocol.simulator import (
    ALICE,
    BOB,
    CAROL,
    CHAIN,
    LEDGER,
    ORGANIZER,
    OUTSIDER,
    PANEL,
    cid,
    terms,
)


def test_a_copied_submission_cannot_be_opened(both: Both) -> None:
    game = OnChain(both).trained()
    commitment = game.submitting(ALICE)
    game.send(commitment, ALICE)
    game.send(commitment, BOB)
    game.wait("submit")
    opening = game.opening(0, ALICE)
    copied = both.call_of(opening, ALICE)
    assert both.asked(BOB, copied) == "NotSubmitter"
    assert both.would(replace(opening, submission=1), BOB) == "CommitmentMismatch"
    game.send(opening, ALICE)
    assert both.would(replace(opening, submission=1), BOB) == "CommitmentMismatch"


def test_a_copied_opening_of_a_seed_fails(both: Both) -> None:
    game = OnChain(both).contribute()
    game.wait("contribute")
    for owner, thief in ((PANEL[0], PANEL[1]), (ORGANIZER, PANEL[1]), (PANEL[0], ORGANIZER)):
        data = both.call_of(game.opening_seed(owner), owner)
        assert both.asked(thief, data) == "CommitmentMismatch"
        assert both.asked(OUTSIDER, data) == "NotContributor"
        assert both.asked(owner, data) == "accepted"


def test_a_copied_vote_cannot_be_opened(both: Both) -> None:
    game = OnChain(both).tested().convene()
    ballot = game.ballot({ALICE: 10})
    vote = game.voting(PANEL[0], ballot)
    for who in PANEL[:3]:
        game.send(vote, who)
    game.wait("vote")
    opening = game.opening_vote(PANEL[0], ballot)
    assert both.would(opening, PANEL[1]) == "CommitmentMismatch"
    game.send(opening, PANEL[0])
    assert both.would(opening, PANEL[1]) == "CommitmentMismatch"


def test_a_vote_of_round_one_does_not_open_in_round_two(both: Both) -> None:
    game = OnChain(both).tested().convene()
    ballots = [game.ballot(result=f"{number}") for number in range(3)]
    votes = [game.voting(*each) for each in zip(PANEL, ballots, strict=False)]
    for who, vote in zip(PANEL, votes, strict=False):
        game.send(vote, who)
    game.wait("vote")
    for who, ballot in zip(PANEL, ballots, strict=False):
        game.send(game.opening_vote(who, ballot), who)
    game.wait("open_vote")
    game.convene()
    for who, vote in zip(PANEL, votes, strict=False):
        game.send(vote, who)
    game.wait("second_vote")
    for who, ballot in zip(PANEL, ballots, strict=False):
        assert both.would(game.opening_vote(who, ballot), who) == "CommitmentMismatch"


def test_who_pays_for_a_claim_does_not_choose_the_payee(both: Both) -> None:
    game = OnChain(both)
    game.opened(game.ballot({ALICE: 500, BOB: 300})).finalize()
    claim = game.claiming(0)
    assert both.would(replace(claim, payee=CAROL), CAROL) == "BadProof"
    before = both.state.paid.get(CAROL, 0)
    game.send(claim, CAROL)
    assert both.state.paid[ALICE] == 500
    assert both.state.paid.get(CAROL, 0) == before
    assert both.would(claim, ALICE) == "AlreadyClaimed"


def test_nothing_of_one_challenge_holds_for_its_twin(both: Both) -> None:
    """Two challenges of the same terms, made in the same second."""
    first, second = OnChain(both), OnChain(both, nonce=1)
    assert first.challenge.created == second.challenge.created
    ballot = first.ballot({ALICE: 10})
    for game in (first, second):
        for who in PANEL[:3]:
            game.send(replace(first.contributing(who), challenge=game.id), who)
    first.wait("contribute")
    for who in (ORGANIZER, *PANEL[:3]):
        moved = replace(first.opening_seed(who), challenge=second.id)
        assert both.would(moved, who) == "CommitmentMismatch" or who == ORGANIZER
        first.send(first.opening_seed(who), who)
    both.agree()
    third, fourth = OnChain(both, nonce=2), OnChain(both, nonce=3)
    for game in (third, fourth):
        game.contribute()
    third.open_seed()
    fourth.open_seed()
    for game in (third, fourth):
        game.draw().reveal_train()
        game.send(replace(third.submitting(ALICE), challenge=game.id), ALICE)
    third.submit(BOB)
    fourth.submit(BOB)
    third.wait("submit")
    opening = replace(third.opening(0, ALICE), challenge=fourth.id)
    assert both.would(opening, ALICE) == "CommitmentMismatch"
    third.open()
    fourth.open(1)
    third.wait("open")
    for game in (third, fourth):
        game.send(a.RevealTest(game.id, cid("test")), ORGANIZER)
    third.convene()
    fourth.convene()
    for game in (third, fourth):
        for who in PANEL[:3]:
            game.send(replace(third.voting(who, ballot), challenge=game.id), who)
    third.wait("vote")
    for who in PANEL[:3]:
        moved = replace(third.opening_vote(who, ballot), challenge=fourth.id)
        assert both.would(moved, who) == "CommitmentMismatch"
    third.leaves = first.leaves
    third.open_vote(ballot).finalize()
    assert both.would(replace(third.claiming(0), challenge=fourth.id), ALICE) == "NotFinal"


def test_terms_of_another_challenge_are_no_witness(both: Both) -> None:
    """Every action with a richer or a later challenge's terms, panel and committee."""
    game = OnChain(both).trained()
    other = OnChain(both, terms(PANEL[:2], submission_bond=0, entry_fee=0), CAROL).trained()
    actions = [
        (game.submitting(ALICE), ALICE),
        (a.Cancel(game.id), ORGANIZER),
        (a.RevealTest(game.id, cid("test")), ORGANIZER),
        (a.Finalize(game.id), OUTSIDER),
        (a.Convene(game.id), OUTSIDER),
        (game.contributing(PANEL[0]), PANEL[0]),
        (a.Draw(game.id), OUTSIDER),
    ]
    for action, sender in actions:
        good = calls.call_of(action, sender, both.state, both.history.beacon_blocks)
        mixed = calls.call_of(
            replace(action, challenge=other.id), sender, both.state, both.history.beacon_blocks
        )
        swapped = calls.Call(good.function, (good.arguments[0], *mixed.arguments[1:]))
        for value in (0, 23):
            assert both.asked(sender, encoded(swapped), value) == "WrongWitness"
    panel = (from_hex(other.challenge.seed_commitment), ())
    forged = (from_hex(game.id), both.agreement(game.id), panel, bytes(32), 0)
    assert both.asked(PANEL[0], encoded(calls.Call("submit", forged)), 23) == "WrongWitness"


def test_places_that_are_not_the_senders_next_are_no_witness(both: Both) -> None:
    """Nobody enters more often, or twice at one place, by saying a wrong count."""
    game = OnChain(both, terms(max_submissions=2)).trained().submit(ALICE)
    good = calls.call_of(
        game.submitting(ALICE), ALICE, both.state, both.history.beacon_blocks
    ).arguments
    for place, outcome in (
        (0, "WrongWitness"),
        (1, "accepted"),
        (2, "TooManySubmissions"),
        (2**256 - 1, "TooManySubmissions"),
    ):
        data = encoded(calls.Call("submit", (*good[:-1], place)))
        assert both.asked(ALICE, data, 23) == outcome
    fresh = encoded(calls.Call("submit", (*good[:-1], 1)))
    assert both.asked(BOB, fresh, 23) == "WrongWitness"


def test_committees_are_handed_over_as_they_were_drawn(both: Both) -> None:
    game = StakedOnChain(both)
    game.tested().convene()
    member = game.panel[0]
    ballot = game.ballot({ALICE: 10})
    vote = game.voting(member, ballot)
    good = calls.call_of(vote, member, both.state, both.history.beacon_blocks).arguments
    owners, seats, position = good[3]
    stranger = int(OUTSIDER, 16)
    for forged in (
        ((stranger, *owners[1:]), seats, position),
        (owners[::-1], seats, position),
        (owners, seats, position + 1),
        ((*owners, stranger), seats, position),
        ((), (), 0),
    ):
        data = encoded(calls.Call("vote", (*good[:3], forged, good[4])))
        for who in (member, OUTSIDER):
            assert both.asked(who, data) == "WrongWitness"
    game.vote(ballot).open_vote(ballot)
    game.wait("open_vote")
    final = calls.call_of(a.Finalize(game.id), OUTSIDER, both.state, both.history.beacon_blocks)
    head, (panel, first, second, decided) = final.arguments[:2], final.arguments[2:]
    richer = (*decided[:2], decided[2] + (1 << 160), decided[3])
    for words in (
        (panel, ((stranger, *first[0][1:]), *first[1:]), second, decided),
        (panel, ((), (), 0), second, decided),
        (panel, first, second, richer),
    ):
        data = encoded(calls.Call("finalize", (*head, *words)))
        assert both.asked(OUTSIDER, data) == "WrongWitness"
    game.finalize()


def test_another_arena_and_another_chain_have_other_challenges(both: Both) -> None:
    """The same organizer, nonce and terms: another id, for which no commitment of here holds."""
    game = OnChain(both).trained().submit(ALICE)
    created = both.call_of(game.creating(), ORGANIZER)
    elsewhere = deploy_arena(both.node, block_seconds=12)
    both.caught_up()
    value = 1603
    here = challenge_id(CHAIN, LEDGER, ORGANIZER, 0)
    ids = {here}
    receipt = both.raw(ORGANIZER, created, value, to=elsewhere.address)
    found = read(log_of(receipt["logs"][0])).came["id"]
    assert found == challenge_id(CHAIN, elsewhere.address, ORGANIZER, 0)
    ids.add(found)
    stale = both.call_of(game.submitting(BOB), BOB)
    assert both.asked(BOB, stale, 23, to=elsewhere.address) == "UnknownChallenge"
    with both.tried():
        both.wire.call("anvil_setChainId", 5)
        receipt = both.raw(ORGANIZER, created, value)
        found = read(log_of(receipt["logs"][0])).came["id"]
        assert found == challenge_id(5, LEDGER, ORGANIZER, 0)
        ids.add(found)
        both.wire.call("anvil_setChainId", CHAIN)
    assert len(ids) == 3


@pytest.mark.parametrize("kind", ["named", "seats"])
def test_the_same_transaction_twice_is_refused(both: Both, kind: str) -> None:
    """Whatever was accepted is refused when the very same bytes come again, at any later time."""
    game = StakedOnChain(both) if kind == "seats" else OnChain(both)
    ballot = game.ballot({ALICE: 10, BOB: 5})
    sent = both.sent = []
    steps = (
        game.contribute,
        game.open_seed,
        game.draw,
        game.reveal_train,
        game.submit,
        game.open,
        game.reveal_test,
        game.convene,
        lambda: game.vote(ballot),
        lambda: game.open_vote(ballot),
        game.finalize,
        game.claim,
    )
    for step in steps:
        step()
        for sender, data, value in sent:
            assert both.asked(sender, data, value) not in ("accepted", "0x")
