"""Amounts, deadlines and counts at their limits, and one beyond: nothing overflows or is lost."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from danku.ledger.ethereum import calls, layout
from danku.protocol import actions as a
from danku.protocol.registry import seats_of
from danku.protocol.schedule import windows
from danku.protocol.terms import MAX_CONTRIBUTIONS, Reward, Schedule, SeatsPanel, Terms
from danku.protocol.types import Amount, Score
from tests.ethereum.both import Both, Table
from tests.ethereum.contract import ZERO, Contract, deploy
from tests.ethereum.staging import OnChain
from tests.ethereum.tables import DEAR, ETHER
from tests.ethereum.words import encoded
from tests.protocol.simulator import ALICE, BOB, CAROL, ORGANIZER, OUTSIDER, PANEL, Moves, terms

MOST = 2**96 - 1
LONGEST = 2**31 - 1


def escrowing(locked: int) -> Terms:
    """Terms that lock up so much if everybody takes part."""
    deposits = 3 * 7
    entries = 5 * (2**40 + 2**41)
    bond = (locked - deposits - entries) // 3
    rest = locked - deposits - entries - 2 * bond
    return terms(pot=bond, organizer_bond=bond, fee=rest, submission_bond=2**40, entry_fee=2**41)


def test_the_most_that_can_be_locked_up_is_paid_to_the_last_unit(both: Both) -> None:
    assert both.attempt(Moves(escrowing(MOST + 1), ORGANIZER).creating(), ORGANIZER) == "BadTerms"
    game = OnChain(both, escrowing(MOST)).contribute().open_seed().draw().reveal_train()
    game.submit(ALICE, ALICE, BOB, BOB, CAROL).open().reveal_test()
    total = game.terms.reward.pot + 5 * 2**40
    ballot = game.ballot({ALICE: total - 1, BOB: 1}, winner=ALICE, score=2**63 - 1)
    game.convene().vote(ballot).open_vote(ballot).finalize().claim()
    for who in (*PANEL[:3], ORGANIZER):
        game.send(a.Withdraw(), who)
    assert both.state.credits == {}
    both.agree()


@pytest.mark.parametrize("kind", ["pot", "fee", "bond"])
def test_one_amount_alone_can_take_it_all(both: Both, kind: str) -> None:
    free = {"contribution_deposit": 0, "submission_bond": 0, "entry_fee": 0}
    amounts = {
        "pot": {"pot": MOST // 3 * 2, "organizer_bond": MOST // 3, "fee": 0},
        "fee": {"pot": 0, "organizer_bond": 0, "fee": MOST},
        "bond": {"pot": 0, "organizer_bond": MOST, "fee": 0},
    }[kind]
    game = OnChain(both, terms(**free, **amounts))
    game.tested()
    ballot = game.ballot(outcome="train-fallback" if kind == "bond" else "test")
    game.convene().vote(ballot).open_vote(ballot).finalize()
    both.agree()


def test_all_windows_at_their_longest(both: Both) -> None:
    most = LONGEST // 8
    schedule = Schedule(*(most,) * 7, LONGEST - 7 * most)
    longer = replace(schedule, open=most + 1)
    assert both.would(Moves(terms(schedule=longer), ORGANIZER).creating(), ORGANIZER) == "BadTerms"
    game = OnChain(both, terms(schedule=schedule))
    game.tested().wait("open_vote")
    game.convene()
    ballot = game.ballot({ALICE: 10})
    game.vote(ballot, round_number=2).open_vote(ballot, round_number=2)
    game.finalize("second_open_vote").claim()
    ends = windows(game.challenge.created, game.terms.schedule)
    assert both.time == ends.second_open_vote > game.challenge.created + LONGEST
    both.agree()


def test_each_deadline_to_the_second(both: Both) -> None:
    """The last second of a window is in it, and the first one after is not."""
    game = OnChain(both).contribute(PANEL[0])
    ends = game.windows
    both.time = ends.contribute - 1
    assert both.would(game.contributing(PANEL[1]), PANEL[1]) is None
    assert both.would(game.opening_seed(PANEL[0]), PANEL[0]) == "Early"
    both.time = ends.contribute
    assert both.would(game.contributing(PANEL[1]), PANEL[1]) == "Late"
    game.open_seed()
    both.time = ends.open_seed - 1
    assert both.would(a.Draw(game.id), OUTSIDER) == "Early"
    both.time = ends.open_seed
    game.draw().reveal_train()
    both.time = ends.submit - 1
    game.submit(ALICE)
    assert both.would(game.opening(0, ALICE), ALICE) == "Early"
    both.time = ends.submit
    assert both.would(game.submitting(BOB), BOB) == "Late"
    assert both.would(a.Cancel(game.id), ORGANIZER) == "Late"
    game.open()


WORDS = {
    "groups": (1, 65_537),
    "test_groups": (2, 65_537),
    "seed_source": (3, 3),
    "min_contributions": (4, 17),
    **{name: (5 + place, 2**31) for place, name in enumerate(Schedule.__struct_fields__)},
    **{name: (13 + place, 2**96) for place, name in enumerate(Reward.__struct_fields__[:6])},
    "max_submissions": (19, 1_001),
    "max_entries": (20, 100_001),
    "panel_kind": (21, 2),
    "seats": (23, 1),
    "minority_share": (24, 1),
    "silence_share": (25, 1),
}
"""Where each number stands in the contract's terms, and what is too much for a named panel."""


@pytest.mark.parametrize("name", WORDS)
def test_no_word_of_the_terms_is_beyond_its_bound(both: Both, name: str) -> None:
    place, beyond = WORDS[name]
    action = Moves(terms(), ORGANIZER).creating()
    good = calls.terms_words(action.terms)
    for value in (beyond, 2**128, 2**255, 2**256 - 1):
        words = (*good[:place], value, *good[place + 1 :])
        call = calls.Call("create", (words, action.manifest, bytes(32), 0))
        assert both.asked(ORGANIZER, encoded(call), 1603) in ("BadTerms", "0x")
    staked = terms(SeatsPanel(2, 3_000, 500), contribution_deposit=0)
    words = list(calls.terms_words(staked))
    for beyond in (17, 2**16, 2**255, 2**256 - 1):
        words[23] = beyond
        call = calls.Call("create", (tuple(words), action.manifest, bytes(32), 0))
        assert both.asked(ORGANIZER, encoded(call), 1603) == "BadTerms"


def test_nonces_and_cids_keep_their_bounds(both: Both) -> None:
    last = replace(Moves(terms(), ORGANIZER, 2**48 - 1).creating())
    assert both.attempt(last, ORGANIZER) is None
    words = calls.terms_words(last.terms)
    for nonce in (2**48, 2**256 - 1):
        data = encoded(calls.Call("create", (words, last.manifest, bytes(32), nonce)))
        assert both.asked(ORGANIZER, data, 1603) == "Malformed"
    for bad in ("", "b" * 45, "b" * 79 + "!", "b" * 45 + "\n", "-" + "b" * 50, "b" * 31 + "/" * 30):
        data = encoded(calls.Call("create", (words, bad, bytes(32), 7)))
        assert both.asked(ORGANIZER, data, 1603) == "Malformed", bad
    for good in ("b" * 46, "Z" * 80, "0" * 64, "9a" * 33):
        data = encoded(calls.Call("create", (words, good, bytes(32), 7)))
        assert both.asked(ORGANIZER, data, 1603) == "accepted", good


def test_ballots_and_claims_keep_their_bounds(both: Both) -> None:
    game = OnChain(both, terms(pot=0, organizer_bond=0, fee=0)).tested()
    lowest = replace(game.ballot(), winner=ALICE, score=Score(-(2**63) + 1))
    game.convene().vote(lowest, *game.panel[:2])
    game.wait("vote")
    who = game.panel[0]
    head = (bytes.fromhex(game.id[2:]), both.agreement(game.id))
    good = layout.ballot(lowest)
    for word in (2**63, 3 << 64, 4 << 64, 2**128, 2**255, 2**256 - 1):
        data = encoded(calls.Call("open_vote", (*head, (*good[:3], word), bytes(32), "b" * 60)))
        assert both.asked(who, data) == "Malformed", hex(word)
    for total in (2**96 - 1, 2**95):
        words = (*good[:2], good[2] | total << 160, good[3])
        data = encoded(calls.Call("open_vote", (*head, words, bytes(32), "b" * 60)))
        assert both.asked(who, data) == "CommitmentMismatch"
    game.open_vote(lowest, *game.panel[:2]).finalize()
    for index, amount in ((100_000, 1), (2**256 - 1, 1), (0, 2**96), (0, 2**256 - 1)):
        data = encoded(calls.Call("claim", (head[0], index, ALICE, amount, ())))
        assert both.asked(who, data) == "Malformed"
    assert both.would(a.Claim(game.id, 99_999, ALICE, Amount(MOST), ()), who) == "NothingOwed"


def test_reports_keep_their_bounds(both: Both) -> None:
    game = OnChain(both).trained().submit(ALICE)
    head = (bytes.fromhex(game.id[2:]), both.agreement(game.id))
    for score in (2**63, -(2**63), 2**255 - 1, -(2**255)):
        data = encoded(calls.Call("report", (*head, 0, score, 0)))
        assert both.asked(ALICE, data) == "Malformed"
    for score in (2**63 - 1, 1 - 2**63):
        game.send(a.Report(game.id, 0, Score(score)), ALICE)
    assert both.would(a.Report(game.id, 0, Score(1)), BOB) == "NotSubmitter"
    assert both.would(a.Report(game.id, 1, Score(1)), ALICE) == "UnknownSubmission"
    both.agree()


def test_payouts_at_the_edges_of_the_bitmap(both: Both) -> None:
    """The first 96 marks are in the status, the others in words of their own."""
    game = OnChain(both, terms(pot=400, organizer_bond=400))
    payees = {f"0x{place + 1:040x}": 1 for place in range(0x1000, 0x1000 + 300)}
    game.opened(game.ballot(payees)).finalize()
    for index in (0, 95, 96, 97, 255, 256, 257, 299):
        game.send(game.claiming(index), OUTSIDER)
        assert both.attempt(game.claiming(index), OUTSIDER) == "AlreadyClaimed"
    both.agree()


def test_seats_by_the_hundred(both: Both) -> None:
    for seats, held in ((0, 0), (257, 0), (2**256 - 1, 0), (1, 2**20 + 1), (1, 2**256 - 1)):
        data = encoded(calls.Call("join", (seats, held)))
        assert both.asked(ALICE, data) == "Malformed"
    assert both.attempt(a.Join(256, 0), ALICE) is None
    assert both.state.registry is not None
    mine = tuple(seats_of(both.state.registry, ALICE))
    for numbers in ((), (2**20,), (2**256 - 1,)):
        assert both.asked(ALICE, encoded(calls.Call("leave", (numbers,)))) == "Malformed"
    assert both.attempt(a.Leave(mine), ALICE) is None
    both.time += 4_999
    assert both.attempt(a.Unstake(mine), ALICE) == "Early"
    both.time += 1
    assert both.attempt(a.Unstake(mine), ALICE) is None
    both.agree()


def test_stakes_stay_below_the_limit_of_money(table: Table) -> None:
    both = table.begin(DEAR)
    assert both.attempt(a.Join(3, 0), ALICE) is None
    for seats in (1, 256):
        assert both.attempt(a.Join(seats, 0), BOB) == "RegistryFull"
    both.attempt(a.Leave((1,)), ALICE)
    assert both.attempt(a.Join(1, 0), BOB) == "RegistryFull"
    both.time += 60
    assert both.attempt(a.Unstake((1,)), ALICE) is None
    assert both.attempt(a.Join(1, 0), BOB) is None
    both.agree()


def test_a_crowd_contributes(table: Table) -> None:
    """64 owners of seats make a seed; one more is too many, and the draw takes them all."""
    crowd = tuple(f"0x{number + 1:040x}" for number in range(0xC0000, 0xC0000 + 65))
    both = table.begin(ETHER)
    both.invite(crowd)
    for who in crowd:
        assert both.attempt(a.Join(1, 0), who) is None
    agreed = terms(SeatsPanel(4, 3_000, 500), Schedule(4, 4, 4, 4, 4, 4, 4, 4))
    game = OnChain(both, agreed)
    game.contribute(*crowd[:MAX_CONTRIBUTIONS])
    assert both.attempt(game.contributing(crowd[-1]), crowd[-1]) == "TooManyContributions"
    game.open_seed().draw().reveal_train()
    both.agree()


def test_constructors_keep_their_bounds(table: Table) -> None:
    node = table.node
    court = deploy(node, "Court", ["address", "uint256", "uint256"], (ZERO, 2**96 - 1, 2**36 - 1))
    for words in (
        (ZERO, 2**96, 1),
        (ZERO, 1, 2**36),
        (ZERO, 0, 1),
        (ZERO, 1, 0),
        ("0x" + "ab" * 20, 1, 1),
    ):
        with pytest.raises(AssertionError):
            deploy(node, "Court", ["address", "uint256", "uint256"], words)
    for seconds in (0, 2**31, 2**256 - 1):
        with pytest.raises(AssertionError):
            deploy(node, "Arena", ["address", "uint256"], (court, seconds))
    arena = Contract(node, deploy(node, "Arena", ["address", "uint256"], (court, 2**31 - 1)))
    assert arena.call("stake") == 2**96 - 1
