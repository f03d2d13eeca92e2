"""`danku validator run`: one pass, or pass after pass, over everything that a validator judges."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from danku.cli.session import Session, command

if TYPE_CHECKING:
    from danku.errors import DankuError
    from danku.roles.attendance import Visit
    from danku.roles.claims import Owed

WATCH_SECONDS = 60


def run(
    session: Session,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=0, help="Models evaluated at once; 0: one a processor."),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            "--cluster",
            metavar="ADDRESS",
            help="Evaluate on a Dask cluster of your own, such as tcp://10.0.0.1:8786.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Evaluate and show the result; send nothing.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on, pass after pass, until interrupted.")
    ] = False,
    interval: Annotated[
        int, typer.Option("--interval", min=1, help="Seconds between passes of --watch.")
    ] = WATCH_SECONDS,
    ci: Annotated[
        bool, typer.Option("--ci", help="For CI and cron: nothing due is no failure.")
    ] = False,
    junit: Annotated[
        Path | None, typer.Option("--junit", help="Write JUnit XML: a case a submission.")
    ] = None,
    summary: Annotated[
        Path | None,
        typer.Option(
            "--summary", envvar="GITHUB_STEP_SUMMARY", help="Add the leaderboards as Markdown."
        ),
    ] = None,
) -> None:
    """Do whatever is due in all challenges you judge, and claim what you are owed.

    Killed at any point and run again, it goes on where it was. Exit 4 if nothing is due.
    """
    from danku.errors import NotYet

    if workers is not None:
        session.workspace.workers = workers
    session.workspace.cluster = cluster
    if dry_run:
        _show_previews(session)
        return
    if watch:
        _watch(session, interval)
        return
    visits, claimed = _pass(session)
    _report(session, visits, junit, summary)
    failures = _failures(visits)
    if failures:
        raise failures[0]
    if not claimed and not any(visit.done for visit in visits) and not ci:
        raise NotYet(
            f"nothing is due for validator {session.key.address}",
            fix="danku validator status shows what comes and when",
        )
    session.emit(_value(visits, claimed), lambda: _show(session, visits, claimed))


def _pass(session: Session) -> tuple[list[Visit], list[Owed]]:
    from danku.roles.attendance import attend
    from danku.roles.claims import claim_all
    from danku.roles.names import name_of

    workspace, key = session.workspace, session.key
    visits = []
    with session.progress() as progress:
        for visit in attend(
            workspace,
            key,
            progress,
            lambda challenge, duty: session.say(
                f"{name_of(workspace, challenge.id) or challenge.id}: {duty.what}"
            ),
        ):
            visits.append(visit)
            if visit.error is not None:
                session.say(f"{visit.challenge}: {visit.error.what}", "red")
    return visits, claim_all(workspace, key)


def _failures(visits: list[Visit]) -> list[DankuError]:
    return [visit.error for visit in visits if visit.error is not None]


def _value(visits: list[Visit], claimed: list[Owed]) -> dict[str, Any]:
    return {
        "done": [
            {"challenge": visit.challenge, "steps": list(visit.done)}
            for visit in visits
            if visit.done
        ],
        "failed": [
            {"challenge": visit.challenge, "error": visit.error.name, "what": visit.error.what}
            for visit in visits
            if visit.error is not None
        ],
        "claimed": [{"what": item.what, "amount": str(item.amount)} for item in claimed],
    }


def _show(session: Session, visits: list[Visit], claimed: list[Owed]) -> None:
    from danku.cli.render import amount
    from danku.roles.names import name_of

    for visit in visits:
        if visit.done:
            name = name_of(session.workspace, visit.challenge) or visit.challenge
            session.out.tell(f"{name}: {', '.join(visit.done)}")
    for item in claimed:
        session.out.tell(f"claimed {item.what}: {amount(item.amount)}")
    if not claimed and not any(visit.done for visit in visits):
        session.out.print("nothing is due")


def _watch(session: Session, interval: int) -> None:
    import time

    session.say(f"watching every {interval} s; interrupt to end")
    try:
        while True:
            visits, claimed = _pass(session)
            if session.json:
                print(json.dumps(_value(visits, claimed)), flush=True)
            elif claimed or any(visit.done for visit in visits):
                _show(session, visits, claimed)
            time.sleep(interval)
    except KeyboardInterrupt:
        session.say("ended; what was committed is opened by the next run")


def _show_previews(session: Session) -> None:
    from danku.cli.render import SHOWN, left_out, table
    from danku.cli.terminal import verbatim
    from danku.protocol.records import encode
    from danku.protocol.types import decimal
    from danku.roles.attendance import preview
    from danku.roles.evaluations import own_evaluator

    with session.progress() as progress, own_evaluator(session.workspace) as evaluator:
        found = list(preview(session.workspace, session.address, evaluator, progress))
    value = [
        {
            "challenge": each.challenge,
            "name": each.name,
            "ballot": json.loads(encode(each.assessment.ballot)),
            "result": json.loads(each.assessment.data),
        }
        for each in found
    ]

    def show() -> None:
        for each in found:
            ballot = each.assessment.ballot
            session.out.tell(f"{each.name}: {ballot.outcome}, result {ballot.result}")
            rows = [
                (
                    str(row.rank or "–"),
                    decimal(row.score),
                    str(row.submission),
                    row.status,
                    verbatim(row.reason),
                )
                for row in each.assessment.result.rows[:SHOWN]
            ]
            session.out.print(table("", ("rank", "score", "no.", "status", "reason"), rows))
            if rest := left_out(len(each.assessment.result.rows), "--json"):
                session.out.print(rest)
        if not found:
            session.out.print("no challenge has models and data to evaluate now")
        session.say("nothing was voted; keep it to yourself until votes are open")

    session.emit(value, show)


def _report(
    session: Session, visits: list[Visit], junit: Path | None, summary: Path | None
) -> None:
    """Tell a CI system, if one listens."""
    import os

    from danku.roles.attendance import reports
    from danku.roles.reports import junit as junit_xml
    from danku.roles.reports import markdown, workflow_commands

    annotated = os.environ.get("GITHUB_ACTIONS") == "true"
    if junit is None and summary is None and not annotated:
        return
    found = reports(session.workspace, session.key.address, visits)
    if junit is not None:
        junit.write_bytes(junit_xml(found))
    if summary is not None:
        with summary.open("a", encoding="utf-8") as file:
            file.write(markdown(found))
    if annotated:
        for line in workflow_commands(found):
            session.err.tell(line)


def register(app: typer.Typer) -> None:
    """Add the command to the group of validators."""
    command(app, "run", "danku validator run --as validator-1 --json")(run)
