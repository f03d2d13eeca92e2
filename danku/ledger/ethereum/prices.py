"""What an action carries: by its rule exactly this much, so that no event needs to tell it."""

from __future__ import annotations

from danku.protocol import actions as a
from danku.protocol.state import State
from danku.protocol.terms import escrow_of


def price(state: State, action: a.Action) -> int:
    """The money that a rule wants with an action, 0 where it names what there is not."""
    if isinstance(action, a.Create):
        return escrow_of(action.terms)
    if isinstance(action, a.Join):
        return action.seats * int(state.registry.terms.stake) if state.registry else 0
    challenge = state.challenges.get(getattr(action, "challenge", ""))
    if challenge is None:
        return 0
    reward = challenge.terms.reward
    if isinstance(action, a.Contribute):
        return int(reward.contribution_deposit)
    if isinstance(action, a.Submit):
        return reward.submission_bond + reward.entry_fee
    return 0
