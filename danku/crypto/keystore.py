"""The keystore: a folder of Web3 Secret Storage v3 files, which other Ethereum tools open too.

Format: https://ethereum.org/en/developers/docs/data-structures-and-encoding/web3-secret-storage/,
through eth-keyfile. Its check value covers the password and the ciphertext; the address that a
file names covers the rest.
"""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from danku.crypto.signatures import KeyMalformed, PrivateKey
from danku.errors import DataError, StorageError, UsageError

SCRYPT_COST = 2**18
"""Scrypt's n for new files: about a second and 256 MB."""

_FILE_BYTES = 65_536
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_OWNER_ONLY = 0o600
_SCRYPT_MEMORY = 2**29

_Word: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"\A(0x)?[0-9a-fA-F]{64}\Z")]
_Vector: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"\A(0x)?[0-9a-fA-F]{32}\Z")]
_Salt: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"\A(0x)?([0-9a-fA-F]{2}){0,128}\Z")]
_Address: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"\A(0x)?[0-9a-fA-F]{40}\Z")]


class KeyFileMissing(DataError):
    """There is no such key file."""


class KeyFileExists(DataError):
    """A key file of that name is there already; none is ever overwritten."""


class KeyFileBroken(DataError):
    """The file is not a key file, was cut short, or was edited."""


class WrongPassword(DataError):
    """The password does not open the key file."""


@dataclass(frozen=True, slots=True)
class KeyFile:
    """One file of the keystore, as far as it can be read without its password."""

    name: str
    address: str | None
    """Lower-case 0x hex; None if the file names none or cannot be read."""
    path: Path
    exposed: bool
    """Whether others than the owner may read or write the file."""


def create(
    folder: Path, name: str, password: str, key: PrivateKey, *, cost: int = SCRYPT_COST
) -> Path:
    """Encrypt the key into ``folder/name.json`` and return its path.

    The file is complete, readable by its owner only, and on disk, or it is not there at all.

    Args:
        cost: scrypt's n, a power of two.

    Raises:
        UsageError: a name that is no plain file name, or a password that is empty or not text.
        KeyFileExists: the name is taken.
        StorageError: the folder does not take the file.
    """
    from eth_keyfile.keyfile import create_keyfile_json

    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name[:80]!r} cannot name a key",
            fix="use up to 64 letters, digits and ._-, a letter or a digit first",
        )
    if not password:
        raise UsageError("a key file needs a password", why="an empty one protects nothing")
    path = folder / f"{name}.json"
    if os.path.lexists(path):
        raise _exists(path)
    document = create_keyfile_json(
        key.unsafe_secret(), _password_bytes(password), version=3, kdf="scrypt", iterations=cost
    )
    # NOTE: without 0x, as every other tool writes it.
    document["address"] = key.address.removeprefix("0x")
    _write_new(path, msgspec.json.format(msgspec.json.encode(document)) + b"\n")
    return path


def unlock(path: Path, password: str) -> PrivateKey:
    """Decrypt a key file, ours or another tool's.

    Where the file names an address, as ours do, the key is checked to belong to it.

    Raises:
        KeyFileMissing, KeyFileBroken, WrongPassword: see there.
        UsageError: the password is not text.
        StorageError: the file cannot be read.
    """
    from eth_keyfile.keyfile import decode_keyfile_json

    document = _read(path)
    plain = {"version": 3, "crypto": msgspec.to_builtins(document.crypto)}
    encoded = _password_bytes(password)
    try:
        key = PrivateKey.from_bytes(decode_keyfile_json(plain, encoded))
    except KeyMalformed:
        raise _broken(path, "what it holds is not a private key") from None
    except ValueError:
        raise WrongPassword(
            f"the password does not open {path.name}",
            why="the file's check value does not match: another password, or an edited file",
            fix="try again, or restore the file from a backup",
        ) from None
    named = _address(document)
    if named is not None and named != key.address:
        raise _broken(path, "the key in it does not belong to the address that it names")
    return key


def listing(folder: Path) -> list[KeyFile]:
    """All ``*.json`` files of the folder by name; empty if there is no folder."""
    return [
        KeyFile(path.stem, _readable_address(path), path, _exposed(path))
        for path in sorted(folder.glob("*.json"))
        if path.is_file() and not path.name.startswith(".")
    ]


# NOTE: a key file comes from a folder that others may write to. The bounds keep an edited one
# from taking hours or all memory (scrypt uses 128 * n * r bytes); every known tool stays far below.
class _Scrypt(msgspec.Struct, frozen=True):
    n: Annotated[int, msgspec.Meta(ge=2, le=2**20)]
    r: Annotated[int, msgspec.Meta(ge=1, le=16)]
    p: Annotated[int, msgspec.Meta(ge=1, le=16)]
    dklen: Literal[32]
    salt: _Salt


class _Pbkdf2(msgspec.Struct, frozen=True):
    c: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)]
    prf: Literal["hmac-sha256"]
    dklen: Literal[32]
    salt: _Salt


class _CipherParameters(msgspec.Struct, frozen=True):
    iv: _Vector


class _Crypto(msgspec.Struct, frozen=True):
    cipher: Literal["aes-128-ctr"]
    cipherparams: _CipherParameters
    ciphertext: _Word
    kdf: Literal["scrypt", "pbkdf2"]
    kdfparams: dict[str, Any]
    mac: _Word


class _Document(msgspec.Struct, frozen=True):
    crypto: _Crypto
    version: Literal[3]
    address: _Address | None = None


def _read(path: Path) -> _Document:
    try:
        with path.open("rb") as file:
            data = file.read(_FILE_BYTES + 1)
    except FileNotFoundError:
        raise KeyFileMissing(f"there is no key file {path}") from None
    except OSError as error:
        raise StorageError(f"cannot read the key file {path}: {error.strerror}") from None
    if len(data) > _FILE_BYTES:
        raise _broken(path, f"it is larger than {_FILE_BYTES} bytes")
    try:
        content = msgspec.json.decode(data, type=dict[str, Any])
        # NOTE: early versions of other tools wrote "Crypto".
        document = msgspec.convert({key.lower(): item for key, item in content.items()}, _Document)
        parameters = document.crypto.kdfparams
        if document.crypto.kdf == "pbkdf2":
            msgspec.convert(parameters, _Pbkdf2)
        else:
            scrypt = msgspec.convert(parameters, _Scrypt)
            if scrypt.n & (scrypt.n - 1) or 128 * scrypt.n * scrypt.r > _SCRYPT_MEMORY:
                raise _broken(path, "scrypt cannot run with its n and r")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _broken(path, str(error)) from None
    return document


def _broken(path: Path, why: str) -> KeyFileBroken:
    return KeyFileBroken(
        f"{path.name} is not a whole key file (Web3 Secret Storage v3)",
        why=why,
        fix="restore it from a backup",
    )


def _exists(path: Path) -> KeyFileExists:
    return KeyFileExists(f"there is a key file {path} already", fix="choose another name")


def _address(document: _Document) -> str | None:
    if document.address is None:
        return None
    return "0x" + document.address.removeprefix("0x").lower()


def _readable_address(path: Path) -> str | None:
    try:
        return _address(_read(path))
    except (DataError, StorageError):
        return None


def _exposed(path: Path) -> bool:
    # NOTE: only POSIX has these bits; elsewhere they are made up.
    return os.name == "posix" and bool(path.stat().st_mode & 0o077)


def _password_bytes(password: str) -> bytes:
    try:
        return password.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise UsageError("the password is not text") from None


def _write_new(path: Path, data: bytes) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            _link_new(draft, path)
        finally:
            draft.unlink()
        _sync(path.parent)
    except OSError as error:
        raise StorageError(
            f"cannot write the key file {path}: {error.strerror}",
            why="it needs a folder with file permissions and hard links",
        ) from None


def _link_new(draft: Path, path: Path) -> None:
    try:
        # NOTE: a link, unlike a rename, never replaces what has taken the name meanwhile.
        os.link(draft, path)
    except FileExistsError:
        raise _exists(path) from None


def _sync(folder: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
