"""Keys, secrets and a ledger's birth as before, so that two games have the same digests."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from danku.crypto.hashing import keccak
from danku.crypto.signatures import PrivateKey

SECRET_BYTES = 32
BEGUN = int(time.time())


@contextmanager
def unrandom(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Within it, every 32 random bytes are the next ones of a fixed sequence.

    Names of files stay random, and time goes on; only new ledgers begin at one moment.
    """
    count, random_bytes = itertools.count(), secrets.token_bytes

    def token_bytes(size: int | None = None) -> bytes:
        if size != SECRET_BYTES:
            return random_bytes(size)
        return keccak(b"unrandom", next(count).to_bytes(8))

    def generate() -> PrivateKey:
        return PrivateKey.from_bytes(token_bytes(SECRET_BYTES))

    with monkeypatch.context() as patch:
        patch.setattr(secrets, "token_bytes", token_bytes)
        patch.setattr(PrivateKey, "generate", generate)
        patch.setattr("danku.ledger.embedded.ledger.system_clock", lambda: BEGUN)
        yield
