"""Fixtures of `tests.cli.fixtures`, and a node to play on."""

from __future__ import annotations

from tests.cli.fixtures import at, empty, played, quick
from tests.ethereum.fixtures import arenas, ethereum

__all__ = ["arenas", "at", "empty", "ethereum", "played", "quick"]
