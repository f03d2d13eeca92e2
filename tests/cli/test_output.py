"""Results on stdout, the rest on stderr; with --json exactly one document, whatever happens."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from danku.errors import (
    DankuError,
    DataError,
    NotYet,
    Rejected,
    StorageError,
    UsageError,
    VerificationFailed,
)
from tests.cli.driver import NAME, Danku, Run
from tests.cli.words import COMMANDS
from tests.roles.arena import key_of

At = Callable[[str], Danku]
EXPENSIVE = {("demo",), ("network", "add"), ("network", "deploy")}
"""Have tests of their own."""


@dataclass(frozen=True)
class Scene:
    """A command that succeeds at a stage of the competition."""

    stage: str
    who: str
    words: str

    def play(self, at: At, *more: str) -> Run:
        return at(self.stage).of(self.who).try_(*self.words.split(), *more)


SCENES = (
    Scene("made", "organizer", "init other --sandbox"),
    Scene("made", "organizer", "keys new fresh"),
    Scene("created", "organizer", "keys list"),
    Scene("made", "organizer", "keys import fresh"),
    Scene("submitted", "alice", "keys seal sealed.bin"),
    Scene("made", "organizer", "challenge new mine --from digits"),
    Scene("made", "organizer", "challenge new --list"),
    Scene("made", "organizer", f"challenge check challenges/{NAME}"),
    Scene("made", "organizer", f"challenge create challenges/{NAME} --yes"),
    Scene("created", "organizer", f"challenge cancel {NAME} --yes"),
    Scene("train", "organizer", f"challenge show {NAME}"),
    Scene("train", "organizer", "challenge list"),
    Scene("revealing", "organizer", f"challenge reveal-test {NAME}"),
    Scene("decided", "bob", f"challenge finalize {NAME}"),
    Scene("created", "vera", "validator run"),
    Scene("created", "vera", "validator status"),
    Scene("created", "vera", "validator join --seats 2 --yes"),
    Scene("created", "vera", "validator list"),
    Scene("seeded", "vera", f"status {NAME}"),
    Scene("opening", "alice", f"advance {NAME}"),
    Scene("submitted", "alice", f"data pull {NAME} --to train.npz"),
    Scene("submitted", "alice", f"data pull {NAME} --to train.csv"),
    Scene("submitted", "alice", f"model check {NAME} alice.onnx"),
    Scene("submitted", "alice", f"model score {NAME} alice.onnx"),
    Scene("submitted", "alice", f"model score {NAME} alice.onnx --runtime onnxruntime"),
    Scene("train", "alice", f"model submit {NAME} alice.onnx --yes"),
    Scene("submitted", "alice", f"model list {NAME}"),
    Scene("opening", "alice", f"model open {NAME}"),
    Scene("opening", "bob", f"model open {NAME} --submission 1"),
    Scene("final", "alice", f"board {NAME}"),
    Scene("final", "alice", f"board {NAME} --html site"),
    Scene("final", "alice", "explain"),
    Scene("final", "alice", "explain Late"),
    Scene("final", "alice", "status"),
    Scene("final", "alice", f"verify {NAME}"),
    Scene("final", "alice", "claim"),
    Scene("final", "alice", "learn log"),
    Scene("final", "alice", "learn search --output label --passing"),
    Scene("final", "alice", f"learn show {NAME}"),
    Scene("final", "alice", "ledger show --last 3"),
    Scene("final", "alice", "ledger verify"),
    Scene("final", "alice", "ledger export --to copy.jsonl"),
    Scene("final", "alice", "ledger advance-time 2h"),
    Scene("final", "alice", "ledger merge challenges/ledger.jsonl"),
    Scene("final", "alice", "storage status"),
    Scene("final", "alice", "storage use embedded --keep-days 60"),
    Scene("made", "alice", "network list"),
    Scene("made", "alice", "network use embedded"),
)
NEEDING_MORE = {
    ("keys", "show"),
    ("keys", "export"),
    ("keys", "unseal"),
    ("validator", "leave"),
    ("challenge", "draw"),
    ("model", "report"),
    ("challenge", "reveal-train"),
    ("ledger", "import"),
    ("ledger", "grant"),
    ("ledger", "install-driver"),
    ("ledger", "merge-driver"),
    ("storage", "pin"),
    ("storage", "fetch"),
    ("storage", "gc"),
    ("serve",),
}
"""Played below, after what has to come before them, or in `tests.cli.test_yardstick`."""


def test_every_command_has_a_scene() -> None:
    played = {
        path
        for path in COMMANDS
        for scene in SCENES
        if tuple(scene.words.split()[: len(path)]) == path
    }
    assert played | NEEDING_MORE | EXPENSIVE == set(COMMANDS)


def _check(plain: Run, document: Run) -> None:
    assert plain.code == 0, plain.err
    assert document.code == 0, document.err
    assert plain.out.strip()
    assert "next: " not in plain.out
    assert document.err == ""
    assert isinstance(json.loads(document.out), dict | list)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.words)
def test_a_command_prints_its_result_or_one_document(at: At, scene: Scene) -> None:
    _check(scene.play(at), scene.play(at, "--json"))


@pytest.mark.usefixtures("quick")
def test_keys_are_shown_and_exported(at: At) -> None:
    danku = at("submitted")
    danku("keys", "new", "fresh")
    shown = ("keys", "show", "fresh")
    _check(danku.try_(*shown), danku.try_(*shown, "--json"))
    exported = ("keys", "export", "fresh", "--with-private", "--yes", "--to")
    _check(danku.try_(*exported, "one.tar"), danku.try_(*exported, "two.tar", "--json"))
    danku.refused(*exported, "one.tar", code=2, error="BackupExists")


@pytest.mark.usefixtures("quick")
def test_a_sealed_folder_is_opened_by_its_key_alone(at: At) -> None:
    danku = at("submitted").of("alice")
    danku("keys", "seal", "sealed.bin")
    unseal = ("keys", "unseal", "sealed.bin")
    _check(danku.try_(*unseal), danku.try_(*unseal, "--json"))
    danku.of("bob").refused(*unseal, code=5, error="SealBroken")


def test_the_seed_is_drawn_and_the_train_data_revealed(at: At) -> None:
    for step in ("draw", "reveal-train"):
        runs = []
        for more in ((), ("--json",)):
            danku = at("seeded")
            danku.until("open_seed")
            if step == "reveal-train":
                danku.of("organizer")("challenge", "draw", NAME)
            runs.append(danku.of("organizer").try_("challenge", step, NAME, *more))
        _check(*runs)


def test_money_is_granted_by_the_treasurer(empty: Danku) -> None:
    treasurer = key_of("organizer").address
    empty("init", ".", "--treasurer", treasurer)
    words = ("ledger", "grant", key_of("alice").address, "1000")
    runs = [empty.of("organizer").try_(*words, *more) for more in ((), ("--json",))]
    _check(*runs)
    balances = empty.of("alice")("status")["balances"]
    assert list(balances.values()) == ["2000"]
    empty.of("alice").refused(*words, code=3, error="NotTreasurer")


def test_a_longer_journal_is_imported(at: At) -> None:
    for more in ((), ("--json",)):
        behind, ahead = at("created"), at("train")
        journal = str(ahead.folder / "challenges" / "ledger.jsonl")
        run = behind.try_("ledger", "import", journal, *more)
        assert run.code == 0, run.err
        assert behind("ledger", "show")["head"] == ahead("ledger", "show")["head"]


def test_git_merges_two_journals_in_its_own_files(at: At) -> None:
    danku = at("created")
    subprocess.run(["git", "init", "-q"], cwd=danku.folder, check=True)
    _check(*[danku.try_("ledger", "install-driver", *words) for words in ((), ("--json",))])
    journal = danku.folder / "challenges" / "ledger.jsonl"
    shared = journal.read_bytes()
    danku.of("alice")("ledger", "advance-time", "1s")
    for number, more in enumerate([(), ("--json",)]):
        ours, theirs = danku.folder / f"ours {number}", danku.folder / f"theirs {number}"
        ours.write_bytes(shared)
        theirs.write_bytes(journal.read_bytes())
        words = ("ledger", "merge-driver", "base", str(ours), str(theirs), str(journal))
        run = danku.try_(*words, *more)
        assert run.code == 0, run.err
        assert ours.read_bytes() == journal.read_bytes()
        if more:
            assert run.json["kept"] == "their side" and not run.err
        else:
            assert not run.out, "git's own output is not mixed with it"
            assert "their side stays" in run.err, "it has the newest line seen"


FAMILIES = {
    DankuError: ("final", "alice", "board small", "Crash"),
    UsageError: ("final", "alice", "board nothing", "UnknownName"),
    Rejected: ("final", "alice", "challenge finalize small", "Final"),
    NotYet: ("created", "alice", "claim", "NotYet"),
    DataError: ("made", "organizer", "challenge check nowhere", "ChallengeFileBroken"),
    StorageError: ("train", "alice", "data pull small", "NotFound"),
    VerificationFailed: ("final", "alice", "status", "Rewritten"),
}


@pytest.fixture(params=FAMILIES, ids=lambda family: family.__name__)
def failing(
    request: pytest.FixtureRequest, at: At, monkeypatch: pytest.MonkeyPatch
) -> tuple[Danku, list[str], int, str]:
    """A command that ends in an error of each family."""
    stage, who, words, error = FAMILIES[request.param]
    danku = at(stage).of(who)
    public = danku.folder / "challenges"
    if request.param is DankuError:

        def crash(*_: object) -> None:
            raise RuntimeError("a fault in danku")

        monkeypatch.setattr("danku.roles.board.board", crash)
    elif request.param is StorageError:
        for blob in (public / "blobs").iterdir():
            if not blob.read_bytes().startswith(b"{"):  # groups, not records
                blob.unlink()
    elif request.param is VerificationFailed:
        lines = (public / "ledger.jsonl").read_bytes().splitlines(keepends=True)
        (public / "ledger.jsonl").write_bytes(b"".join(lines[:-1]))
    return danku, words.split(), request.param.exit_code, error


def test_an_error_names_itself_and_advises(failing: tuple[Danku, list[str], int, str]) -> None:
    danku, words, code, error = failing
    run = danku.try_(*words)
    assert run.code == code
    assert run.out == ""
    first, *rest = run.err.splitlines()
    assert first.startswith(f"{error}: ")
    assert any(line.startswith("  fix: ") for line in rest)
    assert "Traceback" not in run.err


def test_an_error_is_one_document_too(failing: tuple[Danku, list[str], int, str]) -> None:
    danku, words, code, error = failing
    run = danku.try_(*words, "--json")
    assert run.code == code
    assert list(run.json) == ["error", "what", "why", "fix"]
    assert run.json["error"] == error
    assert run.json["what"]
    assert run.json["fix"]


def test_a_traceback_is_shown_on_demand_only(failing: tuple[Danku, list[str], int, str]) -> None:
    danku, words, code, error = failing
    run = danku.try_(*words, "--verbose", "--json")
    assert run.code == code
    assert "Traceback (most recent call last)" in run.err
    assert run.json["error"] == error


def test_words_that_are_no_command_are_an_error_like_any_other(empty: Danku) -> None:
    for words, error in (
        ("model submitt", "UsageError"),
        ("model submit", "MissingParameter"),
        ("board x --nothing", "NoSuchOption"),
        ("data pull x --part all", "BadParameter"),
        ("ledger show --last many", "BadParameter"),
    ):
        plain = empty.try_(*words.split())
        assert (plain.code, plain.out) == (2, "")
        assert plain.err.startswith(f"{error}: ")
        assert "--help" in plain.err
        document = empty.refused(*words.split(), code=2, error=error)
        assert document.json["fix"]


def test_a_file_that_the_system_refuses_is_an_error_of_storage(at: At) -> None:
    danku = at("train")
    run = danku.refused(*("keys", "export", "nobody", "--to", "x.tar"), code=2, error="NoKey")
    assert "danku keys" in run.json["fix"]
    run = danku.refused(
        *("ledger", "export", "--to", "no/such/folder/x"), code=6, error="JournalUnavailable"
    )
    assert "no/such/folder" in run.json["what"]


def test_without_a_terminal_nothing_is_confirmed_by_itself(at: At) -> None:
    danku = at("created").of("organizer")
    before = danku.digest()
    run = danku.try_("challenge", "cancel", NAME, "--json")
    assert (run.code, run.json["error"]) == (2, "Declined")
    assert "--yes" in run.json["fix"]
    assert danku.digest() == before


def test_what_is_named_is_not_cut_into_lines(at: At) -> None:
    danku = Danku(at("final").folder, {"COLUMNS": "40"})
    head = danku("ledger", "show")["head"]
    assert f"head {head}\n" in danku.try_("ledger", "show").out
    path = "a" * 100 + "/challenge.toml"
    assert path in danku.try_("challenge", "check", path).err
