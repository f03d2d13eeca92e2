"""From `--as` to a key: by name, address or file, or from the environment for CI."""

from __future__ import annotations

import getpass
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from danku.errors import UsageError

if TYPE_CHECKING:
    from danku.crypto.keystore import KeyFile
    from danku.crypto.signatures import PrivateKey


class NoKey(UsageError):
    """It is not clear which key acts, or how to unlock it."""


def refuse_secret(name: str) -> None:
    """Refuse a private key where a key's name belongs; it is not repeated.

    Raises:
        NoKey: the name looks like a private key.
    """
    if re.fullmatch(r"(0x)?[0-9a-fA-F]{64}", name):
        raise NoKey(
            "this looks like a private key, not like the name of one",
            why="command lines are seen by others and kept in histories",
            fix="set DANKU_PRIVATE_KEY, or danku keys import NAME; if it is a key, use another",
        )


def has_secret() -> bool:
    """Whether the environment gives a key, or means to."""
    return "DANKU_PRIVATE_KEY" in os.environ


def _from_environment() -> PrivateKey | None:
    from danku.crypto.signatures import PrivateKey

    text = os.environ.get("DANKU_PRIVATE_KEY")
    if text is not None and not text.strip():
        raise NoKey(
            "DANKU_PRIVATE_KEY is set, and it is empty",
            why="a CI secret that is not defined, or not given to this run, arrives like this",
            fix="define the secret DANKU_PRIVATE_KEY in the CI system's settings",
        )
    return PrivateKey.from_hex(text.strip()) if text else None


def find_key_file(keys: Path, wanted: str | None) -> KeyFile:
    """The key file that ``wanted`` means (name, address or path), or the only one there is.

    Raises:
        NoKey: none, or more than one, fits.
    """
    from danku.crypto.keystore import listing

    if wanted is not None:
        refuse_secret(wanted)
    files = listing(keys)
    names = ", ".join(file.name for file in files)
    if wanted is None:
        if len(files) == 1:
            return files[0]
        raise NoKey(
            "which key acts is not clear" if files else "this workspace has no key",
            why=f"keys here: {names}" if files else "",
            fix="name one with --as KEY or DANKU_AS" if files else "danku keys new NAME",
        )
    for file in files:
        same_file = Path(wanted).exists() and Path(wanted).resolve() == file.path.resolve()
        if wanted == file.name or wanted.lower() == file.address or same_file:
            return file
    raise NoKey(
        f"no key {wanted!r} in {keys}",
        why=f"keys here: {names}" if names else "the folder has no key",
        fix=f"danku keys new {wanted}, or danku keys import",
    )


def address_of_key(keys: Path, wanted: str | None) -> str:
    """The address of the key that acts, without a password.

    Raises:
        NoKey: as `find_key_file`.
    """
    key = _from_environment() if wanted is None else None
    if key is not None:
        return key.address
    file = find_key_file(keys, wanted)
    if file.address is None:
        raise NoKey(f"{file.path} cannot be read as a key file", fix="restore it from a backup")
    return file.address


def read_password(prompt: str, *, confirm: bool = False) -> str:
    """DANKU_PASSWORD, or what the user types.

    Raises:
        NoKey: nobody can be asked, or two entries differ.
    """
    if "DANKU_PASSWORD" in os.environ:
        return os.environ["DANKU_PASSWORD"]
    if not sys.stdin.isatty():
        raise NoKey(
            "a password is needed, and nobody can be asked here",
            fix="set DANKU_PASSWORD, or DANKU_PRIVATE_KEY in CI",
        )
    password = getpass.getpass(prompt, stream=sys.stderr)
    if confirm and getpass.getpass("again: ", stream=sys.stderr) != password:
        raise NoKey("the two passwords differ", fix="run the command again")
    return password


def keep_key(keys: Path, name: str, key: PrivateKey) -> Path:
    """Write a key, encrypted with a password that is asked for, into the keys folder.

    Raises:
        NoKey: the name looks like a private key, or nobody can be asked.
        DataError, UsageError, StorageError: as `danku.crypto.keystore.create`.
    """
    from danku.crypto.keystore import create

    refuse_secret(name)
    return create(keys, name, read_password(f"password for {name}: ", confirm=True), key)


def unlock_key(keys: Path, wanted: str | None) -> PrivateKey:
    """The key that acts.

    Raises:
        NoKey: it is not clear which.
        DataError: wrong password or broken key file.
    """
    from danku.cli.terminal import Terminal
    from danku.crypto.keystore import unlock

    key = _from_environment() if wanted is None else None
    if key is not None:
        return key
    file = find_key_file(keys, wanted)
    if file.exposed:
        Terminal(stderr=True).tell((f"{file.path} can be read by others: chmod 600 it", "yellow"))
    return unlock(file.path, read_password(f"password of {file.name}: "))
