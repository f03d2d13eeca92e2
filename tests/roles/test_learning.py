"""The learning chain: what a committee decided stands in it, and nothing else can."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from danku.protocol.draw import learning_link
from danku.protocol.manifest import ModelContract
from danku.protocol.state import State
from danku.protocol.types import ZERO_ADDRESS, ZERO_DIGEST, Score
from danku.roles.learning import (
    ChainBroken,
    Experiment,
    Model,
    Query,
    UnknownExperiment,
    chain,
    experiment,
    find_link,
    search,
    signatures,
)
from tests.demo.played import Played
from tests.roles.conftest import ArenaAt


def finished(stages: ArenaAt) -> State:
    return stages("finalize").host.state()


def longer(state: State, count: int) -> State:
    """The state of a ledger on which a decided challenge was decided ``count`` times in a row."""
    (challenge,) = (each for each in state.challenges.values() if each.settlement)
    settlement = challenge.settlement
    assert settlement is not None and settlement.ballot is not None
    ballot, newest, challenges = settlement.ballot, ZERO_DIGEST, {}
    for number in range(count):
        identity = "0x" + f"{number + 1:064x}"
        link = learning_link(newest, identity, ballot.result, ballot.winner, ballot.score)
        settled = replace(settlement, previous_link=newest, link=link)
        challenges[identity] = replace(challenge, id=identity, settlement=settled)
        newest = link
    return replace(state, challenges=dict(sorted(challenges.items(), reverse=True)), link=newest)


def test_nothing_is_learned_before_a_committee_decided(stages: ArenaAt) -> None:
    assert chain(stages("open_votes").host.state()) == ()


def test_a_decided_challenge_is_the_newest_link(stages: ArenaAt) -> None:
    state = finished(stages)
    (link,) = chain(state)
    assert (link.number, link.previous, link.link) == (1, ZERO_DIGEST, state.link)


def test_links_stand_in_the_order_in_which_they_were_decided(stages: ArenaAt) -> None:
    links = chain(longer(finished(stages), 5))
    assert [int(link.challenge.id, 16) for link in links] == [1, 2, 3, 4, 5]
    assert [link.previous for link in links[1:]] == [link.link for link in links[:-1]]


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("field", ["winner", "score", "result"])
def test_a_changed_experiment_breaks_the_chain(stages: ArenaAt, place: int, field: str) -> None:
    state = longer(finished(stages), 4)
    link = chain(state)[place]
    changes = {"winner": ZERO_ADDRESS, "score": Score(link.ballot.score + 1), "result": ZERO_DIGEST}
    ballot = replace(link.ballot, **{field: changes[field]})
    changed = replace(link.challenge, settlement=replace(link.settlement, ballot=ballot))
    with pytest.raises(ChainBroken):
        chain(replace(state, challenges={**state.challenges, changed.id: changed}))


@pytest.mark.parametrize("place", range(4))
def test_a_missing_experiment_breaks_the_chain(stages: ArenaAt, place: int) -> None:
    state = longer(finished(stages), 4)
    gone = chain(state)[place].challenge.id
    challenges = {key: each for key, each in state.challenges.items() if key != gone}
    with pytest.raises(ChainBroken):
        chain(replace(state, challenges=challenges))


def test_an_experiment_names_everything_it_can_be_verified_from(demo: Played) -> None:
    workspace = demo.workspace()
    (link,) = chain(workspace.state())
    found = experiment(workspace, link)
    assert found.problem == ""
    assert (found.name, found.metric, found.input, found.output) == (
        "breast-cancer",
        "f1",
        "float32[30]",
        "label[2]",
    )
    for cid in (*found.cids.values(), *(model.cid for model in found.models)):
        assert cid is not None and workspace.store.has(cid)
    best = next(model for model in found.models if model.rank == 1)
    assert (best.submitter, best.score) == (found.winner, found.score)
    assert {model.status for model in found.models} >= {"ranked", "duplicate", "rejected"}
    assert json.loads(json.dumps(found.plain()))["link"] == workspace.state().link


def test_an_experiment_without_its_result_says_so(arena_at: ArenaAt) -> None:
    workspace = arena_at("finalize").host
    (link,) = chain(workspace.state())
    result = experiment(workspace, link).cids["result"]
    (workspace.public / "blobs" / str(result)).unlink()
    found = experiment(workspace, link)
    assert "nobody serves the result" in found.problem
    assert found.models == ()
    assert search([found], Query()) == []


def of(number: int, metric: str, scores: list[int], *, higher: bool = True) -> Experiment:
    models = tuple(
        Model(
            place,
            ZERO_ADDRESS,
            "ranked",
            place + 1,
            f"{'-' if score < 0 else ''}{abs(score)}.000000000",
            score >= 0,
            "",
            "",
            "",
        )
        for place, score in enumerate(scores)
    )
    return Experiment(
        *(number, "0x12345678" + "0" * 56, ZERO_DIGEST, ZERO_DIGEST, 0, "test", None, None),
        *(f"task-{number}", "Irises of Gaspé", "Tell species apart", metric, higher),
        *("0.5", "exact/1", "top-k", "float32[3,8,8]", "probabilities[3]", {}),
        *(ZERO_DIGEST, ZERO_DIGEST, models, ""),
    )


@given(st.lists(st.lists(st.integers(-5, 5), max_size=4), max_size=4), st.booleans())
def test_a_better_model_is_never_behind_a_worse_one(scores: list[list[int]], higher: bool) -> None:
    ordered = [sorted(each, reverse=higher) for each in scores]
    experiments = [of(place, "m", each, higher=higher) for place, each in enumerate(ordered)]
    found = [float(match.model.score or 0) for match in search(experiments, Query())]
    assert found == sorted((float(x) for each in scores for x in each), reverse=higher)
    passing = [match.model.passes for match in search(experiments, Query(passing=True))]
    assert all(passing) and len(passing) == sum(x >= 0 for each in scores for x in each)


def test_metrics_are_not_mixed() -> None:
    found = search([of(1, "rmse", [1], higher=False), of(2, "accuracy", [9])], Query())
    assert [match.experiment.metric for match in found] == ["accuracy", "rmse"]


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        (Query(), True),
        (Query(task="gaspé IRISES"), True),
        (Query(task="irises roses"), False),
        (Query(metric="accuracy"), True),
        (Query(metric="accura"), False),
        (Query(input="float32"), True),
        (Query(input="float32[3, 8, 8]"), True),
        (Query(input="float32[3,8]"), False),
        (Query(output="probabilities"), True),
        (Query(output="probabilities[2]"), False),
        (Query(output="label"), False),
    ],
)
def test_a_query_finds_what_it_asks_for(query: Query, matches: bool) -> None:
    assert bool(search([of(1, "accuracy", [1])], query)) == matches


def test_signatures() -> None:
    classes = ModelContract((30,), "probabilities", classes=("a", "b"))
    assert signatures(classes) == ("float32[30]", "probabilities[2]")
    assert signatures(ModelContract((), "value", "float64")) == ("float64[]", "value")


def test_an_experiment_by_number_link_or_challenge(stages: ArenaAt) -> None:
    links = chain(longer(finished(stages), 3))
    second = links[1]
    for text, challenge in (
        ("2", None),
        (second.link[:12], None),
        (second.link.upper().replace("X", "x"), None),
        ("anything", second.challenge.id),
    ):
        assert find_link(links, text, challenge) == second
    for text in ("4", "0x", second.link[:6], "nobody"):
        with pytest.raises(UnknownExperiment):
            find_link(links, text, None)
