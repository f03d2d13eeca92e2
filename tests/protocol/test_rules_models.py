"""Stages 2 and 3, submission and reveal: submit, report, open, reveal_test."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from danku.protocol import actions
from danku.protocol.draw import mix_in
from danku.protocol.types import ZERO_DIGEST, Score
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


def test_submit_in_order() -> None:
    game = Game(terms(max_submissions=1, max_entries=2)).drawn()
    unknown = actions.Submit(digest("unknown"), digest("commitment"))
    assert game.refused(unknown, PANEL[0]) == "UnknownChallenge"
    assert game.refused(game.submitting(PANEL[0]), PANEL[0]) == "TrainNotRevealed"
    game.reveal_train().submit(ALICE)
    assert game.refused(game.submitting(ALICE, "another"), ALICE) == "TooManySubmissions"
    for value in (0, 20, 22, 24):
        assert game.refused(game.submitting(BOB), BOB, value) == "WrongValue"
    game.submit(BOB)
    assert game.refused(game.submitting(PANEL[0]), PANEL[0]) == "PanelMember"
    assert game.refused(game.submitting(ALICE), ALICE) == "TooManySubmissions"
    assert game.refused(game.submitting(CAROL), CAROL) == "TooManyEntries"
    game.wait("submit")
    for who in (ALICE, CAROL, PANEL[0]):
        assert game.refused(game.submitting(who), who) == "Late"
    game.finalize("open")
    assert game.refused(game.submitting(PANEL[0]), PANEL[0]) == "Final"


def test_submit_is_late_also_where_no_train_data_ever_came() -> None:
    game = Game().drawn()
    game.wait("submit")
    assert game.refused(game.submitting(ALICE), ALICE) == "Late"


def test_everybody_has_max_submissions_and_all_together_max_entries() -> None:
    game = Game(terms(max_submissions=2, max_entries=3)).trained()
    game.submit(ALICE).submit(ALICE, model="second").submit(BOB)
    assert game.refused(game.submitting(ALICE, "third"), ALICE) == "TooManySubmissions"
    assert game.refused(game.submitting(BOB, "second"), BOB) == "TooManyEntries"
    assert game.challenge.counts == {ALICE: 2, BOB: 1}
    assert [entry.number for entry in game.challenge.submissions] == [0, 1, 2]


def test_a_copied_submission_commitment_is_taken_and_never_opens() -> None:
    game = Game().trained().submit(ALICE)
    game.send(game.submitting(ALICE), BOB)
    game.wait("submit")
    stolen = msgspec.structs.replace(game.opening(0, ALICE), submission=1)
    assert game.refused(stolen, BOB) == "CommitmentMismatch"
    game.open(0)
    assert game.refused(stolen, BOB) == "CommitmentMismatch"


def reporting(game: Game, number: int, score: int) -> actions.Report:
    return actions.Report(game.id, number, Score(score))


def test_report_in_order() -> None:
    game = Game().drawn()
    unknown = actions.Report(digest("unknown"), 9, Score(1))
    assert game.refused(unknown, OUTSIDER) == "UnknownChallenge"
    assert game.refused(reporting(game, 0, 1), ALICE) == "UnknownSubmission"
    game.reveal_train().submit(ALICE)
    assert game.refused(reporting(game, 1, 1), ALICE) == "UnknownSubmission"
    for who in (BOB, ORGANIZER, PANEL[0], OUTSIDER):
        assert game.refused(reporting(game, 0, 1), who) == "NotSubmitter"
    for value in (1, 23):
        assert game.refused(reporting(game, 0, 1), ALICE, value) == "WrongValue"
    game.wait("submit")
    for number, who in ((0, ALICE), (0, BOB), (1, ALICE)):
        assert game.refused(reporting(game, number, 1), who) == "Late"
    game.finalize("open")
    assert game.refused(reporting(game, 0, 1), ALICE) == "Final"


def test_a_later_report_replaces_an_earlier_one_and_touches_nothing_else() -> None:
    game = Game().trained().submit(ALICE).submit(ALICE, model="second").submit(BOB)
    before = game.state
    for score in (950_000_000, -(2**63) + 1, 0):
        game.send(reporting(game, 1, score), ALICE)
        found = [entry.report for entry in game.challenge.submissions]
        assert found == [None, Score(score), None]
    entries = tuple(
        msgspec.structs.replace(entry, report=None) for entry in game.challenge.submissions
    )
    bare = msgspec.structs.replace(game.challenge, submissions=entries)
    assert msgspec.structs.replace(game.state, challenges={game.id: bare}) == before


def test_what_was_reported_stays_when_the_model_opens() -> None:
    game = Game().trained().submit(ALICE, BOB)
    game.send(reporting(game, 0, 7), ALICE)
    game.open()
    assert [entry.report for entry in game.challenge.submissions] == [Score(7), None]
    assert all(entry.opening for entry in game.challenge.submissions)


def test_open_in_order() -> None:
    game = Game().trained().submit(ALICE, BOB)
    unknown = actions.Open(digest("unknown"), 9, digest("model"), cid("model"), digest("salt"))
    assert game.refused(unknown, OUTSIDER) == "UnknownChallenge"
    beyond = game.opening(2, ALICE)
    assert game.refused(beyond, OUTSIDER) == "Early"
    game.wait("submit")
    assert game.refused(beyond, OUTSIDER) == "UnknownSubmission"
    assert game.refused(game.opening(0, ALICE), BOB) == "NotSubmitter"
    assert game.refused(game.opening(0, ALICE), ALICE, 1) == "WrongValue"
    assert game.refused(game.opening(0, ALICE, "other"), ALICE) == "CommitmentMismatch"
    game.open(0)
    assert game.refused(game.opening(0, ALICE), BOB) == "NotSubmitter"
    assert game.refused(game.opening(0, ALICE, "other"), ALICE) == "AlreadyOpened"
    game.wait("open")
    assert game.refused(beyond, OUTSIDER) == "Late"
    game.finalize("second_open_vote")
    assert game.refused(beyond, OUTSIDER) == "Final"


@pytest.mark.parametrize(
    "forged",
    [
        {"model": digest("other")},
        {"cid": cid("other")},
        {"salt": digest("other")},
        {"submission": 1},
    ],
)
def test_an_opening_matches_in_every_part(forged: dict[str, Any]) -> None:
    game = Game().trained().submit(ALICE).submit(ALICE, model="second")
    game.wait("submit")
    opening = msgspec.structs.replace(game.opening(0, ALICE), **forged)
    assert game.refused(opening, ALICE) == "CommitmentMismatch"


def test_an_opening_is_bound_to_its_challenge() -> None:
    """The same model and salt, committed in one challenge, does not open in another."""
    game = Game().trained().submit(ALICE)
    other = Game(organizer=BOB).trained()
    other.send(actions.Submit(other.id, game.challenge.submissions[0].commitment), ALICE)
    other.wait("submit")
    assert other.refused(other.opening(0, ALICE), ALICE) == "CommitmentMismatch"


def test_openings_are_counted_and_mixed_in_any_order() -> None:
    one = Game().trained().submit(ALICE, BOB, CAROL).open(0, 2)
    other = Game().trained().submit(ALICE, BOB, CAROL).open(2, 0)
    assert one.challenge == other.challenge
    assert one.challenge.opened == 2
    salts = {who: one.opening(0, who).salt for who in (ALICE, CAROL)}
    expected = mix_in(mix_in(ZERO_DIGEST, ALICE, salts[ALICE]), CAROL, salts[CAROL])
    assert one.challenge.mix == expected
    assert one.challenge.submissions[1].opening is None


def test_reveal_test_in_order() -> None:
    game = Game().trained().submit()
    reveal = actions.RevealTest(game.id, cid("test"))
    unknown = actions.RevealTest(digest("unknown"), cid("test"))
    assert game.refused(unknown, OUTSIDER) == "UnknownChallenge"
    assert game.refused(reveal, OUTSIDER) == "NotOrganizer"
    assert game.refused(reveal, ORGANIZER) == "Early"
    game.open()
    game.wait("open")
    assert game.refused(reveal, ORGANIZER, 1) == "WrongValue"
    game.reveal_test()
    other = actions.RevealTest(game.id, cid("other"))
    assert game.refused(other, OUTSIDER) == "NotOrganizer"
    assert game.refused(other, ORGANIZER) == "AlreadyRevealed"
    game.wait("reveal_test")
    assert game.refused(other, ORGANIZER) == "Late"
    game.finalize("second_open_vote")
    assert game.refused(other, OUTSIDER) == "Final"
    assert game.challenge.test == cid("test")


def test_test_data_needs_train_data() -> None:
    game = Game().drawn()
    reveal = actions.RevealTest(game.id, cid("test"))
    game.wait("open", -1)
    assert game.refused(reveal, ORGANIZER) == "Early"
    game.wait("open")
    assert game.refused(reveal, ORGANIZER) == "TrainNotRevealed"


def test_no_model_opens_in_a_second_in_which_test_data_may_be_public() -> None:
    game = Game().trained().submit(ALICE)
    reveal, opening = actions.RevealTest(game.id, cid("test")), game.opening(0, ALICE)
    for second in range(game.windows.submit, game.windows.open):
        game.time = second
        assert game.refused(reveal, ORGANIZER) == "Early"
    for second in range(game.windows.open, game.windows.second_open_vote + 1):
        game.time = second
        assert game.refused(opening, ALICE) == "Late"
