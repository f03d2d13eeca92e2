"""Calls as the bytes of a transaction."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from danku.crypto.hashing import from_hex
from danku.crypto.signatures import checksum_address
from danku.ledger.ethereum.artifact import interface
from danku.ledger.ethereum.calls import Call
from danku.ledger.ethereum.errors import ExtraMissing

if TYPE_CHECKING:
    from web3 import Web3


def encode_call(call: Call) -> bytes:
    """The function's selector and its arguments.

    Raises:
        ExtraMissing: the packages for Ethereum are not installed.
    """
    contract = _web3().eth.contract(abi=interface())
    return from_hex(contract.encode_abi(call.function, args=_spelled(call.arguments)))


def _spelled(values: Any) -> Any:
    """Values with addresses in mixed case, which is the only spelling that web3 takes."""
    if isinstance(values, tuple | list):
        return [_spelled(value) for value in values]
    if isinstance(values, str) and values.startswith("0x") and len(values) == 42:
        return checksum_address(values)
    return values


@cache
def _web3() -> Web3:
    try:
        from web3 import Web3
    except ImportError:
        raise ExtraMissing("web3") from None
    return Web3()
