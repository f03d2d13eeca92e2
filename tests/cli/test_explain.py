"""Every word, rule, reason and exit code is explained, however it is spelled."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

import danku
from danku import errors
from danku.cli.completion import challenge_names, key_names, words
from danku.ledger.embedded.errors import CHECKS, ENVELOPE_RULES
from danku.protocol.errors import RULES
from danku.protocol.result import Status
from danku.protocol.state import Fault
from danku.roles.assessment import FALSE_REPORT
from danku.roles.glossary import entries
from danku.roles.stages import STAGES
from tests.cli.driver import NAME, Danku

At = Callable[[str], Danku]

WORD_LIST = """challenge organizer submitter validator terms nonce seed partition submission result
outcome vote stake seat committee pot fee bond""".split()
WORD_LIST += ["yardstick", "report", "self-reported"]
WORD_LIST += ["data group", "data root", "entry fee", "private folder", "terms digest"]
"""DESIGN.md, section 3, and what submitters say of their scores."""

EVALUATION = Path(danku.__file__).parent / "evaluation"


def rejection_codes() -> set[str]:
    """The first argument of every `ModelRejected(...)` in the evaluator."""
    found = set()
    for path in EVALUATION.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "ModelRejected":
                code = node.args[0]
                assert isinstance(code, ast.Constant), f"{path}: a code that is no constant"
                found.add(code.value)
    return found


def names(kind: str) -> set[str]:
    return {entry.name for entry in entries() if entry.kind == kind}


def test_everything_that_danku_says_has_an_entry() -> None:
    assert set(WORD_LIST) <= names("word")
    assert rejection_codes() | {FALSE_REPORT} == names("reason of rejection")
    assert set(RULES) == names("rule")
    assert set(ENVELOPE_RULES) == names("ledger rule")
    assert set(CHECKS) == names("journal check")
    assert {"test", "train-fallback", "void"} == names("outcome")
    statuses = {*Status.__args__, *Fault.__args__}  # type: ignore[attr-defined]
    assert statuses <= names("status")
    assert {stage for stage in STAGES if stage != "submission"} <= names("stage")
    families = [errors.DankuError, *errors.DankuError.__subclasses__()]
    assert {"0"} | {
        str(family.exit_code) for family in families if family.__module__ == "danku.errors"
    } == names("exit code")


def test_entries_are_sentences_without_doubles() -> None:
    found = [(entry.kind, entry.name) for entry in entries()]
    assert len(found) == len(set(found))
    for entry in entries():
        assert entry.meaning[0].isupper() or entry.meaning[0].isdigit()
        assert entry.meaning.endswith(".") and not entry.more.endswith(".")


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_every_entry_is_found_by_its_name(entry: object) -> None:
    from danku.roles.glossary import explain

    name = entry.name  # type: ignore[attr-defined]
    for spelled in (name, name.upper(), name.replace(" ", "-")):
        assert entry in explain(spelled)


@pytest.mark.parametrize(
    ("spelled", "name"),
    [
        *(("not organizer", "NotOrganizer"), ("exit 3", "3"), ("challenges", "challenge")),
        ("unsupported operator RandomUniformLike", "operator"),
        ("the same model as submission 0, which came first", "duplicate"),
        ("its commitment was not opened in time", "unopened"),
        ("1000 nodes, the limit is 10", "limit"),
        ("false report: 1.000000000 reported, 0.750000000 found", "false report"),
        ("self reported", "self-reported"),
    ],
)
def test_words_as_people_meet_them(empty: Danku, spelled: str, name: str) -> None:
    assert name in [found["name"] for found in empty("explain", spelled)]
    assert name in [found["name"] for found in empty("explain", *spelled.split())]


def test_a_typo_is_answered_with_what_is_near(empty: Danku) -> None:
    run = empty.refused("explain", "comitee", code=2, error="UnknownWord")
    assert "committee" in run.json["why"]
    assert run.json["fix"] == "danku explain committee"
    run = empty.refused("explain", "dta root", code=2, error="UnknownWord")
    assert run.json["fix"] == 'danku explain "data root"'
    run = empty.refused("explain", "zzzzzz", code=2, error="UnknownWord")
    assert (run.json["why"], run.json["fix"]) == ("", "danku explain lists all")
    empty.refused("explain", "[red]\x1b[31m", code=2, error="UnknownWord")


def test_all_are_listed(empty: Danku) -> None:
    run = empty.try_("explain")
    assert run.code == 0
    assert all(entry.name in run.out for entry in entries())
    assert len(empty("explain")) == len(entries())


def context(folder: Path) -> SimpleNamespace:
    return SimpleNamespace(params={"workspace": str(folder)})


def test_the_shell_is_offered_challenges_keys_and_words(at: At, quick: None) -> None:
    danku = at("created")
    danku("keys", "new", "alice")
    danku("keys", "new", "albert")
    here = context(danku.folder)
    assert challenge_names(here, "") == challenge_names(here, "sm") == [NAME]
    assert challenge_names(here, "x") == []
    assert key_names(here, "al") == ["albert", "alice"]
    assert "committee" in words(here, "COM")


def _hostile(folder: Path) -> None:
    (folder / "danku.toml").write_text('public = "challenges"\n')
    (folder / "challenges" / "blobs").mkdir(parents=True, exist_ok=True)
    (folder / "keys").mkdir(exist_ok=True)
    (folder / "keys" / "a b;rm.json").write_text("{}")
    cid = "a" * 50
    line = '{"action":{"action":{"kind":"create","manifest":"%s"}}}\n'
    text = (line % cid + line % "../../danku.toml").replace(" ", "")
    (folder / "challenges" / "ledger.jsonl").write_text(
        text.replace('"kind":"create",', '"kind":"create",')
    )
    (folder / "challenges" / "blobs" / cid).write_text('{"name": "$(touch hacked)\\u001b"}')


@pytest.mark.parametrize("broken", ["nothing", "toml", "journal", "hostile", "folder"])
def test_completion_never_fails_and_never_offers_what_is_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    if broken == "toml":
        (tmp_path / "danku.toml").write_text("public = [")
    elif broken == "journal":
        (tmp_path / "danku.toml").write_text("")
        (tmp_path / "challenges").mkdir()
        (tmp_path / "challenges" / "ledger.jsonl").write_bytes(b'"kind":"create"\xff\n')
    elif broken == "hostile":
        _hostile(tmp_path)
    elif broken == "folder":
        (tmp_path / "danku.toml").mkdir()
    monkeypatch.chdir(tmp_path)
    for here in (context(tmp_path), context(tmp_path / "nowhere"), None):
        assert challenge_names(here, "") == []
        assert key_names(here, "") == []


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["boa"], "board"),
        (["board", "sm"], NAME),
        (["advance", NAME, "--as", "al"], "alice"),
        (["explain", "trainf"], ""),
        (["model", "sub"], "submit"),
    ],
)
def test_a_shell_gets_what_fits_and_soon(
    at: At, quick: None, typed: list[str], offered: str
) -> None:
    danku = at("created")
    if "--as" in typed:
        danku("keys", "new", "alice")
    environment = {
        "PATH": os.environ["PATH"],
        "DANKU_WORKSPACE": str(danku.folder),
        "_DANKU_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(["danku", *typed]),
        "COMP_CWORD": str(len(typed)),
    }
    before = danku.digest(".")
    started = time.monotonic()
    script = "import sys; sys.argv = ['danku']; from danku.cli.app import main; main()"
    run = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.stdout.split() == ([offered] if offered else []), run.stderr
    assert run.stderr == ""
    assert time.monotonic() - started < 60
    assert danku.digest(".") == before, "looking leaves no trace"
