"""Windows in ledger time: computed from the terms and the time of `create`, never stored."""

from __future__ import annotations

from dataclasses import dataclass

from danku.protocol.terms import Schedule


@dataclass(frozen=True)
class Windows:
    """Ends of the windows, in seconds since the epoch; a window includes its start, not its end."""

    created: int
    contribute: int
    open_seed: int
    reveal_train: int
    submit: int
    open: int
    reveal_test: int
    vote: int
    open_vote: int
    second_vote: int
    second_open_vote: int

    def vote_window(self, round_number: int) -> tuple[int, int]:
        """Start and end of committing votes in round 1 or 2."""
        if round_number == 1:
            return self.reveal_test, self.vote
        return self.open_vote, self.second_vote

    def open_vote_window(self, round_number: int) -> tuple[int, int]:
        """Start and end of opening votes in round 1 or 2."""
        if round_number == 1:
            return self.vote, self.open_vote
        return self.second_vote, self.second_open_vote


def windows(created: int, schedule: Schedule) -> Windows:
    """All deadlines of a challenge that was created at ``created``."""
    ends = [created]
    lengths = [getattr(schedule, name) for name in Schedule.__struct_fields__]
    for length in (*lengths, schedule.vote, schedule.open_vote):
        ends.append(ends[-1] + length)
    return Windows(*ends)
