"""Stage 4, evaluation: convene, vote, open_vote, and the two rounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from danku.errors import Rejected
from danku.protocol import actions
from danku.protocol.committee import decision, tally
from danku.protocol.types import ZERO_ADDRESS, ZERO_DIGEST, Amount, Score
from danku.protocol.voting import check_ballot
from tests.protocol.simulator import (
    ALICE,
    BOB,
    CAROL,
    ORGANIZER,
    OUTSIDER,
    PANEL,
    Game,
    cid,
    digest,
    terms,
)


def test_convene_in_order() -> None:
    game = Game().trained().submit()
    convene = actions.Convene(game.id)
    assert game.refused(actions.Convene(digest("unknown")), OUTSIDER) == "UnknownChallenge"
    game.wait("open")
    assert game.refused(convene, OUTSIDER) == "Early"
    game.wait("reveal_test")
    assert game.refused(convene, OUTSIDER) == "NoSubmissionOpened"
    game.wait("second_vote")
    assert game.refused(convene, OUTSIDER) == "Late"

    game = Game().tested()
    game.wait("reveal_test")
    assert game.refused(convene, OUTSIDER, 1) == "WrongValue"
    game.convene()
    assert game.refused(convene, OUTSIDER) == "AlreadyConvened"
    game.wait("vote")
    assert game.refused(convene, OUTSIDER) == "Late"
    game.wait("open_vote")
    game.convene()
    assert game.refused(convene, OUTSIDER) == "AlreadyConvened"
    game.finalize("second_open_vote")
    assert game.refused(convene, OUTSIDER) == "Final"


def test_one_opened_submission_is_enough_for_a_committee() -> None:
    game = Game().trained().submit().open(1).convene()
    assert game.challenge.rounds[1].committee == PANEL[:3]


def test_a_quorum_leaves_no_second_round() -> None:
    game = Game().opened()
    game.wait("open_vote")
    assert game.refused(actions.Convene(game.id), OUTSIDER) == "QuorumReached"
    game.wait("second_vote")
    assert game.refused(actions.Convene(game.id), OUTSIDER) == "Late"


def test_vote_in_order() -> None:
    game = Game().tested()
    ballot = game.ballot()
    unknown = actions.Vote(digest("unknown"), digest("commitment"))
    assert game.refused(unknown, OUTSIDER) == "UnknownChallenge"
    assert game.refused(game.voting(OUTSIDER, ballot), OUTSIDER) == "Early"
    game.wait("reveal_test")
    assert game.refused(game.voting(OUTSIDER, ballot), OUTSIDER) == "NotConvened"
    game.convene()
    for who in (OUTSIDER, ORGANIZER, ALICE, PANEL[3]):
        assert game.refused(game.voting(who, ballot), who) == "NotOnCommittee"
    assert game.refused(game.voting(PANEL[0], ballot), PANEL[0], 1) == "WrongValue"
    game.vote(ballot, PANEL[0])
    assert game.refused(game.voting(PANEL[0], ballot), PANEL[0]) == "AlreadyVoted"
    game.wait("vote")
    for who in (OUTSIDER, *PANEL):
        assert game.refused(game.voting(who, ballot), who) == "Late"
    game.wait("open_vote")
    assert game.refused(game.voting(PANEL[0], ballot, 2), PANEL[0]) == "NotConvened"
    game.finalize("second_open_vote")
    assert game.refused(game.voting(OUTSIDER, ballot), OUTSIDER) == "Final"


def test_open_vote_in_order() -> None:
    game = Game().tested()
    ballot, other = game.ballot(), game.ballot(result="other")
    bad = game.ballot({ALICE: 10**6})
    unknown = actions.OpenVote(digest("unknown"), ballot, digest("salt"), cid("result"))
    assert game.refused(unknown, OUTSIDER) == "UnknownChallenge"
    assert game.refused(game.opening_vote(OUTSIDER, bad), OUTSIDER) == "Early"
    game.wait("vote")
    assert game.refused(game.opening_vote(OUTSIDER, bad), OUTSIDER) == "NotConvened"
    game.time = game.windows.reveal_test
    game.convene().vote(ballot, PANEL[0]).vote(bad, PANEL[2])
    assert game.refused(game.opening_vote(PANEL[0], ballot), PANEL[0]) == "Early"
    game.wait("vote")
    assert game.refused(game.opening_vote(OUTSIDER, bad), OUTSIDER) == "NotOnCommittee"
    assert game.refused(game.opening_vote(PANEL[1], bad), PANEL[1]) == "NotVoted"
    assert game.refused(game.opening_vote(PANEL[0], other), PANEL[0]) == "CommitmentMismatch"
    assert game.refused(game.opening_vote(PANEL[0], bad), PANEL[0]) == "CommitmentMismatch"
    assert game.refused(game.opening_vote(PANEL[2], bad), PANEL[2]) == "BadBallot"
    assert game.refused(game.opening_vote(PANEL[0], ballot), PANEL[0], 1) == "WrongValue"
    game.open_vote(ballot, PANEL[0])
    assert game.refused(game.opening_vote(PANEL[0], other), PANEL[0]) == "AlreadyOpened"
    game.wait("open_vote")
    assert game.refused(game.opening_vote(OUTSIDER, bad), OUTSIDER) == "Early"
    game.wait("second_open_vote")
    assert game.refused(game.opening_vote(OUTSIDER, bad), OUTSIDER) == "Late"
    game.finalize()
    assert game.refused(game.opening_vote(OUTSIDER, bad), OUTSIDER) == "Final"


FORGERIES: dict[str, Any] = {
    "outcome": "train-fallback",
    "result": digest("forged"),
    "payout_root": digest("forged"),
    "payout_total": Amount(29),
    "winner": BOB,
    "score": Score(-1),
}


@pytest.mark.parametrize("part", FORGERIES)
def test_a_ballot_opens_in_every_part_as_committed(part: str) -> None:
    game = Game().tested().convene()
    ballot = game.ballot({ALICE: 30}, winner=ALICE, score=1)
    game.vote(ballot)
    game.wait("vote")
    forged = msgspec.structs.replace(ballot, **{part: FORGERIES[part]})
    assert game.refused(game.opening_vote(PANEL[0], forged), PANEL[0]) == "CommitmentMismatch"
    salted = msgspec.structs.replace(game.opening_vote(PANEL[0], ballot), salt=digest("forged"))
    assert game.refused(salted, PANEL[0]) == "CommitmentMismatch"
    game.send(game.opening_vote(PANEL[0], ballot), PANEL[0])


def test_a_copied_vote_does_not_open() -> None:
    game = Game().tested().convene()
    ballot = game.ballot()
    game.vote(ballot, PANEL[0])
    game.send(game.voting(PANEL[0], ballot), PANEL[1])
    game.open_vote(ballot, PANEL[0])
    assert game.refused(game.opening_vote(PANEL[0], ballot), PANEL[1]) == "CommitmentMismatch"


def test_a_vote_of_round_one_does_not_open_in_round_two() -> None:
    game = Game().tested()
    ballot = game.ballot()
    game.wait("open_vote")
    game.convene().send(game.voting(PANEL[0], ballot, 1), PANEL[0])
    game.wait("second_vote")
    assert game.refused(game.opening_vote(PANEL[0], ballot), PANEL[0]) == "CommitmentMismatch"


def _tested_with_a_lost_deposit(*, reveal: bool = True) -> Game:
    game = Game().contribute().open_seed(ORGANIZER, *PANEL[:2]).draw().reveal_train()
    game.submit(ALICE, BOB, CAROL).open(0, 1)
    return game.reveal_test() if reveal else game


BAD_BALLOTS: dict[str, Callable[[Game], actions.Ballot]] = {
    "payouts of 1068 exceed the 1067 that test divides": lambda game: game.ballot({ALICE: 1068}),
    "payouts of 1569 exceed the 1568 that train-fallback divides": lambda game: game.ballot(
        {ALICE: 1569}, "train-fallback"
    ),
    "payouts of 569 exceed the 568 that void divides": lambda game: game.ballot(
        {ALICE: 569}, "void"
    ),
    "a payout root without payouts": lambda game: game.ballot({ALICE: 1}, total=0),
    "payouts without a root": lambda game: game.ballot({}, total=1),
    "a score without a winner": lambda game: game.ballot(score=-1),
    "the winner 0x": lambda game: game.ballot(winner=OUTSIDER, score=1),
    "nobody wins a void challenge": lambda game: game.ballot(outcome="void", winner=ALICE),
}


@pytest.mark.parametrize("what", BAD_BALLOTS)
def test_a_ballot_fits_what_the_ledger_knows(what: str) -> None:
    game = _tested_with_a_lost_deposit().convene()
    ballot = BAD_BALLOTS[what](game)
    game.vote(ballot)
    game.wait("vote")
    assert game.refused(game.opening_vote(PANEL[0], ballot), PANEL[0]) == "BadBallot"
    with pytest.raises(Rejected, match=what):
        check_ballot(game.challenge, ballot)


GOOD_BALLOTS: dict[str, Callable[[Game], actions.Ballot]] = {
    "all that test divides": lambda game: game.ballot({ALICE: 1067}, winner=ALICE, score=5),
    "all that train-fallback divides": lambda game: game.ballot({ALICE: 1568}, "train-fallback"),
    "all that void divides": lambda game: game.ballot({ALICE: 568}, "void"),
    "nothing": lambda game: game.ballot(),
    "a winner without a prize": lambda game: game.ballot(winner=CAROL, score=-(2**63) + 1),
    "a winner with the score 0": lambda game: game.ballot(winner=BOB),
}


@pytest.mark.parametrize("what", GOOD_BALLOTS)
def test_ballots_at_their_bounds_are_taken(what: str) -> None:
    game = _tested_with_a_lost_deposit().convene()
    ballot = GOOD_BALLOTS[what](game)
    game.vote(ballot).open_vote(ballot).finalize()
    assert game.challenge.settlement is not None
    assert game.challenge.settlement.ballot == ballot


def test_the_outcome_test_needs_revealed_test_data() -> None:
    game = _tested_with_a_lost_deposit(reveal=False).convene()
    ballot = game.ballot()
    fallback = game.ballot(outcome="train-fallback")
    game.vote(ballot, PANEL[0]).vote(fallback, PANEL[1])
    game.wait("vote")
    assert game.refused(game.opening_vote(PANEL[0], ballot), PANEL[0]) == "BadBallot"
    game.open_vote(fallback, PANEL[1])


QUORUMS = {1: 1, 2: 2, 3: 2, 4: 3, 5: 4, 6: 4, 7: 5, 15: 10, 16: 11}


@pytest.mark.parametrize("seats", QUORUMS)
def test_two_thirds_of_the_seats_decide(seats: int) -> None:
    panel = tuple(f"0x{number:040x}" for number in range(1, seats + 1))
    for agreeing in range(seats + 1):
        game = Game(terms(panel=panel)).tested().convene()
        ballot, other = game.ballot(), game.ballot(result="other")
        game.vote(ballot, *panel[:agreeing]) if agreeing else None
        game.vote(other, *panel[agreeing:]) if agreeing < seats else None
        game.wait("vote")
        game.open_vote(ballot, *panel[:agreeing]) if agreeing else None
        decided = decision(game.challenge, 1)
        assert (decided is not None) == (agreeing >= QUORUMS[seats])
        if decided is not None:
            assert decided == (ballot, panel[:agreeing])


def test_unopened_and_dissenting_votes_do_not_count() -> None:
    game = Game(terms(panel=PANEL)).tested().convene()
    ballot, other = game.ballot(), game.ballot(result="other")
    game.vote(ballot, *PANEL[:3]).vote(other, PANEL[3])
    game.open_vote(ballot, *PANEL[:2]).open_vote(other, PANEL[3])
    assert decision(game.challenge, 1) is None
    assert tally(game.challenge, 1) == {ballot: PANEL[:2], other: PANEL[3:]}


def test_each_part_of_a_ballot_is_voted_on_and_the_place_of_the_result_is_not() -> None:
    game = Game(terms(panel=PANEL[:2])).tested().convene()
    ballot = game.ballot({ALICE: 30}, winner=ALICE, score=1)
    game.vote(ballot, *PANEL[:2]).open_vote(ballot, *PANEL[:2])
    places = {vote.cid for vote in game.challenge.rounds[1].votes.values()}
    assert len(places) == 2
    assert decision(game.challenge, 1) == (ballot, PANEL[:2])
    for part, forged in FORGERIES.items():
        game = Game(terms(panel=PANEL[:2])).tested().convene()
        other = msgspec.structs.replace(ballot, **{part: forged})
        game.vote(ballot, PANEL[0]).vote(other, PANEL[1])
        game.open_vote(ballot, PANEL[0]).open_vote(other, PANEL[1])
        assert decision(game.challenge, 1) is None


def _split_round(silent: int) -> Game:
    """Four validators: ``silent`` of them open nothing in round one, and the others disagree."""
    game = Game(terms(panel=PANEL)).tested().convene()
    voters = PANEL[: 4 - silent]
    for place, who in enumerate(voters):
        game.vote(game.ballot(result=str(place)), who)
    for place, who in enumerate(voters):
        game.open_vote(game.ballot(result=str(place)), who)
    return game


def test_round_two_seats_everybody_who_opened_a_vote_in_round_one() -> None:
    game = Game(terms(panel=PANEL)).tested().convene()
    ballot, other = game.ballot(), game.ballot(result="other")
    game.vote(ballot, *PANEL[:3])
    game.open_vote(ballot, *PANEL[:2])
    game.wait("open_vote")
    game.convene()
    assert game.challenge.rounds[2].committee == PANEL[:2]
    for who in PANEL[2:]:
        assert game.refused(game.voting(who, other, 2), who) == "NotOnCommittee"


def test_round_two_keeps_the_bar_of_the_full_panel() -> None:
    game = _split_round(silent=1)
    ballot, voters = game.ballot(), PANEL[:3]
    game.wait("open_vote")
    game.convene().vote(ballot, *voters, round_number=2)
    game.open_vote(ballot, *voters[:2], round_number=2)
    assert decision(game.challenge, 2) is None
    game.open_vote(ballot, voters[2], round_number=2)
    assert decision(game.challenge, 2) == (ballot, voters)
    game.finalize("second_open_vote")
    assert game.challenge.settlement is not None
    assert game.challenge.settlement.round == 2
    assert game.challenge.settlement.majority == voters


def test_round_two_is_not_awaited_where_too_few_may_sit_in_it() -> None:
    game = _split_round(silent=2).finalize("open_vote")
    assert game.challenge.settlement is not None
    assert game.challenge.settlement.kind == "no-quorum"


def test_a_round_that_nobody_convened_costs_nobody_its_seat() -> None:
    game = Game().tested()
    game.wait("open_vote")
    ballot = game.ballot()
    game.convene().vote(ballot, round_number=2).open_vote(ballot, round_number=2)
    game.finalize("second_open_vote")
    assert game.challenge.settlement is not None
    assert game.challenge.settlement.kind == "decided"
    assert game.challenge.settlement.round == 2


def test_an_empty_committee_decides_nothing() -> None:
    game = Game().tested().convene()
    game.wait("open_vote")
    game.convene()
    assert game.challenge.rounds[2].committee == ()
    assert decision(game.challenge, 2) is None
    game.finalize()
    assert game.challenge.settlement is not None
    assert game.challenge.settlement.kind == "no-quorum"


def test_no_winner_is_the_zero_address() -> None:
    ballot = Game().ballot()
    assert (ballot.winner, ballot.score, ballot.payout_root) == (ZERO_ADDRESS, 0, ZERO_DIGEST)
