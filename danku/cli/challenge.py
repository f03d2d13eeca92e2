"""`danku challenge`: what an organizer does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from danku.cli.session import ChallengeName, Session, command

if TYPE_CHECKING:
    from danku.ledger.port import Receipt
    from danku.protocol.manifest import Manifest
    from danku.protocol.state import Challenge
    from danku.protocol.terms import Panel
    from danku.roles.organizer import Draft

app = typer.Typer(name="challenge", help="Make and run challenges.", no_args_is_help=True)

FileArgument = Annotated[Path, typer.Argument(help="challenge.toml, or the folder that holds it.")]


def _file(path: Path) -> Path:
    return path / "challenge.toml" if path.is_dir() else path


def receipt_value(receipt: Receipt) -> dict[str, Any]:
    """A receipt as JSON would have it."""
    return {"sequence": receipt.sequence, "time": receipt.time, "digest": receipt.digest}


@command(app, "new", "danku challenge new --from breast-cancer")
def new(
    session: Session,
    name: Annotated[str | None, typer.Argument(help="Name of the challenge's folder.")] = None,
    source: Annotated[
        str | None, typer.Option("--from", help="A ready-made challenge: see --list.")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the ready-made challenges.")] = False,
    panel: Annotated[
        list[str] | None,
        typer.Option("--validator", help="Address of a validator; repeat for each."),
    ] = None,
    seats: Annotated[
        int, typer.Option("--seats", min=0, max=16, help="Or a committee of staked seats.")
    ] = 0,
) -> None:
    """Write a folder with challenge.toml, its README and baseline; the data stays private."""
    from danku.dataset.shipped import shipped_challenges
    from danku.roles.templates import new_challenge

    if list_:
        names = sorted(shipped_challenges())
        session.emit(names, lambda: session.out.print("\n".join(names)))
        return
    folder = new_challenge(session.workspace, name, source or "breast-cancer", panel or [], seats)
    value = {"folder": str(folder), "file": str(folder / "challenge.toml")}

    def show() -> None:
        session.out.tell(f"{folder / 'challenge.toml'} written")
        session.say(f"next: edit it, then danku challenge check {folder}")

    session.emit(value, show)


@command(app, "check", "danku challenge check challenges/breast-cancer")
def check(session: Session, file: FileArgument) -> None:
    """Lint a challenge, and print its calendar, what each role locks up, and what a miss costs."""
    from danku.roles.lint import lint
    from danku.roles.organizer import read_draft

    path = _file(file)
    draft = read_draft(path)
    findings = lint(draft)
    value = {
        "file": str(path),
        "groups": draft.terms.groups,
        "test_groups": draft.terms.test_groups,
        "yardstick_groups": draft.manifest.evaluation.yardstick_groups,
        "rows": draft.table.rows,
        "findings": [
            {"code": item.code, "message": item.message, "fix": item.fix} for item in findings
        ],
    }

    def show() -> None:
        _show_draft(session, draft)
        for item in findings:
            session.out.tell((item.code, "yellow"), f": {item.message}")
            session.out.tell(f"  fix: {item.fix}")
        session.out.print(f"{len(findings)} finding(s)" if findings else "nothing to mend")
        session.say(f"next: danku challenge create {file}")

    session.emit(value, show)


def _yardstick(manifest: Manifest) -> str:
    groups = manifest.evaluation.yardstick_groups
    return f"{groups} of the train groups, drawn by the seed" if groups else "none"


def _show_draft(session: Session, draft: Draft) -> None:
    from danku.cli.render import amount, facts, moment, table
    from danku.protocol.schedule import windows
    from danku.protocol.terms import Schedule, escrow_of

    terms, reward = draft.terms, draft.terms.reward
    ends = windows(_now(session), terms.schedule)
    session.out.print(
        facts(
            draft.manifest.title,
            (
                ("data", f"{draft.table.rows} rows in {terms.groups} groups"),
                ("test", f"{terms.test_groups} groups, drawn by the seed"),
                ("yardstick", _yardstick(draft.manifest)),
                ("metric", draft.manifest.evaluation.metric),
                ("mechanism", draft.manifest.mechanism.name),
                ("organizer locks up", amount(escrow_of(terms))),
                (
                    "submitter locks up",
                    f"{amount(reward.submission_bond)} and pays {amount(reward.entry_fee)}",
                ),
                ("validator locks up", amount(reward.contribution_deposit)),
            ),
        )
    )
    bond = amount(reward.organizer_bond)
    costs = {
        "open_seed": f"organizer: bond {bond} and the challenge; "
        f"validator: deposit {amount(reward.contribution_deposit)}",
        "reveal_train": f"organizer: bond {bond} and the challenge",
        "open": f"submitter: bond {amount(reward.submission_bond)} and the place",
        "reveal_test": f"organizer: bond {bond}; models judged on train data",
        "vote": "validator: the share of the fees" + _slashed(terms.panel, "silence_share"),
        "open_vote": "validator: the share of the fees" + _slashed(terms.panel, "minority_share"),
    }
    rows = [
        (name, moment(getattr(ends, name)), costs.get(name, ""))
        for name in Schedule.__struct_fields__
    ]
    session.out.print(table("if created now", ("step", "ends", "who misses it loses"), rows))


def _now(session: Session) -> int:
    """The ledger's time, which a sandbox moves; outside a workspace the clock's."""
    from danku.ledger.embedded.ledger import system_clock
    from danku.roles.workspace import NoWorkspace

    try:
        return session.workspace.ledger.time()
    except NoWorkspace:
        return system_clock()


def _slashed(panel: Panel, share: str) -> str:
    """What a staked seat loses besides."""
    parts = getattr(panel, share, 0)
    return f" and {parts / 100:g} % of each seat's stake" if parts else ""


@command(app, "create", "danku challenge create challenges/breast-cancer --as organizer")
def create(
    session: Session,
    file: FileArgument,
    again: Annotated[
        bool, typer.Option("--again", help="Even if one of this name is not finished.")
    ] = False,
) -> None:
    """Commit to the data and the terms, and escrow pot, fee and bond."""
    from danku.protocol.terms import escrow_of
    from danku.roles import organizer

    draft = organizer.read_draft(_file(file))
    total = escrow_of(draft.terms)
    session.confirm(f"lock up {total:,} (pot, fee and organizer bond) for {draft.manifest.name}?")
    with session.progress() as progress:
        created = organizer.create(
            session.workspace, session.key, draft, again=again, progress=progress
        )
    _show_created(session, created)


def _show_created(session: Session, created: Challenge) -> None:
    from danku.cli.render import moment

    terms = created.terms
    value = {
        "challenge": created.id,
        "data_root": terms.data_root,
        "groups": terms.groups,
        "test_groups": terms.test_groups,
        "terms_digest": created.terms_digest,
        "ledger_head": session.workspace.ledger.head(),
    }

    def show() -> None:
        session.out.tell(f"challenge {created.id}")
        session.out.tell(f"data root {terms.data_root}")
        deadline = moment(created.windows.contribute)
        session.say(f"validators contribute to the seed until {deadline}: danku advance")
        session.say("back up the private folder: danku keys export NAME --with-private --to FILE")

    session.emit(value, show)


def _act(session: Session, challenge: str, name: str) -> None:
    """Send one action that needs nothing but the challenge."""
    from danku.protocol import actions

    found = session.challenge(challenge)
    kinds: dict[str, type[actions.Draw | actions.Finalize | actions.Cancel]] = {
        "draw": actions.Draw,
        "finalize": actions.Finalize,
        "cancel": actions.Cancel,
    }
    action = kinds[name](found.id)
    receipt = session.workspace.send(session.key, action)
    after = session.workspace.challenge(found.id)
    value = {"challenge": found.id, "seed": after.seed, **receipt_value(receipt)}
    if after.settlement is not None:
        value["settlement"] = {
            "kind": after.settlement.kind,
            "reason": after.settlement.reason,
        }

    def show() -> None:
        session.out.print(f"{name} is line {receipt.sequence} of the ledger")
        if after.settlement is not None:
            session.out.tell(f"{after.settlement.kind}: {after.settlement.reason}")
        session.say(f"next: danku status {challenge}")

    session.emit(value, show)


@command(app, "draw", "danku challenge draw breast-cancer")
def draw(session: Session, challenge: ChallengeName) -> None:
    """Fix the seed, and with it the train/test split; anyone may."""
    _act(session, challenge, "draw")


@command(app, "finalize", "danku challenge finalize breast-cancer")
def finalize(session: Session, challenge: ChallengeName) -> None:
    """Settle a challenge whose fate is decided; anyone may."""
    _act(session, challenge, "finalize")


@command(app, "cancel", "danku challenge cancel breast-cancer --as organizer")
def cancel(session: Session, challenge: ChallengeName) -> None:
    """End a challenge; free before the first contribution, afterwards it costs the bond."""
    from danku.cli.render import amount
    from danku.protocol.finality import cancelling_is_free

    found = session.challenge(challenge)
    free = cancelling_is_free(found, session.workspace.ledger.time())
    bond = amount(found.terms.reward.organizer_bond)
    cost = "it is free now" if free else f"it costs the bond of {bond}"
    session.confirm(f"cancel {challenge}? {cost}")
    _act(session, challenge, "cancel")


def _reveal(session: Session, challenge: str, part: Any) -> None:
    from danku.roles import organizer

    found = session.challenge(challenge)
    with session.progress() as progress:
        receipt = organizer.reveal(session.workspace, session.key, found.id, part, progress)
    after = session.workspace.challenge(found.id)
    cid = after.train if part == "train" else after.test
    value = {"challenge": found.id, "part": part, "bundle": cid, **receipt_value(receipt)}
    session.emit(value, lambda: session.out.tell(f"{part} bundle {cid}"))


@command(app, "reveal-train", "danku challenge reveal-train breast-cancer --as organizer")
def reveal_train(session: Session, challenge: ChallengeName) -> None:
    """Publish the train groups with what proves them."""
    _reveal(session, challenge, "train")


@command(app, "reveal-test", "danku challenge reveal-test breast-cancer --as organizer")
def reveal_test(session: Session, challenge: ChallengeName) -> None:
    """Publish the test groups with what proves them."""
    _reveal(session, challenge, "test")


@command(app, "show", "danku challenge show breast-cancer")
def show(session: Session, challenge: ChallengeName) -> None:
    """Show a challenge's terms, manifest and calendar."""
    from danku.cli.render import amount, facts, windows
    from danku.protocol.records import plain
    from danku.roles.stages import stage_of

    found = session.challenge(challenge)
    manifest = session.workspace.manifest(found)
    now = session.workspace.ledger.time()
    value = {
        "challenge": found.id,
        "organizer": found.organizer,
        "created": found.created,
        "stage": stage_of(found, now),
        "terms": plain(found.terms),
        "terms_digest": found.terms_digest,
        "manifest": plain(manifest),
        "manifest_cid": found.manifest,
        "seed": found.seed,
        "train": found.train,
        "test": found.test,
        "submissions": len(found.submissions),
        "opened": found.opened,
    }

    def show_all() -> None:
        reward, model = found.terms.reward, manifest.model
        entries = f"{len(found.submissions)} of {reward.max_entries} taken"
        session.out.print(
            facts(
                manifest.title,
                (
                    ("id", found.id),
                    ("stage", stage_of(found, now)),
                    ("organizer", found.organizer),
                    ("pot", amount(reward.pot)),
                    ("mechanism", manifest.mechanism.name),
                    ("metric", manifest.evaluation.metric),
                    ("yardstick", _yardstick(manifest)),
                    ("model", f"{model.dtype} {list(model.shape)} a row, gives {model.output}"),
                    ("entries", f"{entries}; {reward.max_submissions} a submitter"),
                    (
                        "entry",
                        f"bond {amount(reward.submission_bond)}, fee {amount(reward.entry_fee)}",
                    ),
                    ("seed", found.seed or "not drawn"),
                    ("train bundle", found.train or "not revealed"),
                    ("test bundle", found.test or "not revealed"),
                    ("about", manifest.summary),
                ),
            )
        )
        session.out.print(windows(found, now, width=session.out.width))

    session.emit(value, show_all)


@command(app, "list", "danku challenge list")
def list_(session: Session) -> None:
    """List the challenges on this ledger."""
    from danku.cli.render import amount, moment, short, table
    from danku.roles.names import name_of
    from danku.roles.stages import stage_of

    now = session.workspace.ledger.time()
    challenges = session.workspace.state().challenges.values()
    names = {item.id: name_of(session.workspace, item.id) for item in challenges}
    value = [
        {
            "challenge": item.id,
            "name": names[item.id],
            "stage": stage_of(item, now),
            "pot": str(item.terms.reward.pot),
            "submit_until": item.windows.submit,
            "submissions": len(item.submissions),
        }
        for item in challenges
    ]
    rows = [
        (
            names[item.id] or "?",
            short(item.id),
            stage_of(item, now),
            amount(item.terms.reward.pot),
            moment(item.windows.submit),
            str(len(item.submissions)),
        )
        for item in challenges
    ]
    columns = ("name", "id", "stage", "pot", "submit until", "submissions")
    none = "no challenge on this ledger yet; danku challenge new begins one"
    session.emit(value, lambda: session.out.print(table("", columns, rows) if rows else none))
