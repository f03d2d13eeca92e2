"""How a model is refused: a stable code, and a short reason that every validator states alike."""

from __future__ import annotations

from danku.errors import DataError

REASON_CHARACTERS = 200
_QUOTED_CHARACTERS = 48
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:[]")


class ModelRejected(DataError):
    """The model itself is at fault; ``reason`` follows from the model and the terms alone."""

    def __init__(self, code: str, reason: str, *, fix: str = "") -> None:
        self.code = code
        self.reason = reason[:REASON_CHARACTERS]
        super().__init__(
            f"the model is rejected: {self.reason}",
            why="every validator would refuse it alike under the profile exact/1",
            fix=fix,
        )


def quoted(name: str) -> str:
    """A name that the model chose, cut and stripped of anything that could mislead a terminal."""
    cut = name[:_QUOTED_CHARACTERS]
    return "".join(character if character in _PLAIN else "?" for character in cut)
