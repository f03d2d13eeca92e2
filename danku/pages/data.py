"""The page's data as compact JSON: what its script draws rows from, and verifies against."""

from __future__ import annotations

import json
from typing import Any

from danku.pages.facts import Facts, Record
from danku.pages.text import plain
from danku.protocol.state import Challenge

EXACT = 2**53
"""Integers below it are exact in a browser; larger ones are written as text."""


def page_data(facts: Facts, *, live: str = "") -> dict[str, Any]:
    """Everything that the page's script needs; texts of others are made printable.

    Rows are [rank or 0, number, place of the submitter, score or null, place of the status, 1 if it
    passes, place of the reason, seconds since `create`, CID or 0, payout or 0]. Reports are
    [number, score, and whether it holds: 1, 0, or null where nobody came to it].
    """
    submitters: dict[str, int] = {}
    statuses: dict[str, int] = {}
    reasons: dict[str, int] = {"": 0}
    rows = [
        [
            entry.rank or 0,
            entry.number,
            submitters.setdefault(entry.submitter, len(submitters)),
            None if entry.score is None else _integer(entry.score),
            statuses.setdefault(entry.status, len(statuses)),
            int(bool(entry.passes)),
            reasons.setdefault(plain(entry.reason), len(reasons)),
            entry.time - facts.challenge.created,
            entry.cid or 0,
            _integer(entry.payout or 0),
        ]
        for entry in facts.entries
    ]
    found = facts.winner.baseline if facts.winner else None
    named = {address: plain(name) for address, name in facts.names.items() if address in submitters}
    return {
        "live": live,
        "now": facts.now,
        "stage": facts.board.stage,
        "windows": [
            [window.stage, window.name, window.opens, window.closes] for window in facts.calendar
        ],
        "settled": facts.challenge.settlement is not None,
        "threshold": _integer(facts.threshold),
        "higher": facts.board.higher_is_better,
        "baseline": _integer(found.score) if found else None,
        "baselineMeaning": found.meaning if found else "",
        "submitters": list(submitters),
        "names": named,
        "statuses": list(statuses),
        "reasons": list(reasons),
        "rows": rows,
        "yardstick": facts.board.yardstick_groups,
        "reports": _reports(facts),
        "payouts": [
            [item.index, item.payee, str(item.amount), int(item.claimed)] for item in facts.payouts
        ],
        "record": _record(facts.record),
        "challenge": _challenge(facts.challenge),
        "testGroups": list(facts.test_groups or ()),
    }


def as_json(value: object) -> str:
    """JSON that may stand in a script element: nothing in it can end the element."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _reports(facts: Facts) -> list[list[Any]]:
    return [
        [
            entry.number,
            _integer(entry.reported or 0),
            None if entry.report_holds is None else int(entry.report_holds),
        ]
        for entry in facts.reports
    ]


def _integer(value: int) -> int | str:
    return value if abs(value) < EXACT else str(value)


def _record(record: Record) -> dict[str, Any]:
    return {
        "chainId": str(record.chain_id),
        "ledger": record.ledger,
        "head": record.head,
        "lines": record.lines,
        "embedded": record.embedded,
    }


def _challenge(challenge: Challenge) -> dict[str, Any]:
    """What the browser computes again from the journal, and compares."""
    settlement = challenge.settlement
    ballot = settlement.ballot if settlement else None
    return {
        "id": challenge.id,
        "organizer": challenge.organizer,
        "created": challenge.created,
        "manifest": challenge.manifest,
        "termsDigest": challenge.terms_digest,
        "seed": challenge.seed,
        "train": challenge.train,
        "test": challenge.test,
        "settled": settlement.kind if settlement else None,
        "round": settlement.round if settlement else 0,
        "majority": list(settlement.majority) if settlement else [],
        "committees": {
            str(number): list(found.committee) for number, found in challenge.rounds.items()
        },
        "previousLink": settlement.previous_link if settlement else None,
        "link": settlement.link if settlement else None,
        "ballot": {
            "outcome": ballot.outcome,
            "payout_root": ballot.payout_root,
            "payout_total": str(int(ballot.payout_total)),
            "result": ballot.result,
            "score": str(int(ballot.score)),
            "winner": ballot.winner,
        }
        if ballot
        else None,
    }
