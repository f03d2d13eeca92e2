"""The shipped contracts: what can be called, what is logged, and the code that must be there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import Any

import msgspec

from danku.crypto.hashing import keccak

ARENA, COURT = "Arena", "Court"


def _type_of(plain: dict[str, Any]) -> str:
    """An ABI's type as it is hashed: a tuple by what it is made of."""
    name = str(plain["type"])
    if not name.startswith("tuple"):
        return name
    parts = ",".join(_type_of(part) for part in plain["components"])
    return f"({parts}){name[len('tuple') :]}"


@dataclass(frozen=True)
class Signature:
    """A function or an event."""

    name: str
    inputs: tuple[str, ...]
    """The names of what it takes or tells."""
    types: tuple[str, ...]
    indexed: tuple[bool, ...]

    @property
    def topic(self) -> bytes:
        """What a log's first topic is; the first four bytes select a function."""
        return keccak(f"{self.name}({','.join(self.types)})".encode())


@dataclass(frozen=True)
class Artifact:
    """One compiled contract."""

    abi: tuple[dict[str, Any], ...]
    bytecode: bytes
    """What creates the contract, before its constructor's arguments."""
    runtime: bytes
    """What is then at its address, before its immutables."""

    @cached_property
    def functions(self) -> dict[str, Signature]:
        """Everything that can be called, by name."""
        return self._signatures("function")

    @cached_property
    def events(self) -> dict[str, Signature]:
        """Everything that is logged, by name."""
        return self._signatures("event")

    def _signatures(self, kind: str) -> dict[str, Signature]:
        found = {}
        for plain in self.abi:
            if plain["type"] == kind:
                inputs = plain["inputs"]
                found[plain["name"]] = Signature(
                    name=plain["name"],
                    inputs=tuple(item["name"] for item in inputs),
                    types=tuple(_type_of(item) for item in inputs),
                    indexed=tuple(bool(item.get("indexed")) for item in inputs),
                )
        return found


@cache
def artifact(name: str) -> Artifact:
    """A shipped contract by its name."""
    folder = resources.files("danku.ledger.ethereum") / "artifacts"
    plain = msgspec.json.decode((folder / f"{name}.json").read_bytes())
    return Artifact(
        abi=tuple(plain["abi"]),
        bytecode=bytes.fromhex(plain["bytecode"].removeprefix("0x")),
        runtime=bytes.fromhex(plain["runtime"].removeprefix("0x")),
    )


@cache
def interface() -> list[dict[str, Any]]:
    """Everything that the arena's address answers to: its own functions and the court's."""
    own = artifact(ARENA)
    others = [each for each in artifact(COURT).abi if each["type"] == "function"]
    return [*own.abi, *(each for each in others if each["name"] not in own.functions)]


@cache
def events() -> dict[str, Signature]:
    """Everything that the arena's address logs, by hex topic."""
    both = {**artifact(COURT).events, **artifact(ARENA).events}
    return {"0x" + each.topic.hex(): each for each in both.values()}
