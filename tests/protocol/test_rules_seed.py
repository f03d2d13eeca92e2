"""Stage 1, initialization: create, contribute, open_seed, draw, reveal_train, cancel."""

from __future__ import annotations

from typing import Any

import pytest

from danku.errors import Rejected
from danku.protocol import actions
from danku.protocol.draw import challenge_id, seed_of
from danku.protocol.initialization import check_terms, next_nonce
from danku.protocol.rules import apply
from danku.protocol.terms import Schedule, terms_digest
from danku.protocol.types import ZERO_ADDRESS
from tests.protocol.simulator import (
    ALICE,
    BEACON,
    CHAIN,
    LEDGER,
    ORGANIZER,
    OUTSIDER,
    PANEL,
    START,
    Game,
    Ledger,
    cid,
    digest,
    terms,
)

LIMIT = 2**96


def _create(nonce: int = 0, **changes: Any) -> actions.Create:
    return actions.Create(terms(**changes), cid("manifest"), digest("commitment"), nonce)


BAD_TERMS: dict[str, dict[str, Any]] = {
    "leave no train group": {"groups": 10, "test_groups": 10},
    "less than half the pot": {"pot": 1001, "organizer_bond": 500},
    "exceeds max_entries": {"max_submissions": 6, "max_entries": 5},
    "named twice": {"panel": (*PANEL[:2], PANEL[0])},
    "on its own panel": {"panel": (PANEL[0], ORGANIZER)},
    "the zero address": {"panel": (PANEL[0], ZERO_ADDRESS)},
    "exceeds the panel's 3 seats": {"min_contributions": 4},
    "does not fit seed_source contributions": {"min_contributions": 0},
    "does not fit seed_source both": {"seed_source": "both", "min_contributions": 0},
    "does not fit seed_source beacon": {"seed_source": "beacon", "min_contributions": 1},
    "s, the limit is 2": {"schedule": Schedule(2**31 - 7, *[1] * 7)},
    "the limit is 2": {"pot": LIMIT // 2, "organizer_bond": LIMIT // 2},
}


@pytest.mark.parametrize("what", BAD_TERMS)
def test_create_refuses_terms_that_cannot_be_played(what: str) -> None:
    ledger = Ledger(beacon=BEACON)
    action = _create(**BAD_TERMS[what])
    assert ledger.refused(action, ORGANIZER) == "BadTerms"
    with pytest.raises(Rejected, match=what):
        check_terms(action.terms, ORGANIZER)


GOOD_TERMS: dict[str, dict[str, Any]] = {
    "one train group": {"groups": 2, "test_groups": 1},
    "half the pot": {"pot": 1000, "organizer_bond": 500},
    "half an odd pot, rounded up": {"pot": 1001, "organizer_bond": 501},
    "all entries by one": {"max_submissions": 5, "max_entries": 5},
    "everybody contributes": {"min_contributions": 3},
    "one validator": {"panel": PANEL[:1]},
    "sixteen validators": {"panel": tuple(f"0x{number:040x}" for number in range(1, 17))},
    "a beacon": {"seed_source": "beacon"},
    "both": {"seed_source": "both"},
    "no money at all": dict.fromkeys(
        ("pot", "fee", "organizer_bond", "contribution_deposit", "submission_bond", "entry_fee"), 0
    ),
}


@pytest.mark.parametrize("what", GOOD_TERMS)
def test_create_accepts_terms_at_their_bounds(what: str) -> None:
    ledger = Ledger(beacon=BEACON)
    action = _create(**GOOD_TERMS[what])
    ledger.send(action, ORGANIZER)
    (challenge,) = ledger.state.challenges.values()
    assert challenge.terms == action.terms
    assert challenge.terms_digest == terms_digest(action.terms)


def test_no_amount_of_a_challenge_can_reach_two_to_the_96() -> None:
    """At the limit the whole escrow still is an amount, so that a ballot can pay it out."""
    money = {
        "pot": 1000,
        "fee": 100,
        "contribution_deposit": 7,
        "submission_bond": 20,
        "entry_fee": 3,
    }
    others = 1000 + 100 + 3 * 7 + 5 * (20 + 3)
    ledger = Ledger()
    too_much = _create(**money, organizer_bond=LIMIT - others)
    assert ledger.refused(too_much, ORGANIZER) == "BadTerms"
    ledger.send(_create(**money, organizer_bond=LIMIT - others - 1), ORGANIZER)


@pytest.mark.parametrize("value", [0, 1, 1602, 1604, -1, LIMIT])
def test_create_escrows_pot_fee_and_bond_exactly(value: int) -> None:
    ledger = Ledger()
    assert ledger.refused(_create(), ORGANIZER, value) == "WrongValue"
    ledger.send(_create(), ORGANIZER, 1603)
    (challenge,) = ledger.state.challenges.values()
    assert challenge.escrow == ledger.state.received == 1603


@pytest.mark.parametrize("source", ["beacon", "both"])
def test_create_refuses_a_beacon_where_there_is_none(source: str) -> None:
    ledger = Ledger()
    assert ledger.refused(_create(seed_source=source), ORGANIZER) == "BeaconUnavailable"
    unplayable = _create(seed_source=source, groups=2, test_groups=2)
    assert ledger.refused(unplayable, ORGANIZER) == "BadTerms"


def test_the_id_of_each_challenge_follows_from_its_organizer_and_nonce() -> None:
    ledger = Ledger()
    for organizer, nonce in ((ORGANIZER, 1), (ALICE, 2**48 - 1), (ORGANIZER, 0)):
        ledger.send(_create(nonce), organizer)
    assert list(ledger.state.challenges) == [
        challenge_id(CHAIN, LEDGER, ORGANIZER, 1),
        challenge_id(CHAIN, LEDGER, ALICE, 2**48 - 1),
        challenge_id(CHAIN, LEDGER, ORGANIZER, 0),
    ]
    assert all(challenge.created == START for challenge in ledger.state.challenges.values())


def test_a_nonce_is_used_once() -> None:
    ledger = Ledger()
    for nonce in (0, 2):
        ledger.send(_create(nonce), ORGANIZER)
        assert ledger.refused(_create(nonce, pot=7), ORGANIZER) == "AlreadyCreated"
        assert ledger.refused(_create(nonce, groups=2, test_groups=2), ORGANIZER) == "BadTerms"
    assert (next_nonce(ledger.state, ORGANIZER), next_nonce(ledger.state, ALICE)) == (3, 0)
    ledger.send(_create(next_nonce(ledger.state, ALICE)), ALICE)
    assert ledger.refused(_create(), ALICE) == "AlreadyCreated"


def test_contribute_in_order() -> None:
    """Each line violates what the next one mends, and all that comes after it."""
    unknown = actions.Contribute(digest("unknown"), digest("commitment"))
    assert Game().refused(unknown, OUTSIDER) == "UnknownChallenge"

    game = Game().contribute(PANEL[0])
    again, outside = game.contributing(PANEL[0]), game.contributing(OUTSIDER)
    game.wait("contribute")
    assert game.refused(again, PANEL[0]) == "Late"
    assert game.refused(outside, OUTSIDER) == "Late"
    game.time = game.windows.created
    assert game.refused(outside, OUTSIDER) == "NotOnPanel"
    assert game.refused(game.contributing(ORGANIZER), ORGANIZER) == "NotOnPanel"
    assert game.refused(again, PANEL[0]) == "AlreadyContributed"
    for value in (0, 6, 8):
        assert game.refused(game.contributing(PANEL[1]), PANEL[1], value) == "WrongValue"
    game.send(game.contributing(PANEL[1]), PANEL[1], 7)
    game.cancel()
    game.wait("contribute")
    assert game.refused(outside, OUTSIDER) == "Final"


def test_nobody_contributes_to_a_beacon() -> None:
    game = Game(terms(seed_source="beacon"), beacon=BEACON)
    assert game.refused(game.contributing(PANEL[0]), PANEL[0]) == "NotOnPanel"


def test_open_seed_in_order() -> None:
    game = Game().contribute(PANEL[0], PANEL[1])
    unknown = actions.OpenSeed(digest("unknown"), digest("secret"))
    assert game.refused(unknown, OUTSIDER) == "UnknownChallenge"
    wrong = actions.OpenSeed(game.id, digest("wrong"))
    assert game.refused(wrong, OUTSIDER) == "Early"
    game.wait("contribute")
    assert game.refused(wrong, OUTSIDER) == "NotContributor"
    assert game.refused(game.opening_seed(PANEL[2]), PANEL[2]) == "NotContributor"
    for who in (ORGANIZER, PANEL[0]):
        assert game.refused(wrong, who) == "CommitmentMismatch"
        assert game.refused(game.opening_seed(PANEL[1]), who) == "CommitmentMismatch"
        assert game.refused(game.opening_seed(who), who, 1) == "WrongValue"
        game.send(game.opening_seed(who), who)
        assert game.refused(game.opening_seed(who), who) == "AlreadyOpened"
        assert game.refused(wrong, who) == "AlreadyOpened"
    game.wait("open_seed")
    assert game.refused(wrong, ORGANIZER) == "Late"
    assert game.refused(wrong, OUTSIDER) == "Late"
    game.cancel()
    assert game.refused(wrong, OUTSIDER) == "Final"


def test_a_copied_seed_commitment_opens_for_its_author_only() -> None:
    game = Game()
    copied = game.contributing(PANEL[0])
    game.contribute(PANEL[0])
    game.send(copied, PANEL[1])
    game.open_seed(PANEL[0])
    assert game.refused(game.opening_seed(PANEL[0]), PANEL[1]) == "CommitmentMismatch"


def test_an_opened_contribution_gets_its_deposit_back_at_once() -> None:
    game = Game().contribute().open_seed(ORGANIZER, PANEL[1])
    assert game.state.credits == {PANEL[1]: 7}
    assert game.challenge.escrow == 1603 + 2 * 7


def test_draw_in_order() -> None:
    game = Game(terms(min_contributions=2, seed_source="both"), beacon=BEACON).contribute()
    draw = actions.Draw(game.id)
    assert game.refused(actions.Draw(digest("unknown")), OUTSIDER) == "UnknownChallenge"
    game.open_seed(PANEL[0])
    game.beacon = None
    assert game.refused(draw, OUTSIDER) == "Early"
    game.wait("open_seed")
    assert game.refused(draw, OUTSIDER) == "OrganizerUnopened"
    game.time = game.windows.contribute
    game.open_seed(ORGANIZER)
    game.wait("open_seed")
    assert game.refused(draw, OUTSIDER) == "SeedNotContributed"
    game.time = game.windows.contribute
    game.open_seed(PANEL[2])
    game.wait("open_seed")
    assert game.refused(draw, OUTSIDER) == "BeaconUnavailable"
    game.wait("reveal_train")
    assert game.refused(draw, OUTSIDER) == "Late"
    game.time, game.beacon = game.windows.open_seed, BEACON
    assert game.refused(draw, OUTSIDER, 1) == "WrongValue"
    game.draw()
    game.wait("reveal_train")
    assert game.refused(draw, OUTSIDER) == "AlreadyDrawn"
    game.cancel()
    assert game.refused(draw, OUTSIDER) == "Final"


def _seeds(who: tuple[str, ...], game: Game) -> list[str]:
    return [game.opening_seed(each).secret for each in who]


def test_the_seed_takes_openings_in_the_order_of_commitment() -> None:
    game = Game().contribute(PANEL[2], PANEL[0], PANEL[1])
    game.open_seed(PANEL[0], PANEL[2], ORGANIZER).draw()
    opened = _seeds((ORGANIZER, PANEL[2], PANEL[0]), game)
    assert game.challenge.seed == seed_of(game.id, opened, None)


def test_a_seed_of_contributions_takes_no_beacon() -> None:
    with_beacon = Game(beacon=BEACON).drawn()
    assert with_beacon.challenge.seed == Game().drawn().challenge.seed


def test_a_beacon_seed_takes_the_beacon_alone_and_both_take_both() -> None:
    beacon = Game(terms(seed_source="beacon"), beacon=BEACON).drawn()
    assert beacon.challenge.seed == seed_of(beacon.id, [], BEACON)
    both = Game(terms(seed_source="both"), beacon=BEACON).drawn()
    opened = _seeds((ORGANIZER, *PANEL[:3]), both)
    assert both.challenge.seed == seed_of(both.id, opened, BEACON)


def test_reveal_train_in_order() -> None:
    game = Game().contribute().open_seed()
    reveal = actions.RevealTrain(game.id, cid("train"))
    unknown = actions.RevealTrain(digest("unknown"), cid("train"))
    assert game.refused(unknown, OUTSIDER) == "UnknownChallenge"
    assert game.refused(reveal, OUTSIDER) == "NotOrganizer"
    assert game.refused(reveal, ORGANIZER) == "NotDrawn"
    game.draw()
    game.wait("reveal_train")
    assert game.refused(reveal, OUTSIDER) == "NotOrganizer"
    assert game.refused(reveal, ORGANIZER) == "Late"
    game.time = game.windows.reveal_train - 1
    assert game.refused(reveal, ORGANIZER, 1) == "WrongValue"
    game.reveal_train()
    other = actions.RevealTrain(game.id, cid("other"))
    assert game.refused(other, ORGANIZER) == "AlreadyRevealed"
    game.wait("reveal_train")
    assert game.refused(other, ORGANIZER) == "AlreadyRevealed"
    game.cancel()
    assert game.refused(other, OUTSIDER) == "Final"
    assert game.challenge.train == cid("train")


def test_cancel_in_order() -> None:
    game = Game()
    cancel = actions.Cancel(game.id)
    assert game.refused(actions.Cancel(digest("unknown")), OUTSIDER) == "UnknownChallenge"
    assert game.refused(cancel, ORGANIZER, 1) == "WrongValue"
    game.contribute().open_seed().draw().reveal_train()
    game.wait("submit")
    assert game.refused(cancel, OUTSIDER) == "NotOrganizer"
    assert game.refused(cancel, ORGANIZER) == "Late"
    game.time = game.windows.submit - 1
    game.cancel()
    assert game.refused(cancel, OUTSIDER) == "Final"


def test_actions_on_one_challenge_leave_the_others_alone() -> None:
    game = Game()
    other = apply(game.state, game.creating(), game.context(game.creating(), ALICE))
    bystander = challenge_id(CHAIN, LEDGER, ALICE, 0)
    game.state = other
    game.opened().finalize()
    assert game.state.challenges[bystander] == other.challenges[bystander]
