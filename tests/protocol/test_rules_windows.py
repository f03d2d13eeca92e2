"""Every window to the second: just before, first and last inside, just after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from danku.errors import Rejected
from danku.protocol import actions
from danku.protocol.schedule import Windows, windows
from danku.protocol.types import Address, Score
from tests.protocol.simulator import (
    ALICE,
    BEACON,
    ORGANIZER,
    OUTSIDER,
    PANEL,
    SCHEDULE,
    START,
    Game,
    cid,
    terms,
)

Attempt = Callable[[Game], tuple[actions.Action, Address]]


@dataclass(frozen=True)
class Window:
    """An action that is due at ``start <= time < end``, in a game that is ready for it."""

    prepare: Callable[[], Game]
    attempt: Attempt
    start: str
    end: str
    before: str | None = "Early"
    """None where the game cannot be ready any earlier."""
    after: str = "Late"


def _silent_round() -> Game:
    """Nobody convenes round one."""
    return Game().tested()


def _second_round() -> Game:
    """Round one ends without a vote; round two is convened in its first second."""
    game = Game().tested()
    game.wait("open_vote")
    return game.convene()


def _second_vote() -> Game:
    game = _second_round()
    return game.vote(game.ballot(), round_number=2)


def _drawn_at_once() -> Game:
    return Game().contribute().open_seed().draw()


WINDOWS = {
    "contribute": Window(
        Game, lambda game: (game.contributing(PANEL[0]), PANEL[0]), "created", "contribute"
    ),
    "open_seed": Window(
        lambda: Game().contribute(),
        lambda game: (game.opening_seed(PANEL[0]), PANEL[0]),
        "contribute",
        "open_seed",
    ),
    "open_seed by the organizer": Window(
        lambda: Game().contribute(),
        lambda game: (game.opening_seed(ORGANIZER), ORGANIZER),
        "contribute",
        "open_seed",
    ),
    "draw": Window(
        lambda: Game().contribute().open_seed(),
        lambda game: (actions.Draw(game.id), OUTSIDER),
        "open_seed",
        "reveal_train",
    ),
    "draw of a beacon": Window(
        lambda: Game(terms(seed_source="beacon"), beacon=BEACON),
        lambda game: (actions.Draw(game.id), OUTSIDER),
        "open_seed",
        "reveal_train",
    ),
    "reveal_train": Window(
        _drawn_at_once,
        lambda game: (actions.RevealTrain(game.id, cid("train")), ORGANIZER),
        "open_seed",
        "reveal_train",
    ),
    "submit": Window(
        lambda: Game().trained(),
        lambda game: (game.submitting(ALICE), ALICE),
        "open_seed",
        "submit",
        before=None,
    ),
    "report": Window(
        lambda: Game().trained().submit(ALICE),
        lambda game: (actions.Report(game.id, 0, Score(1)), ALICE),
        "open_seed",
        "submit",
        before=None,
    ),
    "open": Window(
        lambda: Game().trained().submit(),
        lambda game: (game.opening(0, ALICE), ALICE),
        "submit",
        "open",
    ),
    "reveal_test": Window(
        lambda: Game().trained().submit().open(),
        lambda game: (actions.RevealTest(game.id, cid("test")), ORGANIZER),
        "open",
        "reveal_test",
    ),
    "convene": Window(
        _silent_round,
        lambda game: (actions.Convene(game.id), OUTSIDER),
        "reveal_test",
        "vote",
    ),
    "vote": Window(
        lambda: Game().tested().convene(),
        lambda game: (game.voting(PANEL[0], game.ballot()), PANEL[0]),
        "reveal_test",
        "vote",
    ),
    "open_vote": Window(
        lambda: (game := Game().tested().convene()).vote(game.ballot()),
        lambda game: (game.opening_vote(PANEL[0], game.ballot()), PANEL[0]),
        "vote",
        "open_vote",
        # NOTE: from here on, opening a vote means one of round two.
        after="Early",
    ),
    "convene round two": Window(
        _silent_round,
        lambda game: (actions.Convene(game.id), OUTSIDER),
        "open_vote",
        "second_vote",
        before="Late",
    ),
    "vote in round two": Window(
        _second_round,
        lambda game: (game.voting(PANEL[0], game.ballot(), 2), PANEL[0]),
        "open_vote",
        "second_vote",
        before="Late",
    ),
    "open_vote in round two": Window(
        _second_vote,
        lambda game: (game.opening_vote(PANEL[0], game.ballot()), PANEL[0]),
        "second_vote",
        "second_open_vote",
    ),
    "cancel": Window(Game, lambda game: (actions.Cancel(game.id), ORGANIZER), "created", "submit"),
}


@pytest.mark.parametrize("name", WINDOWS)
def test_a_window_includes_its_first_second_and_not_its_end(name: str) -> None:
    window = WINDOWS[name]
    ends = window.prepare().windows
    start, end = getattr(ends, window.start), getattr(ends, window.end)
    trials = [(start, None), (end - 1, None), (end, window.after), (end + 10**9, "Late")]
    if window.before:
        trials.append((start - 1, window.before))
    for time, rule in trials:
        game = window.prepare()
        game.time = time
        action, sender = window.attempt(game)
        if rule is None:
            game.send(action, sender)
        else:
            assert game.refused(action, sender) == rule


def _says(game: Game, action: actions.Action, sender: Address) -> str:
    with pytest.raises(Rejected) as refusal:
        game.send(action, sender)
    assert refusal.value.why
    assert refusal.value.fix
    return refusal.value.what


def test_a_refusal_says_since_when_or_for_how_long() -> None:
    game = Game().contribute()
    seed, draw = game.opening_seed(PANEL[0]), actions.Draw(game.id)
    assert _says(game, seed, PANEL[0]) == (
        f"open_seed opens at {START + 100}, 100 s from now ({START})"
    )
    game.wait("open_seed", 5)
    assert _says(game, seed, PANEL[0]) == (
        f"open_seed closed at {START + 170}, 5 s ago ({START + 175})"
    )
    assert "did not open its seed secret" in _says(game, draw, OUTSIDER)
    game = Game().trained()
    game.time = START + 400
    assert _says(game, actions.Finalize(game.id), OUTSIDER) == (
        f"submissions can be made and opened until {START + 610}, 210 s from now"
    )
    game.wait("submit", 3)
    assert _says(game, game.submitting(ALICE), ALICE) == (
        f"submit closed at {START + 520}, 3 s ago"
    )


def test_submissions_open_with_the_reveal_of_the_train_data() -> None:
    game = Game().drawn()
    assert game.refused(game.submitting(ALICE), ALICE) == "TrainNotRevealed"
    game.reveal_train().submit(ALICE)
    assert game.challenge.submissions[0].time == game.windows.open_seed


def test_windows_follow_one_another_and_round_two_repeats_the_votes_lengths() -> None:
    assert windows(START, SCHEDULE) == Windows(
        created=START,
        contribute=START + 100,
        open_seed=START + 170,
        reveal_train=START + 220,
        submit=START + 520,
        open=START + 610,
        reveal_test=START + 670,
        vote=START + 750,
        open_vote=START + 790,
        second_vote=START + 870,
        second_open_vote=START + 910,
    )


def test_round_windows() -> None:
    ends = windows(START, SCHEDULE)
    assert ends.vote_window(1) == (START + 670, START + 750)
    assert ends.open_vote_window(1) == (START + 750, START + 790)
    assert ends.vote_window(2) == (START + 790, START + 870)
    assert ends.open_vote_window(2) == (START + 870, START + 910)


FINALITY = {
    "no seed": (lambda: Game().contribute().open_seed(PANEL[0]), "open_seed"),
    "few contributions": (lambda: Game().contribute().open_seed(ORGANIZER), "open_seed"),
    "nobody drew": (
        lambda: Game(terms(min_contributions=3)).contribute().open_seed(),
        "reveal_train",
    ),
    "no train data": (lambda: Game().drawn(), "reveal_train"),
    "nothing submitted": (lambda: Game().trained(), "open"),
    "nothing opened": (lambda: Game().trained().submit(), "open"),
    "a quorum": (lambda: Game().opened(), "open_vote"),
    "a quorum in round two": (
        lambda: (game := _second_vote()).open_vote(game.ballot(), round_number=2),
        "second_open_vote",
    ),
    "nobody convened": (_silent_round, "second_open_vote"),
    "nobody voted in round two": (_second_round, "second_open_vote"),
    "nobody opened in round two": (_second_vote, "second_open_vote"),
    "silence in round one": (lambda: Game().tested().convene(), "open_vote"),
    "nobody opened in round one": (
        lambda: (game := Game().tested().convene()).vote(game.ballot()),
        "open_vote",
    ),
}


@pytest.mark.parametrize("name", FINALITY)
def test_a_challenge_is_final_from_the_second_its_fate_is_decided(name: str) -> None:
    prepare, deadline = FINALITY[name]
    game = prepare()
    due = getattr(game.windows, deadline)
    finalize = actions.Finalize(game.id)
    for time in (game.time, due - 1):
        game.time = time
        assert game.refused(finalize, OUTSIDER) == "Early"
    game.time = due
    game.send(finalize, OUTSIDER)
    assert game.challenge.settlement is not None
    assert game.challenge.settlement.time == due
