"""What the contract costs: `make gas` plays competitions on anvil and writes docs/gas.md.

The node keeps mainnet's limit of gas a transaction. Amounts and windows are those of a real
challenge, since calldata costs by its bytes.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from danku.protocol import actions as a
from danku.protocol.terms import Schedule, SeatsPanel, Terms
from tests.ethereum.chain import OPTIONS
from tests.ethereum.compiling import NAMES, shipped
from tests.ethereum.node import running_node
from tests.ethereum.twin import twins
from tests.protocol.simulator import BEACON, ORGANIZER, PANEL, Game, Ledger, Moves, address, terms
from tests.protocol.staked import REGISTRY, STAKERS, StakedGame

TARGET = Path(__file__).parents[2] / "docs" / "gas.md"
DAY = 86_400
ETHER = 10**18
SCHEDULE = Schedule(*(days * DAY for days in (7, 2, 1, 30, 3, 2, 3, 2)))
SHORT = Schedule(*(20 * days for days in (7, 2, 1, 30, 3, 2, 3, 2)))
"""Fits into the unbonding of the simulator's registry."""

TARGETS = {
    "create": 70_000,
    "submit": 62_000,
    "open": 45_000,
    "vote": 60_000,
    "open_vote": 45_000,
    "finalize": 110_000,
    "claim": 66_000,
}
WHOLE, FURTHER = 1_000_000, 105_000
SIZES = (1, 10, 100)


def agreed(panel: object, schedule: Schedule, source: str, entries: int) -> Terms:
    return terms(
        panel,  # type: ignore[arg-type]
        schedule,
        groups=1_000,
        test_groups=200,
        seed_source=source,
        pot=10 * ETHER,
        fee=3 * ETHER // 10,
        organizer_bond=5 * ETHER,
        contribution_deposit=ETHER // 100,
        submission_bond=ETHER // 100,
        entry_fee=ETHER // 1_000,
        max_submissions=3,
        max_entries=max(entries, 1_000),
    )


@dataclass
class Bill:
    """What each call of a competition cost, by action, in order."""

    gas: dict[str, list[int]]

    @property
    def total(self) -> int:
        return sum(map(sum, self.gas.values()))

    def mean(self, action: str) -> int:
        return round(statistics.mean(self.gas[action]))

    def called(self, action: str) -> str:
        """How often, and for how much on average."""
        calls = self.gas.get(action)
        return f"{len(calls)} × {self.mean(action):,}" if calls else ""

    def most(self, action: str) -> int:
        return max(self.gas[action])


def finished(game: Game, submitters: int) -> Bill:
    who = [address(f"submitter {number}") for number in range(submitters)]
    game.drawn().reveal_train().submit(*who).open().reveal_test().convene()
    bond = ETHER // 100
    payouts = dict.fromkeys(who, bond)
    payouts[who[0]] += 6 * ETHER
    ballot = game.ballot(payouts, winner=who[0], score=950_000_000)
    game.vote(ballot).open_vote(ballot).finalize().claim()
    for each in sorted(game.state.credits):
        game.send(a.Withdraw(), each)
    gas: dict[str, list[int]] = {}
    for action, used in game.twin.gas:  # type: ignore[attr-defined]
        gas.setdefault(action, []).append(used)
    return Bill(gas)


def named(submitters: int, *, source: str = "beacon") -> tuple[Bill, Bill, Bill]:
    """Three named validators: an arena's first competition, one of strangers, one of regulars."""
    bills = []
    before: Game | None = None
    for number, organizer in enumerate((address("earlier"), ORGANIZER, ORGANIZER)):
        panel = PANEL[:3] if number else tuple(address(f"earlier {each}") for each in range(3))
        game = Game.__new__(Game)
        Moves.__init__(
            game, agreed(panel, SCHEDULE, source, submitters), organizer, max(number - 1, 0)
        )
        Ledger.__init__(game, beacon=BEACON)
        if before is not None:
            game.state, game.time = before.state, before.time
            before.twin.gas.clear()  # type: ignore[attr-defined]
        game.send(game.creating(), organizer)
        bills.append(finished(game, submitters))
        before = game
    return bills[0], bills[1], bills[2]


def staked() -> Bill:
    """A committee of four staked seats, with its registry."""
    panel = SeatsPanel(4, 3_000, 500)
    game = StakedGame(
        dict.fromkeys(STAKERS, 1), agreed(panel, SHORT, "beacon", 1), registry=REGISTRY
    )
    game.beacon = BEACON
    return finished(game, 1)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Lines of a Markdown table; all columns but the first are numbers."""
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    for row in rows:
        cells = (f"{each:,}" if isinstance(each, int) else str(each) for each in row)
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def report(bills: dict[int, tuple[Bill, Bill, Bill]], both: Bill, seats: Bill) -> str:
    """The text of docs/gas.md."""
    first, strangers, regulars = bills[1]
    arena, court = (len(shipped(name)["runtime"]) // 2 - 1 for name in NAMES)
    actions = [
        (
            f"`{action}`" + (f", {len(costs)} times" if len(costs) > 1 else ""),
            strangers.most(action),
            regulars.most(action),
            f"under {TARGETS[action]:,}" if action in TARGETS else "",
        )
        for action, costs in regulars.gas.items()
    ]
    whole = ("**all, withdrawals included**", strangers.total, regulars.total, f"under {WHOLE:,}")
    sizes = (
        (
            size,
            bill.total,
            bill.mean("submit"),
            bill.mean("open"),
            bill.mean("submit") + bill.mean("open"),
            bill.mean("finalize"),
            bill.mean("claim"),
        )
        for size, (_, _, bill) in bills.items()
    )
    joined = len(seats.gas.pop("join"))
    return "\n".join(
        [
            _INTRODUCTION,
            f"The arena's code has {arena:,} bytes and the court's {court:,}, of the 24,576 that a "
            "contract may have.",
            "",
            "## One submission",
            "",
            _ONE,
            *table(("action", "new accounts", "known accounts", "target"), [*actions, whole]),
            "",
            f"The very first competition of an arena costs {first.total - strangers.total:,} more, "
            f"{first.total:,} in all with new accounts: it stores the first learning link.",
            "",
            "## More submissions",
            "",
            _MORE,
            *table(
                ("submissions", "all", "`submit`", "`open`", "both", "`finalize`", "`claim`"), sizes
            ),
            "",
            "## Other challenges",
            "",
            "One submission, new accounts.",
            "",
            *table(
                ("action", "seed from contributions and beacon", "committee of 4 staked seats"),
                (
                    *(
                        (f"`{name}`", both.called(name), seats.called(name))
                        for name in (*both.gas, *(seats.gas.keys() - both.gas.keys()))
                    ),
                    ("**all**", both.total, seats.total),
                ),
            ),
            "",
            f"Buying the {joined} seats is left out.",
            "",
        ]
    )


_INTRODUCTION = """\
# Gas

Written by `make gas`, which plays whole competitions on anvil, with mainnet's limit of gas a
transaction. Money is ether. Nothing depends on the size of models and data. For comparison, the
DanKu contract of 2018 takes 4.6 million for a network without a hidden layer and 29.7 million with
160 hidden neurons, its deployment not counted.
"""

_ONE = """\
The seed comes from the beacon, three named validators judge. An account to which an arena owed
something before has a slot that `finalize` fills for less; a new one does not, and that is the
whole difference. Of several calls the dearest is shown.
"""

_MORE = """\
Known validators, new submitters; each opens its submission and has a leaf in the payout tree.
Means of all calls. The target for `submit` and `open` together is under 105,000, whatever their
number. A second submission of the same submitter costs 2,100 more, and a claim of an account that
does not exist 25,000 more.
"""


def main() -> None:
    """Measure, and write docs/gas.md."""
    with tempfile.TemporaryDirectory() as folder:
        options = (*OPTIONS, "--enable-tx-gas-limit")
        with running_node(Path(folder), *options) as node, twins(node):
            bills = {size: named(size) for size in SIZES}
            both = named(1, source="both")[1]
            seats = staked()
    TARGET.write_text(report(bills, both, seats), encoding="utf-8")
    print(TARGET.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
