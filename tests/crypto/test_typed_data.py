"""EIP-712 against the standard's own example and against eth-account on random messages."""

from __future__ import annotations

from typing import Any

import pytest
from eth_account.messages import encode_typed_data
from hypothesis import given, settings
from hypothesis import strategies as st

from danku.crypto.hashing import keccak
from danku.crypto.typed_data import (
    TypedDataError,
    domain_separator,
    encode_type,
    struct_hash,
    typed_data_digest,
)

MAIL_TYPES = {
    "Person": [("name", "string"), ("wallet", "address")],
    "Mail": [("from", "Person"), ("to", "Person"), ("contents", "string")],
}
MAIL_DOMAIN = {
    "name": "Ether Mail",
    "version": "1",
    "chainId": 1,
    "verifyingContract": "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC",
}
MAIL = {
    "from": {"name": "Cow", "wallet": "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"},
    "to": {"name": "Bob", "wallet": "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"},
    "contents": "Hello, Bob!",
}


class TestPublishedExample:
    def test_type(self) -> None:
        text = "Mail(Person from,Person to,string contents)Person(string name,address wallet)"
        assert encode_type(MAIL_TYPES, "Mail") == text
        assert (
            keccak(text.encode()).hex()
            == "a0cedeb2dc280ba39b857546d74f5549c3a1d7bdc2dd96bf881f76108e23dac2"
        )

    def test_domain_separator(self) -> None:
        assert (
            domain_separator(MAIL_DOMAIN).hex()
            == "f2cee375fa42b42143804025fc449deafd50cc031ca257e0b194a650a912090f"
        )

    def test_struct_hashes(self) -> None:
        hashes = {
            "from": "fc71e5fa27ff56c350aa531bc129ebdf613b772b6604664f5d8dbe21b85eb0c8",
            "to": "cd54f074a4af31b4411ff6a60c9719dbd559c221c8ac3492d9d872b041d703d1",
        }
        for field, expected in hashes.items():
            assert struct_hash(MAIL_TYPES, "Person", MAIL[field]).hex() == expected  # type: ignore[arg-type]
        assert (
            struct_hash(MAIL_TYPES, "Mail", MAIL).hex()
            == "c52c0ee5d84264471806290a3f2c4cecfc5490626bf912d01f240d7a274b371e"
        )

    def test_digest(self) -> None:
        assert (
            typed_data_digest(MAIL_TYPES, "Mail", MAIL_DOMAIN, MAIL).hex()
            == "be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2"
        )


# Random struct types: each may use the ones after it, so that they end.
ATOMS: dict[str, st.SearchStrategy[Any]] = {
    "string": st.text(max_size=40),
    "bytes": st.binary(max_size=70),
    "bool": st.booleans(),
    "address": st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex()),
    **{f"bytes{n}": st.binary(min_size=n, max_size=n) for n in (1, 2, 3, 20, 31, 32)},
    **{f"uint{n}": st.integers(0, 2**n - 1) for n in (8, 16, 96, 248, 256)},
    **{f"int{n}": st.integers(-(2 ** (n - 1)), 2 ** (n - 1) - 1) for n in (8, 64, 256)},
}
STRUCTS = ("Zebra", "Apple", "Middle")


@st.composite
def kinds(draw: st.DrawFn, depth: int) -> str:
    kind = draw(st.sampled_from([*ATOMS, *STRUCTS[depth + 1 :] * 3]))
    for size in draw(st.lists(st.sampled_from(["", "1", "2", "3"]), max_size=2)):
        kind += f"[{size}]"
    return kind


@st.composite
def struct_types(draw: st.DrawFn) -> dict[str, list[tuple[str, str]]]:
    types = {}
    for depth, struct in enumerate(STRUCTS):
        members = draw(st.lists(kinds(depth), min_size=1, max_size=4))
        types[struct] = [(f"field{i}", kind) for i, kind in enumerate(members)]
    # What the first struct does not use, eth-account takes for a second primary type.
    used, wanted = set(), [STRUCTS[0]]
    while wanted:
        struct = wanted.pop()
        used.add(struct)
        bases = {kind.split("[")[0] for _, kind in types[struct]}
        wanted += [base for base in bases if base in types and base not in used]
    return {struct: members for struct, members in types.items() if struct in used}


def values(types: dict[str, list[tuple[str, str]]], kind: str) -> st.SearchStrategy[Any]:
    if kind.endswith("]"):
        element, _, size = kind[:-1].rpartition("[")
        low, high = (int(size), int(size)) if size else (0, 3)
        return st.lists(values(types, element), min_size=low, max_size=high)
    if kind in ATOMS:
        return ATOMS[kind]
    return st.fixed_dictionaries({name: values(types, inner) for name, inner in types[kind]})


@st.composite
def typed_messages(draw: st.DrawFn) -> tuple[Any, Any]:
    types = draw(struct_types())
    return types, draw(values(types, STRUCTS[0]))


DOMAINS = st.fixed_dictionaries(
    {"name": st.text(max_size=20)},
    optional={
        "version": st.text(max_size=5),
        "chainId": st.integers(0, 2**256 - 1),
        "verifyingContract": ATOMS["address"],
        "salt": ATOMS["bytes32"],
    },
)


@settings(max_examples=300, deadline=None)
@given(typed_messages(), DOMAINS)
def test_eth_account_gives_the_same_digest(typed: tuple[Any, Any], domain: dict[str, Any]) -> None:
    types, message = typed
    peer = encode_typed_data(
        domain,
        {
            struct: [{"name": name, "type": kind} for name, kind in members]
            for struct, members in types.items()
        },
        message,
    )
    ours = typed_data_digest(types, STRUCTS[0], domain, message)
    assert ours == keccak(b"\x19" + peer.version + peer.header + peer.body)


def test_recursive_types_end() -> None:
    types = {"Node": [("value", "uint8"), ("children", "Node[]")]}
    leaf = {"value": 1, "children": []}
    assert encode_type(types, "Node") == "Node(uint8 value,Node[] children)"
    type_hash = keccak(b"Node(uint8 value,Node[] children)")
    leaf_hash = keccak(type_hash, (1).to_bytes(32, "big"), keccak())
    assert struct_hash(types, "Node", {"value": 2, "children": [leaf, leaf]}) == keccak(
        type_hash, (2).to_bytes(32, "big"), keccak(leaf_hash, leaf_hash)
    )


def test_byte_strings_may_be_given_as_lower_case_hex() -> None:
    types = {"Blob": [("id", "bytes32"), ("body", "bytes")]}
    raw = {"id": b"\xab" * 32, "body": b"\x01\x02"}
    text = {"id": "0x" + "ab" * 32, "body": "0x0102"}
    assert struct_hash(types, "Blob", raw) == struct_hash(types, "Blob", text)


@pytest.mark.parametrize(
    "message",
    [
        {**MAIL, "cc": "Eve"},
        {name: value for name, value in MAIL.items() if name != "to"},
        {**MAIL, "to": {**MAIL["to"], "extra": 1}},  # type: ignore[dict-item]
        {**MAIL, "to": None},
        {**MAIL, "to": "Bob"},
        {**MAIL, "contents": b"Hello, Bob!"},
        {**MAIL, "contents": "\ud800"},
        {**MAIL, "contents": None},
    ],
)
def test_a_message_has_exactly_the_fields_of_its_type(message: dict[str, object]) -> None:
    with pytest.raises(TypedDataError):
        typed_data_digest(MAIL_TYPES, "Mail", MAIL_DOMAIN, message)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("uint8", 256),
        ("uint8", -1),
        ("uint8", True),
        ("uint8", 1.0),
        ("uint8", "1"),
        ("int8", 128),
        ("int8", -129),
        ("uint256", 2**256),
        ("bool", 1),
        ("bool", "true"),
        ("address", "0x" + "ab" * 19),
        ("address", "ab" * 20),
        ("address", b"\xab" * 20),
        ("address", "0x" + "ab" * 20 + "\n"),
        ("bytes32", bytes(31)),
        ("bytes32", bytes(33)),
        ("bytes4", "0xABCDEF00"),
        ("bytes", "text"),
        ("bytes", bytearray(3)),
        ("string", 5),
        ("uint8[2]", [1]),
        ("uint8[2]", [1, 2, 3]),
        ("uint8[]", [1, 256]),
        ("uint8[]", b"\x01\x02"),
        ("uint8[]", {"0": 1}),
        ("uint8[][]", [1]),
        ("string[]", "ab"),
    ],
)
def test_values_of_the_wrong_type_are_refused_by_name(kind: str, value: object) -> None:
    with pytest.raises(TypedDataError, match=r"Thing\.field"):
        struct_hash({"Thing": [("field", kind)]}, "Thing", {"field": value})


@pytest.mark.parametrize(
    "kind",
    [
        *("", "uint", "int", "uint7", "uint264", "uint08", "bytes0", "bytes33", "byte", "Missing"),
        *("uint8[0]", "uint8[01]", "uint8[-1]", "uint8]", "[]", "uint8[][", "uint8 []"),
        *("Missing[]", "uint8[\u0661]", "uint\u0668"),
    ],
)
def test_types_that_are_not_the_standards_are_refused(kind: str) -> None:
    with pytest.raises(TypedDataError):
        encode_type({"Thing": [("field", kind)]}, "Thing")


@pytest.mark.parametrize(
    "types",
    [
        {"Thing": [("same", "uint8"), ("same", "uint8")]},
        {"Thing": [("a,uint8 b", "uint8")]},
        {"Thing(uint8 a)": [("a", "uint8")]},
        {"Thing": [("", "uint8")]},
        {"Thing": [("a", "uint8")], "address": [("b", "uint8")]},
        {"Thing": [("a", "uint8")], "EIP712Domain": [("name", "string")]},
        {},
    ],
)
def test_malformed_definitions_are_refused(types: dict[str, list[tuple[str, str]]]) -> None:
    with pytest.raises(TypedDataError):
        encode_type(types, "Thing")


@pytest.mark.parametrize(
    "domain",
    [{}, {"unknown": 1}, {"name": "x", "unknown": 1}, {"chainId": "1"}, {"name": None}],
)
def test_malformed_domains_are_refused(domain: dict[str, object]) -> None:
    with pytest.raises(TypedDataError):
        domain_separator(domain)


def test_types_changed_in_place_are_noticed() -> None:
    types = {"Thing": [("a", "uint8")]}
    before = struct_hash(types, "Thing", {"a": 1})
    types["Thing"][0] = ("a", "uint16")
    assert struct_hash(types, "Thing", {"a": 1}) != before
