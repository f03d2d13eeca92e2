"""`danku challenge check`: what will go wrong in a challenge that the rules would accept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from danku.dataset.lint import Finding, lint_data
from danku.protocol.initialization import check_terms
from danku.protocol.terms import Reward, SeatsPanel
from danku.protocol.types import ZERO_ADDRESS

if TYPE_CHECKING:
    from danku.roles.organizer import Draft

CI_INTERVAL = 3_600
"""Seconds between two runs of a scheduled CI job, on the usual services."""

SMALL_COMMITTEE = 7
"""Seats below which chance decides too much about who judges."""

ENOUGH_YARDSTICK_ROWS = 100
"""With fewer rows chance moves an accuracy by five points and more: 0.5 / sqrt(rows)."""

REFERENCE_SPEED = 10**9
"""Multiply-accumulates a second of one slow core, for judging whether votes fit their window."""


def lint(draft: Draft) -> list[Finding]:
    """Everything that is worth mending before `create`; empty if nothing is.

    Raises:
        Rejected: BadTerms, for terms that no ledger would accept.
    """
    check_terms(draft.terms, ZERO_ADDRESS[:-1] + "1")
    return [
        *lint_data(
            draft.table,
            draft.plan,
            shuffled=draft.file.data.shuffle,
            test_groups=draft.terms.test_groups,
        ),
        *_yardstick(draft),
        *_windows(draft),
        *_load(draft),
        *_panel(draft),
    ]


def _yardstick(draft: Draft) -> list[Finding]:
    terms, groups = draft.terms, draft.manifest.evaluation.yardstick_groups
    train, found = terms.groups - terms.test_groups, []
    if not groups:
        return []
    rows = groups * draft.table.rows // terms.groups
    if rows < ENOUGH_YARDSTICK_ROWS:
        found.append(
            Finding(
                "small-yardstick",
                f"{groups} yardstick group(s) have about {rows} rows, fewer than "
                f"{ENOUGH_YARDSTICK_ROWS}: what a model scores there says little of the test data",
                "set more yardstick_groups in [evaluation], or 0",
            )
        )
    if 2 * groups > train:
        found.append(
            Finding(
                "large-yardstick",
                f"{groups} of {train} train groups are set apart as the yardstick, which leaves "
                f"{train - groups} to train on",
                f"set yardstick_groups in [evaluation] to {train // 4} or less, or a smaller "
                "test_fraction in [data]",
            )
        )
    return found


def _windows(draft: Draft) -> list[Finding]:
    schedule = draft.terms.schedule
    return [
        Finding(
            "short-window",
            f"{name} lasts {seconds} s, fewer than four hourly runs of a validator's CI",
            f"set {name} in [schedule] to 4h or more, unless validators watch all the time",
        )
        for name, seconds in (("vote", schedule.vote), ("open_vote", schedule.open_vote))
        if seconds < 4 * CI_INTERVAL
    ]


def _load(draft: Draft) -> list[Finding]:
    limits, terms = draft.manifest.evaluation.limits, draft.terms
    batches = -(-draft.table.rows // draft.manifest.evaluation.batch)
    work = terms.reward.max_entries * batches * limits.multiply_accumulates
    seconds = work // REFERENCE_SPEED
    if seconds <= terms.schedule.vote:
        return []
    return [
        Finding(
            "heavy-evaluation",
            f"{terms.reward.max_entries} entries at the limits take {seconds} s on one core at "
            f"{REFERENCE_SPEED:.0e} multiply-accumulates a second; vote lasts "
            f"{terms.schedule.vote} s",
            "lower max_entries, or multiply_accumulates in [evaluation.limits], or lengthen vote",
        )
    ]


def _panel(draft: Draft) -> list[Finding]:
    seats, found = draft.terms.panel.seats, []
    if not draft.terms.reward.contribution_deposit:
        found.append(
            Finding(
                "free-seed-bias",
                "a contributor who does not open its secret loses nothing, and can so choose "
                "between two seeds",
                "set contribution_deposit in [reward] above 0",
            )
        )
    if isinstance(draft.terms.panel, SeatsPanel):
        return [*found, *_committee(draft.terms.panel, draft.terms.reward)]
    if seats < 3:
        found.append(
            Finding(
                "small-panel",
                f"{seats} validator(s): one that is silent or wrong leaves no quorum of two thirds",
                "name at least three addresses in [validators]",
            )
        )
    return found


def _committee(panel: SeatsPanel, reward: Reward) -> list[Finding]:
    found = []
    if not reward.submission_bond:
        found.append(
            Finding(
                "free-committee-bias",
                "a submitter who leaves submissions unopened loses nothing, and can so choose "
                "among committees",
                "set submission_bond in [reward] above 0",
            )
        )
    if panel.seats < SMALL_COMMITTEE:
        found.append(
            Finding(
                "small-committee",
                f"{panel.seats} seat(s): whoever holds a third of all stakes fills two thirds of "
                "them now and then",
                f"set seats in [validators] to {SMALL_COMMITTEE} or more",
            )
        )
    if 5 * panel.silence_share > panel.minority_share:
        found.append(
            Finding(
                "dear-silence",
                f"silence costs {panel.silence_share} of 10,000, a wrong vote "
                f"{panel.minority_share}: a validator whose machine fails pays nearly as a liar",
                "set silence_share to a fifth of minority_share or less",
            )
        )
    return found
