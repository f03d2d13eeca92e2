"""Fixtures of `tests.ethereum.fixtures`, for the suite that every ledger passes."""

from __future__ import annotations

from tests.ethereum.fixtures import arenas, ethereum

__all__ = ["arenas", "ethereum"]
