"""Admission: what a model must be, and what it may cost, before a row of data reaches it."""

from __future__ import annotations

import numpy as np

from danku.evaluation.contract import Batching, bind_input, read_output, select_output
from danku.evaluation.graph import Graph, read_graph
from danku.evaluation.metering import Cost, refuse_above
from danku.evaluation.planner import Plan, TypedGraph
from danku.evaluation.prepared import Weights
from danku.evaluation.refusal import ModelRejected
from danku.evaluation.tensor import Array, TensorType
from danku.protocol.manifest import Manifest


class Admitted:
    """A model that keeps the contract and the limits, prepared for the challenge's batch size."""

    def __init__(self, graph: Graph, batching: Batching, manifest: Manifest) -> None:
        self._graph = graph
        self._batching = batching
        self._manifest = manifest
        self._plans: dict[int, tuple[Plan, TensorType]] = {}
        self._weights = Weights()
        typed = self._typed(batching.rows)
        self.output = select_output(typed.types, graph.outputs, manifest.model, batching.rows)
        """Name of the output that is read."""
        plan, self.output_type = self._plan(batching.rows, typed)
        self.cost = self._cost(plan, batching.rows)
        if not batching.padded:
            # NOTE: the last batch may be of any size; a model that cannot take a single row should
            # hear so when it is checked, not at the deadline.
            self._plan(1)

    def predict(self, features: Array) -> Array:
        """What the model says of each row: see `contract.read_output`.

        Args:
            features: [rows, *shape] of the contract's type.

        Raises:
            ModelRejected: NaN, or a shape that does not fit the last, shorter batch.
            RuntimeRejection: the model asked for something undefined.
        """
        parts = []
        for start in range(0, len(features), self._batching.rows):
            batch = features[start : start + self._batching.rows]
            rows = len(batch)
            if self._batching.padded and rows < self._batching.rows:
                filling = np.zeros((self._batching.rows - rows, *batch.shape[1:]), batch.dtype)
                batch = np.concatenate([batch, filling])
            plan, kind = self._plan(len(batch))
            # NOTE: a copy, so that no tensor made of it is taken for a part of all rows.
            output = plan.run(np.array(batch, self._manifest.model.dtype, order="C"))[:rows]
            parts.append(read_output(kind, output, self._manifest.model))
        return np.concatenate(parts)

    def _typed(self, rows: int) -> TypedGraph:
        features = self._graph.input
        kind = TensorType(features.dtype, (rows, *self._manifest.model.shape))
        limits = self._manifest.evaluation.limits
        return TypedGraph(self._graph, {features.name: kind}, limits, self._weights)

    def _plan(self, rows: int, typed: TypedGraph | None = None) -> tuple[Plan, TensorType]:
        if rows not in self._plans:
            typed = typed or self._typed(rows)
            selected = select_output(typed.types, [self.output], self._manifest.model, rows)
            plan = typed.plan(selected)
            # NOTE: shapes may depend on the number of rows in any way; fewer may cost more.
            refuse_above(self._cost(plan, rows), self._manifest.evaluation.limits)
            self._plans[rows] = (plan, typed.types[selected])
        return self._plans[rows]

    def _cost(self, plan: Plan, rows: int) -> Cost:
        """Of a batch; a shorter one, or one that is padded, is one run."""
        runs = self._manifest.evaluation.batch // rows if rows == self._batching.rows else 1
        return plan.cost(len(self._graph.nodes), runs)


def admit(model: bytes, manifest: Manifest) -> Admitted:
    """Check a model and prepare it.

    Raises:
        ModelRejected: with the code and the reason that every validator would state.
    """
    limits = manifest.evaluation.limits
    if len(model) > limits.model_bytes:
        raise ModelRejected("limit", f"{len(model)} model bytes, the limit is {limits.model_bytes}")
    graph = read_graph(model, limits.nodes)
    batching = bind_input(graph.input, manifest.model, manifest.evaluation.batch)
    return Admitted(graph, batching, manifest)
