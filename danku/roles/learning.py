"""The public record of tasks, models and experiments (Proof-of-Learning, Bravo-Marquez et al.).

Every challenge that a committee decided appends a learning link to the ledger's chain. Here the
chain is followed from its beginning and re-computed, and what it stands for is read from the store.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cmp_to_key
from typing import Any

from danku.errors import DankuError, UsageError, VerificationFailed
from danku.protocol.actions import Ballot
from danku.protocol.draw import learning_link
from danku.protocol.manifest import Manifest, ModelContract
from danku.protocol.result import Result
from danku.protocol.state import Challenge, Settlement, State
from danku.protocol.types import ZERO_DIGEST, Address, Cid, Digest, decimal
from danku.roles.claims import decided_result
from danku.roles.workspace import Workspace


class ChainBroken(VerificationFailed):
    """The learning links of a ledger do not form one chain to its newest link."""


class UnknownExperiment(UsageError):
    """Nothing in the learning chain goes by this name."""


@dataclass(frozen=True)
class Link:
    """One place in the chain; ``number`` counts from 1."""

    number: int
    previous: Digest
    link: Digest
    challenge: Challenge
    settlement: Settlement
    ballot: Ballot


def chain(state: State) -> tuple[Link, ...]:
    """All learning links from the first to the newest, each re-computed.

    Raises:
        ChainBroken: a link does not follow from the one before, or some challenge is not in it.
    """
    decided = {
        challenge.settlement.previous_link or ZERO_DIGEST: challenge
        for challenge in state.challenges.values()
        if challenge.settlement is not None and challenge.settlement.ballot is not None
    }
    links: list[Link] = []
    newest = ZERO_DIGEST
    while (challenge := decided.pop(newest, None)) is not None:
        settlement = challenge.settlement
        assert settlement is not None and settlement.ballot is not None
        ballot = settlement.ballot
        link = learning_link(newest, challenge.id, ballot.result, ballot.winner, ballot.score)
        if link != settlement.link:
            raise ChainBroken(
                f"the learning link of {challenge.id} is {settlement.link}, "
                f"but its content gives {link}"
            )
        links.append(Link(len(links) + 1, newest, link, challenge, settlement, ballot))
        newest = link
    if decided or newest != state.link:
        raise ChainBroken(
            f"the learning chain ends at {newest}, the ledger's newest link is {state.link}",
            why=f"{len(decided)} decided challenges are not in the chain" if decided else "",
        )
    return tuple(links)


@dataclass(frozen=True)
class Model:
    """One evaluated submission of an experiment."""

    submission: int
    submitter: Address
    status: str
    rank: int | None
    score: str | None
    passes: bool | None
    reason: str
    digest: Digest
    cid: Cid


@dataclass(frozen=True)
class Experiment:
    """A task, the models tried on it, and what a committee found; ``problem`` says what is missing.

    ``input`` and ``output`` are signatures: "float32[30]", "probabilities[2]".
    """

    number: int
    link: Digest
    previous: Digest
    challenge: Digest
    time: int
    outcome: str
    winner: Address | None
    score: str | None
    name: str
    title: str
    summary: str
    metric: str
    higher_is_better: bool
    threshold: str
    profile: str
    mechanism: str
    input: str
    output: str
    cids: dict[str, Cid | None]
    """Of the manifest, the train and test bundles, and the result."""
    data_root: Digest
    result: Digest
    models: tuple[Model, ...]
    problem: str

    def plain(self) -> dict[str, Any]:
        """The experiment as JSON would have it."""
        return asdict(self)


def signatures(contract: ModelContract) -> tuple[str, str]:
    """What a model takes for one row, and what it gives."""
    shape = ",".join(str(size) for size in contract.shape)
    classes = f"[{len(contract.classes)}]" if contract.classes else ""
    return f"{contract.dtype}[{shape}]", contract.output + classes


def experiment(workspace: Workspace, link: Link) -> Experiment:
    """What a learning link stands for; blobs that cannot be had are named, not fatal."""
    problems: list[str] = []
    manifest: Manifest | None = None
    result: Result | None = None
    try:
        manifest = workspace.manifest(link.challenge)
        result = decided_result(workspace, link.challenge)
    except DankuError as error:
        problems.append(error.what)
    won = link.ballot.winner in link.challenge.counts
    taken, given = signatures(manifest.model) if manifest else ("", "")
    return Experiment(
        number=link.number,
        link=link.link,
        previous=link.previous,
        challenge=link.challenge.id,
        time=link.settlement.time,
        outcome=link.ballot.outcome,
        winner=link.ballot.winner if won else None,
        score=decimal(link.ballot.score) if won else None,
        name=manifest.name if manifest else "",
        title=manifest.title if manifest else "",
        summary=manifest.summary if manifest else "",
        metric=manifest.evaluation.metric if manifest else "",
        higher_is_better=_higher_is_better(manifest) if manifest else True,
        threshold=decimal(manifest.evaluation.threshold) if manifest else "",
        profile=manifest.evaluation.profile if manifest else "",
        mechanism=manifest.mechanism.name if manifest else "",
        input=taken,
        output=given,
        cids={
            "manifest": link.challenge.manifest,
            "train": link.challenge.train,
            "test": link.challenge.test,
            "result": _result_cid(link),
        },
        data_root=link.challenge.terms.data_root,
        result=link.ballot.result,
        models=_models(link.challenge, manifest, result) if manifest and result else (),
        problem="; ".join(problems),
    )


def _higher_is_better(manifest: Manifest) -> bool:
    from danku.evaluation.metrics import metric

    return metric(manifest.evaluation.metric).higher_is_better


def _result_cid(link: Link) -> Cid | None:
    votes = link.challenge.rounds[link.settlement.round].votes
    return next((votes[voter].cid for voter in link.settlement.majority), None)


def _models(challenge: Challenge, manifest: Manifest, result: Result) -> tuple[Model, ...]:
    from danku.evaluation.metrics import metric

    passes = metric(manifest.evaluation.metric).passes
    models = []
    for row in result.rows:
        entry = challenge.submissions[row.submission]
        if entry.opening is None:
            continue
        ranked, scored = row.status == "ranked", row.status in ("ranked", "duplicate")
        models.append(
            Model(
                submission=row.submission,
                submitter=entry.submitter,
                status=row.status,
                rank=row.rank if ranked else None,
                score=decimal(row.score) if scored else None,
                passes=passes(row.score, manifest.evaluation.threshold) if ranked else None,
                reason=row.reason,
                digest=entry.opening.model,
                cid=entry.opening.cid,
            )
        )
    return tuple(models)


@dataclass(frozen=True)
class Query:
    """What to look for; an empty part matches everything."""

    task: str = ""
    """Words that must all stand in name, title or summary."""
    metric: str = ""
    input: str = ""
    """A signature, "float32[30]", or its beginning, "float32"."""
    output: str = ""
    passing: bool = False
    """Only models that reach the threshold."""

    def matches(self, found: Experiment) -> bool:
        """Whether an experiment is asked for."""
        text = f"{found.name} {found.title} {found.summary}".casefold()
        return (
            bool(found.name)
            and all(word in text for word in self.task.casefold().split())
            and self.metric in ("", found.metric)
            and _fits(self.input, found.input)
            and _fits(self.output, found.output)
        )


def _fits(wanted: str, signature: str) -> bool:
    wanted = wanted.replace(" ", "")
    return wanted in ("", signature, signature.partition("[")[0])


@dataclass(frozen=True)
class Match:
    """A verified model that a query asked for, with the experiment that verified it."""

    experiment: Experiment
    model: Model


def search(experiments: Sequence[Experiment], query: Query) -> list[Match]:
    """The ranked models of matching experiments: by metric, and in each the best score first.

    Equal scores stand in the order in which they were verified.
    """
    found = [
        Match(each, model)
        for each in experiments
        if query.matches(each)
        for model in each.models
        if model.rank is not None and (model.passes or not query.passing)
    ]
    return sorted(found, key=cmp_to_key(_better_first))


def _better_first(one: Match, other: Match) -> int:
    a, b = one.experiment, other.experiment
    if a.metric != b.metric:
        return -1 if a.metric < b.metric else 1
    difference = _units(one.model.score) - _units(other.model.score)
    if difference:
        return -difference if a.higher_is_better else difference
    return (a.number, one.model.rank or 0) > (b.number, other.model.rank or 0) or -1


def _units(score: str | None) -> int:
    return int((score or "0").replace(".", ""))


def find_link(links: Sequence[Link], text: str, challenge: Digest | None) -> Link:
    """The link that a number, the beginning of a link, or a challenge means.

    Args:
        challenge: the id that ``text`` means as a challenge's name, if any.

    Raises:
        UnknownExperiment: none, or more than one.
    """
    wanted = text.lower()
    found = [
        link
        for link in links
        if link.challenge.id == challenge
        or wanted == str(link.number)
        or (len(wanted) >= 8 and link.link.startswith(wanted))
    ]
    if len(found) == 1:
        return found[0]
    raise UnknownExperiment(
        f"{text!r} means {len(found) or 'no'} experiment" + ("s" if len(found) > 1 else ""),
        why="only challenges that a committee decided are in the learning chain",
        fix="danku learn log",
    )
