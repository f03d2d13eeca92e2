"""`danku validator`: what a validator does, unattended if wanted."""

from __future__ import annotations

from typing import Any

import typer

from danku.cli import attendance, seats
from danku.cli.session import Session, command

app = typer.Typer(
    name="validator", help="Stake, contribute, evaluate and vote.", no_args_is_help=True
)
seats.register(app)
attendance.register(app)


@command(app, "status", "danku validator status --as validator-1")
def status(session: Session) -> None:
    """Show the challenges that you judge, what is due, and whether evaluation is isolated."""
    from danku.cli.render import relative, table
    from danku.evaluation.worker import Worker
    from danku.roles.attendance import judged
    from danku.roles.duties import duties
    from danku.roles.names import name_of
    from danku.roles.seats import holding

    workspace = session.workspace
    now = workspace.ledger.time()
    with Worker() as worker:
        worker.start()
        isolation = worker.isolation
    assert isolation is not None
    steps = [
        (name_of(workspace, challenge.id) or challenge.id, duty)
        for challenge in judged(workspace, session.address)
        for duty in duties(workspace.state(), challenge, session.address, now)
    ]
    value: dict[str, Any] = {
        "address": session.address,
        "isolated": isolation.no_network,
        "confined": isolation.confined,
        "duties": [
            {
                "challenge": name,
                "step": duty.name,
                "due": duty.due(now),
                "opens": duty.opens,
                "closes": duty.closes,
                "cost_of_missing": duty.cost,
            }
            for name, duty in steps
        ],
    }
    staked = None
    if workspace.state().registry is not None:
        staked = holding(workspace.state(), session.address, now)
        value["seats"] = seats.holding_value(staked)

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
        if rows:
            session.out.print(table("", ("challenge", "step", "opens", "closes"), rows))
        else:
            session.out.print("nothing is to come: no challenge that goes on is judged by this key")
        if staked is not None:
            session.out.tell(seats.describe(staked, now))
        kept = {
            "no network": "[yellow]this kernel leaves it the network[/]",
            "no processes of its own": "[yellow]this kernel lets it start processes[/]",
        }
        held = (isolation.no_network, isolation.confined)
        said = [
            good if holds else bad for (good, bad), holds in zip(kept.items(), held, strict=True)
        ]
        session.out.print(f"evaluation worker: starts, passes its self-test, {', '.join(said)}")

    session.emit(value, show)
