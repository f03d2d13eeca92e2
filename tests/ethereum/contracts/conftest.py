"""Fixtures of `tests.ethereum.chain`."""

from __future__ import annotations

from tests.ethereum.chain import rules_node

__all__ = ["rules_node"]
