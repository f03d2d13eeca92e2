"""What a journal costs as it grows: appending, verifying, and replaying what was checked before.

    python tests/bench/bench_ledger.py [--actions 10000] [--json]

The journal holds whole competitions, one after the other. "append" keeps the ledger open, as a
watching validator does; "a command" is the processor time of a process that imports the ledger,
opens it with its cached state, appends and ends. Cached states are written as usual in both.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from danku.crypto.hashing import to_hex
from danku.crypto.signatures import PrivateKey
from danku.ledger.embedded.envelope import AdvanceTime, Grant, LedgerAction, sign
from danku.ledger.embedded.genesis import create_journal
from danku.ledger.embedded.ledger import EmbeddedLedger
from danku.ledger.embedded.lines import Line
from danku.ledger.embedded.replay import Replay
from danku.ledger.embedded.verification import verify_journal
from danku.ledger.port import Receipt
from danku.protocol import records
from danku.protocol.state import State
from danku.protocol.types import Amount
from tests.ledger.worlds import FUNDS, NONCE, START, Clock, PortGame, key_of

SMALL = 100
APPENDS = 512
COMMANDS = 7
LIMITS = {"append_ratio": 3.0, "command_ratio": 3.0, "verify": 500, "replay": 2_000}

COMMAND = """
import sys
from pathlib import Path
from danku.crypto.signatures import PrivateKey
from danku.ledger.embedded.envelope import AdvanceTime
from danku.ledger.embedded.ledger import EmbeddedLedger

path, now = Path(sys.argv[1]), int(sys.argv[2])
heads, cache = path.with_suffix(".heads.json"), path.with_suffix(".cache")
ledger = EmbeddedLedger(path, clock=lambda: now, cache=cache, heads=heads)
ledger.submit(PrivateKey.from_bytes(bytes(31) + b"1"), AdvanceTime(1))
"""


class Builder:
    """A ledger in memory that makes the lines of a journal, without a disk to wait for."""

    def __init__(self, genesis_line: bytes) -> None:
        self.clock = Clock()
        self.replay = Replay(genesis_line)
        self.lines = [genesis_line]
        self.chain_id, self.address = self.replay.identity.chain_id, self.replay.identity.address

    def state(self) -> State:
        return self.replay.standing.state

    def time(self) -> int:
        return self.replay.time(self.clock())

    def balance(self, address: str) -> int:
        return self.replay.balance(address)

    def submit(self, key: PrivateKey, action: LedgerAction, value: int = 0) -> Receipt:
        replay = self.replay
        nonce, seen = replay.nonce(key.address), to_hex(replay.action_digest(replay.sequence))
        signed = sign(key, replay.identity, action, value, nonce, seen)
        line = Line(signed, to_hex(replay.head), replay.sequence + 1, self.time())
        step = replay.check(records.encode(line), now=self.clock())
        replay.commit(step)
        self.lines.append(step.raw)
        return Receipt(step.line.sequence, step.line.time, to_hex(step.digest))


class BuilderWorld:
    """Where games are played on a builder."""

    def __init__(self, genesis_line: bytes) -> None:
        self.ledger = Builder(genesis_line)

    def again(self) -> Builder:
        return self.ledger

    def fund(self, name: str, amount: int) -> None:
        self.ledger.submit(key_of("treasurer"), Grant(key_of(name).address, Amount(amount)))

    def wait_until(self, time: int) -> None:
        self.ledger.clock.now = max(self.ledger.clock.now, time)


def build(path: Path, actions: int) -> int:
    """Write a journal of so many actions; returns the ledger's time at its end."""
    create_journal(
        path,
        sandbox=True,
        play_money=FUNDS,
        treasurer=key_of("treasurer").address,
        sequencer=None,
        clock=lambda: START,
        nonce=NONCE,
    )
    world = BuilderWorld(path.read_bytes()[:-1])
    alice = key_of("alice").address
    while len(world.ledger.lines) <= actions:
        game = PortGame(world, fund=True)
        game.opened(game.ballot({alice: 1060}, winner=alice, score=5)).finalize().claim()
    path.write_bytes(b"".join(line + b"\n" for line in world.ledger.lines[: actions + 1]))
    return world.ledger.clock.now


def opened(path: Path, *, cached: bool = True) -> EmbeddedLedger:
    clock = Clock(int(path.with_suffix(".time").read_text()))
    heads = path.with_suffix(".heads.json")
    cache = path.with_suffix(".cache") if cached else None
    return EmbeddedLedger(path, clock=clock, cache=cache, heads=heads)


def append_seconds(path: Path) -> float:
    """The mean over enough appends that the cached state is written in their midst."""
    ledger, key = opened(path), key_of("alice")
    started = time.perf_counter()
    for _ in range(APPENDS):
        ledger.submit(key, AdvanceTime(1))
    return (time.perf_counter() - started) / APPENDS


def command_seconds(path: Path) -> float:
    """The median processor time of a process that opens the ledger, appends and ends."""
    command = [sys.executable, "-c", COMMAND, str(path), path.with_suffix(".time").read_text()]

    def run() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, cwd=Path(__file__).parents[2])
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    return statistics.median(run() for _ in range(COMMANDS))


def rates(path: Path, actions: int) -> dict[str, float]:
    """Actions a second: everything checked from nothing, and replayed up to a remembered head."""
    clock = Clock(int(path.with_suffix(".time").read_text()))
    started = time.process_time()
    verify_journal(path, clock=clock)
    verified = time.process_time()
    opened(path, cached=False)
    replayed = time.process_time()
    return {
        "verify": actions / (verified - started),
        "replay": actions / (replayed - verified),
    }


def measure(actions: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        small, large = Path(name) / "small.jsonl", Path(name) / "large.jsonl"
        for path, count in ((small, SMALL), (large, actions)):
            path.with_suffix(".time").write_text(str(build(path, count)))
            opened(path)
        found = rates(large, actions)
        for path in (small, large):
            found[f"append_{path.stem}_ms"] = 1_000 * append_seconds(path)
            found[f"command_{path.stem}_ms"] = 1_000 * command_seconds(path)
    for kind in ("append", "command"):
        found[f"{kind}_ratio"] = found[f"{kind}_large_ms"] / found[f"{kind}_small_ms"]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--actions", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options.actions)
    good = {
        name: found[name] <= limit if name.endswith("ratio") else found[name] >= limit
        for name, limit in LIMITS.items()
    }
    if options.json:
        print(json.dumps({"bench": "ledger", "results": found, "limits": LIMITS, "ok": good}))
        return 0 if all(good.values()) else 1
    print(f"{'':24}{SMALL:>9} {options.actions:>9}   ratio   limit")
    for kind, what in (("append", "append, ms"), ("command", "a command, ms")):
        print(
            f"{what:24}{found[f'{kind}_small_ms']:9.2f} {found[f'{kind}_large_ms']:9.2f}"
            f"  {found[f'{kind}_ratio']:6.2f}  {LIMITS[f'{kind}_ratio']:6.1f}"
        )
    for kind, what in (("verify", "verify, actions/s"), ("replay", "replay checked, actions/s")):
        print(f"{what:24}{'':10}{found[kind]:9.0f}          {LIMITS[kind]:6.0f}")
    for name, holds in good.items():
        if not holds:
            print(f"BEYOND THE LIMIT: {name}")
    return 0 if all(good.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
