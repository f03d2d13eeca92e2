"""What a newcomer meets first: a treasurer without a key, empty lists, advice that fits."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable

import pytest

from danku.cli.render import moment
from tests.cli.driver import NAME, Danku
from tests.cli.fixtures import Worker
from tests.roles.arena import key_of

At = Callable[[str], Danku]


@pytest.mark.usefixtures("quick")
def test_a_treasurer_gets_a_key_with_the_ledger(empty: Danku) -> None:
    told = empty.try_("init", "arena", "--treasurer", "tara")
    assert told.code == 0
    arena = Danku(empty.folder / "arena")
    [key] = arena("keys", "list")
    assert key["name"] == "tara"
    assert "--as tara" in told.err and "--workspace arena" in told.err
    arena("ledger", "grant", "tara", "500")
    assert arena("status")["balances"] == {"tara": "500"}
    danku = Danku(arena.folder, {"DANKU_AS": "tara"})
    danku.refused("ledger", "grant", "nobody", "500", code=2, error="NoKey")


@pytest.mark.usefixtures("quick")
def test_an_init_that_was_killed_keeps_the_treasurers_key(empty: Danku) -> None:
    first = empty("init", ".", "--treasurer", "tara")["treasurer"]
    for part in ("challenges", "private"):
        shutil.rmtree(empty.folder / part)
    (empty.folder / "danku.toml").unlink()
    assert empty("init", ".", "--treasurer", "tara")["treasurer"] == first
    empty.refused("init", ".", "--treasurer", "other", code=2, error="WorkspaceExists")
    assert [each["name"] for each in empty("keys", "list")] == ["tara"]


def test_a_treasurer_without_a_password_leaves_nothing(empty: Danku) -> None:
    danku = Danku(empty.folder, {"DANKU_PASSWORD": ""})
    danku.refused("init", ".", "--treasurer", "tara", code=2, error="UsageError")
    assert not [path for path in empty.folder.rglob("*") if path.is_file()]


def test_a_pipeline_for_an_old_workspace_is_all_that_is_told(at: At) -> None:
    danku = at("made")
    told = danku.try_("init", ".", "--ci", "github")
    assert told.out.split() == ["pipeline", str(danku.folder / ".github/workflows/danku.yml")]
    assert "keys new" not in told.err


def test_empty_lists_say_how_to_begin(at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("danku.evaluation.worker.Worker", Worker)
    danku = at("made").of("vera")
    assert "danku challenge new" in danku.try_("challenge", "list").out
    assert "danku keys new" in danku.try_("keys", "list").out
    assert "no challenge that goes on" in danku.try_("validator", "status").out


def test_an_onlooker_without_a_key_sees_how_things_stand(at: At) -> None:
    danku = at("submitted")
    seen = danku("status", NAME)
    assert seen["challenges"][0]["stage"] == "submission"
    assert (seen["balances"], seen["challenges"][0]["next"]) == ({}, [])
    told = danku.try_("status", NAME)
    assert "submission" in told.out and "danku keys new NAME" in told.err
    danku.refused("status", NAME, "--as", "nobody", code=2, error="NoKey")


def test_the_calendar_of_check_begins_at_the_ledgers_time(at: At) -> None:
    danku = at("made").of("organizer")
    place = f"challenges/{NAME}"
    danku("ledger", "advance-time", "4000d")
    told = danku.try_("challenge", "check", place).out
    contribute = next(line for line in told.splitlines() if "contribute " in line)
    assert contribute.split()[1] == moment(danku("ledger", "show")["time"] + 3_600).split()[0]
    outside = Danku(danku.folder.parent).try_("challenge", "check", str(danku.folder / place))
    assert outside.code == 0


def test_a_score_leads_to_submit_only_while_that_is_open(at: At) -> None:
    for stage, open_ in (("submitted", True), ("opening", False)):
        danku = at(stage).of("alice")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("danku.evaluation.worker.Worker", Worker)
            told = danku.try_("model", "score", NAME, "alice.onnx")
        assert ("danku model submit" in told.err) is open_


def test_money_is_told_with_separators(at: At) -> None:
    danku = at("created").of("organizer")
    costs = [step["cost_of_missing"] for step in danku("status")["challenges"][0]["next"]]
    assert any("5,000" in cost for cost in costs)
    assert "bond 5,000" in danku.try_("challenge", "check", f"challenges/{NAME}").out
    assert key_of("organizer").address in json.dumps(danku("challenge", "show", NAME))
