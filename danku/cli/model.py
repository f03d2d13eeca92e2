"""`danku model`: what a submitter does."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from danku.cli.challenge import receipt_value
from danku.cli.session import ChallengeName, Session, command

if TYPE_CHECKING:
    from danku.protocol.manifest import Manifest
    from danku.protocol.state import Challenge
    from danku.protocol.types import Score
    from danku.roles.rehearsal import CostLine

app = typer.Typer(name="model", help="Check, score, submit and open models.", no_args_is_help=True)

ModelFile = Annotated[Path, typer.Argument(help="An ONNX file.", metavar="MODEL")]


class Part(StrEnum):
    train = "train"
    test = "test"


class Runtime(StrEnum):
    exact = "exact"
    onnxruntime = "onnxruntime"


def _dry_run(
    session: Session, challenge: Challenge, manifest: Manifest, model: bytes
) -> list[CostLine]:
    """Admission, and evaluation on the train data as soon as that is public."""
    from danku.roles.evidence import fetch_rows
    from danku.roles.rehearsal import check_model, rehearse

    costs = check_model(model, manifest)
    if challenge.train is not None:
        with session.progress() as progress:
            rows = fetch_rows(session.workspace, challenge, manifest, "train", progress)
            rehearse(model, rows, manifest)
    return costs


@command(app, "check", "danku model check breast-cancer model.onnx")
def check(session: Session, challenge: ChallengeName, model: ModelFile) -> None:
    """Run the very admission and evaluation that validators run; show the cost and its limits."""
    from danku.cli.render import table
    from danku.roles.submitter import read_model

    found = session.challenge(challenge)
    manifest = session.workspace.manifest(found)
    data = read_model(model, manifest.evaluation.limits.model_bytes)
    costs = _dry_run(session, found, manifest, data)
    value = {
        "admitted": True,
        "profile": manifest.evaluation.profile,
        "cost": {item.name: item.value for item in costs},
        "cost_per_row": {item.name: item.per_row for item in costs if item.per_row is not None},
        "batch": manifest.evaluation.batch,
        "limits": {item.name: item.limit for item in costs},
    }
    rows = [
        (
            item.name,
            "–" if item.per_row is None else f"{item.per_row:,}",
            f"{item.value:,}",
            f"{item.limit:,}",
            f"{100 * item.value / item.limit:.2f} %",
        )
        for item in costs
    ]

    def show() -> None:
        session.out.print(f"[green]admitted[/] by {manifest.evaluation.profile}")
        batch = f"a batch of {manifest.evaluation.batch}"
        columns = ("cost", "a row", batch, "limit", "used")
        session.out.print(table("", columns, rows))
        session.say(f"next: danku model score {challenge} {model}")

    session.emit(value, show)


@command(app, "score", "danku model score breast-cancer model.onnx")
def score(
    session: Session,
    challenge: ChallengeName,
    model: ModelFile,
    part: Annotated[Part, typer.Option("--part", help="Score on this public part.")] = Part.train,
    runtime: Annotated[
        Runtime, typer.Option("--runtime", help="onnxruntime is a fast preview, not what counts.")
    ] = Runtime.exact,
) -> None:
    """Score a model on public data, and the yardstick, with the validators' own evaluator."""
    from danku.evaluation.metrics import metric
    from danku.protocol.types import decimal
    from danku.roles.evidence import fetch_rows, fetch_train
    from danku.roles.rehearsal import preview, rehearse
    from danku.roles.submitter import read_model

    found = session.challenge(challenge)
    manifest = session.workspace.manifest(found)
    data = read_model(model, manifest.evaluation.limits.model_bytes)
    with session.progress() as progress:
        rows, yardstick = fetch_train(session.workspace, found, manifest, progress)
        if part is Part.test:
            rows = fetch_rows(session.workspace, found, manifest, "test", progress)
        run = rehearse if runtime is Runtime.exact else preview
        scored = run(data, rows, manifest, yardstick)
    points = scored.score
    passes = metric(manifest.evaluation.metric).passes(points, manifest.evaluation.threshold)
    value = {
        "metric": manifest.evaluation.metric,
        "score": decimal(points),
        "threshold": decimal(manifest.evaluation.threshold),
        "passes": passes,
        "part": part.value,
        "runtime": runtime.value,
        "yardstick": None if scored.yardstick is None else decimal(scored.yardstick),
        "yardstick_rows": 0 if yardstick is None else len(yardstick.target),
    }

    def show() -> None:
        if scored.yardstick is not None:
            apart = f"{value['yardstick_rows']} rows of the yardstick"
            session.out.print(
                f"{manifest.evaluation.metric} {decimal(scored.yardstick)} on the {apart}"
            )
        session.out.print(f"{manifest.evaluation.metric} {decimal(points)} on {part.value} data")
        side = "[green]passes[/]" if passes else "[yellow]does not pass[/]"
        session.out.print(f"{side} the threshold {decimal(manifest.evaluation.threshold)}")
        if found.settlement is None and session.workspace.ledger.time() < found.windows.submit:
            session.say(f"next: danku model submit {challenge} {model}")

    session.emit(value, show)


@command(app, "submit", "danku model submit breast-cancer model.onnx --as alice")
def submit(
    session: Session,
    challenge: ChallengeName,
    model: ModelFile,
    unchecked: Annotated[
        bool, typer.Option("--unchecked", help="Submit even what the dry run rejects.")
    ] = False,
    report: Annotated[
        bool, typer.Option("--report", help="Tell everybody its score on the yardstick, too.")
    ] = False,
) -> None:
    """Commit to a model; nobody can read it before you open it."""
    from danku.cli.render import amount, moment
    from danku.protocol.types import decimal
    from danku.roles import submitter, yardstick

    found = session.challenge(challenge)
    manifest = session.workspace.manifest(found)
    data = submitter.read_model(model, manifest.evaluation.limits.model_bytes)
    submitter.precheck_submit(session.workspace, session.key, found.id)
    if not unchecked:
        _dry_run(session, found, manifest, data)
    score = _measured(session, found, manifest, data) if report else None
    reward = found.terms.reward
    question = f"lock up the bond of {reward.submission_bond:,} and pay {reward.entry_fee:,}"
    told = f", and tell everybody {_reported(manifest, score)}" if score is not None else ""
    session.confirm(question + told + "?")
    receipt = submitter.submit(session.workspace, session.key, found.id, data)
    after = session.workspace.challenge(found.id)
    own = submitter.own_submissions(after, session.key.address)
    left = reward.max_submissions - len(own)
    value = {
        "challenge": found.id,
        "submission": own[-1].number,
        "commitment": own[-1].commitment,
        "remaining": left,
        "open_from": found.windows.submit,
        "open_until": found.windows.open,
        **receipt_value(receipt),
    }
    if score is not None:
        said = yardstick.report(session.workspace, session.key, found.id, own[-1].number, score)
        value["report"] = {"yardstick": decimal(score), **receipt_value(said)}

    def show() -> None:
        used = f"{len(own)} of {reward.max_submissions} used, {left} left for you"
        session.out.print(f"submission {own[-1].number} is committed; {used}")
        if score is not None:
            session.out.print(f"reported: {_reported(manifest, score)}")
        opens, closes = moment(found.windows.submit), moment(found.windows.open)
        session.say(f"open it between {opens} and {closes}: danku model open {challenge}")
        session.say(f"who forgets loses the bond of {amount(reward.submission_bond)}")

    session.emit(value, show)


def _reported(manifest: Manifest, score: Score) -> str:
    """A score on the yardstick, in words."""
    from danku.protocol.types import decimal

    return f"{manifest.evaluation.metric} {decimal(score)} on the yardstick"


def _measured(session: Session, challenge: Challenge, manifest: Manifest, model: bytes) -> Score:
    """What validators will find on the yardstick."""
    from danku.roles.yardstick import fetch_yardstick, measure

    with session.progress() as progress:
        rows = fetch_yardstick(session.workspace, challenge, manifest, progress)
        return measure(model, rows, manifest)


@command(app, "report", "danku model report breast-cancer --as alice")
def report(
    session: Session,
    challenge: ChallengeName,
    submission: Annotated[
        int | None, typer.Option("--submission", help="This one; else your newest.")
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option("--model", help="Its file, if the private copy is not to be used."),
    ] = None,
) -> None:
    """Tell everybody what a submission scores on the yardstick; the model stays sealed.

    The board shows it as self-reported. Validators check it once the model is open, and reject the
    submission if it is not exactly what they find. A later report replaces an earlier one.
    """
    from danku.cli.render import moment
    from danku.protocol.types import decimal
    from danku.roles import yardstick

    found = session.challenge(challenge)
    manifest = session.workspace.manifest(found)
    entry = yardstick.reportable(found, session.key.address, submission)
    yardstick.precheck_report(session.workspace, session.key, found.id, entry.number)
    yardstick.require_yardstick(found, manifest)
    limit = manifest.evaluation.limits.model_bytes
    data = yardstick.committed_model(session.workspace, found, entry, model, limit)
    score = _measured(session, found, manifest, data)
    session.confirm(
        f"tell everybody that submission {entry.number} has {_reported(manifest, score)}?"
    )
    receipt = yardstick.report(session.workspace, session.key, found.id, entry.number, score)
    value = {
        "challenge": found.id,
        "submission": entry.number,
        "metric": manifest.evaluation.metric,
        "yardstick": decimal(score),
        "replaced": None if entry.report is None else decimal(entry.report),
        "replaceable_until": found.windows.submit,
        **receipt_value(receipt),
    }

    def show() -> None:
        session.out.print(f"submission {entry.number} reported: {_reported(manifest, score)}")
        session.say(f"it can be replaced until {moment(found.windows.submit)}; it ranks nobody")

    session.emit(value, show)


@command(app, "open", "danku model open breast-cancer --as alice")
def open_(
    session: Session,
    challenge: ChallengeName,
    submission: Annotated[
        int | None, typer.Option("--submission", help="Only this one; else all of yours.")
    ] = None,
) -> None:
    """Publish your committed models and open their commitments."""
    from danku.roles import submitter

    found = session.challenge(challenge)
    if submission is None:
        receipts = submitter.open_all(session.workspace, session.key, found.id)
    else:
        receipts = [submitter.open_submission(session.workspace, session.key, found.id, submission)]
    value = {"challenge": found.id, "opened": [receipt_value(item) for item in receipts]}
    session.emit(value, lambda: session.out.print(f"{len(receipts)} submission(s) opened"))


@command(app, "list", "danku model list breast-cancer --as alice")
def list_(session: Session, challenge: ChallengeName) -> None:
    """List your submissions, how many you have left, and until when."""
    from danku.cli.render import moment, relative, table
    from danku.cli.reports import SELF_REPORTED, self_reported
    from danku.cli.terminal import verbatim
    from danku.roles.board import board
    from danku.roles.submitter import own_submissions

    found = session.challenge(challenge)
    lines = [
        line for line in board(session.workspace, found).lines if line.submitter == session.address
    ]
    limit, windows = found.terms.reward.max_submissions, found.windows
    used = len(own_submissions(found, session.address))
    value = {
        "submissions": [
            {
                "submission": line.submission,
                "status": line.status,
                "rank": line.rank,
                "score": line.score,
                "reason": line.reason,
                "time": line.time,
                "reported": line.reported,
                "report_holds": line.report_holds,
            }
            for line in lines
        ],
        "used": used,
        "remaining": limit - used,
        "max_submissions": limit,
        "submit_until": windows.submit,
        "open_from": windows.submit,
        "open_until": windows.open,
    }
    rows = [
        (
            str(line.submission),
            line.status,
            str(line.rank or "–"),
            line.score or "–",
            self_reported(line),
            moment(line.time),
            verbatim(line.reason),
        )
        for line in lines
    ]

    def show() -> None:
        columns = ("submission", "status", "rank", "score", SELF_REPORTED, "committed", "reason")
        session.out.print(table("", columns, rows))
        now = session.workspace.ledger.time()
        session.out.print(f"{used} of {limit} used, {limit - used} left; none comes back")
        for name, end in (("submit", windows.submit), ("open", windows.open)):
            session.out.print(f"{name} until {moment(end)}, {relative(end, now)}")

    session.emit(value, show)
