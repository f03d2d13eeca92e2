"""`danku validator join`, `leave` and `list`: staked seats."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from danku.cli.session import Session, command

if TYPE_CHECKING:
    from danku.roles.seats import Holding


def holding_value(found: Holding) -> dict[str, Any]:
    """A holding as JSON would have it; amounts are decimal strings."""
    return {**asdict(found), "stake": str(found.stake), "loss": str(found.loss)}


def describe(found: Holding, now: int) -> str:
    """A holding in one line."""
    from danku.cli.render import amount, relative

    parts = [f"{len(found.active)} active seat(s), {amount(found.stake)} staked"]
    if found.loss:
        parts.append(f"{amount(found.loss)} lost")
    if found.bound and found.frees is not None:
        parts.append(f"{len(found.bound)} ended, the first is free {relative(found.frees, now)}")
    if found.free:
        parts.append(f"{len(found.free)} ended and free: danku claim")
    return "; ".join(parts)


def join(
    session: Session,
    seats: Annotated[int, typer.Option("--seats", min=1, help="How many to hold in all.")],
) -> None:
    """Stake seats, so that committees are drawn from them; repeating it buys nothing twice."""
    from danku.cli.render import amount
    from danku.protocol.registry import registry_of
    from danku.roles import seats as roles

    workspace = session.workspace
    missing = roles.missing_seats(workspace, session.address, seats)
    price = missing * registry_of(workspace.state()).terms.stake
    if missing:
        session.confirm(
            f"stake {amount(price)} for {missing} seat(s)? silence and wrong votes are slashed"
        )
        missing = roles.join(workspace, session.key, seats)
    found = roles.holding(workspace.state(), session.address, workspace.ledger.time())
    value = {"bought": missing, "staked": str(price), **holding_value(found)}

    def show() -> None:
        bought = f"{missing} bought: " if missing else "nothing to buy: "
        session.out.tell(bought + describe(found, workspace.ledger.time()))
        session.say("next: danku validator run, often enough to vote in every window (CI, cron)")

    session.emit(value, show)


def leave(
    session: Session,
    keep: Annotated[int, typer.Option("--keep", min=0, help="How many seats to go on with.")] = 0,
) -> None:
    """End seats, and take out the stakes that are free; an ended seat still serves what it must."""
    from danku.cli.render import amount
    from danku.errors import NotYet
    from danku.roles import seats as roles
    from danku.roles.claims import stake_claims

    workspace, address = session.workspace, session.address
    now = workspace.ledger.time()
    before = roles.holding(workspace.state(), address, now)
    ending = max(len(before.active) - keep, 0)
    if not ending and not before.free:
        raise NotYet(
            f"{address} has no seat to end, and no stake to take out",
            why=describe(before, now),
            fix="danku validator list shows all seats",
        )
    if ending:
        session.confirm(f"end {ending} seat(s)?")
        roles.leave(workspace, session.key, keep)
    taken = stake_claims(workspace.state(), address, workspace.ledger.time())
    for item in taken:
        workspace.send(session.key, item.action)
    total = sum(item.amount for item in taken)
    found = roles.holding(workspace.state(), address, workspace.ledger.time())
    value = {"ended": ending, "taken_out": str(total), **holding_value(found)}

    def show() -> None:
        session.out.tell(f"{ending} seat(s) ended, {amount(total)} taken out")
        session.out.tell(describe(found, workspace.ledger.time()))
        if found.bound:
            session.say("they serve challenges that exist; danku claim takes the stake out later")

    session.emit(value, show)


def list_seats(session: Session) -> None:
    """List who holds seats, and what their stakes are."""
    from danku.cli.render import amount, relative, table
    from danku.protocol.registry import registry_of
    from danku.roles.seats import holdings
    from danku.roles.stages import span

    workspace = session.workspace
    state, now = workspace.state(), workspace.ledger.time()
    registry = registry_of(state)
    found = holdings(state, now)
    value = {
        "stake": str(registry.terms.stake),
        "unbonding": registry.terms.unbonding,
        "version": registry.version,
        "active": registry.active,
        "staked": str(registry.staked),
        "owners": [holding_value(each) for each in found],
    }

    def show() -> None:
        rows = [
            (
                each.owner,
                str(len(each.active)),
                str(len(each.bound) + len(each.free)),
                amount(each.stake),
                amount(each.loss),
                relative(each.frees, now) if each.frees is not None else "",
            )
            for each in found
        ]
        columns = ("owner", "active", "ended", "stake", "lost", "free")
        session.out.print(table("", columns, rows))
        terms = registry.terms
        session.out.tell(
            f"{registry.active} active seats, {amount(registry.staked)} staked; a seat takes "
            f"{amount(terms.stake)}, free {span(terms.unbonding)} after leaving"
        )

    session.emit(value, show)


def register(app: typer.Typer) -> None:
    """Add the commands to `danku validator`."""
    command(app, "join", "danku validator join --seats 3 --as validator-1")(join)
    command(app, "leave", "danku validator leave --as validator-1")(leave)
    command(app, "list", "danku validator list")(list_seats)
