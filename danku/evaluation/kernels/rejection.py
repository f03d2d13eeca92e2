"""Reasons, known only while a model runs, for which every validator rejects it alike."""

from __future__ import annotations

from danku.errors import DankuError


class RuntimeRejection(DankuError):
    """The model asked for something undefined; ``reason`` is a function of model and data alone."""

    exit_code = 5

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the model is rejected while it runs: {reason}",
            why="the profile exact/1 leaves nothing undefined: it refuses instead",
            fix="change the model so that this cannot happen for any input",
        )
        self.reason = reason


class ZeroDivisor(RuntimeRejection):
    """An integer was divided by zero."""

    def __init__(self) -> None:
        super().__init__("integer division by zero")
