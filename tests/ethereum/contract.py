"""The contract on a node, by ABI alone: calls, refusals and events, without a client in between."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from eth_abi import decode, encode

from danku.crypto.hashing import keccak
from danku.ledger.ethereum.refusals import SELECTORS
from tests.ethereum.compiling import shipped
from tests.ethereum.node import Node, Refused

GAS = 16_000_000
DEPLOYER = "0x" + "d3" * 20


def type_of(item: Mapping[str, Any]) -> str:
    """The canonical ABI type of an input, tuples spelled out."""
    kind = str(item["type"])
    if not kind.startswith("tuple"):
        return kind
    inner = ",".join(type_of(part) for part in item["components"])
    return f"({inner}){kind[5:]}"


def types_of(items: list[Mapping[str, Any]]) -> list[str]:
    return [type_of(item) for item in items]


@lru_cache
def _shipped_interface(name: str) -> tuple[dict[str, Any], dict[bytes, Any]]:
    return _interface(shipped(name)["abi"])


def _interface(abi: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[bytes, Any]]:
    """Functions by name and events by topic."""
    functions = {item["name"]: item for item in abi if item["type"] == "function"}
    events = {}
    for item in abi:
        if item["type"] == "event":
            signature = f"{item['name']}({','.join(types_of(item['inputs']))})"
            events[keccak(signature.encode())] = item
    return functions, events


@dataclass(frozen=True)
class Sent:
    """A mined transaction."""

    gas: int
    events: tuple[tuple[str, dict[str, Any]], ...]
    """Name and arguments of each event, in order."""
    block: int
    time: int


class Reverted(Exception):
    """A call was refused; ``rule`` is the name of the error, or the text of what came back."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


class Contract:
    """A contract at an address."""

    def __init__(self, node: Node, address: str, abi: list[dict[str, Any]] | None = None) -> None:
        """Without an ABI it is an arena."""
        self.node = node
        self.address = address
        self.functions, self.events = _interface(abi) if abi else _shipped_interface("Arena")

    def data(self, function: str, arguments: tuple[Any, ...]) -> str:
        types = types_of(self.functions[function]["inputs"])
        signature = f"{function}({','.join(types)})"
        return "0x" + (keccak(signature.encode())[:4] + encode(types, arguments)).hex()

    def call(
        self,
        function: str,
        *arguments: Any,
        sender: str = DEPLOYER,
        value: int = 0,
        time: int | None = None,
    ) -> Any:
        """What a call returns, in a block that would come next.

        Raises:
            Reverted: it is refused.
        """
        asked = self.request(function, arguments, sender, value)
        overrides = {} if time is None else {"time": hex(time)}
        try:
            answer = self.node.call("eth_call", asked, "latest", {}, overrides)
        except Refused as refusal:
            raise Reverted(rule_of(refusal)) from None
        types = types_of(self.functions[function]["outputs"])
        found = decode(types, bytes.fromhex(answer[2:])) if types else ()
        return found[0] if len(found) == 1 else found

    def asking(self, function: str, *arguments: Any) -> tuple[str, tuple[Any, ...]]:
        """A call without a sender, for `batch`."""
        asked = {"to": self.address, "data": self.data(function, arguments)}
        return "eth_call", (asked, "latest")

    def request(
        self, function: str, arguments: tuple[Any, ...], sender: str, value: int
    ) -> dict[str, str]:
        return {
            "from": sender,
            "to": self.address,
            "value": hex(value),
            "data": self.data(function, arguments),
            "gas": hex(GAS),
            "gasPrice": "0x0",
        }

    def send(
        self,
        function: str,
        *arguments: Any,
        sender: str = DEPLOYER,
        value: int = 0,
        time: int | None = None,
    ) -> Sent:
        """Send a transaction, and mine it in a block of the given time.

        Raises:
            Reverted: it is refused.
        """
        receipt = transact(self.node, self.request(function, arguments, sender, value), time)
        if int(receipt["status"], 16) != 1:
            at = int(receipt["timestamp"], 16) if "timestamp" in receipt else time
            try:
                self.call(function, *arguments, sender=sender, value=value, time=at)
            except Reverted as why:
                raise why from None
            raise Reverted("a transaction failed that succeeds when it is called")
        events = tuple(self.event(log) for log in receipt["logs"] if self.mine(log))
        block = int(receipt["blockNumber"], 16)
        return Sent(int(receipt["gasUsed"], 16), events, block, self.node.time())

    def mine(self, log: Mapping[str, Any]) -> bool:
        return str(log["address"]).lower() == self.address

    def event(self, log: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        topics = [bytes.fromhex(topic[2:]) for topic in log["topics"]]
        item = self.events[topics[0]]
        indexed = [each for each in item["inputs"] if each["indexed"]]
        plain = [each for each in item["inputs"] if not each["indexed"]]
        found = {
            each["name"]: decode([type_of(each)], topic)[0]
            for each, topic in zip(indexed, topics[1:], strict=True)
        }
        values = decode(types_of(plain), bytes.fromhex(log["data"][2:]))
        return item["name"], found | {
            each["name"]: value for each, value in zip(plain, values, strict=True)
        }


def batch(node: Node, requests: list[tuple[str, tuple[Any, ...]]]) -> list[Any]:
    """The results of many JSON-RPC calls, asked at once."""
    where = urlsplit(node.url)
    body = [
        {"jsonrpc": "2.0", "id": place, "method": method, "params": list(params)}
        for place, (method, params) in enumerate(requests)
    ]
    connection = http.client.HTTPConnection(str(where.hostname), where.port, timeout=60)
    try:
        headers = {"content-type": "application/json"}
        connection.request("POST", "/", json.dumps(body), headers=headers)
        answers = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    return [answer["result"] for answer in sorted(answers, key=lambda answer: answer["id"])]


def rule_of(refusal: Refused) -> str:
    """The rule that a revert names, or what it says instead."""
    data = refusal.data if isinstance(refusal.data, str) else ""
    return SELECTORS.get(bytes.fromhex(data[2:]), f"{refusal} {data}")


def transact(node: Node, request: dict[str, str], time: int | None = None) -> dict[str, Any]:
    """Send a transaction and mine it; returns its receipt."""
    if time is not None:
        node.next_timestamp(time)
    digest = node.call("eth_sendTransaction", request)
    receipt = None
    while receipt is None:
        receipt = node.call("eth_getTransactionReceipt", digest)
    found: dict[str, Any] = receipt
    return found


def deploy(node: Node, name: str, types: list[str], arguments: tuple[Any, ...]) -> str:
    """Deploy a shipped contract; returns its address in lower case."""
    return deploy_code(node, shipped(name)["bytecode"], types, arguments)


def deploy_code(node: Node, bytecode: str, types: list[str], arguments: tuple[Any, ...]) -> str:
    """Deploy bytecode; returns its address in lower case."""
    data = bytecode + encode(types, arguments).hex()
    request = {"from": DEPLOYER, "data": data, "gas": hex(GAS), "gasPrice": "0x0"}
    receipt = transact(node, request)
    assert int(receipt["status"], 16) == 1, receipt
    return str(receipt["contractAddress"]).lower()


ZERO = "0x" + "00" * 20


def deploy_arena(
    node: Node,
    *,
    currency: str = ZERO,
    block_seconds: int = 12,
    stake: int = 0,
    unbonding: int = 0,
) -> Contract:
    """A new arena and its court."""
    words = (currency, stake, unbonding)
    court = deploy(node, "Court", ["address", "uint256", "uint256"], words)
    arena = deploy(node, "Arena", ["address", "uint256"], (court, block_seconds))
    return Contract(node, arena)
