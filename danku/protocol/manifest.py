"""The manifest: the part of the terms that only people and evaluators read.

The ledger holds its keccak inside the terms digest; the bytes are a blob in the store.
"""

from __future__ import annotations

from typing import Annotated, Literal, dataclass_transform

import msgspec

from danku.protocol.types import Score

MANIFEST_BYTES = 65_536

Name = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9][a-z0-9-]{0,47}\Z")]
Line = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Text = Annotated[str, msgspec.Meta(max_length=2_000)]
Positive = Annotated[int, msgspec.Meta(ge=1, le=2**48)]
Dimension = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


@dataclass_transform(frozen_default=True, field_specifiers=(msgspec.field,))
class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of all records."""


class DataDescription(Record):
    """What a data group holds: ``features`` [rows, *shape] and ``target`` [rows]."""

    columns: Annotated[tuple[Line, ...], msgspec.Meta(max_length=4_096)]
    """Names of the feature columns, in order; empty for unnamed arrays."""
    target: Line
    rows: Positive


class Limits(Record):
    """What a model may cost; above any of them it is rejected, alike for every validator."""

    model_bytes: Positive = 16 * 2**20
    multiply_accumulates: Positive = 10**9
    """For one batch."""
    elements: Positive = 10**9
    """Elements read and written by all nodes, for one batch."""
    peak_bytes: Positive = 2**29
    nodes: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 10_000


class EvaluationTerms(Record, omit_defaults=True):
    """How an opened model is scored.

    NOTE: what a factory makes is always written, a plain default is left out. So a manifest without
    a yardstick has the bytes, and the digest, that it had before there were yardsticks.
    """

    metric: Line
    """A name from `danku.evaluation.metrics`."""
    threshold: Score
    """A score equal to it passes; the metric says which side is better."""
    profile: Literal["exact/1"] = msgspec.field(default_factory=lambda: "exact/1")
    batch: Annotated[int, msgspec.Meta(ge=1, le=65_536)] = msgspec.field(default_factory=lambda: 64)
    limits: Limits = msgspec.field(default_factory=Limits)
    yardstick_groups: Annotated[int, msgspec.Meta(ge=0, le=65_536)] = 0
    """Train groups on which submitters may report a score of their own; one always stays apart."""


class ModelContract(Record):
    """What a model takes and gives: one input [batch, *shape], one usable output."""

    shape: Annotated[tuple[Dimension, ...], msgspec.Meta(max_length=5)]
    """One row's shape, without the batch dimension."""
    output: Literal["label", "probabilities", "value"]
    dtype: Literal["float32", "float64", "int64", "int32", "uint8", "int8"] = "float32"
    classes: Annotated[tuple[Line, ...], msgspec.Meta(max_length=1_000)] = ()
    """Names of the classes; class i has target value i. Empty for regression."""


class MechanismTerms(Record):
    """How the pot is divided: a name from `danku.mechanisms` and its parameters."""

    name: Name
    """A name from `danku.mechanisms`."""
    shares: Annotated[
        tuple[Annotated[int, msgspec.Meta(ge=1, le=10_000)], ...], msgspec.Meta(max_length=100)
    ] = ()
    """For top-k: parts per 10,000 of the pot for rank 1, 2, ...; together at most 10,000."""


class Manifest(Record):
    """The canonical form of what `challenge.toml` says beyond money, deadlines and counts."""

    name: Name
    title: Line
    summary: Text
    data: DataDescription
    evaluation: EvaluationTerms
    model: ModelContract
    mechanism: MechanismTerms
