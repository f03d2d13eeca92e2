"""Fixtures of `tests.cli.fixtures`."""

from __future__ import annotations

from tests.cli.fixtures import at, empty, played, quick

__all__ = ["at", "empty", "played", "quick"]
