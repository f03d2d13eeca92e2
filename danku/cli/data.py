"""`danku data`: the public data of a challenge, verified before it is written."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from danku.cli.session import ChallengeName, Session, command

app = typer.Typer(name="data", help="Public data of challenges.", no_args_is_help=True)


class Part(StrEnum):
    train = "train"
    test = "test"


@command(app, "pull", "danku data pull breast-cancer --to train.npz")
def pull(
    session: Session,
    challenge: ChallengeName,
    to: Annotated[
        Path | None, typer.Option("--to", help="File to write: .npz, .csv or .safetensors.")
    ] = None,
    part: Annotated[Part, typer.Option("--part", help="Which part.")] = Part.train,
) -> None:
    """Fetch the revealed data, check every group against the ledger, and write it to a file.

    The yardstick's rows are kept apart from the train rows: in arrays of their own, or for CSV in a
    second file.
    """
    from danku.roles.evidence import fetch_rows, fetch_train
    from danku.roles.pull import write_rows

    found = session.challenge(challenge)
    manifest = session.workspace.manifest(found)
    target = to or Path(f"{manifest.name}-{part.value}.npz")
    with session.progress() as progress:
        yardstick = None
        if part is Part.train:
            rows, yardstick = fetch_train(session.workspace, found, manifest, progress)
        else:
            rows = fetch_rows(session.workspace, found, manifest, "test", progress)
        files = write_rows(target, rows, manifest, yardstick)
    apart = 0 if yardstick is None else len(yardstick.target)
    value = {
        "file": str(target),
        "files": [str(path) for path in files],
        "part": part.value,
        "rows": len(rows.target),
        "yardstick_rows": apart,
        "row_shape": list(manifest.model.shape),
        "columns": list(manifest.data.columns),
        "classes": list(manifest.model.classes),
    }

    def show() -> None:
        session.out.tell(f"{target}: {len(rows.target)} rows, verified against the data root")
        if apart:
            session.out.tell(f"  and {apart} rows of the yardstick, in {_place(files)}")
        session.say("arrays: features, target" + _meaning(list(manifest.model.classes)))
        if apart:
            session.say("do not train on the yardstick, or it measures nothing")

    session.emit(value, show)


def _place(files: tuple[Path, ...]) -> str:
    return str(files[1]) if len(files) > 1 else "yardstick_features and yardstick_target"


def _meaning(classes: list[str]) -> str:
    named = ", ".join(f"{index} = {name}" for index, name in enumerate(classes[:12]))
    return f" (target: {named})" if named else ""
