"""The page of 10,000 submissions in Chromium: seconds until it is drawn and its script is done.

    python tests/bench/bench_page.py [--submissions 10000] [--rounds 7] [--json]

Beside it a page of 100, which has the same rows on its first screen. Rounds alternate; each opens
the file anew. The size is that of index.html: journal and blobs are loaded on demand.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from danku.pages.render import render_board
from tests.pages.chromium import HELP, Chromium, executable
from tests.pages.synthetic import facts

SECONDS_LIMIT = 2.0
BYTES_LIMIT = 3_000_000
FEW = 100


def write(folder: Path, count: int) -> dict[str, Any]:
    """A page in a file, and what writing it took."""
    found = facts(count, names=True)
    started = time.perf_counter()
    data = render_board(found).encode("utf-8")
    seconds = time.perf_counter() - started
    path = folder / f"{count}.html"
    path.write_bytes(data)
    return {"submissions": count, "bytes": len(data), "render_s": round(seconds, 3), "path": path}


def measure(submissions: int, rounds: int) -> list[dict[str, Any]]:
    """Median seconds of each page; a first round is not counted."""
    program = executable()
    if program is None:
        sys.exit(f"Chromium is missing: {HELP}")
    browser = Chromium(program)
    try:
        with tempfile.TemporaryDirectory(prefix="danku-bench-") as name:
            pages = [write(Path(name), count) for count in (FEW, submissions)]
            times: dict[int, list[float]] = {page["submissions"]: [] for page in pages}
            browser.look(1280, 900)
            for number in range(1 + rounds):
                for page in pages:
                    seconds = browser.open(page["path"].as_uri())
                    if number:
                        times[page["submissions"]].append(seconds)
    finally:
        browser.close()
    rows = []
    for page in pages:
        median = statistics.median(times[page["submissions"]])
        ok = median <= SECONDS_LIMIT and page["bytes"] <= BYTES_LIMIT
        rows.append({**page, "path": "", "open_s": round(median, 3), "ok": ok})
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--submissions", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = measure(options.submissions, options.rounds)
    if options.json:
        print(json.dumps({"bench": "page", "results": results}))
    else:
        print(f"{'submissions':>11}  {'bytes':>9}  {'written in s':>12}  {'open in s':>9}")
        for row in results:
            above = "" if row["ok"] else "  ABOVE THE LIMIT"
            print(
                f"{row['submissions']:>11,}  {row['bytes']:>9,}  {row['render_s']:>12.3f}  "
                f"{row['open_s']:>9.3f}{above}"
            )
        print(f"limits: {SECONDS_LIMIT:g} s to open, {BYTES_LIMIT:,} bytes")
    return 0 if all(row["ok"] for row in results) else 1


if __name__ == "__main__":
    sys.exit(main())
