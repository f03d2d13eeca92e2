"""A model under `exact/1` without a challenge's contract: any number of inputs, all outputs."""

from __future__ import annotations

from collections.abc import Mapping

from danku.evaluation.graph import GraphInput, read_graph
from danku.evaluation.metering import refuse_above
from danku.evaluation.planner import TypedGraph
from danku.evaluation.refusal import ModelRejected, quoted
from danku.evaluation.tensor import Array, TensorType, constant
from danku.protocol.manifest import Limits


class Session:
    """A model that is prepared for inputs of given shapes.

    Args:
        model: the bytes of an ONNX model.
        shapes: of every input that is not fixed.
        fixed: inputs that become constants of the model, such as those that shapes depend on.
        limits: what the model may cost; None is the limits of a challenge that states none.

    Raises:
        ModelRejected: what the profile does not admit, or an input that does not fit the model.
    """

    def __init__(
        self,
        model: bytes,
        shapes: Mapping[str, tuple[int, ...]],
        fixed: Mapping[str, Array] | None = None,
        limits: Limits | None = None,
    ) -> None:
        limits = limits or Limits()
        fixed = fixed or {}
        graph = read_graph(model, limits.nodes, single_input=False)
        bound = {each.name: _bound(each, shapes, fixed) for each in graph.inputs}
        typed = TypedGraph(graph, bound, limits)
        self._plans = {name: typed.plan(name) for name in graph.outputs}
        for plan in self._plans.values():
            refuse_above(plan.cost(len(graph.nodes)), limits)

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs, in the model's order.

        Args:
            inputs: an array of the prepared shape for every input that is not fixed.

        Raises:
            RuntimeRejection: the model asked for something undefined.
        """
        return {
            output: plan.run(*(inputs[name] for name in plan.inputs))
            for output, plan in self._plans.items()
        }


def _bound(
    found: GraphInput, shapes: Mapping[str, tuple[int, ...]], fixed: Mapping[str, Array]
) -> TensorType:
    kind = (
        constant(fixed[found.name])
        if found.name in fixed
        else TensorType(found.dtype, shapes[found.name])
    )
    sizes = zip(kind.shape, found.shape, strict=False)
    if (
        kind.dtype != found.dtype
        or kind.rank != len(found.shape)
        or any(declared not in (None, size) for size, declared in sizes)
    ):
        raise ModelRejected("input", f"the input {quoted(found.name)} is not {kind}")
    return kind
