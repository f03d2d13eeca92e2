"""Committing to a data set, as a multiple of hashing the same bytes with keccak alone.

    python tests/bench/bench_commit.py [--megabytes 1000] [--csv-megabytes 100] [--json]

Every measurement runs in a process of its own, whose peak memory is ru_maxrss. The limits hold
for the memory-mapped .npy; CSV is reported beside it, since reading text is the longer part.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RATIO_LIMIT = 3.0
PEAK_LIMIT_MB = 500
GROUP_BYTES = 2**18
CLASSES = ("0", "1", "2")
ROUNDS = 3


def make(folder: Path, kind: str, megabytes: int, columns: int) -> None:
    import numpy as np

    generator = np.random.default_rng(1)
    block = 4_096
    if kind == "npy":
        rows = megabytes * 10**6 // (4 * columns)
        shape = (rows, columns)
        features = np.lib.format.open_memmap(folder / "data.npy", "w+", np.float32, shape)
        for start in range(0, rows, block):
            part = features[start : start + block]
            part[:] = generator.standard_normal(part.shape, np.float32)
        features.flush()
        np.save(folder / "target.npy", np.arange(rows) % len(CLASSES))
        return
    with (folder / "data.csv").open("w") as file:
        file.write(",".join(f"x{column}" for column in range(columns)) + ",target\n")
        row = 0
        while file.tell() < megabytes * 10**6:
            for values in generator.standard_normal((block, columns)).tolist():
                cells = [f"{value:.6g}" for value in values]
                file.write(",".join(cells) + f",{row % len(CLASSES)}\n")
                row += 1


def hash_alone(path: Path) -> None:
    from danku.crypto.hashing import Keccak

    started = time.perf_counter()
    hasher = Keccak()
    with path.open("rb") as file:
        while part := file.read(2**20):
            hasher.update(part)
    hasher.digest()
    report(started)


def commit(path: Path, columns: int) -> None:
    from danku.crypto.commitments import random_secret
    from danku.dataset.commit import commit_groups
    from danku.dataset.groups import plan_groups
    from danku.dataset.sources import read_source

    started = time.perf_counter()
    table = read_source(
        path, "target", dtype="float32", row_shape=(columns,), classes=CLASSES, group_by=None
    )
    plan = plan_groups(table.rows, GROUP_BYTES // (4 * columns), random_secret())
    groups = commit_groups(table, plan, path.parent / "groups", nonces=random_secret)
    report(started, rows=table.rows, groups=len(groups))


def report(started: float, **counts: int) -> None:
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1_024
    )
    print(json.dumps({"seconds": seconds, "peak_mb": peak / 10**6, **counts}))


def measure(*arguments: object) -> dict[str, float]:
    command = [sys.executable, __file__, *map(str, arguments)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return dict(json.loads(output)) if output else {}


def compare(kind: str, megabytes: int, columns: int) -> dict[str, object]:
    """The round with the smallest ratio: what noise on the machine adds is not ours."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / f"data.{kind}"
        measure("make", folder, kind, megabytes, columns)
        rounds = []
        for _ in range(ROUNDS):
            alone = measure("hash", path)
            committed = measure("commit", path, columns)
            shutil.rmtree(folder / "groups")
            rounds.append(
                {
                    "source": kind,
                    "columns": columns,
                    "megabytes": round(path.stat().st_size / 10**6),
                    "rows": committed["rows"],
                    "groups": committed["groups"],
                    "keccak_seconds": alone["seconds"],
                    "commit_seconds": committed["seconds"],
                    "ratio": committed["seconds"] / alone["seconds"],
                    "peak_mb": committed["peak_mb"],
                }
            )
    best = min(rounds, key=lambda each: each["ratio"])
    best["peak_mb"] = max(each["peak_mb"] for each in rounds)
    if kind == "npy":
        best["ok"] = best["ratio"] <= RATIO_LIMIT and best["peak_mb"] <= PEAK_LIMIT_MB
    return best


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1_000)
    parser.add_argument("--csv-megabytes", type=int, default=100)
    parser.add_argument("--columns", type=int, nargs="+", default=[256, 30])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = [compare("npy", options.megabytes, columns) for columns in options.columns]
    results.append(compare("csv", options.csv_megabytes, options.columns[-1]))
    if options.json:
        print(json.dumps({"bench": "commit", "results": results}))
    else:
        print("source  columns      rows  groups    MB  keccak s  commit s  ratio  peak MB")
        for each in results:
            print(
                f"{each['source']:6}  {each['columns']:7}  {each['rows']:8}  {each['groups']:6}"
                f"  {each['megabytes']:4}  {each['keccak_seconds']:8.2f}"
                f"  {each['commit_seconds']:8.2f}  {each['ratio']:5.2f}  {each['peak_mb']:7.0f}"
                + ("" if each.get("ok", True) else "  ABOVE THE LIMIT")
            )
        print(f"limits for npy: ratio {RATIO_LIMIT}, peak {PEAK_LIMIT_MB} MB")
    return 0 if all(each.get("ok", True) for each in results) else 1


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["make", folder, kind, megabytes, columns]:
            make(Path(folder), kind, int(megabytes), int(columns))
        case ["hash", path]:
            hash_alone(Path(path))
        case ["commit", path, columns]:
            commit(Path(path), int(columns))
        case _:
            sys.exit(main())
