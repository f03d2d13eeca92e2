"""A small competition, played through the roles on a clock that shows what it is told to."""

from __future__ import annotations

import copy
import csv
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from onnx import TensorProto, helper, numpy_helper

from danku.crypto.hashing import keccak
from danku.crypto.signatures import PrivateKey
from danku.evaluation.evaluate import Verdict, evaluate, said_array, said_bytes
from danku.evaluation.work import Work, Yardstick
from danku.ledger.embedded.genesis import create_journal
from danku.protocol.actions import Action, Convene, Draw, Finalize
from danku.protocol.manifest import Manifest
from danku.protocol.result import Result
from danku.protocol.state import Challenge
from danku.protocol.terms import RegistryTerms
from danku.protocol.types import BURN_ADDRESS, Digest
from danku.roles import organizer, seeds, submitter, validator
from danku.roles.assessment import Assessment, assess, ballot_of, payouts_of
from danku.roles.auditor import Report, verify
from danku.roles.claims import claim_all
from danku.roles.setup import make_workspace
from danku.roles.workspace import Workspace

START = 1_700_000_000
FUNDS = 100_000
ORGANIZER = "organizer"
SUBMITTERS = ("alice", "bob", "carol")
VALIDATORS = ("vera", "victor", "viola")
PEOPLE = (ORGANIZER, *SUBMITTERS, *VALIDATORS)

POT, FEE, BOND, SEED_DEPOSIT, STAKE, ENTRY = 10_000, 900, 5_000, 100, 200, 10

TOML = """
[challenge]
name = "small"
title = "A small competition"
summary = "Yes or no?"

[data]
source = "../private/data.csv"
target = "kind"
group_rows = 4
test_fraction = 0.3
shuffle = false

[evaluation]
metric = "accuracy"
threshold = "0.6"
batch = 8

[model]
shape = [2]
output = "label"
classes = ["no", "yes"]

[schedule]
contribute = "1h"
open_seed = "2h"
reveal_train = "3h"
submit = "4d"
open = "5h"
reveal_test = "6h"
vote = "7h"
open_vote = "8h"

[reward]
pot = "10_000"
fee = 900
organizer_bond = "5000"
contribution_deposit = 100
submission_bond = 200
entry_fee = 10
max_submissions = 3
max_entries = 20
mechanism = "winner-takes-all"

[validators]
panel = "named"
addresses = []
min_contributions = 1
"""

SHIFTS = {"alice": 0.0, "bob": 2.0, "carol": 4.0}
"""Each submitter's model says yes above its shift: right in 4, 3 and 2 of every 4 rows."""


class Clock:
    """A clock that shows what it is told to."""

    def __init__(self, now: int = START) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


class InProcess:
    """Stands in for the worker process: the same function, without a start-up second."""

    took = 0.0

    def __enter__(self) -> InProcess:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def evaluate(self, model: bytes, features: Any, target: Any, manifest: Manifest) -> Verdict:
        return evaluate(model, features, target, manifest)

    def judge(
        self, models: Sequence[bytes], work: Work, measured: Sequence[int] = ()
    ) -> list[Verdict]:
        return [self._judge(model, work, place in measured) for place, model in enumerate(models)]

    def _judge(self, model: bytes, work: Work, measured: bool) -> Verdict:
        verdict = self.evaluate(model, work.features, work.target, work.manifest)
        apart = work.yardstick
        if not measured or apart is None or verdict.status == "rejected":
            return verdict
        second = self.evaluate(model, apart.features, apart.target, work.manifest)
        score = second.score if second.status == "scored" else None
        return msgspec.structs.replace(verdict, yardstick=score)

    def predict(self, model: bytes, work: Work) -> tuple[Verdict, Any]:
        verdict = self.evaluate(model, work.features, work.target, work.manifest)
        said = said_bytes(model, work.features, work.manifest) if not verdict.reason else b""
        return verdict, said_array(said, work.manifest)

    def evaluate_each(
        self,
        models: Iterable[tuple[Digest, bytes]],
        features: Any,
        target: Any,
        manifest: Manifest,
        yardstick: Yardstick | None = None,
    ) -> Iterator[tuple[Digest, Verdict]]:
        work = Work(features, target, manifest, yardstick)
        for name, model in models:
            yield name, self._judge(model, work, bool(work.measured([name])))


def no_worker() -> Any:
    """A worker for checks that must end before anything is evaluated."""
    raise AssertionError("the check went on to the evaluation")


@cache
def key_of(name: str) -> PrivateKey:
    """Everybody's key follows from their name."""
    return PrivateKey.from_bytes(keccak(b"key of", name.encode()))


@cache
def model(shift: float) -> bytes:
    """Says yes where the first feature is above ``shift``."""
    weights = numpy_helper.from_array(np.array([[0, 1], [0, 0]], np.float32), "weights")
    bias = numpy_helper.from_array(np.array([0, -shift], np.float32), "bias")
    nodes = [
        helper.make_node("Gemm", ["features", "weights", "bias"], ["scores"]),
        helper.make_node("ArgMax", ["scores"], ["label"], axis=1, keepdims=0),
    ]
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", 2])
    label = helper.make_tensor_value_info("label", TensorProto.INT64, ["batch"])
    graph = helper.make_graph(nodes, "shift", [features], [label], [weights, bias])
    opset = [helper.make_opsetid("", 17)]
    made: bytes = helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()
    return made


def write_data(path: Path, groups: int = 10) -> None:
    """Groups of four rows, alike up to the row's number, so that every split scores alike."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["level", "number", "kind"])
        for row in range(4 * groups):
            level = (-3, -1, 1, 3)[row % 4]
            writer.writerow([level, row, "yes" if level > 0 else "no"])


def edited(text: str, changes: Mapping[str, str]) -> str:
    """A challenge.toml in which each key's line has another value, as TOML spells it."""
    for key, value in changes.items():
        lines = text.splitlines()
        places = [place for place, line in enumerate(lines) if line.startswith(f"{key} = ")]
        assert len(places) == 1, f"{key} stands in {len(places)} lines"
        lines[places[0]] = f"{key} = {value}"
        text = "\n".join(lines) + "\n"
    return text


class Arena:
    """Players with a workspace each around one public folder; honest unless told otherwise."""

    registry: RegistryTerms | None = None
    start = START

    def __init__(self, root: Path, **changes: str) -> None:
        self.root = root
        self.clock = Clock(self.start)
        self.public = root / "public"
        self.public.mkdir(parents=True)
        create_journal(
            self.public / "ledger.jsonl",
            sandbox=True,
            play_money=FUNDS,
            treasurer=None,
            sequencer=None,
            clock=self.clock,
            registry=self.registry,
        )
        self.players = {name: self.join(name) for name in PEOPLE}
        self.changes = changes
        self.identity = ""

    def join(self, name: str) -> Workspace:
        """A new workspace on the public folder."""
        make_workspace(self.root / name, join=self.public)
        return Workspace(self.root / name, clock=self.clock)

    def __getitem__(self, name: str) -> tuple[Workspace, PrivateKey]:
        """What a role's function takes first."""
        return self.players[name], key_of(name)

    def fork(self, root: Path) -> Arena:
        """A copy in a new folder that goes its own way from here."""
        shutil.copytree(self.root, root)
        twin = copy.copy(self)
        twin.root, twin.public, twin.clock = root, root / "public", Clock(self.clock.now)
        twin.players = {name: Workspace(root / name, clock=twin.clock) for name in PEOPLE}
        return twin

    @property
    def host(self) -> Workspace:
        return self.players[ORGANIZER]

    @property
    def challenge(self) -> Challenge:
        return self.host.challenge(self.identity)

    @property
    def manifest(self) -> Manifest:
        return self.host.manifest(self.challenge)

    def wait(self, window: str) -> None:
        """Let time go by until a window, named by the field of `Windows`, is over."""
        self.clock.now = max(self.clock.now, getattr(self.challenge.windows, window))

    def send(self, name: str, action: Action, value: int = 0) -> None:
        self.players[name].send(key_of(name), action, value)

    def gains(self) -> dict[str, int]:
        """What everybody has in hand beyond what they began with."""
        found = {name: self.host.ledger.balance(key_of(name).address) - FUNDS for name in PEOPLE}
        return {name: gain for name, gain in found.items() if gain}

    def burned(self) -> int:
        """What nobody will ever have again."""
        state = self.host.state()
        return state.credits.get(BURN_ADDRESS, 0) + state.paid.get(BURN_ADDRESS, 0)

    def draft(self) -> organizer.Draft:
        """The challenge as the organizer writes it."""
        self.write_data(self.host.root / "private" / "data.csv")
        file = self.host.root / "challenges" / "challenge.toml"
        file.write_text(self.text(), "utf-8")
        return organizer.read_draft(file)

    def write_data(self, path: Path) -> None:
        """The organizer's rows."""
        write_data(path)

    def text(self) -> str:
        """The organizer's challenge.toml."""
        panel = ", ".join(f'"{key_of(name).address}"' for name in VALIDATORS)
        return edited(TOML, {"addresses": f"[{panel}]", **self.changes})

    def create(self) -> None:
        self.identity = organizer.create(*self[ORGANIZER], self.draft()).id

    def contribute(self, *names: str) -> None:
        for name in names or VALIDATORS:
            seeds.contribute(*self[name], self.identity)

    def open_seeds(self, *names: str) -> None:
        self.wait("contribute")
        for name in names or (ORGANIZER, *VALIDATORS):
            seeds.open_seed(*self[name], self.identity)

    def draw(self) -> None:
        self.wait("open_seed")
        self.send("carol", Draw(self.identity))

    def reveal_train(self) -> None:
        organizer.reveal(*self[ORGANIZER], self.identity, "train")

    def submit(self, **models: bytes) -> None:
        entered = models or {name: model(shift) for name, shift in SHIFTS.items()}
        for name, data in entered.items():
            submitter.submit(*self[name], self.identity, data)

    def open(self, *names: str) -> None:
        self.wait("submit")
        for name in names or SUBMITTERS:
            submitter.open_all(*self[name], self.identity)

    def reveal_test(self) -> None:
        self.wait("open")
        organizer.reveal(*self[ORGANIZER], self.identity, "test")

    def convene(self) -> None:
        self.wait("reveal_test")
        self.send("vera", Convene(self.identity))

    def assess(self, name: str = "vera") -> Assessment:
        return assess(self.players[name], self.challenge, InProcess())  # type: ignore[arg-type]

    def vote(self, **votes: Assessment) -> None:
        for name, assessment in (votes or dict.fromkeys(VALIDATORS, self.assess())).items():
            validator.cast_vote(*self[name], self.identity, assessment)

    def open_votes(self, *names: str) -> None:
        self.wait("vote")
        for name in names or VALIDATORS:
            validator.open_vote(*self[name], self.identity)

    def finalize(self) -> None:
        self.wait("open_vote")
        self.send("bob", Finalize(self.identity))

    def claim(self) -> None:
        for name in PEOPLE:
            claim_all(*self[name])

    def play(self, until: str = "claim", since: str = "") -> Arena:
        """All steps up to one, or only those after another, everybody being honest."""
        names = [step.__name__ for step in STEPS]
        first = names.index(since) + 1 if since else 0
        for step in STEPS[first : names.index(until) + 1]:
            step(self)
        return self

    def verify(
        self,
        *,
        head: str | None = None,
        worker: Callable[[], Any] = InProcess,
        public: Path | None = None,
    ) -> Report:
        """What somebody finds who has nothing but the public folder."""
        return audit(public or self.public, self.identity, self.clock, head=head, worker=worker)


STEPS: tuple[Callable[[Arena], None], ...] = (
    Arena.create,
    Arena.contribute,
    Arena.open_seeds,
    Arena.draw,
    Arena.reveal_train,
    Arena.submit,
    Arena.open,
    Arena.reveal_test,
    Arena.convene,
    Arena.vote,
    Arena.open_votes,
    Arena.finalize,
    Arena.claim,
)


def audit(
    public: Path,
    challenge: str,
    clock: Callable[[], int],
    *,
    head: str | None = None,
    worker: Callable[[], Any] = InProcess,
) -> Report:
    """Verify with a private folder that knows nothing yet."""
    root = public.parent / "auditor"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    (root / "danku.toml").write_text(f'public = "../{public.name}"\n', "utf-8")
    return verify(Workspace(root, clock=clock), challenge, head=head, evaluator=worker)


def reordered(arena: Arena, honest: Assessment) -> Assessment:
    """A result, with payouts that follow from it, in which the last one comes first."""
    *others, last = honest.result.rows
    best = others[0].score
    order = [msgspec.structs.replace(last, score=best), *others]
    rows = tuple(
        msgspec.structs.replace(row, rank=place) for place, row in enumerate(order, start=1)
    )
    return concluded(arena, msgspec.structs.replace(honest.result, rows=rows))


def concluded(arena: Arena, result: Result) -> Assessment:
    """An assessment that says a result of somebody's own making."""
    payouts = payouts_of(arena.challenge, arena.manifest, result)
    return Assessment(result, payouts, ballot_of(arena.challenge, result, payouts))
