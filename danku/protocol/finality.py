"""How a challenge ends: the committee's decision and the money table."""

from __future__ import annotations

from typing import NoReturn

from msgspec.structs import replace

from danku.protocol import money
from danku.protocol.actions import Ballot
from danku.protocol.committee import decision, named_committee, quorum
from danku.protocol.draw import learning_link
from danku.protocol.errors import refuse
from danku.protocol.money import Amounts, split
from danku.protocol.slashing import penalties, slash
from danku.protocol.state import Challenge, Settlement, SettlementKind, State
from danku.protocol.types import Address


def _wait(time: int, deadline: int, what: str) -> NoReturn:
    refuse(
        "Early",
        f"{what} until {deadline}, {deadline - time} s from now",
        "wait; danku status shows what is due before",
    )


def finalize(state: State, challenge: Challenge, time: int) -> State:
    """Settle a challenge whose fate is decided.

    Raises:
        Rejected: Early, naming what the challenge waits for.
    """
    windows = challenge.windows
    if challenge.seed is None:
        return _finalize_undrawn(state, challenge, time)
    if challenge.train is None:
        if time < windows.reveal_train:
            _wait(time, windows.reveal_train, "the organizer can reveal the train data")
        return _void_unplayed(state, challenge, time, "no-train", "no train data was revealed")
    if time < windows.open:
        _wait(time, windows.open, "submissions can be made and opened")
    if challenge.opened == 0:
        return _nothing_opened(state, challenge, time)
    if time < windows.open_vote:
        _wait(time, windows.open_vote, "the committee can vote and open its votes")
    for number in (1, 2):
        decided = decision(challenge, number)
        if decided is not None and time >= windows.open_vote_window(number)[1]:
            return _decided(state, challenge, time, number, *decided)
    if time < windows.second_open_vote and _can_decide(challenge):
        _wait(time, windows.second_open_vote, "the committee's second round goes on")
    return _no_quorum(state, challenge, time)


def _can_decide(challenge: Challenge) -> bool:
    """Whether a second round could have a quorum: not where too many of a named panel fell out."""
    return challenge.pool is not None or quorum(len(named_committee(challenge, 2)), challenge)


def _finalize_undrawn(state: State, challenge: Challenge, time: int) -> State:
    windows, terms = challenge.windows, challenge.terms
    if time < windows.open_seed:
        _wait(time, windows.open_seed, "seed secrets can be committed and opened")
    if terms.seed_source != "beacon":
        needed, committed = terms.min_contributions, len(challenge.contributions)
        if committed < needed:
            # NOTE: before the organizer's own secret, which could not have mattered any more.
            reason = f"{committed} seed contributions committed, {needed} needed"
            return _few_contributions(state, challenge, time, reason)
        if challenge.seed_secret is None:
            reason = "the organizer did not open its seed secret"
            return _void_unplayed(state, challenge, time, "no-seed", reason)
        opened = committed - len(money.unopened(challenge))
        if opened < needed:
            reason = f"{opened} seed contributions opened, {needed} needed"
            return _few_contributions(state, challenge, time, reason)
    if time < windows.reveal_train:
        _wait(time, windows.reveal_train, "the seed can be drawn and the train data revealed")
    return _void_unplayed(state, challenge, time, "no-train", "no train data was revealed")


def _settle(state: State, challenge: Challenge, settlement: Settlement, amounts: Amounts) -> State:
    return money.credit(state, replace(challenge, settlement=settlement), amounts)


def _void_unplayed(
    state: State, challenge: Challenge, time: int, kind: SettlementKind, reason: str
) -> State:
    """The organizer walked away before anybody could submit: its bond is burned."""
    reward = challenge.terms.reward
    amounts = Amounts()
    amounts.add(challenge.organizer, reward.pot + reward.fee)
    amounts.burn(reward.organizer_bond + money.lost_deposits(challenge))
    settlement = Settlement(kind=kind, time=time, reason=reason)
    return _settle(state, challenge, settlement, amounts)


def _few_contributions(state: State, challenge: Challenge, time: int, reason: str) -> State:
    """Others did not make a seed: the organizer gets everything back."""
    reward = challenge.terms.reward
    amounts = Amounts()
    amounts.add(challenge.organizer, reward.pot + reward.fee + reward.organizer_bond)
    amounts.burn(money.lost_deposits(challenge))
    settlement = Settlement(kind="few-contributions", time=time, reason=reason)
    return _settle(state, challenge, settlement, amounts)


def _nothing_opened(state: State, challenge: Challenge, time: int) -> State:
    """Pot, fee and bond back; what submitters and contributors lost is burned."""
    reward = challenge.terms.reward
    amounts = Amounts()
    amounts.add(challenge.organizer, reward.pot + reward.fee + reward.organizer_bond)
    amounts.burn(
        money.submission_bonds(challenge)
        + money.entry_fees(challenge)
        + money.lost_deposits(challenge)
    )
    settlement = Settlement(kind="nothing-opened", time=time, reason="no submission was opened")
    return _settle(state, challenge, settlement, amounts)


def _decided(
    state: State,
    challenge: Challenge,
    time: int,
    number: int,
    ballot: Ballot,
    voters: tuple[Address, ...],
) -> State:
    """The majority shares the fees; the payout tree gets its total; the rest is the organizer's."""
    reward = challenge.terms.reward
    share, dust = split(reward.fee + money.entry_fees(challenge), len(voters))
    amounts = Amounts()
    for voter in voters:
        amounts.add(voter, share)
    amounts.add(challenge.organizer, dust)
    undivided = money.distributable(challenge, ballot.outcome) - ballot.payout_total
    amounts.add(challenge.organizer, undivided)
    if ballot.outcome == "test":
        amounts.add(challenge.organizer, reward.organizer_bond)
    elif ballot.outcome == "void":
        amounts.add(challenge.organizer, reward.pot)
    lost = penalties(challenge, state.registry, ballot, number)
    link = learning_link(state.link, challenge.id, ballot.result, ballot.winner, ballot.score)
    settlement = Settlement(
        kind="decided",
        time=time,
        reason=f"{len(voters)} of {challenge.terms.panel.seats} seats agreed on {ballot.outcome}",
        ballot=ballot,
        round=number,
        majority=voters,
        previous_link=state.link,
        link=link,
        penalties=lost,
    )
    linked = slash(replace(state, link=link), lost, time)
    return _settle(linked, challenge, settlement, amounts)


def _no_quorum(state: State, challenge: Challenge, time: int) -> State:
    """Pot back; fee and forfeits to the opened submissions, which also get their bonds back."""
    reward = challenge.terms.reward
    unopened = len(challenge.submissions) - challenge.opened
    shared = (
        reward.fee
        + money.entry_fees(challenge)
        + unopened * reward.submission_bond
        + money.lost_deposits(challenge)
    )
    amounts = Amounts()
    if challenge.test is None:
        shared += reward.organizer_bond
    else:
        amounts.add(challenge.organizer, reward.organizer_bond)
    share, dust = split(shared, challenge.opened)
    amounts.add(challenge.organizer, reward.pot + dust)
    lost = penalties(challenge, state.registry, None, 0)
    settlement = Settlement(
        kind="no-quorum",
        time=time,
        reason="no ballot reached two thirds of the committee's seats",
        deposit=reward.submission_bond + share,
        penalties=lost,
    )
    return _settle(slash(state, lost, time), challenge, settlement, amounts)


def cancelling_is_free(challenge: Challenge, time: int) -> bool:
    """Whether nobody could have learned of, or paid for, a split: before the first contribution.

    Without contributions the seed may be a beacon, which shows itself when `draw` opens: from
    then on it is not free either.
    """
    seedless = time < challenge.windows.open_seed
    return not challenge.contributions and (seedless or challenge.terms.seed_source != "beacon")


def cancel(state: State, challenge: Challenge, time: int) -> State:
    """End a challenge, at the price of the bond unless `cancelling_is_free`.

    Submitters get back what they paid in.
    """
    reward = challenge.terms.reward
    free = cancelling_is_free(challenge, time)
    amounts = Amounts()
    amounts.add(challenge.organizer, reward.pot + reward.fee)
    if free:
        amounts.add(challenge.organizer, reward.organizer_bond)
    else:
        # NOTE: burned, not shared among submissions: an organizer who dislikes its split would
        # enter once itself, cancel, and have its bond back.
        amounts.burn(reward.organizer_bond)
    if time < challenge.windows.open_seed:
        for contribution in money.unopened(challenge):
            amounts.add(contribution.contributor, reward.contribution_deposit)
    else:
        amounts.burn(money.lost_deposits(challenge))
    settlement = Settlement(
        kind="cancelled",
        time=time,
        reason="the organizer cancelled " + ("for free" if free else "and lost its bond"),
        deposit=reward.submission_bond + reward.entry_fee,
    )
    return _settle(state, challenge, settlement, amounts)
