"""The five stages as one pure function: `apply(state, action, context) -> state`.

One function an action, in a module a stage. Its rules stand in order, and the first one violated is
the one reported, so that every ledger refuses alike. What a refusal leaves behind is the state as
it was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from danku.protocol import actions as a
from danku.protocol import finality, initialization, payments, registry, submission, voting
from danku.protocol.guards import exact_value, ongoing, organizer_only, window
from danku.protocol.manifest import Record
from danku.protocol.state import Context, State


def _finalize(state: State, action: a.Finalize, context: Context) -> State:
    challenge = ongoing(state, action.challenge)
    settled = finality.finalize(state, challenge, context.time)
    exact_value(context, 0, "finalize")
    return settled


def _cancel(state: State, action: a.Cancel, context: Context) -> State:
    challenge = ongoing(state, action.challenge)
    organizer_only(challenge, context)
    window(context, challenge.windows.created, challenge.windows.submit, "cancel")
    exact_value(context, 0, "cancel")
    return finality.cancel(state, challenge, context.time)


_RULES: dict[type[Record], Callable[[State, Any, Context], State]] = {
    a.Create: initialization.create,
    a.Contribute: initialization.contribute,
    a.OpenSeed: initialization.open_seed,
    a.Draw: initialization.draw,
    a.RevealTrain: initialization.reveal_train,
    a.Submit: submission.submit,
    a.Report: submission.report,
    a.Open: submission.open_model,
    a.RevealTest: submission.reveal_test,
    a.Convene: voting.convene,
    a.Vote: voting.vote,
    a.OpenVote: voting.open_vote,
    a.Finalize: _finalize,
    a.Cancel: _cancel,
    a.Claim: payments.claim,
    a.ClaimDeposit: payments.claim_deposit,
    a.Withdraw: payments.withdraw,
    a.Join: registry.join,
    a.Leave: registry.leave,
    a.Unstake: registry.unstake,
}


def apply(state: State, action: a.Action, context: Context) -> State:
    """The state after an action.

    Raises:
        Rejected: a rule forbids the action; its ``rule`` names which. The state is unchanged.
    """
    return _RULES[type(action)](state, action, context)
