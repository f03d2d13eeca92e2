"""Asking a node that is broken, slow or hostile: a named error, bounded, without its secrets."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from danku.errors import DankuError, StorageError, UsageError
from danku.ledger.ethereum import transport as transport_module
from danku.ledger.ethereum.chain import Chain
from danku.ledger.ethereum.errors import (
    AnswerTooLong,
    BadNetwork,
    NetworkError,
    NodeContradicts,
    NodeRefused,
)
from danku.ledger.ethereum.transport import Transport, host_of
from tests.ethereum.proxy import Meddle, Proxy, Raw, error, result, running_proxy

SECRETS = ("hunter2secret", "0123456789abcdef", "tok-3n-value")


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with running_proxy() as found:
        yield found


def quick(url: str, **options: Any) -> Transport:
    return Transport(url, **{"seconds": 10.0, "sleep": lambda seconds: None, **options})


def secret_url(proxy: Proxy) -> str:
    password, key, token = SECRETS
    return f"http://me:{password}@127.0.0.1:{proxy.port}/v3/{key}?token={token}"


def fails(
    proxy: Proxy, meddle: Meddle, kind: type[DankuError] = NetworkError, **options: Any
) -> DankuError:
    """The error of a call, which has no secret of the URL anywhere in or around it."""
    proxy.meddle = meddle
    with pytest.raises(kind) as failed:
        quick(secret_url(proxy), **options).call("eth_chainId")
    told = failed.value
    everything = "".join(traceback.format_exception(told)) + told.what + told.why + told.fix
    assert not [secret for secret in SECRETS if secret in everything]
    assert told.exit_code == 6 and told.what and told.fix
    return told


def always(raw: Any) -> Meddle:
    return lambda call, ask: raw


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"\0\xff\xfe", b"<html>busy</html>", b"[]", b"null", b"{}", b'{"id":1}'),
        b'{"jsonrpc":"2.0","id":1,"result"',
        b"[" * 100_000,
        b'{"jsonrpc":"2.0","id":7777,"result":"0x1"}',
    ],
)
def test_what_is_no_answer_is_asked_for_again_and_then_an_error(proxy: Proxy, body: bytes) -> None:
    fails(proxy, always(Raw(body)))
    assert len(proxy.calls) == transport_module.ATTEMPTS


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_busy_node_is_asked_again(proxy: Proxy, status: int) -> None:
    answers = [Raw(b"busy", status), Raw(b"busy", status)]
    proxy.meddle = lambda call, ask: answers.pop() if answers else result(call, "0x2a")
    assert Chain(quick(proxy.url)).chain_id() == 42
    assert f"HTTP {status}" in fails(proxy, always(Raw(b"busy", status))).what


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_node_cannot_send_the_client_elsewhere(proxy: Proxy, status: int) -> None:
    with running_proxy() as other:
        moved = Raw(b"", status, {"location": other.url})
        fails(proxy, always(moved))
        assert other.calls == []


@pytest.mark.parametrize("status", [401, 403, 404, 418])
def test_other_refusals_are_final(proxy: Proxy, status: int) -> None:
    assert str(status) in fails(proxy, always(Raw(b"no", status))).what
    assert len(proxy.calls) == 1


def test_a_node_that_does_not_answer_in_time(proxy: Proxy) -> None:
    assert "in time" in fails(proxy, always(Raw(b"{}", delay=1.0)), seconds=0.3).what


def test_nobody_listens() -> None:
    with running_proxy() as gone:
        url = secret_url(gone)
    with pytest.raises(NetworkError) as failed:
        quick(url).call("eth_chainId")
    assert not [
        each for each in SECRETS if each in "".join(traceback.format_exception(failed.value))
    ]


def test_an_endless_answer_is_not_read_to_its_end(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport_module, "ANSWER_BYTES", 1_000)
    fails(proxy, lambda call, ask: result(call, "0x" + "00" * 2_000), AnswerTooLong)


def test_what_the_node_says_is_told_without_what_is_secret(proxy: Proxy) -> None:
    said = f"no such key {SECRETS[1]} {SECRETS[2]} \x1b[2J" + "x" * 5_000
    told = fails(proxy, lambda call, ask: error(call, said), NodeRefused)
    assert "no such key … … " in told.what
    assert "\x1b" not in told.what and len(told.what) < 500


def test_a_call_that_sends_is_made_once(proxy: Proxy) -> None:
    proxy.meddle = always(Raw(b"busy", 503))
    with pytest.raises(NetworkError):
        quick(proxy.url).send("eth_sendRawTransaction", "0x00")
    assert len(proxy.calls) == 1


def test_password_and_path_reach_the_node(proxy: Proxy) -> None:
    proxy.meddle = lambda call, ask: result(call, "0x1")
    transport = quick(secret_url(proxy))
    assert Chain(transport).chain_id() == 1
    assert proxy.paths == [f"/v3/{SECRETS[1]}?token={SECRETS[2]}"]
    assert not [
        secret for secret in SECRETS if secret in repr(transport) + repr(vars(Chain(transport)))
    ]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "node.example",
        "ftp://node.example",
        "file:///etc/passwd",
        "http://",
        "http://[",
        "ws://127.0.0.1:8545",
        "http://127.0.0.1:99999",
    ],
)
def test_what_is_no_address_of_a_node(url: str) -> None:
    with pytest.raises(BadNetwork) as refused:
        Transport(url)
    assert isinstance(refused.value, UsageError)
    assert url == "" or url not in refused.value.what


def test_what_may_be_told_of_an_address() -> None:
    assert host_of("https://me:pw@node.example/v3/key?x=y") == "https://node.example"
    assert host_of("http://[::1]:8545/") == "http://[::1]:8545"


ASKED: list[tuple[str, Callable[[Chain], Any]]] = [
    ("chain id", Chain.chain_id),
    ("latest", Chain.latest),
    ("balance", lambda chain: chain.balance("0x" + "11" * 20)),
    ("code", lambda chain: chain.code("0x" + "11" * 20)),
    ("nonce", lambda chain: chain.nonce("0x" + "11" * 20, "latest")),
    ("call", lambda chain: chain.call("0x" + "11" * 20, b"")),
    ("estimate", lambda chain: chain.estimate({})),
    ("inclusion", lambda chain: chain.inclusion("0x" + "22" * 32)),
    ("tips", lambda chain: chain.tips(2)),
]


@pytest.mark.parametrize(("what", "ask"), ASKED, ids=[what for what, _ in ASKED])
@pytest.mark.parametrize(
    "value",
    [
        *(7, -1, True, "7", "0x", "0xzz", "0x-1", "0x" + "f" * 65, [], [None], "latest"),
        {"number": "0x1"},
        {"number": "0x" + "f" * 64, "hash": "0x" + "00" * 32, "timestamp": "0x1"},
        {"blockHash": "0x1", "transactionHash": "0x" + "22" * 32},
        {"blockHash": "0x" + "00" * 32, "transactionHash": "0x" + "23" * 32},
        {"reward": [["0x1", "0x2"], 7]},
    ],
)
def test_a_value_of_another_form_is_a_named_error(
    proxy: Proxy, what: str, ask: Callable[[Chain], Any], value: Any
) -> None:
    proxy.meddle = lambda call, _: result(call, value)
    try:
        found = ask(Chain(quick(proxy.url)))
    except (StorageError, NodeContradicts):
        return
    well_formed = {"tips": ([], [1]), "code": (b"",), "call": (b"",), "inclusion": (None,)}
    assert found in well_formed.get(what, ())


def test_another_block_than_asked_for_is_a_contradiction(proxy: Proxy) -> None:
    block = {
        "number": "0x6",
        "hash": "0x" + "11" * 32,
        "parentHash": "0x" + "12" * 32,
        "timestamp": "0x5",
    }
    proxy.meddle = lambda call, ask: result(call, block)
    with pytest.raises(NodeContradicts):
        Chain(quick(proxy.url)).block(5)
