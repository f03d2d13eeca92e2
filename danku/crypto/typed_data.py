"""EIP-712: the 32-byte digest of typed, structured data that wallets show and sign.

Source: https://eips.ethereum.org/EIPS/eip-712. Stricter than it where it is silent: a message has
exactly the fields of its type, so that nothing rides along unsigned.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TypeAlias

from danku.crypto.hashing import from_hex, keccak
from danku.errors import DataError

Types: TypeAlias = Mapping[str, Sequence[tuple[str, str]]]
"""Struct name to its fields as (name, type) pairs, in order."""

_Fields: TypeAlias = tuple[tuple[str, str], ...]
_Encode: TypeAlias = Callable[[object], bytes | None]
"""A value to its 32-byte word, or None if it is not of the type."""

_DOMAIN = "EIP712Domain"
_DOMAIN_FIELDS = {
    "name": "string",
    "version": "string",
    "chainId": "uint256",
    "verifyingContract": "address",
    "salt": "bytes32",
}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ARRAY = re.compile(r"(.+)\[(|[1-9][0-9]*)\]")
_INTEGER = re.compile(r"(u?)int([1-9][0-9]*)")
_BYTES = re.compile(r"bytes([1-9][0-9]*)")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_PREFIX = b"\x19\x01"


class TypedDataError(DataError):
    """The types are not EIP-712's, or a message does not have its type's fields and values."""


def typed_data_digest(
    types: Types, primary: str, domain: Mapping[str, object], message: Mapping[str, object]
) -> bytes:
    """keccak(0x1901, domain separator, struct hash of the message): what gets signed.

    The domain's type follows from the fields that it has. Integers are ``int``, byte strings
    ``bytes`` or lower-case 0x hex, addresses 0x hex, structs mappings, arrays sequences.

    Raises:
        TypedDataError: see there.
    """
    return keccak(_PREFIX, domain_separator(domain), struct_hash(types, primary, message))


def domain_separator(domain: Mapping[str, object]) -> bytes:
    """hashStruct of the domain, its fields in the standard's order.

    Raises:
        TypedDataError: no field, or one that the standard does not know.
    """
    fields = tuple(field for field in _DOMAIN_FIELDS.items() if field[0] in domain)
    if not fields:
        raise TypedDataError("the EIP-712 domain has no field")
    return _compile(((_DOMAIN, fields),)).hash_struct(_DOMAIN, domain)


def struct_hash(types: Types, primary: str, message: Mapping[str, object]) -> bytes:
    """hashStruct: keccak(type hash, encoded fields).

    Raises:
        TypedDataError: see there.
    """
    return _compiled(types).hash_struct(primary, message)


def encode_type(types: Types, primary: str) -> str:
    """``Mail(Person from,...)Person(...)``: the struct, then those it needs, by name.

    Raises:
        TypedDataError: a type that neither ``types`` nor the standard defines.
    """
    return _compiled(types).encode_type(primary)


def _compiled(types: Types) -> _Structs:
    if _DOMAIN in types:
        raise TypedDataError(
            f"{_DOMAIN} is among the types", fix="leave it out: it follows from the domain's fields"
        )
    return _compile(
        tuple(
            (struct, tuple((name, kind) for name, kind in fields))
            for struct, fields in types.items()
        )
    )


@lru_cache(maxsize=256)
def _compile(types: tuple[tuple[str, _Fields], ...]) -> _Structs:
    return _Structs(dict(types))


class _Structs:
    """The encoders of one set of struct types, each built when it is first needed."""

    def __init__(self, fields: Mapping[str, _Fields]) -> None:
        for struct, members in fields.items():
            names = [name for name, _ in members]
            if not all(_NAME.fullmatch(name) for name in (struct, *names)):
                raise TypedDataError(f"the struct type {struct!r} has a malformed name")
            if len(set(names)) < len(names):
                raise TypedDataError(f"the struct type {struct} names a field twice")
            if _atomic(struct) is not None:
                raise TypedDataError(f"the struct type {struct} has the name of a built-in type")
        self._fields = fields
        self._encoders: dict[str, tuple[bytes, dict[str, _Encode]]] = {}

    def encode_type(self, primary: str) -> str:
        needed: set[str] = set()
        self._collect(primary, needed)
        return "".join(
            f"{struct}({','.join(f'{kind} {name}' for name, kind in self._fields[struct])})"
            for struct in (primary, *sorted(needed - {primary}))
        )

    def hash_struct(self, struct: str, value: object) -> bytes:
        type_hash, encoders = self._struct(struct)
        if not isinstance(value, Mapping):
            raise TypedDataError(f"the value of type {struct} is not a mapping of fields")
        if value.keys() != encoders.keys():
            odd = sorted(map(str, value.keys() ^ encoders.keys()))
            raise TypedDataError(
                f"the fields of {struct} are missing or too many: {', '.join(odd)}",
                why="what is not in the type would not be signed",
            )
        words = [type_hash]
        for name, encode in encoders.items():
            word = encode(value[name])
            if word is None:
                raise TypedDataError(f"{struct}.{name} is not a {dict(self._fields[struct])[name]}")
            words.append(word)
        return keccak(b"".join(words))

    def _struct(self, struct: str) -> tuple[bytes, dict[str, _Encode]]:
        if struct not in self._encoders:
            type_hash = keccak(self.encode_type(struct).encode("ascii"))
            encoders = {name: self._encoder(kind) for name, kind in self._fields[struct]}
            self._encoders[struct] = type_hash, encoders
        return self._encoders[struct]

    def _collect(self, kind: str, needed: set[str]) -> None:
        while array := _ARRAY.fullmatch(kind):
            kind = array[1]
        if kind in needed or _atomic(kind) is not None:
            return
        if kind not in self._fields:
            raise TypedDataError(f"the type {kind!r} is not defined")
        needed.add(kind)
        for _, member in self._fields[kind]:
            self._collect(member, needed)

    def _encoder(self, kind: str) -> _Encode:
        if array := _ARRAY.fullmatch(kind):
            return _array(self._encoder(array[1]), int(array[2]) if array[2] else None)
        if encode := _atomic(kind):
            return encode
        return lambda value: self.hash_struct(kind, value)


def _array(element: _Encode, length: int | None) -> _Encode:
    def encode(value: object) -> bytes | None:
        if not isinstance(value, list | tuple) or length not in (None, len(value)):
            return None
        words = []
        for item in value:
            word = element(item)
            if word is None:
                return None
            words.append(word)
        return keccak(b"".join(words))

    return encode


@lru_cache(maxsize=256)
def _atomic(kind: str) -> _Encode | None:
    if kind in _PLAIN:
        return _PLAIN[kind]
    if (integer := _INTEGER.fullmatch(kind)) and int(integer[2]) in range(8, 257, 8):
        return _integer(int(integer[2]), signed=not integer[1])
    if (fixed := _BYTES.fullmatch(kind)) and int(fixed[1]) <= 32:
        return _fixed_bytes(int(fixed[1]))
    return None


def _integer(bits: int, *, signed: bool) -> _Encode:
    low, high = (-(1 << bits - 1), 1 << bits - 1) if signed else (0, 1 << bits)

    def encode(value: object) -> bytes | None:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value < high:
            return None
        return value.to_bytes(32, "big", signed=signed)

    return encode


def _fixed_bytes(length: int) -> _Encode:
    def encode(value: object) -> bytes | None:
        data = _raw(value)
        return data.ljust(32, b"\0") if data is not None and len(data) == length else None

    return encode


def _raw(value: object) -> bytes | None:
    if isinstance(value, str):
        try:
            return from_hex(value)
        except DataError:
            return None
    return value if isinstance(value, bytes) else None


def _dynamic_bytes(value: object) -> bytes | None:
    data = _raw(value)
    return None if data is None else keccak(data)


def _string(value: object) -> bytes | None:
    try:
        return keccak(value.encode("utf-8")) if isinstance(value, str) else None
    except UnicodeEncodeError:
        return None


def _boolean(value: object) -> bytes | None:
    return int(value).to_bytes(32, "big") if isinstance(value, bool) else None


def _address(value: object) -> bytes | None:
    if not isinstance(value, str) or not _ADDRESS.fullmatch(value):
        return None
    return bytes.fromhex(value[2:]).rjust(32, b"\0")


_PLAIN: dict[str, _Encode] = {
    "string": _string,
    "bytes": _dynamic_bytes,
    "bool": _boolean,
    "address": _address,
}
