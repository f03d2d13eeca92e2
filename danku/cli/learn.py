"""`danku learn`: the ledger as a verifiable database of tasks, models and experiments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from danku.cli.completion import challenge_names
from danku.cli.session import Session, command

if TYPE_CHECKING:
    from danku.roles.learning import Experiment

app = typer.Typer(
    name="learn", help="Look up what was learned: tasks, models, scores.", no_args_is_help=True
)


def _experiments(session: Session) -> list[Experiment]:
    from danku.roles.learning import chain, experiment

    links = chain(session.workspace.state())
    with session.progress() as progress:
        found = []
        for done, link in enumerate(links, start=1):
            found.append(experiment(session.workspace, link))
            progress("reading experiments", done, len(links))
    return found


@command(app, "log", "danku learn log")
def log(session: Session) -> None:
    """Show the learning chain: each decided challenge, its winner and score; links are verified."""
    from danku.cli.render import moment, short, table
    from danku.cli.terminal import verbatim

    found = _experiments(session)
    value = {
        "newest_link": session.workspace.state().link,
        "experiments": [each.plain() for each in found],
    }

    def show() -> None:
        rows = [
            (
                str(each.number),
                moment(each.time)[: len("2026-11-22")],
                verbatim(each.name or short(each.challenge)),
                each.outcome,
                f"{each.metric} {each.score[:-3]}" if each.score else each.metric or "–",
                short(each.winner) if each.winner else "–",
                short(each.link),
            )
            for each in found
        ]
        columns = ("no.", "decided", "task", "outcome", "best", "winner", "link")
        session.out.print(table("", columns, rows))
        _tell_problems(session, found)
        session.say(f"{len(found)} links, each re-computed; danku learn show NO. tells one")

    session.emit(value, show)


def _tell_problems(session: Session, found: list[Experiment]) -> None:
    for each in found:
        if each.problem:
            session.say(f"{each.number}: {each.problem}", "yellow")


@command(app, "search", 'danku learn search --task "breast cancer" --metric f1')
def search(
    session: Session,
    task: Annotated[
        str, typer.Option("--task", metavar="WORDS", help="Words of the name, title or summary.")
    ] = "",
    metric: Annotated[str, typer.Option("--metric", help="The metric's name.")] = "",
    input_: Annotated[
        str, typer.Option("--input", metavar="SIGNATURE", help='"float32[30]" or "float32".')
    ] = "",
    output: Annotated[
        str,
        typer.Option("--output", metavar="SIGNATURE", help='"probabilities[2]" or "value".'),
    ] = "",
    passing: Annotated[
        bool, typer.Option("--passing", help="Only models that reached the threshold.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Show at most so many.")] = 20,
) -> None:
    """Find the best models that a committee verified; exit 4 if there are none."""
    from danku.cli.render import table
    from danku.cli.terminal import verbatim
    from danku.errors import NotYet
    from danku.roles.learning import Query
    from danku.roles.learning import search as search_models

    found = search_models(_experiments(session), Query(task, metric, input_, output, passing))
    if not found:
        raise NotYet(
            "no verified model matches",
            why="only models of challenges that a committee decided are verified",
            fix="danku learn log shows all experiments; leave out a condition",
        )
    value = [
        {
            "experiment": match.experiment.number,
            "challenge": match.experiment.challenge,
            "task": match.experiment.name,
            "metric": match.experiment.metric,
            "input": match.experiment.input,
            "output": match.experiment.output,
            "score": match.model.score,
            "passes": match.model.passes,
            "rank": match.model.rank,
            "submitter": match.model.submitter,
            "model": match.model.digest,
            "cid": match.model.cid,
        }
        for match in found[:limit]
    ]

    def show() -> None:
        rows = [
            (
                match.experiment.metric,
                match.model.score or "",
                verbatim(match.experiment.name),
                f"{match.experiment.input} to {match.experiment.output}",
                str(match.experiment.number),
                str(match.model.submission),
            )
            for match in found[:limit]
        ]
        columns = ("metric", "score", "task", "signature", "experiment", "no.")
        session.out.print(table("", columns, rows))
        if len(found) > limit:
            session.say(f"{len(found) - limit} more: --limit {len(found)}")
        session.say("scores compare within one task: each has its own data")
        session.say("danku learn show EXPERIMENT gives the models' CIDs")

    session.emit(value, show)


@command(app, "show", "danku learn show 1")
def show(
    session: Session,
    experiment: Annotated[
        str,
        typer.Argument(
            help="A number of the log, a challenge, or a link's beginning.",
            autocompletion=challenge_names,
        ),
    ],
) -> None:
    """Show one experiment with everything it can be re-verified from."""
    from danku.cli.render import facts, moment, short, table
    from danku.cli.terminal import verbatim
    from danku.errors import UsageError
    from danku.roles.learning import chain, find_link
    from danku.roles.learning import experiment as read_experiment
    from danku.roles.names import resolve

    try:
        challenge = resolve(session.workspace, experiment)
    except UsageError:
        challenge = None
    link = find_link(chain(session.workspace.state()), experiment, challenge)
    found = read_experiment(session.workspace, link)

    def draw() -> None:
        pairs = [
            ("challenge", found.challenge),
            ("decided", moment(found.time)),
            ("outcome", found.outcome),
            ("task", found.summary or found.title),
            ("signature", f"{found.input} to {found.output}"),
            ("metric", f"{found.metric}, threshold {found.threshold}, {found.profile}"),
            ("winner", f"{found.winner} with {found.score}" if found.winner else "nobody"),
            ("data root", found.data_root),
            *((f"{name} CID", cid or "not revealed") for name, cid in found.cids.items()),
            ("result digest", found.result),
            ("previous link", found.previous),
            ("link", found.link),
            *((f"model {model.submission} CID", model.cid) for model in found.models),
        ]
        session.out.print(facts(f"experiment {found.number}: {found.title}", pairs))
        rows = [
            (
                str(model.rank or "–"),
                model.score or "–",
                short(model.submitter),
                str(model.submission),
                model.status,
                verbatim(model.reason),
            )
            for model in found.models
        ]
        columns = ("rank", "score", "submitter", "no.", "status", "reason")
        session.out.print(table("", columns, rows))
        _tell_problems(session, [found])
        session.say(f"danku verify {found.challenge[:18]} re-computes all of it")

    session.emit(found.plain(), draw)
