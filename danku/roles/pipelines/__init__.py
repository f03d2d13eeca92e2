"""CI pipelines that run danku unattended: a file a system, written into a workspace."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from danku import __version__
from danku.errors import UsageError
from danku.storage.files import NewFile, make_folder

PLACES = {"github": ".github/workflows/danku.yml", "gitlab": ".gitlab-ci.yml"}
"""Where each CI system looks."""


class UnknownSystem(UsageError):
    """There is no pipeline for this CI system."""


class PipelineExists(UsageError):
    """Another pipeline stands where danku's would."""


def check_system(system: str) -> None:
    """Refuse what `write_pipeline` cannot write.

    Raises:
        UnknownSystem: not one of ``PLACES``.
    """
    if system not in PLACES:
        raise UnknownSystem(
            f"no pipeline for {system!r}", fix=f"--ci takes one of {', '.join(PLACES)}"
        )


def write_pipeline(root: Path, system: str) -> Path:
    """Write the pipeline of a CI system, for this version of danku; where it stands.

    Raises:
        UnknownSystem: not one of ``PLACES``.
        PipelineExists: a file that danku did not write stands there.
    """
    check_system(system)
    text = files(__package__).joinpath(f"{system}.yml").read_text("utf-8")
    target = root / PLACES[system]
    first = text.partition(":")[0]
    if target.exists() and not target.read_text("utf-8").startswith(first):
        raise PipelineExists(
            f"{target} exists, and danku did not write it",
            why="it is not overwritten",
            fix="move it away, run this again, and join the two by hand",
        )
    make_folder(target.parent)
    with NewFile(target.parent) as draft:
        draft.write(text.replace("@VERSION@", __version__).encode())
        draft.keep(target)
    return target
