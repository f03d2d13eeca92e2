"""What a quorum cannot retrieve in the first half of the vote window counts as not revealed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from danku.dataset.private import PrivateGroups
from danku.errors import NotYet
from danku.protocol.result import Finding
from danku.protocol.schedule import Windows
from danku.roles.assessment import fetch_model
from danku.roles.duties import advance
from danku.roles.evidence import group_indices
from danku.roles.retrieval import NotServed, StillRetrieving, retrieval_end, retrieval_seconds
from danku.storage.opening import open_store
from danku.storage.port import StoreUnusable
from danku.storage.settings import StorageSettings
from tests.demo.unrandom import unrandom
from tests.roles.arena import (
    ORGANIZER,
    SHIFTS,
    SUBMITTERS,
    VALIDATORS,
    Arena,
    InProcess,
    key_of,
    model,
)
from tests.roles.conftest import ArenaAt
from tests.storage.blocks import tree
from tests.storage.servers import Fault, Server, honest, running


@pytest.fixture(autouse=True)
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("danku.roles.evaluations.own_evaluator", lambda workspace: InProcess())


class Net:
    """One node that organizer and submitters publish to, and a gateway before each validator."""

    def __init__(self, arena: Arena, node: Server, gateways: dict[str, Server]) -> None:
        self.arena, self.node, self.gateways = arena, node, gateways
        for name in (ORGANIZER, *SUBMITTERS):
            self.equip(name, StorageSettings(kind="ipfs", api=node.api))
        for name, gateway in gateways.items():
            gateway.blocks, gateway.blobs = node.blocks, node.blobs
            self.equip(name, StorageSettings(gateways=(gateway.url,)))

    def equip(self, name: str, settings: StorageSettings) -> None:
        workspace = self.arena.players[name]
        workspace.storage = settings
        workspace.__dict__["store"] = open_store(
            settings, workspace.root, workspace.public / "blobs", workspace.private
        )

    def withhold(self, what: Callable[[str], bool], *names: str, fault: str = "status 404") -> None:
        """Have these validators' gateways treat some requests badly."""
        rule: Fault = lambda asked, before: fault if what(asked) else ""  # noqa: E731
        for name in names or VALIDATORS:
            self.gateways[name].fault = rule

    def relent(self) -> None:
        for gateway in self.gateways.values():
            gateway.fault = honest

    def step(self, name: str) -> list[str]:
        """A pass of a validator: what it did."""
        workspace, key = self.arena[name]
        return [duty.name for duty in advance(workspace, key, self.arena.challenge)]

    def second_half(self) -> None:
        self.arena.clock.now = max(self.arena.clock.now, retrieval_end(self.arena.challenge, 1))

    def finish(self) -> str:
        """All votes are opened and decided: the outcome."""
        self.arena.open_votes()
        self.arena.finalize()
        settlement = self.arena.challenge.settlement
        assert settlement is not None and settlement.ballot is not None
        return settlement.ballot.outcome


@pytest.fixture
def net(arena_at: ArenaAt) -> Iterator[Net]:
    """A competition whose test data has been revealed, over IPFS from the beginning."""
    with ExitStack() as stack:
        node = stack.enter_context(running())
        gateways = {name: stack.enter_context(running()) for name in VALIDATORS}
        net = Net(arena_at("draw"), node, gateways)
        net.arena.play(until="reveal_test", since="draw")
        yield net


def test_data(net: Net) -> Callable[[str], bool]:
    cid = net.arena.challenge.test
    return lambda asked: str(cid) in asked


test_data.__test__ = False  # type: ignore[attr-defined]


def test_blobs_are_nowhere_but_on_the_node_and_where_they_were_fetched(net: Net) -> None:
    public = net.arena.public / "blobs"
    challenge = net.arena.challenge
    assert challenge.train in net.node.blobs
    assert challenge.test in net.node.blobs
    assert not (public / str(challenge.test)).exists()
    net.arena.convene()
    assert net.step("vera") == ["vote"]
    assert net.arena.players["vera"].store.has(str(challenge.test))


def test_nothing_private_reaches_the_node_before_its_time(arena_at: ArenaAt) -> None:
    with running() as node:
        arena = arena_at("draw")
        Net(arena, node, {})
        arena.reveal_train()
        private = PrivateGroups(next(arena.host.private.rglob("groups-*")))
        groups = {private.read(index) for index in range(arena.challenge.terms.groups)}
        test = group_indices(arena.challenge, "test")
        revealed = len(groups & set(node.blobs.values()))
        assert revealed == arena.challenge.terms.groups - len(test)
        before = set(node.blobs)
        arena.submit()
        models = {model(shift) for shift in SHIFTS.values()}
        assert set(node.blobs) == node.pins == before
        arena.open()
        assert models <= set(node.blobs.values())
        assert len(groups & set(node.blobs.values())) == revealed
        arena.reveal_test()
        assert len(groups & set(node.blobs.values())) == revealed + len(test)
        assert node.pins == set(node.blobs)


@pytest.mark.parametrize("fault", ["status 404", pytest.param("drip", marks=pytest.mark.soak)])
def test_withheld_test_data_is_waited_for_and_then_counts_as_not_revealed(
    net: Net, fault: str
) -> None:
    net.arena.convene()
    net.withhold(test_data(net), fault=fault)
    if fault == "drip":
        for name, gateway in net.gateways.items():
            net.equip(name, StorageSettings(gateways=(gateway.url,), block_seconds=2))
    started = time.monotonic()
    for name in VALIDATORS:
        with pytest.raises(StillRetrieving) as waiting:
            net.step(name)
        assert isinstance(waiting.value, NotYet)
        assert "the test data" in waiting.value.what
    assert not net.arena.challenge.rounds[1].votes
    net.second_half()
    for name in VALIDATORS:
        assert net.step(name) == ["vote"]
    assert time.monotonic() - started < 90
    assert net.finish() == "train-fallback"
    assert net.arena.gains()[ORGANIZER] < -10_000, "the bond is lost"


@pytest.mark.parametrize(
    ("deprived", "outcome"),
    [(VALIDATORS[:1], "test"), (VALIDATORS[:2], "train-fallback")],
    ids=["one of three", "two of three"],
)
def test_the_votes_decide_whether_it_was_to_be_had(
    net: Net, deprived: tuple[str, ...], outcome: str
) -> None:
    net.arena.convene()
    net.withhold(test_data(net), *deprived)
    for name in VALIDATORS:
        if name in deprived:
            with pytest.raises(StillRetrieving):
                net.step(name)
        else:
            assert net.step(name) == ["vote"]
    net.second_half()
    for name in deprived:
        assert net.step(name) == ["vote"]
    assert net.finish() == outcome
    settlement = net.arena.challenge.settlement
    assert settlement is not None
    majority = set(VALIDATORS) - set(deprived) if outcome == "test" else set(deprived)
    assert set(settlement.majority) == {key_of(name).address for name in majority}


def test_what_comes_in_time_counts_as_revealed(net: Net) -> None:
    net.arena.convene()
    net.withhold(test_data(net))
    with pytest.raises(StillRetrieving):
        net.step("vera")
    net.relent()
    for name in VALIDATORS:
        assert net.step(name) == ["vote"]
    assert net.finish() == "test"


def test_who_comes_late_fetches_all_the_same(net: Net) -> None:
    net.arena.convene()
    _, end = net.arena.challenge.windows.vote_window(1)
    net.arena.clock.now = end - 60
    for name in VALIDATORS:
        assert net.step(name) == ["vote"]
    assert net.finish() == "test"


def test_withheld_train_data_makes_it_void(net: Net) -> None:
    cid = str(net.arena.challenge.train)
    net.arena.convene()
    net.withhold(lambda asked: cid in asked)
    net.second_half()
    for name in VALIDATORS:
        assert net.step(name) == ["vote"]
    assert net.finish() == "void"


def test_a_withheld_model_is_unavailable_by_the_same_rule(net: Net) -> None:
    opening = net.arena.challenge.submissions[0].opening
    assert opening is not None
    net.arena.convene()
    net.withhold(lambda asked: opening.cid in asked)
    with pytest.raises(StillRetrieving) as waiting:
        net.step("vera")
    assert "the model of submission 0" in waiting.value.what
    net.second_half()
    for name in VALIDATORS:
        assert net.step(name) == ["vote"]
    assert net.finish() == "test"
    ballot = net.arena.challenge.settlement.ballot  # type: ignore[union-attr]
    assert ballot is not None and ballot.winner == key_of("bob").address


def test_a_model_under_a_name_of_another_form_is_unavailable_at_once(net: Net) -> None:
    opening = net.arena.challenge.submissions[0].opening
    assert opening is not None
    cid, blocks = tree(model(0.0), leaf=100)
    net.node.blocks |= blocks
    found = fetch_model(
        net.arena.players["vera"], msgspec.structs.replace(opening, cid=cid), net.arena.manifest
    )
    assert found == Finding("unavailable", reason="nobody serves the model")


def test_a_validator_serves_what_it_evaluated(net: Net) -> None:
    net.arena.convene()
    with running() as own:
        gateway = net.gateways["vera"].url
        net.equip("vera", StorageSettings(kind="ipfs", api=own.api, gateways=(gateway,)))
        assert net.step("vera") == ["vote"]
        assert own.pins == set(own.blobs) >= set(net.node.blobs)
        net.equip("victor", StorageSettings(kind="ipfs", api=own.api, gateways=(gateway,)))
        own.fault = lambda what, before: "status 500"
        with pytest.raises(NotServed):
            net.step("victor")
    assert len(net.arena.challenge.rounds[1].votes) == 2, "votes stand all the same"


@pytest.mark.parametrize("fault", ["deny", "lie", "status 500"])
def test_a_validator_whose_own_sources_fail_abstains(net: Net, fault: str) -> None:
    net.arena.convene()
    net.withhold(test_data(net), "vera", fault=fault)
    for half in (lambda: None, net.second_half):
        half()
        with pytest.raises(StoreUnusable):
            net.step("vera")
    assert not net.arena.challenge.rounds[1].votes


def test_a_folder_is_not_waited_for(arena_at: ArenaAt) -> None:
    """Where nobody has IPFS, a blob is there or it is not."""
    arena = arena_at("convene")
    (arena.public / "blobs" / str(arena.challenge.test)).unlink()
    workspace, key = arena["vera"]
    assert [duty.name for duty in advance(workspace, key, arena.challenge)] == ["vote"]


def decided(arena: Arena) -> tuple[object, ...]:
    """What a whole competition ends with, on whatever store."""
    challenge = arena.challenge
    assert challenge.settlement is not None
    openings = [entry.opening for entry in challenge.submissions]
    data = challenge.manifest, challenge.terms.data_root, challenge.train, challenge.test
    return challenge.settlement.ballot, openings, data, arena.gains()


def test_a_competition_ends_with_the_same_digests_as_in_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with unrandom(monkeypatch):
        folder = Arena(tmp_path / "folder").play()
    with running() as node, unrandom(monkeypatch):
        arena = Arena(tmp_path / "ipfs")
        Net(arena, node, dict.fromkeys(VALIDATORS, node))
        arena.play()
    assert decided(arena) == decided(folder)
    assert decided(folder)[0] is not None
    assert {path.name for path in (folder.public / "blobs").iterdir()} >= set(node.blobs)


@given(
    start=st.integers(0, 10**9),
    length=st.integers(1, 10**7),
    passed=st.floats(0, 1, exclude_max=True),
)
def test_one_attempt_ends_before_the_window_does(start: int, length: int, passed: float) -> None:
    challenge = type("Challenge", (), {})()
    challenge.windows = Windows(*[start] * 7, start + length, *[start + length] * 3)
    now = start + int(passed * length)
    seconds = retrieval_seconds(challenge, 1, now)
    assert 1 <= seconds <= max(1, start + length - now)
    assert start <= retrieval_end(challenge, 1) <= start + length
