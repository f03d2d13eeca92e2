"""Contracts that are not danku's: tokens and attackers, compiled from tests/ethereum/contracts."""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path
from typing import Any

from vyper.compiler import compile_code

from danku.crypto.hashing import keccak
from tests.ethereum.contract import Contract, deploy_code, types_of
from tests.ethereum.node import Node

SOURCES = Path(__file__).parent / "contracts"
_OUTPUTS = ("abi", "bytecode", "bytecode_runtime")


@cache
def compiled(name: str) -> dict[str, Any]:
    """A contract's ABI and bytecode."""
    source = (SOURCES / f"{name}.vy").read_text("utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an attacker uses what the compiler advises against
        found: dict[str, Any] = compile_code(source, output_formats=_OUTPUTS)
    return found


class Foreign(Contract):
    """A contract of the tests at an address."""

    def __init__(self, node: Node, address: str, name: str) -> None:
        self.node, self.address = node, address
        abi = compiled(name)["abi"]
        self.functions = {item["name"]: item for item in abi if item["type"] == "function"}
        self.events = {
            keccak(f"{item['name']}({','.join(types_of(item['inputs']))})".encode()): item
            for item in abi
            if item["type"] == "event"
        }


def deploy_foreign(node: Node, name: str, *arguments: Any) -> Foreign:
    """A new contract of the tests."""
    abi = compiled(name)["abi"]
    inputs = next((item["inputs"] for item in abi if item["type"] == "constructor"), [])
    bytecode = compiled(name)["bytecode"]
    address = deploy_code(node, bytecode, types_of(inputs), arguments)
    return Foreign(node, address, name)
