"""Journals to read and to damage."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from danku.protocol import actions
from danku.protocol.types import Amount
from tests.ledger.worlds import EmbeddedWorld, PortGame, key_of


@pytest.fixture(autouse=True)
def fast_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test cuts the power, so none needs to wait for the disk; other processes do wait."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def sandbox(tmp_path: Path) -> EmbeddedWorld:
    """A sandbox without a line but the first."""
    return EmbeddedWorld(tmp_path, sandbox=True)


@pytest.fixture
def played(tmp_path: Path) -> PortGame:
    """A challenge decided and paid in a journal of about fifty lines, on a clock that moved."""
    game = PortGame(EmbeddedWorld(tmp_path))
    alice = key_of("alice").address
    ballot = game.ballot({alice: 1060}, winner=alice, score=5)
    game.opened(ballot).finalize().claim()
    game.ledger.submit(key_of("organizer"), actions.Withdraw())
    game.world.fund("alice", Amount(5))
    return game


@pytest.fixture
def world(played: PortGame) -> EmbeddedWorld:
    """Where the challenge was played."""
    assert isinstance(played.world, EmbeddedWorld)
    return played.world
