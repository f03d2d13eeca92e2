"""Kill -9 in the middle of any command loses nothing acknowledged, and the next command works."""

from __future__ import annotations

import json
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random, SystemRandom

import pytest

from danku.roles.workspace import Workspace
from tests.cli.driver import NAME, PASSWORD, WINDOWS, write_challenge
from tests.end_to_end.killing import Ended, Killer
from tests.roles.arena import VALIDATORS, key_of, model

DONE_BEFORE = {
    *("AlreadyRunning", "AlreadySubmitted", "AlreadyContributed", "AlreadyOpened", "AlreadyDrawn"),
    *("AlreadyRevealed", "AlreadyConvened", "AlreadyVoted", "Final", "NotYet"),
    *("WorkspaceExists", "KeyFileExists", "FolderExists", "BackupExists", "JournalExists"),
}
"""What a command says of a step that a killed one had finished."""

COMMANDS = 40
ATTEMPTS = 8
"""At one command, since some end before they are killed."""

EXPECTED = Counter(
    {
        ("organizer", "create"): 1,
        ("organizer", "draw"): 1,
        ("organizer", "open_seed"): 1,
        ("organizer", "reveal_train"): 1,
        ("organizer", "reveal_test"): 1,
        ("alice", "submit"): 2,
        ("alice", "open"): 2,
        ("bob", "submit"): 1,
        ("bob", "open"): 1,
        ("bob", "finalize"): 1,
        ("vera", "convene"): 1,
    }
    | {
        (name, kind): 1
        for name in VALIDATORS
        for kind in ("contribute", "open_seed", "vote", "open_vote")
    }
)
"""Every action but claims, by sender: none is lost, none is made twice."""


@dataclass
class Game:
    """A competition by hand; commands are killed until a number of kills is reached."""

    root: Path
    killer: Killer
    kills: int
    torn: int = 0

    @property
    def public(self) -> Path:
        return self.root / "organizer" / "challenges"

    @property
    def journal(self) -> Path:
        return self.public / "ledger.jsonl"

    def run(self, who: str, *words: str, kill: bool = False) -> Ended:
        folder = self.root / who
        folder.mkdir(exist_ok=True)
        environment = {"COLUMNS": "200", "DANKU_PASSWORD": PASSWORD}
        if words[0] not in ("init", "keys"):
            environment["DANKU_PRIVATE_KEY"] = "0x" + key_of(who).unsafe_secret().hex()
        return self.killer.run(folder, environment, [*words, "--json", "--yes"], kill=kill)

    def command(self, who: str, *words: str, share: float) -> None:
        """Kill a command as long as its share of the kills is not reached, then let it end."""
        acknowledged: list[bytes] = []
        attempts = ATTEMPTS
        while self.killer.kills < share * self.kills and attempts:
            attempts -= 1
            ended = self.run(who, *words, kill=True)
            if not ended.killed:
                self._accept(ended, words)
            if ended.receipt is not None and self.journal.exists():
                acknowledged.append(self._whole())
            self._next_command_works(who)
            assert all(self._whole().startswith(known) for known in acknowledged)
        self._accept(self.run(who, *words), words)

    def _accept(self, ended: Ended, words: tuple[str, ...]) -> None:
        said = f"danku {' '.join(words)}: {ended.code}\n{ended.out}\n{ended.err}"
        assert ended.code == 0 or ended.receipt["error"] in DONE_BEFORE, said
        assert "Traceback" not in ended.err, said

    def _next_command_works(self, who: str) -> None:
        if (self.root / who / "danku.toml").exists():
            shown = self.run(who, "ledger", "show")
            assert shown.code == 0, shown.err

    def _whole(self) -> bytes:
        data = self.journal.read_bytes()
        return data[: data.rfind(b"\n") + 1]

    def tear(self) -> None:
        """Leave the journal as a writer leaves it that is killed in the middle of its line."""
        line = self._whole().splitlines()[-1]
        with self.journal.open("ab") as journal:
            journal.write(line[: self.killer.random.randrange(1, len(line))])
        self.torn += 1

    def until(self, window: str) -> None:
        shown = json.loads(self.run("organizer", "challenge", "show", NAME).out)
        lengths = shown["terms"]["schedule"]
        end = shown["created"] + sum(lengths[name] for name in WINDOWS[: WINDOWS.index(window) + 1])
        ahead = end - json.loads(self.run("organizer", "ledger", "show").out)["time"]
        moved = self.run("organizer", "ledger", "advance-time", f"{ahead}s")
        assert moved.code == 0, moved.err


def script(game: Game) -> Iterator[tuple[str, ...]]:
    """The competition's commands; what is between two of them is neither killed nor counted."""
    yield "organizer", "init", ".", "--sandbox", "--play-money", "100000"
    place = write_challenge(game.root / "organizer")
    yield "organizer", "keys", "new", "spare"
    yield "organizer", "challenge", "new", "digits", "--from", "digits"
    yield "organizer", "challenge", "create", str(place)
    game.tear()
    for name in ("alice", "bob", *VALIDATORS):
        yield name, "init", ".", "--join", str(game.public)
    for name in VALIDATORS:
        yield name, "validator", "run"
    game.until("contribute")
    for name in ("organizer", *VALIDATORS):
        yield name, "advance", NAME
    game.tear()
    game.until("open_seed")
    yield "organizer", "advance", NAME
    for name, shifts in (("alice", (0.0, 4.0)), ("bob", (2.0,))):
        yield name, "data", "pull", NAME, "--to", "train.npz"
        for shift in shifts:
            file = game.root / name / f"model-{shift}.onnx"
            file.write_bytes(model(shift))
            yield name, "model", "submit", NAME, file.name, "--unchecked"
    game.until("submit")
    yield "alice", "model", "open", NAME
    yield "bob", "advance", NAME
    game.until("open")
    yield "organizer", "challenge", "reveal-test", NAME
    game.until("reveal_test")
    for name in VALIDATORS:
        yield name, "validator", "run"
    yield "organizer", "keys", "export", "spare", "--to", "backup.tar", "--with-private"
    yield "organizer", "ledger", "export", "--to", "copy.jsonl"
    game.tear()
    game.until("vote")
    for name in VALIDATORS:
        yield name, "validator", "run"
    game.until("open_vote")
    yield "bob", "advance", NAME
    for name in ("organizer", "alice", "bob", *VALIDATORS):
        yield name, "claim"


def play(root: Path, seed: int, kills: int) -> None:
    """Play a competition of which commands are killed, and check what became of it."""
    print(f"seed {seed}")
    game = Game(root, Killer(Random(seed)), kills)
    for number, (who, *words) in enumerate(script(game), start=1):
        game.command(who, *words, share=min(1, number / COMMANDS))
    assert number == COMMANDS
    assert game.killer.kills >= kills, f"only {game.killer.kills} of {kills} commands were killed"

    workspace = Workspace(root / "organizer")
    names = {key_of(name).address: name for name in ("organizer", "alice", "bob", *VALIDATORS)}
    found = Counter(
        (names[entry.sender], entry.action.__struct_config__.tag)
        for entry in workspace.ledger.actions()
    )
    repeated = ("advance_time", "claim", "claim_deposit", "withdraw")
    assert {key: count for key, count in found.items() if key[1] not in repeated} == EXPECTED
    assert len(list(game.public.glob("ledger.jsonl.torn-*"))) >= game.torn
    (challenge,) = workspace.state().challenges.values()
    assert challenge.escrow == 0, "everybody has taken out what was owed"

    board = json.loads(game.run("bob", "board", NAME).out)
    assert [line["status"] for line in board["lines"]] == ["ranked"] * 3
    game.run("carol", "init", ".", "--join", str(game.public))
    verified = game.run("carol", "verify", NAME)
    assert verified.code == 0, verified.out
    assert verified.receipt["ok"]
    sealed = list((root / "alice" / "private").glob("0x*/submission-*.json"))
    assert len(sealed) == 2, "a model that was sealed before a kill is not sealed again"
    with tarfile.open(root / "organizer" / "backup.tar") as backup:
        saved = set(backup.getnames())
    assert "keys/spare.json" in saved and any("groups.bin" in name for name in saved)
    copy = (root / "organizer" / "copy.jsonl").read_bytes()
    assert game.journal.read_bytes().startswith(copy)


def test_a_competition_whose_commands_are_killed(tmp_path: Path) -> None:
    play(tmp_path, SystemRandom().randrange(2**32), kills=20)


@pytest.mark.soak
@pytest.mark.parametrize("part", range(10))
def test_a_competition_whose_commands_are_killed_again_and_again(tmp_path: Path, part: int) -> None:
    play(tmp_path, SystemRandom().randrange(2**32) + part, kills=50)
