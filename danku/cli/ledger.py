"""`danku ledger`: the journal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from danku.cli.challenge import receipt_value
from danku.cli.session import Session, command

app = typer.Typer(name="ledger", help="The journal of signed actions.", no_args_is_help=True)


@command(app, "show", "danku ledger show --last 20")
def show(
    session: Session,
    last: Annotated[int, typer.Option("--last", help="How many of the newest actions.")] = 20,
) -> None:
    """Show the newest actions, the head and the ledger's identity."""
    from danku.cli.render import amount, moment, short, table
    from danku.protocol.actions import kind_of

    ledger = session.workspace.ledger
    entries = list(ledger.actions(None))[-last:]
    value = {
        "chain_id": ledger.chain_id,
        "address": ledger.address,
        "head": ledger.head(),
        "time": ledger.time(),
        "actions": [
            {
                "sequence": entry.sequence,
                "time": entry.time,
                "kind": kind_of(entry.action),
                "sender": entry.sender,
                "value": str(entry.value),
                "digest": entry.digest,
            }
            for entry in entries
        ],
    }
    rows = [
        (
            str(entry.sequence),
            moment(entry.time),
            kind_of(entry.action),
            short(entry.sender),
            amount(entry.value) if entry.value else "",
        )
        for entry in entries
    ]

    def print_all() -> None:
        session.out.print(table("", ("line", "time", "action", "sender", "value"), rows))
        session.out.tell(f"head {ledger.head()}\nchain {ledger.chain_id}, time {ledger.time()}")

    session.emit(value, print_all)


@command(app, "verify", "danku ledger verify --head 0x…")
def verify(
    session: Session,
    head: Annotated[
        str | None, typer.Option("--head", help="A head that you noted earlier.")
    ] = None,
) -> None:
    """Replay the whole journal from nothing: hash chain, signatures, every rule."""
    from danku.ledger.embedded.verification import verify_journal

    with session.progress() as progress:
        report = verify_journal(
            session.workspace.journal,
            head=head,
            clock=session.workspace.clock,
            progress=lambda done, total: progress("replaying the journal", done, total),
        )
    session.workspace.ledger.head()
    value = {
        "ok": True,
        "lines": report.lines,
        "head": report.head,
        "checks": [
            {"number": check.number, "name": check.name, "found": check.found}
            for check in report.checks
        ],
    }

    def print_all() -> None:
        for check in report.checks:
            session.out.print(f"{check.number} {check.name}: [green]ok[/] {check.found}")
        session.out.tell(f"head {report.head}")

    session.emit(value, print_all)


@command(app, "export", "danku ledger export --to ledger-copy.jsonl")
def export(
    session: Session,
    to: Annotated[Path, typer.Option("--to", help="File to write; it must not exist.")],
) -> None:
    """Write a verified copy of the journal."""
    from danku.ledger.embedded.transfer import copy_journal

    head = copy_journal(session.workspace.journal, to, clock=session.workspace.clock).head
    value = {"file": str(to), "head": head}
    session.emit(value, lambda: session.out.tell(f"{to}, head {head}"))


@command(app, "import", "danku ledger import ledger-copy.jsonl")
def import_(
    session: Session,
    source: Annotated[Path, typer.Argument(help="A longer copy of this workspace's journal.")],
) -> None:
    """Take over a longer copy of the journal; one that is not a continuation is refused."""
    from danku.ledger.embedded.transfer import copy_journal

    head = copy_journal(source, session.workspace.journal, clock=session.workspace.clock).head
    value = {"journal": str(session.workspace.journal), "head": head}
    session.emit(value, lambda: session.out.tell(f"head {head}"))


@command(app, "grant", "danku ledger grant 0x… 1000000 --as treasurer")
def grant(
    session: Session,
    address: Annotated[str, typer.Argument(help="Who gets it: an address, or a key here.")],
    amount: Annotated[int, typer.Argument(help="How much, in the smallest unit.")],
) -> None:
    """Grant money to an address; only the treasurer that the genesis names may."""
    from danku.cli.unlock import address_of_key
    from danku.ledger.embedded.envelope import Grant
    from danku.protocol.records import convert

    named = not address.startswith("0x")
    payee = address_of_key(session.workspace.keys, address) if named else address.lower()
    plain = {"kind": "grant", "address": payee, "amount": str(amount)}
    receipt = session.workspace.embedded.submit(session.key, convert(plain, Grant, "grant"))
    value = {"address": payee, "amount": str(amount), **receipt_value(receipt)}
    session.emit(value, lambda: session.out.tell(f"granted {amount:,} to {address}"))


@command(app, "advance-time", "danku ledger advance-time 2h --as alice")
def advance_time(
    session: Session,
    duration: Annotated[str, typer.Argument(help='How far, such as "2h" or "1d12h".')],
) -> None:
    """Move a sandbox's time forward; other ledgers refuse it."""
    from danku.cli.render import moment
    from danku.errors import UsageError
    from danku.ledger.embedded.envelope import AdvanceTime
    from danku.roles.challenge_file import parse_duration

    try:
        seconds = int(parse_duration(duration))
    except ValueError as error:
        raise UsageError(str(error)) from None
    receipt = session.workspace.embedded.submit(session.key, AdvanceTime(seconds))
    now = session.workspace.ledger.time()
    value = {**receipt_value(receipt), "time": now}
    session.emit(value, lambda: session.out.print(f"ledger time is {moment(now)}"))
