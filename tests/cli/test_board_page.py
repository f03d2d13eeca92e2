"""`danku board --html`, `danku serve`, and what --watch shows."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest

from danku.cli import watching
from tests.cli.driver import NAME, Danku
from tests.roles.arena import key_of

At = Callable[[str], Danku]


def test_the_page_is_written_and_can_be_written_again(at: At, quick: None) -> None:
    danku = at("final").of("alice")
    site = danku.folder / "site"
    found = danku("board", NAME, "--html", str(site))
    assert found["page"] == str(site / "index.html")
    assert sorted(found["files"]) == ["blobs.js", "index.html", "journal.js"]
    assert {path.name: path.stat().st_size for path in site.iterdir()} == found["files"]
    assert found["problem"] == ""
    first = (site / "index.html").read_bytes()
    assert b"Confusion matrix of the winner" in first
    (site / "own.txt").write_text("left alone")
    run = danku.try_("board", NAME, "--html", str(site))
    assert run.out == f"{site / 'index.html'}\n"
    assert f"head {found['ledger_head']}" in run.err
    assert (site / "own.txt").read_text() == "left alone"
    assert not list(site.glob(".*")), "nothing half-written is left"
    journal = (site / "journal.js").read_text("ascii")
    inside = json.loads(journal.removeprefix("danku.journal(").removesuffix(");\n"))
    assert inside.encode() == (danku.folder / "challenges" / "ledger.jsonl").read_bytes()


def test_a_winner_that_is_not_run_is_said(at: At, quick: None) -> None:
    danku = at("final").of("alice")
    found = danku("board", NAME, "--html", "site", "--no-run")
    assert found["problem"] == "the model was not run for this page"
    text = (danku.folder / "site" / "index.html").read_text("utf-8")
    assert "is not shown: the model was not run for this page." in text
    for blob in (danku.folder / "challenges" / "blobs").iterdir():
        if b"Gemm" in blob.read_bytes():
            blob.unlink()
    assert "nobody serves its model" in danku("board", NAME, "--html", "site")["problem"]


def test_names_are_read_from_a_file_of_ones_own(at: At, quick: None) -> None:
    danku = at("final").of("alice")
    names = danku.folder / "names.toml"
    names.write_text(f'"{key_of("alice").address}" = "Alice <b>"\n')
    danku("board", NAME, "--html", "site", "--names", "names.toml")
    assert "Alice &lt;b&gt;" in (danku.folder / "site" / "index.html").read_text("utf-8")
    assert "Alice <b>" in danku.try_("board", NAME, "--names", "names.toml").out
    for text in ('"0x1" = "a"', f'"{key_of("bob").address}" = 1', "{", f"x = '{'a' * 101}'"):
        names.write_text(text)
        danku.refused("board", NAME, "--names", "names.toml", code=5, error="NicknamesBroken")
    danku.refused("board", NAME, "--names", "nowhere", code=5, error="NicknamesBroken")


def test_a_folder_that_cannot_be_written_is_an_error(at: At, quick: None) -> None:
    danku = at("submitted").of("alice")
    (danku.folder / "site").write_text("a file")
    danku.refused("board", NAME, "--html", "site", code=6, error="JournalUnavailable")


@contextlib.contextmanager
def looks(monkeypatch: pytest.MonkeyPatch, *between: Callable[[], object]) -> Iterator[None]:
    """Between two looks something happens; after the last one somebody presses Ctrl-C."""
    waiting = list(between)

    def sleep(seconds: float) -> None:
        assert seconds == 0.5
        if not waiting:
            raise KeyboardInterrupt
        waiting.pop(0)()

    monkeypatch.setattr(watching.time, "sleep", sleep)
    yield
    assert not waiting


@pytest.mark.parametrize("command", [("board", NAME), ("status", NAME), ("status",)])
def test_what_is_watched_is_shown_as_it_changes(
    at: At, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    danku = at("opening").of("alice")
    frozen = danku("ledger", "show")["time"]
    monkeypatch.setattr("danku.roles.workspace.Workspace.clock", lambda self: frozen, raising=False)
    words = (*command, "--watch", "--every", "0.5")
    with looks(monkeypatch, lambda: None, lambda: danku("model", "open", NAME), lambda: None):
        run = danku.try_(*words, "--json")
    assert run.code == 0 and run.err == ""
    documents = [json.loads(line) for line in run.out.splitlines()]
    assert all(before != after for before, after in pairwise(documents))
    text = [json.dumps(document) for document in documents]
    assert '"opened": 1' in text[-1] or '"status": "opened"' in text[-1]
    with looks(monkeypatch):
        assert danku.try_(*words).out


def test_a_watched_command_that_fails_ends(at: At) -> None:
    danku = at("final").of("alice")
    danku.refused("board", "nothing", "--watch", code=2, error="UnknownName")
    danku.refused("status", NAME, "--watch", "--every", "0", code=2, error="BadParameter")
    danku.refused("board", NAME, "--watch", "--html", "site", code=2, error="UsageError")


def test_a_terminal_is_drawn_anew_and_a_pipe_is_not(
    at: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    danku = at("final").of("alice")
    coloured = Danku(danku.folder, {**danku.environment, "FORCE_COLOR": "1", "TERM": "xterm"})
    with looks(monkeypatch, lambda: None):
        run = coloured.try_("board", NAME, "--watch", "--every", "0.5")
    assert run.out.count("\x1b[2J") == 2 and "Ctrl-C" in run.out
    dumb = Danku(danku.folder, {**coloured.environment, "TERM": "dumb"})
    with looks(monkeypatch, lambda: None):
        run = dumb.try_("board", NAME, "--watch", "--every", "0.5")
    assert "\x1b[2J" not in run.out
    assert run.out.count("accuracy, higher is better") == 1, "nothing has changed"


@contextlib.contextmanager
def served(danku: Danku, *words: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """`danku serve` as a process, and what it says when it listens."""
    environment = {"DANKU_WORKSPACE": str(danku.folder), "PATH": os.environ["PATH"]}
    line = [sys.executable, "-m", "danku", "serve", "--port", "0", "--json", *words]
    process = subprocess.Popen(
        line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def test_serve_says_where_it_listens_and_ends_at_ctrl_c(at: At) -> None:
    with served(at("submitted"), "--no-run") as (process, said):
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", said["url"])
        with urllib.request.urlopen(said["url"], timeout=30) as answer:
            assert b"A small competition" in answer.read()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


def test_serve_warns_where_others_can_reach_it(at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    class Listening:
        server_address = ("0.0.0.0", 1)

        def serve_forever(self, poll_interval: float) -> None:
            raise KeyboardInterrupt

        def server_close(self) -> None:
            pass

    monkeypatch.setattr("danku.pages.serve.server", lambda *words, **options: Listening())
    danku = at("submitted")
    assert "is not this machine alone" in danku.try_("serve", "--host", "0.0.0.0").err
    quiet = danku.try_("serve")
    assert quiet.code == 0 and "alone" not in quiet.err


def test_serve_without_a_workspace_or_a_port_is_an_error(empty: Danku, at: At) -> None:
    empty.refused("serve", code=2, error="NoWorkspace")
    at("made").refused("serve", "--host", "192.0.2.1", code=6, error="CannotServe")


def test_bars_are_drawn_where_there_is_room_and_in_plain_letters_where_not(
    at: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    danku = at("opened").of("alice")
    wide = danku.try_("status", NAME).out
    assert "● test reveal" in wide and "━" in wide
    narrow = Danku(danku.folder, {**danku.environment, "COLUMNS": "80"}).try_("status", NAME).out
    assert "━━━" not in narrow.replace("─", "") and "▸" in narrow
    assert max(map(len, narrow.splitlines())) <= 120
    old = Danku(danku.folder, danku.environment)
    monkeypatch.setattr("rich.console.Console.encoding", "ascii")
    plain = old.try_("status", NAME).out
    assert "> test reveal" in plain and "#" in plain
    assert plain.isascii()
    board = at("final").of("alice").try_("board", NAME).out
    assert "threshold" in board and board.replace("–", "-").replace("…", "").isascii()


def test_colours_are_left_out_where_nobody_wants_them(at: At) -> None:
    danku = at("final").of("alice")
    for more in ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, {"TERM": "dumb"}):
        run = Danku(danku.folder, {**danku.environment, **more}).try_("board", NAME)
        assert not re.search(r"\x1b\[[0-9;]*3[0-7]", run.out)
        assert "passes" in run.out


def test_scores_are_drawn_as_a_line() -> None:
    from rich.console import Console

    from danku.cli.drawing import Spark, buckets

    assert buckets([0.0, 1.0, 1.0], 4) == [1, 0, 0, 2]
    assert buckets([3.0, 3.0], 4) == [2, 0, 0, 0]
    out = io.StringIO()
    Console(file=out, width=40).print(Spark([1, 0, 8]))
    assert out.getvalue().strip("\n") in ("▁ █", "▂ █")
