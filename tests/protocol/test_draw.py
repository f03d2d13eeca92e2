"""Seed, partition and links: golden vectors, an independent ABI encoder, and no bias."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import msgspec
import pytest
from Crypto.Hash import keccak as pycryptodome
from hypothesis import given
from hypothesis import strategies as st

from danku.protocol import draw
from danku.protocol.terms import SeatsPanel, terms_digest
from danku.protocol.types import ZERO_DIGEST
from tests.protocol.simulator import (
    ALICE,
    BEACON,
    BOB,
    CHAIN,
    LEDGER,
    ORGANIZER,
    SCHEDULE,
    digest,
    terms,
)

# NOTE: frozen; a contract, or another version of danku, must come to the same.
CHALLENGE_ID = "0x3e6a282fb7033ddeb313ed0d75eb51c335102dbc60d22036e336cdc478565b24"
LEARNING_LINK = "0xc1cfa2b70cbddce4e2db80fce854bd28e67f3abe2f81a752e443a73f2db7058a"
TERMS_DIGEST = "0x744627a3e4b141d574292459f6a8fe7be3a84252a026c77924b9b6fcfb4f1d0d"
SEED = "0xbd65334ecc460004b6b4d36fcc96b206c3cefe5289c76b976c700fa91ab601f0"


def keccak(data: bytes) -> bytes:
    return pycryptodome.new(digest_bits=256, data=data).digest()


def word(value: int | str) -> bytes:
    """One ABI word of a number, an address or a digest."""
    number = int(value, 16) if isinstance(value, str) else value
    return (number % 2**256).to_bytes(32, "big")


def tagged(tag: str, *words: bytes) -> str:
    """The digest of a tag and ABI words, as hex, without danku's own code."""
    return "0x" + keccak(keccak(b"danku/v1/" + tag.encode()) + b"".join(words)).hex()


def test_challenge_id() -> None:
    found = draw.challenge_id(CHAIN, LEDGER, ORGANIZER, 7)
    words = (word(CHAIN), word(LEDGER), word(ORGANIZER), word(7))
    assert found == tagged("challenge", *words)
    assert found == CHALLENGE_ID


def test_every_part_of_a_challenge_id_counts() -> None:
    ids = {
        draw.challenge_id(*parts)
        for parts in itertools.product((1, 2), (LEDGER, ALICE), (ORGANIZER, BOB), (0, 1))
    }
    assert len(ids) == 16


def _seed_words(challenge: str, openings: list[str], beacon: str) -> list[bytes]:
    # NOTE: four head words (tag, challenge, where the list is, beacon), then the list.
    head = [word(challenge), word(4 * 32), word(beacon)]
    return [*head, word(len(openings)), *map(word, openings)]


@pytest.mark.parametrize("count", range(4))
@pytest.mark.parametrize("beacon", [None, BEACON])
def test_seed(count: int, beacon: str | None) -> None:
    openings = [digest(f"opening {number}") for number in range(count)]
    words = _seed_words(digest("challenge"), openings, beacon or ZERO_DIGEST)
    assert draw.seed_of(digest("challenge"), openings, beacon) == tagged("seed", *words)


def test_seed_golden() -> None:
    openings = [digest("opening 0"), digest("opening 1")]
    assert draw.seed_of(digest("challenge"), openings, BEACON) == SEED
    assert draw.seed_of(digest("challenge"), openings[::-1], BEACON) != SEED


def test_mix_is_an_exclusive_or() -> None:
    entropy = tagged("mix", word(ALICE), word(digest("salt")))
    assert draw.mix_in(ZERO_DIGEST, ALICE, digest("salt")) == entropy
    assert draw.mix_in(entropy, ALICE, digest("salt")) == ZERO_DIGEST


def test_learning_link() -> None:
    previous, challenge, result = map(digest, ("previous", "challenge", "result"))
    for score in (0, 987_654_321, -1, 2**63 - 1, -(2**63) + 1):
        words = (word(previous), word(challenge), word(result), word(ALICE), word(score))
        found = draw.learning_link(previous, challenge, result, ALICE, score)
        assert found == tagged("learning-link", *words)
    assert draw.learning_link(previous, challenge, result, ALICE, -1) == LEARNING_LINK


def test_terms_digest() -> None:
    agreed = terms()
    schedule, reward = (100, 70, 50, 300, 90, 60, 80, 40), (1000, 102, 501, 7, 20, 3, 2, 5)
    members = agreed.panel.members
    # NOTE: the tag and 27 words stand before the list of members.
    head = [
        word(digest("data root")),
        *map(word, (10, 3, 0, 1)),
        *map(word, schedule),
        *map(word, reward),
        word(0),
        word(28 * 32),
        *map(word, (0, 0, 0)),
        word(digest("manifest")),
    ]
    words = (*head, word(len(members)), *map(word, members))
    assert terms_digest(agreed) == tagged("terms", *words)
    assert terms_digest(agreed) == TERMS_DIGEST


def test_terms_digest_of_a_seats_panel() -> None:
    agreed = terms(SeatsPanel(4, 3_000, 500))
    schedule, reward = (100, 70, 50, 300, 90, 60, 80, 40), (1000, 102, 501, 7, 20, 3, 2, 5)
    numbers = (10, 3, 0, 1, *schedule, *reward, 1, 28 * 32, 4, 3_000, 500)
    words = (word(digest("data root")), *map(word, numbers), word(digest("manifest")), word(0))
    assert terms_digest(agreed) == tagged("terms", *words)


CHANGES: list[dict[str, Any]] = [
    {"groups": 11},
    {"test_groups": 4},
    {"seed_source": "both"},
    {"min_contributions": 2},
    {"panel": terms().panel.members[:2]},
    {"panel": terms().panel.members[::-1]},
    *({"panel": SeatsPanel(*values)} for values in ((4, 9, 5), (5, 9, 5), (4, 8, 5), (4, 9, 6))),
    *({name: 1} for name in ("pot", "fee", "organizer_bond", "contribution_deposit")),
    *({name: 1} for name in ("submission_bond", "entry_fee", "max_submissions", "max_entries")),
    *(
        {"schedule": msgspec.structs.replace(SCHEDULE, **{window: 77})}
        for window in SCHEDULE.__struct_fields__
    ),
]


def test_every_part_of_the_terms_is_in_their_digest() -> None:
    digests = [terms_digest(terms(**change)) for change in ({}, *CHANGES)]
    for part in ("manifest", "data_root"):
        digests.append(terms_digest(msgspec.structs.replace(terms(), **{part: digest("other")})))
    assert len(set(digests)) == len(digests)


def test_partition_golden() -> None:
    assert draw.partition(digest("seed"), 12, 4) == (3, 4, 8, 11)
    assert draw.partition(digest("seed"), 1_000, 8) == (7, 436, 527, 584, 644, 870, 877, 923)


def _words(seed: str, tag: str = "partition") -> Any:
    """The words of an index stream, without danku's own code."""
    prefix = keccak(b"danku/v1/" + tag.encode()) + bytes.fromhex(seed[2:])
    for counter in itertools.count():
        yield int.from_bytes(keccak(prefix + counter.to_bytes(32, "big")), "big")


def test_partition_is_the_head_of_a_fisher_yates_shuffle() -> None:
    for groups, tests in ((2, 1), (7, 7), (20, 5), (64, 63)):
        words, order = _words(digest("seed")), list(range(groups))
        for place in range(tests):
            other = place + next(words) % (groups - place)
            order[place], order[other] = order[other], order[place]
        assert draw.partition(digest("seed"), groups, tests) == tuple(sorted(order[:tests]))


def test_words_of_the_biased_tail_are_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last 2^256 mod bound words would favour small indices."""
    for bound in (1, 2, 3, 7, 10, 2**20 - 1):
        tail = 2**256 % bound
        first_rejected = 2**256 - tail
        script = [first_rejected + each for each in range(min(tail, 3))] + [first_rejected - 1]
        served = iter(script)
        counters = []

        def scripted(data: bytes, served: Any = served, counters: Any = counters) -> bytes:
            counters.append(int.from_bytes(data[-32:], "big"))
            return int(next(served)).to_bytes(32, "big")

        monkeypatch.setattr(draw, "keccak", scripted)
        assert draw.IndexStream("partition", digest("seed")).below(bound) == bound - 1
        assert counters == list(range(len(script)))


@given(st.binary(min_size=32, max_size=32), st.integers(2, 200), st.data())
def test_a_partition_splits_all_groups(raw: bytes, groups: int, data: st.DataObject) -> None:
    tests = data.draw(st.integers(1, groups - 1))
    chosen = draw.partition("0x" + raw.hex(), groups, tests)
    rest = draw.complement(chosen, groups)
    assert len(chosen) == tests
    assert list(chosen) == sorted(chosen)
    assert list(rest) == sorted(rest)
    assert sorted(chosen + rest) == list(range(groups))


def test_all_partitions_are_about_equally_likely() -> None:
    """6,000 fixed seeds over the 15 ways to choose 2 of 6: each 400 times, give or take 20 %."""
    counts = Counter(draw.partition(digest(f"seed {number}"), 6, 2) for number in range(6_000))
    assert len(counts) == 15
    assert 320 <= min(counts.values()) <= max(counts.values()) <= 480


def test_yardstick_golden() -> None:
    train = draw.complement(draw.partition(digest("seed"), 12, 4), 12)
    assert draw.yardstick(digest("seed"), train, 3) == (1, 7, 10)
    many = (185, 217, 266, 351, 447, 545, 750, 892)
    assert draw.yardstick(digest("seed"), range(1_000), 8) == many
    assert draw.yardstick(digest("seed"), train, 0) == ()


def test_a_yardstick_is_the_head_of_a_shuffle_of_the_train_groups() -> None:
    for groups, tests, count in ((3, 1, 1), (20, 5, 7), (64, 20, 43)):
        train = draw.complement(draw.partition(digest("seed"), groups, tests), groups)
        words, order = _words(digest("seed"), "yardstick"), list(train)
        for place in range(count):
            other = place + next(words) % (len(train) - place)
            order[place], order[other] = order[other], order[place]
        assert draw.yardstick(digest("seed"), train, count) == tuple(sorted(order[:count]))


@given(st.binary(min_size=32, max_size=32), st.integers(2, 60), st.data())
def test_a_yardstick_takes_train_groups_and_leaves_one(
    raw: bytes, groups: int, data: st.DataObject
) -> None:
    seed = "0x" + raw.hex()
    train = draw.complement(
        draw.partition(seed, groups, data.draw(st.integers(1, groups - 1))), groups
    )
    count = data.draw(st.integers(0, 70))
    chosen = draw.yardstick(seed, train, count)
    assert set(chosen) < set(train)
    assert len(chosen) == min(count, len(train) - 1)
    assert list(chosen) == sorted(set(chosen))


def test_all_yardsticks_are_about_equally_likely_whatever_the_partition() -> None:
    """6,000 fixed seeds: each of the 6 ways to choose 2 places of 4, 1,000 times, give or take.

    The partition of the same seed must say nothing of the yardstick; so within each of the 15
    partitions, too, each way comes up about 67 times.
    """
    counts: Counter[tuple[int, ...]] = Counter()
    within: Counter[tuple[tuple[int, ...], tuple[int, ...]]] = Counter()
    for number in range(6_000):
        seed = digest(f"seed {number}")
        test = draw.partition(seed, 6, 2)
        train = draw.complement(test, 6)
        places = tuple(train.index(group) for group in draw.yardstick(seed, train, 2))
        counts[places] += 1
        within[test, places] += 1
    assert len(counts) == 6
    assert 900 <= min(counts.values()) <= max(counts.values()) <= 1_100
    assert len(within) == 90
    # NOTE: chi-squared of 89 degrees of freedom stays below 138 in 999 of 1,000 cases.
    expected = 6_000 / 90
    assert sum((found - expected) ** 2 / expected for found in within.values()) < 138
