"""QuantizeLinear and the DequantizeLinear that alone reads what it gives, as one step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from danku.evaluation.graph import Node
from danku.evaluation.kernels.arrays import INTEGERS
from danku.evaluation.kernels.epilogue import Operation
from danku.evaluation.kernels.quantization import limits
from danku.evaluation.kernels.round_trips import RoundTrip
from danku.evaluation.scales import FLOAT32, MICROSOFT, is_single
from danku.evaluation.standalone import Standalone
from danku.evaluation.steps import Step
from danku.evaluation.tensor import TensorType

NAME = "QuantizeLinear, DequantizeLinear"
"""In the place of an operator's name."""
_TRIP = "round trip"


def operations(node: Node, *_: object) -> list[Operation]:
    """What such a step does to each element."""
    trip: RoundTrip = node[_TRIP]
    return trip.operations()


def merged(steps: Sequence[Step], output: str) -> list[Step]:
    """The steps with every such pair as one, in the place of the second.

    Args:
        output: the tensor that is read in the end.
    """
    uses = Counter(name for step in steps for name in step.node.inputs)
    first = {
        step.node.outputs[0]: step
        for step in steps
        if _is(step, "QuantizeLinear") and uses[step.node.outputs[0]] == 1
    }
    first.pop(output, None)
    trips = {
        step.node.inputs[0]: trip
        for step in steps
        if _is(step, "DequantizeLinear")
        and step.node.inputs[0] in first
        and (trip := _trip(first[step.node.inputs[0]], step)) is not None
    }
    return [
        _together(first, trips, step)
        for step in steps
        if not (_is(step, "QuantizeLinear") and step.node.outputs[0] in trips)
    ]


def _is(step: Step, name: str) -> bool:
    return step.node.operator == name and step.node.domain in ("", MICROSOFT)


def _trip(quantize: Step, dequantize: Step) -> RoundTrip | None:
    """None unless all is float32 but the integers, and one zero point and scale are constant."""
    integers = quantize.outputs[0].dtype
    data = quantize.inputs[0]
    assert data is not None
    if integers not in INTEGERS or {data.dtype, dequantize.outputs[0].dtype} != {FLOAT32}:
        return None
    numbers = [_numbers(step.inputs, integers) for step in (quantize, dequantize)]
    if numbers[0] is None or numbers[1] is None or numbers[0][1] != numbers[1][1]:
        return None
    (scale, zero), (back, _) = numbers[0], numbers[1]
    return RoundTrip(scale, back, (*limits(integers), zero))


def _numbers(
    inputs: Sequence[TensorType | None], integers: np.dtype[Any]
) -> tuple[np.float32, int] | None:
    """The scale and the zero point."""
    _, scale, zero = [*inputs, None][:3]
    if scale is None or scale.value is None or scale.dtype != FLOAT32:
        return None
    if zero is not None and (zero.value is None or zero.dtype != integers):
        return None
    if not all(each is None or is_single(each.shape) for each in (scale, zero)):
        return None
    point = 0 if zero is None or zero.value is None else int(zero.value.reshape(()))
    return np.float32(scale.value.reshape(())), point


def _together(first: Mapping[str, Step], trips: Mapping[str, RoundTrip], step: Step) -> Step:
    read = step.node.inputs[0] if step.node.inputs else ""
    if read not in trips:
        return step
    quantize, trip = first[read], trips[read]
    node = replace(
        step.node,
        operator=NAME,
        domain="",
        inputs=quantize.node.inputs[:1],
        attributes={_TRIP: trip},
    )
    return replace(
        step,
        node=node,
        inputs=quantize.inputs[:1],
        prepared=Standalone(lambda arrays: trip.run(arrays[0])),
    )
