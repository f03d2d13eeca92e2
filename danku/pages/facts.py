"""Everything that a challenge's page shows, read from the public record once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from danku.crypto.hashing import keccak, to_hex
from danku.errors import DankuError, DataError
from danku.ledger.embedded.ledger import EmbeddedLedger
from danku.protocol.draw import partition
from danku.protocol.manifest import Manifest
from danku.protocol.state import Challenge
from danku.protocol.types import SCORE_UNIT, Address, Cid, Digest
from danku.roles.assessment import payouts_of
from danku.roles.board import Board, board
from danku.roles.claims import decided_result
from danku.roles.stages import Window, calendar
from danku.roles.winner import Winner, winner
from danku.roles.workspace import Workspace

Look: TypeAlias = Callable[[Workspace, Challenge, Manifest], Winner | None]


@dataclass(frozen=True)
class Entry:
    """One line of the leaderboard, with what the page says beside it."""

    rank: int | None
    number: int
    submitter: Address
    status: str
    score: int | None
    """In units of 1e-9."""
    passes: bool | None
    reason: str
    time: int
    cid: Cid | None
    """Of the model, once it is opened."""
    payout: int | None
    """What its submitter gets in all, on the first of the submitter's lines."""
    reported: int | None = None
    """What its submitter says that it scores on the yardstick, in units of 1e-9."""
    report_holds: bool | None = None
    """Whether a committee found the same; None until then, or where it did not come to it."""


@dataclass(frozen=True)
class Payout:
    """One leaf of the payout tree."""

    index: int
    payee: Address
    amount: int
    claimed: bool


@dataclass(frozen=True)
class File:
    """A blob of the public record."""

    what: str
    cid: Cid


@dataclass(frozen=True)
class Record:
    """Where the public record is, and how far it went when the page was made."""

    chain_id: int
    ledger: Address
    head: Digest
    lines: int
    """Of the journal; 0 where there is none."""
    embedded: bool
    """Whether it is a journal, which a browser can verify."""
    sandbox: bool = False


@dataclass(frozen=True)
class Facts:
    """One challenge at one moment."""

    board: Board
    challenge: Challenge
    manifest: Manifest
    record: Record
    now: int
    """Ledger time in seconds since the epoch."""
    entries: tuple[Entry, ...]
    payouts: tuple[Payout, ...] = ()
    winner: Winner | None = None
    problem: str = ""
    """What could not be had."""
    names: Mapping[Address, str] = field(default_factory=dict)
    """Given by whoever makes the page; no part of the record."""

    @property
    def calendar(self) -> list[Window]:
        """The windows with their deadlines."""
        return calendar(self.challenge)

    @property
    def threshold(self) -> int:
        """In units of 1e-9."""
        return int(self.manifest.evaluation.threshold)

    @property
    def best(self) -> Entry | None:
        """The entry that is ranked first."""
        return next((entry for entry in self.entries if entry.rank == 1), None)

    @property
    def reports(self) -> tuple[Entry, ...]:
        """The entries with a reported score, in the order of submission: no ranking."""
        said = (entry for entry in self.entries if entry.reported is not None)
        return tuple(sorted(said, key=lambda entry: entry.number))

    @property
    def files(self) -> tuple[File, ...]:
        """The blobs that the ledger names, but for the models."""
        found = [
            ("manifest", self.challenge.manifest),
            ("train bundle", self.challenge.train),
            ("test bundle", self.challenge.test),
            ("result", result_cid(self.challenge)),
        ]
        return tuple(File(what, cid) for what, cid in found if cid)

    @property
    def test_groups(self) -> tuple[int, ...] | None:
        """The groups that the seed puts aside; None before it is drawn."""
        terms, seed = self.challenge.terms, self.challenge.seed
        return partition(seed, terms.groups, terms.test_groups) if seed else None


def result_cid(challenge: Challenge) -> Cid | None:
    """Where the majority says that the decided result is."""
    settlement = challenge.settlement
    if settlement is None or settlement.ballot is None:
        return None
    votes = challenge.rounds[settlement.round].votes
    return next((votes[voter].cid for voter in settlement.majority if votes[voter].cid), None)


def read_facts(
    workspace: Workspace,
    challenge: Challenge,
    *,
    look: Look = winner,
    names: Mapping[Address, str] | None = None,
) -> Facts:
    """A challenge's page as facts.

    Args:
        look: looks at what the winner's model gets wrong, and runs it for that.
        names: readable names for addresses, from whoever makes the page.

    Raises:
        DataError, StorageError: the manifest cannot be had.
    """
    manifest = workspace.manifest(challenge)
    read = board(workspace, challenge)
    payouts, problem = _payouts(workspace, challenge, manifest)
    return Facts(
        board=read,
        challenge=challenge,
        manifest=manifest,
        record=_record(workspace),
        now=workspace.ledger.time(),
        entries=entries_of(read, challenge, payouts),
        payouts=payouts,
        winner=look(workspace, challenge, manifest),
        problem=problem,
        names=names or {},
    )


def entries_of(
    read: Board, challenge: Challenge, payouts: tuple[Payout, ...] = ()
) -> tuple[Entry, ...]:
    """The lines of a board, with models and payouts."""
    owed = {payout.payee: payout.amount for payout in payouts}
    entries = []
    for line in read.lines:
        opening = challenge.submissions[line.submission].opening
        entries.append(
            Entry(
                rank=line.rank,
                number=line.submission,
                submitter=line.submitter,
                status=line.status,
                score=None if line.score is None else units(line.score),
                passes=line.passes,
                reason=line.reason,
                time=line.time,
                cid=opening.cid if opening else None,
                payout=owed.pop(line.submitter, None),
                reported=None if line.reported is None else units(line.reported),
                report_holds=line.report_holds,
            )
        )
    return tuple(entries)


def units(score: str) -> int:
    """A decimal score with nine places in units of 1e-9."""
    whole, _, places = score.partition(".")
    size = int(whole.lstrip("-")) * SCORE_UNIT + int(places)
    return -size if whole.startswith("-") else size


def _payouts(
    workspace: Workspace, challenge: Challenge, manifest: Manifest
) -> tuple[tuple[Payout, ...], str]:
    settlement = challenge.settlement
    if settlement is None or settlement.ballot is None or not settlement.ballot.payout_total:
        return (), ""
    try:
        found = payouts_of(challenge, manifest, decided_result(workspace, challenge))
    except DankuError as error:
        return (), error.what
    return tuple(
        Payout(index, payee, amount, bool(settlement.claimed >> index & 1))
        for index, (payee, amount) in enumerate(found)
    ), ""


def _record(workspace: Workspace) -> Record:
    ledger = workspace.ledger
    head = ledger.head()
    file = ledger if isinstance(ledger, EmbeddedLedger) else None
    journal = journal_until(workspace.journal, head) if file else b""
    return Record(
        chain_id=ledger.chain_id,
        ledger=ledger.address,
        head=head,
        lines=journal.count(b"\n"),
        embedded=file is not None,
        sandbox=file.genesis.sandbox if file else False,
    )


def journal_until(path: Path, head: Digest) -> bytes:
    """The journal's bytes up to the line that hashes to ``head``, which others may write behind.

    Raises:
        DataError: there is no such line.
    """
    whole = path.read_bytes()
    end = whole.rfind(b"\n")
    while end >= 0:
        start = whole.rfind(b"\n", 0, end)
        if to_hex(keccak(whole[start + 1 : end])) == head:
            return whole[: end + 1]
        end = start
    raise DataError(f"no line of {path} hashes to {head}", fix="danku ledger verify")
