"""JSON-RPC to a node on loopback over one connection that stays open, for many small calls."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

from tests.ethereum.node import Node, Refused

Request = tuple[str, tuple[Any, ...]]
"""A method and its parameters."""


class Wire:
    """A connection to a node."""

    def __init__(self, node: Node) -> None:
        where = urlsplit(node.url)
        self._connection = http.client.HTTPConnection(str(where.hostname), where.port, timeout=60)

    def call(self, method: str, *params: Any) -> Any:
        """The result of one call.

        Raises:
            Refused: the node answered with an error.
        """
        answer = self._ask(_body(0, method, params))
        if "error" in answer:
            raise Refused(answer["error"])
        return answer["result"]

    def batch(self, requests: list[Request]) -> list[Any]:
        """The results of calls that only read, in their order."""
        if not requests:
            return []
        bodies = [_body(place, *request) for place, request in enumerate(requests)]
        answers = sorted(self._ask(bodies), key=lambda answer: int(answer["id"]))
        return [answer["result"] for answer in answers]

    def _ask(self, body: Any) -> Any:
        headers = {"content-type": "application/json"}
        self._connection.request("POST", "/", json.dumps(body), headers)
        return json.loads(self._connection.getresponse().read())


def _body(identity: int, method: str, params: tuple[Any, ...]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": identity, "method": method, "params": list(params)}
