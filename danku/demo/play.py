"""The demo: a whole competition on real data, honest and dishonest actors included."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from danku.demo.cast import SUBMITTERS, VALIDATORS, Actor, Sandbox, Venue
from danku.errors import Rejected, UsageError
from danku.protocol.actions import Convene, Draw, Finalize, Open, Submit, kind_of
from danku.protocol.state import Challenge
from danku.roles import organizer, seeds, submitter, validator
from danku.roles.assessment import Assessment, assess, ballot_of, payouts_of
from danku.roles.auditor import verify
from danku.roles.board import board
from danku.roles.claims import claim_all, payout_claims
from danku.roles.evidence import fetch_rows
from danku.roles.organizer import create, read_draft
from danku.roles.stages import ACTION_STAGES, STAGES
from danku.roles.templates import new_challenge

if TYPE_CHECKING:
    from danku.demo.narration import Narration
    from danku.roles.evidence import Rows
    from danku.storage.settings import StorageSettings

TEMPLATE = "breast-cancer"


def play(
    narrator: Narration, keep: Path | None = None, storage: StorageSettings | None = None
) -> dict[str, Any]:
    """Play it in a throw-away folder, or in the new folder ``keep``.

    Args:
        storage: where the actors keep and look for blobs; else in the shared folder.

    Raises:
        UsageError: ``keep`` exists.
    """
    if keep is not None:
        if keep.exists():
            raise UsageError(f"{keep} exists", fix="name a new folder with --keep")
        keep.mkdir(parents=True)
        return Game(keep.resolve(), narrator, storage=storage).play()
    with tempfile.TemporaryDirectory(prefix="danku-demo-") as folder:
        return Game(Path(folder), narrator, storage=storage).play()


class Game:
    """One play-through."""

    def __init__(
        self,
        root: Path,
        narrator: Narration,
        venue: Venue | None = None,
        storage: StorageSettings | None = None,
    ) -> None:
        self.started = time.monotonic()
        self.narrator = narrator
        self.venue = venue or Sandbox()
        self.cast = self.venue.assemble(root)
        if storage is not None:
            self.cast = {name: actor.stored(storage) for name, actor in self.cast.items()}
        self.names = {actor.address: name for name, actor in self.cast.items()}
        self.refusals: list[dict[str, Any]] = []
        self.before = self._balances()
        self.identity = ""

    @property
    def host(self) -> Actor:
        """The organizer."""
        return self.cast["organizer"]

    @property
    def challenge(self) -> Challenge:
        """The challenge as it stands."""
        return self.host.workspace.challenge(self.identity)

    def play(self) -> dict[str, Any]:
        """All five stages, the payout, and the verification; the story as JSON would have it."""
        self.narrator.open(self.cast)
        self._initialization()
        self._submission()
        self._test_reveal()
        self._evaluation()
        self._finalization()
        return self._epilogue()

    def _balances(self) -> dict[str, int]:
        return {name: actor.balance for name, actor in self.cast.items()}

    def _wait_until(self, moment: int) -> None:
        seconds = moment - self.host.workspace.ledger.time()
        if seconds > 0:
            self.venue.pass_time(self.host, seconds)
            self.narrator.wait(seconds)

    def _initialization(self) -> None:
        self.narrator.stage(1, STAGES[0])
        panel = [self.cast[name].address for name in VALIDATORS]
        folder = new_challenge(self.host.workspace, None, TEMPLATE, panel)
        draft = read_draft(folder / "challenge.toml")
        terms = msgspec.structs.replace(draft.terms, seed_source=self.venue.seed_source)
        draft = replace(draft, terms=terms)
        created = create(self.host.workspace, self.host.key, draft)
        self.identity = created.id
        self.noted_head = self.host.workspace.ledger.head()
        self.narrator.created(created, draft.manifest, draft.table.rows)
        for name in VALIDATORS:
            actor = self.cast[name]
            seeds.contribute(actor.workspace, actor.key, self.identity)
            self.narrator.say(name, "commits to 32 random bytes for the seed")
        self._wait_until(created.windows.contribute)
        for name in ("organizer", *VALIDATORS):
            actor = self.cast[name]
            seeds.open_seed(actor.workspace, actor.key, self.identity)
        self.narrator.say("all", "open their random bytes")
        self._wait_until(created.windows.open_seed)
        ada = self.cast["ada"]
        ada.workspace.send(ada.key, Draw(self.identity))
        seed = (self.challenge.seed or "")[:18]
        self.narrator.say("ada", f"draws the seed {seed}…; anyone may")
        organizer.reveal(self.host.workspace, self.host.key, self.identity, "train")
        self.narrator.say("organizer", "publishes the train groups with their Merkle proofs")

    def _train(self, name: str, rows: Rows) -> bytes:
        from danku.demo.training import train_logistic, train_network

        x, y = rows.features, rows.target
        if name == "ada":
            return train_network(x, y, hidden=16, steps=300, seed=1)
        columns = {"ben": range(4), "cleo": (26,), "dan": (1, 4)}[name]
        return train_logistic(x, y, columns=columns, steps=200, seed=1)

    def _submission(self) -> None:
        self.narrator.stage(2, STAGES[1])
        models: dict[str, bytes] = {}
        for name in SUBMITTERS:
            actor = self.cast[name]
            manifest = actor.workspace.manifest(self.challenge)
            rows = fetch_rows(actor.workspace, self.challenge, manifest, "train")
            models[name] = self._train(name, rows)
            submitter.submit(actor.workspace, actor.key, self.identity, models[name])
            self.narrator.say(name, f"trains on {len(rows.target)} verified rows and commits")
        self._copy_commitment()
        self._enter_others(models["ada"])

    def _copy_commitment(self) -> None:
        mallory, reward = self.cast["mallory"], self.challenge.terms.reward
        copied = self.challenge.submissions[0].commitment
        value = reward.submission_bond + reward.entry_fee
        mallory.workspace.send(mallory.key, Submit(self.identity, copied), value)
        self.narrator.say("mallory", f"submits a copy of Ada's commitment {copied[:10]}…")

    def _enter_others(self, leaked: bytes) -> None:
        from danku.demo.training import broken_model

        for name, model, what in (
            ("eve", leaked, "commits to a leaked copy of Ada's model file"),
            ("oscar", broken_model(), "commits to a broken model, without a dry run"),
        ):
            actor = self.cast[name]
            submitter.submit(actor.workspace, actor.key, self.identity, model)
            self.narrator.say(name, what)

    def _test_reveal(self) -> None:
        self.narrator.stage(3, STAGES[2])
        self._wait_until(self.challenge.windows.submit)
        for name in (*SUBMITTERS, "eve", "oscar"):
            actor = self.cast[name]
            submitter.open_all(actor.workspace, actor.key, self.identity)
        self.narrator.say("all", "publish their models and open their commitments")
        self._open_copy()
        self._wait_until(self.challenge.windows.open)
        organizer.reveal(self.host.workspace, self.host.key, self.identity, "test")
        self.narrator.say("organizer", "publishes the test groups, now that no model can change")

    def _open_copy(self) -> None:
        """Mallory tries to open Ada's commitment with what Ada has just published."""
        mallory, seen = self.cast["mallory"], self.challenge.submissions[0].opening
        number = submitter.own_submissions(self.challenge, mallory.address)[0].number
        if seen is None:
            return
        try:
            action = Open(self.identity, number, seen.model, seen.cid, seen.salt)
            mallory.workspace.send(mallory.key, action)
        except Rejected as refusal:
            refused = {"action": "open", "by": "mallory", "rule": refusal.rule}
            self.refusals.append({**refused, "what": refusal.what, "stage": STAGES[2]})
            self.narrator.refused("mallory", "opens the copied commitment", refusal)

    def _assess(self, name: str) -> Assessment:
        from danku.evaluation.pool import Pool

        actor = self.cast[name]
        with Pool() as pool:
            return assess(actor.workspace, self.challenge, pool, self.narrator.progress)

    def _evaluation(self) -> None:
        self.narrator.stage(4, STAGES[3])
        self._wait_until(self.challenge.windows.reveal_test)
        first = self.cast["validator-1"]
        first.workspace.send(first.key, Convene(self.identity))
        honest = {name: self._assess(name) for name in VALIDATORS[:2]}
        votes = {**honest, "validator-3": self._forge(honest["validator-1"])}
        for name, assessment in votes.items():
            actor = self.cast[name]
            validator.cast_vote(actor.workspace, actor.key, self.identity, assessment)
            self.narrator.say(name, "commits to its vote, which nobody can read or copy yet")
        self._wait_until(self.challenge.windows.vote)
        for name, assessment in votes.items():
            actor = self.cast[name]
            validator.open_vote(actor.workspace, actor.key, self.identity)
            self.narrator.voted(name, assessment.ballot, self.names)

    def _forge(self, honest: Assessment) -> Assessment:
        """A result in which Dan, who came last, comes first."""
        ranked = [row for row in honest.result.rows if row.rank]
        others = [row for row in honest.result.rows if not row.rank]
        order = [ranked[-1], *ranked[:-1]]
        best = ranked[0].score
        rows = [
            msgspec.structs.replace(row, rank=place, score=best if place == 1 else row.score)
            for place, row in enumerate(order, start=1)
        ]
        result = msgspec.structs.replace(honest.result, rows=(*rows, *others))
        manifest = self.host.workspace.manifest(self.challenge)
        payouts = payouts_of(self.challenge, manifest, result)
        ballot = ballot_of(self.challenge, result, payouts)
        return replace(honest, result=result, payouts=payouts, ballot=ballot)

    def _finalization(self) -> None:
        self.narrator.stage(5, STAGES[4])
        self._wait_until(self.challenge.windows.open_vote)
        eve = self.cast["eve"]
        eve.workspace.send(eve.key, Finalize(self.identity))
        settlement = self.challenge.settlement
        self.narrator.say(
            "eve", f"finalizes; anyone may: {settlement.reason if settlement else ''}"
        )
        self.payouts = {
            self.names.get(item.payee, item.payee): item.amount
            for item in payout_claims(self.host.workspace, self.challenge)
        }
        self.narrator.leaderboard(board(self.host.workspace, self.challenge), self.names)
        for actor in self.cast.values():
            claim_all(actor.workspace, actor.key)
        self.narrator.say("all", "claim what they are owed against Merkle proofs")

    def _epilogue(self) -> dict[str, Any]:
        from danku.evaluation.pool import Pool

        after = self._balances()
        self.narrator.balances(self.before, after, self.payouts)
        report = verify(
            self.host.workspace,
            self.identity,
            head=self.noted_head,
            evaluator=Pool,
            progress=self.narrator.progress,
        )
        self.narrator.verified(report, time.monotonic() - self.started)
        lines = board(self.host.workspace, self.challenge).lines
        return {
            "challenge": self.identity,
            "name": TEMPLATE,
            "stages": self._stages(),
            "leaderboard": [
                {
                    "rank": line.rank,
                    "name": self.names[line.submitter],
                    "submitter": line.submitter,
                    "submission": line.submission,
                    "status": line.status,
                    "score": line.score,
                    "passes": line.passes,
                    "reason": line.reason,
                }
                for line in lines
            ],
            "payouts": {name: str(amount) for name, amount in self.payouts.items()},
            "votes": self._votes(),
            "balances": {
                name: {"before": str(self.before[name]), "after": str(after[name])}
                for name in self.cast
            },
            "verification": {
                "ok": report.ok,
                "steps": [
                    {
                        "number": step.number,
                        "name": step.name,
                        "ok": step.ok,
                        "detail": step.detail,
                    }
                    for step in report.steps
                ],
            },
            "ledger_head": report.head,
            "seconds": round(time.monotonic() - self.started, 1),
        }

    def _votes(self) -> list[dict[str, Any]]:
        settlement = self.challenge.settlement
        found = self.challenge.rounds[settlement.round] if settlement else None
        return [
            {
                "validator": self.names[member],
                "result": vote.ballot.result if vote.ballot else None,
                "majority": bool(settlement and member in settlement.majority),
            }
            for member, vote in (found.votes.items() if found else ())
        ]

    def _stages(self) -> list[dict[str, Any]]:
        stages: dict[str, list[dict[str, Any]]] = {name: [] for name in STAGES}
        for entry in self.host.workspace.ledger.actions(None):
            kind = kind_of(entry.action)
            if kind in ACTION_STAGES:
                done = {"action": kind, "by": self.names[entry.sender], "time": entry.time}
                stages[ACTION_STAGES[kind]].append({**done, "accepted": True})
        for refusal in self.refusals:
            refused = {key: value for key, value in refusal.items() if key != "stage"}
            stages[refusal["stage"]].append({**refused, "accepted": False})
        return [{"name": name, "actions": actions} for name, actions in stages.items()]
