"""The node that other tests rely on does what it is told, and ends with its owner."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.ethereum import node as node_module
from tests.ethereum.node import CHAIN_ID, Node, NoNode, Refused, install

SOMEBODY = "0x00000000000000000000000000000000000a11ce"


def test_it_is_a_chain_of_its_own(node: Node) -> None:
    assert int(node.call("eth_chainId"), 16) == CHAIN_ID
    assert node.block_number() == 0
    with pytest.raises(Refused):
        node.call("no_suchMethod")


def test_time_and_blocks_move_as_told(node: Node) -> None:
    before = node.time()
    node.increase_time(1_000)
    assert before + 1_000 <= node.time() < before + 1_060
    at = node.time() + 77
    node.next_timestamp(at)
    node.mine()
    assert node.time() == at
    number = node.block_number()
    node.mine(5)
    assert node.block_number() == number + 5


def test_a_snapshot_brings_everything_back(node: Node) -> None:
    before, block = node.snapshot(), node.block_number()
    node.set_balance(SOMEBODY, 5)
    node.mine(3)
    assert node.balance(SOMEBODY) == 5
    node.revert(before)
    assert (node.balance(SOMEBODY), node.block_number()) == (0, block)


def test_a_node_ends_with_a_killed_owner(tmp_path: Path) -> None:
    try:
        install()
    except NoNode as reason:
        pytest.skip(str(reason))
    program = (
        "import sys, time, pathlib\n"
        "from tests.ethereum.node import running_node\n"
        "with running_node(pathlib.Path(sys.argv[1])) as node:\n"
        "    print(node.url, flush=True); time.sleep(60)\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    orphan = Node(owner.stdout.readline().strip(), tmp_path / "anvil.log")
    assert orphan.block_number() == 0
    os.kill(owner.pid, signal.SIGKILL)
    owner.wait()
    deadline = time.monotonic() + 20
    with pytest.raises(OSError):
        while time.monotonic() < deadline:
            orphan.block_number()
            time.sleep(0.05)


def test_without_npm_the_reason_and_what_helps_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_module, "CACHE", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoNode, match=r"npm is missing.*apt-get install npm"):
        install()
