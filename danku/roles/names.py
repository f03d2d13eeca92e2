"""Challenges by what people call them: an id, the beginning of one, or a name."""

from __future__ import annotations

from danku.errors import UsageError
from danku.protocol.types import Digest
from danku.roles.workspace import Workspace


class UnknownName(UsageError):
    """No challenge, or more than one, goes by this name."""


def resolve(workspace: Workspace, text: str) -> Digest:
    """The id of the challenge that ``text`` means.

    A name means the first unfinished challenge of that name, else the newest finished one:
    whoever comes later with another's name gets none of what is meant for it. The beginning of an
    id takes at least six hex digits.

    Raises:
        UnknownName: nothing, or more than one id, fits.
    """
    challenges = workspace.state().challenges
    wanted = text.lower()
    if wanted in challenges:
        return wanted
    prefix = "0x" + wanted.removeprefix("0x")
    found = [key for key in challenges if len(prefix) >= 8 and key.startswith(prefix)]
    if not wanted.startswith("0x"):
        named = [key for key in challenges if name_of(workspace, key) == wanted]
        unfinished = [key for key in named if challenges[key].settlement is None]
        found = list(dict.fromkeys([*found, *(unfinished[:1] or named[-1:])]))
    if len(found) == 1:
        return found[0]
    known = ", ".join(name_of(workspace, key) or key[:10] for key in list(challenges)[-5:])
    raise UnknownName(
        f"{text!r} means {len(found) or 'no'} challenge" + ("s" if len(found) > 1 else ""),
        why=f"known are: {known}" if known else "this ledger has no challenge yet",
        fix="danku challenge list",
    )


def name_of(workspace: Workspace, challenge: Digest) -> str:
    """The name in a challenge's manifest, or nothing where the manifest cannot be had."""
    from danku.errors import DankuError

    try:
        return workspace.manifest(workspace.challenge(challenge)).name
    except DankuError:
        return ""
