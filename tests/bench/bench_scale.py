"""10,000 submissions, 50 validators and a committee of 16 seats, played to the end.

    python tests/bench/bench_scale.py [--submissions 10000] [--json]

Commands are processes of their own, as a user starts them, on the clock's time. The first validator
evaluates every model; the others of the committee reuse what it found. Each validator's first look
checks every signature of the journal, and so does a submitter who comes only to claim.
"two workers" is the throughput of a pool of two over that of two independent processes that
evaluate in a plain loop, the least disturbed of some turns each. Memory is the largest process's.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from danku.evaluation.pool import Pool
from danku.evaluation.work import Work
from danku.ledger.embedded.verification import verify_journal
from danku.roles.evidence import gather_evidence
from danku.roles.workspace import Workspace
from tests.roles.arena import key_of
from tests.scale.crowd import JUDGES, UNTIL_VOTES, Crowd

REPOSITORY = Path(__file__).parents[2]
RATE, RATIO = 2_000, 0.9
SECONDS = {"status": 5.0, "board": 5.0, "vote, remembered": 15.0}
"""With the state cached, at 10,000 submissions."""
TURNS = 5
TIMED = 2_000
"""Models in a turn, at most."""

INDEPENDENT = """
import pickle, sys, time
from danku.evaluation.evaluate import evaluate
models, work = pickle.load(sys.stdin.buffer)
def judge(model):
    return evaluate(model, work.features, work.target, work.manifest)
for model in models[:20]:
    judge(model)
print("ready", flush=True)
sys.stdin.readline()
started = time.perf_counter()
for model in models:
    judge(model)
print(time.perf_counter() - started)
"""


class Timed:
    """One command that was run."""

    def __init__(self, root: Path, who: str, *words: str) -> None:
        main = "import sys; from danku.cli.app import main; sys.exit(main())"
        environment = {
            **os.environ,
            "PYTHONPATH": str(REPOSITORY),
            "DANKU_PRIVATE_KEY": "0x" + key_of(who).unsafe_secret().hex(),
        }
        arguments = (*words, "--workspace", str(root / who))
        started = time.perf_counter()
        with subprocess.Popen(
            [sys.executable, "-c", main, *arguments], env=environment, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            self.out = process.stdout.read()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        self.seconds = time.perf_counter() - started
        self.megabytes = usage.ru_maxrss / 1024
        if process.returncode:
            raise SystemExit(f"danku {' '.join(words)} ended with {process.returncode}")


def build(root: Path, submissions: int) -> Crowd:
    """Everything up to the window in which the committee votes, which is open now."""
    return Crowd(root, submissions, start=int(time.time()) - UNTIL_VOTES - 5).until_votes()


def replayed(root: Path, found: dict[str, float]) -> None:
    """Actions a second: everything checked, and replayed up to a remembered head."""
    journal = root / "public" / "ledger.jsonl"
    started = time.perf_counter()
    actions = verify_journal(journal).lines - 1
    verified = time.perf_counter()
    Workspace(root / JUDGES[0], use_cache=False).state()
    Workspace(root / JUDGES[0], use_cache=False).state()
    opened = time.perf_counter()
    Workspace(root / JUDGES[0], use_cache=False).state()
    ended = time.perf_counter()
    found["actions"] = actions
    found["checked, actions/s"] = actions / (verified - started)
    found["replay, actions/s"] = actions / (ended - opened)


def played(root: Path, crowd: Crowd) -> dict[str, float]:
    """Seconds of each command, in the order of a challenge's last stages."""
    first, found = JUDGES[0], dict[str, float]()
    replayed(root, found)
    most = 0.0

    def run(name: str, who: str, *words: str) -> bytes:
        nonlocal most
        done = Timed(root, who, *words)
        most = max(most, done.megabytes)
        found[name] = done.seconds
        return done.out

    run("status, first", first, "status")
    run("status", first, "status")
    run("board, all as JSON", first, "board", crowd.identity, "--json")
    run("board", first, "board", crowd.identity)
    for name in JUDGES:
        with (root / name / "danku.toml").open("a") as file:
            file.write('evaluations = "../evaluations"\n')
    run("preview, all evaluated", first, "validator", "run", "--dry-run", "--json")
    models = len(set(crowd.models))
    found["models"] = models
    found["models/s"] = models / found["preview, all evaluated"]
    run("convene", first, "validator", "run", "--json", "--ci")
    names = {key_of(name).address: name for name in JUDGES}
    state = Workspace(root / first).state()
    committee = state.challenges[crowd.identity].rounds[1].committee
    seated = list(dict.fromkeys(names[owner] for owner in committee))
    votes = []
    for name in seated:
        run("first look, all checked", name, "status", "--json")
        run("vote, remembered", name, "validator", "run", "--json", "--ci")
        votes.append(found["vote, remembered"])
    found["vote, remembered"] = max(votes)
    run("advance time", first, "ledger", "advance-time", "7h", "--yes")
    for name in seated:
        run("open vote", name, "validator", "run", "--json", "--ci")
    run("advance time", first, "ledger", "advance-time", "8h", "--yes")
    run("finalize", first, "validator", "run", "--json", "--ci")
    crowd.join("entrant-1")
    run("claim of one of all", "entrant-1", "claim", "--json")
    run("board, decided", first, "board", crowd.identity)
    report = json.loads(run("verify", first, "verify", crowd.identity, "--json"))
    assert report["ok"], report
    found["memory, MB"] = most
    return found


def two_workers(root: Path, crowd: Crowd) -> float:
    """The throughput of a pool of two workers over that of two independent processes."""
    workspace = Workspace(root / JUDGES[0])
    challenge = workspace.challenge(crowd.identity)
    manifest = workspace.manifest(challenge)
    rows = gather_evidence(workspace, challenge, manifest).rows
    assert rows is not None
    work = Work(rows.features, rows.target, manifest)
    models = list(dict.fromkeys(crowd.models))[:TIMED]
    with Pool(2) as pool:

        def pooled(some: Sequence[bytes]) -> float:
            started = time.perf_counter()
            named = ((str(place), model) for place, model in enumerate(some))
            for _ in pool.evaluate_each(named, work.features, work.target, manifest):
                pass
            return time.perf_counter() - started

        pooled(models[:64])
        turns = [(independent(models, work), pooled(models)) for _ in range(TURNS)]
    return min(alone for alone, _ in turns) / min(together for _, together in turns)


def independent(models: Sequence[bytes], work: Work) -> float:
    """Seconds that two processes take for half of the models each, side by side."""
    halves = [pickle.dumps((models[place::2], work)) for place in range(2)]
    children: list[Any] = [
        subprocess.Popen(
            [sys.executable, "-c", INDEPENDENT],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in halves
    ]
    for child, half in zip(children, halves, strict=True):
        child.stdin.write(half)
        child.stdin.flush()
    for child in children:
        assert child.stdout.readline() == b"ready\n"
    for child in children:
        child.stdin.write(b"\n")
        child.stdin.flush()
    return max(float(child.communicate()[0]) for child in children)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--submissions", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "crowd"
        crowd = build(root, options.submissions)
        ratio = two_workers(root, crowd)
        found = played(root, crowd) | {"two workers": ratio}
    good = {name: found[name] <= limit for name, limit in SECONDS.items()}
    good |= {name: found[name] >= RATE for name in ("replay, actions/s", "checked, actions/s")}
    good["two workers"] = ratio >= RATIO
    if options.json:
        print(json.dumps({"bench": "scale", "results": found, "ok": good}))
    else:
        for name, value in found.items():
            print(
                f"{name:28}{value:12,.2f}" + ("" if good.get(name, True) else "  BEYOND THE LIMIT")
            )
    return 0 if all(good.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
