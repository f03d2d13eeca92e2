"""The arena's one currency: the chain's own coin, or an ERC-20 token (EIP-20)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from danku.crypto.hashing import abi_encode, from_hex, keccak
from danku.ledger.ethereum.chain import Chain
from danku.ledger.ethereum.errors import Reverted
from danku.ledger.ethereum.network import Network
from danku.ledger.ethereum.sender import Failed, Message, Sender, purpose_of
from danku.ledger.ethereum.words import malformed
from danku.protocol.types import ZERO_ADDRESS, Address

if TYPE_CHECKING:
    from danku.crypto.signatures import PrivateKey

_WORD = 32


def _call(signature: str, *values: tuple[str, object]) -> bytes:
    types, arguments = zip(*values, strict=True)
    return keccak(signature.encode())[:4] + abi_encode(types, arguments)


class Currency:
    """What an address can spend, and letting the contract take it."""

    def __init__(self, chain: Chain, network: Network) -> None:
        self._chain, self._network = chain, network

    @property
    def is_token(self) -> bool:
        """Whether actions carry tokens, and no coin."""
        return self._network.currency != ZERO_ADDRESS

    def balance(self, who: Address) -> int:
        """In the smallest unit."""
        if not self.is_token:
            return self._chain.balance(who)
        return self._number(_call("balanceOf(address)", ("address", who)))

    def allow(self, sender: Sender, key: PrivateKey, amount: int) -> None:
        """Have the token let the contract take an amount; exactly that, so nothing more is at risk.

        Raises:
            Reverted: the token refuses.
            StorageError: as `Sender.send`.
        """
        contract, token = self._network.contract, self._network.currency
        asked = _call("allowance(address,address)", ("address", key.address), ("address", contract))
        allowed = self._number(asked)
        if allowed >= amount:
            return
        # NOTE: some tokens change an allowance only from or to zero.
        for step in (0, amount) if allowed else (amount,):
            data = _call("approve(address,uint256)", ("address", contract), ("uint256", step))
            message = Message("approve", token, data)
            try:
                purpose = purpose_of(key.address, from_hex(token), data)
                sender.send(key, purpose, lambda message=message: message)  # type: ignore[misc]
            except Failed as failed:
                raise Reverted(
                    f"the token {token} refused the approve {failed.inclusion.transaction}",
                    why="whoever made the token decides what it allows",
                    fix="ask them; nothing else was sent",
                ) from None

    def _number(self, call: bytes) -> int:
        answer = self._chain.call(self._network.currency, call)
        if len(answer) != _WORD:
            raise malformed(f"{len(answer)} bytes of the token {self._network.currency}")
        return int.from_bytes(answer, "big")
