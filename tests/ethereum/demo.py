"""The demo on a real node, and then on the embedded ledger with what the chain gave: the same ends.

A node is started on loopback, the contracts are put on it, and every actor plays over JSON-RPC
with a key, a workspace and a private folder of its own. Gas is free there, so that balances can be
compared to the last unit. Then all actions are signed once more, for an embedded ledger, on which
the same models are evaluated again. Two things it has to be given, since no journal has them: the
contract's name, which every digest depends on, and the beacon.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from danku.crypto.signatures import PrivateKey
from danku.demo.cast import ROLES, Actor
from danku.demo.narration import Narration
from danku.demo.play import Game
from danku.ledger.embedded.genesis import Identity, create_journal
from danku.ledger.ethereum.deployment import Choices
from danku.ledger.port import Entry
from danku.protocol.state import Challenge, Context, State
from danku.protocol.terms import SeedSource
from danku.protocol.types import ZERO_DIGEST, Digest
from danku.roles.assessment import assess
from danku.roles.board import board
from danku.roles.claims import payout_claims
from danku.roles.networks import keep, use
from danku.roles.setup import make_workspace
from danku.roles.workspace import CONFIG, Workspace
from tests.ethereum.node import Node, NoNode, running_node
from tests.ethereum.world import FREE, deployed

FUNDS = 2_000_000
BLOCK_SECONDS = 12
MOST_BLOCKS = 300
"""That one wait mines: an hour's. Of longer waits only the last block is made."""


@dataclass
class OnChain:
    """A `Venue`: a contract on a node, whose time is moved by evm_increaseTime."""

    node: Node
    seed_source: SeedSource = "both"

    def assemble(self, root: Path) -> dict[str, Actor]:
        network = deployed(self.node, Choices(block_seconds=BLOCK_SECONDS))
        cast: dict[str, Actor] = {}
        public: Path | None = None
        for name in ROLES:
            made = make_workspace(root / name, join=public)
            public = made.public
            keep(made.root / CONFIG, made.private, "anvil", network, self.node.url)
            use(made.root / CONFIG, {"anvil": network}, "anvil")
            key = PrivateKey.generate()
            self.node.set_balance(key.address, FUNDS)
            cast[name] = Actor(name, key, Workspace(made.root))
        return cast

    def pass_time(self, host: Actor, seconds: int) -> None:
        blocks = min(seconds // BLOCK_SECONDS, MOST_BLOCKS)
        if blocks:
            self.node.mine(blocks, BLOCK_SECONDS)
        rest = seconds - blocks * BLOCK_SECONDS
        if rest:
            self.node.increase_time(rest)


@dataclass(frozen=True)
class Ending:
    """What a ledger says at the end."""

    leaderboard: tuple[Any, ...]
    payouts: dict[str, int]
    result: Digest
    balances: dict[str, int]
    state: State = field(repr=False)


def ending(workspace: Workspace, identity: Digest, cast: dict[str, Actor]) -> Ending:
    """What a workspace's ledger says of a challenge, and of everybody's money."""
    challenge = workspace.challenge(identity)
    found = challenge.settlement
    assert found is not None and found.ballot is not None
    return Ending(
        leaderboard=board(workspace, challenge).lines,
        payouts={
            item.payee: item.amount for item in payout_claims(workspace, unclaimed(challenge))
        },
        result=found.ballot.result,
        balances={name: workspace.ledger.balance(actor.address) for name, actor in cast.items()},
        state=workspace.state(),
    )


def unclaimed(challenge: Challenge) -> Challenge:
    """A settled challenge as before anything was claimed, so that all payouts are told."""
    from msgspec.structs import replace

    return replace(challenge, settlement=replace(challenge.settlement, claimed=0))


class Moment:
    """A clock that shows the chain's time."""

    now = 0

    def __call__(self) -> int:
        return self.now


@contextmanager
def given(identity: Identity, beacon: Digest) -> Iterator[None]:
    """Have journals be of a contract's name, and their rules see its beacon."""

    def context(sender: str, time: int, value: int) -> Context:
        return Context(sender, time, value, beacon)

    replay = "danku.ledger.embedded.replay"
    with patch(f"{replay}.identify", lambda line: identity), patch(f"{replay}.Context", context):
        yield


def embedded_ending(
    root: Path, entries: list[Entry], cast: dict[str, Actor], identity: Identity, challenge: Digest
) -> tuple[Ending, Digest]:
    """Play all actions on an embedded ledger; its ending, and the result of evaluating again."""
    from danku.evaluation.pool import Pool

    clock = Moment()
    clock.now = entries[0].time
    blobs = cast["organizer"].workspace.public / "blobs"
    make_workspace(root)
    (root / "challenges" / "ledger.jsonl").unlink()
    create_journal(
        root / "challenges" / "ledger.jsonl",
        sandbox=True,
        play_money=FUNDS,
        treasurer=None,
        sequencer=None,
        clock=clock,
        registry=None,
    )
    (root / "challenges" / "blobs").symlink_to(blobs, target_is_directory=True)
    beacon = next(entry.beacon for entry in reversed(entries) if entry.beacon) or ZERO_DIGEST
    keys = {actor.address: actor.key for actor in cast.values()}
    with given(identity, beacon):
        workspace = Workspace(root, clock=clock)
        for entry in entries:
            clock.now = entry.time
            workspace.embedded.submit(keys[entry.sender], entry.action, entry.value)
        found = ending(workspace, challenge, cast)
        with Pool() as pool:
            again = assess(workspace, workspace.challenge(challenge), pool)
    return found, again.ballot.result


def play(root: Path, node: Node, narrator: Narration) -> tuple[Ending, Ending, Digest, bool]:
    """The endings on the chain and on the embedded ledger, the result that evaluating again
    gives, and whether verifying the chain's record succeeded."""
    game = Game(root / "chain", narrator, OnChain(node))
    story = game.play()
    ledger = game.host.workspace.ledger
    on_chain = ending(game.host.workspace, game.identity, game.cast)
    identity = Identity(ledger.chain_id, ledger.address)
    embedded, again = embedded_ending(
        root / "embedded", list(ledger.actions()), game.cast, identity, game.identity
    )
    return on_chain, embedded, again, bool(story["verification"]["ok"])


def main() -> int:
    """Play, and print the comparison."""
    from danku.cli.narrator import Narrator
    from danku.cli.render import table
    from danku.cli.terminal import Terminal

    out = Terminal()
    with tempfile.TemporaryDirectory(prefix="danku-demo-") as folder:
        try:
            with running_node(Path(folder), *FREE) as node:
                on_chain, embedded, again, verified = play(Path(folder), node, Narrator(out))
        except NoNode as reason:
            out.tell(str(reason))
            return 1
    compared = [
        ("leaderboard", on_chain.leaderboard, embedded.leaderboard),
        ("payouts", on_chain.payouts, embedded.payouts),
        ("result digest", on_chain.result, embedded.result),
        ("result, evaluated again", on_chain.result, again),
        ("balances", on_chain.balances, embedded.balances),
        ("whole state", on_chain.state, embedded.state),
    ]
    rows = [
        (what, _short(first), "[green]the same[/]" if first == second else "[red]another[/]")
        for what, first, second in compared
    ]
    out.print(table("Ethereum and the embedded ledger", ("what", "on Ethereum", "embedded"), rows))
    return 0 if verified and all(first == second for _, first, second in compared) else 1


def _short(value: Any) -> str:
    if isinstance(value, tuple):
        ranked = [line for line in value if line.rank]
        return f"{len(ranked)} of {len(value)} ranked, the first with {ranked[0].score}"
    if isinstance(value, dict):
        return f"{len(value)}, {sum(value.values()):,} in all"
    digest = value if isinstance(value, str) else value.link
    return f"{digest[:18]}…"


if __name__ == "__main__":
    sys.exit(main())
