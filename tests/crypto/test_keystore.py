"""Key files: other tools' open here, ours open there, and none is lost, shown or overwritten."""

from __future__ import annotations

import copy
import json
import os
import signal
import stat
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from eth_account import Account
from eth_keyfile.keyfile import decode_keyfile_json

from danku.crypto.hashing import keccak
from danku.crypto.keystore import (
    KeyFileBroken,
    KeyFileExists,
    KeyFileMissing,
    WrongPassword,
    create,
    listing,
    unlock,
)
from danku.crypto.signatures import PrivateKey
from danku.errors import StorageError, UsageError

SECRET = keccak(b"a secret that nobody may see")
KEY = PrivateKey.from_bytes(SECRET)
PASSWORD = "correct horse ☕ battery staple"
CHEAP = 2**10

posix_only = pytest.mark.skipif(os.name != "posix", reason="POSIX permission bits")

# The test vectors of the format's definition, password "testpassword".
VECTOR_ADDRESS = "0x008aeeda4d805471df9b2a5b0f38a0c3bcba786b"
PBKDF2_VECTOR = {
    "crypto": {
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": "6087dab2f9fdbbfaddc31a909735c1e6"},
        "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
        "kdf": "pbkdf2",
        "kdfparams": {
            "c": 262144,
            "dklen": 32,
            "prf": "hmac-sha256",
            "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd",
        },
        "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2",
    },
    "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
    "version": 3,
}
SCRYPT_VECTOR = {
    "crypto": {
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": "83dbcc02d8ccb40e466191a123791e0e"},
        "ciphertext": "d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c",
        "kdf": "scrypt",
        "kdfparams": {
            "dklen": 32,
            "n": 262144,
            "p": 8,
            "r": 1,
            "salt": "ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19",
        },
        "mac": "2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097",
    },
    "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
    "version": 3,
}


def written(folder: Path, document: object) -> Path:
    path = folder / "edited.json"
    path.write_text(json.dumps(document))
    return path


@pytest.fixture
def document(tmp_path: Path) -> dict[str, Any]:
    path = create(tmp_path / "original", "alice", PASSWORD, KEY, cost=CHEAP)
    return json.loads(path.read_text())  # type: ignore[no-any-return]


class TestOtherTools:
    @pytest.mark.parametrize("vector", [PBKDF2_VECTOR, SCRYPT_VECTOR], ids=["pbkdf2", "scrypt"])
    @pytest.mark.parametrize("outer", ["crypto", "Crypto"])
    def test_the_definitions_vectors(
        self, tmp_path: Path, vector: dict[str, Any], outer: str
    ) -> None:
        path = written(tmp_path, {outer: vector["crypto"], "id": vector["id"], "version": 3})
        key = unlock(path, "testpassword")
        assert key.address == VECTOR_ADDRESS
        assert key.unsafe_secret().hex() == (
            "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d"
        )

    def test_a_vector_with_another_password(self, tmp_path: Path) -> None:
        with pytest.raises(WrongPassword):
            unlock(written(tmp_path, PBKDF2_VECTOR), "testpassword ")

    def test_eth_account_opens_ours(self, document: dict[str, Any]) -> None:
        assert Account.decrypt(document, PASSWORD) == SECRET

    @pytest.mark.parametrize("kdf", ["scrypt", "pbkdf2"])
    def test_we_open_eth_accounts(self, tmp_path: Path, kdf: Literal["scrypt", "pbkdf2"]) -> None:
        document = Account.encrypt(SECRET, PASSWORD, kdf=kdf, iterations=CHEAP)
        assert unlock(written(tmp_path, document), PASSWORD).address == KEY.address


class TestCreate:
    def test_round_trip(self, tmp_path: Path) -> None:
        path = create(tmp_path / "new" / "keys", "alice", PASSWORD, KEY, cost=CHEAP)
        assert path == tmp_path / "new" / "keys" / "alice.json"
        assert unlock(path, PASSWORD).address == KEY.address
        assert [child.name for child in path.parent.iterdir()] == ["alice.json"]

    def test_the_file_is_the_standards(self, document: dict[str, Any]) -> None:
        assert document["version"] == 3
        assert document["address"] == KEY.address.removeprefix("0x")
        assert document["crypto"]["kdf"] == "scrypt"
        assert SECRET.hex() not in json.dumps(document)

    def test_the_default_cost_is_the_standards(self, tmp_path: Path) -> None:
        document = json.loads(create(tmp_path, "alice", PASSWORD, KEY).read_text())
        assert document["crypto"]["kdfparams"] == {
            "dklen": 32,
            "n": 2**18,
            "r": 8,
            "p": 1,
            "salt": document["crypto"]["kdfparams"]["salt"],
        }

    def test_two_files_of_one_key_share_nothing_secret(self, tmp_path: Path) -> None:
        one, other = (
            json.loads(create(tmp_path, name, PASSWORD, KEY, cost=CHEAP).read_text())["crypto"]
            for name in ("one", "other")
        )
        for part in ("ciphertext", "mac", "cipherparams", "kdfparams"):
            assert one[part] != other[part]

    @pytest.mark.parametrize("taken_by", ["file", "folder", "dangling link"])
    def test_nothing_is_overwritten(self, tmp_path: Path, taken_by: str) -> None:
        path = tmp_path / "alice.json"
        if taken_by == "file":
            path.write_text("precious")
        elif taken_by == "folder":
            path.mkdir()
        else:
            path.symlink_to(tmp_path / "elsewhere")
        with pytest.raises(KeyFileExists):
            create(tmp_path, "alice", PASSWORD, KEY, cost=CHEAP)
        assert [child.name for child in tmp_path.iterdir()] == ["alice.json"]
        assert taken_by != "file" or path.read_text() == "precious"

    def test_a_file_that_appears_in_the_meantime_is_kept(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path, sync = tmp_path / "alice.json", os.fsync

        def racing_sync(descriptor: int) -> None:
            path.write_text("precious")
            sync(descriptor)

        monkeypatch.setattr(os, "fsync", racing_sync)
        with pytest.raises(KeyFileExists):
            create(tmp_path, "alice", PASSWORD, KEY, cost=CHEAP)
        assert path.read_text() == "precious"
        assert [child.name for child in tmp_path.iterdir()] == ["alice.json"]

    @pytest.mark.parametrize(
        "name",
        [
            "",
            ".",
            "..",
            "../alice",
            "a/b",
            "a\\b",
            ".hidden",
            "-dash",
            "a" * 65,
            "a\0b",
            "a\n",
            "á",
        ],
    )
    def test_names_stay_in_the_folder(self, tmp_path: Path, name: str) -> None:
        folder = tmp_path / "keys"
        with pytest.raises(UsageError):
            create(folder, name, PASSWORD, KEY, cost=CHEAP)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("password", ["", "lone \ud800 surrogate"])
    def test_unusable_passwords(self, tmp_path: Path, password: str) -> None:
        with pytest.raises(UsageError):
            create(tmp_path, "alice", password, KEY, cost=CHEAP)
        assert list(tmp_path.iterdir()) == []

    def test_a_password_of_undecodable_bytes_is_those_bytes(self, tmp_path: Path) -> None:
        password = os.fsdecode(b"caf\xe9")
        path = create(tmp_path, "alice", password, KEY, cost=CHEAP)
        assert unlock(path, password).address == KEY.address
        assert decode_keyfile_json(json.loads(path.read_text()), b"caf\xe9") == SECRET

    @pytest.mark.parametrize("below", ["", "deeper"])
    def test_a_folder_that_is_a_file(self, tmp_path: Path, below: str) -> None:
        blocker = tmp_path / "keys"
        blocker.write_text("not a folder")
        with pytest.raises(StorageError):
            create(blocker / below, "alice", PASSWORD, KEY, cost=CHEAP)
        assert blocker.read_text() == "not a folder"

    def test_a_full_disk_leaves_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match="No space left"):
            create(tmp_path, "alice", PASSWORD, KEY, cost=CHEAP)
        assert list(tmp_path.iterdir()) == []


@posix_only
class TestPermissions:
    @pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
    def test_owner_only_from_birth(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, umask: int
    ) -> None:
        folder = tmp_path / "keys"
        modes: list[int] = []

        def spied(call: Callable[..., Any]) -> Callable[..., Any]:
            def run(*given: Any, **named: Any) -> Any:
                result = call(*given, **named)
                files = folder.iterdir() if folder.exists() else []
                modes.extend(stat.S_IMODE(file.lstat().st_mode) for file in files)
                return result

            return run

        for name in ("open", "fsync", "link", "fdopen"):
            monkeypatch.setattr(os, name, spied(getattr(os, name)))
        before = os.umask(umask)
        try:
            path = create(folder, "alice", PASSWORD, KEY, cost=CHEAP)
        finally:
            os.umask(before)
        assert len(modes) >= 4
        assert {*modes, stat.S_IMODE(path.stat().st_mode)} == {0o600}
        assert stat.S_IMODE(folder.stat().st_mode) & 0o077 == 0

    @pytest.mark.parametrize(
        ("mode", "exposed"),
        [
            (0o600, False),
            (0o400, False),
            (0o640, True),
            (0o604, True),
            (0o620, True),
            (0o666, True),
        ],
    )
    def test_wider_bits_are_reported(self, tmp_path: Path, mode: int, exposed: bool) -> None:
        path = create(tmp_path, "alice", PASSWORD, KEY, cost=CHEAP)
        path.chmod(mode)
        assert [file.exposed for file in listing(tmp_path)] == [exposed]


KILLED = """
import os, signal, sys
from pathlib import Path
from danku.crypto.keystore import create
from danku.crypto.signatures import PrivateKey

calls, fatal = 0, int(sys.argv[2])

def deadly(call):
    def run(*given, **named):
        global calls
        calls += 1
        if calls == fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*given, **named)
    return run

for name in ("open", "fdopen", "fsync", "link", "unlink", "close"):
    setattr(os, name, deadly(getattr(os, name)))
Path.unlink = deadly(Path.unlink)
create(Path(sys.argv[1]), "alice", "password", PrivateKey.from_bytes(bytes(31) + b"\\1"), cost=2)
"""


@posix_only
def test_killed_at_any_step_a_key_file_is_whole_or_absent(tmp_path: Path) -> None:
    outcomes = []
    for step in range(1, 20):
        folder = tmp_path / str(step)
        command = [sys.executable, "-c", KILLED, str(folder), str(step)]
        done = subprocess.run(command, check=False)
        assert done.returncode in (0, -signal.SIGKILL)
        files = listing(folder)
        for file in files:
            assert unlock(file.path, "password").address == file.address
        # The next command works: the name is free, or it is taken by the whole file.
        if files:
            with pytest.raises(KeyFileExists):
                create(folder, "alice", "password", KEY, cost=2)
        else:
            create(folder, "alice", "password", KEY, cost=2)
        outcomes.append(bool(files))
        if done.returncode == 0:
            break
    assert len(outcomes) > 4
    assert outcomes == sorted(outcomes)
    assert outcomes[-1] and not outcomes[0]


class TestUnlock:
    @pytest.mark.parametrize("password", ["", "wrong", PASSWORD + " ", PASSWORD.upper()])
    def test_a_wrong_password(self, tmp_path: Path, password: str) -> None:
        path = create(tmp_path, "alice", PASSWORD, KEY, cost=CHEAP)
        with pytest.raises(WrongPassword) as caught:
            unlock(path, password)
        error = caught.value
        assert "alice.json" in error.what and error.why and error.fix
        assert error.exit_code == 5

    def test_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(KeyFileMissing):
            unlock(tmp_path / "nobody.json", PASSWORD)

    def test_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(StorageError):
            unlock(tmp_path, PASSWORD)

    def test_a_file_cut_short_anywhere(self, tmp_path: Path) -> None:
        path = create(tmp_path, "alice", PASSWORD, KEY, cost=2)
        whole = path.read_bytes()
        for length in range(len(whole.rstrip())):
            path.write_bytes(whole[:length])
            with pytest.raises(KeyFileBroken):
                unlock(path, PASSWORD)

    def test_a_file_with_one_changed_character_never_gives_another_key(
        self, tmp_path: Path
    ) -> None:
        path = create(tmp_path, "alice", PASSWORD, KEY, cost=2)
        whole = path.read_bytes()
        for place in range(len(whole)):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            try:
                key = unlock(path, PASSWORD)
            except (KeyFileBroken, WrongPassword):
                continue
            # What is left is white space, the id, and the name of an unused field.
            assert key.address == KEY.address

    @pytest.mark.parametrize(
        "edit",
        [
            lambda d: d.update(version=4),
            lambda d: d.update(version=1),
            lambda d: d.update(version="3"),
            lambda d: d.pop("version"),
            lambda d: d.pop("crypto"),
            lambda d: d.update(crypto=[]),
            lambda d: d.update(address="00" * 20),
            lambda d: d.update(address=5),
            lambda d: d.update(address="0x12"),
            lambda d: d["crypto"].update(cipher="aes-128-cbc"),
            lambda d: d["crypto"].update(kdf="argon2"),
            lambda d: d["crypto"].update(kdf="pbkdf2"),
            lambda d: d["crypto"].update(ciphertext="00" * 31),
            lambda d: d["crypto"].update(ciphertext="00" * 33),
            lambda d: d["crypto"].update(ciphertext="zz" * 32),
            lambda d: d["crypto"].update(mac=""),
            lambda d: d["crypto"].pop("mac"),
            lambda d: d["crypto"].pop("kdfparams"),
            lambda d: d["crypto"]["cipherparams"].update(iv="00" * 15),
            lambda d: d["crypto"]["cipherparams"].update(iv="00" * 16),
            lambda d: d["crypto"]["kdfparams"].update(n=2**40),
            lambda d: d["crypto"]["kdfparams"].update(n=2**20, r=16),
            lambda d: d["crypto"]["kdfparams"].update(n=1000),
            lambda d: d["crypto"]["kdfparams"].update(n=0),
            lambda d: d["crypto"]["kdfparams"].update(n=-2),
            lambda d: d["crypto"]["kdfparams"].update(n=True),
            lambda d: d["crypto"]["kdfparams"].update(r=2**30),
            lambda d: d["crypto"]["kdfparams"].update(p=2**30),
            lambda d: d["crypto"]["kdfparams"].update(dklen=16),
            lambda d: d["crypto"]["kdfparams"].update(dklen=2**40),
            lambda d: d["crypto"]["kdfparams"].update(salt="0"),
            lambda d: d["crypto"]["kdfparams"].pop("salt"),
        ],
    )
    def test_an_edited_file(
        self, tmp_path: Path, document: dict[str, Any], edit: Callable[[Any], object]
    ) -> None:
        edit(document)
        with pytest.raises(KeyFileBroken) as caught:
            unlock(written(tmp_path, document), PASSWORD)
        assert caught.value.why and caught.value.fix

    @pytest.mark.parametrize(
        "change", [{"c": 2**40}, {"c": 0}, {"prf": "hmac-md5"}, {"dklen": 16}, {"salt": 5}]
    )
    def test_edited_pbkdf2_parameters(self, tmp_path: Path, change: dict[str, object]) -> None:
        vector: dict[str, Any] = copy.deepcopy(PBKDF2_VECTOR)
        vector["crypto"]["kdfparams"].update(change)
        with pytest.raises(KeyFileBroken):
            unlock(written(tmp_path, vector), "testpassword")

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"\0",
            b"\xff\xfe",
            b"null",
            b"[]",
            b'"text"',
            b"[" * 60_000,
            b'{"crypto":' * 6_000,
            b'{"\xff": 1}',
            b"{}" + b" " * 70_000,
        ],
    )
    def test_what_is_no_key_file(self, tmp_path: Path, data: bytes) -> None:
        path = tmp_path / "noise.json"
        path.write_bytes(data)
        with pytest.raises(KeyFileBroken):
            unlock(path, PASSWORD)

    def test_a_file_that_holds_zero(self, tmp_path: Path, document: dict[str, Any]) -> None:
        # Ciphertext and check value of a secret that is no key, under the right password.
        from Crypto.Cipher import AES
        from Crypto.Protocol.KDF import scrypt

        crypto = document["crypto"]
        derived = scrypt(
            PASSWORD.encode().decode("latin-1"),
            bytes.fromhex(crypto["kdfparams"]["salt"]).decode("latin-1"),
            key_len=32,
            N=CHEAP,
            r=8,
            p=1,
        )
        assert isinstance(derived, bytes)
        iv = bytes.fromhex(crypto["cipherparams"]["iv"])
        cipher = AES.new(derived[:16], AES.MODE_CTR, nonce=b"", initial_value=iv)
        crypto["ciphertext"] = cipher.encrypt(bytes(32)).hex()
        crypto["mac"] = keccak(derived[16:], bytes.fromhex(crypto["ciphertext"])).hex()
        with pytest.raises(KeyFileBroken):
            unlock(written(tmp_path, document), PASSWORD)

    def test_neither_key_nor_password_is_shown(
        self, tmp_path: Path, document: dict[str, Any]
    ) -> None:
        document["address"] = "00" * 20
        path = written(tmp_path, document)
        for password, error_type in ((PASSWORD, KeyFileBroken), ("hunter2", WrongPassword)):
            with pytest.raises(error_type) as caught:
                unlock(path, password)
            shown = "".join(traceback.format_exception(caught.value))
            shown += caught.value.why + caught.value.fix
            for hidden in (password, SECRET.hex(), repr(SECRET)[2:-1]):
                assert hidden not in shown


class TestListing:
    def test_no_folder(self, tmp_path: Path) -> None:
        assert listing(tmp_path / "nowhere") == []

    def test_files_by_name_with_their_addresses(self, tmp_path: Path) -> None:
        other = PrivateKey.generate()
        create(tmp_path, "bob", PASSWORD, other, cost=2)
        create(tmp_path, "alice", PASSWORD, KEY, cost=2)
        found = [(file.name, file.address, file.path) for file in listing(tmp_path)]
        assert found == [
            ("alice", KEY.address, tmp_path / "alice.json"),
            ("bob", other.address, tmp_path / "bob.json"),
        ]

    def test_a_bad_file_hides_no_good_one(self, tmp_path: Path) -> None:
        create(tmp_path, "good", PASSWORD, KEY, cost=2)
        (tmp_path / "broken.json").write_text("{")
        (tmp_path / "nameless.json").write_text(json.dumps(PBKDF2_VECTOR))
        (tmp_path / "README.md").write_text("about keys")
        (tmp_path / ".hidden.json").write_text("{}")
        (tmp_path / "folder.json").mkdir()
        (tmp_path / "dangling.json").symlink_to(tmp_path / "nowhere")
        assert [(file.name, file.address) for file in listing(tmp_path)] == [
            ("broken", None),
            ("good", KEY.address),
            ("nameless", None),
        ]

    def test_a_checksummed_address_is_lowered(
        self, tmp_path: Path, document: dict[str, Any]
    ) -> None:
        document["address"] = "0x" + document["address"].upper()
        path = written(tmp_path, document)
        assert [file.address for file in listing(tmp_path)] == [KEY.address]
        assert unlock(path, PASSWORD).address == KEY.address
