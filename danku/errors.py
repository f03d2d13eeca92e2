"""Every error that danku raises on purpose: what happened, why, and what mends it.

A family fixes the exit code, so that scripts can tell a refusal from a broken file.
"""

from __future__ import annotations


class DankuError(Exception):
    """Base of all errors; ``what`` is one sentence, ``why`` and ``fix`` may be empty."""

    exit_code = 1

    def __init__(self, what: str, *, why: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.fix = fix

    @property
    def name(self) -> str:
        """The stable name that scripts match on."""
        return type(self).__name__


class UsageError(DankuError):
    """The command's words are off."""

    exit_code = 2


class Rejected(DankuError):
    """A rule of the ledger or of the protocol refuses an action; ``rule`` names it."""

    exit_code = 3

    def __init__(self, rule: str, what: str, *, why: str = "", fix: str = "") -> None:
        super().__init__(what, why=why, fix=fix)
        self.rule = rule

    @property
    def name(self) -> str:
        return self.rule


class NotYet(DankuError):
    """Nothing is due now, or the window has not opened."""

    exit_code = 4


class DataError(DankuError):
    """A file, record, model or setting is bad or missing."""

    exit_code = 5


class StorageError(DankuError):
    """A store or a network did not give or take the bytes."""

    exit_code = 6


class VerificationFailed(DankuError):
    """The public record contradicts itself or what was noted of it."""

    exit_code = 7
