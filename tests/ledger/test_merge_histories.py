"""Random histories of clones that append, push, pull and merge with one another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from danku.errors import VerificationFailed
from danku.ledger.embedded.conflict import whole_lines
from danku.ledger.embedded.envelope import AdvanceTime, Grant
from danku.ledger.embedded.errors import Rewritten
from danku.ledger.embedded.merge import Merged
from danku.ledger.embedded.refusals import read_refusals
from danku.ledger.embedded.verification import verify_journal
from danku.protocol.types import Amount
from tests.ledger.forks import Fork, digests_in, first_fork
from tests.ledger.worlds import key_of

CLONES = 3
clones = st.integers(0, CLONES - 1)


class Histories(RuleBasedStateMachine):
    """Several clones of one hub; some people act in more than one of them."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        first = first_fork(Path(self.folder.name))
        self.hub, self.clock = first.hub, first.clock
        self.forks = [first, *(first.clone(f"clone {number}") for number in range(1, CLONES))]
        self.acknowledged: set[str] = set()
        self.shared = b""

    def teardown(self) -> None:
        self.folder.cleanup()

    @rule(clone=clones, who=st.sampled_from(["own", "alice", "treasurer"]), size=st.integers(1, 3))
    def act(self, clone: int, who: str, size: int) -> None:
        name = f"clone {clone}" if who == "own" else who
        action = Grant(key_of("bob").address, Amount(size)) if who == "treasurer" else None
        digest = self.forks[clone].act(name, action or AdvanceTime(size))
        self.acknowledged.add(digest)

    @rule(seconds=st.integers(1, 100))
    def wait(self, seconds: int) -> None:
        self.clock.now += seconds

    @rule(clone=clones)
    def push(self, clone: int) -> None:
        fork = self.forks[clone]
        fork.ledger.state()
        if fork.push():
            self.shared = self.hub.data
            assert fork.ledger.pending() == []

    @rule(clone=clones)
    def pull(self, clone: int) -> None:
        fork = self.forks[clone]
        with self.nothing_lost(fork):
            fork.pull()
        assert fork.data.startswith(self.hub.data)

    @rule(clone=clones, other=clones)
    def merge(self, clone: int, other: int) -> None:
        fork, kept = self.forks[clone], self.forks[other]
        before, floor = fork.data, fork.floor
        try:
            with self.nothing_lost(fork, kept):
                merged = fork.take(kept.data, floor)
        except Rewritten:
            assert fork.data == before
            assert floor is not None
            shared = whole_lines(before)[: floor.sequence + 1]
            assert whole_lines(kept.data)[: len(shared)] != shared
        else:
            assert fork.data.startswith(kept.data)
            assert isinstance(merged, Merged)
            fork.ledger.head()

    @contextmanager
    def nothing_lost(self, fork: Fork, *others: Fork) -> Iterator[None]:
        """Every action of both sides stands in the result, or is refused in so many words."""
        known = {digest for each in (fork, *others) for digest in digests_in(each.data)}
        yield
        refused = {"0x" + item.action.digest.hex() for item in read_refusals(fork.path)}
        assert known <= set(digests_in(fork.data)) | refused

    @invariant()
    def every_journal_verifies_and_every_memory_agrees(self) -> None:
        for fork in self.forks:
            verify_journal(fork.path, clock=fork.clock)

    def exchange(self) -> None:
        """All pull and push, one after the other, and once more."""
        for _ in range(2):
            for clone in range(CLONES):
                self.pull(clone)
                self.push(clone)

    @rule()
    def exchange_everything(self) -> None:
        self.exchange()
        assert len({fork.ledger.head() for fork in self.forks}) == 1
        standing = set(digests_in(self.hub.data))
        refused = {
            "0x" + item.action.digest.hex()
            for fork in self.forks
            for item in read_refusals(fork.path)
        }
        assert self.acknowledged <= standing | refused
        assert all(fork.ledger.pending() == [] for fork in self.forks)


def play(examples: int, steps: int) -> None:
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[phase for phase in Phase if phase is not Phase.explain],
        ),
    )


def test_random_histories() -> None:
    play(examples=20, steps=20)


@pytest.mark.soak
def test_random_histories_in_the_long_run() -> None:
    play(examples=500, steps=60)


def test_a_host_that_puts_other_lines_in_place_of_shared_ones_is_seen_by_all(
    tmp_path: Path,
) -> None:
    """For every clone and every line that was shared, whatever the host wrote instead."""
    first = first_fork(tmp_path)
    others = [first.clone("second"), first.clone("third")]
    for fork in (first, *others):
        fork.pull()
        fork.act(fork.folder.name)
        assert fork.push()
    for fork in (first, *others):
        fork.pull()
        fork.ledger.state()
    host = first.clone("host")
    lines = whole_lines(first.hub.data)
    for keeping in range(1, len(lines)):
        host.path.write_bytes(b"\n".join([*lines[:keeping], b""]))
        with suppress(VerificationFailed):
            (host.folder / "heads.json").unlink(missing_ok=True)
        for pending in host.folder.glob("pending-*"):
            pending.unlink()
        for _ in range(4):
            host.act("mallory")
        for fork in (first, *others):
            before = fork.data
            for journal in (host.data, b"\n".join([*lines[:keeping], b""])):
                fork.path.write_bytes(journal)
                with pytest.raises(Rewritten):
                    fork.ledger.state()
            fork.path.write_bytes(before)
            fork.ledger.state()
