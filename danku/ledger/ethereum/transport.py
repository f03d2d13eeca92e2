"""JSON-RPC over HTTP, towards a node that may be slow, broken or hostile.

Answers are bounded in bytes and time, never followed elsewhere, and checked for their form. Only
calls that change nothing are repeated. The address of a node may hold a password or a key, so it is
told to nobody: not in an error, not in what `repr` gives.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from danku.ledger.ethereum.errors import (
    AnswerTooLong,
    BadNetwork,
    ExtraMissing,
    NetworkError,
    NodeRefused,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests

ANSWER_BYTES = 64 * 2**20
"""The longest answer that is read."""
CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 60.0
"""For one whole answer."""
ATTEMPTS = 4
PAUSE_SECONDS = 0.4
"""Before the second attempt; each later pause is twice as long."""

_CHUNK = 2**16
_SAID_CHARACTERS = 300
_SECRET_CHARACTERS = 8
_BUSY = (408, 425, 429, 500, 502, 503, 504)


class _Error(msgspec.Struct):
    code: int = 0
    message: str = ""
    data: Any = None


class _Answer(msgspec.Struct):
    id: Any = None
    result: Any = msgspec.UNSET
    error: _Error | None = None


class _Busy(Exception):
    """Another attempt may help."""


def host_of(url: str) -> str:
    """What may be told of a node's URL: scheme, host and port.

    Raises:
        BadNetwork: no http or https URL.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme not in ("http", "https"):
        raise BadNetwork(
            "the address of the node is no http or https URL",
            fix="give one such as https://node.example or http://127.0.0.1:8545",
        )
    named = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{named}" + (f":{port}" if port else "")


class Transport:
    """Calls to one node."""

    def __init__(
        self,
        url: str,
        *,
        seconds: float = ANSWER_SECONDS,
        attempts: int = ATTEMPTS,
        pause: float = PAUSE_SECONDS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Prepare to ask a node; nothing is sent yet.

        Raises:
            BadNetwork: no http or https URL.
            ExtraMissing: the packages for Ethereum are not installed.
        """
        self.host = host_of(url)
        self._url = url
        self._secrets = _secrets(url)
        self._seconds, self._attempts, self._pause = seconds, attempts, pause
        self._sleep = sleep
        self._session = _session(url)
        self._calls = 0

    def __repr__(self) -> str:
        return f"Transport({self.host})"

    def call(self, method: str, *params: Any) -> Any:
        """The result of a call that changes nothing, repeated where that may help.

        Raises:
            NodeRefused: the node answered with an error.
            NetworkError: no usable answer came.
        """
        pause = self._pause
        for attempt in range(1, self._attempts + 1):
            try:
                return self._once(method, params)
            except _Busy as busy:
                if attempt == self._attempts:
                    self._fail(str(busy), attempt)
            self._sleep(pause)
            pause *= 2
        raise AssertionError("every attempt returns or raises")

    def send(self, method: str, *params: Any) -> Any:
        """The result of a call that may change something, made once.

        Raises:
            NodeRefused, NetworkError: as `call`; after the latter it may have arrived.
        """
        try:
            return self._once(method, params)
        except _Busy as busy:
            self._fail(str(busy), 1)

    def _fail(self, reason: str, attempts: int) -> NoReturn:
        often = f" ({attempts} attempts)" if attempts > 1 else ""
        raise NetworkError(
            f"the node at {self.host} {reason}{often}",
            fix="check the network, try again later, or ask another node: danku network add",
        )

    def _once(self, method: str, params: tuple[Any, ...]) -> Any:
        import requests
        from urllib3.exceptions import HTTPError

        self._calls += 1
        asked = {"jsonrpc": "2.0", "id": self._calls, "method": method, "params": params}
        deadline = time.monotonic() + self._seconds
        try:
            status, body = self._exchange(msgspec.json.encode(asked), deadline)
        except (requests.exceptions.RequestException, HTTPError, OSError, ValueError):
            # NOTE: what these say holds the URL.
            late = time.monotonic() >= deadline
            reason = "gave no answer in time" if late else "cannot be reached, or broke off"
            raise _Busy(reason) from None
        answer = self._read(status, body)
        if answer.error is not None:
            self._refused(method, answer.error)
        if answer.result is msgspec.UNSET or answer.id != self._calls:
            raise _Busy("gave an answer to something else")
        return answer.result

    def _exchange(self, body: bytes, deadline: float) -> tuple[int, bytes]:
        with self._session.post(
            self._url,
            data=body,
            headers={"content-type": "application/json", "accept-encoding": "identity"},
            timeout=(min(CONNECT_SECONDS, self._seconds), self._seconds),
            allow_redirects=False,
            stream=True,
        ) as response:
            read = bytearray()
            while chunk := response.raw.read1(_CHUNK):
                read += chunk
                if len(read) > ANSWER_BYTES:
                    raise AnswerTooLong(
                        f"the node at {self.host} answers with more than {ANSWER_BYTES} bytes"
                    )
                if time.monotonic() > deadline:
                    raise _Busy("gave no whole answer in time")
            return response.status_code, bytes(read)

    def _read(self, status: int, body: bytes) -> _Answer:
        try:
            answer = msgspec.json.decode(body, type=_Answer)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            answer = _Answer()
        if answer.error is not None and status not in _BUSY[:3]:
            return answer
        if status == 413:
            raise AnswerTooLong(f"the node at {self.host} finds its answer too long (HTTP 413)")
        if status in (401, 403):
            self._fail(f"wants other credentials (HTTP {status})", 1)
        if status in _BUSY:
            raise _Busy(f"is busy or broken (HTTP {status})")
        if status != 200:
            self._fail(f"answers with HTTP {status}, which is no JSON-RPC", 1)
        if answer.result is msgspec.UNSET:
            raise _Busy("answers with what is no JSON-RPC")
        return answer

    def _refused(self, method: str, error: _Error) -> NoReturn:
        said = self.clean(error.message) or f"error {error.code}"
        data = error.data
        if isinstance(data, dict):
            data = data.get("data")
        raise NodeRefused(
            f"the node at {self.host} refused {method}: {said}",
            code=error.code,
            message=said,
            data=data if isinstance(data, str) else None,
        )

    def clean(self, text: str) -> str:
        """What a node said, bounded, printable, and without parts of its URL."""
        for secret in self._secrets:
            text = text.replace(secret, "…")
        text = "".join(each if each.isprintable() else " " for each in text)
        return text if len(text) <= _SAID_CHARACTERS else text[:_SAID_CHARACTERS] + "…"


def _secrets(url: str) -> tuple[str, ...]:
    """The parts of a URL that may be secret, longest first."""
    parts = urlsplit(url)
    found = {url, parts.username or "", parts.password or "", parts.query, parts.netloc}
    found |= {part for part in parts.path.split("/") if len(part) >= _SECRET_CHARACTERS}
    found |= {value for _, value in parse_qsl(parts.query)}
    found -= {"", parts.hostname, f"{parts.hostname}:{parts.port}"}
    return tuple(sorted(found, key=len, reverse=True))


def _session(url: str) -> requests.Session:
    try:
        import requests
    except ImportError:
        raise ExtraMissing("requests") from None
    session = requests.Session()
    parts = urlsplit(url)
    if parts.username is not None:
        session.auth = (unquote(parts.username), unquote(parts.password or ""))
    else:
        # NOTE: else a .netrc file could have somebody's password sent to a node.
        session.auth = _nobody
    # NOTE: a proxy has no way to this machine's own loopback.
    session.trust_env = parts.hostname not in ("127.0.0.1", "::1", "localhost")
    return session


def _nobody(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
