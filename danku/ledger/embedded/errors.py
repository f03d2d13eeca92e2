"""What can be wrong with a journal, and the names of the rules that envelopes must keep."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from danku.errors import DataError, Rejected, StorageError, UsageError, VerificationFailed

AHEAD_SECONDS = 300
"""How far a line may be ahead of its reader's clock."""

CHECKS = {
    "bytes": "every line is one canonical record of bounded length and ends in a newline",
    "genesis": "the first line makes the ledger and fixes its chain id and address",
    "chain": "every line has the next sequence number and names the keccak of the line before it",
    "time": "time never runs backwards, and no line is more than "
    f"{AHEAD_SECONDS} s ahead of the reader's clock",
    "signature": "every action is signed for this ledger by the key that it names",
    "order": "every action has its sender's next nonce and names an action that stands earlier",
    "rules": "the rules allowed every action when it was made, and its money was there",
    "head": "the journal contains the head that was noted of it",
}
"""The checks of a journal, in the order in which they are numbered."""

ENVELOPE_RULES = {
    "BadSignature": "an action is signed by the key it names, for this ledger and no other",
    "InsufficientBalance": "an action carries no more money than its sender has",
    "NotSandbox": "only a sandbox can advance its time",
    "NotSequencer": "a ledger with a sequencer takes lines from nobody else",
    "NotTreasurer": "only the treasurer named at genesis grants money",
    "TimeLimit": "a sandbox is advanced by less than 2**39 seconds in all",
    "UnknownSeen": "an action names a signed action that stands earlier on this ledger",
    "WrongNonce": "the nonces of a signer's actions count 0, 1, 2, ... without gap or repetition",
}

_RESTORE = (
    "take the journal from another copy (version control, danku ledger import); "
    "danku ledger verify says whether that one is whole"
)


class JournalBroken(VerificationFailed):
    """A line of the journal does not verify; ``line`` counts from 1, ``check`` is in `CHECKS`."""

    def __init__(self, line: int, check: str, detail: str, fix: str = _RESTORE) -> None:
        super().__init__(
            f"line {line} of the journal fails the check '{check}': {detail}",
            why=CHECKS[check],
            fix=fix,
        )
        self.line = line
        self.check = check


class Rewritten(VerificationFailed):
    """The journal is whole in itself, but not the one whose head was noted."""

    check = "head"

    def __init__(self, detail: str) -> None:
        super().__init__(
            f"the journal was rewritten or truncated: {detail}",
            why=CHECKS["head"],
            fix="ask the other participants for their copies and compare: danku ledger verify "
            "--head HASH; somebody took back what had been accepted",
        )


_MERGE = (
    "danku ledger merge joins both sides; danku ledger install-driver has git do it by itself "
    "the next time"
)


class JournalConflicted(JournalBroken):
    """Git could not merge the journal, and its marks of a conflict stand in it."""

    def __init__(self, line: int) -> None:
        super().__init__(line, "bytes", "it is the mark of a conflict, left by git", _MERGE)


class JournalUnmerged(VerificationFailed):
    """Git holds two sides of the journal that are not joined yet; the file shows one at most."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} waits in git to be merged",
            why="two clones appended at the same time; the file shows one side, or none",
            fix=_MERGE,
        )


class ActionsDropped(VerificationFailed):
    """Actions that this workspace knows stand in the journal no more, though they would fit."""


class OtherLedger(DataError):
    """A journal of another ledger, where one of this ledger is expected."""


class NothingToMerge(UsageError):
    """There is no second journal to merge."""


class ClockBehind(DataError):
    """This machine's clock is so far behind the ledger that others would not believe it."""


class JournalMissing(DataError):
    """There is no journal where one is expected."""


class JournalExists(DataError):
    """A journal stands where another one should be written."""


class HeadsBroken(DataError):
    """The file of remembered heads cannot be read."""


class JournalUnavailable(StorageError):
    """The disk does not let the journal be read or written."""


class JournalBusy(StorageError):
    """Another process has kept the journal locked for too long."""


def refuse(rule: str, what: str, fix: str = "") -> NoReturn:
    """Raise the refusal of a named envelope rule.

    Raises:
        Rejected: always.
    """
    raise Rejected(rule, what, why=ENVELOPE_RULES[rule], fix=fix)
