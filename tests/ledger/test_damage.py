"""Whatever is done to a journal's bytes, it is noticed, and said where."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from danku.crypto.hashing import keccak, to_hex
from danku.errors import VerificationFailed
from danku.ledger.embedded.errors import JournalBroken, JournalMissing, Rewritten
from danku.ledger.embedded.ledger import EmbeddedLedger
from danku.ledger.embedded.verification import verify_journal
from danku.protocol import actions
from tests.ledger.worlds import Clock, EmbeddedWorld, PortGame, key_of

SIZE = 20


class Sample:
    """The lines of a whole journal, the clock they were written under, and where to damage them."""

    def __init__(self, folder: Path) -> None:
        game = PortGame(EmbeddedWorld(folder))
        game.tested()
        assert isinstance(game.world, EmbeddedWorld)
        self.world, self.folder = game.world, folder
        self.lines = game.world.lines()[:SIZE]
        self.data = b"".join(self.lines)
        self.head = to_hex(keccak(self.lines[-1][:-1]))
        self.damaged = folder / "damaged.jsonl"

    def verify(self, data: bytes, *, noted: bool = True) -> None:
        self.damaged.write_bytes(data)
        head = self.head if noted else None
        verify_journal(self.damaged, head=head, clock=self.world.clock)


@functools.lru_cache(maxsize=1)
def prepared() -> tuple[Sample, object]:
    folder = tempfile.TemporaryDirectory()
    return Sample(Path(folder.name)), folder


@pytest.fixture
def sample() -> Sample:
    return prepared()[0]


def damages(sample: Sample) -> Iterator[tuple[int, list[bytes]]]:
    """Every line in turn deleted, doubled, swapped with the next, emptied, or cut short."""
    lines = sample.lines
    for place in range(SIZE):
        before, line, after = lines[:place], lines[place], lines[place + 1 :]
        yield place, [*before, line, line, *after]
        yield place, [*before, b"\n", line, *after]
        yield place, [*before, line[: len(line) // 2] + b"\n", *after]
        yield place, [*before, line[:-1] + b"\r\n", *after]
        yield place, [*before, b" " + line, *after]
        if after:
            yield place, [*before, *after]
            yield place, [*before, after[0], line, *after[1:]]
            yield place, [*before, line[:-1], *after]


def test_the_sample_is_whole(sample: Sample) -> None:
    sample.verify(sample.data)


def test_lines_that_go_or_come_are_named(sample: Sample) -> None:
    for place, lines in damages(sample):
        with pytest.raises(JournalBroken) as broken:
            sample.verify(b"".join(lines), noted=False)
        # What was done to a line shows on it, or on the one that follows it and names its hash.
        assert broken.value.line in (place + 1, place + 2)


def test_a_cut_between_lines_is_noticed_by_who_noted_the_head(sample: Sample) -> None:
    for count in range(1, SIZE):
        sample.verify(b"".join(sample.lines[:count]), noted=False)
        with pytest.raises(Rewritten):
            sample.verify(b"".join(sample.lines[:count]))
    for empty in (b"", b"\n", sample.lines[0][:-1]):
        with pytest.raises(JournalBroken):
            sample.verify(empty, noted=False)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_byte_can_be_changed(data: st.DataObject) -> None:
    sample, _ = prepared()
    place = data.draw(st.integers(0, len(sample.data) - 1))
    difference = data.draw(st.integers(1, 255))
    changed = bytearray(sample.data)
    changed[place] ^= difference
    line = sample.data.count(b"\n", 0, place) + 1
    with pytest.raises(VerificationFailed) as failed:
        sample.verify(bytes(changed))
    if isinstance(failed.value, JournalBroken):
        assert failed.value.line in (line, line + 1)
    else:
        assert line == SIZE, "only the last line's own claims are held by nothing but the head"


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_byte_can_be_added_or_removed(data: st.DataObject) -> None:
    sample, _ = prepared()
    place = data.draw(st.integers(0, len(sample.data)))
    if data.draw(st.booleans()):
        byte = data.draw(st.binary(min_size=1, max_size=1))
        changed = sample.data[:place] + byte + sample.data[place:]
    else:
        changed = sample.data[:place] + sample.data[place + 1 :]
    if changed == sample.data:
        return
    with pytest.raises(VerificationFailed):
        sample.verify(changed)


@example(b"")
@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_at_all_are_a_journal(data: bytes) -> None:
    sample, _ = prepared()
    with pytest.raises(JournalBroken) as broken:
        sample.verify(data, noted=False)
    assert broken.value.line == 1


def resealed(sample: Sample, place: int, edit: Callable[[bytes], bytes]) -> bytes:
    """The journal with one line edited and the hash chain mended behind it."""
    lines = [line[:-1] for line in sample.lines]
    old = [to_hex(keccak(line)).encode() for line in lines]
    lines[place] = edit(lines[place])
    for number in range(place + 1, len(lines)):
        new = to_hex(keccak(lines[number - 1])).encode()
        lines[number] = lines[number].replace(
            b'"previous":"' + old[number - 1], b'"previous":"' + new
        )
    return b"".join(line + b"\n" for line in lines)


@pytest.mark.parametrize(
    ("old", "new", "check"),
    [
        (b'"amount":"10000"', b'"amount":"99999"', "signature"),
        (b'"nonce":1', b'"nonce":2', "signature"),
        (b'"time":17', b'"time":16', "time"),
        (b'"time":17', b'"time":18', "time"),
        (b'"sequence":2', b'"sequence":3', "chain"),
        (b'"kind":"grant"', b'"kind":"steal"', "bytes"),
        (b'"value":"0"', b'"value":"00"', "bytes"),
        (b'"value":"0"', b'"value":0', "bytes"),
    ],
)
def test_mending_the_chain_does_not_help(
    sample: Sample, old: bytes, new: bytes, check: str
) -> None:
    data = resealed(sample, 2, lambda line: line.replace(old, new))
    assert data != sample.data
    with pytest.raises(JournalBroken) as broken:
        sample.verify(data, noted=False)
    assert (broken.value.line, broken.value.check) == (3, check)


def test_a_line_taken_out_of_a_mended_chain_leaves_a_gap_in_the_nonces(sample: Sample) -> None:
    lines = [line[:-1] for line in sample.lines]
    del lines[2]
    for place in range(2, len(lines)):
        words = lines[place].split(b'"previous":"0x')
        rest = words[1][64:].replace(b'"sequence":%d,' % (place + 1), b'"sequence":%d,' % place)
        previous = to_hex(keccak(lines[place - 1])).encode()
        lines[place] = words[0] + b'"previous":"' + previous + rest
    with pytest.raises(JournalBroken) as broken:
        sample.verify(b"".join(line + b"\n" for line in lines), noted=False)
    assert (broken.value.line, broken.value.check) == (3, "order")


@pytest.mark.parametrize(
    ("line", "check"),
    [
        (b"[" * 16_000, "bytes"),
        (b'{"action":' + b"[" * 8_000 + b"]" * 8_000 + b"}", "bytes"),
        (b"x" * 20_000, "bytes"),
        (b"x" * 3_000_000, "bytes"),
        (b'"\\ud800"', "bytes"),
        (b"\xff\xfe", "bytes"),
        (b'{"sequence":1e400}', "bytes"),
        (b'{"time":' + b"9" * 10_000 + b"}", "bytes"),
        (b"\0" * 500, "bytes"),
    ],
    ids=lambda value: value[:12] if isinstance(value, bytes) else value,
)
@pytest.mark.parametrize("ending", [b"", b"\n"], ids=["torn", "whole"])
def test_hostile_lines_are_bounded(sample: Sample, line: bytes, check: str, ending: bytes) -> None:
    with pytest.raises(JournalBroken) as broken:
        sample.verify(sample.data + line + ending, noted=False)
    assert (broken.value.line, broken.value.check) == (SIZE + 1, check)


def test_an_endless_torn_line_stops_readers_too(sample: Sample) -> None:
    sample.damaged.write_bytes(sample.data + b"x" * 20_000)
    with pytest.raises(JournalBroken):
        EmbeddedLedger(sample.damaged, clock=sample.world.clock)


def test_an_edited_line_is_noticed_behind_a_cached_state(
    world: EmbeddedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("danku.ledger.embedded.ledger.CACHE_INTERVAL", 1)
    world.again()
    lines = world.lines()
    lines[4] = lines[4].replace(b'"nonce":', b'"nonce":1')
    world.path.write_bytes(b"".join(lines))
    for open_ledger in (world.again, world.ledger.state):
        with pytest.raises(JournalBroken) as broken:
            open_ledger()
        assert broken.value.line == 5
    with pytest.raises(JournalBroken):
        world.ledger.submit(key_of("alice"), actions.Withdraw())
    assert world.path.read_bytes() == b"".join(lines)


def test_a_journal_that_is_gone_is_missed(world: EmbeddedWorld) -> None:
    world.path.unlink()
    for attempt in (world.again, world.ledger.state, lambda: verify_journal(world.path)):
        with pytest.raises(JournalMissing):
            attempt()
    with pytest.raises(JournalMissing):
        world.ledger.submit(key_of("alice"), actions.Withdraw())
    assert not world.path.exists()


def test_the_readers_clock_matters_to_lines_it_has_not_seen(sample: Sample) -> None:
    newest = max(int(line.split(b'"time":')[1].split(b"}")[0]) for line in sample.lines)
    sample.damaged.write_bytes(sample.data)
    EmbeddedLedger(sample.damaged, clock=Clock(newest - 300))
    with pytest.raises(JournalBroken) as broken:
        EmbeddedLedger(sample.damaged, clock=Clock(newest - 301))
    assert broken.value.check == "time"
