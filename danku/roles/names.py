"""Challenges by what people call them: an id, the beginning of one, or a name."""

from __future__ import annotations

from danku.errors import UsageError
from danku.protocol.types import Digest
from danku.roles.workspace import Workspace


class UnknownName(UsageError):
    """No challenge, or more than one, goes by this name."""


def resolve(workspace: Workspace, text: str) -> Digest:
    """The id of the challenge that ``text`` means.

    A name means the newest challenge of that name. The beginning of an id takes at least six
    hex digits.

    Raises:
        UnknownName: nothing, or more than one id, fits.
    """
    challenges = workspace.state().challenges
    wanted = text.lower()
    if wanted in challenges:
        return wanted
    prefix = wanted if wanted.startswith("0x") else "0x" + wanted
    found = [key for key in challenges if len(prefix) >= 8 and key.startswith(prefix)]
    if len(found) == 1:
        return found[0]
    if not found:
        found = [key for key in challenges if name_of(workspace, key) == wanted][-1:]
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
