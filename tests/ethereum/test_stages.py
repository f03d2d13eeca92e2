"""Every action in every stage, by whoever may do it and by a stranger: only what is due is done."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from danku.protocol import actions as a
from danku.protocol.actions import kind_of
from danku.protocol.types import Score
from tests.ethereum.both import Both
from tests.ethereum.staging import OnChain, StakedOnChain
from tests.protocol.simulator import ALICE, BOB, OUTSIDER, PANEL, cid, digest, terms

STAGES: dict[str, tuple[Callable[[OnChain], object], set[str]]] = {
    "created": (lambda game: None, {"contribute", "cancel"}),
    "contributed": (lambda game: game.contribute(game.panel[0]), {"contribute", "cancel"}),
    "seeds open": (
        lambda game: (game.contribute(game.panel[0]), game.wait("contribute")),
        {"open_seed", "cancel"},
    ),
    "seeds opened": (
        lambda game: (game.contribute().open_seed(), game.wait("open_seed")),
        {"draw", "cancel"},
    ),
    "drawn": (lambda game: game.drawn(), {"reveal_train", "cancel"}),
    "undrawn": (
        lambda game: (game.contribute().open_seed(), game.wait("reveal_train")),
        {"finalize", "cancel"},
    ),
    "trained": (lambda game: game.trained(), {"submit", "cancel"}),
    "submitted": (lambda game: game.trained().submit(ALICE), {"submit", "report", "cancel"}),
    "models open": (
        lambda game: (game.trained().submit(ALICE), game.wait("submit")),
        {"open"},
    ),
    "nothing opened": (
        lambda game: (game.trained().submit(ALICE), game.wait("open")),
        {"reveal_test", "finalize"},
    ),
    "models opened": (
        lambda game: (game.trained().submit(ALICE).open(), game.wait("open")),
        {"reveal_test"},
    ),
    "tested": (
        lambda game: (game.trained().submit(ALICE).open().reveal_test(), game.wait("reveal_test")),
        {"convene"},
    ),
    "convened": (lambda game: game.trained().submit(ALICE).open().convene(), {"vote"}),
    "votes open": (lambda game: voted(game), {"open_vote"}),
    "votes opened": (
        lambda game: (voted(game), game.open_vote(agreed(game)), game.wait("open_vote")),
        {"finalize"},
    ),
    "no quorum": (
        lambda game: (
            voted(game),
            game.open_vote(agreed(game), *game.panel[:1]),
            game.wait("open_vote"),
        ),
        {"convene", "finalize"},
    ),
    "silence": (
        lambda game: (game.trained().submit(ALICE).open().convene(), game.wait("open_vote")),
        {"convene", "finalize"},
    ),
    "decided": (
        lambda game: (voted(game), game.open_vote(agreed(game)).finalize()),
        {"claim", "withdraw"},
    ),
    "cancelled": (
        lambda game: game.trained().submit(ALICE).cancel(),
        {"claim_deposit", "withdraw"},
    ),
    "void": (
        lambda game: (game.contribute().open_seed(), game.finalize("reveal_train")),
        {"withdraw"},
    ),
}
SEATS = {"no quorum": {"convene"}, "silence": {"convene"}}
"""Where seats do otherwise: others take their place in round two, which can reach a quorum."""
ANYONES = {"draw", "submit", "convene", "finalize", "claim", "claim_deposit"}


def agreed(game: OnChain) -> a.Ballot:
    """What everybody votes for."""
    return game.ballot({ALICE: 100, BOB: 50}, "train-fallback")


def voted(game: OnChain) -> None:
    game.trained().submit(ALICE).open().convene().vote(agreed(game))
    game.wait("vote")


def everything(game: OnChain) -> list[tuple[a.Action, str]]:
    """Each action on a challenge, by the one who most likely may do it."""
    panel = game.panel or PANEL
    ballot = agreed(game)
    return [
        *((game.contributing(who), who) for who in panel[-1:]),
        *((game.opening_seed(who), who) for who in (game.organizer, panel[0])),
        (a.Draw(game.id), OUTSIDER),
        (a.RevealTrain(game.id, cid("train")), game.organizer),
        (game.submitting(BOB), BOB),
        (a.Report(game.id, 0, Score(5)), ALICE),
        (game.opening(0, ALICE), ALICE),
        (a.RevealTest(game.id, cid("test")), game.organizer),
        (a.Convene(game.id), OUTSIDER),
        *((game.voting(who, ballot), who) for who in panel),
        *((game.opening_vote(who, ballot), who) for who in panel),
        (a.Finalize(game.id), OUTSIDER),
        (a.Cancel(game.id), game.organizer),
        (game.claiming(0), OUTSIDER),
        (a.ClaimDeposit(game.id, 0), OUTSIDER),
        (a.Withdraw(), game.organizer),
    ]


@pytest.mark.parametrize("staked", [False, True], ids=["named", "seats"])
@pytest.mark.parametrize("stage", STAGES)
def test_only_what_is_due_is_done(both: Both, stage: str, staked: bool) -> None:
    game: OnChain = StakedOnChain(both) if staked else OnChain(both)  # type: ignore[assignment]
    play, expected = STAGES[stage]
    play(game)
    accepted = set()
    for action, sender in everything(game):
        if both.would(action, sender) is None:
            accepted.add(kind_of(action))
        assert both.would(action, sender, 1) is not None, "no action takes more money"
        if kind_of(action) not in ANYONES:
            assert both.would(action, OUTSIDER) is not None, "a stranger does what is not his"
        if not isinstance(action, a.Withdraw):
            elsewhere = replace(action, challenge=digest("unknown"))
            assert both.would(elsewhere, sender) == "UnknownChallenge"
    assert accepted == (SEATS.get(stage, expected) if staked else expected)


def test_a_beacon_that_has_shown_itself_makes_cancelling_dear(both: Both) -> None:
    """Free while the block is still to come; then it costs the bond, drawn or not."""
    game = OnChain(both, terms(seed_source="beacon"))
    reward = game.terms.reward
    with both.tried():
        game.cancel()
        assert both.state.credits == {
            game.organizer: reward.pot + reward.fee + reward.organizer_bond
        }
    game.wait("open_seed")
    both.wire.call("anvil_mine", hex(100), "0x0")
    both.caught_up()
    for play in (lambda: None, game.draw, game.reveal_train):
        play()
        with both.tried():
            game.cancel()
            assert both.state.credits[game.organizer] == reward.pot + reward.fee
            both.agree()


def test_who_was_silent_does_not_sit_in_round_two(both: Both) -> None:
    game = OnChain(both, terms(PANEL)).tested().convene()
    ballots = [game.ballot(result=str(number)) for number in range(3)]
    for who, ballot in zip(PANEL, ballots, strict=False):
        game.vote(ballot, who)
    for who, ballot in zip(PANEL, ballots, strict=False):
        game.open_vote(ballot, who)
    game.wait("open_vote")
    game.convene()
    silent = PANEL[3]
    assert both.would(game.voting(silent, ballots[0], 2), silent) == "NotOnCommittee"
    game.vote(ballots[0], *PANEL[:3], round_number=2)
    game.open_vote(ballots[0], *PANEL[:3], round_number=2).finalize("second_open_vote")
    both.agree()
