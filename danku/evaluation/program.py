"""Steps made ready to run over many batches: weights packed, and steps that only follow a product
element by element done together with it.

The bits are those of the steps one by one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from danku.evaluation import fusion
from danku.evaluation.kernels.epilogue import Code
from danku.evaluation.prepared import Weights
from danku.evaluation.round_trips import merged
from danku.evaluation.steps import Step


def ready(steps: Sequence[Step], output: str, weights: Weights) -> list[Step]:
    """The steps as they are executed.

    Args:
        steps: in order; every tensor is computed by one of them, an input or a constant.
        output: the tensor that is read in the end.
        weights: shared by the plans of a model.
    """
    steps = merged(steps, output)
    program = _Program(steps, output)
    for step in steps:
        program.add(step, weights)
    return program.steps


class _Program:
    def __init__(self, steps: Sequence[Step], output: str) -> None:
        self.steps: list[Step] = []
        self._output = output
        self._uses = Counter(name for step in steps for name in step.node.inputs)
        self._places: dict[str, int] = {}
        """Of each tensor: the step that computes it."""

    def add(self, step: Step, weights: Weights) -> None:
        prepare = step.operator.prepare
        if prepare is not None:
            step = replace(step, prepared=prepare(step.node, step.inputs, weights))
        elif self._taken_in(step):
            return
        self._places.update((name, len(self.steps)) for name in step.node.outputs if name)
        self.steps.append(step)

    def _taken_in(self, step: Step) -> bool:
        """Let an earlier step do this one too, if it can."""
        names = step.node.inputs
        candidates = [
            (self._places[name], place)
            for place, name in enumerate(names)
            if name in self._places and self._uses[name] == 1 and name != self._output
        ]
        if not candidates or len(step.outputs) != 1:
            return False
        # NOTE: the last of them; what it adds up with the others is there by then.
        number, place = max(candidates)
        product = self.steps[number]
        if product.prepared is None:
            return False
        operations = fusion.operations(
            step.node, step.inputs, step.outputs[0], place, product.prepared.axis
        )
        prepared = None if operations is None else product.prepared.followed_by(operations)
        if operations is None or prepared is None:
            return False
        node, inputs = product.node, product.inputs
        if any(each.code == Code.ADD_TENSOR for each in operations):
            if self._places.get(names[1 - place], -1) >= number:
                return False
            node = replace(node, inputs=(*node.inputs, names[1 - place]))
            inputs = (*inputs, step.inputs[1 - place])
        self.steps[number] = replace(
            product,
            node=replace(node, outputs=step.node.outputs),
            inputs=inputs,
            outputs=step.outputs,
            prepared=prepared,
        )
        self._places[step.node.outputs[0]] = number
        return True
