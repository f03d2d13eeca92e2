"""The server: reads only, answers only to whom it should, and shows what the ledger says now."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from danku.pages.live import Pages
from danku.pages.serve import CannotServe, allowed_host, is_loopback, server
from danku.roles.workspace import Workspace
from tests.pages.chromium import Chromium
from tests.pages.test_verify_button import pressed
from tests.roles.arena import Arena, InProcess
from tests.roles.conftest import ArenaAt


@dataclass
class Served:
    """A server, and the arena that it shows."""

    arena: Arena
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def ask(
        self, path: str, method: str = "GET", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Send a request as it is written; status, headers and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.putrequest(method, path, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        found = connection.getresponse()
        body = found.read()
        connection.close()
        return found.status, {key.lower(): value for key, value in found.getheaders()}, body


@contextmanager
def serving(arena: Arena) -> Iterator[Served]:
    root, clock = arena.host.root, arena.clock
    pages = Pages(lambda: Workspace(root, clock=clock))
    listening = server(pages, "127.0.0.1", 0)
    thread = threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield Served(arena, listening.server_address[1])
    finally:
        listening.shutdown()
        listening.server_close()
        pages.close()
        thread.join(10)


@pytest.fixture
def served(arena_at: ArenaAt, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr("danku.evaluation.worker.Worker", InProcess)
    with serving(arena_at("finalize")) as found:
        yield found


def test_the_index_leads_to_the_board_and_its_files(served: Served) -> None:
    identity = served.arena.identity
    status, headers, body = served.ask("/")
    assert status == 200 and headers["content-type"].startswith("text/html")
    assert f'href="/{identity}/"'.encode() in body and b"A small competition" in body
    for name, begin in (
        ("", b"<!doctype"),
        ("journal.js", b"danku.jour"),
        ("blobs.js", b"danku.b"),
    ):
        status, headers, body = served.ask(f"/{identity}/{name}")
        assert (status, body[: len(begin)]) == (200, begin)
        assert int(headers["content-length"]) == len(body)
    for name in ("small", identity[:12], identity, "small/anything"):
        status, headers, _ = served.ask(f"/{name}")
        assert (status, headers["location"]) == (302, f"/{identity}/")


def test_every_answer_is_guarded(served: Served) -> None:
    for path in ("/", f"/{served.arena.identity}/", "/nowhere"):
        _, headers, _ = served.ask(path)
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "python" not in headers["server"].lower()
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "FOO"])
def test_nothing_but_reading_is_answered(served: Served, method: str) -> None:
    before = (served.arena.public / "ledger.jsonl").read_bytes()
    status, headers, _ = served.ask("/", method)
    assert (status, headers["allow"]) == (405, "GET, HEAD")
    assert (served.arena.public / "ledger.jsonl").read_bytes() == before


def test_head_gives_the_headers_alone(served: Served) -> None:
    path = "/"
    _, headers, body = served.ask(path)
    status, only, nothing = served.ask(path, "HEAD")
    assert (status, nothing) == (200, b"")
    assert (only["etag"], only["content-length"]) == (headers["etag"], str(len(body)))


PLACES = (
    *("/../danku.toml", "/%2e%2e/danku.toml", "//etc/passwd", "/danku.toml", "/private/heads.json"),
    *("/{id}/../../private/heads.json", "/{id}/..%2f..%2fdanku.toml", "/{id}/ledger.jsonl"),
    *(
        "/{id}/index.html",
        "/keys/",
        "/challenges/ledger.jsonl",
        "/\\..\\x",
        "/0x",
        "/%00",
    ),
    *("/small\x7f", "/{id}/journal.js/", "/" + "a" * 450),
)


@pytest.mark.parametrize("place", PLACES)
def test_no_path_reaches_the_disk(served: Served, place: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    # NOTE: http.client refuses some of these paths, which an attacker's client would not.
    path = place.replace("{id}", served.arena.identity)
    connection._validate_path = lambda url: None  # type: ignore[attr-defined]
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert answer.status in (302, 400, 404, 414), body[:200]
    assert b"root:" not in body and b"heads" not in body and b"public" not in body


def test_a_path_without_end_is_refused(served: Served) -> None:
    assert served.ask("/" + "a" * 5_000)[0] == 414


@pytest.mark.parametrize(
    ("host", "status"),
    [
        *(("127.0.0.1", 200), ("127.0.0.1:80", 200), ("localhost:8642", 200), ("[::1]:1", 200)),
        *(("LOCALHOST", 200), ("192.168.1.7:8642", 200), ("evil.example", 421), ("", 421)),
        *(("127.0.0.1.evil.example", 421), ("localhost.evil.example:80", 421)),
        *(("evil.example#127.0.0.1", 421), ("user@127.0.0.1", 421), ("127.0.0.1, evil", 421)),
    ],
)
def test_only_an_address_or_a_known_name_is_answered(
    served: Served, host: str, status: int
) -> None:
    assert served.ask("/", Host=host)[0] == status


def test_a_name_can_be_allowed() -> None:
    assert allowed_host("arena.example:80", frozenset({"arena.example"}))
    assert allowed_host("arena.example.", frozenset({"arena.example"}))
    assert not allowed_host("other.example", frozenset({"arena.example"}))
    assert not allowed_host(None, frozenset())
    assert is_loopback("127.0.0.3") and is_loopback("::1") and is_loopback("localhost")
    assert not is_loopback("0.0.0.0") and not is_loopback("arena.example")


def test_what_is_known_is_not_sent_again_until_it_changes(
    arena_at: ArenaAt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("danku.evaluation.worker.Worker", InProcess)
    arena = arena_at("submit")
    with serving(arena) as served:
        path = f"/{arena.identity}/"
        _, headers, body = served.ask(path)
        tag = headers["etag"]
        assert served.ask(path, If_None_Match=tag)[0] == 304
        assert served.ask(path, If_None_Match=f'"other", {tag}')[0] == 304
        assert b"sealed" in body
        arena.open("alice")
        status, headers, body = served.ask(path, If_None_Match=tag)
        assert status == 200 and headers["etag"] != tag
        assert b">opened<" in body
        tag = headers["etag"]
        arena.wait("open")
        status, headers, _ = served.ask(path, If_None_Match=tag)
        assert status == 200, "time alone moves a challenge on"


def test_many_ask_at_once(served: Served) -> None:
    found: list[int] = []

    def ask() -> None:
        for path in ("/", f"/{served.arena.identity}/", "/nowhere"):
            found.append(served.ask(path)[0])

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(found) == [200] * 16 + [404] * 8


def test_a_broken_record_is_said_and_no_secret_with_it(served: Served) -> None:
    assert served.ask("/")[0] == 200, "it has seen the last line"
    journal = served.arena.public / "ledger.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:-1]))
    status, headers, body = served.ask(f"/{served.arena.identity}/")
    assert status == 500 and headers["content-type"].startswith("text/plain")
    assert body.startswith(b"Rewritten: ")
    assert b"Traceback" not in body
    journal.write_bytes(b"".join(lines))
    assert served.ask(f"/{served.arena.identity}/")[0] == 200, "and it goes on once it is mended"


def test_a_page_that_cannot_be_made_is_said(served: Served) -> None:
    challenge = served.arena.challenge
    (served.arena.public / "blobs" / challenge.manifest).unlink()
    status, _, body = served.ask(f"/{challenge.id}/")
    assert (status, body[:10]) == (500, b"NotFound: ")
    status, _, body = served.ask("/")
    assert status == 200 and challenge.id.encode() in body, "the list goes on without its title"


def test_a_fault_of_ones_own_tells_no_details(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object, **__: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr("danku.pages.live.render_index", crash)
    status, _, body = served.ask("/")
    assert status == 500 and b"RuntimeError" in body and b"secret" not in body


def test_a_port_that_is_taken_is_an_error(served: Served) -> None:
    pages = Pages(lambda: Workspace(served.arena.host.root))
    with pytest.raises(CannotServe, match="cannot listen"):
        server(pages, "127.0.0.1", served.port)


def test_the_winners_mistakes_are_found_aside(served: Served) -> None:
    path = f"/{served.arena.identity}/"
    _until(lambda: b"Confusion matrix" in served.ask(path)[2])


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_browser_verifies_a_served_page_and_sees_it_move_on(
    browser: Chromium, arena_at: ArenaAt, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("danku.evaluation.worker.Worker", InProcess)
    arena = arena_at("submit")
    with serving(arena) as served:
        url = f"{served.url}{arena.identity}/"
        browser.open(url)
        assert pressed(browser)["ok"]
        browser.open(url)
        arena.open("bob")
        browser.until(
            "[...document.querySelectorAll('.tag')].some(item => item.textContent === 'opened')"
        )
        assert browser.complaints == []
        assert all(request.startswith(url) for request in browser.requests)
        browser.open(served.url)
        assert browser.evaluate("document.querySelector('.cards a').pathname") == (
            f"/{arena.identity}/"
        )
        assert browser.complaints == []
