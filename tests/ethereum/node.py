"""A real node on loopback: anvil from npm, started, steered and stopped.

The package is installed once into `.cache/anvil` of the work tree, and nowhere else. A node ends
with the process that started it, however that ends.
"""

from __future__ import annotations

import http.client
import json
import os
import queue
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from filelock import FileLock

PACKAGE = "@foundry-rs/anvil"
VERSION = "1.7.1"
CACHE = Path(__file__).parents[2] / ".cache" / "anvil"
CHAIN_ID = 31_337
_INSTALL_SECONDS = 300
_START_SECONDS = 30
_CALL_SECONDS = 60
# The shell outlives nothing: its input ends when whoever holds the other end does.
_WATCHED = '"$@" </dev/null & node=$!; trap "kill $node" EXIT; while read -r _; do :; done'


class NoNode(Exception):
    """There is no anvil and none can be had; the text says what helps."""


class Refused(Exception):
    """The node answered a call with an error."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(str(error.get("message")))
        self.data = error.get("data")


def install() -> Path:
    """The path of anvil's binary, installed by npm if it is not there.

    Raises:
        NoNode: npm is missing, or fails.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(CACHE / "install.lock", timeout=_INSTALL_SECONDS):
        found = _binary()
        if found is None:
            _npm_install()
            found = _binary()
    if found is None:
        raise NoNode(f"{PACKAGE} has no binary for this machine")
    return found


def _binary() -> Path | None:
    modules = CACHE / "node_modules" / "@foundry-rs"
    try:
        installed = json.loads((modules / "anvil" / "package.json").read_bytes())["version"]
    except (OSError, ValueError, KeyError):
        return None
    found = sorted(modules.glob("anvil-*/bin/anvil*"))
    return found[0] if installed == VERSION and found else None


def _npm_install() -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise NoNode(
            "npm is missing, which installs the Ethereum node that this test runs on; "
            "Debian, Ubuntu: apt-get install npm"
        )
    # The binary is in the platform's own package, so no script has to run.
    words = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(CACHE)]
    try:
        subprocess.run(
            [npm, *words, f"{PACKAGE}@{VERSION}"],
            check=True,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=_INSTALL_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise NoNode(f"npm install {PACKAGE} took over {_INSTALL_SECONDS} s") from None
    except subprocess.CalledProcessError as error:
        raise NoNode(f"npm install {PACKAGE}@{VERSION} failed:\n{error.stderr[-800:]}") from None


@dataclass(frozen=True)
class Node:
    """A running anvil."""

    url: str
    log: Path
    """What it printed."""

    def call(self, method: str, *params: Any) -> Any:
        """The result of one JSON-RPC call.

        Raises:
            Refused: the node answered with an error.
        """
        where = urlsplit(self.url)
        connection = http.client.HTTPConnection(
            str(where.hostname), where.port, timeout=_CALL_SECONDS
        )
        try:
            body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
            connection.request(
                "POST", "/", json.dumps(body), headers={"content-type": "application/json"}
            )
            answer = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        if "error" in answer:
            raise Refused(answer["error"])
        return answer["result"]

    def snapshot(self) -> str:
        """Remember the whole chain; what `revert` takes, once."""
        return str(self.call("evm_snapshot"))

    def revert(self, snapshot: str) -> None:
        """Be where the snapshot was; it and later ones are gone."""
        assert self.call("evm_revert", snapshot) is True

    def mine(self, blocks: int = 1, apart: int = 1) -> None:
        """Make blocks, so many seconds apart."""
        self.call("anvil_mine", hex(blocks), hex(apart))

    def increase_time(self, seconds: int) -> None:
        """Move the clock, and make a block that has the new time."""
        self.call("evm_increaseTime", hex(seconds))
        self.mine()

    def next_timestamp(self, time: int) -> None:
        """Give the next block this time, in seconds since the epoch; it must be after the last."""
        self.call("evm_setNextBlockTimestamp", hex(time))

    def automine(self, wanted: bool) -> None:
        """Whether every transaction gets a block at once; otherwise `mine` makes them."""
        self.call("evm_setAutomine", wanted)

    def set_balance(self, address: str, amount: int) -> None:
        """Give an address exactly this many wei."""
        self.call("anvil_setBalance", address, hex(amount))

    def balance(self, address: str) -> int:
        """What an address has, in wei."""
        return int(self.call("eth_getBalance", address, "latest"), 16)

    def block_number(self) -> int:
        """The newest block's number."""
        return int(self.call("eth_blockNumber"), 16)

    def time(self) -> int:
        """The newest block's time."""
        return int(self.call("eth_getBlockByNumber", "latest", False)["timestamp"], 16)


@contextmanager
def running_node(folder: Path, *options: str) -> Iterator[Node]:
    """A new chain on a free port of loopback, logging into ``folder``; more options are anvil's.

    Raises:
        NoNode: there is no anvil, or it does not start.
    """
    log = folder / "anvil.log"
    words = [str(install()), "--host", "127.0.0.1", "--port", "0", *options]
    process = subprocess.Popen(
        ["/bin/sh", "-c", _WATCHED, "anvil", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={key: value for key, value in os.environ.items() if not key.startswith("ANVIL_")},
    )
    try:
        node = Node(f"http://127.0.0.1:{_port(process, log)}", log)
        _wait_for(node)
        yield node
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=_START_SECONDS)


def _port(process: subprocess.Popen[str], log: Path) -> int:
    """The port that anvil says it took; its later words go on to the log."""
    ports: queue.Queue[int | None] = queue.Queue()

    def follow() -> None:
        assert process.stdout is not None
        with log.open("w", encoding="utf-8", buffering=1) as file:
            for line in process.stdout:
                file.write(line)
                said = re.match(r"Listening on 127\.0\.0\.1:(\d+)", line)
                if said:
                    ports.put(int(said[1]))
        ports.put(None)

    threading.Thread(target=follow, daemon=True).start()
    try:
        port = ports.get(timeout=_START_SECONDS)
    except queue.Empty:
        port = None
    if port is None:
        raise NoNode(f"anvil does not start; it said:\n{log.read_text('utf-8')[-800:]}")
    return port


def _wait_for(node: Node) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            node.call("eth_chainId")
            return
        except (OSError, ValueError) as error:
            if time.monotonic() > deadline:
                raise NoNode(f"anvil does not answer: {error}") from None
            time.sleep(0.05)
