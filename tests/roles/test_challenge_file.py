"""challenge.toml: every mistake is named by its key, with what was found and what to do."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from danku.errors import DankuError, DataError, Rejected
from danku.protocol.terms import Schedule, SeatsPanel
from danku.roles.challenge_file import (
    ChallengeFileBroken,
    evaluation_of,
    mechanism_of,
    panel_of,
    parse_duration,
    parse_score,
    read_challenge_file,
    reward_of,
    schedule_of,
)
from danku.roles.lint import lint
from danku.roles.organizer import read_draft
from danku.roles.playable import Unplayable
from tests.roles.arena import TOML, edited, write_data

PANEL = 'addresses = ["0x00000000000000000000000000000000000000aB"]'
COMPLETE = TOML.replace("addresses = []", PANEL)
OPTIONAL = {("challenge", "summary"), ("data", "shuffle"), ("evaluation", "batch")} | {
    ("model", "classes"),
    ("validators", "min_contributions"),
}
KEYS = [
    (section, key)
    for section, keys in tomllib.loads(TOML).items()
    for key in keys
    if (section, key) not in OPTIONAL
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A playable challenge.toml beside its data."""
    write_data(tmp_path / "private" / "data.csv")
    (tmp_path / "challenges").mkdir()
    file = tmp_path / "challenges" / "challenge.toml"
    file.write_text(COMPLETE, "utf-8")
    return file


def broken(path: Path, text: str | bytes) -> ChallengeFileBroken:
    """What reading such a file, and making terms of it, is refused with."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ChallengeFileBroken) as raised:
        read_draft(path)
    assert str(path) in raised.value.what
    assert raised.value.fix
    assert raised.value.exit_code == 5
    return raised.value


def without(section: str, key: str) -> str:
    """The file without one key."""
    lines, current, kept = COMPLETE.splitlines(), "", []
    for line in lines:
        if line.startswith("["):
            current = line.strip("[]")
        if (current, line.split(" = ")[0]) != (section, key):
            kept.append(line)
    assert len(kept) == len(lines) - 1
    return "\n".join(kept) + "\n"


def test_a_complete_file_becomes_terms(path: Path) -> None:
    draft = read_draft(path)
    assert (draft.terms.groups, draft.terms.test_groups) == (10, 3)
    assert draft.terms.schedule == Schedule(3600, 7200, 10800, 345600, 18000, 21600, 25200, 28800)
    reward = draft.terms.reward
    assert (reward.pot, reward.fee, reward.organizer_bond) == (10_000, 900, 5_000)
    assert draft.terms.panel.members == ("0x00000000000000000000000000000000000000ab",)
    assert draft.manifest.evaluation.threshold == 600_000_000
    assert draft.manifest.data.columns == ("level", "number")


@pytest.mark.parametrize(("section", "key"), KEYS)
def test_a_missing_key_is_named(path: Path, section: str, key: str) -> None:
    assert f"`{key}`" in broken(path, without(section, key)).what


@pytest.mark.parametrize("section", tomllib.loads(TOML))
def test_a_missing_section_is_named(path: Path, section: str) -> None:
    start = COMPLETE.index(f"[{section}]")
    end = COMPLETE.find("\n[", start)
    text = COMPLETE[:start] + (COMPLETE[end:] if end > 0 else "")
    assert f"`{section}`" in broken(path, text).what


@pytest.mark.parametrize(("section", "key"), sorted(OPTIONAL))
def test_an_optional_key_may_be_left_out(path: Path, section: str, key: str) -> None:
    path.write_text(without(section, key))
    read_challenge_file(path)


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("name", '"Not A Name"', "challenge.name"),
        ("name", '"../up"', "challenge.name"),
        ("title", '""', "challenge.title"),
        ("title", "3", "challenge.title"),
        ("source", "[]", "data.source"),
        ("group_rows", "0", "data.group_rows"),
        ("group_rows", '"4"', "data.group_rows"),
        ("group_rows", "4.5", "data.group_rows"),
        ("test_fraction", "0", "data.test_fraction"),
        ("test_fraction", "1.0", "data.test_fraction"),
        ("test_fraction", "nan", "data.test_fraction"),
        ("shuffle", '"yes"', "data.shuffle"),
        ("threshold", "0.6", "evaluation.threshold"),
        ("threshold", '"much"', "evaluation.threshold"),
        ("threshold", '"0.1234567891"', "evaluation.threshold"),
        ("threshold", '"1e30"', "evaluation.threshold"),
        ("threshold", '"nan"', "evaluation.threshold"),
        ("batch", "0", "evaluation.batch"),
        ("shape", "2", "model.shape"),
        ("shape", "[0]", "model.shape"),
        ("shape", "[1, 1, 1, 1, 1, 2]", "model.shape"),
        ("output", '"class"', "model.output"),
        ("classes", '["no", ""]', "model.classes"),
        ("contribute", '"1 hour"', "schedule.contribute"),
        ("contribute", '"0s"', "schedule.contribute"),
        ("contribute", '""', "schedule.contribute"),
        ("contribute", '"-1h"', "schedule.contribute"),
        ("submit", "7", "schedule.submit"),
        ("vote", '"99999999d"', "schedule.vote"),
        ("pot", "-1", "reward.pot"),
        ("pot", "1.5", "reward.pot"),
        ("pot", '"1.5"', "reward.pot"),
        ("pot", '"ten"', "reward.pot"),
        ("pot", '"_"', "reward.pot"),
        ("pot", "true", "reward.pot"),
        ("pot", f'"{2**96}"', "reward.pot"),
        ("fee", '"007"', "reward.fee"),
        ("max_submissions", "0", "max_submissions"),
        ("max_submissions", '"5"', "reward.max_submissions"),
        ("max_entries", "100001", "max_entries"),
        ("mechanism", '"loser-takes-all"', "loser-takes-all"),
        ("mechanism", '"top-k"', "reward.shares"),
        ("panel", '"seats"', "validators.panel"),
        ("addresses", "[]", "validators.addresses"),
        ("addresses", '["0x12"]', "validators.addresses"),
        ("addresses", '["alice"]', "validators.addresses"),
        ("addresses", "[3]", "validators.addresses"),
        ("min_contributions", '"1"', "validators.min_contributions"),
    ],
)
def test_a_malformed_value_is_named_by_its_key(
    path: Path, key: str, value: str, named: str
) -> None:
    assert named in broken(path, edited(COMPLETE, {key: value})).what


def test_a_duration_that_is_a_number_is_told_how_durations_are_spelled(path: Path) -> None:
    assert "'7d'" in broken(path, edited(COMPLETE, {"submit": "7"})).what


@pytest.mark.parametrize(
    ("section", "key", "advice"),
    [
        ("data", "grouprows = 3", "`group_rows`"),
        ("reward", "entryfee = 3", "`entry_fee`"),
        ("schedule", "openvote = 3", "`open_vote`"),
        ("evaluation", "treshold = 3", "`threshold`"),
        ("validators", "adresses = 3", "`addresses`"),
        ("model", "zzzzzz = 3", "remove `zzzzzz`"),
    ],
)
def test_an_unknown_key_is_named_with_the_one_that_was_meant(
    path: Path, section: str, key: str, advice: str
) -> None:
    error = broken(path, COMPLETE.replace(f"[{section}]\n", f"[{section}]\n{key}\n"))
    assert f"`{key.split(' ')[0]}`" in error.what
    assert section in error.what
    assert advice in error.fix


def test_an_unknown_section_is_named(path: Path) -> None:
    error = broken(path, COMPLETE + "\n[shedule]\n")
    assert "`shedule`" in error.what
    assert "`schedule`" in error.fix


@pytest.mark.parametrize(
    "text", ["", "[challenge", "a = ", "\x00", b"\xff\xfe", "x = " + "[" * 5000, "= 3"]
)
def test_a_file_that_is_no_toml(path: Path, text: str | bytes) -> None:
    broken(path, text)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for missing in (tmp_path / "challenge.toml", tmp_path):
        with pytest.raises(ChallengeFileBroken) as raised:
            read_challenge_file(missing)
        assert "danku challenge new" in raised.value.fix


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"metric": '"acuracy"'}, "acuracy"),
        ({"metric": '"rmse"'}, "models give label"),
        ({"metric": '"log-loss"'}, "models give label"),
        ({"threshold": '"1.5"'}, "no accuracy can reach"),
        ({"target": '"knd"'}, "knd"),
        ({"source": '"nowhere.csv"'}, "nowhere.csv"),
        ({"source": '"challenge.toml"'}, "challenge.toml"),
        ({"group_rows": "40"}, "two groups"),
        ({"classes": '["no", "yes", "maybe"]'}, "maybe"),
        ({"classes": '["no"]'}, "yes"),
        ({"shape": "[3]"}, "3"),
    ],
)
def test_what_can_not_be_played_is_refused_before_anything_is_written(
    path: Path, changes: dict[str, str], words: str
) -> None:
    path.write_text(edited(COMPLETE, changes))
    before = sorted(path.parent.parent.rglob("*"))
    with pytest.raises(DataError) as raised:
        read_draft(path)
    assert words in raised.value.what
    assert sorted(path.parent.parent.rglob("*")) == before


def test_a_metric_for_two_classes_needs_two(path: Path) -> None:
    data = path.parent.parent / "private" / "data.csv"
    data.write_text(data.read_text().replace("3,3,yes", "3,3,maybe"))
    changes = {"metric": '"f1"', "classes": '["no", "yes", "maybe"]'}
    path.write_text(edited(COMPLETE, changes))
    with pytest.raises(Unplayable, match="two classes"):
        read_draft(path)


@given(
    days=st.integers(0, 300),
    hours=st.integers(0, 99),
    minutes=st.integers(0, 99),
    seconds=st.integers(0, 99),
)
def test_durations_add_up(days: int, hours: int, minutes: int, seconds: int) -> None:
    parts = ((days, "d"), (hours, "h"), (minutes, "m"), (seconds, "s"))
    text = "".join(f"{count}{unit}" for count, unit in parts if count)
    total = 86400 * days + 3600 * hours + 60 * minutes + seconds
    if total:
        assert parse_duration(f" {text.upper()} ") == total
    else:
        with pytest.raises(ValueError, match="duration"):
            parse_duration(text)


@given(st.decimals(-9_000_000_000, 9_000_000_000, allow_nan=False, places=9))
def test_scores_are_exact_in_units_of_one_billionth(value: Decimal) -> None:
    assert parse_score(str(value)) == int(value.scaleb(9))


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "x", "1/3", "nan", "-inf", "1e400", "9223372036.854775808"),
        *("0.0000000001", "0.50000000000000000000000000000000001", "1e-999999999"),
    ],
)
def test_what_is_no_score(text: str) -> None:
    with pytest.raises(ValueError, match="decimal"):
        parse_score(text)


AMOUNTS: list[tuple[str, int]] = [
    ("0", 0),
    ("12", 12),
    ('"12"', 12),
    ('"1_000_000"', 1_000_000),
    ("1_000_000", 1_000_000),
    (f'"{2**70}"', 2**70),
]


@pytest.mark.parametrize(("value", "expected"), AMOUNTS)
def test_amounts_are_whole_numbers_or_text(path: Path, value: str, expected: int) -> None:
    path.write_text(edited(COMPLETE, {"fee": value}))
    assert reward_of(read_challenge_file(path), path).fee == expected


@given(data=st.data())
def test_no_file_raises_anything_but_a_named_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "challenge.toml"
    values = st.sampled_from(
        ["0", "-1", "1e9", '""', '"x"', "[]", "{}", "true", "nan", "1979-05-27", f"{2**63}", "[[]]"]
    )
    keys = sorted({key for _, key in KEYS})
    changes: dict[str, Any] = data.draw(
        st.dictionaries(st.sampled_from(keys), values, min_size=1, max_size=3)
    )
    path.write_text(edited(COMPLETE, changes))
    try:
        file = read_challenge_file(path)
        for make in (evaluation_of, mechanism_of, panel_of, reward_of):
            make(file, path)
        schedule_of(file)
    except DankuError as error:
        assert error.fix


def of_seats(*lines: str) -> str:
    """The file with a panel drawn from staked seats."""
    kept = [line for line in COMPLETE.splitlines() if not line.startswith(("panel", "addresses"))]
    return "\n".join([*kept, 'panel = "seats"', *lines]) + "\n"


def test_a_panel_of_seats(path: Path) -> None:
    path.write_text(of_seats("seats = 7"))
    assert read_draft(path).terms.panel == SeatsPanel(7, 3_000, 500)
    path.write_text(of_seats("seats = 16", "minority_share = 5000", "silence_share = 1"))
    assert read_draft(path).terms.panel == SeatsPanel(16, 5_000, 1)


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        ((), "`seats`"),
        (("seats = 17",), "$.seats"),
        (("seats = -1",), "$.seats"),
        (("seats = 7", "minority_share = 5001"), "$.minority_share"),
        (("seats = 7", "minority_share = 0"), "$.minority_share"),
        (("seats = 7", "silence_share = 0"), "$.silence_share"),
        (("seats = 7", 'addresses = ["0x' + "11" * 20 + '"]'), "`addresses`"),
        (("seats = 7.5",), "validators.seats"),
        (("seat = 7",), "seat"),
    ],
)
def test_a_malformed_panel_of_seats_is_named_by_its_key(
    path: Path, lines: tuple[str, ...], named: str
) -> None:
    assert named in broken(path, of_seats(*lines)).what


def test_seats_beside_a_named_panel_are_refused(path: Path) -> None:
    assert "`seats`" in broken(path, COMPLETE + "seats = 3\n").what


@pytest.mark.parametrize(
    ("lines", "changes", "code"),
    [
        (("seats = 6",), {}, "small-committee"),
        (("seats = 7", "silence_share = 601"), {}, "dear-silence"),
        (("seats = 7",), {"submission_bond": "0"}, "free-committee-bias"),
    ],
)
def test_lint_warns_of_what_seats_make_risky(
    path: Path, lines: tuple[str, ...], changes: dict[str, str], code: str
) -> None:
    def codes(text: str) -> set[str]:
        path.write_text(text)
        return {finding.code for finding in lint(read_draft(path))}

    new = {"small-committee", "dear-silence", "free-committee-bias", "small-panel"}
    assert codes(edited(of_seats(*lines), changes)) & new == {code}
    assert codes(of_seats("seats = 7", "silence_share = 600")) & new == set()
    assert codes(COMPLETE) & new == {"small-panel"}


def test_equal_shares_are_refused_by_the_rules(path: Path) -> None:
    path.write_text(of_seats("seats = 7", "silence_share = 3000"))
    with pytest.raises(Rejected) as refusal:
        lint(read_draft(path))
    assert refusal.value.rule == "BadTerms"


@pytest.mark.parametrize(
    ("groups", "train", "codes"),
    [
        (0, 70, set()),
        (24, 70, {"small-yardstick"}),
        (25, 70, set()),
        (35, 70, set()),
        (36, 70, {"large-yardstick"}),
        (4, 7, {"small-yardstick", "large-yardstick"}),
    ],
)
def test_lint_warns_of_a_yardstick_that_is_too_small_or_too_large(
    path: Path, groups: int, train: int, codes: set[str]
) -> None:
    """Groups of four rows, of which three in ten are for testing."""
    write_data(path.parent.parent / "private" / "data.csv", train * 10 // 7)
    path.write_text(edited(COMPLETE, {"batch": f"8\nyardstick_groups = {groups}"}))
    draft = read_draft(path)
    assert draft.terms.groups - draft.terms.test_groups == train
    found = [finding for finding in lint(draft) if "yardstick" in finding.code]
    assert {finding.code for finding in found} == codes
    assert all("yardstick_groups" in finding.fix for finding in found)
