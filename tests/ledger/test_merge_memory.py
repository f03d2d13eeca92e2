"""What a workspace remembers lets pending lines move, and no others, and no action vanish."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from danku.ledger.embedded.conflict import whole_lines
from danku.ledger.embedded.envelope import AdvanceTime
from danku.ledger.embedded.errors import (
    ActionsDropped,
    HeadsBroken,
    JournalBroken,
    JournalUnavailable,
    Rewritten,
)
from danku.ledger.embedded.lines import read_line
from danku.ledger.embedded.refusals import read_refusals, refusals_file
from danku.protocol import records
from tests.ledger.forks import Fork, digests_in, first_fork, join
from tests.ledger.worlds import key_of


@pytest.fixture
def here(tmp_path: Path) -> Fork:
    fork = first_fork(tmp_path)
    fork.act("alice")
    fork.push()
    return fork


@pytest.fixture
def there(here: Fork) -> Fork:
    fork = here.clone("there")
    fork.act("bob")
    fork.push()
    return fork


def pending(fork: Fork) -> list[str]:
    return [entry.digest for entry in fork.ledger.pending()]


def test_an_action_is_pending_until_others_have_it(here: Fork) -> None:
    assert pending(here) == []
    digest = here.act("alice")
    ledger = here.ledger
    assert [entry.digest for entry in ledger.pending()] == [digest]
    here.push()
    assert ledger.pending() == [], "also where the ledger stayed open"
    assert pending(here) == []


def test_it_is_pending_again_in_its_new_place(here: Fork, there: Fork) -> None:
    digest = here.act("alice")
    here.pull()
    assert pending(here) == [digest]
    assert here.push()
    assert pending(here) == []


def test_shared_lines_are_not_moved_by_a_pull(here: Fork) -> None:
    """The hub's owner takes a line back that others had, and puts its own in its place."""
    before = here.hub.data
    here.act("carol")
    here.push()
    assert pending(here) == []
    rival = here.clone("rival")
    rival.path.write_bytes(before)
    for _ in range(3):
        rival.act("mallory")
    here.hub.data = rival.data
    with pytest.raises(Rewritten):
        here.pull()
    for journal in (rival.data, before, join(rival.data, here.data, here.clock).data):
        here.path.write_bytes(journal)
        with pytest.raises(Rewritten):
            here.ledger.state()


def test_somebody_elses_merge_of_my_pending_lines_is_believed(here: Fork, there: Fork) -> None:
    mine = here.act("alice")
    their = join(there.data, here.data, here.clock).data
    here.path.write_bytes(their)
    assert here.ledger.nonce(key_of("alice").address) == 2
    assert mine in digests_in(here.data)
    assert pending(here)[-1] == mine


def test_an_action_left_out_of_it_though_it_fits_is_missed(here: Fork, there: Fork) -> None:
    kept, lost = here.act("carol"), here.act("alice")
    whole = here.data
    without = join(there.data, b"\n".join([*whole_lines(whole)[:-1], b""]), here.clock).data
    here.path.write_bytes(without)
    for _ in range(2):
        with pytest.raises(ActionsDropped) as error:
            here.ledger.state()
        assert lost in error.value.what and kept not in error.value.what
        assert "danku ledger merge" in error.value.fix
        assert error.value.exit_code == 7
    here.path.write_bytes(join(without, whole, here.clock).data)
    assert lost in digests_in(here.data)
    here.ledger.state()


def test_taking_back_what_is_pending_is_noticed(here: Fork) -> None:
    """As by `git reset --hard`: what was acknowledged does not vanish because it was not pushed."""
    here.act("alice")
    here.path.write_bytes(here.hub.data)
    with pytest.raises(ActionsDropped):
        here.ledger.state()


def test_an_action_left_out_of_it_since_it_does_not_fit_is_told(here: Fork, there: Fork) -> None:
    lost = here.act("bob", AdvanceTime(9))
    here.path.write_bytes(there.data)
    here.ledger.state()
    [refused] = read_refusals(here.path)
    assert (refused.rule, "0x" + refused.action.digest.hex()) == ("WrongNonce", lost)
    refusals_file(here.path).unlink()
    here.ledger.state()
    assert not refusals_file(here.path).exists(), "it is told once"


def test_nobody_is_believed_who_says_that_an_action_was_refused(here: Fork, there: Fork) -> None:
    here.act("bob", AdvanceTime(9))
    here.path.write_bytes(there.data)
    here.ledger.state()
    lie = refusals_file(here.path).read_bytes()
    other = there.clone("other")
    other.act("alice")
    refusals_file(other.path).write_bytes(lie)
    other.path.write_bytes(other.hub.data)
    with pytest.raises(ActionsDropped):
        other.ledger.state()


def test_without_an_answer_of_git_nothing_new_is_taken_for_shared(here: Fork, there: Fork) -> None:
    here.ledger.state()
    here.hub.problem = "git is not installed"
    digest = here.act("carol")
    assert pending(here) == [digest]
    here.hub.problem = ""
    here.pull()
    assert pending(here) == [digest]


def test_an_action_names_a_shared_one_so_that_refusals_do_not_spread(
    here: Fork, there: Fork
) -> None:
    here.act("bob", AdvanceTime(9))
    unharmed = here.act("carol")
    merged = here.pull()
    assert len(merged.refused) == 1
    assert [item.digest for item in merged.moved] == [unharmed]


def test_forged_lines_behind_the_shared_one_are_not_read_unchecked(here: Fork, there: Fork) -> None:
    here.act("alice")
    here.act("alice")
    *lines, last = whole_lines(join(there.data, here.data, here.clock).data)
    line = read_line(last)
    unsigned = msgspec.structs.replace(line.action, signature="0x" + "11" * 64)
    forged = records.encode(msgspec.structs.replace(line, action=unsigned))
    here.path.write_bytes(b"\n".join([*lines, forged, b""]))
    with pytest.raises(JournalBroken) as error:
        here.ledger.state()
    assert error.value.check == "signature"


def test_a_broken_memory_of_pending_actions_is_not_taken_for_a_blank_one(
    here: Fork, there: Fork
) -> None:
    here.act("alice")
    [memory] = here.folder.glob("pending-*.jsonl")
    assert memory.stat().st_mode & 0o777 == 0o600
    memory.write_bytes(b"{}\n")
    with pytest.raises(HeadsBroken):
        here.path.write_bytes(there.data)
        here.ledger.state()


def test_a_torn_memory_is_mended(here: Fork, there: Fork) -> None:
    here.act("alice")
    [memory] = here.folder.glob("pending-*.jsonl")
    memory.write_bytes(memory.read_bytes() + b'{"action')
    here.act("alice")
    assert len(memory.read_bytes().splitlines()) == 2
    here.pull()
    assert len(pending(here)) == 2


def test_pending_actions_cost_no_rewriting(here: Fork) -> None:
    """Bulk work without a push stays linear: each action adds a line to the memory."""
    ledger = here.ledger
    for _ in range(3):
        ledger.submit(key_of("alice"), AdvanceTime(1))
    [memory] = here.folder.glob("pending-*.jsonl")
    inode = memory.stat().st_ino
    for _ in range(3):
        ledger.submit(key_of("alice"), AdvanceTime(1))
    assert memory.stat().st_ino == inode
    assert len(memory.read_bytes().splitlines()) == 6
    here.push()
    here.ledger.state()
    assert not memory.exists()


def test_the_sandbox_outside_git_has_nothing_pending(here: Fork) -> None:
    here.hub = None  # type: ignore[assignment]
    here.act("alice")
    assert pending(here) == []
    assert not list(here.folder.glob("pending-*"))


def test_an_open_ledger_follows_a_merge(here: Fork, there: Fork) -> None:
    ledger = here.ledger
    mine = ledger.submit(key_of("alice"), AdvanceTime(1)).digest
    here.take(there.data)
    receipt = ledger.submit(key_of("alice"), AdvanceTime(1))
    assert digests_in(here.data)[-2:] == [mine, receipt.digest]
    assert [entry.digest for entry in ledger.pending()] == [mine, receipt.digest]


def test_a_stranger_cannot_spoil_the_file_of_refusals(here: Fork, there: Fork) -> None:
    file = refusals_file(here.path)
    file.write_bytes(b"{}\n\xff\n" + b"[" * 10_000 + b"\n")
    lost = here.act("bob", AdvanceTime(9))
    here.pull()
    assert ["0x" + item.action.digest.hex() for item in read_refusals(here.path)] == [lost]
    file.unlink()
    file.symlink_to(here.folder / "somewhere else")
    here.act("bob", AdvanceTime(7))
    there.act("bob", AdvanceTime(8))
    there.push()
    with pytest.raises(JournalUnavailable):
        here.pull()
    assert not (here.folder / "somewhere else").exists()
