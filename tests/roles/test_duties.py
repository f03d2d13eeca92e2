"""What is due when, for every role, through whole challenges; `advance` does exactly that."""

from __future__ import annotations

import pytest

from danku.protocol.actions import Cancel
from danku.roles import submitter, validator
from danku.roles.duties import advance, duties, involved
from danku.roles.duty import Duty
from tests.roles.arena import (
    ORGANIZER,
    PEOPLE,
    SUBMITTERS,
    VALIDATORS,
    Arena,
    InProcess,
    key_of,
    model,
    reordered,
)
from tests.roles.conftest import ArenaAt

Due = dict[str, list[str]]


@pytest.fixture(autouse=True)
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Validators evaluate in this process."""
    monkeypatch.setattr("danku.evaluation.worker.Worker", InProcess)


def found(arena: Arena, name: str) -> list[Duty]:
    time = arena.host.ledger.time()
    return duties(arena.host.state(), arena.challenge, key_of(name).address, time)


def due(arena: Arena) -> Due:
    """The steps that each role can take now; roles without any are left out."""
    time = arena.host.ledger.time()
    all_due = {
        name: [duty.name for duty in found(arena, name) if duty.due(time)] for name in PEOPLE
    }
    return {name: steps for name, steps in all_due.items() if steps}


def later(arena: Arena, name: str) -> list[str]:
    """What else a role can expect, in order."""
    time = arena.host.ledger.time()
    return [duty.name for duty in found(arena, name) if not duty.due(time)]


def advanced(arena: Arena, *names: str) -> Due:
    """What `advance` does for each of them, in turn."""
    announced: list[Duty] = []
    done = {
        name: [
            duty.name for duty in advance(*arena[name], arena.challenge, announce=announced.append)
        ]
        for name in names
    }
    assert [duty.name for duty in announced] == [step for steps in done.values() for step in steps]
    return done


def alike(names: tuple[str, ...], *steps: str) -> Due:
    return {name: list(steps) for name in names}


def test_a_whole_challenge_by_nothing_but_advance(arena_at: ArenaAt) -> None:
    arena = arena_at("create")
    host = (ORGANIZER,)
    assert due(arena) == alike(VALIDATORS, "contribute")
    assert later(arena, ORGANIZER) == ["open_seed", "reveal_train"]
    assert later(arena, "vera") == ["vote"]
    assert later(arena, "alice") == []
    assert advanced(arena, ORGANIZER, *VALIDATORS) == {
        ORGANIZER: [],
        **alike(VALIDATORS, "contribute"),
    }
    assert due(arena) == {}

    arena.wait("contribute")
    assert due(arena) == alike((ORGANIZER, *VALIDATORS), "open_seed")
    advanced(arena, ORGANIZER, *VALIDATORS)
    assert due(arena) == {}

    arena.wait("open_seed")
    assert due(arena) == alike((ORGANIZER, *VALIDATORS), "draw")
    assert advanced(arena, "vera", *host) == {"vera": ["draw"], ORGANIZER: ["reveal_train"]}
    assert due(arena) == {}

    arena.submit()
    assert due(arena) == {}
    assert later(arena, "alice") == ["open"]
    assert later(arena, ORGANIZER) == ["reveal_test"]
    assert later(arena, "vera") == ["vote"]

    arena.wait("submit")
    assert due(arena) == alike(SUBMITTERS, "open")
    assert advanced(arena, *SUBMITTERS) == alike(SUBMITTERS, "open")
    assert due(arena) == {}

    arena.wait("open")
    assert due(arena) == {ORGANIZER: ["reveal_test"]}
    advanced(arena, ORGANIZER)
    assert due(arena) == {}

    arena.wait("reveal_test")
    assert due(arena) == {
        **alike((ORGANIZER, *SUBMITTERS), "convene"),
        **alike(VALIDATORS, "convene", "vote"),
    }
    assert advanced(arena, *VALIDATORS) == {
        "vera": ["convene", "vote"],
        **alike(VALIDATORS[1:], "vote"),
    }
    assert due(arena) == {}
    assert later(arena, "vera") == ["open_vote"]

    arena.wait("vote")
    assert due(arena) == alike(VALIDATORS, "open_vote")
    advanced(arena, *VALIDATORS)
    assert due(arena) == {}

    arena.wait("open_vote")
    assert due(arena) == alike(PEOPLE, "finalize")
    assert advanced(arena, "carol", "vera") == {"carol": ["finalize"], "vera": []}
    assert due(arena) == {}
    assert all(found(arena, name) == [] for name in PEOPLE)
    arena.claim()
    assert arena.gains()["alice"] == 9_990
    assert arena.verify().ok


def test_nothing_due_does_nothing(stages: ArenaAt) -> None:
    for step in ("contribute", "reveal_train", "submit", "claim"):
        arena = stages(step)
        head = arena.host.ledger.head()
        assert all(not done for done in advanced(arena, *PEOPLE).values())
        assert arena.host.ledger.head() == head


def test_whoever_has_no_part_has_no_duties(arena_at: ArenaAt) -> None:
    """Anybody may draw, but only those who wait for it are told to."""
    arena = arena_at("open_seeds")
    arena.wait("open_seed")
    assert found(arena, "alice") == []
    state, challenge = arena.host.state(), arena.challenge
    assert [name for name in PEOPLE if involved(state, challenge, key_of(name).address)] == [
        *(ORGANIZER, *VALIDATORS)
    ]
    later = arena_at("submit")
    state, submitted = later.host.state(), later.challenge
    assert all(involved(state, submitted, key_of(name).address) for name in PEOPLE)


def test_missed_windows_are_not_offered_any_more(arena_at: ArenaAt) -> None:
    arena = arena_at("contribute")
    arena.wait("open_seed")
    assert due(arena) == alike((ORGANIZER, *VALIDATORS), "finalize")
    assert "open_seed" not in [duty.name for duty in found(arena, ORGANIZER)]
    arena = arena_at("submit")
    arena.wait("open")
    assert due(arena) == alike(PEOPLE, "finalize")
    assert all(later(arena, name) == [] for name in PEOPLE)


def test_an_organizer_who_is_late_with_the_train_data(arena_at: ArenaAt) -> None:
    arena = arena_at("draw")
    assert due(arena) == {ORGANIZER: ["reveal_train"]}
    arena.wait("reveal_train")
    assert due(arena) == alike((ORGANIZER, *VALIDATORS), "finalize")


def test_every_sealed_submission_is_a_duty_of_its_own(arena_at: ArenaAt) -> None:
    arena = arena_at("reveal_train")
    for shift in (0.0, 1.0, 2.0):
        submitter.submit(*arena["alice"], arena.identity, model(shift))
    arena.wait("submit")
    submitter.open_submission(*arena["alice"], arena.identity, 1)
    assert due(arena) == {"alice": ["open", "open"]}
    assert advanced(arena, "alice") == {"alice": ["open", "open"]}
    assert [entry.opening is not None for entry in arena.challenge.submissions] == [True] * 3


def test_each_duty_says_when_and_what_it_costs_to_forget(stages: ArenaAt) -> None:
    create, submit, vote = stages("create"), stages("submit"), stages("vote")
    windows = create.challenge.windows
    (contribute, _) = found(create, "vera")
    assert (contribute.opens, contribute.closes, contribute.cost) == (
        *(windows.created, windows.contribute, ""),
    )
    seed, train = found(create, ORGANIZER)
    assert (seed.opens, seed.closes) == (windows.contribute, windows.open_seed)
    assert "5,000" in seed.cost
    assert (train.opens, train.closes) == (windows.open_seed, windows.reveal_train)
    (opening,) = found(submit, "alice")
    assert (opening.opens, opening.closes) == (windows.submit, windows.open)
    assert "200" in opening.cost
    (test,) = found(submit, ORGANIZER)
    assert (test.opens, test.closes) == (windows.open, windows.reveal_test)
    assert "5,000" in test.cost
    (open_vote,) = found(vote, "vera")
    assert (open_vote.opens, open_vote.closes) == (windows.vote, windows.open_vote)
    assert "fees" in open_vote.cost


def test_a_second_round_is_for_those_who_spoke_in_the_first(arena_at: ArenaAt) -> None:
    arena = arena_at("convene")
    honest = arena.assess()
    arena.vote(vera=honest, victor=reordered(arena, honest))
    arena.open_votes("vera", "victor")
    arena.wait("open_vote")
    others = (ORGANIZER, *SUBMITTERS, "viola")
    assert due(arena) == {
        **alike(others, "convene"),
        **alike(("vera", "victor"), "convene", "vote"),
    }
    assert advanced(arena, "viola", "vera", "victor") == {
        "viola": ["convene"],
        **alike(("vera", "victor"), "vote"),
    }
    arena.wait("second_vote")
    assert due(arena) == alike(("vera", "victor"), "open_vote")
    advanced(arena, "vera", "victor")
    arena.wait("second_open_vote")
    assert advanced(arena, ORGANIZER) == {ORGANIZER: ["finalize"]}
    settlement = arena.challenge.settlement
    assert settlement is not None
    assert (settlement.kind, settlement.round) == ("decided", 2)


def test_too_few_for_a_second_round_settle_at_once(arena_at: ArenaAt) -> None:
    arena = arena_at("convene")
    arena.vote(vera=arena.assess())
    arena.open_votes("vera")
    arena.wait("open_vote")
    assert advanced(arena, "vera") == {"vera": ["finalize"]}
    settlement = arena.challenge.settlement
    assert settlement is not None
    assert settlement.kind == "no-quorum"


def test_a_failed_step_leaves_what_was_done_before(
    arena_at: ArenaAt, monkeypatch: pytest.MonkeyPatch
) -> None:
    arena = arena_at("reveal_test")
    arena.wait("reveal_test")

    def fail(*words: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(validator, "cast_vote", fail)
        with pytest.raises(KeyboardInterrupt):
            list(advance(*arena["vera"], arena.challenge))
    assert 1 in arena.challenge.rounds
    assert advanced(arena, "vera") == {"vera": ["vote"]}


def test_a_cancelled_challenge_has_no_duties(arena_at: ArenaAt) -> None:
    arena = arena_at("submit")
    arena.send(ORGANIZER, Cancel(arena.identity))
    assert all(found(arena, name) == [] for name in PEOPLE)
