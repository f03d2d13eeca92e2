"""What a contract logged, read in bounded ranges of blocks, as wide as the node gives them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from danku.ledger.ethereum.chain import Chain
from danku.ledger.ethereum.errors import AnswerTooLong, NodeContradicts, NodeRefused
from danku.ledger.ethereum.words import SMALL, address, digest, field, malformed, octets, quantity
from danku.protocol.types import Address, Digest

FIRST_RANGE = 2_000
WIDEST_RANGE = 100_000
"""Blocks that one call asks for."""


@dataclass(frozen=True)
class Log:
    """One event as the chain has it."""

    block: int
    block_hash: Digest
    index: int
    """Its place in the block."""
    transaction: Digest
    topics: tuple[Digest, ...]
    data: bytes


class Ranges:
    """Reads a contract's logs; it remembers what range the node was willing to give."""

    def __init__(self, chain: Chain, contract: Address, width: int = FIRST_RANGE) -> None:
        self._chain, self._contract = chain, contract
        self._width, self._widest = width, WIDEST_RANGE

    def read(self, first: int, last: int) -> Iterator[tuple[int, list[Log]]]:
        """The logs of the blocks first..last in order: after each range, its last block and logs.

        Raises:
            NodeRefused: the node does not even give one block's.
            NodeContradicts: it gives other logs than asked for.
            NetworkError: it gives nothing usable.
        """
        while first <= last:
            end = min(last, first + self._width - 1)
            try:
                found = self._range(first, end)
            except (NodeRefused, AnswerTooLong):
                if end == first:
                    raise
                self._width = self._widest = (end - first + 1) // 2
                continue
            yield end, found
            first = end + 1
            self._width = min(self._widest, self._width * 2)

    def _range(self, first: int, last: int) -> list[Log]:
        asked = {"address": self._contract, "fromBlock": hex(first), "toBlock": hex(last)}
        answer = self._chain.transport.call("eth_getLogs", asked)
        if not isinstance(answer, list):
            raise malformed("logs")
        found, before = [], (first, -1)
        for each in answer:
            log = self._log(each)
            place = (log.block, log.index)
            if not before < place <= (last, SMALL):
                raise NodeContradicts(f"the node's logs of blocks {first} to {last} are not theirs")
            before = place
            found.append(log)
        return found

    def _log(self, plain: Any) -> Log:
        if address(field(plain, "address"), "log's address") != self._contract:
            raise NodeContradicts("the node gave logs of another contract")
        topics = field(plain, "topics")
        if not isinstance(topics, list) or field(plain, "removed") is True:
            raise malformed("log")
        return Log(
            block=quantity(field(plain, "blockNumber"), "log's block", SMALL),
            block_hash=digest(field(plain, "blockHash"), "log's block"),
            index=quantity(field(plain, "logIndex"), "log's place", SMALL),
            transaction=digest(field(plain, "transactionHash"), "log's transaction"),
            topics=tuple(digest(topic, "log's topic") for topic in topics),
            data=octets(field(plain, "data"), "log's data"),
        )
