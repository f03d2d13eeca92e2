"""`danku --help`, as a multiple of importing what it is made of.

    python tests/bench/bench_cli.py [--rounds 15] [--json]

Both start a Python; rounds alternate, so that a busy moment slows both. Medians are compared.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time

RATIO_LIMIT = 2.5
LEAST_ROUNDS = 7
COMMANDS = {
    "python -c 'import typer, rich'": ["-c", "import typer, rich"],
    "danku --help": ["-m", "danku", "--help"],
}
"""The first one is what the others are compared with."""


def seconds(words: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def measure(rounds: int) -> list[dict[str, object]]:
    """Median seconds of each command; a first round only warms the disk's cache."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for number in range(1 + rounds):
        for name, words in COMMANDS.items():
            taken = seconds(words)
            if number:
                times[name].append(taken)
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    base = next(iter(medians.values()))
    return [
        {
            "command": name,
            "rounds": rounds,
            "seconds": round(median, 4),
            "ratio": round(median / base, 2),
            "ok": median / base <= RATIO_LIMIT,
        }
        for name, median in medians.items()
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.rounds < LEAST_ROUNDS:
        parser.error(f"a median takes at least {LEAST_ROUNDS} rounds")
    results = measure(options.rounds)
    if options.json:
        print(json.dumps({"bench": "cli", "results": results}))
    else:
        print(f"{'command':32}  {'median s':>8}  {'ratio':>5}")
        for each in results:
            above = "" if each["ok"] else "  ABOVE THE LIMIT"
            print(f"{each['command']:32}  {each['seconds']:8.3f}  {each['ratio']:5.2f}{above}")
        print(f"limit: ratio {RATIO_LIMIT}")
    return 0 if all(each["ok"] for each in results) else 1


if __name__ == "__main__":
    sys.exit(main())
