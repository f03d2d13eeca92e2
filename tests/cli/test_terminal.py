"""What others wrote is shown; it neither colours, moves nor breaks the terminal."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from danku.cli.terminal import UNSHOWN, Terminal, printable, verbatim
from danku.evaluation.evaluate import Verdict
from tests.cli.driver import NAME, SUBMITTERS, Danku, Run, write_challenge
from tests.roles.arena import InProcess, key_of, model

At = Callable[[str], Danku]
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
HOSTILE = r"[red]R[/] [/] [link=x]L \u001b[31mE\u001b[2J\u0007\u009b\u202e :skull: \\"
"""As TOML spells it: markup, stray closing tags, escape codes, a bell, a right-to-left override."""
SHOWN = f"[red]R[/] [/] [link=x]L {UNSHOWN}[31mE{UNSHOWN}[2J{UNSHOWN * 3} :skull: \\"


def harmless(danku: Danku, *words: str) -> Run:
    """Run a command with and without colours: nothing but danku's own colours may differ."""
    for _ in range(5):
        plain = danku.try_(*words)
        coloured = Danku(danku.folder, {**danku.environment, "FORCE_COLOR": "1"}).try_(*words)
        assert plain.code == coloured.code
        if COLOURS.sub("", coloured.out) == plain.out:
            break  # else a second has passed between the two, which tables of deadlines show
    assert all(character.isprintable() or character == "\n" for character in plain.out + plain.err)
    assert COLOURS.sub("", coloured.out) == plain.out
    return plain


def flat(text: str) -> str:
    """The words of a table or panel, without its frame and its line breaks."""
    return " ".join(re.sub(r"[│╭╮╰╯─━]", " ", text).split())


@pytest.fixture
def hostile(empty: Danku) -> Danku:
    """A challenge whose words try to steer the terminal, up to the submission stage."""
    empty("init", ".", "--sandbox", "--play-money", "100000")
    write_challenge(
        empty.folder,
        title=f'"{HOSTILE}"',
        summary=f'"{HOSTILE}"',
        classes=f'["no", "{HOSTILE}"]',
        target=f'"{HOSTILE}"',
    )
    data = empty.folder / "private" / "data.csv"
    word = f'"{HOSTILE}"'.encode().decode("unicode_escape")
    text = data.read_text().replace("kind", word).replace("yes", word)
    data.write_text(text)
    return empty


def test_words_of_an_organizer(hostile: Danku) -> None:
    place = f"challenges/{NAME}"
    assert SHOWN in flat(harmless(hostile, "challenge", "check", place).out)
    hostile.of("organizer")("challenge", "create", place)
    assert SHOWN in flat(harmless(hostile, "challenge", "show", NAME).out)
    assert SHOWN in flat(harmless(hostile, "board", NAME).out)
    for words in (["status"], ["challenge", "list"], ["model", "list", NAME]):
        assert harmless(hostile.of("alice"), *words).code == 0
    for name in ("vera", "victor"):
        hostile.of(name)("validator", "run")
    hostile.until("contribute")
    for name in ("organizer", "vera", "victor"):
        hostile.of(name)("advance", NAME)
    hostile.until("open_seed")
    hostile.of("organizer")("advance", NAME)
    pulled = harmless(hostile, "data", "pull", NAME)
    assert SHOWN in pulled.err
    assert hostile("challenge", "show", NAME)["manifest"]["title"].startswith("[red]R[/] [/]")


def test_reasons_that_a_committee_published(at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    class Talking(InProcess):
        def evaluate(self, *job: Any) -> Verdict:
            verdict = super().evaluate(*job)
            if verdict.score == 10**9:
                return verdict
            return Verdict("rejected", 0, "[red]R[/] [/] \x1b[31mE \\")

    monkeypatch.setattr("danku.evaluation.worker.Worker", Talking)
    danku = at("voting")
    for window in ("vote", "open_vote"):
        for name in ("vera", "victor", "viola"):
            danku.of(name)("validator", "run")
        danku.until(window)
    danku.of("bob")("challenge", "finalize", NAME)
    expected = f"[red]R[/] [/] {UNSHOWN}[31mE \\"
    for words in (["board", NAME], ["model", "list", NAME]):
        assert expected in flat(harmless(danku.of("bob"), *words).out)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", ["[red]m[/].onnx", "[/].onnx", "\x1b[31mm.onnx", ":skull:[.onnx"])
def test_names_of_files(at: At, name: str) -> None:
    danku = at("train").of("alice")
    (danku.folder / name).parent.mkdir(exist_ok=True)
    (danku.folder / name).write_bytes(model(0.0))
    shown = printable(name)
    assert f"small {shown}" in harmless(danku, "model", "check", NAME, name).err
    assert f"small {shown}" in harmless(danku, "model", "score", NAME, name).err
    data = name.replace(".onnx", ".npz")
    assert printable(data) in harmless(danku, "data", "pull", NAME, "--to", data).out
    missing = harmless(danku, "model", "check", NAME, name + "x")
    assert missing.code == 5
    assert f"{shown}x cannot be read" in missing.err


def test_words_on_the_command_line(at: At) -> None:
    danku = at("train")
    word = "[red]x[/] [/] \x1b[31m"
    for words in (
        ["board", word],
        ["status", "--as", word],
        ["data", "pull", NAME, "--part", word],
        ["ledger", "advance-time", word],
        [word],
    ):
        run = harmless(danku, *words)
        assert run.code in (2, 5)
        assert "[red]x[/] [/]" in run.err


def test_names_of_keys_and_folders(at: At) -> None:
    danku = at("train")
    (danku.folder / "keys" / "[red]k\x1b[2J.json").write_text("{}")
    assert f"[red]k{UNSHOWN}[2J" in harmless(danku, "keys", "list").out
    assert harmless(danku, "status", "--as", key_of(SUBMITTERS[0]).address).code == 2


def test_advice_is_never_markup(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal(stderr=True).tell("[red]x[/] [/] \x1b[2J")
    assert capsys.readouterr().err == f"[red]x[/] [/] {UNSHOWN}[2J\n"


@given(st.text())
def test_any_text_is_made_printable(text: str) -> None:
    made = printable(text)
    assert len(made) == len(text)
    assert all(character.isprintable() or character in "\n\t" for character in made)
    assert made == text or UNSHOWN in made


@given(st.text(alphabet=st.sampled_from("[]/\\abred=#@: ")))
def test_what_is_verbatim_is_shown_as_it_is(text: str) -> None:
    assert verbatim(text).plain == text
    assert not verbatim(text).spans


def test_a_workspace_in_a_folder_with_markup_in_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "[bold][/]"
    folder.mkdir(parents=True)
    run = harmless(Danku(folder), "status")
    assert run.code == 2
    assert str(folder) in run.err
