"""A whole competition in git clones: push, be refused, pull, push again; nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from danku.ledger.embedded.journal import Journal
from danku.ledger.embedded.lines import read_line
from tests.cli.driver import NAME, WINDOWS, write_challenge
from tests.end_to_end.clones import Clone, another_clone, first_clone
from tests.roles.arena import VALIDATORS, key_of, model


class Calendar:
    """The sandbox's windows, and the one clone that moves its time to them."""

    def __init__(self, clone: Clone) -> None:
        # NOTE: two clones that advance the time at once advance it twice, so one does it for all.
        self.clone = clone
        shown = clone.danku("challenge", "show", NAME)
        lengths, at = shown["terms"]["schedule"], shown["created"]
        self.ends: dict[str, int] = {}
        for window in WINDOWS:
            at += lengths[window]
            self.ends[window] = at
        self.time = shown["created"]

    def until(self, window: str) -> None:
        """Move the time to a window's end, for everybody who pulls."""
        self.clone.git("pull", "--quiet", self.clone.pulling)
        ahead = f"{self.ends[window] - self.time}s"
        self.time = self.clone.danku("ledger", "advance-time", ahead)["time"]
        self.clone.share()


def at_once(clones: Sequence[Clone], act: Callable[[Clone], object]) -> None:
    """Everybody pulls and acts without knowing of the others; then all share."""

    for clone in clones:
        clone.git("pull", "--quiet", clone.pulling)
    for clone in clones:
        act(clone)
        clone.commit()
    for clone in clones:
        clone.share()


def run(*words: str) -> Callable[[Clone], object]:
    return lambda clone: clone.danku(*words)


def actions_in(clone: Clone) -> list[str]:
    """Sender and digest of all signed actions of a clone's journal."""
    lines = list(Journal(clone.journal).read())[1:]
    return [read_line(line).action.signature for line in lines]


def of_seats(folder: Path) -> Path:
    """The small challenge, judged by a committee of three seats."""
    place = write_challenge(folder, panel='"seats"', addresses="[]")
    file = place / "challenge.toml"
    file.write_text(file.read_text().replace("addresses = []", "seats = 3"))
    return place


def pass_over(clone: Clone) -> None:
    """A pass of a validator, which may have drawn no seat and then has nothing to do."""
    assert clone.try_danku("validator", "run").code in (0, 4)


def test_a_competition_in_git_clones(tmp_path: Path) -> None:
    organizer = first_clone(tmp_path, "organizer", "--stake", "1000")
    organizer.share()
    submitters = [another_clone(tmp_path, name) for name in ("alice", "bob")]
    bob = submitters[1]
    validators = [another_clone(tmp_path, name) for name in VALIDATORS]
    everybody = [organizer, *submitters, *validators]
    for clone in everybody[::2]:
        clone.pulling = "--rebase"

    at_once(validators, run("validator", "join", "--seats", "2"))
    organizer.git("pull", "--quiet", organizer.pulling)
    organizer.danku("challenge", "create", str(of_seats(organizer.folder)))
    organizer.share()
    calendar = Calendar(organizer)

    at_once(validators, run("validator", "run"))
    calendar.until("contribute")
    at_once([organizer, *validators], run("advance", NAME))
    calendar.until("open_seed")
    assert organizer.danku("advance", NAME)["done"] == ["draw", "reveal_train"]
    organizer.share()

    for shift, clone in enumerate(submitters):
        (clone.folder / "private").mkdir(0o700)
        (clone.folder / "private" / "model.onnx").write_bytes(model(2.0 * shift))
    entering = ("model", "submit", NAME, "private/model.onnx", "--unchecked")
    at_once(submitters, run(*entering))

    # Bob enters once more, but shares it only when the window has closed for everybody.
    bob.git("pull", "--quiet", bob.pulling)
    (bob.folder / "private" / "late.onnx").write_bytes(model(1.0))
    bob.danku("model", "submit", NAME, "private/late.onnx", "--unchecked")
    [pending] = bob.status()["pending"]
    assert (pending["kind"], pending["sender"]) == ("submit", key_of("bob").address)
    calendar.until("submit")
    assert "Late" in bob.share()
    status = bob.status()
    assert status["pending"] == []
    [refused] = status["refused"]
    assert (refused["rule"], refused["digest"]) == ("Late", pending["digest"])
    [noted] = (bob.folder / "challenges" / "ledger.jsonl.refused").read_text().splitlines()
    assert json.loads(noted)["rule"] == "Late"

    at_once(submitters, run("advance", NAME))
    calendar.until("open")
    organizer.danku("challenge", "reveal-test", NAME)
    organizer.share()
    calendar.until("reveal_test")

    # Each draws the committee and votes; of three draws one stands, and whoever drew in vain votes
    # again behind it.
    at_once(validators, pass_over)
    again = [clone for clone in validators if clone.status()["refused"]]
    assert 0 < len(again) < len(validators)
    at_once(again, pass_over)
    calendar.until("vote")
    at_once(validators, pass_over)
    calendar.until("open_vote")
    at_once(submitters, run("advance", NAME))
    at_once(submitters, lambda clone: clone.try_danku("claim"))

    known = {signature for clone in everybody for signature in actions_in(clone)}
    for clone in everybody:
        clone.git("pull", "--quiet", clone.pulling)
        clone.share()
    for clone in everybody:
        clone.git("pull", "--quiet", clone.pulling)
    heads = set()
    for clone in everybody:
        verified = clone.danku("verify", NAME)
        assert verified["ok"]
        status = clone.status()
        assert status["pending"] == []
        heads.add(status["ledger_head"])
    assert len(heads) == 1
    assert known == set(actions_in(organizer))
    assert sum(clone.conflicts for clone in everybody) >= 8
    board = organizer.danku("board", NAME)
    assert [line["status"] for line in board["lines"]] == ["ranked", "ranked"]
    assert [seat["vote"] for seat in board["committee"]] == ["majority"] * 3
    assert {seat["lost"] for seat in board["committee"]} == {"0"}
