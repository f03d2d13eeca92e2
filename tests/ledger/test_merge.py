"""Two journals that began alike become one, and nothing that was in either vanishes unsaid."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from danku.crypto.hashing import keccak, to_hex
from danku.errors import DankuError, Rejected
from danku.ledger.embedded.conflict import whole_lines
from danku.ledger.embedded.envelope import AdvanceTime, Grant
from danku.ledger.embedded.errors import JournalBroken, JournalConflicted, OtherLedger, Rewritten
from danku.ledger.embedded.genesis import create_journal
from danku.ledger.embedded.heads import Head
from danku.ledger.embedded.lines import LINE_BYTES, read_line
from danku.ledger.embedded.merge import Side, merge
from danku.ledger.embedded.refusals import read_refusals
from danku.ledger.embedded.transfer import put_merged
from danku.ledger.embedded.verification import verify_journal
from danku.protocol import records
from danku.protocol.actions import kind_of
from danku.protocol.types import Amount
from tests.ledger.forks import Fork, digests_in, first_fork, join, signed_in
from tests.ledger.worlds import Clock, PortGame, key_of


@pytest.fixture
def here(tmp_path: Path) -> Fork:
    """A clone in which alice has acted once, and pushed it."""
    fork = first_fork(tmp_path)
    fork.act("alice")
    fork.push()
    return fork


@pytest.fixture
def there(here: Fork) -> Fork:
    """Another clone, in which bob has pushed two actions since."""
    fork = here.clone("there")
    fork.act("bob")
    fork.act("bob")
    fork.push()
    return fork


def test_shared_lines_stay_and_mine_follow_with_a_time_of_their_own(
    here: Fork, there: Fork
) -> None:
    mine = [here.act("alice"), here.act("carol")]
    before = signed_in(here.data)
    here.clock.now += 50
    merged = here.pull()
    assert here.data == merged.data
    assert here.data.startswith(there.data)
    assert [item.digest for item in merged.moved] == mine
    assert digests_in(here.data) == [*digests_in(there.data), *mine]
    assert set(before) <= set(signed_in(here.data)), "signed actions do not change"
    tail = [read_line(line) for line in whole_lines(here.data)[-2:]]
    assert all(line.time >= here.clock.now for line in tail)
    report = verify_journal(here.path, clock=here.clock, head=here.ledger.head())
    assert report.lines == 6
    assert merged.refused == []


def test_a_beginning_and_its_continuation_are_the_continuation(here: Fork, there: Fork) -> None:
    for kept, moving in ((here, there), (there, here), (there, there)):
        merged = join(kept.data, moving.data, here.clock)
        assert merged.data == there.data
        assert (merged.moved, merged.refused) == ([], [])


def test_equal_actions_are_taken_once(here: Fork, there: Fork) -> None:
    action = here.act("alice")
    here.pull()
    again = join(here.data, there.data, here.clock)
    assert again.data == here.data
    there.act("carol")
    both = join(there.data, here.data, here.clock)
    assert digests_in(both.data).count(action) == 1
    back = join(here.data, both.data, here.clock)
    assert sorted(digests_in(back.data)) == sorted(digests_in(both.data))


def test_two_clones_that_exchanged_everything_are_equal(here: Fork, there: Fork) -> None:
    here.act("carol")
    there.act("bob")
    there.push()
    here.pull()
    assert here.push()
    there.pull()
    assert there.ledger.head() == here.ledger.head()


def test_a_nonce_that_another_action_took_is_refused_by_name(here: Fork, there: Fork) -> None:
    lost, follower = here.act("bob", AdvanceTime(2)), here.act("bob", AdvanceTime(2))
    other = here.act("carol")
    merged = here.pull()
    assert [(to_hex(item.action.digest), item.rule) for item in merged.refused] == [
        (lost, "WrongNonce"),
        (follower, "WrongNonce"),
    ], "bob used nonces 0 and 1 elsewhere"
    assert [item.digest for item in merged.moved] == [other]
    assert read_refusals(here.path) == merged.refused
    assert all(item.what and item.time >= here.clock.now for item in merged.refused)
    here.ledger.head()


def test_what_was_refused_is_noted_once(here: Fork, there: Fork) -> None:
    here.act("bob", AdvanceTime(2))
    mine = here.data
    here.pull()
    put_merged(join(there.data, mine, here.clock), here.path, clock=here.clock)
    assert len(read_refusals(here.path)) == 1


def test_actions_that_need_one_another_find_their_order(here: Fork, there: Fork) -> None:
    for _ in range(3):
        here.act("carol")
    late_first = list(reversed(signed_in(here.data)[1:]))
    sides = [Side(name, whole_lines(there.data)) for name in ("kept", "moving")]
    merged = merge(*sides, now=here.clock(), extra=late_first)
    assert [item.digest for item in merged.moved] == digests_in(here.data)[1:]
    assert merged.refused == []


class World:
    """What a game needs of a clone."""

    def __init__(self, fork: Fork) -> None:
        self.ledger = fork.ledger


def test_money_that_was_never_there_cannot_be_spent(tmp_path: Path) -> None:
    here = first_fork(tmp_path, play_money=0)
    there = here.clone("there")
    there.act("treasurer", Grant(key_of("bob").address, Amount(5)))
    there.push()
    here.act("treasurer", Grant(key_of("organizer").address, Amount(20_000)))
    PortGame(World(here), fund=False)  # type: ignore[arg-type]
    merged = here.pull()
    assert [(kind_of(item.action.action), item.rule) for item in merged.refused] == [
        ("grant", "WrongNonce"),
        ("create", "InsufficientBalance"),
    ]
    assert here.data == there.data


def test_only_the_sequencer_can_move_lines(tmp_path: Path) -> None:
    here = first_fork(tmp_path, sequencer="sequencer")
    there = here.clone("there")
    here.act("alice")
    there.act("bob")
    for key in (None, key_of("alice")):
        with pytest.raises(Rejected) as refused:
            join(there.data, here.data, here.clock, sequencer=key)
        assert refused.value.rule == "NotSequencer"
        assert "merge" in refused.value.fix
    merged = join(there.data, here.data, here.clock, sequencer=key_of("sequencer"))
    put_merged(merged, here.path, clock=here.clock)
    assert verify_journal(here.path, clock=here.clock).lines == 3
    longer = join(here.data, there.data, here.clock, sequencer=None)
    assert longer.data == here.data, "taking over a longer copy needs nobody's signature"


def edited(data: bytes, number: int, edit: Callable[[bytes], bytes]) -> bytes:
    """A journal with one line edited and the chain mended behind it."""
    lines = whole_lines(data)
    lines[number] = edit(lines[number])
    for later in range(number + 1, len(lines)):
        line = read_line(lines[later])
        previous = to_hex(keccak(lines[later - 1]))
        lines[later] = records.encode(msgspec.structs.replace(line, previous=previous))
    return b"\n".join([*lines, b""])


def forged(raw: bytes) -> bytes:
    line = read_line(raw)
    action = msgspec.structs.replace(line.action, signature="0x" + "11" * 64)
    return records.encode(msgspec.structs.replace(line, action=action))


def later(raw: bytes) -> bytes:
    line = read_line(raw)
    return records.encode(msgspec.structs.replace(line, time=line.time + 10_000))


HOSTILE: dict[str, tuple[Callable[[bytes], bytes], type[DankuError]]] = {
    "nothing": (lambda data: b"", JournalBroken),
    "no journal": (lambda data: b"four years\nof work\n", JournalBroken),
    "no whole line": (lambda data: data[:50], JournalBroken),
    "broken line": (lambda data: data[:-20] + b"\n", JournalBroken),
    "binary": (lambda data: data + b"\xff\x00\n", JournalBroken),
    "too long": (lambda data: data + b"1" * (LINE_BYTES + 1) + b"\n", JournalBroken),
    "cut in the middle": (
        lambda data: b"\n".join([*whole_lines(data)[:1], *whole_lines(data)[2:], b""]),
        JournalBroken,
    ),
    "forged": (lambda data: edited(data, 3, forged), JournalBroken),
    "from the future": (lambda data: edited(data, 3, later), JournalBroken),
    "repeated": (lambda data: data + data.splitlines(keepends=True)[-1], JournalBroken),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_journal_changes_nothing_whichever_side_it_is(
    here: Fork, there: Fork, kind: str
) -> None:
    here.act("carol")
    spoil, expected = HOSTILE[kind]
    data = spoil(there.data)
    for name, kept, moving in (("kept", data, here.data), ("moving", here.data, data)):
        with pytest.raises(expected) as error:
            join(kept, moving, here.clock)
        assert error.value.what.startswith(f"{name}: ")
        assert error.value.exit_code == 7
        assert error.value.fix


def test_another_ledger_is_refused(here: Fork, tmp_path: Path) -> None:
    create_journal(
        tmp_path / "other.jsonl",
        sandbox=True,
        play_money=0,
        treasurer=None,
        sequencer=None,
        clock=here.clock,
    )
    other = (tmp_path / "other.jsonl").read_bytes()
    for kept, moving in ((other, here.data), (here.data, other)):
        with pytest.raises(OtherLedger) as error:
            join(kept, moving, here.clock)
        assert error.value.exit_code == 5


def test_lines_that_may_not_move_are_not_moved(here: Fork, there: Fork) -> None:
    """A fork at the genesis line, say, by somebody who has the first line and wants the rest."""
    here.act("carol")
    here.take(there.data)
    rival = here.clone("rival")
    rival.path.write_bytes(here.data.splitlines(keepends=True)[0])
    for _ in range(9):
        rival.act("mallory")
    lines = whole_lines(here.data)
    for sequence in range(1, len(lines)):
        floor = Head(sequence, to_hex(keccak(lines[sequence])))
        with pytest.raises(Rewritten):
            join(rival.data, here.data, here.clock, floor)
    assert join(here.data, rival.data, here.clock, floor).data.startswith(here.data)


def test_marks_of_a_conflict_are_named(here: Fork) -> None:
    here.path.write_bytes(here.data + b"<<<<<<< ours\n")
    with pytest.raises(JournalConflicted) as error:
        verify_journal(here.path, clock=here.clock)
    assert error.value.line == 3
    assert "danku ledger merge" in error.value.fix


def test_a_merge_that_cannot_be_written_leaves_the_old_journal(
    here: Fork, there: Fork, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.act("carol")
    before = here.data

    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("danku.ledger.embedded.transfer.put_in_place", fail)
    with pytest.raises(DankuError):
        here.pull()
    assert here.data == before
    assert not here.path.with_name("ledger.jsonl.new").exists()


def test_a_result_that_does_not_verify_is_not_written(here: Fork, there: Fork) -> None:
    here.act("carol")
    before = here.data
    merged = join(there.data, here.data, here.clock)
    merged.lines[-1] = forged(merged.lines[-1])
    with pytest.raises(JournalBroken):
        put_merged(merged, here.path, clock=here.clock)
    assert here.data == before


def test_times_of_two_advances_add_up(here: Fork, there: Fork) -> None:
    """Two clones that advance a sandbox at once advance it twice, which is why one should do it."""
    here.act("carol", AdvanceTime(1_000))
    there.act("bob", AdvanceTime(1_000))
    there.push()
    here.pull()
    assert here.ledger.time() >= Clock()() + 2_000
