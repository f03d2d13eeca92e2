"""`danku serve`: the pages of a workspace over HTTP, read-only, rendered anew as the ledger moves.

What a request names is looked up among the ledger's challenges; no path of it reaches the disk.
A browser that another site's script steers could reach a server on this machine under a name of
that site (DNS rebinding), so only requests to an IP address, to localhost or to a name that the
user gave are answered.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from danku.errors import DankuError, StorageError
from danku.pages.live import Page, Pages

SECONDS = 20
"""How long a client may take for its request."""
PATH_CHARACTERS = 500

_METHODS = ("GET", "HEAD")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::[0-9]{1,5})?")


class CannotServe(StorageError):
    """The address or port cannot be listened on."""


@dataclass(frozen=True)
class Answer:
    """What a request gets."""

    status: HTTPStatus
    kind: str
    body: bytes
    headers: Mapping[str, str]


def allowed_host(header: str | None, names: frozenset[str]) -> bool:
    """Whether the Host header is an address, localhost, or one of the names."""
    match = _HOST.fullmatch(header or "")
    if match is None:
        return False
    name = match[1].strip("[]").lower().rstrip(".")
    if name in names or name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine reaches what listens on ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def answer(pages: Pages, path: str, known: str | None) -> Answer:
    """What a path is answered with; ``known`` is the tag that the client has already."""
    place = path.partition("?")[0].partition("#")[0]
    try:
        return _answer(pages.find(place), known)
    except DankuError as error:
        text = f"{error.name}: {error.what}\n{error.why}\n{error.fix}\n"
    except Exception as error:  # NOTE: its own text may hold what nobody should read
        text = f"Crash: the server met an error that it does not expect ({type(error).__name__})\n"
    return _text(HTTPStatus.INTERNAL_SERVER_ERROR, text)


def _answer(found: Page | None, known: str | None) -> Answer:
    if found is None:
        return _text(HTTPStatus.NOT_FOUND, "There is no such page.\n")
    if found.moved:
        return replace(_text(HTTPStatus.FOUND, ""), headers={"Location": found.moved})
    tag = f'"{found.version}"'
    headers = {"ETag": tag, "Content-Security-Policy": found.policy}
    if known is not None and tag in (part.strip() for part in known.split(",")):
        return Answer(HTTPStatus.NOT_MODIFIED, found.kind, b"", headers)
    return Answer(HTTPStatus.OK, found.kind, found.body(), headers)


def _text(status: HTTPStatus, text: str) -> Answer:
    return Answer(status, "text/plain; charset=utf-8", text.encode("utf-8", "replace"), {})


def server(
    pages: Pages,
    host: str,
    port: int,
    *,
    names: frozenset[str] = frozenset(),
    log: Callable[[str], None] = lambda line: None,
) -> ThreadingHTTPServer:
    """A server that listens; `serve_forever` answers.

    Raises:
        CannotServe: the port is taken, or the address is not this machine's.
    """

    class Handler(BaseHTTPRequestHandler):
        server_version = "danku"
        sys_version = ""
        timeout = SECONDS

        def _respond(self) -> None:
            if not allowed_host(self.headers.get("Host"), names):
                found = _text(
                    HTTPStatus.MISDIRECTED_REQUEST,
                    "This server does not answer to that name; danku serve --allow-host NAME.\n",
                )
            elif self.command not in _METHODS:
                found = _text(HTTPStatus.METHOD_NOT_ALLOWED, "These pages can only be read.\n")
                found = replace(found, headers={"Allow": ", ".join(_METHODS)})
            elif len(self.path) > PATH_CHARACTERS:
                found = _text(HTTPStatus.REQUEST_URI_TOO_LONG, "There is no such page.\n")
            else:
                found = answer(pages, self.path, self.headers.get("If-None-Match"))
            self._send(found)

        def _send(self, found: Answer) -> None:
            self.send_response(found.status)
            headers: dict[str, str] = {
                "Content-Type": found.kind,
                "Content-Length": str(len(found.body)),
                "Cache-Control": "no-cache",
                "Content-Security-Policy": "default-src 'none'",
                "Cross-Origin-Opener-Policy": "same-origin",
                "Cross-Origin-Resource-Policy": "same-origin",
                "Referrer-Policy": "no-referrer",
                "X-Content-Type-Options": "nosniff",
                "X-Frame-Options": "DENY",
                **found.headers,
            }
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(found.body)

        def __getattr__(self, name: str) -> Any:
            # NOTE: the base class looks for do_GET, do_POST and so on; all are answered alike.
            if name.startswith("do_"):
                return self._respond
            raise AttributeError(name)

        def log_message(self, form: str, *words: Any) -> None:
            log(form % words)

    try:
        return (_SixServer if ":" in host else _Server)((host, port), Handler)
    except (OSError, OverflowError) as error:
        raise CannotServe(
            f"cannot listen on {host}, port {port}: {error}",
            fix="name another one: danku serve --port 0 takes any that is free",
        ) from None


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is no event."""


class _SixServer(_Server):
    address_family = socket.AF_INET6
