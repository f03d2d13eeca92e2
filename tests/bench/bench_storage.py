"""A large blob through the store, beside the bare client on the same daemon.

    python tests/bench/bench_storage.py [--megabytes 1000] [--json]

Needs the daemon that `make peers` installs. Every measurement runs in a process of its own, whose
peak memory is ru_maxrss; store and bare client take turns, each over bytes that the daemon has not
seen, and the medians count. The bare client adds from the disk, and writes what it fetches to it;
the store does both through its cache, as `danku storage fetch` does. Neither syncs what it fetched.
"""

from __future__ import annotations

import argparse
import filecmp
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
RATIO_LIMIT = 0.5
PEAK_LIMIT_MB = 200
ROUNDS = 3


def make(path: Path, megabytes: int) -> None:
    import os

    with path.open("wb") as file:
        for _ in range(megabytes):
            file.write(os.urandom(10**6))


def bare(api: str, folder: Path, what: str) -> None:
    warnings.simplefilter("ignore")
    import ipfshttpclient

    client = ipfshttpclient.Client(api, timeout=300)
    client.version()
    started = time.perf_counter()
    if what == "add":
        modern = {"cid_version": 1, "raw_leaves": True, "opts": {"cid-base": "base32"}}
        cid = client.add(folder / "blob", **modern)["Hash"]
        (folder / "cid").write_text(cid)
    else:
        with (folder / "target").open("wb") as target:
            for part in client.cat((folder / "cid").read_text(), stream=True):
                target.write(part)
    report(started)


def ours(api: str, folder: Path, what: str) -> None:
    from danku.storage.opening import open_store
    from danku.storage.settings import StorageSettings

    settings = StorageSettings(kind="ipfs", api=api, cache=f"cache-{what}")
    store = open_store(settings, folder, folder / "shared", folder / "private")
    store.node.version()  # loads the library
    started = time.perf_counter()
    if what == "add":
        (folder / "cid").write_text(store.put_file(folder / "blob"))
    else:
        cid = (folder / "cid").read_text()
        store.obtain(cid, None)
    report(started)
    if what == "fetch":
        (store.cache.folder / cid).rename(folder / "target")


def report(started: float) -> None:
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1_024
    print(json.dumps({"seconds": seconds, "peak_mb": peak / 10**6}))


def measure(*arguments: object) -> dict[str, float]:
    command = [sys.executable, __file__, *map(str, arguments)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return dict(json.loads(output))


def compare(megabytes: int) -> list[dict[str, object]]:
    from tests.storage.daemons import daemon

    taken: dict[tuple[str, str], list[dict[str, float]]] = {}
    for turn in range(ROUNDS):
        for who in ("bare", "ours") if turn % 2 else ("ours", "bare"):
            with tempfile.TemporaryDirectory() as name, daemon(Path(name) / "repository") as real:
                make(Path(name) / "blob", megabytes)
                for what in ("add", "fetch"):
                    found = measure(who, real.api, name, what)
                    taken.setdefault((who, what), []).append(found)
                same = filecmp.cmp(Path(name) / "blob", Path(name) / "target", shallow=False)
                assert same, f"{who}: other bytes came back"
    rows = []
    for what in ("add", "fetch"):
        rates = {
            who: megabytes / statistics.median(each["seconds"] for each in taken[who, what])
            for who in ("bare", "ours")
        }
        peak = max(each["peak_mb"] for each in taken["ours", what])
        ratio = rates["ours"] / rates["bare"]
        rows.append(
            {
                "what": what,
                "megabytes": megabytes,
                "bare_mb_per_second": rates["bare"],
                "ours_mb_per_second": rates["ours"],
                "ratio": ratio,
                "peak_mb": peak,
                "ok": ratio >= RATIO_LIMIT and peak <= PEAK_LIMIT_MB,
            }
        )
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    sys.path.insert(0, str(REPOSITORY))
    if not (REPOSITORY / ".peers" / "node_modules").is_dir():
        print("there is no daemon to measure against: make peers")
        return 0
    results = compare(options.megabytes)
    if options.json:
        print(json.dumps({"bench": "storage", "results": results}))
    else:
        print("          MB  bare MB/s  ours MB/s  ratio  peak MB")
        for each in results:
            print(
                f"{each['what']:6}{each['megabytes']:6}  {each['bare_mb_per_second']:9.0f}"
                f"  {each['ours_mb_per_second']:9.0f}  {each['ratio']:5.2f}  {each['peak_mb']:7.0f}"
                + ("" if each["ok"] else "  OUT OF LIMITS")
            )
        print(f"limits: ratio {RATIO_LIMIT}, peak {PEAK_LIMIT_MB} MB")
    return 0 if all(each["ok"] for each in results) else 1


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["bare", api, folder, what]:
            bare(api, Path(folder), what)
        case ["ours", api, folder, what]:
            ours(api, Path(folder), what)
        case _:
            sys.exit(main())
