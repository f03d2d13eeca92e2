"""A headless Chromium, driven over a pipe by its own protocol; nothing else is needed.

The protocol: https://chromedevtools.github.io/devtools-protocol/, messages end in a zero byte.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
HELP = "apt-get install --no-install-recommends chromium"
SECONDS = 120.0
"""A busy machine may take its time; nothing is measured by it."""
KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32}


def executable() -> str | None:
    """Where Chromium is, if it is installed."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def _pipe() -> tuple[int, int]:
    """A pipe whose ends have high numbers, out of the way of the browser's own."""
    ends = os.pipe()
    moved = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
    for end in ends:
        os.close(end)
    return moved[0], moved[1]


class BrowserFailed(Exception):
    """The browser, or the page in it, did not do what was asked."""


class Chromium:
    """One browser with one page; what the page asked for and complained of is kept."""

    def __init__(self, program: str) -> None:
        self._profile = tempfile.mkdtemp(prefix="danku-chromium-")
        to_read, self._out = _pipe()
        self._in, to_write = _pipe()
        flags = ["--headless=new", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu"]
        flags += ["--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars", "--mute-audio"]
        flags += ["--disable-background-networking", "--disable-component-update"]
        flags += ["--disable-extensions", "--disable-sync", "--force-color-profile=srgb"]
        words = [program, *flags, f"--user-data-dir={self._profile}", "about:blank"]
        # NOTE: Chromium reads from descriptor 3 and writes to 4.
        null = (os.POSIX_SPAWN_OPEN, os.devnull, os.O_RDWR, 0)
        actions = [(null[0], number, *null[1:]) for number in (0, 1, 2)]
        actions += [(os.POSIX_SPAWN_DUP2, to_read, 3), (os.POSIX_SPAWN_DUP2, to_write, 4)]
        self._process = os.posix_spawn(program, words, os.environ, file_actions=actions)
        os.close(to_read)
        os.close(to_write)
        self._number, self._rest, self._session = 0, b"", ""
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.events: list[str] = []
        self._attach()

    def _attach(self) -> None:
        targets = self.send("Target.getTargets")["targetInfos"]
        page = next(target for target in targets if target["type"] == "page")
        found = self.send("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self._session = found["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def close(self) -> None:
        """End the browser and forget its profile."""
        try:
            self.send("Browser.close")
        except (BrowserFailed, OSError):
            os.kill(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)
        for descriptor in (self._in, self._out):
            os.close(descriptor)
        shutil.rmtree(self._profile, ignore_errors=True)

    def send(self, method: str, **parameters: Any) -> Any:
        """Call a method of the protocol and wait for what it gives."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise BrowserFailed(f"{method}: {answer['error']}")
                return answer["result"]
            self._note(answer)

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            part = os.read(self._in, 2**16)
            if not part:
                raise BrowserFailed("Chromium went away")
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def _note(self, event: dict[str, Any]) -> None:
        name, details = event.get("method", ""), event.get("params", {})
        self.events.append(name)
        if name == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(details["exceptionDetails"]))
        elif name == "Runtime.consoleAPICalled" and details["type"] in ("error", "warning"):
            self.complaints.append(json.dumps(details["args"]))
        elif name == "Log.entryAdded":
            self.complaints.append(f"{details['entry']['text']} {details['entry'].get('url', '')}")
        elif name == "Network.requestWillBeSent":
            self.requests.append(details["request"]["url"])

    def open(self, url: str) -> float:
        """Go to a page; the seconds from asking until its script was done and it was drawn."""
        # NOTE: else the page before could pass for the one that is asked for.
        self.evaluate("delete document.documentElement.dataset.ready")
        self.complaints.clear()
        self.requests.clear()
        started = time.perf_counter()
        self.send("Page.navigate", url=url)
        self.until("document.documentElement.dataset.ready === 'yes'")
        self.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
        return time.perf_counter() - started

    def evaluate(self, expression: str) -> Any:
        """What an expression, or the promise that it gives, comes to."""
        found = self.send(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in found:
            raise BrowserFailed(json.dumps(found["exceptionDetails"])[:2000])
        return found["result"].get("value")

    def until(self, condition: str, seconds: float = SECONDS) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while True:
            try:
                if self.evaluate(condition):
                    return
            except BrowserFailed:
                if time.monotonic() > end:
                    raise
            if time.monotonic() > end:
                raise BrowserFailed(f"still not true: {condition}; {self.complaints}")
            time.sleep(0.02)

    def press(self, key: str, *, shift: bool = False) -> None:
        """Press a key, as a keyboard does."""
        code = KEYS[key]
        common = {"key": key, "windowsVirtualKeyCode": code, "modifiers": 8 if shift else 0}
        text = {"Enter": "\r", " ": " "}.get(key)
        more = {"text": text} if text else {}
        self.send("Input.dispatchKeyEvent", type="keyDown", **common, **more)
        self.send("Input.dispatchKeyEvent", type="keyUp", **common)

    def give_file(self, selector: str, path: Path) -> None:
        """Choose a file in a file input."""
        document = self.send("DOM.getDocument")["root"]["nodeId"]
        node = self.send("DOM.querySelector", nodeId=document, selector=selector)["nodeId"]
        self.send("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    def look(self, width: int, height: int, *, dark: bool = False, scale: float = 1) -> None:
        """The size of the window, and the system's colours."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        still = {"name": "prefers-reduced-motion", "value": "reduce"}
        self.send("Emulation.setEmulatedMedia", features=[scheme, still])

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Write what the window shows, or the whole page, as PNG."""
        found = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(found["data"]))


def wait_for(condition: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Wait until something outside the browser is so."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise BrowserFailed("it did not come about in time")
        time.sleep(0.02)
