"""What `apply` costs an action in a challenge of many submissions, besides hashing.

    python tests/bench/bench_protocol.py [--submissions 10000] [--json]

"besides hashing" is the action's time less that of its commitment, mix or Merkle proof alone. A
vote is that of a committee of 16 from a registry of 10,000 seats, none of which it may look at.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from danku.crypto.hashing import from_hex, to_hex
from danku.crypto.merkle import PayoutTree, verify_payout
from danku.protocol.actions import Action, Claim
from danku.protocol.draw import mix_in
from danku.protocol.rules import apply
from danku.protocol.state import Context
from danku.protocol.terms import SeatsPanel
from danku.protocol.types import ZERO_DIGEST, Amount
from tests.protocol.simulator import OUTSIDER, Game, address, terms
from tests.protocol.staked import StakedGame

LIMIT = 100.0
"""Microseconds an action."""
ROUNDS = 3
"""The least of them counts."""


def microseconds(work: Callable[[int], object], count: int) -> float:
    started = time.process_time()
    for number in range(count):
        work(number)
    return (time.process_time() - started) / count * 1e6


def measure(count: int) -> dict[str, float]:
    """Microseconds an action, besides hashing, by kind."""
    game = Game(terms(max_entries=count)).trained()
    who = [address(f"submitter {number}") for number in range(count)]

    def send(actions: Sequence[Action], senders: Sequence[str]) -> float:
        def one(number: int) -> None:
            game.send(actions[number], senders[number])

        return microseconds(one, count)

    costs = {"submit": send([game.submitting(each) for each in who], who)}
    game.wait("submit")
    openings = [game.opening(number, each) for number, each in enumerate(who)]

    def hash_opening(number: int) -> Any:
        mix_in(ZERO_DIGEST, who[number], openings[number].salt)
        return game.submitting(who[number])

    costs["open"] = send(openings, who) - microseconds(hash_opening, count)

    payouts = dict.fromkeys(who, 1)
    ballot = game.ballot(payouts)
    game.reveal_test().convene().vote(ballot).open_vote(ballot).finalize()
    tree = PayoutTree(game.leaves)
    proofs = [tree.proof(place) for place in range(count)]
    claims = [
        Claim(game.id, *leaf[:2], Amount(leaf[2]), tuple(map(to_hex, proof)))
        for leaf, proof in zip(game.leaves, proofs, strict=True)
    ]

    def hash_claim(number: int) -> bool:
        proof = [from_hex(node) for node in claims[number].proof]
        return verify_payout(tree.root, game.leaves[number], proof)

    costs["claim"] = send(claims, [OUTSIDER] * count) - microseconds(hash_claim, count)
    costs["vote"] = vote_cost()
    return costs


def vote_cost() -> float:
    """Microseconds of a vote where 50 owners hold 200 seats each."""
    owners = {address(f"owner {number}"): 200 for number in range(50)}
    game = StakedGame(owners, terms(SeatsPanel(16, 3_000, 500)))
    game.trained().submit().open().reveal_test().convene()
    who = game.panel[0]
    action = game.voting(who, game.ballot())
    context = Context(who, game.time)
    return microseconds(lambda _: apply(game.state, action, context), 1_000)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--submissions", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rounds = [measure(options.submissions) for _ in range(ROUNDS)]
    costs = {kind: min(each[kind] for each in rounds) for kind in rounds[0]}
    if options.json:
        print(json.dumps({"microseconds": costs, "limit": LIMIT}))
    else:
        for kind, cost in costs.items():
            share = cost / LIMIT
            print(f"{kind:8} {cost:6.1f} us an action besides hashing, {share:.2f} of the limit")
    return int(max(costs.values()) > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
