"""`danku network`, and the other commands of a workspace that plays on one."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from danku.ledger.ethereum import encoding
from danku.ledger.ethereum.transport import Transport
from danku.pages.live import Pages
from danku.roles.workspace import CONFIG, Workspace, read_settings
from tests.cli import driver
from tests.cli.driver import NAME, PEOPLE, Danku, write_challenge
from tests.ethereum.fixtures import MakeWorld
from tests.ethereum.node import Node
from tests.ethereum.proxy import Raw, error, running_proxy
from tests.roles.arena import key_of, model

SECRETS = ("hunter2secret", "0123456789abcdef", "tok-3n-value")
FUNDS = 100_000


@dataclass(frozen=True)
class OnChain(Danku):
    """`danku` in a workspace that plays on a node."""

    node: Node | None = None

    def until(self, window: str, challenge: str = NAME) -> None:
        """Move the node's time to a window's end."""
        assert self.node is not None
        shown = self("challenge", "show", challenge)
        lengths, windows = shown["terms"]["schedule"], driver.WINDOWS
        ends = shown["created"] + sum(
            lengths[name] for name in windows[: windows.index(window) + 1]
        )
        ahead = ends - self("ledger", "show")["time"]
        if ahead > 0:
            self.node.increase_time(ahead)


@pytest.fixture
def node(ethereum: MakeWorld) -> Node:
    """A node with a contract, as it was before the test."""
    return ethereum(None).node


@pytest.fixture
def danku(tmp_path: Path, node: Node) -> OnChain:
    """A new workspace, and money for all who play."""
    for name in PEOPLE:
        node.set_balance(key_of(name).address, FUNDS)
    found = OnChain(tmp_path, {}, node)
    found("init", ".")
    return found


@pytest.fixture
def playing(danku: OnChain, node: Node) -> OnChain:
    """The workspace, playing on a network that it deployed."""
    danku.of("organizer")("network", "deploy", "local", "--rpc", node.url, *DEPLOYED)
    danku("network", "use", "local")
    return danku


DEPLOYED = ("--confirmations", "1", "--block-seconds", "3600")


def test_a_contract_is_deployed_listed_and_used(danku: OnChain, node: Node) -> None:
    words = ("network", "deploy", "local", "--rpc", node.url, "--stake", "1000", *DEPLOYED)
    made = danku.of("organizer")(*words, "--unbonding", "60d")
    assert (made["chain_id"], made["stake"], made["unbonding"]) == (31_337, "1000", 60 * 86_400)
    assert danku("network", "list")["used"] == "embedded"
    assert danku("network", "use", "local") == {"used": "local"}
    [listed] = danku("network", "list")["networks"]
    assert listed == made | {"used": True}
    assert danku("ledger", "show")["address"] == made["contract"]
    text = (danku.folder / CONFIG).read_text("utf-8")
    assert node.url not in text and made["contract"] in text
    url = danku.folder / "private" / "networks" / "local" / "url"
    assert (url.read_text("utf-8"), url.stat().st_mode & 0o777) == (node.url + "\n", 0o600)
    danku("network", "use", "embedded")
    assert danku("ledger", "show")["address"] != made["contract"]


def test_a_contract_that_is_there_is_looked_at_and_added(
    playing: OnChain, node: Node, tmp_path: Path
) -> None:
    [made] = playing("network", "list")["networks"]
    other = Danku(tmp_path / "other")
    other.folder.mkdir()
    other("init", ".")
    added = other(
        *("network", "add", "mine", "--rpc", node.url, "--contract", made["contract"]),
        *("--confirmations", "3", "--max-fee-gwei", "7", "--max-tip-gwei", "1"),
    )
    wanted = {"name": "mine", "confirmations": 3, "max_fee_gwei": 7, "max_tip_gwei": 1}
    assert added == made | wanted | {"used": False}
    assert read_settings(other.folder).networks["mine"].first_block == made["first_block"]
    shown = other.try_("network", "add", "mine", "--rpc", node.url)
    assert shown.code == 0 and shown.out == f"mine: contract {made['contract']} on chain 31337\n"
    assert "next: danku network use mine" in shown.err
    with running_proxy(node.url) as proxy:
        other("network", "add", "mine", "--rpc", proxy.url)
        other("network", "use", "mine")
        assert other("ledger", "show")["address"] == made["contract"]
        assert proxy.calls
    assert read_settings(other.folder).networks["mine"].confirmations == 3


def test_a_whole_competition_from_the_command_line(
    playing: OnChain, monkeypatch: pytest.MonkeyPatch, quick: None
) -> None:
    write_challenge(playing.folder, min_contributions='1\nseed_source = "both"')
    for name, shift in (("alice", 0.0), ("bob", 2.0)):
        (playing.folder / f"{name}.onnx").write_bytes(model(shift))
    first, *others = driver.STAGES
    assert first.__name__ == "_made"
    for step in others:
        step(playing)
    board = playing("board", NAME)
    assert [line["rank"] for line in board["lines"]][:1] == [1]
    for name in PEOPLE:
        playing.of(name).try_("claim", "--json", "--yes")
    verified = playing("verify", NAME)
    assert verified["ok"] and [step["ok"] for step in verified["steps"]] == [True] * 10
    status = playing.of("alice")("status")
    assert status["ledger_head"] == playing("ledger", "show")["head"]
    assert playing.node is not None
    winner = playing.node.balance(key_of("alice").address)
    assert winner > FUNDS


def test_a_page_says_where_its_record_is_and_offers_nothing_that_cannot_work(
    playing: OnChain, quick: None
) -> None:
    write_challenge(playing.folder, batch="8\nyardstick_groups = 2")
    for name, shift in (("alice", 0.0), ("bob", 2.0)):
        (playing.folder / f"{name}.onnx").write_bytes(model(shift))
    for step in driver.STAGES[1:6]:
        step(playing)
    playing.of("bob")("model", "report", NAME)
    site, [network] = playing.folder / "site", playing("network", "list")["networks"]
    made = playing("board", NAME, "--html", "site")
    assert list(made["files"]) == [path.name for path in site.iterdir()] == ["index.html"]
    text = (site / "index.html").read_text("utf-8")
    markup = text.partition('<script type="application/json"')[0]
    where = f"on an Ethereum network, chain 31337, in the contract <code>{network['contract']}<"
    assert where in markup and f"danku verify {NAME}" in markup
    assert "verify-button" not in markup and 'id="steps"' not in markup
    assert "0.750000" in markup and ">unchecked</span>" in markup
    pages = Pages(lambda: Workspace(playing.folder), evaluate=False)
    try:
        found = pages.find(f"/{made['challenge']}/")
        assert found is not None and where.encode() in found.body()
        index = pages.find("/")
        assert index is not None and b"A small competition" in index.body()
        for script in ("journal.js", "blobs.js"):
            assert pages.find(f"/{made['challenge']}/{script}") is None
    finally:
        pages.close()
    assert playing("verify", NAME)["ok"], "what the page names instead works"


def test_what_only_a_journal_can_do_is_refused_by_name(playing: OnChain) -> None:
    for words in (
        ("ledger", "verify"),
        ("ledger", "export", "--to", "copy.jsonl"),
        ("ledger", "import", "copy.jsonl"),
        ("ledger", "grant", key_of("alice").address, "5"),
        ("ledger", "advance-time", "1h"),
        ("ledger", "merge", "copy.jsonl"),
    ):
        run = playing.of("organizer").refused(*words, code=2, error="EmbeddedOnly")
        assert "danku network use embedded" in run.json["fix"]


def test_a_cost_is_shown_and_has_to_be_agreed_to(playing: OnChain) -> None:
    write_challenge(playing.folder)
    words = ("challenge", "create", f"challenges/{NAME}")
    declined = playing.of("organizer").try_(*words)
    assert declined.code == 2 and "Declined" in declined.err
    agreed = playing.of("organizer").try_(*words, "--yes")
    assert agreed.code == 0, agreed.err
    assert "create: " in agreed.err and " gas, about " in agreed.err
    assert "never more than" in agreed.err


@pytest.mark.parametrize(
    ("words", "error", "code"),
    [
        (("add", "Up Per", "--contract", "0x" + "11" * 20), "BadNetwork", 2),
        (("add", "embedded", "--contract", "0x" + "11" * 20), "BadNetwork", 2),
        (("add", "new", "--contract", "0x12"), "BadNetwork", 2),
        (("add", "new"), "UsageError", 2),
        (("add", "new", "--contract", "0x" + "11" * 20), "NodeContradicts", 7),
        (("deploy", "new", "--token", "USD"), "BadNetwork", 2),
        (("deploy", "new", "--stake", "1", "--unbonding", "soon"), "BadRegistry", 2),
    ],
)
def test_networks_that_cannot_be(
    danku: OnChain, node: Node, words: tuple[str, ...], error: str, code: int
) -> None:
    before = (danku.folder / CONFIG).read_bytes()
    danku.of("organizer").refused("network", *words, "--rpc", node.url, code=code, error=error)
    assert (danku.folder / CONFIG).read_bytes() == before


def test_networks_that_are_not_known(danku: OnChain) -> None:
    danku.refused("network", "use", "moon", code=2, error="UnknownNetwork")
    config = danku.folder / CONFIG
    config.write_text('network = "moon"\n' + config.read_text("utf-8"), "utf-8")
    danku.refused("ledger", "show", code=2, error="UnknownNetwork")
    danku("network", "use", "embedded")
    danku("ledger", "show")


def test_a_copy_of_the_workspace_needs_only_the_address_of_a_node(
    playing: OnChain, node: Node
) -> None:
    url = playing.folder / "private" / "networks" / "local" / "url"
    url.unlink()
    playing.refused("ledger", "show", code=2, error="UnknownNetwork")
    given = Danku(playing.folder, {"DANKU_RPC_URL": node.url})
    assert given("ledger", "show")["chain_id"] == 31_337


def test_a_contract_whose_books_were_forged_at_its_making_is_refused(
    playing: OnChain, node: Node
) -> None:
    """The very code of danku at its address, and a credit in its storage that nobody paid for."""
    [made] = playing("network", "list")["networks"]
    code = node.call("eth_getCode", made["contract"], "latest")[2:]
    size = len(code) // 2
    # sstore(0, 1), then return all that follows these 19 bytes.
    forged = f"0x600160005561{size:04x}601360003961{size:04x}6000f3{code}"
    sender = node.call("eth_accounts")[0]
    sent = node.call("eth_sendTransaction", {"from": sender, "data": forged})
    node.mine()
    evil = node.call("eth_getTransactionReceipt", sent)["contractAddress"]
    assert node.call("eth_getCode", evil, "latest")[2:] == code
    words = ("network", "add", "evil", "--rpc", node.url, "--contract", evil)
    run = playing.refused(*words, code=7, error="NodeContradicts")
    assert "not made by danku's code" in run.json["what"]


def test_settings_that_danku_toml_had_stay(playing: OnChain) -> None:
    config = playing.folder / CONFIG
    text = config.read_text("utf-8")
    config.write_text("# my own words\nworkers = 2\n" + text, "utf-8")
    playing("network", "use", "embedded")
    playing("network", "use", "local")
    kept = config.read_text("utf-8")
    assert kept.startswith("# my own words\nworkers = 2\n")
    assert kept.count("network = ") == 1 and kept.count("[networks.local]") == 1
    assert read_settings(playing.folder).workers == 2


@pytest.fixture
def secret(playing: OnChain) -> Iterator[tuple[OnChain, Any]]:
    """The workspace, whose node's address holds secrets; and that node."""
    assert playing.node is not None
    password, key, token = SECRETS
    with running_proxy(playing.node.url) as proxy:
        url = f"http://me:{password}@127.0.0.1:{proxy.port}/v3/{key}?token={token}"
        path = playing.folder / "private" / "networks" / "local" / "url"
        path.write_text(url, "utf-8")
        yield playing, proxy


@pytest.mark.parametrize("more", [(), ("--json", "--verbose")])
def test_no_secret_of_a_nodes_address_is_shown(
    secret: tuple[OnChain, Any], more: tuple[str, ...]
) -> None:
    playing, proxy = secret
    runs = [playing.try_(*words, *more) for words in (("network", "list"), ("ledger", "show"))]
    assert [run.code for run in runs] == [0, 0]
    path = playing.folder / "private" / "networks" / "local" / "url"
    url = path.read_text("utf-8")
    for answer in (
        Raw(b"<html>"),
        Raw(b"", 401),
        Raw(b"", 404),
        Raw(b"", 302, {"location": url}),
        lambda call: error(call, f"quota of {url} is used up: {SECRETS[1]}"),
    ):

        def meddle(call: Any, ask: Any, answer: Any = answer) -> Any:
            return answer if isinstance(answer, Raw) else answer(call)

        proxy.meddle = meddle
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(Transport.__init__.__kwdefaults__, "pause", 0.0)
            runs.append(playing.try_("ledger", "show", *more))
            runs.append(playing.try_("network", "add", "local", "--rpc", url, *more))
        assert [run.code for run in runs[-2:]] == [6, 6]
    path.write_text("nonsense:" + url, "utf-8")
    runs.append(playing.try_("ledger", "show", *more))
    assert runs[-1].code == 2
    for run in runs:
        assert not [each for each in SECRETS if each in run.out + run.err]


def test_without_the_extra_the_command_that_installs_it_is_told(
    playing: OnChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *words: Any, **more: Any) -> Any:
        if name.split(".")[0] in ("web3", "eth_account", "requests"):
            raise ImportError(name)
        return real(name, *words, **more)

    encoding._web3.cache_clear()
    monkeypatch.setattr(builtins, "__import__", without)
    run = playing.refused("ledger", "show", code=2, error="ExtraMissing")
    assert run.json["fix"] == "pip install 'danku[ethereum]'"
