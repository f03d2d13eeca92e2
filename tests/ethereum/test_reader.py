"""Reading a contract's history: bounded ranges, resuming, reorganizations, and nodes that lie."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from danku.errors import DankuError
from danku.ledger.ethereum import logs as logs_module
from danku.ledger.ethereum import reader as reader_module
from danku.ledger.ethereum.errors import NetworkError, NodeContradicts, NodeRefused
from danku.ledger.ethereum.ledger import EthereumLedger
from danku.ledger.ethereum.transport import Transport
from danku.protocol.actions import Create, Submit, Withdraw
from danku.protocol.state import State
from danku.protocol.types import BURN_ADDRESS
from tests.ethereum.fixtures import MakeWorld
from tests.ethereum.proxy import Call, Proxy, error, result, running_proxy
from tests.ethereum.world import EthereumWorld, prompt
from tests.ledger.worlds import PortGame, key_of

Ask = Callable[[], Any]


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


def through(world: EthereumWorld, proxy: Proxy, folder: Path, **changed: int) -> EthereumLedger:
    """The world's ledger as a proxy's node tells of it."""
    transport = Transport(proxy.url, sleep=lambda seconds: None)
    return EthereumLedger(transport, replace(world.network, **changed), folder, sleep=prompt)


def ranges(proxy: Proxy) -> list[tuple[int, int]]:
    """The blocks that logs were asked of."""
    asked = [call["params"][0] for call in proxy.calls if call["method"] == "eth_getLogs"]
    return [(int(each["fromBlock"], 16), int(each["toBlock"], 16)) for each in asked]


def only(blocks: int) -> Callable[[Call, Ask], Any]:
    """A node that gives the logs of no more than so many blocks at once."""

    def meddle(call: Call, ask: Ask) -> Any:
        if call["method"] == "eth_getLogs":
            asked = call["params"][0]
            if int(asked["toBlock"], 16) - int(asked["fromBlock"], 16) >= blocks:
                return error(call, f"block range is limited to {blocks}", -32005)
        return ask()

    return meddle


def test_a_node_that_refuses_wide_ranges_is_asked_for_narrow_ones(
    game: PortGame, world: EthereumWorld, proxy: Proxy, tmp_path: Path
) -> None:
    game.contribute()
    world.node.mine(60)
    proxy.meddle = only(7)
    ledger = through(world, proxy, tmp_path / "other")
    assert ledger.state() == world.ledger.state()
    asked = ranges(proxy)
    assert asked[-1][1] == world.node.block_number()
    given = [(first, last) for first, last in asked if last - first < 7]
    assert [first for first, _ in given[1:]] == [last + 1 for _, last in given[:-1]]
    assert len(asked) - len(given) < 12, "a width that was refused is not tried again and again"


def test_a_node_that_gives_no_logs_at_all_is_a_named_error(
    world: EthereumWorld, proxy: Proxy, tmp_path: Path
) -> None:
    proxy.meddle = only(0)
    with pytest.raises(NodeRefused, match="limited to 0"):
        through(world, proxy, tmp_path / "other").state()


def test_reading_goes_on_where_it_stopped(
    game: PortGame,
    world: EthereumWorld,
    proxy: Proxy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reader_module, "SAVED_BLOCKS", 20)
    through(world, proxy, tmp_path / "other").state()
    world.node.mine(20)
    through(world, proxy, tmp_path / "other").state()
    read = world.node.block_number()
    game.contribute()
    proxy.calls.clear()
    again = through(world, proxy, tmp_path / "other")
    assert again.state() == world.ledger.state()
    assert min(first for first, _ in ranges(proxy)) == read + 1
    assert list(again.actions()) == list(world.ledger.actions())


def test_a_long_reading_that_is_broken_off_is_not_begun_anew(
    game: PortGame,
    world: EthereumWorld,
    proxy: Proxy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    game.contribute()
    world.node.mine(90)
    monkeypatch.setattr(logs_module, "WIDEST_RANGE", 4)
    monkeypatch.setattr(logs_module, "FIRST_RANGE", 4)
    calls = []

    def breaks_off(call: Call, ask: Ask) -> Any:
        if call["method"] == "eth_getLogs":
            calls.append(call)
            if len(calls) > 15:
                return error(call, "gone")
        return ask()

    proxy.meddle = breaks_off
    folder = tmp_path / "other"
    ledger = EthereumLedger(Transport(proxy.url), world.network, folder, sleep=prompt)
    monkeypatch.setattr(ledger._reader._ranges, "_width", 4)
    monkeypatch.setattr(ledger._reader._ranges, "_widest", 4)
    with pytest.raises(NodeRefused):
        ledger.state()
    first = ranges(proxy)[0][0]
    proxy.meddle = lambda call, ask: ask()
    proxy.calls.clear()
    assert through(world, proxy, folder).state() == world.ledger.state()
    assert ranges(proxy)[0][0] == first + 4 * reader_module.SAVED_RANGES


def test_a_damaged_cache_is_passed_over(
    game: PortGame, world: EthereumWorld, proxy: Proxy, tmp_path: Path
) -> None:
    game.contribute(key_of("validator 0").address)
    folder = tmp_path / "other"
    through(world, proxy, folder).state()
    path = folder / "history.cache"
    data = path.read_bytes()
    for damaged in (
        data[:-1],
        data[:80] + bytes([data[80] ^ 1]) + data[81:],
        b"",
        data.replace(world.network.contract[2:].encode(), b"00" * 20),
        None,
    ):
        path.write_bytes(data if damaged is None else damaged)
        path.chmod(0o666 if damaged is None else 0o600)
        proxy.calls.clear()
        assert through(world, proxy, folder).state() == world.ledger.state()
        assert ranges(proxy)[0][0] == world.network.first_block


def test_a_reorganization_takes_back_what_it_undoes(
    game: PortGame, world: EthereumWorld, tmp_path: Path
) -> None:
    before, head = world.ledger.state(), world.ledger.head()
    fork = world.node.snapshot()
    game.contribute()
    contributed = world.ledger.head()
    assert len(game.challenge.contributions) == 3
    world.node.revert(fork)
    world.node.increase_time(7)
    assert (world.ledger.state(), world.ledger.head()) == (before, head)
    game.contribute(key_of("validator 1").address)
    assert [item.contributor for item in game.challenge.contributions] == [
        key_of("validator 1").address
    ]
    assert world.ledger.head() not in (head, contributed)
    assert world.again().state() == world.again(private=False).state() == world.ledger.state()


def test_a_reorganization_between_two_commands_drops_the_cache_to_the_last_common_block(
    game: PortGame, world: EthereumWorld, proxy: Proxy, tmp_path: Path
) -> None:
    game.contribute(key_of("validator 0").address)
    fork = world.node.snapshot()
    common = world.node.block_number()
    folder = tmp_path / "other"
    through(world, proxy, folder).state()
    game.contribute(key_of("validator 1").address)
    through(world, proxy, folder).state()
    world.node.revert(fork)
    world.node.increase_time(5)
    game.contribute(key_of("validator 2").address)
    proxy.calls.clear()
    again = through(world, proxy, folder)
    assert again.state() == world.again(private=False).state()
    assert min(first for first, _ in ranges(proxy)) == common + 1


def test_what_is_not_deep_enough_does_not_count_yet(
    game: PortGame, world: EthereumWorld, proxy: Proxy, tmp_path: Path
) -> None:
    deep = through(world, proxy, tmp_path / "deep", confirmations=4)
    assert deep.state().challenges == {}
    who = key_of("validator 0").address
    deep.check(who, game.contributing(who), 7)  # what is sent now is judged by the newest block
    world.node.mine(2)
    assert deep.state().challenges == {}
    world.node.mine(1)
    assert deep.state() == world.ledger.state()
    fork = world.node.snapshot()
    game.contribute(who)
    assert deep.state() != world.ledger.state()
    world.node.revert(fork)
    world.node.mine(9)
    assert deep.state() == world.ledger.state()


def lies(
    world: EthereumWorld,
    proxy: Proxy,
    folder: Path,
    lie: Callable[[Call, Any], Any],
    method: str = "eth_getLogs",
) -> DankuError:
    """The error of reading through a node that tells lies about one thing."""

    def meddle(call: Call, ask: Ask) -> Any:
        answer = ask()
        if call["method"] == method:
            return result(call, lie(call, answer["result"]))
        return answer

    proxy.meddle = lambda call, ask: ask()
    ledger = through(world, proxy, folder)
    proxy.meddle = meddle
    with pytest.raises((NodeContradicts, NetworkError)) as found:
        ledger.state()
    assert found.value.what and found.value.fix
    return found.value


def changed(place: int, **members: Any) -> Callable[[Call, Any], Any]:
    def lie(call: Call, logs: list[dict[str, Any]]) -> Any:
        logs[place] |= members
        return logs

    return lie


def spliced(place: int, word: int, value: str) -> Callable[[Call, Any], Any]:
    """Logs with one word of one log's data changed."""

    def lie(call: Call, logs: list[dict[str, Any]]) -> Any:
        data = logs[place]["data"]
        logs[place]["data"] = data[: 2 + 64 * word] + value + data[2 + 64 * (word + 1) :]
        return logs

    return lie


ONES = "11" * 32
LIES: dict[str, Callable[[Call, Any], Any]] = {
    "the first is left out": lambda call, logs: logs[1:],
    "one in the middle is left out": lambda call, logs: [*logs[:4], *logs[5:]],
    "the opening of the seed is left out": lambda call, logs: [*logs[:5], *logs[6:]],
    "one is told twice": lambda call, logs: [logs[0], *logs],
    "the order is another": lambda call, logs: [*logs[:2], *logs[:1:-1]],
    "an address of another contract": changed(1, address=BURN_ADDRESS),
    "a block that was not asked for": changed(-1, blockNumber="0xffffff"),
    "another block's hash": changed(1, blockHash="0x" + ONES),
    "it was removed": changed(1, removed=True),
    "no topics": changed(1, topics=[]),
    "an unknown event": changed(1, topics=["0x" + ONES]),
    "too few topics": lambda call, logs: changed(1, topics=logs[1]["topics"][:2])(call, logs),
    "no data": changed(0, data="0x"),
    "half a word": changed(1, data="0x1234"),
    "no hex": changed(1, data="0xzz"),
    "another commitment": spliced(1, 0, ONES),
    "another prize": spliced(0, 1, ONES),
    "another sender": lambda call, logs: changed(
        1, topics=[*logs[1]["topics"][:2], "0x" + "00" * 12 + "22" * 20]
    )(call, logs),
    "a sender that is no address": lambda call, logs: changed(
        1, topics=[*logs[1]["topics"][:2], "0x" + ONES]
    )(call, logs),
    "no list": lambda call, logs: {"logs": logs},
    "a list of nothing": lambda call, logs: [None],
}


def test_logs_and_blocks_that_cannot_be_true_are_a_named_error(
    game: PortGame, world: EthereumWorld, proxy: Proxy, tmp_path: Path
) -> None:
    game.contribute().open_seed().draw()
    for name, lie in LIES.items():
        assert lies(world, proxy, tmp_path / name, lie), name
    told = lies(world, proxy, tmp_path / "seed", spliced(-1, 0, ONES))
    assert "seed is 0x" + ONES in told.what
    last = hex(world.node.block_number() - 1)
    for member, value in (("timestamp", "0x1"), ("hash", "0x" + ONES)):

        def lie_of_block(call: Call, block: dict[str, Any]) -> Any:
            return block | {member: value} if call["params"][0] == last else block  # noqa: B023

        lies(world, proxy, tmp_path / member, lie_of_block, "eth_getBlockByNumber")


def test_a_chain_that_changes_while_it_is_read_is_read_again(
    game: PortGame, world: EthereumWorld, proxy: Proxy, tmp_path: Path
) -> None:
    game.contribute()
    wrong = ["0x" + ONES]

    def meddle(call: Call, ask: Ask) -> Any:
        answer = ask()
        if call["method"] == "eth_getLogs" and wrong:
            answer["result"][2]["blockHash"] = wrong.pop()
        return answer

    ledger = through(world, proxy, tmp_path / "other")
    proxy.meddle = meddle
    assert ledger.state() == world.ledger.state()
    assert not wrong


def test_a_replay_reads_everything_again_and_tells_each_state(
    game: PortGame, world: EthereumWorld, proxy: Proxy, tmp_path: Path
) -> None:
    game.trained().submit()
    ledger = through(world, proxy, tmp_path / "other")
    states: list[State] = []
    proxy.calls.clear()
    history = ledger.replay(observe=states.append)
    assert ranges(proxy)[0][0] == world.network.first_block
    assert (history.state, history.head) == (world.ledger.state(), world.ledger.head())
    assert len(states) == len(history.told) and states[-1] == history.state
    assert history.later(history.heads[3]) == len(history.told) - 3
    with pytest.raises(NodeContradicts):
        history.later("0x" + ONES)
    kinds = [type(told.action) for told in history.told]
    assert (kinds[0], kinds[-1]) == (Create, Submit)


def test_another_chain_or_contract_than_was_added(
    world: EthereumWorld, proxy: Proxy, tmp_path: Path
) -> None:
    for wrong in (
        {"chain_id": 1},
        {"contract": BURN_ADDRESS},
        {"stake": "5", "unbonding": 9},
        {"beacon_blocks": 256},
        {"currency": "0x" + "11" * 20},
    ):
        network = replace(world.network, **wrong)
        with pytest.raises(NodeContradicts):
            EthereumLedger(Transport(proxy.url), network, tmp_path / "other")
    token = world.node.call("eth_accounts")[0]
    world.node.call("anvil_setCode", token, "0x600160005260206000f3")
    with pytest.raises(NodeContradicts, match="not that of danku's contract"):
        other = replace(world.network, contract=token)
        EthereumLedger(Transport(proxy.url), other, tmp_path / "other")


def test_logs_left_out_are_found_before_anything_is_signed(
    game: PortGame, world: EthereumWorld, proxy: Proxy, tmp_path: Path
) -> None:
    """A node that gives old logs only: the history is whole in itself, and not all of it."""
    game.trained()
    known = world.node.block_number()
    game.submit(key_of("alice").address)
    bob = key_of("bob")

    def forgetful(call: Call, ask: Ask) -> Any:
        answer = ask()
        if call["method"] == "eth_getLogs":
            answer["result"] = [
                log for log in answer["result"] if int(log["blockNumber"], 16) <= known
            ]
        return answer

    proxy.meddle = forgetful
    ledger = through(world, proxy, tmp_path / "other")
    with pytest.raises(NodeContradicts, match="submissions") as found:
        ledger.submit(bob, game.submitting(bob.address), 23)
    assert "leaves out logs" in found.value.why
    assert "eth_sendRawTransaction" not in proxy.methods()


def test_a_credit_that_the_contract_does_not_have_is_found(
    game: PortGame, world: EthereumWorld, proxy: Proxy, tmp_path: Path
) -> None:
    game.cancel()
    organizer = key_of("organizer")
    ledger = through(world, proxy, tmp_path / "other")
    owed = ledger.state().credits[organizer.address]

    def meddle(call: Call, ask: Ask) -> Any:
        return result(call, "0x" + "00" * 32) if call["method"] == "eth_call" else ask()

    proxy.meddle = meddle
    with pytest.raises(NodeContradicts, match=f"the contract has 0, .* {owed}"):
        ledger.submit(organizer, Withdraw())
