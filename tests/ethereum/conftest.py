"""Fixtures of `tests.ethereum.fixtures`."""

from __future__ import annotations

from tests.ethereum.fixtures import node, shared_node

__all__ = ["node", "shared_node"]
