"""A competition with thousands of submissions, built in memory and written down at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from danku.crypto.commitments import submission_commitment
from danku.crypto.hashing import from_hex, keccak, to_hex
from danku.crypto.signatures import PrivateKey
from danku.ledger.embedded.envelope import sign
from danku.ledger.embedded.lines import Line
from danku.ledger.embedded.replay import Replay
from danku.protocol import records
from danku.protocol.actions import Action, Open, Submit
from danku.protocol.terms import RegistryTerms
from danku.protocol.types import Amount
from danku.roles import seats, seeds
from danku.storage.cid import cid_of
from tests.roles.arena import ENTRY, STAKE, START, TOML, Arena, edited, key_of, model

JUDGES = tuple(f"judge-{number}" for number in range(50))
SEATS = 16
ONE_SEAT = 1_000
GROUP_ROWS = 40
COMMON_EVERY, COMMON_KINDS = 5, 7
"""Every fifth submission enters one of seven models that many have."""
DAY = 86_400
UNTIL_VOTES = 113 * 3_600
"""Seconds from `create` until votes are taken, by the arena's schedule."""


class Crowd(Arena):
    """Fifty validators with one to three seats each, a committee of 16, and many submitters."""

    registry = RegistryTerms(Amount(ONE_SEAT), 30 * DAY)

    def __init__(self, root: Path, submissions: int, start: int = START, groups: int = 100) -> None:
        self.submissions, self.groups, self.start = submissions, groups, start
        super().__init__(root)
        self.models = list(self._models())
        for number, name in enumerate(JUDGES):
            self.players[name] = self.join(name)
            seats.join(*self[name], 1 + number % 3)

    def text(self) -> str:
        """A committee of seats, and room for everybody."""
        seated = edited(TOML, {"panel": '"seats"', "max_entries": str(self.submissions)})
        wider = edited(seated, {"group_rows": str(GROUP_ROWS), "batch": "256"})
        return wider.replace("addresses = []", f"seats = {SEATS}")

    def write_data(self, path: Path) -> None:
        """Levels that say more or less of the kind, so that every shift scores otherwise."""
        generator = np.random.default_rng(1)
        levels = generator.normal(size=GROUP_ROWS * self.groups)
        kinds = levels + generator.normal(size=levels.size) > 0
        lines = [
            f"{level:.6f},{row},{'yes' if kind else 'no'}"
            for row, (level, kind) in enumerate(zip(levels, kinds, strict=True))
        ]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(["level,number,kind", *lines]) + "\n")

    def _models(self) -> Iterator[bytes]:
        for number in range(self.submissions):
            common = number % COMMON_EVERY == 0
            yield model(9.0 + number % COMMON_KINDS if common else 3 * number / self.submissions)

    def until_votes(self) -> Crowd:
        """Played until models and test data are public and votes are taken."""
        for step in (
            self.create,
            self.contribute,
            self.open_seeds,
            self.draw,
            self.reveal_train,
            self.submit,
            self.open,
            self.reveal_test,
        ):
            step()
        self.wait("reveal_test")
        return self

    def contribute(self, *names: str) -> None:
        seeds.contribute(*self[JUDGES[0]], self.identity)

    def open_seeds(self, *names: str) -> None:
        super().open_seeds("organizer", JUDGES[0])

    def submit(self, **models: bytes) -> None:
        """Everybody enters, each with a key of their own."""
        self.send_all(
            (entrant(number), Submit(self.identity, self._sealed(number)), STAKE + ENTRY)
            for number in range(self.submissions)
        )

    def open(self, *names: str) -> None:
        """Everybody opens; the models are put into the store without waiting for the disk."""
        self.wait("submit")
        for data in set(self.models):
            (self.public / "blobs" / cid_of(data)).write_bytes(data)
        self.send_all(
            (
                entrant(number),
                Open(
                    self.identity, number, to_hex(keccak(data)), cid_of(data), to_hex(_salt(number))
                ),
                0,
            )
            for number, data in enumerate(self.models)
        )

    def _sealed(self, number: int) -> str:
        data, who = self.models[number], entrant(number).address
        challenge = from_hex(self.identity)
        return to_hex(
            submission_commitment(challenge, who, keccak(data), cid_of(data), _salt(number))
        )

    def send_all(self, actions: Iterator[tuple[PrivateKey, Action, int]]) -> None:
        """Sign actions and write them behind the journal, all at once; every rule is asked."""
        path = self.public / "ledger.jsonl"
        first, *lines = path.read_bytes().splitlines()
        replay, now = Replay(first), self.clock()
        for raw in lines:
            replay.read(raw, now=now, already_checked=True)
        with path.open("ab") as file:
            for key, action, value in actions:
                seen = to_hex(replay.action_digest(replay.sequence))
                nonce = replay.nonce(key.address)
                signed = sign(key, replay.identity, action, value, nonce, seen)
                line = Line(signed, to_hex(replay.head), replay.sequence + 1, replay.time(now))
                raw = records.encode(line)
                replay.read(raw, now=now, already_checked=True)
                file.write(raw + b"\n")


def entrant(number: int) -> PrivateKey:
    """The key of a submission's submitter."""
    return key_of(f"entrant-{number}")


def _salt(number: int) -> bytes:
    return keccak(b"salt of", number.to_bytes(8, "big"))
