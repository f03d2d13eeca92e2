"""A node that lies, breaks or dawdles: a proxy on loopback before a real one, or before nothing."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Call = dict[str, Any]


@dataclass(frozen=True)
class Raw:
    """An answer as it goes over the wire."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    """Seconds before the body."""


Meddle = Callable[[Call, Callable[[], Any]], Any]
"""Gets the call, and what asks the real node for its whole answer; gives an answer or a `Raw`."""


def honest(call: Call, ask: Callable[[], Any]) -> Any:
    """What the real node says."""
    return ask()


def result(call: Call, value: Any) -> Any:
    """A well-formed answer with any result."""
    return {"jsonrpc": "2.0", "id": call["id"], "result": value}


def error(call: Call, message: str, code: int = -32000, data: Any = None) -> Any:
    """A well-formed refusal."""
    said = {"code": code, "message": message} | ({"data": data} if data is not None else {})
    return {"jsonrpc": "2.0", "id": call["id"], "error": said}


class Proxy:
    """What stands between a client and a node; ``meddle`` may be changed while it runs."""

    def __init__(self, target: str | None) -> None:
        self._target = target
        self.meddle: Meddle = honest
        self.calls: list[Call] = []
        self.paths: list[str] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def methods(self) -> list[str]:
        """What was called so far, in order."""
        return [call["method"] for call in self.calls]

    def answer(self, body: bytes) -> Raw:
        call = json.loads(body)
        self.calls.append(call)
        found = self.meddle(call, lambda: self._ask(body))
        return found if isinstance(found, Raw) else Raw(json.dumps(found).encode())

    def _ask(self, body: bytes) -> Any:
        assert self._target is not None, "there is no node behind this proxy"
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(self._target, body, headers)
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.loads(response.read())


@contextmanager
def running_proxy(target: str | None = None) -> Iterator[Proxy]:
    """A proxy on a free port of loopback."""
    proxy = Proxy(target)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            proxy.paths.append(self.path)
            raw = proxy.answer(self.rfile.read(int(self.headers["content-length"])))
            with suppress(OSError):
                self.send_response(raw.status)
                self.send_header("content-length", str(len(raw.body)))
                for name, value in raw.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                time.sleep(raw.delay)
                self.wfile.write(raw.body)

        def log_message(self, *words: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    proxy.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
