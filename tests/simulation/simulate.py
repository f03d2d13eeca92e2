"""Thousands of challenges on the real rules, with validators and organizers of every kind.

    python tests/simulation/simulate.py [--challenges 1000] [--check]

Writes docs/simulation.md and docs/simulation.png; ends with 1 if a measured rate is further from
the exact one than chance explains. The same seed gives the same table.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import cycle
from math import sqrt
from pathlib import Path
from statistics import fmean
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from msgspec.structs import replace
from rich.progress import track

from tests.protocol.staked import STAKE
from tests.simulation.exact import chances
from tests.simulation.players import (
    DISHONEST,
    OWNERS,
    PANEL,
    SEATS,
    TERMS,
    Behaviour,
    Conduct,
    Play,
    organizer_of,
    registry,
)

DOCS = Path(__file__).parents[2] / "docs"
SHARES = range(0, 43, 3)
MIXES: dict[str, tuple[Behaviour, ...]] = {
    **{behaviour: (behaviour,) for behaviour in DISHONEST},
    "all four": DISHONEST,
}
WITHHOLDING = 0.1
"""The share of organizers that keep their test data."""
DEVIATIONS = 4.5
"""Standard deviations; of 30 measured rates, one beyond by chance once in 5,000 runs."""
HISTORY = 400


@dataclass(frozen=True)
class Point:
    """Many challenges with one mix of dishonest seats."""

    mix: str
    bad: int
    verdicts: Mapping[str, int]
    gains: Mapping[str, float]
    """Of each behaviour: what a seat gained in a challenge, in the mean."""
    organizers: Mapping[str, float]

    @property
    def challenges(self) -> int:
        return sum(self.verdicts.values())

    def rate(self, verdict: str) -> float:
        """How often challenges ended like this."""
        return self.verdicts.get(verdict, 0) / self.challenges


def behaviours(mix: str, bad: int, chance: random.Random) -> dict[str, Behaviour]:
    """Who behaves how: ``bad`` owners at random share the mix evenly, the others are honest."""
    dishonest = dict(zip(chance.sample(OWNERS, bad), cycle(MIXES[mix]), strict=False))
    return {owner: dishonest.get(owner, "honest") for owner in OWNERS}


def measure(job: tuple[str, int, int]) -> Point:
    """One point: every challenge on a fresh registry, so that the chances stay the same."""
    mix, bad, challenges = job
    chance = random.Random(f"{mix} {bad}")
    state, verdicts = registry(), Counter[str]()
    gains, organizers = defaultdict[str, list[int]](list), defaultdict[str, list[int]](list)
    for number in range(challenges):
        play = Play(state, organizer_of(number), behaviours(mix, bad, chance))
        conduct: Conduct = "withholding" if chance.random() < WITHHOLDING else "honest"
        ending = play.play(conduct, chance)
        verdicts[ending.verdict] += 1
        organizers[conduct].append(ending.organizer)
        for owner, gain in ending.gains.items():
            gains[play.behaviours[owner]].append(gain)
    return Point(
        mix,
        bad,
        dict(verdicts),
        {behaviour: fmean(each) for behaviour, each in gains.items()},
        {conduct: fmean(each) for conduct, each in organizers.items()},
    )


def history(challenges: int) -> dict[str, list[float]]:
    """Balance of a seat by behaviour, stake included, while one registry lives on."""
    chance = random.Random("history")
    members = behaviours("all four", SEATS // 4, chance)
    groups = defaultdict[str, list[str]](list)
    for owner, behaviour in members.items():
        groups[behaviour].append(owner)
    state, balances = registry(), dict.fromkeys(OWNERS, STAKE)
    lines: dict[str, list[float]] = {behaviour: [float(STAKE)] for behaviour in groups}
    for number in range(challenges):
        play = Play(state, organizer_of(number), members)
        for owner, gain in play.play("honest", chance).gains.items():
            balances[owner] += gain
        for behaviour, owners in groups.items():
            lines[behaviour].append(fmean(balances[owner] for owner in owners))
        # NOTE: what is over is forgotten, or each step would copy a longer and longer table.
        state = replace(play.state, challenges={}, created={})
    return lines


def far_off(points: Iterable[Point]) -> list[str]:
    """The rates of one colluding group that chance does not explain."""
    found = []
    for point in points:
        if point.mix != "colluding":
            continue
        exact = chances(SEATS, point.bad, PANEL.seats)
        for verdict, expected in (("wrong", exact.captured), ("right", exact.right)):
            p = float(expected)
            allowed = DEVIATIONS * sqrt(p * (1 - p) / point.challenges) + 1 / point.challenges
            if abs(point.rate(verdict) - p) > allowed:
                found.append(f"{point.bad} seats: {verdict} {point.rate(verdict):.4f}, not {p:.4f}")
    return found


def page(points: Sequence[Point], lines: Mapping[str, Sequence[float]]) -> str:
    """The table for people."""
    challenges = sum(point.challenges for point in points)
    parts = [
        "# Simulation of staked validators",
        "",
        f"`make simulate` plays {challenges:,} challenges on the very rules of `danku.protocol`, "
        "every action of every role, and writes this page.",
        "",
        f"{SEATS} seats of one owner each and a stake of {STAKE:,}; a committee of {PANEL.seats}; "
        f"the minority share is {PANEL.minority_share / 100:g} %, the silence share "
        f"{PANEL.silence_share / 100:g} % of a stake; a fee of {int(TERMS.reward.fee):,}; "
        f"{WITHHOLDING:.0%} of the organizers withhold their test data, which makes the right "
        "outcome `train-fallback`. Each challenge has fresh seats, so the chances stay the same.",
        "",
        "- **colluding**: all vote for one forged result. **lazy**: each votes for a guess of its "
        "own. **copying**: commits to another's commitment, and can never open it. **silent**: "
        "never votes.",
        "- **wrong**: a forged result was decided. **none**: no result in two rounds; the pot goes "
        "back.",
        "",
        "![Wrong outcomes, gains and balances](simulation.png)",
        "",
        "## One colluding group, measured and exact",
        "",
        "The number of colluding seats in a committee is hypergeometric, in the second round from "
        "the seats that are left (`tests/simulation/exact.py`).",
        "",
        "| colluding stake | challenges | wrong | exact | none | exact | right | exact |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for point in points:
        if point.mix == "colluding":
            exact = chances(SEATS, point.bad, PANEL.seats)
            cells = [f"{point.bad / SEATS:.0%}", f"{point.challenges:,}"]
            for verdict, expected in zip(
                ("wrong", "none", "right"), (exact.captured, exact.none, exact.right), strict=True
            ):
                cells += [f"{point.rate(verdict):.4f}", f"{float(expected):.4f}"]
            parts.append("| " + " | ".join(cells) + " |")
    parts += ["", "## Other mixes", ""]
    parts += ["| mix | dishonest stake | wrong | none | right | gain of a seat in a challenge |"]
    parts += ["| --- | ---: | ---: | ---: | ---: | --- |"]
    for point in points:
        if point.mix != "colluding" and point.bad % 12 == 0 and point.bad:
            rates = " | ".join(f"{point.rate(each):.3f}" for each in ("wrong", "none", "right"))
            gains = ", ".join(f"{who} {gain:+.1f}" for who, gain in sorted(point.gains.items()))
            parts.append(f"| {point.mix} | {point.bad / SEATS:.0%} | {rates} | {gains} |")
    told = {
        conduct: fmean(p.organizers[conduct] for p in points if conduct in p.organizers)
        for conduct in ("honest", "withholding")
    }
    parts += [
        "",
        "## Organizers",
        "",
        "What an organizer gets back, less what it paid in (a pot of "
        f"{int(TERMS.reward.pot):,}, a fee of {int(TERMS.reward.fee):,} and a bond of "
        f"{int(TERMS.reward.organizer_bond):,}), in the mean of all mixes: honest "
        f"{told['honest']:+,.0f}, withholding {told['withholding']:+,.0f}. Where nothing is "
        "decided the pot goes back.",
        "",
        "## One registry that lives on",
        "",
        f"A quarter of the seats is dishonest, in equal parts. After {len(lines['honest']) - 1} "
        "challenges a seat is worth, stake included: "
        + ", ".join(f"{who} {line[-1]:,.0f}" for who, line in sorted(lines.items()))
        + ". A seat with less than half of its stake left has been ended, so the dishonest ones "
        "leave the registry.",
        "",
    ]
    return "\n".join(parts)


def draw(points: Sequence[Point], lines: Mapping[str, Sequence[float]], target: Path) -> None:
    """The three plots."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, middle, right) = pyplot.subplots(1, 3, figsize=(15, 4.6), layout="constrained")
    colluding = [point for point in points if point.mix == "colluding"]
    shares = [100 * point.bad / SEATS for point in colluding]
    fine = range(SHARES[-1] + 1)
    for verdict, name, colour in (
        ("wrong", "captured", "#d55e00"),
        ("none", "none", "#999999"),
        ("right", "right", "#0072b2"),
    ):
        exact = [float(getattr(chances(SEATS, bad, PANEL.seats), name)) for bad in fine]
        left.plot(
            [100 * bad / SEATS for bad in fine], exact, color=colour, label=f"{verdict}, exact"
        )
        left.plot(shares, [p.rate(verdict) for p in colluding], "o", color=colour, label="measured")
    left.set(title="One colluding group", xlabel="colluding stake, %", ylabel="share of challenges")
    left.legend(fontsize="small")
    colours = dict(zip(("honest", *DISHONEST), _COLOURS, strict=True))
    mixed = [point for point in points if point.mix == "all four"]
    for behaviour, colour in colours.items():
        seen = [point for point in mixed if behaviour in point.gains]
        middle.plot(
            [100 * point.bad / SEATS for point in seen],
            [point.gains[behaviour] for point in seen],
            "o-",
            color=colour,
            label=behaviour,
        )
        right.plot(lines[behaviour], color=colour, label=behaviour)
    middle.axhline(0, color="black", linewidth=0.6)
    middle.set(title="Gain of a seat in a challenge", xlabel="dishonest stake, %", ylabel="units")
    right.set(title="Worth of a seat, stake included", xlabel="challenges", ylabel="units")
    for axes in (middle, right):
        axes.legend(fontsize="small")
    figure.savefig(target, dpi=90, metadata={"Software": None})


_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")


def main() -> int:
    """Run, write, and say whether the measured rates are explained."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--challenges", type=int, default=1_000, help="of each point")
    parser.add_argument("--check", action="store_true", help="write nothing")
    options: Any = parser.parse_args()
    jobs = [
        (mix, bad, options.challenges if mix == "colluding" else max(options.challenges // 4, 1))
        for mix in MIXES
        for bad in SHARES
    ]
    with ProcessPoolExecutor() as processes:
        played = processes.submit(history, min(HISTORY, options.challenges))
        points = list(track(processes.map(measure, jobs), "playing", total=len(jobs)))
        lines = played.result()
    wrong = far_off(points)
    if not options.check:
        (DOCS / "simulation.md").write_text(page(points, lines), "utf-8")
        draw(points, lines, DOCS / "simulation.png")
    total = sum(point.challenges for point in points)
    print(f"{total:,} challenges played; {len(wrong)} rates are not explained by chance")
    for each in wrong:
        print(each)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
