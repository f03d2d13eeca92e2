"""The private folder: seen by nobody else, whole or not at all, and plain about what is lost."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from danku.errors import DataError
from danku.protocol.types import ZERO_DIGEST
from danku.roles.seeds import SeedSecret
from danku.roles.vault import PrivateMissing, Vault

CHALLENGE = "0x" + "ab" * 32


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path / "private")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_files_and_folders_are_nobody_elses(vault: Vault, umask: int) -> None:
    before = os.umask(umask)
    try:
        path = vault.keep(CHALLENGE, "secret", b"secret")
        again = vault.keep(CHALLENGE, "secret", b"another")
    finally:
        os.umask(before)
    assert path == again
    assert mode(path) == 0o600
    assert mode(path.parent) == mode(vault.root) == 0o700


def test_what_is_kept_can_be_read(vault: Vault) -> None:
    vault.keep(CHALLENGE, "secret", b"one")
    vault.keep(CHALLENGE, "secret", b"two")
    assert vault.read(CHALLENGE, "secret", "a secret") == b"two"
    assert [path.name for path in vault.folder(CHALLENGE).iterdir()] == ["secret"]


def test_a_missing_file_says_what_is_lost_with_it(vault: Vault) -> None:
    with pytest.raises(PrivateMissing) as raised:
        vault.read(CHALLENGE, "salt", "the salt of submission 3")
    assert str(vault.root / CHALLENGE / "salt") in raised.value.what
    assert "the salt of submission 3" in raised.value.what
    assert raised.value.exit_code == 5
    assert "backup" in raised.value.fix


def test_reading_makes_no_folder(vault: Vault) -> None:
    with pytest.raises(PrivateMissing):
        vault.read(CHALLENGE, "salt", "a salt")
    assert vault.records(CHALLENGE, "*.json", SeedSecret) == []
    assert not vault.root.exists()


def test_a_failed_write_leaves_the_earlier_version(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.keep(CHALLENGE, "secret", b"earlier")

    def full(descriptor: int) -> None:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        vault.keep(CHALLENGE, "secret", b"later")
    assert vault.read(CHALLENGE, "secret", "a secret") == b"earlier"
    assert [path.name for path in (vault.root / CHALLENGE).iterdir()] == ["secret"]


def test_bytes_are_on_the_disk_before_they_have_their_name(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    sync, replace = os.fsync, Path.replace

    def note_sync(descriptor: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        sync(descriptor)

    def note_replace(self: Path, target: Path) -> Path:
        steps.append("name")
        return replace(self, target)

    vault.folder(CHALLENGE)
    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(Path, "replace", note_replace)
    vault.keep(CHALLENGE, "secret", b"secret")
    assert steps == ["file", "name", "folder"]


def test_records_come_back_typed_and_sorted(vault: Vault) -> None:
    secrets = [SeedSecret("0x" + f"{number:02x}" * 32) for number in range(3)]
    for number in (2, 0, 1):
        vault.keep_record(CHALLENGE, f"seed-{number}.json", secrets[number])
    vault.keep(CHALLENGE, "other", b"not a record")
    assert vault.records(CHALLENGE, "seed-*.json", SeedSecret) == secrets
    assert vault.read_record(CHALLENGE, "seed-1.json", SeedSecret, "a secret") == secrets[1]


@pytest.mark.parametrize("data", [b"", b"{", b'{"secret": 3}', b'{"secret":"0x"}', b"\xff"])
def test_a_damaged_record_is_named(vault: Vault, data: bytes) -> None:
    vault.keep(CHALLENGE, "seed-0.json", data)
    with pytest.raises(DataError, match=r"seed-0\.json"):
        vault.read_record(CHALLENGE, "seed-0.json", SeedSecret, "a secret")
    with pytest.raises(DataError, match=r"seed-0\.json"):
        vault.records(CHALLENGE, "seed-*.json", SeedSecret)


def test_challenges_do_not_see_one_anothers_files(vault: Vault) -> None:
    vault.keep(CHALLENGE, "secret", b"secret")
    with pytest.raises(PrivateMissing):
        vault.read(ZERO_DIGEST, "secret", "a secret")
