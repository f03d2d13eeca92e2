"""Servers on loopback that stand in for a node's API and for a gateway, and misbehave as told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from tests.storage.blocks import tree

Fault = Callable[[str, int], str]
"""Called with what is asked for and how often anything was before; a word that `Server` knows."""


def honest(what: str, before: int) -> str:
    return ""


class QuietServer(ThreadingHTTPServer):
    """Keeps to itself that a client went away, which it would print to whatever stderr is then."""

    def handle_error(self, *_: object) -> None:
        pass


class Server:
    """Both a node's RPC API and a gateway, over the blobs that it was given or sent."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.blocks: dict[str, bytes] = {}
        self.pins: set[str] = set()
        self.connected: list[str] = []
        self.peers = 1
        self.version: dict[str, str] = {"Version": "0.38.1", "Commit": "x"}
        self.fault: Fault = honest
        self.asked: list[str] = []
        self.sent_bytes = 0
        self.closing = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                server.serve(self)

            do_POST = do_GET  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self._http = QuietServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._http.server_address[1])

    @property
    def api(self) -> str:
        return f"/ip4/127.0.0.1/tcp/{self.port}"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()

    def hold(self, data: bytes) -> str:
        """Have these bytes to serve."""
        cid, blocks = tree(data)
        self.blobs[cid] = data
        self.blocks |= blocks
        return cid

    def count(self, word: str) -> int:
        return sum(word in asked for asked in self.asked)

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        url = urlsplit(handler.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        what = f"{url.path} {query.get('arg', '')}".strip()
        fault = self.fault(what, len(self.asked))
        self.asked.append(what)
        body = self._body(handler)
        if fault == "deny":
            handler.close_connection = True
            return
        if fault == "hang":
            self.closing.wait(30)
            return
        if fault.startswith("status "):
            self._answer(handler, int(fault.split()[1]), b"no")
            return
        if fault.startswith("say "):
            self._answer(handler, 200, fault[4:].encode())
            return
        if fault.startswith("to "):
            handler.send_response(302)
            handler.send_header("Location", fault[3:])
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        status, answer = self._answer_to(url.path, query, body)
        if fault == "lie":
            answer = bytes([answer[0] ^ 1]) + answer[1:] if answer else b"?"
        if fault == "flood":
            answer = b"x" * 2**22
        self._answer(handler, status, answer, fault)

    def _answer_to(self, path: str, query: dict[str, str], body: bytes) -> tuple[int, bytes]:
        arg = query.get("arg", "")
        if path.startswith("/ipfs/"):
            block = self.blocks.get(path[6:])
            return (200, block) if block is not None else (404, b"not here")
        match path.removeprefix("/api/v0/"):
            case "version":
                return self._json(self.version)
            case "id":
                return self._json({"ID": "fake", "Addresses": []})
            case "swarm/peers":
                return self._json({"Peers": [{"Peer": str(n)} for n in range(self.peers)]})
            case "swarm/connect":
                self.connected.append(arg)
                return self._json({"Strings": [f"connect {arg} success"]})
            case "add":
                data = self._file(body)
                cid = self.hold(data)
                self.pins.add(cid)
                return self._json({"Name": "x", "Hash": cid, "Size": str(len(data))})
            case "block/get" if arg in self.blocks:
                return 200, self.blocks[arg]
            case "cat" if arg in self.blobs:
                start = int(query.get("offset", 0))
                return 200, self.blobs[arg][start : start + int(query["length"])]
            case "pin/ls" if arg in self.pins:
                return self._json({"Keys": {arg: {"Type": "recursive"}}})
            case "pin/add" if arg in self.blobs:
                self.pins.add(arg)
                return self._json({"Pins": [arg]})
            case "pin/rm" if arg in self.pins:
                self.pins.remove(arg)
                return self._json({"Pins": [arg]})
            case "pin/ls" | "pin/rm":
                message = f"path '{arg}' is not pinned"
            case _:
                message = f"block was not found locally (offline): ipld: could not find {arg}"
        answer = {"Message": message, "Code": 0, "Type": "error"}
        return 500, json.dumps(answer).encode()

    @staticmethod
    def _json(value: object) -> tuple[int, bytes]:
        return 200, json.dumps(value).encode()

    @staticmethod
    def _body(handler: BaseHTTPRequestHandler) -> bytes:
        if handler.headers.get("Transfer-Encoding") != "chunked":
            return handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        found = bytearray()
        while size := int(handler.rfile.readline(), 16):
            found += handler.rfile.read(size)
            handler.rfile.readline()
        handler.rfile.readline()
        kind = handler.headers["Content-Type"].encode()
        return b"Content-Type: " + kind + b"\r\n\r\n" + bytes(found)

    @staticmethod
    def _file(body: bytes) -> bytes:
        (part,) = message_from_bytes(body).get_payload()
        return bytes(part.get_payload(decode=True))

    def _answer(
        self, handler: BaseHTTPRequestHandler, status: int, answer: bytes, fault: str = ""
    ) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json" if answer[:1] == b"{" else "x/y")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        try:
            if fault == "drip":
                for byte in answer:
                    if self.closing.is_set():
                        return
                    handler.wfile.write(b"1\r\n%c\r\n" % byte)
                    time.sleep(0.1)
            elif fault == "cut":
                half = answer[: len(answer) // 2]
                handler.wfile.write(b"%x\r\n%b\r\n" % (len(answer), half))
                handler.wfile.flush()
                handler.close_connection = True
                handler.connection.shutdown(2)
                return
            elif answer:
                handler.wfile.write(b"%x\r\n%b\r\n" % (len(answer), answer))
                self.sent_bytes += len(answer)
            handler.wfile.write(b"0\r\n\r\n")
        except OSError:
            handler.close_connection = True


@contextmanager
def running() -> Iterator[Server]:
    server = Server()
    try:
        yield server
    finally:
        server.stop()
