"""An IPFS node of one's own, through its RPC API: add, pin, blocks, peers.

`ipfshttpclient` 0.8.0a2 speaks to it. It knows no daemon of this decade by version, so that the
check of the version is ours, and so is the last word on every CID and every byte.
"""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from danku.errors import UsageError
from danku.storage.dag import BLOCK_BYTES, Piece
from danku.storage.port import StoreUnusable
from danku.storage.source import Absent, Failed, Patience, SourceFault, TooSlow, plain

T = TypeVar("T")

OLDEST_KUBO = (0, 5)
"""Since then the API takes POST only, and names by base32 CIDs."""

ADD_SECONDS = 300.0
"""How long a node may be silent while it takes a file in."""
_UPLOAD_BYTES = 2**18
_NOT_FOUND = re.compile(r"not found|could not find|no such|not pinned", re.IGNORECASE)


class BadAddress(UsageError):
    """The text is not the multiaddr of an API."""


class NodeUnreachable(StoreUnusable):
    """The node does not answer."""


class NodeFailed(StoreUnusable):
    """The node answers that it cannot."""


class NodeTooOld(StoreUnusable):
    """The node is of a version that this client cannot use."""


class WrongCid(StoreUnusable):
    """The node names bytes otherwise than danku does."""


class Node:
    """One node's API at the multiaddr ``api``; used by several threads at once."""

    def __init__(self, api: str, patience: Patience) -> None:
        self.api = api
        self._patience = patience

    @cached_property
    def _client(self) -> Any:
        # NOTE: the library makes urllib3 warn of its own future, which no user can change.
        warnings.filterwarnings("ignore", "The 'strict' parameter", FutureWarning)
        import ipfshttpclient

        try:
            return ipfshttpclient.Client(
                self.api,
                session=True,
                chunk_size=_UPLOAD_BYTES,
                timeout=self._patience.connection,
            )
        except (ValueError, ipfshttpclient.exceptions.Error) as error:
            raise BadAddress(
                f"{self.api!r} is not the address of an IPFS node's API ({plain(error)})",
                fix="give a multiaddr, such as /ip4/127.0.0.1/tcp/5001",
            ) from None

    def version(self) -> str:
        """The node's program and version, which this client can use.

        Raises:
            NodeTooOld: it cannot.
            NodeUnreachable, NodeFailed: see there.
        """
        answer = self._told("version", lambda client, options: client.version(**options))
        text = str(answer.get("Version", ""))[:80]
        if "ipfs-core" in answer:
            return f"js-ipfs {text}"
        numbers = re.match(r"(\d{1,6})\.(\d{1,6})", text)
        if numbers is None or tuple(map(int, numbers.groups())) < OLDEST_KUBO:
            raise NodeTooOld(
                f"the node at {self.api} says that it is version {text!r}",
                why=f"Kubo {'.'.join(map(str, OLDEST_KUBO))} is the oldest that can be used",
                fix="install a current Kubo, and start it again",
            )
        return f"Kubo {text}"

    def peers(self) -> int:
        """How many other nodes it is connected to."""
        answer = self._told("peers", lambda client, options: client.swarm.peers(**options))
        found = answer.get("Peers")
        return len(found) if isinstance(found, list) else 0

    def addresses(self) -> list[str]:
        """The multiaddrs under which others may reach it."""
        answer = self._told("addresses", lambda client, options: client.id(**options))
        found = answer.get("Addresses")
        return [str(address) for address in found] if isinstance(found, list) else []

    def connect(self, address: str) -> None:
        """Connect it to another node."""
        self._ask(
            f"a connection to {address}",
            # NOTE: the library takes a text apart into characters, and each for an address.
            lambda client, options: client.swarm.connect(_Whole(address), **options),
        )

    def add(self, path: Path, cid: str) -> None:
        """Have it keep and pin a file, under the CID that the file has for us.

        Raises:
            WrongCid: the node gives it another one; then nothing stays pinned.
            NodeUnreachable, NodeFailed: see there.
        """
        answer = self._told(
            "it to take a file in",
            lambda client, options: client.add(
                path,
                cid_version=1,
                raw_leaves=True,
                pin=True,
                opts={"cid-base": "base32"},
                **options,
            ),
            seconds=ADD_SECONDS,
        )
        found = answer.get("Hash")
        if found != cid:
            if isinstance(found, str) and re.fullmatch(r"[A-Za-z0-9]{1,200}", found):
                self.unpin(found)
            raise WrongCid(
                f"the node at {self.api} names a file {str(found)[:80]!r} that is {cid}",
                why="it cuts or hashes files otherwise than `ipfs add --cid-version=1` does, "
                "or the file changed on the way",
                fix="set Import.UnixFSChunker and the like in its configuration to the default",
            )

    def is_pinned(self, cid: str) -> bool:
        """Whether it keeps the blob for good."""
        try:
            self._repeat(lambda client, options: client.pin.ls(cid, type="recursive", **options))
        except Absent:
            return False
        except SourceFault as error:
            raise self._unusable("what is pinned", error) from None
        return True

    def unpin(self, cid: str) -> None:
        """Let it forget a blob; fine if it was not pinned."""
        try:
            self._repeat(lambda client, options: client.pin.rm(cid, **options))
        except Absent:
            return
        except SourceFault as error:
            raise self._unusable(f"it to unpin {cid}", error) from None

    def block(self, cid: str, *, offline: bool, seconds: float) -> bytes:
        """A block that it has, or unless ``offline`` finds.

        Raises:
            SourceFault: why there is none.
        """
        found = bytearray()
        for part in self._stream(
            lambda client, options: client.block.get(cid, offline=offline, **options), seconds
        ):
            found += part
            if len(found) > BLOCK_BYTES:
                raise Failed("it sends more than a block")
        return bytes(found)

    def leaves(
        self, root: str, leaves: Sequence[Piece], *, offline: bool, seconds: float
    ) -> Iterator[bytes]:
        """Leaves that follow one another in the file ``root``, read as one stretch of it.

        Raises:
            SourceFault: why there are no more.
        """
        length = sum(leaf.size for leaf in leaves)
        stretch = self._stream(
            lambda client, options: client.cat(
                root, offset=leaves[0].offset, length=length, offline=offline, **options
            ),
            seconds,
        )
        ahead = b""
        for leaf in leaves:
            parts, there = [ahead], len(ahead)
            while there < leaf.size:
                part = next(stretch, None)
                if part is None:
                    raise Failed("it sends less than the file has")
                parts.append(part)
                there += len(part)
            # NOTE: a part that is just a leaf, as most are, is not copied.
            joined = b"".join(parts) if parts[0] or len(parts) > 2 else parts[-1]
            yield joined[: leaf.size]
            ahead = joined[leaf.size :]

    def _stream(
        self, call: Callable[[Any, dict[str, Any]], Any], seconds: float
    ) -> Iterator[bytes]:
        parts = self._call(
            lambda client, options: call(client, {**options, "stream": True}), seconds
        )
        with parts:
            while True:
                part: bytes | None = self._call(lambda client, options: next(parts, None), seconds)
                if part is None:
                    return
                yield part

    def _ask(
        self, what: str, call: Callable[[Any, dict[str, Any]], T], seconds: float | None = None
    ) -> T:
        try:
            return self._repeat(call, seconds)
        except SourceFault as error:
            raise self._unusable(what, error) from None

    def _told(
        self, what: str, call: Callable[[Any, dict[str, Any]], T], seconds: float | None = None
    ) -> dict[str, Any]:
        """A record that the node gives; empty where it gives something else."""
        answer: Any = self._ask(what, call, seconds)
        record = answer.as_json() if hasattr(answer, "as_json") else None
        return record if isinstance(record, dict) else {}

    def _repeat(self, call: Callable[[Any, dict[str, Any]], T], seconds: float | None = None) -> T:
        """What the node gives; asked again where it could not be reached."""
        for attempt in range(self._patience.attempts - 1):
            try:
                return self._call(call, seconds or self._patience.connection)
            except _Refused:
                raise
            except Failed:
                time.sleep(self._patience.pause * 2**attempt)
        return self._call(call, seconds or self._patience.connection)

    def _call(self, call: Callable[[Any, dict[str, Any]], T], seconds: float) -> T:
        """What the library gives; its errors become a `SourceFault`."""
        client = self._client
        from ipfshttpclient import exceptions
        from requests import RequestException
        from urllib3.exceptions import HTTPError

        try:
            return call(client, {"timeout": seconds})
        except exceptions.TimeoutError:
            raise TooSlow(f"no answer within {seconds:.0f} s") from None
        except exceptions.ErrorResponse as error:
            kind = Absent if _NOT_FOUND.search(str(error)) else _Refused
            raise kind(f"it answers: {str(error)[:200]}") from None
        except (AssertionError, LookupError, TypeError):
            # NOTE: the library takes for granted that it talks to a node.
            raise Failed("it does not answer as a node does") from None
        except (exceptions.Error, RequestException, HTTPError, OSError, ValueError) as error:
            status = getattr(getattr(error, "original", None), "response", None)
            if status is not None:
                raise _Refused(f"it answers with HTTP status {status.status_code}") from None
            raise Failed(plain(error)) from None

    def _unusable(self, what: str, error: SourceFault) -> StoreUnusable:
        if isinstance(error, _Refused | Absent):
            return NodeFailed(
                f"the IPFS node at {self.api} was asked for {what}, and failed",
                why=str(error),
                fix="look at the node's log and at the space on its disk",
            )
        return NodeUnreachable(
            f"the IPFS node at {self.api} was asked for {what}, and did not answer",
            why=str(error),
            fix="start it with `ipfs daemon`, or name another: danku storage use ipfs --api ADDR",
        )


class _Refused(Failed):
    """The node's own word that it cannot."""


class _Whole:
    """An address that the library does not take apart."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text

    def __iter__(self) -> Iterator[str]:
        return iter(())
