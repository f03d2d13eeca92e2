"""The first line of a journal: it makes a ledger, and what it hashes to names that ledger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec

from danku.crypto.commitments import random_secret
from danku.crypto.hashing import from_hex, keccak, to_hex
from danku.errors import DataError
from danku.ledger.embedded.errors import JournalExists
from danku.ledger.embedded.files import PUBLIC_MODE, disk_errors, locked, replace_file
from danku.protocol import records
from danku.protocol.manifest import Record
from danku.protocol.terms import RegistryTerms
from danku.protocol.types import ZERO_DIGEST, Address, Amount, Digest

Clock: TypeAlias = Callable[[], int]
"""Gives the seconds since the epoch."""

TIME_LIMIT = 2**40
ADVANCE_LIMIT = 2**39
CHAIN_ID_BASE = 2**51

Time = Annotated[int, msgspec.Meta(ge=0, lt=TIME_LIMIT)]
PublicKeyHex = Annotated[str, msgspec.Meta(pattern=r"\A0x[0-9a-f]{128}\Z")]


class Genesis(Record, omit_defaults=True):
    """What a ledger's maker decides once and for all."""

    nonce: Digest
    """32 random bytes, so that no two ledgers are alike."""
    sandbox: bool
    """Whether time can be advanced, and money is play money."""
    play_money: Amount
    """What every address starts with in a sandbox, else 0."""
    treasurer: Address | None
    """Who grants money."""
    sequencer: PublicKeyHex | None
    """Whose signature every line needs besides its action's."""
    registry: RegistryTerms | None = None
    """What staked validators deposit, and for how long; left out of a ledger that has none."""


class GenesisLine(Record):
    genesis: Genesis
    previous: Digest
    sequence: Literal[0]
    time: Time


@dataclass(frozen=True)
class Identity:
    """What names a ledger in every signature."""

    chain_id: int
    address: Address


def chain_id_of(nonce: bytes) -> int:
    """2**51 + the first 51 bits of keccak(nonce): exact in JSON, and nobody's by accident.

    A handful of registered chain ids are above 2**51, all others far below; with 51 random bits
    none is met.
    """
    return CHAIN_ID_BASE + (int.from_bytes(keccak(nonce), "big") >> (256 - 51))


def identify(genesis_line: bytes) -> Identity:
    """Chain id and address, the last 20 bytes of the line's keccak, of a well-formed line.

    Raises:
        DataError: as `read_genesis`.
    """
    nonce = from_hex(read_genesis(genesis_line).genesis.nonce)
    return Identity(chain_id_of(nonce), to_hex(keccak(genesis_line)[-20:]))


def read_genesis(genesis_line: bytes) -> GenesisLine:
    """The first line's record.

    Raises:
        DataError: it is malformed, promises play money outside a sandbox, or has free seats.
    """
    line = records.decode(genesis_line, GenesisLine, "the genesis line")
    if line.previous != ZERO_DIGEST:
        raise DataError("the genesis line names a line before it")
    if line.genesis.play_money and not line.genesis.sandbox:
        raise DataError("the genesis line gives play money outside a sandbox")
    if line.genesis.registry is not None and not line.genesis.registry.stake:
        raise DataError("the genesis line has seats without a stake")
    return line


def create_journal(
    path: Path,
    *,
    sandbox: bool,
    play_money: int,
    treasurer: Address | None,
    sequencer: bytes | None,
    clock: Clock,
    registry: RegistryTerms | None = None,
    nonce: bytes | None = None,
) -> Identity:
    """Start a journal with its genesis line; ``sequencer`` is a public key of 64 bytes.

    ``registry`` fixes the stake of validators' seats; None is a ledger without them.
    ``nonce`` is 32 random bytes, drawn here unless given.

    Raises:
        JournalExists: there is a file at ``path``; it is left alone.
        DataError: a value is malformed.
        StorageError: the file cannot be written.
    """
    genesis = Genesis(
        nonce=to_hex(random_secret() if nonce is None else nonce),
        sandbox=sandbox,
        play_money=Amount(play_money),
        treasurer=treasurer,
        sequencer=None if sequencer is None else to_hex(sequencer),
        registry=registry,
    )
    line = records.encode(GenesisLine(genesis, ZERO_DIGEST, 0, clock()))
    identity = identify(line)
    with locked(path), disk_errors(path):
        if path.exists():
            raise JournalExists(
                f"{path} exists",
                why="a journal is never replaced by another ledger",
                fix="use it, or name another place",
            )
        replace_file(path, line + b"\n", PUBLIC_MODE)
    return identity
