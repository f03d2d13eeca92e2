"""Reading a ledger's whole record from nothing: no cache, no memory, every rule applied again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from danku.ledger.embedded.verification import JournalReport, verify_journal
from danku.ledger.ethereum.ledger import EthereumLedger
from danku.protocol.state import State
from danku.protocol.types import Digest
from danku.roles.networks import EMBEDDED
from danku.roles.progress import Progress
from danku.roles.workspace import Workspace


@dataclass(frozen=True)
class Replayed:
    """What the record says when it is read again."""

    state: State
    head: Digest
    lines: int
    """Of the record: a journal's lines, or the actions that a contract logged."""
    detail: str
    """What was found, and what it rests on."""
    beacons: dict[Digest, Digest]
    """The public randomness that each challenge's `draw` saw."""


def replay(
    workspace: Workspace,
    head: Digest | None,
    observe: Callable[[State], None],
    progress: Progress,
) -> Replayed:
    """Read it all; ``observe`` is told of the state after each action.

    Raises:
        VerificationFailed: the record does not hold, or does not contain the noted ``head``.
        DataError, StorageError: it cannot be had.
    """
    ledger = workspace.ledger if workspace.network != EMBEDDED else None
    if isinstance(ledger, EthereumLedger):
        return _from_chain(ledger, head, observe, progress)
    return _from_journal(workspace, head, observe, progress)


def _from_journal(
    workspace: Workspace,
    head: Digest | None,
    observe: Callable[[State], None],
    progress: Progress,
) -> Replayed:
    report = verify_journal(
        workspace.journal,
        head=head,
        clock=workspace.clock,
        progress=lambda done, total: progress("replaying the journal", done, total),
        observe=lambda step: observe(step.state),
    )
    workspace.ledger.head()
    return Replayed(report.state, report.head, report.lines, _journal_detail(report), {})


def _journal_detail(report: JournalReport) -> str:
    details = [f"{report.lines} lines, signed by {report.signers} keys"]
    if report.later is not None:
        details.append(f"the noted head is {report.later} lines back")
    if report.genesis.sequencer is None:
        details.append("times are asserted by the writers")
    if report.genesis.sandbox:
        details.append("a sandbox: money and stake have no force")
    return "; ".join(details)


def _from_chain(
    ledger: EthereumLedger,
    head: Digest | None,
    observe: Callable[[State], None],
    progress: Progress,
) -> Replayed:
    history = ledger.replay(
        progress=lambda done, total: progress("reading the chain", done, total), observe=observe
    )
    later = None if head is None else history.later(head)
    details = [
        f"{len(history.told)} actions of contract {ledger.address} on chain {ledger.chain_id}",
        f"as {ledger.host} tells them",
    ]
    if later is not None:
        details.insert(1, f"the noted head is {later} actions back")
    return Replayed(
        state=history.state,
        head=history.head,
        lines=len(history.told),
        detail="; ".join(details),
        beacons=history.beacons(),
    )
