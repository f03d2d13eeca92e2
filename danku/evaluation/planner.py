"""From a graph to steps: types of everything, constants folded, dead nodes and buffers dropped.

Folding runs the exact kernels on constant inputs, once, after metering them; no algebra is
rewritten. A plan holds for one number of rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from danku.evaluation.graph import Graph, Node
from danku.evaluation.kernels.rejection import RuntimeRejection
from danku.evaluation.metering import Cost, elements_moved, refuse_above
from danku.evaluation.prepared import Weights
from danku.evaluation.program import ready
from danku.evaluation.refusal import ModelRejected
from danku.evaluation.registry import resolve
from danku.evaluation.steps import Step, with_releases
from danku.evaluation.tensor import Array, TensorType, constant
from danku.protocol.manifest import Limits


@dataclass(frozen=True)
class Plan:
    """Steps from the inputs to one output, for fixed shapes."""

    inputs: tuple[str, ...]
    output: str
    steps: tuple[Step, ...]
    constants: Mapping[str, Array]
    multiply_accumulates: int
    elements: int
    peak_bytes: int
    weights: Weights = field(default_factory=Weights, compare=False, repr=False)
    """Shared by the plans of a model."""

    def cost(self, nodes: int, runs: int = 1) -> Cost:
        """What so many runs cost of a model with so many nodes."""
        return Cost(self.multiply_accumulates * runs, self.elements * runs, self.peak_bytes, nodes)

    @cached_property
    def _ready(self) -> list[Step]:
        """What is executed: made at the first run, since a model that is only checked has none."""
        steps = ready(self.steps, self.output, self.weights)
        return with_releases(steps, {self.output, *self.constants})

    def run(self, *inputs: Array) -> Array:
        """The output for one batch.

        Args:
            inputs: those of ``self.inputs``, in that order.

        Raises:
            RuntimeRejection: the model asked for something undefined.
        """
        live = {**self.constants, **dict(zip(self.inputs, inputs, strict=True))}
        for step in self._ready:
            arrays = [live[name] if name else None for name in step.node.inputs]
            results = step.compute(arrays)
            live.update(zip(step.node.outputs, results, strict=False))
            for name in step.released:
                live.pop(name, None)
        return live[self.output]


class TypedGraph:
    """A graph whose every tensor has a known type for fixed shapes of its inputs.

    Args:
        inputs: the type of each input; one with a value is a constant of the model.

    Raises:
        ModelRejected: a node that is unsupported or malformed, a shape that depends on data, or
            constants above the limits.
    """

    def __init__(
        self,
        graph: Graph,
        inputs: Mapping[str, TensorType],
        limits: Limits,
        weights: Weights | None = None,
    ) -> None:
        self.graph = graph
        self._weights = weights or Weights()
        self._inputs = inputs
        self.types = dict(inputs)
        self.types |= {name: constant(value) for name, value in graph.constants.items()}
        self.steps: list[Step] = []
        self._limits = limits
        self._resident = sum(kind.bytes for kind in self.types.values() if kind.value is not None)
        self._folded_work = self._folded_elements = 0
        for node in graph.nodes:
            self._add(node)

    def _add(self, node: Node) -> None:
        operator, node = resolve(node)
        inputs = tuple(self.types[name] if name else None for name in node.inputs)
        if any(kind is not None and kind.is_map for kind in inputs):
            raise ModelRejected("node", f"{node.operator}: the output of ZipMap is no tensor")
        outputs = tuple(operator.infer(node, inputs))
        assert len(outputs) >= len(node.outputs), node.operator
        step = Step(node, operator, inputs, outputs)
        if all(kind.value is not None for kind in outputs):
            self._known(step)
        elif all(kind is None or kind.value is not None for kind in inputs):
            step = self._fold(step)
        else:
            self.steps.append(step)
        for name, kind in zip(node.outputs, step.outputs, strict=False):
            if name:
                self.types[name] = kind

    def _known(self, step: Step) -> None:
        """What is known without running is charged too, if constants were read to know it."""
        read = [kind for kind in step.inputs if kind is not None and kind.value is not None]
        if read:
            self._folded_elements += elements_moved(read, step.outputs)
        self._charge(step)

    def _charge(self, step: Step) -> None:
        self._resident += sum(kind.bytes for kind in step.outputs)
        cost = Cost(self._folded_work, self._folded_elements, self._resident, 0)
        refuse_above(cost, self._limits)

    def _fold(self, step: Step) -> Step:
        self._folded_work += step.work
        self._folded_elements += step.elements
        self._charge(step)
        try:
            results = step.compute([kind.value if kind else None for kind in step.inputs])
        except RuntimeRejection as rejection:
            raise ModelRejected("runtime", rejection.reason) from None
        outputs = tuple(
            TensorType(kind.dtype, kind.shape, result, kind.columns, kind.is_map)
            for kind, result in zip(step.outputs, results, strict=True)
        )
        return Step(step.node, step.operator, step.inputs, outputs)

    def plan(self, output: str) -> Plan:
        """The steps that this output needs, each buffer released after its last use."""
        needed: list[Step] = []
        kept = {output}
        for step in reversed(self.steps):
            if not kept.isdisjoint(step.node.outputs):
                kept |= {name for name in step.node.inputs if name}
                needed.append(step)
        constants = {
            name: value for name in sorted(kept) if (value := self.types[name].value) is not None
        }
        steps = with_releases(needed[::-1], {output, *constants})
        return Plan(
            tuple(name for name, kind in self._inputs.items() if kind.value is None),
            output,
            tuple(steps),
            constants,
            sum(step.work for step in steps),
            sum(step.elements for step in steps),
            self._resident + self._peak(steps),
            self._weights,
        )

    def _peak(self, steps: Sequence[Step]) -> int:
        live = peak = sum(kind.bytes for kind in self._inputs.values() if kind.value is None)
        for step in steps:
            peak = max(peak, live + sum(kind.bytes for kind in step.outputs))
            live += sum(self.types[name].bytes for name in step.node.outputs if name)
            live -= sum(self.types[name].bytes for name in step.released)
        return peak
