"""What is owed, to whom, in every way a challenge can end; and who cannot stop it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec.structs import replace as changed

from danku.errors import DataError, Rejected
from danku.protocol.types import ZERO_ADDRESS, Score
from danku.roles import organizer
from danku.roles.assessment import ballot_of
from danku.roles.claims import (
    PayoutsContradict,
    ResultMissing,
    claim_all,
    decided_result,
    deposit_claims,
    owed_to,
    payout_claims,
)
from tests.roles.arena import (
    BOND,
    ENTRY,
    FEE,
    ORGANIZER,
    PEOPLE,
    POT,
    SEED_DEPOSIT,
    STAKE,
    SUBMITTERS,
    VALIDATORS,
    Arena,
    concluded,
    key_of,
    reordered,
)
from tests.roles.conftest import ArenaAt

SHARE = (FEE + 3 * ENTRY) // 3


def owed(arena: Arena) -> dict[str, dict[str, int]]:
    """What everybody can take out, by what it is called."""
    found = {
        name: {item.what: item.amount for item in owed_to(arena.host, key_of(name).address)}
        for name in PEOPLE
    }
    return {name: items for name, items in found.items() if items}


def test_a_decided_challenge_owes_payouts_and_credits(arena_at: ArenaAt) -> None:
    arena = arena_at("finalize")
    payout = "payout of small"
    assert owed(arena) == {
        ORGANIZER: {"credit": BOND},
        "alice": {payout: POT + STAKE},
        "bob": {payout: STAKE},
        "carol": {payout: STAKE},
        **{name: {"credit": SHARE + SEED_DEPOSIT} for name in VALIDATORS},
    }
    for name in PEOPLE:
        taken = claim_all(*arena[name])
        assert len(taken) == 1
        assert {item.payee for item in taken} == {key_of(name).address}
        assert claim_all(*arena[name]) == [], "and only once"
    assert owed(arena) == {}
    assert arena.challenge.escrow == 0
    assert sum(arena.gains().values()) == 0


def test_before_it_is_final_only_credits_are_owed(stages: ArenaAt) -> None:
    assert owed(stages("open_seeds")) == {name: {"credit": SEED_DEPOSIT} for name in VALIDATORS}
    for step in ("create", "submit", "open_votes"):
        arena = stages(step)
        assert payout_claims(arena.host, arena.challenge) == []
        assert deposit_claims(arena.challenge) == []
        with pytest.raises(DataError, match="no committee decided"):
            decided_result(arena.host, arena.challenge)


def test_anyone_may_have_a_payout_paid_to_its_payee(arena_at: ArenaAt) -> None:
    arena = arena_at("finalize")
    items = payout_claims(arena.players["vera"], arena.challenge)
    assert [item.amount for item in items if item.payee == key_of("alice").address] == [POT + STAKE]
    for item in items:
        arena.send("vera", item.action)
    assert arena.gains()["alice"] == POT - ENTRY
    assert payout_claims(arena.host, arena.challenge) == []
    with pytest.raises(Rejected) as raised:
        arena.send("alice", items[0].action)
    assert raised.value.rule == "AlreadyClaimed"


def test_an_interrupted_claim_goes_on_where_it_was(
    arena_at: ArenaAt, monkeypatch: pytest.MonkeyPatch
) -> None:
    arena = arena_at("finalize")
    organizer.create(*arena["alice"], arena.draft())
    (second,) = [key for key in arena.host.state().challenges if key != arena.identity]
    organizer.cancel(*arena["alice"], second)
    workspace, key = arena["alice"]
    assert len(owed_to(workspace, key.address)) == 2
    send = type(workspace).send
    with monkeypatch.context() as patch:

        def once(self: object, *words: object) -> None:
            send(workspace, *words)  # type: ignore[arg-type]
            raise KeyboardInterrupt

        patch.setattr(type(workspace), "send", once)
        with pytest.raises(KeyboardInterrupt):
            claim_all(workspace, key)
    assert len(claim_all(workspace, key)) == 1
    assert arena.gains()["alice"] == POT - ENTRY


def test_a_cancelled_challenge_owes_bonds_and_fees(arena_at: ArenaAt) -> None:
    arena = arena_at("submit")
    organizer.cancel(*arena[ORGANIZER], arena.identity)
    assert {name: owed(arena)[name] for name in SUBMITTERS} == {
        name: {"deposit": STAKE + ENTRY} for name in SUBMITTERS
    }
    arena.claim()
    assert owed(arena) == {}
    assert arena.gains() == {ORGANIZER: -BOND}
    assert arena.burned() == BOND
    assert arena.challenge.escrow == 0
    assert arena.verify().ok


def test_every_submission_of_a_cancelled_challenge_has_its_deposit(arena_at: ArenaAt) -> None:
    arena = arena_at("submit")
    arena.submit(alice=b"another model")
    organizer.cancel(*arena[ORGANIZER], arena.identity)
    workspace, key = arena["alice"]
    assert [item.amount for item in claim_all(workspace, key)] == [STAKE + ENTRY] * 2
    assert deposit_claims(arena.challenge)[0].payee == key_of("bob").address


def test_without_a_quorum_the_opened_share_the_fees(arena_at: ArenaAt) -> None:
    arena = arena_at("submit")
    arena.open("alice", "bob")
    arena.reveal_test()
    arena.convene()
    honest = arena.assess()
    nothing = concluded(arena, changed(honest.result, rows=()))
    arena.vote(vera=honest, victor=reordered(arena, honest), viola=nothing)
    arena.open_votes()
    arena.wait("second_open_vote")
    arena.finalize()
    settlement = arena.challenge.settlement
    assert settlement is not None
    assert settlement.kind == "no-quorum"
    share = (FEE + 3 * ENTRY + STAKE) // 2
    assert {name: owed(arena)[name] for name in ("alice", "bob")} == {
        name: {"deposit": STAKE + share} for name in ("alice", "bob")
    }
    assert "carol" not in owed(arena), "it was not opened"
    arena.claim()
    assert arena.gains() == {
        "alice": share - ENTRY,
        "bob": share - ENTRY,
        "carol": -STAKE - ENTRY,
        ORGANIZER: -FEE,
    }
    assert arena.verify().ok


def test_the_first_of_the_majority_cannot_hide_the_result(arena_at: ArenaAt) -> None:
    """See test_auditor for the wrong CIDs that it might name."""
    arena = arena_at("finalize")
    challenge = arena.challenge
    first = key_of("vera").address
    found = challenge.rounds[1]
    for cid in (None, challenge.manifest, "Q" * 46):
        vote = found.votes[first]
        hidden = {**found.votes, first: changed(vote, cid=cid)}
        rounds = {1: changed(found, votes=hidden)}
        hiding = changed(challenge, rounds=rounds)
        assert decided_result(arena.host, hiding).outcome == "test"


def test_a_result_that_nobody_serves_holds_up_nothing_else(arena_at: ArenaAt) -> None:
    arena = arena_at("finalize")
    cid = arena.challenge.rounds[1].votes[key_of("vera").address].cid
    assert cid is not None
    blob = arena.public / "blobs" / cid
    data = blob.read_bytes()
    blob.unlink()
    with pytest.raises(ResultMissing) as raised:
        payout_claims(arena.host, arena.challenge)
    assert "danku verify" in raised.value.fix
    assert owed(arena).keys() == {ORGANIZER, *VALIDATORS}, "credits need no result"
    arena.claim()
    arena.players["bob"].store.put(data)
    arena.claim()
    assert arena.gains()["alice"] == POT - ENTRY


def test_payouts_that_contradict_the_result_are_not_claimed(arena_at: ArenaAt) -> None:
    arena = arena_at("convene")
    honest = arena.assess()
    payouts = ((key_of("carol").address, 500),)
    vote = replace(
        honest, payouts=payouts, ballot=ballot_of(arena.challenge, honest.result, payouts)
    )
    arena.vote(vera=vote, victor=vote, viola=vote)
    arena.play(until="finalize", since="vote")
    with pytest.raises(PayoutsContradict):
        payout_claims(arena.host, arena.challenge)
    assert "carol" not in owed(arena)
    assert set(VALIDATORS) < owed(arena).keys()


@pytest.mark.parametrize("rank", [1, 7])
def test_a_majoritys_prize_for_what_was_not_ranked_is_not_claimed(
    arena_at: ArenaAt, rank: int
) -> None:
    arena = arena_at("convene")
    honest = arena.assess()
    first, *others = honest.result.rows
    rows = (changed(first, status="rejected", rank=rank), *others)
    result = changed(honest.result, rows=rows)
    paid = ballot_of(arena.challenge, result, ((arena.challenge.submissions[0].submitter, 500),))
    vote = replace(honest, result=result, ballot=changed(paid, winner=ZERO_ADDRESS, score=Score(0)))
    arena.vote(vera=vote, victor=vote, viola=vote)
    arena.play(until="finalize", since="vote")
    with pytest.raises(DataError):
        payout_claims(arena.host, arena.challenge)
    assert "alice" not in owed(arena)
    assert not arena.verify().ok


def test_two_challenges_are_owed_together(arena_at: ArenaAt) -> None:
    arena = arena_at("finalize")
    arena.changes = {"name": '"second"'}
    first, arena.identity = arena.identity, ""
    arena.play(until="finalize")
    assert arena.identity != first
    assert owed(arena)["alice"] == {
        "payout of small": POT + STAKE,
        "payout of second": POT + STAKE,
    }
    arena.claim()
    assert arena.gains()["alice"] == 2 * (POT - ENTRY)
    assert sum(arena.gains().values()) == 0
    link = arena.challenge.settlement
    assert link is not None
    earlier = arena.host.challenge(first).settlement
    assert earlier is not None
    assert link.previous_link == earlier.link
    assert arena.verify().ok
