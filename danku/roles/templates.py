"""A new challenge's folder, from a ready-made one."""

from __future__ import annotations

import json
import re
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path

from danku.dataset.shipped import shipped_challenges
from danku.errors import UsageError
from danku.roles.workspace import Workspace
from danku.storage.files import make_folder

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,47}")


class FolderExists(UsageError):
    """There is something where the new challenge should go."""


class UnknownTemplate(UsageError):
    """No ready-made challenge has this name."""


class BadName(UsageError):
    """Not a name that a challenge can have."""


def new_challenge(
    workspace: Workspace,
    name: str | None,
    template: str,
    validators: Sequence[str],
    seats: int = 0,
) -> Path:
    """Copy a ready-made challenge; its data file goes to the private folder.

    The public folder is what others see, so the data, with the test rows in it, must not lie there.

    Args:
        validators: the named panel; empty to name it later.
        seats: a committee of so many staked seats instead; 0 for a named panel.

    Raises:
        UnknownTemplate, BadName, FolderExists: see there.
        UsageError: validators and seats.
    """
    if validators and seats:
        raise UsageError(
            "a panel is either named or drawn from staked seats",
            fix="leave out --seats, or all of --validator",
        )
    known = shipped_challenges()
    if template not in known:
        raise UnknownTemplate(
            f"there is no ready-made challenge {template!r}", fix=f"use one of {', '.join(known)}"
        )
    name = template if name is None else name
    if not _NAME.fullmatch(name):
        raise BadName(
            f"{name!r} cannot be a challenge's name",
            fix="use up to 48 lower-case letters, digits and hyphens, a hyphen not first",
        )
    folder = workspace.root / "challenges" / name
    private = workspace.private / "sources" / name
    for place in (folder, private):
        if place.exists() and not (place == private and _untouched(private, known[template])):
            raise FolderExists(f"{place} exists", fix="give the challenge another name")
    make_folder(private.parent, 0o700)
    text = (known[template] / "challenge.toml").read_text("utf-8")
    text = _set(text, "name", json.dumps(name))
    text = _set(
        text, "source", json.dumps(_relative(folder, private / "data.csv"), ensure_ascii=False)
    )
    if validators:
        text = _set(text, "addresses", json.dumps([address.lower() for address in validators]))
    if seats:
        text = _set(text, "panel", '"seats"')
        text = re.sub(r"^addresses = .*$", f"seats = {seats}", text, count=1, flags=re.MULTILINE)
    places = {private: private.with_name(_draft()), folder: folder.with_name(_draft())}
    try:
        for draft in places.values():
            draft.mkdir(mode=0o700 if draft.parent == private.parent else 0o777)
        for path in sorted(known[template].iterdir()):
            if path.is_file() and path.name != "challenge.toml":
                draft = places[private if path.suffix == ".csv" else folder]
                shutil.copyfile(path, draft / path.name)
        (places[folder] / "challenge.toml").write_text(text, "utf-8")
        for place, draft in places.items():
            if not place.exists():
                draft.rename(place)
    finally:
        for draft in places.values():
            shutil.rmtree(draft, ignore_errors=True)
    return folder


def _draft() -> str:
    return f".new-{secrets.token_hex(8)}"


def _untouched(private: Path, template: Path) -> bool:
    """Whether a private folder is as a killed `challenge new` left it."""
    found = sorted(private.iterdir())
    names = sorted(path.name for path in template.glob("*.csv"))
    return [path.name for path in found] == names and all(
        path.read_bytes() == (template / path.name).read_bytes() for path in found
    )


def _relative(folder: Path, target: Path) -> str:
    import os

    return Path(os.path.relpath(target, folder)).as_posix()


def _set(text: str, key: str, value: str) -> str:
    """Replace the value of the first line that sets a key; comments after it stay."""
    pattern = re.compile(rf'^({key} = )("[^"]*"|\[[^\]]*\])', re.MULTILINE)
    return pattern.sub(lambda match: match[1] + value, text, count=1)
