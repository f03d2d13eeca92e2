"""The first line: it names the ledger, and it is written once."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from danku.crypto.hashing import keccak, to_hex
from danku.errors import DataError, StorageError
from danku.ledger.embedded.errors import JournalBroken, JournalExists
from danku.ledger.embedded.genesis import chain_id_of, create_journal, identify
from danku.ledger.embedded.ledger import EmbeddedLedger
from danku.protocol.state import Registry
from danku.protocol.terms import RegistryTerms
from danku.protocol.types import Amount
from tests.ledger.worlds import NONCE, START, Clock, EmbeddedWorld, key_of


def create(path: Path, **changes: object) -> str:
    words = {
        "sandbox": False,
        "play_money": 0,
        "treasurer": None,
        "sequencer": None,
        "clock": Clock(),
    }
    return create_journal(path, **{**words, **changes}).address


def test_the_line_is_the_one_that_others_write() -> None:
    line = (
        b'{"genesis":{"nonce":"0x' + b"11" * 32 + b'","play_money":"5","sandbox":true,'
        b'"sequencer":null,"treasurer":"0x' + b"22" * 20 + b'"},"previous":"0x' + b"00" * 32 + b'",'
        b'"sequence":0,"time":1700000000}'
    )
    identity = identify(line)
    assert identity.address == to_hex(keccak(line)[12:])
    word = int.from_bytes(keccak(b"\x11" * 32), "big")
    assert identity.chain_id == 2**51 + word // 2**205


def test_a_registry_stands_in_the_line_or_is_left_out(tmp_path: Path) -> None:
    for registry, written in (
        (None, b'"play_money":"0","sandbox"'),
        (
            RegistryTerms(Amount(1000), 86_400),
            b'"play_money":"0","registry":{"stake":"1000","unbonding":86400},"sandbox"',
        ),
    ):
        path = tmp_path / f"{registry is None}.jsonl"
        create(path, registry=registry)
        assert written in path.read_bytes()
        assert EmbeddedLedger(path, clock=Clock()).genesis.registry == registry
        found = EmbeddedLedger(path, clock=Clock()).state().registry
        assert found is None if registry is None else found == Registry(registry)


@pytest.mark.parametrize(
    ("stake", "unbonding"), [(b'"0"', b"5"), (b"5", b"5"), (b'"5"', b"0"), (b'"5"', b'"5"')]
)
def test_an_unusable_registry_is_line_one(tmp_path: Path, stake: bytes, unbonding: bytes) -> None:
    world = EmbeddedWorld(tmp_path, registry=RegistryTerms(Amount(7), 9))
    good = b'{"stake":"7","unbonding":9}'
    bad = b'{"stake":' + stake + b',"unbonding":' + unbonding + b"}"
    data = world.path.read_bytes()
    assert good in data
    for other in (bad, b"null", b"{}"):
        world.path.write_bytes(data.replace(good, other))
        with pytest.raises(JournalBroken) as broken:
            EmbeddedLedger(world.path, clock=world.clock)
        assert (broken.value.line, broken.value.check) == (1, "genesis")


def test_chain_ids_stay_clear_of_real_chains_and_of_what_json_rounds() -> None:
    ids = [chain_id_of(keccak(bytes([number]))) for number in range(200)]
    assert len(set(ids)) == 200
    assert all(2**51 <= each < 2**52 for each in ids)


def test_ledgers_differ_by_their_nonce_alone(tmp_path: Path) -> None:
    addresses = {create(tmp_path / f"{number}.jsonl") for number in range(5)}
    assert len(addresses) == 5
    again = {create(tmp_path / f"same {number}.jsonl", nonce=NONCE) for number in range(2)}
    assert len(again) == 1


def test_it_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    create(path)
    before = path.read_bytes()
    with pytest.raises(JournalExists):
        create(path)
    assert path.read_bytes() == before
    assert {each.name for each in tmp_path.iterdir()} == {"ledger.jsonl", "ledger.jsonl.lock"}


def test_everybody_may_read_it(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        create(tmp_path / "ledger.jsonl")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "ledger.jsonl").stat().st_mode) == 0o644


@pytest.mark.parametrize(
    "changes",
    [
        {"play_money": 5},
        {"treasurer": "0x12"},
        {"sequencer": b"short"},
        {"nonce": b"short"},
        {"sandbox": True, "play_money": 2**96},
        {"registry": RegistryTerms(Amount(0), 5)},
        {"registry": RegistryTerms(Amount(5), 0)},
        {"registry": RegistryTerms(Amount(2**96), 5)},
        {"clock": Clock(-1)},
        {"clock": Clock(2**41)},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_a_malformed_ledger_is_not_made(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(DataError):
        create(tmp_path / "ledger.jsonl", **changes)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_the_disks_fault(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as error:
        create(tmp_path / "nowhere" / "ledger.jsonl")
    assert error.value.fix


@pytest.mark.parametrize(
    "replaced",
    [
        (b'"sequence":0', b'"sequence":1'),
        (b'"previous":"0x00', b'"previous":"0x01'),
        (b'"sandbox":false', b'"sandbox":0'),
        (b'"play_money":"0"', b'"play_money":"7"'),
        (b'"time":', b'"later":1,"time":'),
        (b'"time":1', b'"time": 1'),
        (b'{"genesis"', b'{"genesis":1,"genesis"'),
    ],
    ids=lambda pair: pair[1].decode(),
)
def test_a_malformed_genesis_line_is_line_one(
    tmp_path: Path, replaced: tuple[bytes, bytes]
) -> None:
    world = EmbeddedWorld(tmp_path)
    data = world.path.read_bytes()
    assert replaced[0] in data
    world.path.write_bytes(data.replace(*replaced))
    with pytest.raises(JournalBroken) as broken:
        EmbeddedLedger(world.path, clock=world.clock)
    assert (broken.value.line, broken.value.check) == (1, "genesis")


def test_a_ledger_from_the_future_is_refused(tmp_path: Path) -> None:
    world = EmbeddedWorld(tmp_path)
    EmbeddedLedger(world.path, clock=Clock(START - 300))
    with pytest.raises(JournalBroken) as broken:
        EmbeddedLedger(world.path, clock=Clock(START - 301))
    assert (broken.value.line, broken.value.check) == (1, "time")


def test_play_money_is_everybodys(sandbox: EmbeddedWorld) -> None:
    assert sandbox.ledger.balance(key_of("anybody").address) == 10_000
    assert sandbox.ledger.genesis.sandbox
