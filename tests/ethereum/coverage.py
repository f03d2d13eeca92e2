"""Which actions were accepted and by which rules others were refused, in both ledgers alike."""

from __future__ import annotations

from collections import Counter
from typing import get_args

from danku.protocol.actions import Action, kind_of
from danku.protocol.errors import RULES
from danku.protocol.state import Challenge, Fault, SettlementKind

KINDS = tuple(kind_of(each) for each in get_args(Action))
PANELS = ("named", "seats")
ENDINGS = {
    *(f"{kind}, {panel}" for kind in get_args(SettlementKind) for panel in PANELS),
    *(f"decided in round two, {panel}" for panel in PANELS),
    *get_args(Fault),
}


class Coverage:
    """Counts of what happened to actions."""

    def __init__(self) -> None:
        self.accepted: Counter[str] = Counter()
        self.refused: Counter[tuple[str, str]] = Counter()
        self.endings: Counter[str] = Counter()
        """Settlements by kind and panel, and penalties by fault."""
        self.sequences = 0

    def end(self, challenge: Challenge) -> None:
        """Count how a challenge ended."""
        settlement = challenge.settlement
        assert settlement is not None
        panel = "named" if challenge.pool is None else "seats"
        self.endings[f"{settlement.kind}, {panel}"] += 1
        self.endings.update(penalty.fault for penalty in settlement.penalties)
        if settlement.round == 2:
            self.endings[f"decided in round two, {panel}"] += 1

    @property
    def rules(self) -> Counter[str]:
        """How often each rule refused something."""
        found: Counter[str] = Counter()
        for (_, rule), count in self.refused.items():
            found[rule] += count
        return found

    def missing(self) -> set[str]:
        """Actions never accepted, rules that never refused anything, endings never met."""
        never = {kind for kind in KINDS if not self.accepted[kind]}
        return never | (set(RULES) - set(self.rules)) | (ENDINGS - set(self.endings))

    def table(self) -> str:
        """All counts as text."""
        lines = [
            f"{self.sequences} sequences, {self.accepted.total()} actions accepted, "
            f"{self.refused.total()} refused"
        ]
        for kind in KINDS:
            rules = [(rule, n) for (each, rule), n in self.refused.items() if each == kind]
            rules.sort(key=lambda item: -item[1])
            told = ", ".join(f"{rule} {count}" for rule, count in rules)
            lines.append(f"{kind:14} {self.accepted[kind]:8}   {told}")
        lines += [f"{ending:32} {self.endings[ending]:6}" for ending in sorted(ENDINGS)]
        return "\n".join(lines)
