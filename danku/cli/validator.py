"""`danku validator`: what a validator does, unattended if wanted."""

from __future__ import annotations

from typing import Any

import typer

from danku.cli.session import Session, command

app = typer.Typer(name="validator", help="Contribute, evaluate and vote.", no_args_is_help=True)


@command(app, "run", "danku validator run --as validator-1 --json")
def run(session: Session) -> None:
    """Do whatever is due in all challenges you judge, once; exit 4 if nothing is (CI, cron)."""
    from danku.errors import DankuError, NotYet
    from danku.roles.duties import advance

    done: list[dict[str, Any]] = []
    failures: list[DankuError] = []
    for challenge in _judged(session):
        try:
            with session.progress() as progress:
                steps = advance(session.workspace, session.key, challenge, progress)
        except DankuError as error:
            failures.append(error)
            session.say(f"{challenge.id}: {error.what}", "red")
            continue
        if steps:
            done.append({"challenge": challenge.id, "done": [step.name for step in steps]})
    if failures:
        raise failures[0]
    if not done:
        raise NotYet(
            f"nothing is due for validator {session.key.address}",
            fix="danku validator status shows what comes and when",
        )

    def show() -> None:
        for item in done:
            session.out.print(f"{item['challenge']}: {', '.join(item['done'])}")

    session.emit(done, show)


def _judged(session: Session) -> list[Any]:
    return [
        challenge
        for challenge in session.workspace.state().challenges.values()
        if challenge.settlement is None and session.address in challenge.terms.panel.members
    ]


@command(app, "status", "danku validator status --as validator-1")
def status(session: Session) -> None:
    """Show the challenges that you judge, what is due, and whether evaluation is isolated."""
    from danku.cli.render import relative, table
    from danku.evaluation.worker import Worker
    from danku.roles.duties import duties
    from danku.roles.names import name_of

    workspace = session.workspace
    now = workspace.ledger.time()
    with Worker() as worker:
        worker.start()
        isolated = worker.isolated
    steps = [
        (name_of(workspace, challenge.id) or challenge.id, duty)
        for challenge in _judged(session)
        for duty in duties(workspace.state(), challenge, session.address, now)
    ]
    value = {
        "address": session.address,
        "isolated": isolated,
        "duties": [
            {
                "challenge": name,
                "step": duty.name,
                "due": duty.due(now),
                "opens": duty.opens,
                "closes": duty.closes,
            }
            for name, duty in steps
        ],
    }

    def show() -> None:
        rows = [
            (
                name,
                duty.name,
                "now" if duty.due(now) else relative(duty.opens, now),
                relative(duty.closes, now) if duty.closes else "",
            )
            for name, duty in steps
        ]
        session.out.print(table("", ("challenge", "step", "opens", "closes"), rows))
        network = "no network" if isolated else "[yellow]this kernel leaves it the network[/]"
        session.out.print(f"evaluation worker: starts, passes its self-test, {network}")

    session.emit(value, show)
