"""Fixtures of `tests.ethereum.fixtures`."""

from __future__ import annotations

from tests.ethereum.fixtures import arenas, ethereum, node, shared_node

__all__ = ["arenas", "ethereum", "node", "shared_node"]
