"""`danku advance`, `board`, `verify` and `claim`: what every role does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from danku.cli.session import ChallengeName, Session, command
from danku.cli.watching import SECONDS, EveryOption, Shown, WatchOption, emit


def advance(
    session: Session,
    challenge: ChallengeName,
    ci: Annotated[
        bool, typer.Option("--ci", help="For CI and cron: nothing due is no failure.")
    ] = False,
) -> None:
    """Do whatever is due now for your key, whatever its role; exit 4 if nothing is."""
    from danku.errors import NotYet
    from danku.roles.duties import advance as advance_all

    found = session.challenge(challenge)
    with session.progress() as progress:
        done = list(
            advance_all(
                session.workspace,
                session.key,
                found,
                progress,
                lambda duty: session.say(f"{duty.name}: {duty.what}"),
            )
        )
    if not done and not ci:
        raise NotYet(
            f"nothing is due for {session.key.address} in {challenge}",
            fix=f"danku status {challenge} shows what comes and when",
        )
    value = {"challenge": found.id, "done": [duty.name for duty in done]}
    names = ", ".join(duty.name for duty in done) or "nothing, since nothing is due"
    session.emit(value, lambda: session.out.print(f"done: {names}"))


def board(
    session: Session,
    challenge: ChallengeName,
    everything: Annotated[
        bool, typer.Option("--all", help="Print every submission, however many.")
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="DIR", help="Write the page, and its journal, into DIR."),
    ] = None,
    names: Annotated[
        Path | None,
        typer.Option(
            "--names", metavar="FILE", help='Readable names: a TOML file of lines "0x…" = "Ada".'
        ),
    ] = None,
    run: Annotated[
        bool,
        typer.Option("--run/--no-run", help="Run the winner's model, to plot its mistakes."),
    ] = True,
    watch: WatchOption = False,
    every: EveryOption = SECONDS,
) -> None:
    """Show the leaderboard, or write it as a web page that opens from a file and verifies itself.

    The page is index.html in DIR, with journal.js and blobs.js beside it; any static host serves
    them, and nothing else is needed.
    """
    from danku.errors import UsageError
    from danku.roles.nicknames import read_nicknames

    if html is not None and watch:
        raise UsageError(
            "--watch is for the terminal, --html writes a page once",
            fix="danku serve keeps pages up to date",
        )
    known = read_nicknames(names) if names else {}
    if html is not None:
        _write_page(session, challenge, html, known, run=run)
        return
    emit(session, lambda: _read(session, challenge, known, everything), watch=watch, every=every)


def _read(session: Session, challenge: str, known: dict[str, str], everything: bool) -> Shown:
    from danku.cli.render import SHOWN, committee, distribution, leaderboard, left_out
    from danku.roles.board import board as read_board

    read = read_board(session.workspace, session.challenge(challenge))

    def show() -> None:
        limit = None if everything else SHOWN
        session.out.print(leaderboard(read, known, limit, width=session.out.width))
        if not everything and (rest := left_out(len(read.lines), "--all")):
            session.out.print(rest)
        if (spread := distribution(read)) is not None:
            session.out.print(spread)
        if any(seated.seat is not None for seated in read.committee):
            session.out.print(committee(read))
        from danku.cli.reports import self_reports

        if reports := self_reports(read, limit=None if everything else SHOWN):
            session.out.print(reports)
        session.out.tell(f"stage: {read.stage}" + (f"; {read.settled}" if read.settled else ""))

    return read.plain(), show


def _write_page(
    session: Session, challenge: str, folder: Path, known: dict[str, str], *, run: bool
) -> None:
    from functools import partial

    from danku.pages.facts import read_facts
    from danku.pages.site import PAGE, site, write_site
    from danku.roles.winner import winner

    found = session.challenge(challenge)
    with session.progress() as progress:
        look = partial(winner, evaluate=run, progress=progress)
        facts = read_facts(session.workspace, found, look=look, names=known)
        files = site(session.workspace, facts)
    write_site(folder, files)
    problem = facts.problem or (facts.winner.problem if facts.winner else "")
    value = {
        "challenge": found.id,
        "page": str(folder / PAGE),
        "files": {name: len(data) for name, data in files.items()},
        "ledger_head": facts.record.head,
        "problem": problem,
    }

    def show() -> None:
        session.out.tell(str(folder / PAGE))
        for name, data in files.items():
            session.say(f"{name}: {len(data):,} bytes")
        if problem:
            session.say(f"not on the page: {problem}", "yellow")
        session.say(f"put the folder on any static host, or open it; head {facts.record.head}")

    session.emit(value, show)


def verify(
    session: Session,
    challenge: ChallengeName,
    head: Annotated[
        str | None,
        typer.Option("--head", metavar="HASH", help="A ledger head that you noted earlier."),
    ] = None,
) -> None:
    """Verify everything from the public record alone, in numbered steps; exit 7 if one fails."""
    from danku.cli.render import verification
    from danku.errors import VerificationFailed
    from danku.evaluation.pool import Pool
    from danku.roles.auditor import verify as verify_challenge

    identity = _identity(session, challenge)
    with session.progress() as progress:
        report = verify_challenge(
            session.workspace,
            identity,
            head=head,
            evaluator=lambda: Pool(session.workspace.workers),
            progress=progress,
        )
    value = {
        "challenge": report.challenge,
        "ok": report.ok,
        "steps": [
            {"number": step.number, "name": step.name, "ok": step.ok, "detail": step.detail}
            for step in report.steps
        ],
        "ledger_head": report.head,
        "lines": report.lines,
    }

    def show() -> None:
        session.out.print(verification(report))
        if report.ok:
            session.out.tell(("verified", "bold green"), f"; head {report.head}")
            session.say("note the head: danku verify --head HASH proves later that it still stands")

    session.emit(value, show)
    if not report.ok:
        failed = next(step for step in report.steps if step.ok is False)
        error = VerificationFailed(
            f"step {failed.number} ({failed.name}) failed: {failed.detail}",
            fix="get the public record from somebody else, and ask who changed this one",
        )
        if session.json:
            raise typer.Exit(error.exit_code)
        raise error


def _identity(session: Session, challenge: str) -> str:
    """The id that an argument means, even where the ledger is too broken to look names up."""
    from danku.roles.names import resolve

    if challenge.startswith("0x") and len(challenge) == 66:
        return challenge.lower()
    return resolve(session.workspace, challenge)


def _bound(session: Session) -> str:
    """When the key's next stake can be taken out; nothing where none is bound."""
    from danku.cli.render import moment
    from danku.roles.seats import holding

    state, time = session.workspace.state(), session.workspace.ledger.time()
    if state.registry is None:
        return ""
    frees = holding(state, session.key.address, time).frees
    return f"a stake is bound until {moment(frees)}" if frees is not None else ""


def claim(session: Session) -> None:
    """Withdraw everything owed to your key: payouts, deposits and credits."""
    from danku.cli.render import amount
    from danku.errors import NotYet
    from danku.roles.claims import claim_all

    taken = claim_all(session.workspace, session.key)
    if not taken:
        raise NotYet(
            f"nothing is owed to {session.key.address}",
            why=_bound(session),
            fix="danku status shows what is owed, and when challenges are settled",
        )
    total = sum(item.amount for item in taken)
    balance = session.workspace.ledger.balance(session.key.address)
    value = {
        "claimed": [{"what": item.what, "amount": str(item.amount)} for item in taken],
        "total": str(total),
        "balance": str(balance),
    }

    def show() -> None:
        for item in taken:
            session.out.tell(f"{item.what}: {amount(item.amount)}")
        session.out.print(f"claimed {amount(total)}; balance {amount(balance)}")

    session.emit(value, show)


def register(app: typer.Typer) -> None:
    """Add the commands to the top level."""
    command(app, "advance", "danku advance breast-cancer --as alice")(advance)
    command(app, "board", "danku board breast-cancer --html site")(board)
    command(app, "verify", "danku verify breast-cancer")(verify)
    command(app, "claim", "danku claim --as alice")(claim)
