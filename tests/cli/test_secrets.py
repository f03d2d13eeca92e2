"""No password, private key or other secret in any output, least of all where things go wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from danku.crypto.hashing import keccak
from danku.crypto.signatures import PrivateKey
from tests.cli.driver import NAME, PASSWORD, Danku, Run
from tests.roles.arena import key_of

At = Callable[[str], Danku]
SECRET = keccak(b"a secret that no output may show")


def spellings(secret: bytes) -> tuple[str, ...]:
    """A secret as text, in the ways in which it could slip into an output."""
    number = int.from_bytes(secret, "big")
    return (secret.hex(), secret.hex().upper(), repr(secret)[2:-1], str(number))


def shows(run: Run, *secrets: str) -> bool:
    said = run.out + run.err
    return any(secret in said for secret in secrets)


@pytest.fixture
def crash(monkeypatch: pytest.MonkeyPatch) -> None:
    """Signing crashes, with the key at hand."""

    def sign(self: PrivateKey, digest: bytes) -> bytes:
        raise RuntimeError(f"cannot sign with {self!r}")

    monkeypatch.setattr(PrivateKey, "sign", sign)


@pytest.mark.usefixtures("crash")
def test_a_crash_while_signing_shows_no_key(at: At) -> None:
    danku = Danku(at("created").folder, {"DANKU_PRIVATE_KEY": "0x" + SECRET.hex()})
    for more in ((), ("--verbose",), ("--verbose", "--json")):
        run = danku.try_("ledger", "advance-time", "1s", *more)
        assert run.code == 1
        assert ("Traceback" in run.err) == ("--verbose" in more)
        assert not shows(run, *spellings(SECRET))


@pytest.mark.usefixtures("quick", "crash")
def test_a_crash_with_an_unlocked_key_file_shows_neither_key_nor_password(at: At) -> None:
    danku = at("created")
    named = Danku(danku.folder, {"DANKU_PRIVATE_KEY": "0x" + SECRET.hex()})
    named("keys", "import", "mine")
    run = danku.try_("ledger", "advance-time", "1s", "--as", "mine", "--verbose")
    assert (run.code, "Traceback" in run.err) == (1, True)
    assert not shows(run, PASSWORD, *spellings(SECRET))


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("more", [(), ("--verbose",), ("--json", "--verbose")])
def test_a_wrong_password_is_not_repeated(at: At, more: tuple[str, ...]) -> None:
    danku = at("created")
    danku("keys", "new", "mine")
    wrong = Danku(danku.folder, {"DANKU_PASSWORD": "hunter2-and-more"})
    before = danku.digest(".")
    run = wrong.try_("ledger", "advance-time", "1s", "--as", "mine", *more)
    assert run.code == 5
    assert "WrongPassword" in run.err
    assert not shows(run, "hunter2-and-more", PASSWORD)
    assert danku.digest(".") == before


@pytest.mark.parametrize(
    "text",
    [SECRET.hex() + "00", "0x" + SECRET.hex()[:-1] + "g", "ff" * 32, "00" * 32, SECRET.hex()[2:]],
    ids=["too long", "no hex", "too large", "zero", "too short"],
)
def test_a_malformed_private_key_is_not_repeated(at: At, text: str) -> None:
    danku = Danku(at("created").folder, {"DANKU_PRIVATE_KEY": text})
    for words in (["ledger", "advance-time", "1s"], ["status"], ["keys", "import", "mine"]):
        run = danku.try_(*words, "--verbose")
        assert run.code == 5
        assert "KeyMalformed" in run.err
        assert not shows(run, text, text.removeprefix("0x")[:40])


@pytest.mark.parametrize("prefix", ["", "0x"])
def test_a_private_key_in_place_of_its_name_is_refused_and_not_repeated(
    at: At, prefix: str
) -> None:
    danku, text = at("created"), prefix + SECRET.hex()
    for words in (
        ["ledger", "advance-time", "1s", "--as", text],
        ["keys", "new", text],
        ["keys", "import", text],
        ["keys", "show", text],
        ["keys", "export", text, "--to", "backup.tar"],
    ):
        run = danku.try_(*words, "--verbose")
        assert run.code == 2
        assert not shows(run, SECRET.hex())
    assert not list((danku.folder / "keys").glob("*.json"))
    run = Danku(danku.folder, {"DANKU_AS": text}).try_("status", "--verbose")
    assert run.code == 2
    assert not shows(run, SECRET.hex())


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, str):
        yield value


def private_words(private: Path) -> set[str]:
    """Nonces, salts and seed secrets of a private folder, as hex."""
    words = set()
    for path in private.rglob("*.json"):
        if path.name == "heads.json":
            continue
        document = json.loads(path.read_bytes())
        keys = ("nonce", "salt", "secret")
        entries = document if isinstance(document, list) else [document]
        words |= {text for entry in entries for key in keys for text in _strings(entry.get(key))}
    return words


@pytest.mark.usefixtures("quick")
def test_what_is_private_stands_in_no_output_and_nowhere_in_public_before_its_time(
    at: At,
) -> None:
    danku = at("opening")
    held = private_words(danku.folder / "private")
    public = b"".join(
        path.read_bytes() for path in (danku.folder / "challenges").rglob("*") if path.is_file()
    ).decode("latin-1")
    # Seed secrets and the nonces of train groups are public by now.
    hidden = {word.removeprefix("0x") for word in held if word not in public}
    salts = sorted((danku.folder / "private").glob("*/submission-*.json"))
    assert len(salts) == 2
    for path in salts:
        assert json.loads(path.read_bytes())["salt"].removeprefix("0x") in hidden
    assert len(hidden) == 2 + 3, "two salts and the nonces of three test groups"

    for name in ("organizer", "alice", "vera"):
        for words in (
            ["status"],
            ["challenge", "show", NAME],
            ["challenge", "list"],
            ["board", NAME],
            ["model", "list", NAME],
            ["ledger", "show", "--last", "100"],
            ["validator", "status"],
            ["verify", NAME],
            ["model", "open", NAME, "--submission", "7"],
            ["challenge", "reveal-test", NAME],
            ["claim"],
        ):
            for more in ((), ("--json",), ("--verbose",)):
                run = danku.of(name).try_(*words, *more)
                assert not shows(run, *hidden, key_of(name).unsafe_secret().hex())
