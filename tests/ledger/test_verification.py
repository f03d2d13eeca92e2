"""Verifying a journal: numbered checks, what was counted, and the head that was noted."""

from __future__ import annotations

import pytest

from danku.crypto.hashing import keccak, to_hex
from danku.errors import DataError
from danku.ledger.embedded.errors import CHECKS, Rewritten
from danku.ledger.embedded.verification import verify_journal
from tests.ledger.worlds import EmbeddedWorld, key_of
from tests.protocol.simulator import digest


def test_it_tells_what_it_found(world: EmbeddedWorld) -> None:
    ledger = world.ledger
    report = verify_journal(world.path, clock=world.clock)
    assert report.identity == world.identity
    assert (report.lines, report.bytes) == (len(world.lines()), world.path.stat().st_size)
    assert report.head == ledger.head()
    assert report.state == ledger.state()
    assert sum(report.kinds.values()) == report.lines - 1
    assert report.kinds["submit"] == 3
    assert report.signers == len({entry.sender for entry in ledger.actions()})
    assert report.first_time < report.last_time <= ledger.time()


def test_checks_are_numbered_in_order(world: EmbeddedWorld) -> None:
    whole = verify_journal(world.path, head=world.ledger.head(), clock=world.clock)
    assert [(check.number, check.name) for check in whole.checks] == list(enumerate(CHECKS, 1))
    without = verify_journal(world.path, clock=world.clock)
    assert [check.name for check in without.checks] == list(CHECKS)[:-1]
    assert without.later is None


def test_the_noted_head_may_have_lines_after_it(world: EmbeddedWorld) -> None:
    lines = world.lines()
    for place in (0, 1, len(lines) - 1):
        head = to_hex(keccak(lines[place][:-1]))
        report = verify_journal(world.path, head=head, clock=world.clock)
        assert report.later == len(lines) - 1 - place


def test_an_unknown_head_fails(world: EmbeddedWorld) -> None:
    action = next(iter(world.ledger.actions())).digest
    for head in (digest("nothing"), action):
        with pytest.raises(Rewritten) as error:
            verify_journal(world.path, head=head, clock=world.clock)
        assert error.value.exit_code == 7
    with pytest.raises(DataError):
        verify_journal(world.path, head="deadbeef", clock=world.clock)


def test_a_sandbox_and_asserted_times_are_called_so(sandbox: EmbeddedWorld) -> None:
    found = {c.name: c.found for c in verify_journal(sandbox.path, clock=sandbox.clock).checks}
    assert "no force" in found["genesis"]
    assert "asserted by the writers" in found["time"]
    assert found["rules"] == "no action"


def test_progress_is_told_to_the_end(sandbox: EmbeddedWorld) -> None:
    for _ in range(205):
        sandbox.fund("alice", 1)
    told: list[tuple[int, int]] = []
    verify_journal(
        sandbox.path, clock=sandbox.clock, progress=lambda done, total: told.append((done, total))
    )
    size = sandbox.path.stat().st_size
    assert {total for _, total in told} == {size}
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert len(told) == 3
    assert told[-1] == (size, size)


def test_it_changes_nothing(world: EmbeddedWorld) -> None:
    folder = world.path.parent
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    verify_journal(world.path, clock=world.clock)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert world.ledger.balance(key_of("alice").address) > 0
