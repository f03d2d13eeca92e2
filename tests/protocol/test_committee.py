"""The walk that draws a committee: golden vectors, an independent walk, and no favourites."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest
from Crypto.Hash import keccak as pycryptodome
from hypothesis import given
from hypothesis import strategies as st

from danku.protocol import actions, committee
from danku.protocol.committee import candidate, convened, walked
from danku.protocol.registry import in_pool
from danku.protocol.state import Challenge, Pool, Registry, Round, Seat
from danku.protocol.terms import SeatsPanel
from tests.protocol.simulator import ALICE, BOB, CAROL, ORGANIZER, OUTSIDER, digest, terms
from tests.protocol.staked import PANEL, REGISTRY, STAKERS, StakedGame, second

SEED, MIX = digest("seed"), digest("mix")

# NOTE: frozen; a contract, or another version of danku, must come to the same.
CANDIDATES = {
    1: [0] * 12,
    7: [3, 3, 3, 2, 6, 6, 5, 4, 3, 1, 6, 4],
    50: [38, 24, 49, 46, 10, 27, 10, 13, 18, 38, 1, 1],
    2**20: [
        47748,
        37882,
        290733,
        812376,
        876478,
        74227,
        923742,
        690661,
        278596,
        698092,
        24115,
        1002823,
    ],
}


def keccak(data: bytes) -> int:
    return int.from_bytes(pycryptodome.new(digest_bits=256, data=data).digest(), "big")


def word(seed: str, mix: str, position: int) -> int:
    """The word of a candidate, without danku's own code."""
    tag = keccak(b"danku/v1/committee").to_bytes(32, "big")
    return keccak(
        tag + bytes.fromhex(seed[2:]) + bytes.fromhex(mix[2:]) + position.to_bytes(32, "big")
    )


@pytest.mark.parametrize("slots", CANDIDATES)
def test_candidates_golden(slots: int) -> None:
    assert [candidate(SEED, MIX, place, slots) for place in range(12)] == CANDIDATES[slots]


@given(st.integers(0, 10**6), st.integers(1, 2**20))
def test_candidates_by_other_code(position: int, slots: int) -> None:
    assert candidate(SEED, MIX, position, slots) == word(SEED, MIX, position) % slots


def test_a_word_too_large_names_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """2^256 - 2^256 mod 7 is the first word that would favour slots 0 and 1."""
    limit = 2**256 - 2**256 % 7
    for value, expected in ((limit - 1, 6), (limit, None), (2**256 - 1, None), (0, 0)):
        monkeypatch.setattr(committee, "keccak", lambda _, value=value: value.to_bytes(32, "big"))
        assert candidate(SEED, MIX, 0, 7) == expected


def registry(owners: list[str | None]) -> Registry:
    seats = tuple(None if owner is None else Seat(owner, 1) for owner in owners)
    return Registry(REGISTRY, version=1, seats=seats)


def drawing(
    found: Registry, seats: int = 4, submitters: tuple[str, ...] = (), mix: str = MIX
) -> Challenge:
    """A challenge that is about to draw its committee; only what a walk looks at is real."""
    return Challenge(
        id=digest("challenge"),
        organizer=ORGANIZER,
        terms=terms(SeatsPanel(seats, 3_000, 500)),
        terms_digest=digest("terms"),
        manifest="",
        created=0,
        seed_commitment=digest("commitment"),
        escrow=0,
        pool=Pool(1, len(found.seats), 2 * seats),
        seed=SEED,
        mix=mix,
        counts=dict.fromkeys(submitters, 1),
    )


def reference(challenge: Challenge, found: Registry) -> tuple[list[list[int]], int]:
    """Both committees, and where their walk ends, by the words of the design alone."""
    drawn: list[int] = []
    position, size = 0, challenge.terms.panel.seats
    while len(drawn) < 2 * size:
        slot = word(SEED, challenge.mix, position) % len(found.seats)
        position += 1
        seat = found.seats[slot]
        barred = {None, challenge.organizer, *challenge.counts}
        if slot not in drawn and (seat.owner if seat else None) not in barred:
            drawn.append(slot)
    return [drawn[:size], drawn[size:]], position


owners = st.lists(st.sampled_from([*STAKERS, ALICE, ORGANIZER, None]), min_size=1, max_size=40).map(
    lambda some: [*some, *STAKERS]
)


@given(owners, st.integers(1, 6), st.binary(min_size=32, max_size=32), st.integers(1, 30))
def test_both_rounds_are_one_walk_however_it_is_cut(
    slots: list[str | None], size: int, mix: bytes, steps: int
) -> None:
    found = registry(slots)
    challenge = drawing(found, size, (ALICE,), "0x" + mix.hex())
    expected, end = reference(challenge, found)
    for number in (1, 2):
        while not convened(challenge, number):
            part = walked(challenge, found, number, steps)
            before = challenge.rounds.get(number, Round(()))
            assert part.seats[: len(before.seats)] == before.seats
            assert number == 1 or part.position > challenge.rounds[1].position
            rounds = {**challenge.rounds, number: part}
            challenge = msgspec.structs.replace(challenge, rounds=rounds)
        drawn = challenge.rounds[number]
        assert list(drawn.seats) == expected[number - 1]
        assert list(drawn.committee) == [slots[slot] for slot in drawn.seats]
    assert challenge.rounds[2].position == end


def test_seats_of_later_and_earlier_versions_are_passed_over() -> None:
    pool = Pool(5, 10, 8)
    for since, until, holds in ((5, 0, True), (6, 0, False), (1, 5, False), (1, 6, True)):
        assert in_pool(Seat(ALICE, since, until), pool) is holds
    assert not in_pool(None, pool)


def test_every_seat_is_drawn_as_often_as_every_other() -> None:
    """Stake counts, not names: 12 seats, a committee of 4, 1,500 draws."""
    found = registry([*STAKERS[:9], *[OUTSIDER] * 3])
    times: Counter[int] = Counter()
    for number in range(1_500):
        times.update(walked(drawing(found, mix=digest(f"mix {number}")), found, 1).seats)
    expected = 1_500 * 4 / 12
    assert sum((times[slot] - expected) ** 2 / expected for slot in range(12)) < 31


def test_the_mix_of_the_opened_models_decides_who_sits() -> None:
    committees = set()
    for model in ("one", "two", "three", "four"):
        game = StakedGame().trained()
        game.submit(ALICE, BOB, CAROL, model=model).open(model=model).reveal_test().convene()
        committees.add(game.challenge.rounds[1].seats)
    assert len(committees) == 4


def test_a_long_walk_is_walked_by_repeating_convene(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few eligible seats among many slots: each call looks at a bounded number of candidates."""
    monkeypatch.setattr(walked, "__defaults__", (3,))
    game = StakedGame({OUTSIDER: 60, **dict.fromkeys(STAKERS[:8], 1)})
    game.leave(OUTSIDER)
    later = second(game)
    later.trained().submit().open().reveal_test()
    later.wait("reveal_test")
    ballot, calls = later.ballot(), 0
    voter = later.voting(STAKERS[0], ballot)
    while not convened(later.challenge, 1):
        assert later.refused(voter, STAKERS[0]) == "NotConvened"
        later.send(actions.Convene(later.id), OUTSIDER)
        calls += 1
    assert calls > 1
    assert later.refused(actions.Convene(later.id), OUTSIDER) == "AlreadyConvened"
    assert len(later.challenge.rounds[1].seats) == PANEL.seats


def test_a_committee_that_was_never_completed_judges_nothing_and_loses_nothing() -> None:
    game = StakedGame().trained()
    game.submit().open().reveal_test()
    game.wait("reveal_test")
    found = walked(game.challenge, game.registry, 1, 1)
    assert len(found.seats) < 4
    half = msgspec.structs.replace(game.challenge, rounds={1: found})
    game.state = msgspec.structs.replace(game.state, challenges={game.id: half})
    game.finalize("second_open_vote")
    settlement = game.challenge.settlement
    assert settlement is not None and settlement.kind == "no-quorum"
    assert settlement.penalties == () and game.losses() == {}
