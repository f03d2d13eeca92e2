"""Transactions through all that happens on the way: killed, stuck, replaced, refused, lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from danku.errors import DataError, Rejected, UsageError
from danku.ledger.ethereum.errors import FeesTooHigh, NodeRefused, NotIncluded, Replaced
from danku.ledger.ethereum.fees import Fees, offer, raised
from danku.ledger.ethereum.ledger import EthereumLedger
from danku.ledger.ethereum.network import GWEI
from danku.ledger.ethereum.outbox import Busy, Outbox
from danku.ledger.ethereum.refusals import selector
from danku.ledger.ethereum.sender import PATIENCE_BLOCKS, Quote
from danku.ledger.ethereum.transport import Transport
from danku.protocol import actions
from tests.ethereum.fixtures import MakeWorld
from tests.ethereum.node import Node
from tests.ethereum.proxy import Call, Proxy, Raw, error, running_proxy
from tests.ethereum.world import EthereumWorld, blank, prompt
from tests.ledger.worlds import PortGame, key_of

Ask = Callable[[], Any]
WHO = "validator 0"


@pytest.fixture
def world(ethereum: MakeWorld) -> EthereumWorld:
    return ethereum(None)


@pytest.fixture
def game(world: EthereumWorld) -> PortGame:
    return PortGame(world)


@pytest.fixture
def proxy(world: EthereumWorld) -> Iterator[Proxy]:
    with running_proxy(world.node.url) as found:
        yield found


class Killed(BaseException):
    """The process is gone here, in the middle of what it did."""


def ledger(
    world: EthereumWorld,
    url: str | None = None,
    sleep: Callable[[float], None] = prompt,
    **options: Any,
) -> EthereumLedger:
    """The world's ledger as a new process opens it."""
    own = world.network.__struct_fields__
    terms = {name: options.pop(name) for name in tuple(options) if name in own}
    transport = Transport(url or world.node.url, sleep=lambda seconds: None)
    return EthereumLedger(
        transport, replace(world.network, **terms), world.folder, sleep=sleep, **options
    )


def outbox_files(world: EthereumWorld) -> list[Path]:
    return sorted(world.folder.glob("sending-*.json"))


def sent(world: EthereumWorld, name: str = WHO) -> int:
    """Transactions of somebody that are in blocks."""
    return int(world.node.call("eth_getTransactionCount", key_of(name).address, "latest"), 16)


def kill_at(world: EthereumWorld, proxy: Proxy, game: PortGame, *, arrived: bool) -> None:
    """Have the process die at the moment of sending, before or after the node got it."""
    dying = ledger(world, proxy.url)
    original = dying._chain.send_raw

    def dies(raw: bytes) -> None:
        assert len(outbox_files(world)) == 1, "it is on disk before it is sent"
        if arrived:
            original(raw)
        raise Killed

    dying._chain.send_raw = dies  # type: ignore[method-assign]
    with pytest.raises(Killed):
        dying.submit(key_of(WHO), game.contributing(key_of(WHO).address), 7)


@pytest.mark.parametrize("arrived", [False, True])
@pytest.mark.parametrize("mined", [False, True])
def test_a_command_killed_while_it_sends_is_taken_up_and_sends_nothing_twice(
    game: PortGame, world: EthereumWorld, proxy: Proxy, arrived: bool, mined: bool
) -> None:
    world.node.automine(mined)
    action, before = game.contributing(key_of(WHO).address), sent(world)
    kill_at(world, proxy, game, arrived=arrived)
    [kept] = outbox_files(world)
    raw = json.loads(kept.read_bytes())["versions"][0]["raw"]
    world.node.automine(True)
    if not mined and arrived:
        world.node.mine()
    receipt = ledger(world).submit(key_of(WHO), action, 7)
    assert sent(world) == before + 1
    assert [item.contributor for item in game.challenge.contributions] == [key_of(WHO).address]
    assert world.node.call("eth_getTransactionByHash", receipt.digest) is not None
    assert world.node.call("eth_getRawTransactionByHash", receipt.digest) == raw
    assert outbox_files(world) == []
    with pytest.raises(Rejected) as refused:
        ledger(world).submit(key_of(WHO), action, 7)
    assert refused.value.rule == "AlreadyContributed"


def test_another_command_first_sees_through_what_a_killed_one_left(
    game: PortGame, world: EthereumWorld, proxy: Proxy
) -> None:
    kill_at(world, proxy, game, arrived=False)
    key = key_of(WHO)
    game.wait("contribute")
    with pytest.raises(Rejected) as refused:
        ledger(world).submit(key, game.opening_seed(key.address))
    # What was left came too late, which its block says; then the new action is judged.
    assert refused.value.rule == "NotContributor"
    assert sent(world) == 1
    assert outbox_files(world) == []
    assert game.challenge.contributions == ()


def test_a_killed_process_leaves_nothing_that_a_new_one_cannot_go_on_with(
    game: PortGame, world: EthereumWorld, tmp_path: Path
) -> None:
    """A real process, killed while it waits for a block."""
    program = (
        "import sys, pathlib, msgspec\n"
        "from danku.ledger.ethereum.ledger import EthereumLedger\n"
        "from danku.ledger.ethereum.network import Network\n"
        "from danku.ledger.ethereum.transport import Transport\n"
        "from danku.protocol.actions import Contribute\n"
        "from tests.ledger.worlds import key_of\n"
        "network = msgspec.json.decode(sys.argv[2], type=Network)\n"
        "ledger = EthereumLedger(Transport(sys.argv[1]), network, pathlib.Path(sys.argv[3]))\n"
        "action = Contribute(sys.argv[4], sys.argv[5])\n"
        f"ledger.submit(key_of({WHO!r}), action, 7)\n"
    )
    action, before = game.contributing(key_of(WHO).address), sent(world)
    network = msgspec.json.encode(world.network).decode()
    world.node.automine(False)
    words = (world.node.url, network, str(world.folder), action.challenge, action.commitment)
    process = subprocess.Popen([sys.executable, "-c", program, *words])
    deadline = time.monotonic() + 60
    pending = "eth_getTransactionCount", key_of(WHO).address, "pending"
    while int(world.node.call(*pending), 16) == before:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert len(outbox_files(world)) == 1
    world.node.automine(True)
    world.node.mine()
    ledger(world).submit(key_of(WHO), action, 7)
    assert sent(world) == before + 1
    assert len(game.challenge.contributions) == 1


def stuck(
    world: EthereumWorld, game: PortGame, **options: Any
) -> tuple[threading.Thread, list[Any]]:
    """A command that sends while blocks cost more than it offers, and what it gives at last."""
    given: list[Any] = []
    action = game.contributing(key_of(WHO).address)

    def run() -> None:
        try:
            given.append(ledger(world, **options).submit(key_of(WHO), action, 7))
        except Exception as error:
            given.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, given


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not come to this"
        time.sleep(0.01)


def dear_block(world: EthereumWorld, fee: int) -> None:
    world.node.call("anvil_setNextBlockBaseFeePerGas", hex(fee))
    world.node.mine()


def test_a_stuck_transaction_is_replaced_at_the_same_nonce(
    game: PortGame, world: EthereumWorld
) -> None:
    world.fund(WHO, 10**18)
    before, fee = sent(world), 3 * GWEI
    world.node.automine(False)
    thread, given = stuck(world, game)
    until(lambda: len(world.node.call("txpool_content")["pending"]) == 1)
    [first] = json.loads(outbox_files(world)[0].read_bytes())["versions"]
    blocks = 0
    while not given and blocks < 50:
        dear_block(world, fee)
        blocks += 1
        time.sleep(0.1)
    thread.join(30)
    [receipt] = given
    assert blocks > PATIENCE_BLOCKS
    assert receipt.digest != first["transaction"]
    found = world.node.call("eth_getTransactionByHash", receipt.digest)
    assert int(found["maxFeePerGas"], 16) > fee > int(first["most"])
    assert world.node.call("eth_getTransactionReceipt", first["transaction"]) is None
    assert sent(world) == before + 1
    assert outbox_files(world) == []


def test_waiting_ends_without_sending_twice_and_goes_on_in_the_next_command(
    game: PortGame, world: EthereumWorld
) -> None:
    action, before = game.contributing(key_of(WHO).address), sent(world)
    world.node.automine(False)
    clock = iter(range(0, 10**9, 400)).__next__
    with pytest.raises(NotIncluded) as waiting:
        ledger(world, clock=clock).submit(key_of(WHO), action, 7)
    assert waiting.value.exit_code == 6 and "run the command again" in waiting.value.fix
    assert len(outbox_files(world)) == 1
    world.node.mine()
    world.node.automine(True)
    ledger(world).submit(key_of(WHO), action, 7)
    assert sent(world) == before + 1


def test_a_nonce_that_something_else_used(
    game: PortGame, world: EthereumWorld, proxy: Proxy
) -> None:
    kill_at(world, proxy, game, arrived=False)
    who = key_of(WHO).address
    world.node.call("anvil_impersonateAccount", who)
    world.node.call("eth_sendTransaction", {"from": who, "to": who, "gasPrice": "0x0"})
    until(lambda: sent(world) == 1)
    action = game.contributing(who)
    ledger(world).submit(key_of(WHO), action, 7)
    assert sent(world) == 2 and len(game.challenge.contributions) == 1
    kill_at_open = ledger(world, proxy.url)
    kill_at_open._chain.send_raw = lambda raw: None  # type: ignore[method-assign]

    def elsewhere(seconds: float) -> None:
        if sent(world) == 2:
            world.node.call("eth_sendTransaction", {"from": who, "to": who, "gasPrice": "0x0"})
        prompt(seconds)

    kill_at_open._sender._sleep = elsewhere
    game.wait("contribute")
    with pytest.raises(Replaced):
        kill_at_open.submit(key_of(WHO), game.opening_seed(who))
    assert outbox_files(world) == []


def test_a_transaction_whose_block_is_undone_is_waited_for_again(
    game: PortGame, world: EthereumWorld
) -> None:
    action, before = game.contributing(key_of(WHO).address), sent(world)
    fork = world.node.snapshot()
    undone: list[bool] = []

    def undo(seconds: float) -> None:
        if not undone and sent(world) == before + 1:
            world.node.revert(fork)
            world.node.increase_time(3)
            undone.append(True)
        elif undone:
            world.node.mine()
        prompt(seconds)

    deep = ledger(world, sleep=undo, confirmations=3)
    receipt = deep.submit(key_of(WHO), action, 7)
    assert undone and sent(world) == before + 1
    block = int(world.node.call("eth_getTransactionReceipt", receipt.digest)["blockNumber"], 16)
    assert world.node.block_number() - block + 1 >= 3
    assert len(deep.state().challenges[game.id].contributions) == 1


@pytest.mark.parametrize("answer", ["garbage", "500", "lost", "late error", "internal error"])
def test_an_answer_to_sending_that_never_came_is_found_out(
    game: PortGame, world: EthereumWorld, proxy: Proxy, answer: str
) -> None:
    def meddle(call: Call, ask: Ask) -> Any:
        said = ask()
        if call["method"] != "eth_sendRawTransaction":
            return said
        return {
            "garbage": Raw(b"<html>"),
            "500": Raw(b"", 500),
            "lost": Raw(b""),
            "late error": error(call, "already known"),
            "internal error": error(call, "internal error", -32603),
        }[answer]

    before = sent(world)
    proxy.meddle = meddle
    ledger(world, proxy.url).submit(key_of(WHO), game.contributing(key_of(WHO).address), 7)
    assert sent(world) == before + 1 and len(game.challenge.contributions) == 1


def test_a_transaction_that_the_node_refuses_is_not_kept(
    game: PortGame, world: EthereumWorld, proxy: Proxy
) -> None:
    def meddle(call: Call, ask: Ask) -> Any:
        if call["method"] == "eth_sendRawTransaction":
            return error(call, "transaction underpriced")
        return ask()

    proxy.meddle = meddle
    action = game.contributing(key_of(WHO).address)
    with pytest.raises(NodeRefused, match="underpriced"):
        ledger(world, proxy.url).submit(key_of(WHO), action, 7)
    assert outbox_files(world) == []
    ledger(world).submit(key_of(WHO), action, 7)
    assert len(game.challenge.contributions) == 1


@pytest.mark.parametrize(
    ("rule", "kind"),
    [("Late", Rejected), ("WrongWitness", Rejected), ("Malformed", DataError), (None, NodeRefused)],
)
def test_what_the_contract_refuses_is_told_by_the_name_of_the_rule(
    game: PortGame, world: EthereumWorld, proxy: Proxy, rule: str | None, kind: type[Exception]
) -> None:
    data = "0x" + (selector(rule).hex() if rule else "deadbeef")

    def meddle(call: Call, ask: Ask) -> Any:
        if call["method"] == "eth_estimateGas":
            return error(call, "execution reverted", 3, data)
        return ask()

    proxy.meddle = meddle
    action, before = game.contributing(key_of(WHO).address), sent(world)
    with pytest.raises(kind) as refused:
        ledger(world, proxy.url).submit(key_of(WHO), action, 7)
    if rule:
        assert rule in str(getattr(refused.value, "rule", refused.value))
    assert sent(world) == before and outbox_files(world) == []


def test_what_the_rules_refuse_costs_no_gas(
    game: PortGame, world: EthereumWorld, proxy: Proxy
) -> None:
    proxy.calls.clear()
    with pytest.raises(Rejected) as refused:
        ledger(world, proxy.url).submit(key_of("alice"), actions.Cancel(game.id))
    assert refused.value.rule == "NotOrganizer"
    assert "eth_estimateGas" not in proxy.methods()
    assert "eth_sendRawTransaction" not in proxy.methods()


def test_a_refusal_in_the_block_itself_is_told_by_its_rule(
    game: PortGame, world: EthereumWorld
) -> None:
    """Allowed when it was sent, too late when its block came."""
    action, before = game.contributing(key_of(WHO).address), sent(world)
    world.node.automine(False)
    thread, given = stuck(world, game)
    until(lambda: len(world.node.call("txpool_content")["pending"]) == 1)
    world.node.next_timestamp(game.windows.contribute + 5)
    world.node.mine()
    thread.join(30)
    [refused] = given
    assert isinstance(refused, Rejected) and refused.rule == "Late"
    assert refused.what and refused.why
    assert sent(world) == before + 1 and outbox_files(world) == []
    assert action is not None and game.challenge.contributions == ()


def test_the_cost_is_shown_and_can_be_declined(game: PortGame, world: EthereumWorld) -> None:
    class Declined(UsageError):
        pass

    quotes: list[Quote] = []

    def decline(quote: Quote) -> None:
        quotes.append(quote)
        raise Declined("no")

    before = sent(world)
    with pytest.raises(Declined):
        action = game.contributing(key_of(WHO).address)
        ledger(world, approve=decline).submit(key_of(WHO), action, 7)
    [quote] = quotes
    assert (quote.what, quote.value) == ("contribute", 7)
    assert 50_000 < quote.gas < 120_000
    assert quote.expected <= quote.ceiling == quote.gas * 6 // 5 * world.network.max_fee
    assert sent(world) == before and outbox_files(world) == []


def test_gas_that_cannot_be_paid(game: PortGame, world: EthereumWorld) -> None:
    dear_block(world, 10 * GWEI)
    world.node.call("anvil_setNextBlockBaseFeePerGas", hex(10 * GWEI))
    with pytest.raises(Rejected) as refused:
        ledger(world).submit(key_of(WHO), game.contributing(key_of(WHO).address), 7)
    assert refused.value.rule == "InsufficientBalance" and "gas" in refused.value.what
    assert outbox_files(world) == []


def test_a_chain_that_is_dearer_than_the_cap(game: PortGame, world: EthereumWorld) -> None:
    world.fund(WHO, 10**18)
    dear_block(world, 600 * GWEI)
    with pytest.raises(FeesTooHigh) as refused:
        ledger(world).submit(key_of(WHO), game.contributing(key_of(WHO).address), 7)
    assert refused.value.exit_code == 4 and "max_fee_gwei" in refused.value.fix
    assert sent(world) == 0


def test_one_key_sends_one_transaction_at_a_time(world: EthereumWorld, game: PortGame) -> None:
    outbox = Outbox(world.folder, world.ledger.chain_id, key_of(WHO).address)
    with outbox.held():
        import danku.ledger.ethereum.outbox as module

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "LOCK_SECONDS", 0.05)
            with pytest.raises(Busy):
                ledger(world).submit(key_of(WHO), game.contributing(key_of(WHO).address), 7)
    ledger(world).submit(key_of(WHO), game.contributing(key_of(WHO).address), 7)


def test_a_damaged_outbox_stops_the_key_and_says_what_to_do(
    game: PortGame, world: EthereumWorld, proxy: Proxy
) -> None:
    kill_at(world, proxy, game, arrived=False)
    [kept] = outbox_files(world)
    kept.write_bytes(kept.read_bytes()[:-9])
    with pytest.raises(DataError, match="sending-") as damaged:
        ledger(world).submit(key_of(WHO), game.contributing(key_of(WHO).address), 7)
    assert "block explorer" in damaged.value.fix


def test_private_files_are_for_their_owner_alone(
    game: PortGame, world: EthereumWorld, proxy: Proxy
) -> None:
    kill_at(world, proxy, game, arrived=False)
    world.ledger.state()
    modes = {path.name: path.stat().st_mode & 0o777 for path in world.folder.iterdir()}
    assert world.folder.stat().st_mode & 0o777 == 0o700
    assert {mode for name, mode in modes.items() if not name.endswith(".lock")} == {0o600}


def test_a_signature_is_one_that_others_accept() -> None:
    from eth_account import Account

    from danku.ledger.ethereum.outbox import Unsigned
    from danku.ledger.ethereum.sender import signed

    key = key_of(WHO)
    for nonce in range(8):
        unsigned = Unsigned(5, nonce, key_of("alice").address, "0x" + "ab" * nonce, "9", 21_000)
        found = signed(key, unsigned, Fees(7, 3))
        assert Account.recover_transaction(found.raw).lower() == key.address
        fields = {
            "type": 2,
            "chainId": 5,
            "nonce": nonce,
            "gas": 21_000,
            "value": 9,
            "maxFeePerGas": 7,
            "maxPriorityFeePerGas": 3,
            "data": "0x" + "ab" * nonce,
            "to": bytes.fromhex(key_of("alice").address[2:]),
        }
        theirs = Account.sign_transaction(fields, key.unsafe_secret())
        assert (found.raw, found.transaction) == (
            "0x" + bytes(theirs.raw_transaction).hex(),
            "0x" + bytes(theirs.hash).hex(),
        )


NETWORK = blank(Node("http://127.0.0.1:1", Path()), max_fee_gwei=100, max_tip_gwei=2)


def test_offers_keep_under_the_caps() -> None:
    assert offer(10 * GWEI, [GWEI, 9 * GWEI, GWEI], NETWORK) == Fees(21 * GWEI, GWEI)
    assert offer(10 * GWEI, [9 * GWEI], NETWORK) == Fees(22 * GWEI, 2 * GWEI)
    assert offer(80 * GWEI, [], NETWORK) == Fees(100 * GWEI, GWEI)
    assert offer(0, [0], NETWORK) == Fees(0, 0)
    with pytest.raises(FeesTooHigh):
        offer(100 * GWEI + 1, [0], NETWORK)


def test_replacements_offer_a_tenth_more_or_are_not_made() -> None:
    before = Fees(20 * GWEI, GWEI)
    after = raised(before, GWEI, [0], NETWORK)
    assert after is not None
    assert 10 * after.most >= 11 * before.most and 10 * after.tip >= 11 * before.tip
    assert raised(before, 40 * GWEI, [GWEI], NETWORK) == Fees(81 * GWEI, after.tip)
    assert raised(Fees(99 * GWEI, GWEI), GWEI, [0], NETWORK) is None
    assert raised(Fees(20 * GWEI, 2 * GWEI), GWEI, [0], NETWORK) is None
    assert raised(before, 101 * GWEI, [0], NETWORK) is None
