"""The Verify button: passes on the true record, and names the step that fails on any other."""

from __future__ import annotations

import base64
import json
import random
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from danku.crypto.hashing import keccak, to_hex
from danku.ledger.embedded.genesis import create_journal
from danku.ledger.embedded.ledger import EmbeddedLedger
from danku.pages.render import STEPS
from danku.protocol.types import ZERO_DIGEST, Score
from danku.roles import auditor, yardstick
from tests.pages.chromium import Chromium
from tests.pages.conftest import SiteAt, write
from tests.roles.arena import Arena, key_of
from tests.roles.conftest import ArenaAt
from tests.roles.staked_arena import StakedArena

Report = dict[str, Any]


def verified(
    browser: Chromium, page: Path, *, journal: Path | None = None, head: str = ""
) -> Report:
    """Press the button; what the page then says."""
    browser.open(page.as_uri())
    return pressed(browser, journal=journal, head=head)


def pressed(browser: Chromium, *, journal: Path | None = None, head: str = "") -> Report:
    """Press the button of the page that is open."""
    if journal is not None:
        browser.give_file("#journal-file", journal)
    browser.evaluate(f"document.getElementById('noted').value = {json.dumps(head)}")
    browser.evaluate("document.getElementById('verify-said').className = 'outcome'")
    browser.evaluate("document.getElementById('verify-button').click()")
    browser.until("/ (ok|failed)$/.test(document.getElementById('verify-said').className)")
    found: Report = browser.evaluate(
        """({
            said: document.getElementById("verify-said").textContent,
            ok: document.getElementById("verify-said").className.endsWith("ok"),
            states: [...document.querySelectorAll("#steps li")].map(item => item.dataset.state),
            details: [...document.querySelectorAll("#steps .detail")].map(item => item.textContent),
        })"""
    )
    return found


def fails(report: Report, number: int, words: str) -> None:
    """Check that one step failed, with such a reason, and that none was taken after it."""
    assert not report["ok"], report
    assert report["states"].index("failed") == number - 1, report
    assert set(report["states"][number:]) <= {"not reached"}
    assert f"failed in step {number}, {STEPS[number - 1].name}" in report["said"]
    assert re.search(words, report["said"]), report["said"]


def test_the_steps_are_those_of_danku_verify() -> None:
    assert [step.name for step in STEPS] == [name for name, _ in auditor.STEPS]


@pytest.mark.parametrize("step", ["create", "open_seeds", "submit", "open", "vote", "finalize"])
def test_a_true_record_holds_at_every_stage(browser: Chromium, site_at: SiteAt, step: str) -> None:
    report = verified(browser, site_at(step))
    assert report["ok"], report
    assert browser.complaints == []


def test_a_finished_competition_holds_and_what_was_not_checked_is_said(
    browser: Chromium, site_at: SiteAt, stages: ArenaAt
) -> None:
    report = verified(browser, site_at("claim"), head=stages("submit").host.ledger.head())
    assert report["ok"], report
    assert report["states"] == [
        *("partly", "ok", "ok", "partly", "ok", "partly", "ok", "not here", "partly", "partly")
    ]
    journal, _, seed, train, models, test, votes, evaluation, payouts, _ = report["details"]
    assert "the noted head is" in journal and "rules allowed" in journal
    assert "4 secrets" in seed
    assert "lead to the data root" in train and "lead to the data root" in test
    assert "3 of 3 opened as committed; 3 models whole" in models
    assert "the leaderboard above is the decided one" in votes
    assert "danku verify" in evaluation
    assert "have the decided root; 3 claims proved" in payouts
    assert "danku verify does the rest" in report["said"]
    assert browser.complaints == []
    names = [Path(url).name for url in browser.requests]
    assert names == ["index.html", "journal.js", "blobs.js"], "nothing else is asked for"


def test_a_staked_committee_holds_but_for_its_draw(browser: Chromium, tmp_path: Path) -> None:
    staked = StakedArena(tmp_path / "staked").opened()
    staked.convene()
    judges = sorted(set(staked.seated(1)))
    staked.vote(**dict.fromkeys(judges, staked.assess()))
    staked.open_votes(*judges)
    staked.finalize()
    report = verified(browser, write(staked, tmp_path / "site"))
    assert report["ok"], report
    assert "draw of the committee" in report["details"][6]


def test_a_fallback_holds(browser: Chromium, arena_at: ArenaAt, tmp_path: Path) -> None:
    arena = arena_at("open")
    arena.wait("open")
    arena.play(since="reveal_test")
    report = verified(browser, write(arena, tmp_path / "site"))
    assert report["ok"], report
    assert "train-fallback" in report["details"][6]
    assert "not revealed" in report["details"][5]


def test_a_sequencers_signatures_are_checked_as_well(
    browser: Chromium, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = key_of("sequencer")

    def create(path: Path, **options: Any) -> object:
        return create_journal(path, **{**options, "sequencer": key.public_key})

    monkeypatch.setattr("tests.roles.arena.create_journal", create)
    sequenced = partial(EmbeddedLedger, sequencer=key)
    monkeypatch.setattr("danku.roles.workspace.EmbeddedLedger", sequenced)
    arena = Arena(tmp_path / "arena").play("submit")
    page = write(arena, tmp_path / "site")
    report = verified(browser, page)
    assert report["ok"] and "asserted" not in report["details"][0], report
    journal = tmp_path / "ledger.jsonl"
    change = _at(4, rb'"sequencer_signature":"0x\w{9}', _flip)
    journal.write_bytes(b"".join(line + b"\n" for line in change(_journal(arena))))
    fails(verified(browser, page, journal=journal), 1, "sequencer named at genesis did not sign")
    journal.write_bytes(re.sub(rb',"sequencer_signature":"\w+"', b"", journal.read_bytes()))
    fails(verified(browser, page, journal=journal), 1, "sequencer named at genesis did not sign")


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Arena:
    """A finished competition in which bob's report is false, and alice's second one true."""
    root = tmp_path_factory.mktemp("reported") / "arena"
    arena = Arena(root, batch="8\nyardstick_groups = 2").play(until="submit")
    for name, number, score in (("alice", 0, 7), ("bob", 1, 10**9), ("alice", 0, 10**9)):
        yardstick.report(*arena[name], arena.identity, number, Score(score))
    return arena.play(since="submit")


@pytest.fixture(scope="module")
def reported_site(reported: Arena, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(reported, tmp_path_factory.mktemp("reported-site"))


def test_reported_scores_hold_as_they_were_signed(
    browser: Chromium, reported: Arena, reported_site: Path, tmp_path: Path
) -> None:
    report = verified(browser, reported_site)
    assert report["ok"], report
    assert "2 reported scores as signed" in report["details"][4]
    shown = "[...document.querySelectorAll('#report-rows .became')].map(item => item.textContent)"
    assert browser.evaluate(shown) == ["holds", "false"]
    assert browser.complaints == []
    lines = _journal(reported)
    [*_, place] = [number for number, line in enumerate(lines) if b'"kind":"report"' in line]
    journal = tmp_path / "ledger.jsonl"
    forged = _at(place, rb'"score":"1000000000"', b'"score":"1000000001"')(lines)
    journal.write_bytes(b"".join(line + b"\n" for line in forged))
    fails(verified(browser, reported_site, journal=journal), 1, f"line {place + 1} .*'signature'")
    for number in range(place, len(lines) - 1):
        previous = rb'"previous":"' + to_hex(keccak(forged[number])).encode()
        forged = _at(number + 1, rb'"previous":"0x\w{64}', previous)(forged)
    journal.write_bytes(b"".join(line + b"\n" for line in forged))
    fails(verified(browser, reported_site, journal=journal), 1, f"line {place + 1} .*'signature'")


def _reported_otherwise(data: dict[str, Any]) -> None:
    data["reports"][0][1] = 7


def _called_true(data: dict[str, Any]) -> None:
    data["reports"][1][2] = 1


def _never_reported(data: dict[str, Any]) -> None:
    data["reports"].append([2, 10**9, 1])


REPORTS_EDITED: dict[str, tuple[Callable[[dict[str, Any]], None], int, str]] = {
    "score": (_reported_otherwise, 5, "reported score of submission 0: found 7,"),
    "left out": (lambda data: data["reports"].pop(), 5, "reported score of submission 1"),
    "never said": (_never_reported, 5, "reported score of submission 2"),
    "twice": (lambda data: data["reports"].append(data["reports"][0]), 5, "with a reported score"),
    "of nobody": (lambda data: data["reports"].append([9, 1, None]), 5, "with a reported score"),
    "yardstick": (lambda data: data.update(yardstick=0, reports=[]), 2, "groups of the yardstick"),
    "called true": (_called_true, 7, "check of the report of submission 1"),
}


@pytest.mark.parametrize("name", REPORTS_EDITED)
def test_a_page_that_shows_other_reports_fails_in_its_step(
    browser: Chromium, reported_site: Path, tmp_path: Path, name: str
) -> None:
    change, number, words = REPORTS_EDITED[name]
    fails(verified(browser, edited(reported_site, tmp_path / "site", change)), number, words)


def test_reports_are_unchecked_until_a_committee_decides(browser: Chromium, tmp_path: Path) -> None:
    arena = Arena(tmp_path / "arena", batch="8\nyardstick_groups = 2").play(until="submit")
    yardstick.report(*arena["alice"], arena.identity, 0, Score(5))
    page = write(arena, tmp_path / "site")
    assert verified(browser, page)["ok"]
    assert ">unchecked</span>" in page.read_text("utf-8")
    called = edited(page, tmp_path / "called", lambda data: data["reports"][0].__setitem__(2, 1))
    fails(verified(browser, called), 7, "check of the report of submission 0")


Change = Callable[[list[bytes]], list[bytes]]


def _at(line: int, old: bytes, new: bytes) -> Change:
    def change(lines: list[bytes]) -> list[bytes]:
        place = line if line >= 0 else len(lines) + line
        assert re.search(old, lines[place]), (old, lines[place])
        return [*lines[:place], re.sub(old, new, lines[place], count=1), *lines[place + 1 :]]

    return change


def _flip(match: re.Match[bytes]) -> bytes:
    *start, last = match[0]
    return bytes([*start, ord("1") if last != ord("1") else ord("2")])


TAMPERED: dict[str, tuple[Change, str]] = {
    "a signature": (_at(3, rb'"signature":"0x\w{9}', _flip), "'signature'"),
    "a signer": (_at(3, rb'"public_key":"0x\w{9}', _flip), "'signature'"),
    "a commitment": (_at(2, rb'"commitment":"0x\w{9}', _flip), "'signature'"),
    "an amount": (_at(1, rb'"value":"1', b'"value":"2'), "'signature'"),
    "a nonce": (_at(4, rb'"nonce":0', b'"nonce":1'), "'signature'"),
    "what was seen": (_at(4, rb'"seen":"0x\w{9}', _flip), "'signature'"),
    "the line before": (_at(5, rb'"previous":"0x\w{9}', _flip), "'chain'"),
    "a number": (_at(5, rb'"sequence":5', b'"sequence":6'), "'chain'"),
    "a time": (_at(5, rb'"time":(\d+)\d', rb'"time":\g<1>9'), "'(chain|time)'"),
    "the last time": (_at(-1, rb'"time":(\d+)\d}', rb'"time":\g<1>9}'), "head|'time'"),
    "the genesis": (_at(0, rb'"play_money":"1', b'"play_money":"2'), "ledger|'(chain|signature)'"),
    "a space": (_at(5, rb"{", b"{ "), "canonical"),
    "a key": (_at(5, rb'"action":', b'"Action":'), "'bytes'"),
    "no JSON": (_at(5, rb"}$", b""), "not JSON"),
    "a line less": (lambda lines: [*lines[:5], *lines[6:]], "'chain'"),
    "a line twice": (lambda lines: [*lines[:6], *lines[5:]], "'chain'"),
    "lines changed over": (lambda lines: [*lines[:5], lines[6], lines[5], *lines[7:]], "'chain'"),
    "the end cut off": (lambda lines: lines[:-1], "head that this page was made from"),
    "nothing": (lambda lines: [], "no whole line"),
}


def _journal(arena: Arena) -> list[bytes]:
    return (arena.public / "ledger.jsonl").read_bytes().split(b"\n")[:-1]


@pytest.mark.parametrize("name", TAMPERED)
def test_a_journal_with_a_change_fails_in_its_step(
    browser: Chromium, site_at: SiteAt, stages: ArenaAt, tmp_path: Path, name: str
) -> None:
    change, words = TAMPERED[name]
    journal = tmp_path / "ledger.jsonl"
    journal.write_bytes(b"".join(line + b"\n" for line in change(_journal(stages("claim")))))
    fails(verified(browser, site_at("claim"), journal=journal), 1, words)
    assert browser.complaints == []


def test_any_other_byte_fails(
    browser: Chromium, site_at: SiteAt, stages: ArenaAt, tmp_path: Path
) -> None:
    whole = (stages("claim").public / "ledger.jsonl").read_bytes()
    chance = random.Random(6)
    browser.open(site_at("claim").as_uri())
    for number in range(12):
        place = chance.randrange(len(whole))
        other = chance.choice(
            [byte for byte in b'0123456789abcdef{}",: \n' if byte != whole[place]]
        )
        journal = tmp_path / f"{number}.jsonl"
        journal.write_bytes(whole[:place] + bytes([other]) + whole[place + 1 :])
        report = pressed(browser, journal=journal)
        assert not report["ok"], (place, other)
        assert report["states"][0] == "failed"


def test_bytes_behind_the_last_line_fail(
    browser: Chromium, site_at: SiteAt, stages: ArenaAt, tmp_path: Path
) -> None:
    journal = tmp_path / "ledger.jsonl"
    journal.write_bytes((stages("claim").public / "ledger.jsonl").read_bytes() + b"{")
    fails(verified(browser, site_at("claim"), journal=journal), 1, "behind the last newline")


def test_ones_own_longer_copy_holds_and_another_ledgers_does_not(
    browser: Chromium, site_at: SiteAt, stages: ArenaAt, tmp_path: Path
) -> None:
    own = stages("claim").public / "ledger.jsonl"
    assert verified(browser, site_at("vote"), journal=own)["ok"]
    script = site_at("claim").parent / "journal.js"
    assert verified(browser, site_at("vote"), journal=script)["ok"], "journal.js is one too"
    other = Arena(tmp_path / "other")
    other.create()
    report = verified(browser, site_at("vote"), journal=other.public / "ledger.jsonl")
    fails(report, 1, "ledger: found")


def test_a_noted_head_that_is_not_in_it_fails(browser: Chromium, site_at: SiteAt) -> None:
    fails(verified(browser, site_at("claim"), head=ZERO_DIGEST), 1, "rewritten or truncated")


def edited(page: Path, folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of a page whose data somebody changed."""
    shutil.copytree(page.parent, folder)
    target = folder / page.name
    text = target.read_text("utf-8")
    start = text.index('id="data">') + len('id="data">')
    end = text.index("</script>", start)
    data = json.loads(text[start:end])
    change(data)
    target.write_text(text[:start] + json.dumps(data) + text[end:], "utf-8")
    return target


def _score(data: dict[str, Any]) -> None:
    data["rows"][1][3] = 10**9


def _rank(data: dict[str, Any]) -> None:
    data["rows"][0][0], data["rows"][1][0] = 2, 1


def _submitter(data: dict[str, Any]) -> None:
    data["submitters"][0] = key_of("mallory").address


def _deadline(data: dict[str, Any]) -> None:
    data["windows"][3][3] += 60


def _left_out(data: dict[str, Any]) -> None:
    data["rows"].pop()


def _payout(data: dict[str, Any]) -> None:
    data["payouts"][0][2] = str(int(data["payouts"][0][2]) + 1)


def _winner(data: dict[str, Any]) -> None:
    data["challenge"]["ballot"]["winner"] = key_of("bob").address


EDITED: dict[str, tuple[Callable[[dict[str, Any]], None], int, str]] = {
    "terms": (lambda data: data["challenge"].update(termsDigest=ZERO_DIGEST), 2, "terms digest"),
    "threshold": (lambda data: data.update(threshold=1), 2, "threshold"),
    "deadline": (_deadline, 2, "deadline of submit"),
    "seed": (lambda data: data["challenge"].update(seed=ZERO_DIGEST), 3, "seed"),
    "split": (lambda data: data["testGroups"].pop(), 3, "test groups"),
    "train": (lambda data: data["challenge"].update(train=None), 4, "train bundle"),
    "submitter": (_submitter, 5, "submitter of submission"),
    "left out": (_left_out, 5, "submissions on this page"),
    "test": (lambda data: data["challenge"].update(test=None), 6, "test bundle"),
    "score": (_score, 7, "score of submission"),
    "rank": (_rank, 7, "rank of submission"),
    "winner": (_winner, 7, "0 of 3 seats"),
    "payout": (_payout, 9, "payout root"),
    "link": (lambda data: data["challenge"].update(link=ZERO_DIGEST), 10, "learning link"),
}


@pytest.mark.parametrize("name", EDITED)
def test_a_page_that_shows_something_else_fails_in_its_step(
    browser: Chromium, site_at: SiteAt, tmp_path: Path, name: str
) -> None:
    change, number, words = EDITED[name]
    page = edited(site_at("claim"), tmp_path / "site", change)
    fails(verified(browser, page), number, words)


def blobs_of(page: Path) -> dict[str, str]:
    text = (page.parent / "blobs.js").read_text("ascii")
    found: dict[str, str] = json.loads(text.removeprefix("danku.blobs(").removesuffix(");\n"))
    return found


@pytest.mark.parametrize(
    ("which", "number"), [("manifest", 2), ("train", 4), ("group", 4), ("model", 5), ("test", 6)]
)
def test_other_bytes_beside_the_page_fail_in_their_step(
    browser: Chromium, site_at: SiteAt, stages: ArenaAt, tmp_path: Path, which: str, number: int
) -> None:
    shutil.copytree(site_at("claim").parent, tmp_path / "site")
    page, challenge = tmp_path / "site" / "index.html", stages("claim").challenge
    blobs = blobs_of(page)
    opening = challenge.submissions[0].opening
    assert opening and challenge.train and challenge.test
    cids = {"manifest": challenge.manifest, "train": challenge.train, "test": challenge.test}
    cids |= {"model": opening.cid}
    cids["group"] = json.loads(base64.b64decode(blobs[challenge.train]))["groups"][0]["cid"]
    data = bytearray(base64.b64decode(blobs[cids[which]]))
    data[len(data) // 2] ^= 1
    blobs[cids[which]] = base64.b64encode(data).decode("ascii")
    (page.parent / "blobs.js").write_text(f"danku.blobs({json.dumps(blobs)});\n")
    fails(verified(browser, page), number, "CID of a file")


def test_without_its_blobs_a_page_says_what_it_could_not_check(
    browser: Chromium, site_at: SiteAt, tmp_path: Path
) -> None:
    shutil.copytree(site_at("claim").parent, tmp_path / "site")
    (tmp_path / "site" / "blobs.js").unlink()
    report = verified(browser, tmp_path / "site" / "index.html")
    assert report["ok"]
    assert "blobs.js is not beside this page" in report["said"]
    assert report["states"][3] == "not here"
    assert "does not come with this page" in report["details"][6]


def test_without_its_journal_a_page_says_so_and_takes_another(
    browser: Chromium, site_at: SiteAt, stages: ArenaAt, tmp_path: Path
) -> None:
    shutil.copytree(site_at("claim").parent, tmp_path / "site")
    (tmp_path / "site" / "journal.js").unlink()
    page = tmp_path / "site" / "index.html"
    report = verified(browser, page)
    assert not report["ok"]
    assert "journal.js is not beside this page" in report["said"]
    assert verified(browser, page, journal=stages("claim").public / "ledger.jsonl")["ok"]
