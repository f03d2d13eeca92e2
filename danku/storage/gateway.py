"""HTTP gateways, trusted with nothing (IPFS: Trustless Gateway, ``application/vnd.ipld.raw``).

A gateway is asked for one raw block a request. A block is at most 256 KiB and is hashed before the
next one is asked for, so that a lying gateway costs a reader one block, and a broken download goes
on where it stopped. A CAR would save requests, but begins anew wherever it breaks off.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any
from urllib.parse import urljoin, urlsplit

from danku.errors import UsageError
from danku.storage.dag import BLOCK_BYTES, Piece
from danku.storage.source import Absent, Failed, Patience, plain

RAW = "application/vnd.ipld.raw"
REDIRECTS = 3
_ABSENT = {404, 410, 412, 504}
_PART_BYTES = 2**14


class BadGateway(UsageError):
    """The text is not the address of a gateway."""


class Gateway:
    """A `danku.storage.source.Source` at the URL ``address``, to which ``/ipfs/CID`` is added."""

    testifies = True

    def __init__(self, address: str, patience: Patience, *, connections: int = 8) -> None:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
            raise BadGateway(
                f"{address!r} is not the address of a gateway",
                fix="give a URL such as https://gateway.example",
            )
        self._address = address.rstrip("/")
        public = parts._replace(netloc=parts.netloc.rpartition("@")[2])
        self.name = f"gateway {public.geturl()}"
        self._host = parts.hostname
        self._secure = parts.scheme == "https"
        self._patience = patience
        self._connections = connections

    @cached_property
    def _session(self) -> Any:
        import requests

        session = requests.Session()
        pool = requests.adapters.HTTPAdapter(pool_maxsize=self._connections)
        session.mount("http://", pool)
        session.mount("https://", pool)
        # NOTE: or a password for this host in ~/.netrc would be sent along.
        session.auth = lambda request: request
        return session

    def block(self, cid: str) -> bytes:
        """See `danku.storage.source.Source`."""
        from requests import RequestException
        from urllib3.exceptions import HTTPError

        url = f"{self._address}/ipfs/{cid}?format=raw"
        try:
            for _ in range(REDIRECTS + 1):
                with self._session.get(
                    url,
                    headers={"Accept": RAW, "Accept-Encoding": "identity"},
                    timeout=(self._patience.connection, self._patience.block),
                    allow_redirects=False,
                    stream=True,
                ) as answer:
                    if answer.status_code not in (301, 302, 303, 307, 308):
                        return _body(answer)
                    url = self._followed(url, answer.headers.get("Location", ""))
        except (RequestException, HTTPError, OSError, ValueError) as error:
            raise Failed(plain(error)) from None
        raise Failed("it sends us from one place to the next")

    def run(self, root: str, leaves: Sequence[Piece]) -> Iterator[bytes]:
        """See `danku.storage.source.Source`."""
        return (self.block(leaf.cid) for leaf in leaves)

    def _followed(self, url: str, location: str) -> str:
        """Where a redirection leads: to the gateway's own host or one below it, or nowhere.

        NOTE: else a gateway could have this machine ask its neighbours.
        """
        target = urlsplit(urljoin(url, location))
        host = target.hostname or ""
        own = host == self._host or host.endswith("." + self._host)
        if not own or (target.scheme != "https" and (self._secure or target.scheme != "http")):
            raise Failed("it sends us to another host")
        return target.geturl()


def _body(answer: Any) -> bytes:
    if answer.status_code in _ABSENT:
        raise Absent(f"it answers with HTTP status {answer.status_code}")
    if answer.status_code != 200:
        raise Failed(f"it answers with HTTP status {answer.status_code}")
    found = bytearray()
    for part in answer.iter_content(_PART_BYTES):
        found += part
        if len(found) > BLOCK_BYTES:
            raise Failed("it sends more than a block")
    return bytes(found)
