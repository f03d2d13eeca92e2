"""`danku status`: where challenges stand, and the exact next command for each key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from danku.cli.completion import challenge_names
from danku.cli.session import Session, command
from danku.cli.watching import SECONDS, EveryOption, Shown, WatchOption, emit

if TYPE_CHECKING:
    from danku.protocol.state import Challenge
    from danku.roles.duty import Duty
    from danku.roles.sharing import Sharing

OptionalChallenge = Annotated[
    str | None,
    typer.Argument(help="A challenge's name or id; else all.", autocompletion=challenge_names),
]


def _own_addresses(session: Session) -> dict[str, str]:
    """Addresses of the keys that `--as` means, or of all keys here, with their names."""
    from danku.cli.unlock import address_of_key, has_secret
    from danku.crypto.keystore import listing

    files = {file.address: file.name for file in listing(session.workspace.keys) if file.address}
    if session.key_name is None and (files or not has_secret()):
        return files
    address = address_of_key(session.workspace.keys, session.key_name)
    return {address: files.get(address, address)}


def _duty_value(duty: Duty, name: str, command_line: str, now: int) -> dict[str, Any]:
    return {
        "key": name,
        "step": duty.name,
        "what": duty.what,
        "due": duty.due(now),
        "opens": duty.opens,
        "closes": duty.closes,
        "cost_of_missing": duty.cost,
        "command": command_line,
    }


def _status_of(session: Session, challenge: Challenge, keys: dict[str, str]) -> dict[str, Any]:
    from danku.roles.duties import duties
    from danku.roles.names import name_of
    from danku.roles.stages import stage_of

    now = session.workspace.ledger.time()
    state = session.workspace.state()
    name = name_of(session.workspace, challenge.id) or challenge.id
    steps = [
        _duty_value(duty, key, f"danku advance {name} --as {key}", now)
        for address, key in keys.items()
        for duty in duties(state, challenge, address, now)
    ]
    if challenge.settlement is None and challenge.train and now < challenge.windows.submit:
        steps += _entry_steps(challenge, name, keys)
    reward = challenge.terms.reward
    return {
        "challenge": challenge.id,
        "name": name,
        "stage": stage_of(challenge, now),
        "time": now,
        "settled": challenge.settlement.reason if challenge.settlement else None,
        "submissions": len(challenge.submissions),
        "opened": challenge.opened,
        "used": {key: challenge.counts.get(address, 0) for address, key in keys.items()},
        "max_submissions": reward.max_submissions,
        "cannot_enter": [key for address, key in keys.items() if address in _judges(challenge)],
        "submit_until": challenge.windows.submit,
        "open_until": challenge.windows.open,
        "remaining": {
            key: reward.max_submissions - challenge.counts.get(address, 0)
            for address, key in keys.items()
        },
        "next": steps,
    }


def _judges(challenge: Challenge) -> tuple[str, ...]:
    """Who has no part in entering."""
    return (challenge.organizer, *challenge.terms.panel.members)


def _entry_steps(challenge: Challenge, name: str, keys: dict[str, str]) -> list[dict[str, Any]]:
    judges = _judges(challenge)
    limit = challenge.terms.reward.max_submissions
    return [
        {
            "key": key,
            "step": "submit",
            "what": f"enter a model; {limit - challenge.counts.get(address, 0)} left",
            "due": True,
            "opens": challenge.created,
            "closes": challenge.windows.submit,
            "cost_of_missing": "",
            "command": f"danku model submit {name} MODEL.onnx --as {key}",
        }
        for address, key in keys.items()
        if address not in judges and challenge.counts.get(address, 0) < limit
    ]


def _show_challenge(session: Session, value: dict[str, Any], challenge: Challenge) -> None:
    from danku.cli.drawing import Timeline, stage_states
    from danku.cli.render import windows
    from danku.roles.stages import STAGES

    session.out.tell(
        (value["name"], "bold"),
        "  stage: ",
        (value["stage"], "bold"),
        f"  {value['submissions']} submission(s), {value['opened']} opened",
    )
    if value["settled"]:
        session.out.tell(f"settled: {value['settled']}")
        return
    session.out.print(Timeline(stage_states(STAGES, value["stage"])))
    session.out.print(windows(challenge, value["time"], width=session.out.width))


def _show_quota(session: Session, value: dict[str, Any]) -> None:
    """Submissions of each own key that may enter, and until when there can be more."""
    from danku.cli.render import relative

    limit, end = value["max_submissions"], relative(value["submit_until"], value["time"])
    closing = f"submitting closes {end}" if end.startswith("in ") else f"submitting closed {end}"
    for key, left in value["remaining"].items():
        used = value["used"][key]
        if used or key not in value["cannot_enter"]:
            session.out.tell(f"{key}: {used} of {limit} submissions used, {left} left; {closing}")


def _show_balances(session: Session, owed: dict[str, int], balances: dict[str, str]) -> None:
    from danku.cli.render import amount, table
    from danku.cli.terminal import verbatim

    rows = [
        (verbatim(name), amount(int(balances[name])), amount(total)) for name, total in owed.items()
    ]
    session.out.print(table("", ("key", "balance", "owed"), rows))


def _show_step(session: Session, step: dict[str, Any], now: int) -> None:
    from danku.cli.render import relative

    task = f"{step['key']}: {step['what']}"
    if step["due"]:
        closes = f", closes {relative(step['closes'], now)}" if step["closes"] else ""
        session.out.tell(("now", "green"), f"    {task}{closes}")
        session.out.tell((f"       {step['command']}", "bold"))
    else:
        when = f"{relative(step['opens'], now)}, closes {relative(step['closes'], now)}"
        session.out.tell(("later", "dim"), f"  {task}, opens {when}")
    if step["cost_of_missing"]:
        session.out.tell((f"       a miss costs {step['cost_of_missing']}", "dim"))


def _show_next(session: Session, statuses: list[dict[str, Any]], owed: dict[str, int]) -> None:
    steps = [(step, item["time"]) for item in statuses for step in item["next"]]
    for step, now in sorted(steps, key=lambda pair: (pair[0]["due"], -pair[0]["opens"])):
        _show_step(session, step, now)
    for name, total in owed.items():
        if total:
            session.out.tell(("now", "green"), f"    {name}: take out what is owed")
            session.out.tell((f"       danku claim --as {name}", "bold"))


def _sharing_value(found: Sharing, keys: dict[str, str]) -> dict[str, Any]:
    from danku.crypto.hashing import to_hex
    from danku.protocol.actions import kind_of

    def action(digest: str, kind: str, sender: str) -> dict[str, Any]:
        return {"digest": digest, "kind": kind, "sender": sender, "key": keys.get(sender)}

    return {
        "in_git": found.in_git,
        "branch": found.branch,
        "pending": [
            action(entry.digest, kind_of(entry.action), entry.sender) for entry in found.pending
        ],
        "refused": [
            action(to_hex(item.action.digest), kind_of(item.action.action), item.action.sender)
            | {"rule": item.rule, "what": item.what}
            for item in found.refused
        ],
        "merge_driver": found.driver,
        "problem": found.problem,
    }


def _show_sharing(session: Session, value: dict[str, Any]) -> None:
    for item in value["refused"]:
        who = item["key"] or item["sender"]
        session.out.tell(
            ("refused", "red"), f"  {item['kind']} of {who}: {item['rule']}, {item['what']}"
        )
        session.out.tell("       a merge left it out: others were earlier; do it again if you can")
    for item in value["pending"]:
        session.out.tell(
            ("pending", "yellow"), f"  {item['kind']} of {item['key'] or item['sender']}"
        )
    if value["pending"]:
        where = value["branch"] or "the shared copy"
        session.out.tell(f"       not in {where} yet, so that deadlines may pass it by:")
        session.out.tell(("       git add, git commit, git pull, git push", "bold"))
    if value["problem"]:
        session.out.tell(f"what others have is not known: {value['problem']}")
    elif value["in_git"] and not value["merge_driver"]:
        session.out.tell("git cannot merge the ledger in this clone: danku ledger install-driver")


def status(
    session: Session,
    challenge: OptionalChallenge = None,
    watch: WatchOption = False,
    every: EveryOption = SECONDS,
) -> None:
    """Show stage, deadlines, and what each of your keys can do now, as the exact next command."""
    emit(session, lambda: _read(session, challenge), watch=watch, every=every)


def _read(session: Session, challenge: str | None) -> Shown:
    from danku.roles.claims import owed_to
    from danku.roles.sharing import sharing

    keys = _own_addresses(session)
    state = session.workspace.state()
    found = [session.challenge(challenge)] if challenge else list(state.challenges.values())
    shown = [item for item in found if challenge or item.settlement is None or len(found) == 1]
    statuses = [_status_of(session, item, keys) for item in shown]
    owed = {
        name: sum(item.amount for item in owed_to(session.workspace, address))
        for address, name in keys.items()
    }
    balances = {
        name: str(session.workspace.ledger.balance(address)) for address, name in keys.items()
    }
    value = {
        "challenges": statuses,
        "owed": {name: str(total) for name, total in owed.items()},
        "balances": balances,
        "ledger_head": session.workspace.ledger.head(),
        **_sharing_value(sharing(session.workspace), keys),
    }

    def show() -> None:
        for item, found_challenge in zip(statuses, shown, strict=True):
            _show_challenge(session, item, found_challenge)
            _show_quota(session, item)
        if not shown:
            session.out.print("no challenge goes on here; danku challenge list shows all")
        if balances:
            _show_balances(session, owed, balances)
        else:
            session.say("no key here, so nothing is yours to do; danku keys new NAME makes one")
        _show_next(session, statuses, owed)
        _show_sharing(session, value)

    return value, show


def register(app: typer.Typer) -> None:
    """Add the command to the top level."""
    command(app, "status", "danku status breast-cancer")(status)
