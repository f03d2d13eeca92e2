"""What only a chain has: the beacon, witnesses, malformed calls, code and storage."""

from __future__ import annotations

from typing import Any

import pytest

from danku.crypto.hashing import from_hex, keccak
from danku.ledger.ethereum import layout
from danku.ledger.ethereum.calls import call_of
from danku.protocol import actions as a
from danku.protocol.committee import convened
from danku.protocol.state import Registry
from danku.protocol.terms import RegistryTerms, SeatsPanel
from danku.protocol.types import ZERO_DIGEST, Amount
from tests.ethereum.compiling import NAMES, compile_contract, compiled, shipped
from tests.ethereum.contract import Contract, Reverted, deploy_arena
from tests.ethereum.node import Node
from tests.ethereum.twin import REGISTRY_SLOT, Twin, twins
from tests.protocol.simulator import (
    ALICE,
    BEACON,
    BOB,
    CAROL,
    ORGANIZER,
    OUTSIDER,
    PANEL,
    Game,
    cid,
    digest,
    terms,
)
from tests.protocol.staked import StakedGame, second

CODE_LIMIT = 24_576
"""Bytes of a contract's code (EIP-170)."""


def test_the_shipped_artifacts_are_what_the_sources_compile_to() -> None:
    assert compiled() == {name: shipped(name) for name in NAMES}


def test_each_contract_fits_into_a_contract() -> None:
    for name in NAMES:
        assert len(from_hex(shipped(name)["runtime"])) < CODE_LIMIT


def test_the_court_finds_the_arenas_storage_and_lock_where_its_own_would_be() -> None:
    arena, court = (compile_contract(name)["layout"] for name in NAMES)
    for kind in ("storage_layout", "transient_storage_layout"):
        assert arena[kind] == court[kind]
    assert arena["storage_layout"]["registry"]["_registry"]["slot"] == int(REGISTRY_SLOT, 16)


def twin_of(game: Any) -> Twin:
    return game.twin  # type: ignore[no-any-return]


def call(game: Game, action: a.Action, sender: str, **changed: Any) -> Any:
    """Call an action, with some of its arguments replaced by their names."""
    twin = twin_of(game)
    built = call_of(action, sender, game.state, twin.beacon_blocks)
    names = [item["name"] for item in twin.arena.functions[built.function]["inputs"]]
    assert set(changed) <= set(names)
    words = [changed.get(name, word) for name, word in zip(names, built.arguments, strict=True)]
    return twin.arena.call(built.function, *words, sender=sender, time=game.time)


def refused(game: Game, action: a.Action, sender: str, **changed: Any) -> str:
    with pytest.raises(Reverted) as refusal:
        call(game, action, sender, **changed)
    return refusal.value.rule


# --- the beacon -----------------------------------------------------------------------------------


def beacon_game(node: Node, block_seconds: int = 50) -> tuple[Contract, bytes, layout.Agreement]:
    """An arena with a challenge whose seed comes from a beacon, ready to be drawn but for that."""
    arena = deploy_arena(node, block_seconds=block_seconds)
    node.set_balance(ORGANIZER, 10**18)
    agreed = terms(PANEL[:3], seed_source="beacon")
    create = a.Create(agreed, cid("manifest"), ZERO_DIGEST, 0)
    built = call_of(create, ORGANIZER, None, {})  # type: ignore[arg-type]
    sent = arena.send("create", *built.arguments, sender=ORGANIZER, value=1603)
    ((_, event),) = sent.events
    words: layout.Agreement = event["agreement"]
    # 100 s and 70 s of windows take four blocks of 50 s.
    assert layout.beacon_block_of(words) == sent.block + -(-170 // block_seconds)
    return arena, event["challenge"], words


def drawn(
    arena: Contract, challenge: bytes, words: layout.Agreement, time: int
) -> tuple[bytes, int]:
    """The beacon that a draw takes, and the number of the block that it stands in."""
    panel = (bytes(32), ())
    sent = arena.send("draw", challenge, words, panel, (), (), sender=OUTSIDER, time=time)
    ((_, event),) = sent.events
    return event["beacon"], sent.block


def block_hash(node: Node, number: int) -> bytes:
    return from_hex(node.call("eth_getBlockByNumber", hex(number), False)["hash"])


def test_the_beacon_is_the_hash_of_the_block_that_create_fixed(node: Node) -> None:
    arena, challenge, words = beacon_game(node)
    first, time = layout.beacon_block_of(words), node.time() + 200
    node.call("anvil_mine", hex(first - node.block_number() - 1), hex(0))
    snapshot = node.snapshot()
    # The draw would stand in the very block.
    with pytest.raises(Reverted) as refusal:
        drawn(arena, challenge, words, time)
    assert refusal.value.rule == "BeaconUnavailable"
    node.revert(snapshot)
    node.call("anvil_mine", hex(1), hex(0))
    assert drawn(arena, challenge, words, time) == (block_hash(node, first), first + 1)


@pytest.mark.parametrize("later", [1, 256, 257, 600])
def test_the_beacon_stays_for_thousands_of_blocks(node: Node, later: int) -> None:
    arena, challenge, words = beacon_game(node)
    assert arena.call("beacon_blocks") == 8191
    first, time = layout.beacon_block_of(words), node.time() + 200
    node.call("anvil_mine", hex(first + later - 1 - node.block_number()), hex(0))
    assert drawn(arena, challenge, words, time) == (block_hash(node, first), first + later)


def test_without_its_history_contract_a_chain_rearms_the_beacon_every_256_blocks(
    node: Node,
) -> None:
    history = "0x0000f90827f1c53a10cb7a02335b175320002935"
    node.call("anvil_setCode", history, "0x")
    for later, expected in ((256, 0), (257, 256), (513, 512)):
        snapshot = node.snapshot()
        arena, challenge, words = beacon_game(node)
        assert arena.call("beacon_blocks") == 256
        first, time = layout.beacon_block_of(words), node.time() + 200
        node.call("anvil_mine", hex(first + later - 1 - node.block_number()), hex(0))
        found, block = drawn(arena, challenge, words, time)
        assert block == first + later
        assert found == block_hash(node, first + expected)
        node.revert(snapshot)


@pytest.mark.soak
def test_a_beacon_that_nobody_used_is_rearmed_after_8191_blocks(node: Node) -> None:
    for later, expected in ((8191, 0), (8192, 8191)):
        snapshot = node.snapshot()
        arena, challenge, words = beacon_game(node)
        first, time = layout.beacon_block_of(words), node.time() + 200
        node.call("anvil_mine", hex(first + later - 1 - node.block_number()), hex(0))
        found, _ = drawn(arena, challenge, words, time)
        assert found == block_hash(node, first + expected)
        node.revert(snapshot)


@pytest.mark.parametrize("source", ["beacon", "both"])
def test_a_whole_competition_with_a_beacon(rules_node: Node, source: str) -> None:
    with twins(rules_node):
        game = Game(terms(PANEL[:3], seed_source=source), beacon=BEACON)
        ballot = game.ballot({ALICE: 620, BOB: 420, CAROL: 20}, winner=ALICE, score=-5)
        game.opened(ballot).finalize().claim()
        for who in (ORGANIZER, *PANEL[:3]):
            game.send(a.Withdraw(), who)
        assert game.challenge.escrow == 0


# --- witnesses ------------------------------------------------------------------------------------


def test_a_call_with_another_challenges_agreement_is_refused(rules_node: Node) -> None:
    """Longer windows, a lower price or another organizer cannot be brought along."""
    with twins(rules_node):
        game = Game(terms(PANEL[:3])).contribute().open_seed().draw().reveal_train()
        words = layout.agreement(game.challenge, 0)
        submit = game.submitting(ALICE)
        for place in range(6):
            forged = list(words)
            word = forged[place]
            forged[place] = keccak(b"x") if isinstance(word, bytes) else word ^ 1 << 40
            assert refused(game, submit, ALICE, terms=tuple(forged)) == "WrongWitness"
        members = layout.panel(game.challenge)
        without = (members[0], members[1][:2])
        assert refused(game, submit, ALICE, panel=without) == "WrongWitness"
        assert refused(game, submit, ALICE, place=1) == "WrongWitness"
        assert refused(game, submit, ALICE, place=2) == "TooManySubmissions"
        game.submit(ALICE)
        again = game.submitting(ALICE, "second")
        assert refused(game, again, ALICE, place=0) == "WrongWitness"
        game.wait("submit")
        forged_schedule = (words[0] + (5 << 124), *words[1:])
        late = game.windows.open
        opening = game.opening(0, ALICE)
        assert refused(game, opening, ALICE, terms=forged_schedule) == "WrongWitness"
        game.time = late
        assert refused(game, opening, ALICE, terms=forged_schedule) == "WrongWitness"
        assert refused(game, opening, ALICE) == "Late"


def test_a_draw_takes_all_opened_secrets_in_order_and_no_others(rules_node: Node) -> None:
    with twins(rules_node):
        game = Game(terms(PANEL[:3])).contribute().open_seed(ORGANIZER, PANEL[2], PANEL[0])
        game.wait("open_seed")
        draw = a.Draw(game.id)
        twin_of(game)
        _, _, _, who, secrets = call_of(draw, OUTSIDER, game.state, {}).arguments
        assert len(who) == 2
        host, *others = secrets
        for people, words in (
            (who[:1], secrets[:2]),
            (who[::-1], (host, *others[::-1])),
            (who, (host, *others[::-1])),
            ((who[0], who[0]), (host, others[0], others[0])),
            ((*who, PANEL[1]), (*secrets, bytes(32))),
            (who, (others[0], *others)),
            ((), ()),
        ):
            found = refused(game, draw, OUTSIDER, contributors=people, secrets=words)
            assert found == "WrongWitness"
        game.draw()


def test_a_cancellation_returns_the_deposits_of_all_who_may_still_open(rules_node: Node) -> None:
    with twins(rules_node):
        game = Game(terms(PANEL[:3])).contribute()
        for people in ((), PANEL[:2], (*PANEL[:2], PANEL[0]), (*PANEL[:3], ALICE), PANEL[2::-1]):
            cancel = a.Cancel(game.id)
            assert refused(game, cancel, ORGANIZER, contributors=people) == "WrongWitness"
        game.cancel()


def test_finalize_takes_the_ballot_and_the_committee_that_decided(rules_node: Node) -> None:
    with twins(rules_node):
        game = StakedGame().trained()
        game.submit().open().reveal_test().convene()
        good, bad = game.ballot({ALICE: 1060}), game.ballot({BOB: 1060}, result="other")
        *most, last = game.panel
        game.vote(good, *most).vote(bad, last).open_vote(good, *most).open_vote(bad, last)
        game.wait("open_vote")
        finalize = a.Finalize(game.id)
        assert refused(game, finalize, OUTSIDER, ballot=layout.ballot(bad)) == "WrongWitness"
        owners, seats, position = layout.committee(game.challenge, 1)
        for committee in (
            (owners[::-1], seats, position),
            (owners, seats[::-1], position),
            (owners[:3], seats[:3], position),
            (owners, seats, position + 1),
            layout.NO_COMMITTEE,
        ):
            assert refused(game, finalize, OUTSIDER, first=committee) == "WrongWitness"
        game.finalize()


def test_a_deposit_is_paid_to_the_submitter_alone(rules_node: Node) -> None:
    with twins(rules_node):
        game = Game(terms(PANEL[:3])).trained()
        game.submit(ALICE, BOB).cancel()
        first = a.ClaimDeposit(game.id, 0)
        assert refused(game, first, OUTSIDER, submitter=BOB) == "WrongWitness"
        assert refused(game, first, OUTSIDER, submitter=CAROL) == "WrongWitness"
        assert refused(game, first, OUTSIDER, place=1) == "WrongWitness"
        game.claim_deposits([0])
        assert refused(game, first, OUTSIDER, submitter=BOB) == "WrongWitness"


# --- malformed calls ------------------------------------------------------------------------------


def test_a_cid_is_46_to_80_letters_and_digits(rules_node: Node) -> None:
    with twins(rules_node):
        game = Game(terms(PANEL[:3])).contribute().open_seed().draw()
        reveal = a.RevealTrain(game.id, cid("train"))
        plain = "b" + "09azAZ5m" * 10
        for size in (46, 47, 63, 64, 65, 79, 80):
            assert call(game, reveal, ORGANIZER, bundle=plain[:size]) == ()
        for text in ("", plain[:45], plain[:31]):
            assert refused(game, reveal, ORGANIZER, bundle=text) == "Malformed"
        for size, place in ((46, 0), (46, 45), (59, 31), (64, 32), (80, 33), (80, 79), (70, 64)):
            for other in "/:@[`{ \x00\x1f\x10\x7f-_":
                text = plain[:place] + other + plain[place + 1 : size]
                assert refused(game, reveal, ORGANIZER, bundle=text) == "Malformed", (place, other)
        beyond = (plain[:30] + "é" + plain)[:60]
        assert refused(game, reveal, ORGANIZER, bundle=beyond) == "Malformed"
        assert refused(game, reveal, ORGANIZER, bundle=plain + "zz") not in {"Malformed", ""}


def test_values_out_of_a_records_bounds_are_malformed(rules_node: Node) -> None:
    with twins(rules_node):
        game = Game(terms(PANEL[:3])).tested().convene()
        ballot = game.ballot()
        game.vote(ballot)
        game.wait("vote")
        result, root, prize, _ = layout.ballot(ballot)
        opening = game.opening_vote(PANEL[0], ballot)
        for word in (3 << 64, 1 << 66, 1 << 255, 2**63):
            words = (result, root, prize, word)
            assert refused(game, opening, PANEL[0], ballot=words) == "Malformed"
        assert refused(game, game.creating(1), ORGANIZER, nonce=2**48) == "Malformed"
        claim = a.Claim(game.id, 0, ALICE, Amount(1), ())
        assert refused(game, claim, ALICE, index=100_000) == "Malformed"
        assert refused(game, claim, ALICE, amount=2**96) == "Malformed"
        for held, seats in ((0, 0), (0, 257), (2**20 + 1, 1)):
            join = a.Join(1, 0)
            assert refused(game, join, ALICE, seats=seats, held=held) == "Malformed"
        assert refused(game, a.Leave((0,)), ALICE, seats=()) == "Malformed"
        assert refused(game, a.Unstake((0,)), ALICE, seats=(2**20,)) == "Malformed"


PLAYABLE = [
    *(digest("root"), 10, 3, 0, 1),
    *(100, 70, 50, 300, 90, 60, 80, 40),
    *(1000, 102, 501, 7, 20, 3, 2, 5),
]
WORDS = (
    *("data_root", "groups", "test_groups", "seed_source", "min_contributions"),
    *("contribute", "open_seed", "reveal_train", "submit", "open", "reveal_test", "vote"),
    *("open_vote", "pot", "fee", "organizer_bond", "contribution_deposit", "submission_bond"),
    *("entry_fee", "max_submissions", "max_entries", "panel_kind", "members", "seats"),
    *("minority_share", "silence_share", "manifest"),
)
BIG = 2**256 - 1


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("groups", (0, 1, 3, 65_537, BIG)),
        ("test_groups", (0, 10, 11, BIG)),
        ("seed_source", (3, BIG)),
        ("min_contributions", (0, 4, 17, BIG)),
        *((name, (0, 2**31, 2**32, BIG)) for name in WORDS[5:13]),
        *((name, (2**96, 2**96 - 1, BIG)) for name in WORDS[13:19]),
        ("max_submissions", (0, 6, 1_001, BIG)),
        ("max_entries", (0, 1, 100_001, BIG)),
        ("panel_kind", (1, 2, BIG)),
        ("seats", (1, 3, BIG)),
        ("minority_share", (1, BIG)),
        ("silence_share", (1, BIG)),
        ("members", ((), (0,), (1 << 160 | 5,), (7, 8, 7), (int(ORGANIZER, 16),), (BIG,))),
    ],
)
def test_terms_out_of_a_records_bounds_are_bad(
    rules_node: Node, name: str, values: tuple[Any, ...]
) -> None:
    with twins(rules_node):
        game = Game(terms(PANEL[:3]))
        create = game.creating(1)
        good = call_of(create, ORGANIZER, game.state, {}).arguments[0]
        for value in values:
            words = list(good)
            words[WORDS.index(name)] = value
            assert refused(game, create, ORGANIZER, terms=tuple(words)) == "BadTerms", value


# --- staked seats ---------------------------------------------------------------------------------

LARGE = RegistryTerms(Amount(1_000), 5_000)


@pytest.mark.soak
def test_a_long_walk_takes_several_calls(rules_node: Node) -> None:
    """Few eligible seats among thousands of slots that somebody left behind."""
    with twins(rules_node):
        game = StakedGame({OUTSIDER: 256, **dict.fromkeys(PANEL, 2)}, registry=LARGE)
        for _ in range(9):
            game.join(OUTSIDER, 256)
        numbers = tuple(number for number in game.own(OUTSIDER))
        for start in range(0, len(numbers), 256):
            game.leave(OUTSIDER, *numbers[start : start + 256])
        later = second(game, terms(SeatsPanel(4, 3_000, 500)))
        later.trained().submit().open().reveal_test()
        later.wait("reveal_test")
        calls = 0
        while not convened(later.challenge, 1):
            later.send(a.Convene(later.id), OUTSIDER)
            calls += 1
        assert calls > 1
        ballot = later.ballot({ALICE: 1060})
        later.vote(ballot).open_vote(ballot).finalize()
        assert later.challenge.settlement is not None


def test_nobody_calls_the_court_itself(rules_node: Node) -> None:
    with twins(rules_node):
        game = StakedGame()
        arena = twin_of(game).arena
        court = Contract(rules_node, arena.call("court"), shipped("Court")["abi"])
        rules_node.set_balance(ALICE, 10**18)
        with pytest.raises(Reverted):
            court.call("join", 1, 0, sender=ALICE, value=1_000)
        assert isinstance(game.state.registry, Registry)
        assert court.call("stake") == arena.call("stake") == 1_000
