"""Staking from the command line: what is bought, ended, taken out, and said about it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from danku.ledger.embedded.genesis import read_genesis
from tests.cli.driver import NAME, Danku, write_challenge
from tests.roles.arena import key_of

At = Callable[[str], Danku]
pytestmark = pytest.mark.usefixtures("quick")


def test_seats_from_joining_to_the_stake_in_hand(at: At) -> None:
    danku = at("made")
    vera, victor = danku.of("vera"), danku.of("victor")
    joined = vera("validator", "join", "--seats", "3")
    assert (joined["bought"], joined["staked"], joined["active"]) == (3, "3000", [0, 1, 2])
    again = vera("validator", "join", "--seats", "3")
    assert (again["bought"], again["staked"]) == (0, "0")
    victor("validator", "join", "--seats", "1")
    vera.refused("validator", "join", "--seats", "2", code=2, error="TooMany")
    shown = vera("validator", "list")
    assert (shown["stake"], shown["active"], shown["staked"]) == ("1000", 4, "4000")
    assert [len(owner["active"]) for owner in shown["owners"]] == [3, 1]
    left = vera("validator", "leave", "--keep", "1")
    assert (left["ended"], left["active"], left["bound"]) == (2, [0], [1, 2])
    refused = vera.refused("validator", "leave", "--keep", "1", code=4, error="NotYet")
    assert "the first is free in 30d" in refused.json["why"]
    assert "a stake is bound until" in vera.refused("claim", code=4, error="NotYet").json["why"]
    assert vera("validator", "status")["seats"]["bound"] == [1, 2]

    danku.of("organizer")("ledger", "advance-time", "30d")
    assert vera("status")["owed"] == {key_of("vera").address: "2000"}
    assert vera("claim")["total"] == "2000"
    ended = victor("validator", "leave")
    assert (ended["ended"], ended["taken_out"]) == (1, "0")
    danku.of("organizer")("ledger", "advance-time", "30d")
    assert victor("validator", "leave")["taken_out"] == "1000"
    assert victor("ledger", "show")["time"] > 0


def test_leaving_says_what_happens_in_words(at: At) -> None:
    vera = at("made").of("vera")
    assert (
        "2 bought: 2 active seat(s), 2,000 staked"
        in vera.try_("validator", "join", "--seats", "2", "--yes").out
    )
    left = vera.try_("validator", "leave", "--yes")
    assert left.code == 0
    assert "2 seat(s) ended, 0 taken out" in left.out
    assert "2 ended, the first is free in 30d" in left.out
    plain = vera.try_("validator", "list")
    assert "0 active seats, 2,000 staked; a seat takes 1,000, free 30d after leaving" in plain.out
    document = json.loads(vera.try_("validator", "list", "--json").out)
    assert document["unbonding"] == 30 * 86_400


def test_more_than_one_has_is_not_staked(at: At) -> None:
    vera = at("made").of("vera")
    vera.refused("validator", "join", "--seats", "101", code=3, error="InsufficientBalance")
    assert vera("validator", "list")["owners"] == []


def test_a_ledger_may_have_no_staked_validators(empty: Danku) -> None:
    empty("init", ".", "--sandbox", "--stake", "0")
    vera = empty.of("vera")
    for words in (("join", "--seats", "1"), ("leave",), ("list",)):
        vera.refused("validator", *words, code=3, error="NoRegistry")
    vera.refused("claim", code=4, error="NotYet")
    assert "seats" not in vera("validator", "status")


def test_the_genesis_fixes_stake_and_delay(empty: Danku) -> None:
    empty("init", ".", "--stake", "77", "--unbonding", "3d")
    line = (empty.folder / "challenges" / "ledger.jsonl").read_bytes().splitlines()[0]
    registry = read_genesis(line).genesis.registry
    assert registry is not None and (registry.stake, registry.unbonding) == (77, 3 * 86_400)


@pytest.mark.parametrize(
    "words", [("--stake", str(2**96)), ("--unbonding", "soon"), ("--unbonding", "0d")]
)
def test_unusable_registry_terms_are_refused(empty: Danku, words: tuple[str, str]) -> None:
    empty.refused("init", ".", *words, code=2, error="BadRegistry")
    assert not Path(empty.folder / "danku.toml").exists()


def test_a_challenge_of_seats_from_its_template_to_its_creation(at: At) -> None:
    danku = at("made")
    host = danku.of("organizer")
    host("challenge", "new", "drawn", "--seats", "3")
    text = (danku.folder / "challenges" / "drawn" / "challenge.toml").read_text()
    assert 'panel = "seats"' in text and "\nseats = 3\n" in text and "\naddresses" not in text
    host.refused(
        *("challenge", "new", "other", "--seats", "3", "--validator", "0x" + "11" * 20),
        code=2,
        error="UsageError",
    )
    place = write_challenge(danku.folder)
    toml = (place / "challenge.toml").read_text().replace('"named"', '"seats"').splitlines()
    lines = ["seats = 3" if line.startswith("addresses") else line for line in toml]
    (place / "challenge.toml").write_text("\n".join(lines) + "\n")
    codes = {item["code"] for item in host("challenge", "check", str(place))["findings"]}
    assert {"small-committee"} <= codes
    shown = host.try_("challenge", "check", str(place)).out
    assert "the share of the fees and 5 % of each seat's stake" in shown
    assert "the share of the fees and 30 % of each seat's stake" in shown
    host.refused("challenge", "create", str(place), code=3, error="TooFewSeats")
    for name in ("vera", "victor", "viola"):
        danku.of(name)("validator", "join", "--seats", "2")
    host("challenge", "create", str(place))
    steps = danku.of("vera")("status", NAME)["challenges"][0]["next"]
    assert [(step["step"], step["due"]) for step in steps] == [
        ("contribute", True),
        ("vote", False),
    ]
    assert danku.of("vera")("validator", "run")["done"][0]["steps"] == ["contribute"]
    assert danku.of("alice").try_("validator", "run").code == 4
    vote = danku.of("vera")("validator", "status")["duties"][-1]
    assert vote["cost_of_missing"].startswith("50 of each drawn seat's stake")
