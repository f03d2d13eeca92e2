"""The pages of a workspace as they are now: rendered when asked for, until the ledger moves."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from danku.crypto.hashing import keccak
from danku.errors import DankuError, UsageError
from danku.ledger.embedded.ledger import EmbeddedLedger
from danku.pages.facts import Facts, read_facts
from danku.pages.render import policy, render_board, render_index
from danku.pages.site import BLOBS, JOURNAL, blobs_script, journal_script
from danku.protocol.manifest import Manifest
from danku.protocol.state import Challenge
from danku.protocol.types import Digest
from danku.roles.names import resolve
from danku.roles.stages import calendar, stage_of
from danku.roles.winner import Winner, winner
from danku.roles.workspace import Workspace

HTML, SCRIPT = "text/html; charset=utf-8", "text/javascript; charset=utf-8"
_KEPT = 16
"""Rendered pages in memory."""


@dataclass(frozen=True)
class Page:
    """What a path means, rendered when its body is asked for."""

    kind: str
    version: str
    body: Callable[[], bytes]
    policy: str = "default-src 'none'"
    moved: str = ""
    """Where it is instead."""


class Pages:
    """The pages of one workspace; any thread may ask, one at a time is answered."""

    def __init__(self, open_workspace: Callable[[], Workspace], *, evaluate: bool = True) -> None:
        """``open_workspace`` gives a workspace of its own to each thread that reads one."""
        self._open = open_workspace
        self._workspace = open_workspace()
        self._evaluate = evaluate
        self._lock = threading.RLock()
        self._runner = ThreadPoolExecutor(1, thread_name_prefix="winner")
        self._winners: dict[Digest, Future[Winner | None]] = {}
        self._rendered: dict[tuple[str, str], bytes] = {}

    def close(self) -> None:
        """Begin no more evaluations."""
        self._runner.shutdown(wait=False, cancel_futures=True)

    def find(self, path: str) -> Page | None:
        """What a path of a URL means: /, /CHALLENGE/, and the two files beside that; else None.

        Raises:
            VerificationFailed, StorageError, DataError: the record cannot be read.
        """
        with self._lock:
            if path == "/":
                return self._page("", "", "")
            first, _, name = path.removeprefix("/").partition("/")
            try:
                identity = resolve(self._workspace, first) if len(first) <= 80 else ""
            except UsageError:
                return None
            if not identity or not path.startswith(f"/{identity}/"):
                return Page(HTML, "", bytes, moved=f"/{identity}/") if identity else None
            if name not in ("", *self._scripts()):
                return None
            challenge = self._workspace.challenge(identity)
            return self._page(identity, name, self._moment(challenge))

    def _scripts(self) -> tuple[str, ...]:
        """What stands beside a page; nothing where no journal is, since nothing would load it."""
        return (JOURNAL, BLOBS) if isinstance(self._workspace.ledger, EmbeddedLedger) else ()

    def _page(self, identity: str, name: str, moment: str) -> Page:
        head = self._workspace.ledger.head()
        if not identity:
            now = self._workspace.ledger.time()
            found = self._workspace.state().challenges.values()
            moment = " ".join(stage_of(each, now) for each in found)
        version = keccak(f"{head} {identity} {name} {moment}".encode()).hex()[:24]

        def body() -> bytes:
            with self._lock:
                key = (f"{identity}/{name}", version)
                if key not in self._rendered:
                    made = self._render(identity, name, version)
                    self._forget(key[0])
                    self._rendered[key] = made
                return self._rendered[key]

        if name:
            return Page(SCRIPT, version, body)
        return Page(HTML, version, body, f"{policy(live=True)}; frame-ancestors 'none'")

    def _forget(self, path: str) -> None:
        """Make room: earlier versions of a path go, and the oldest pages if there are many."""
        kept = [key for key in self._rendered if key[0] != path][1 - _KEPT :]
        self._rendered = {key: self._rendered[key] for key in kept}

    def _moment(self, challenge: Challenge) -> str:
        """What of a page changes with time alone."""
        now = self._workspace.ledger.time()
        over = sum(1 for window in calendar(challenge) if window.closes <= now)
        running = self._running(challenge)
        return f"{stage_of(challenge, now)} {over} {running is None or running.done()}"

    def _running(self, challenge: Challenge) -> Future[Winner | None] | None:
        """The look at the winner's mistakes: taken aside, since it may last longer than a page
        should; None where nobody can have won."""
        if challenge.settlement is None or challenge.settlement.ballot is None:
            return None
        if challenge.id not in self._winners:
            self._winners[challenge.id] = self._runner.submit(self._run, challenge.id)
        return self._winners[challenge.id]

    def _render(self, identity: str, name: str, version: str) -> bytes:
        if not identity:
            return self._index(version).encode("utf-8")
        facts = self._facts(identity)
        if name == JOURNAL:
            return journal_script(self._workspace, facts)
        if name == BLOBS:
            return blobs_script(self._workspace, facts)
        return render_board(facts, live=version, index="/").encode("utf-8")

    def _facts(self, identity: Digest) -> Facts:
        challenge = self._workspace.challenge(identity)
        return read_facts(self._workspace, challenge, look=self._look)

    def _look(
        self, workspace: Workspace, challenge: Challenge, manifest: Manifest
    ) -> Winner | None:
        running = self._running(challenge)
        if running is None or running.done():
            return running.result() if running else None
        return Winner(-1, "test", 0, problem="the model is being run now")

    def _run(self, identity: Digest) -> Winner | None:
        try:
            workspace = self._open()
            challenge = workspace.challenge(identity)
            manifest = workspace.manifest(challenge)
            return winner(workspace, challenge, manifest, evaluate=self._evaluate)
        except Exception as error:  # NOTE: a page is not to fail for want of a plot
            problem = error.what if isinstance(error, DankuError) else type(error).__name__
            return Winner(-1, "test", 0, problem=problem)

    def _index(self, version: str) -> str:
        workspace = self._workspace
        now = workspace.ledger.time()
        challenges = reversed(list(workspace.state().challenges.values()))
        return render_index(
            [self._item(challenge, now) for challenge in challenges],
            version,
            ledger=workspace.ledger.address,
            chain_id=workspace.ledger.chain_id,
            now=now,
        )

    def _item(self, challenge: Challenge, now: int) -> dict[str, Any]:
        settled = challenge.settlement
        item: dict[str, Any] = {
            "id": challenge.id,
            "href": f"/{challenge.id}/",
            "stage": stage_of(challenge, now),
            "final": settled is not None,
            "settled": settled.reason if settled else "",
            "pot": challenge.terms.reward.pot,
            "submissions": len(challenge.submissions),
            "submit": challenge.windows.submit,
            "title": challenge.id,
            "name": "",
            "metric": "",
            "problem": "",
        }
        try:
            manifest = self._workspace.manifest(challenge)
        except DankuError as error:
            return item | {"problem": error.what}
        metric = manifest.evaluation.metric
        return item | {"title": manifest.title, "name": manifest.name, "metric": metric}
