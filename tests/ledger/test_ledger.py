"""What only the embedded ledger does: it follows its file, keeps time, and may have a sequencer."""

from __future__ import annotations

import msgspec
import pytest

from danku.crypto.hashing import to_hex
from danku.errors import Rejected
from danku.ledger.embedded.envelope import AdvanceTime, Grant
from danku.ledger.embedded.errors import ClockBehind, JournalBroken
from danku.ledger.embedded.ledger import EmbeddedLedger
from danku.ledger.embedded.lines import read_line
from danku.ledger.embedded.replay import Replay
from danku.ledger.embedded.verification import verify_journal
from danku.protocol import actions, records
from danku.protocol.types import Amount
from tests.ledger.worlds import START, Clock, EmbeddedWorld, PortGame, key_of

ALICE, BOB = key_of("alice"), key_of("bob")


def test_two_objects_on_one_file_follow_each_other(sandbox: EmbeddedWorld) -> None:
    one, two = sandbox.ledger, sandbox.again()
    for _ in range(3):
        one.submit(ALICE, AdvanceTime(1))
        assert two.nonce(ALICE.address) == one.nonce(ALICE.address)
        two.submit(BOB, AdvanceTime(1))
        assert one.head() == two.head()


def test_only_new_lines_are_read(sandbox: EmbeddedWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    other = sandbox.again()
    for _ in range(20):
        other.submit(ALICE, AdvanceTime(1))
    sandbox.ledger.state()
    read = []
    true_read = Replay.read

    def counted(self: Replay, raw: bytes, **words: object) -> object:
        read.append(raw)
        return true_read(self, raw, **words)

    monkeypatch.setattr(Replay, "read", counted)
    sandbox.ledger.state()
    assert read == []
    other.submit(ALICE, AdvanceTime(1))
    sandbox.ledger.state()
    assert read == [sandbox.lines()[-1][:-1]]


def test_a_journal_brought_up_to_date_from_outside_is_followed(world: EmbeddedWorld) -> None:
    """As version control does it: another file in the same place, with more lines."""
    lines = world.lines()
    other = world.path.with_name("other.jsonl")
    other.write_bytes(b"".join(lines))
    copy = EmbeddedLedger(other, clock=world.clock)
    copy.submit(key_of("treasurer"), Grant(BOB.address, Amount(5)))
    head = copy.head()
    other.replace(world.path)
    assert world.ledger.head() == head
    assert len(world.lines()) == len(lines) + 1


def test_time_is_the_clocks_and_never_runs_backwards(sandbox: EmbeddedWorld) -> None:
    ledger, clock = sandbox.ledger, sandbox.clock
    clock.now = START + 1000
    first = ledger.submit(ALICE, AdvanceTime(1))
    clock.now = START + 900
    second = ledger.submit(ALICE, AdvanceTime(1))
    assert (first.time, second.time) == (START + 1000, START + 1000)
    assert ledger.time() == START + 1000
    clock.now = START + 2000
    assert ledger.time() == START + 2002
    assert ledger.submit(ALICE, AdvanceTime(1)).time == START + 2002


def test_a_clock_set_far_back_stops_writing_but_not_reading(sandbox: EmbeddedWorld) -> None:
    sandbox.ledger.submit(ALICE, AdvanceTime(1))
    before = sandbox.path.read_bytes()
    sandbox.clock.now = START - 1000
    for ledger in (sandbox.ledger, sandbox.again()):
        assert ledger.time() == START
        with pytest.raises(ClockBehind):
            ledger.submit(ALICE, AdvanceTime(1))
    assert sandbox.path.read_bytes() == before


def test_a_writer_with_a_fast_clock_is_refused_by_others(sandbox: EmbeddedWorld) -> None:
    fast = EmbeddedLedger(sandbox.path, clock=Clock(START + 301))
    fast.submit(ALICE, AdvanceTime(1))
    with pytest.raises(JournalBroken) as broken:
        sandbox.ledger.state()
    assert (broken.value.line, broken.value.check) == (2, "time")
    sandbox.clock.now += 1
    assert sandbox.ledger.nonce(ALICE.address) == 1


def test_advanced_time_is_not_ahead_of_the_clock(sandbox: EmbeddedWorld) -> None:
    sandbox.ledger.submit(ALICE, AdvanceTime(10**6))
    receipt = sandbox.ledger.submit(ALICE, AdvanceTime(1))
    assert receipt.time == START + 10**6
    assert verify_journal(sandbox.path, clock=sandbox.clock).last_time == receipt.time
    with pytest.raises(JournalBroken):
        verify_journal(sandbox.path, clock=Clock(START - 301))


def test_one_that_did_not_advance_cannot_claim_it(sandbox: EmbeddedWorld) -> None:
    """The line that advances the time is itself still in the time before."""
    sandbox.ledger.submit(ALICE, AdvanceTime(10**6))
    line = read_line(sandbox.lines()[1][:-1])
    early = msgspec.structs.replace(line, time=START + 10**6)
    sandbox.path.write_bytes(sandbox.lines()[0] + records.encode(early) + b"\n")
    with pytest.raises(JournalBroken) as broken:
        verify_journal(sandbox.path, clock=sandbox.clock)
    assert broken.value.check == "time"


@pytest.fixture
def sequenced(tmp_path_factory: pytest.TempPathFactory) -> EmbeddedWorld:
    world = EmbeddedWorld(tmp_path_factory.mktemp("sequenced"), sequencer="host")
    PortGame(world).contribute()
    return world


def test_a_sequencers_ledger_plays_like_any_other(sequenced: EmbeddedWorld) -> None:
    report = verify_journal(sequenced.path, clock=sequenced.clock)
    assert report.kinds["contribute"] == 3
    [asserted] = [check.found for check in report.checks if check.name == "time"]
    assert to_hex(key_of("host").public_key) in asserted


def test_nobody_else_writes_to_it(sequenced: EmbeddedWorld) -> None:
    for key in (None, key_of("mallory")):
        ledger = EmbeddedLedger(sequenced.path, clock=sequenced.clock, sequencer=key)
        assert ledger.nonce(key_of("organizer").address) == 1
        with pytest.raises(Rejected) as refusal:
            ledger.submit(
                key_of("organizer"), actions.Cancel(next(iter(ledger.state().challenges)))
            )
        assert refusal.value.rule == "NotSequencer"


@pytest.mark.parametrize("change", ["time", "absent", "another's"])
def test_the_sequencer_vouches_for_the_time(sequenced: EmbeddedWorld, change: str) -> None:
    *lines, last = sequenced.lines()
    line = read_line(last[:-1])
    other = read_line(lines[-1][:-1]).sequencer_signature
    changed = {
        "time": msgspec.structs.replace(line, time=line.time + 1),
        "absent": msgspec.structs.replace(line, sequencer_signature=None),
        "another's": msgspec.structs.replace(line, sequencer_signature=other),
    }[change]
    sequenced.path.write_bytes(b"".join(lines) + records.encode(changed) + b"\n")
    with pytest.raises(JournalBroken) as broken:
        verify_journal(sequenced.path, clock=sequenced.clock)
    assert (broken.value.line, broken.value.check) == (len(lines) + 1, "signature")


def test_a_sequencers_signature_has_no_place_elsewhere(sandbox: EmbeddedWorld) -> None:
    sandbox.ledger.submit(ALICE, AdvanceTime(1))
    genesis, last = sandbox.lines()
    signed = msgspec.structs.replace(read_line(last[:-1]), sequencer_signature="0x" + "11" * 64)
    sandbox.path.write_bytes(genesis + records.encode(signed) + b"\n")
    with pytest.raises(JournalBroken) as broken:
        verify_journal(sandbox.path, clock=sandbox.clock)
    assert broken.value.check == "signature"


def test_history_tells_the_ledgers_own_actions_too(sandbox: EmbeddedWorld) -> None:
    sandbox.fund("alice", 5)
    sandbox.ledger.submit(ALICE, AdvanceTime(3))
    told = [entry.action for entry in sandbox.ledger.actions()]
    assert told == [Grant(ALICE.address, Amount(5)), AdvanceTime(3)]
