"""Recurrent layers: RNN, GRU, LSTM."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from danku.evaluation.graph import Node
from danku.evaluation.inference import FLOATS, refuse, require_kind, require_rank
from danku.evaluation.kernels import elementwise, functions, gemm, memory, nonlinear, recurrence
from danku.evaluation.kernels.blocks import panel_width
from danku.evaluation.kernels.epilogue import Operation
from danku.evaluation.kernels.gemm import PackedB
from danku.evaluation.kernels.recurrence import Activation, Cell, Step
from danku.evaluation.kernels.rejection import RuntimeRejection
from danku.evaluation.prepared import Prepared, Weights
from danku.evaluation.refusal import ModelRejected
from danku.evaluation.registry import Attribute, Operator
from danku.evaluation.tensor import Array, TensorType

_DIRECTIONS = {"forward": 1, "reverse": 1, "bidirectional": 2}
_STEP_WORK = 2**18
"""Multiply-accumulates that a step is charged for itself: sequences may be long and narrow."""
_ELEMENT_WORK = 16
"""Multiply-accumulates that an element of a gate is charged for its activation."""


@dataclass(frozen=True)
class _Function:
    """An activation, and the defaults of the parameters that it takes.

    NOTE: where ONNX has no default, or onnxruntime another one, a model must say what it means.
    """

    compute: Callable[..., Array]
    alpha: float | Literal["required"] | None = None
    beta: float | Literal["required"] | None = None


_FUNCTIONS = {
    "Relu": _Function(elementwise.relu),
    "Tanh": _Function(functions.tanh),
    "Sigmoid": _Function(functions.sigmoid),
    "Affine": _Function(recurrence.affine, "required", "required"),
    "LeakyRelu": _Function(elementwise.leaky_relu, 0.01),
    "ThresholdedRelu": _Function(nonlinear.thresholded_relu, "required"),
    "ScaledTanh": _Function(recurrence.scaled_tanh, "required", "required"),
    "HardSigmoid": _Function(nonlinear.hard_sigmoid, 0.2, 0.5),
    "Elu": _Function(nonlinear.elu, 1.0),
    "Softsign": _Function(nonlinear.softsign),
    "Softplus": _Function(functions.softplus),
}


@dataclass(frozen=True)
class _Kind:
    """What sets an operator apart."""

    gates: int
    activations: tuple[str, ...]
    states: int


_KINDS = {
    "RNN": _Kind(1, ("Tanh",), 1),
    "GRU": _Kind(3, ("Sigmoid", "Tanh"), 1),
    "LSTM": _Kind(4, ("Sigmoid", "Tanh", "Tanh"), 2),
}


def _parameter(
    node: Node, given: Iterator[float], default: float | Literal["required"] | None
) -> list[float]:
    if default is None:
        return []
    if default == "required":
        value = next(given, None)
        if value is None:
            raise refuse(node, "an activation without its parameters")
        return [value]
    # NOTE: ONNX stores attributes as float32, its defaults included.
    return [next(given, float(np.float32(default)))]


def _activations(node: Node) -> list[list[Activation]]:
    """For each direction; alphas and betas go in order to the functions that take them."""
    defaults, directions = _KINDS[node.operator].activations, _DIRECTIONS[node["direction"]]
    names = node["activations"] or defaults * directions
    if len(names) != len(defaults) * directions:
        raise refuse(node, f"{len(names)} activations")
    alphas, betas = (iter(node[f"activation_{each}"] or ()) for each in ("alpha", "beta"))
    chosen: list[Activation] = []
    for name in names:
        if name not in _FUNCTIONS:
            raise refuse(node, "an unknown activation")
        function = _FUNCTIONS[name]
        alpha = _parameter(node, alphas, function.alpha)
        beta = _parameter(node, betas, function.beta)
        chosen.append(partial(_applied, function.compute, (*alpha, *beta)))
    if next(alphas, None) is not None or next(betas, None) is not None:
        raise refuse(node, "more parameters than its activations take")
    return [chosen[first : first + len(defaults)] for first in range(0, len(names), len(defaults))]


def _applied(compute: Callable[..., Array], parameters: tuple[float, ...], x: Array) -> Array:
    return compute(x, *parameters)


def _by_name(inputs: Sequence[Any]) -> dict[str, Any]:
    names = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
    return {**dict.fromkeys(names), **dict(zip(names, inputs, strict=False))}


def _infer(node: Node, inputs: Sequence[Any]) -> list[TensorType]:
    kind, given = _KINDS[node.operator], _by_name(inputs)
    lengths = given.pop("sequence_lens")
    require_kind(node, FLOATS, *given.values())
    for name in "XWR":
        require_rank(node, given[name], 3)
    if node["direction"] not in _DIRECTIONS:
        raise refuse(node, "an unknown direction")
    if node.attributes.get("layout", 0) not in (0, 1):
        raise refuse(node, "layout is neither 0 nor 1")
    _activations(node)
    data, directions = given["X"], _DIRECTIONS[node["direction"]]
    by_batch = bool(node.attributes.get("layout", 0))
    steps, batch = reversed(data.shape[:2]) if by_batch else data.shape[:2]
    hidden, size = given["R"].shape[2], data.shape[2]
    if node["hidden_size"] not in (None, hidden):
        raise refuse(node, f"hidden_size is not {hidden}")
    if node["clip"] is not None and not node["clip"] >= 0:
        raise refuse(node, "a negative clip")
    state = (batch, directions, hidden) if by_batch else (directions, batch, hidden)
    for name, expected in {
        "W": (directions, kind.gates * hidden, size),
        "R": (directions, kind.gates * hidden, hidden),
        "B": (directions, 2 * kind.gates * hidden),
        "initial_h": state,
        "initial_c": state,
        "P": (directions, 3 * hidden),
    }.items():
        if given[name] is not None and given[name].shape != expected:
            raise refuse(node, f"{name} is not {list(expected)}")
    if lengths is not None:
        if lengths.dtype != np.int32:
            raise ModelRejected(
                "type", f"{node.operator}: sequence_lens of another type than int32"
            )
        if lengths.shape != (batch,):
            raise refuse(node, f"sequence_lens is not {[batch]}")
    outputs = (batch, steps) if by_batch else (steps, directions, batch)
    whole = (*outputs, directions, hidden) if by_batch else (*outputs, hidden)
    return [data.with_shape(*whole), *[data.with_shape(*state)] * kind.states]


def _work(node: Node, inputs: Sequence[Any], outputs: Sequence[TensorType]) -> int:
    data, _, recurrent = inputs[:3]
    rows = data.shape[0] * data.shape[1]
    steps = data.shape[1 if node.attributes.get("layout", 0) else 0]
    directions, columns, hidden = recurrent.shape
    each = rows * columns * (data.shape[2] + hidden + _ELEMENT_WORK) + steps * _STEP_WORK
    total: int = directions * each
    return total


def _packed(packed: Weights, node: Node, given: dict[str, Any], direction: int) -> Any:
    """The weights of one direction, and the recurrent ones of each product that a step makes."""

    def make(name: str, columns: slice) -> PackedB:
        return gemm.pack(given[name][direction].T[:, columns])

    def make_weights() -> PackedB | Array:
        # NOTE: packing fills up to whole panels; of few columns that would be many times as much.
        turned = given["W"][direction].T
        if turned.shape[1] < panel_width(turned.dtype):
            return np.ascontiguousarray(turned)
        return gemm.pack(turned)

    hidden = given["R"].shape[2]
    whole = slice(None)
    cuts = [slice(0, 2 * hidden), slice(2 * hidden, None)] if node.operator == "GRU" else [whole]
    weights = packed.form(given["W"], f"layer {direction}", make_weights)
    recurrent = packed.form(
        given["R"], f"{node.operator} {direction}", lambda: [make("R", cut) for cut in cuts]
    )
    return weights, recurrent


def _step(node: Node, given: dict[str, Any], direction: int, cell: Cell) -> Step:
    if node.operator == "RNN":
        return recurrence.plain_step(cell)
    if node.operator == "GRU":
        before = bool(node["linear_before_reset"])
        return recurrence.gated_step(cell, linear_before_reset=before)
    peepholes = None if given["P"] is None else given["P"][direction]
    return recurrence.memory_step(cell, peepholes, input_forget=bool(node["input_forget"]))


def _is_common(node: Node, given: dict[str, Any]) -> bool:
    """Whether it is an LSTM that `kernels.memory` knows."""
    return (
        node.operator == "LSTM"
        and given["P"] is None
        and node["clip"] is None
        and not node["input_forget"]
        and (node["activations"] or _KINDS["LSTM"].activations)
        == _KINDS["LSTM"].activations
        * (_DIRECTIONS[node["direction"]] if node["activations"] else 1)
    )


def _run(node: Node, arrays: Sequence[Any]) -> list[Array]:
    return _walked(node, arrays, Weights())


def _walked(node: Node, arrays: Sequence[Any], packed: Weights) -> list[Array]:
    """The outputs; ``packed`` holds the weights in the form in which they are multiplied."""
    kind, given = _KINDS[node.operator], _by_name(arrays)
    by_batch = bool(node.attributes.get("layout", 0))
    data = given["X"].swapaxes(0, 1) if by_batch else given["X"]
    (steps, batch), (directions, hidden) = data.shape[:2], given["R"].shape[::2]
    lengths = given["sequence_lens"]
    if lengths is not None and not ((lengths >= 0) & (lengths <= steps)).all():
        raise RuntimeRejection(f"{node.operator}: length out of range")
    outputs = np.empty((steps, directions, batch, hidden), data.dtype)
    ends = np.empty((kind.states, directions, batch, hidden), data.dtype)
    first = np.zeros_like(ends)
    for place, name in enumerate(("initial_h", "initial_c")):
        if given[name] is not None:
            first[place] = given[name].swapaxes(0, 1) if by_batch else given[name]
    common, columns = _is_common(node, given), kind.gates * hidden
    with np.errstate(all="ignore"):
        for direction, chosen in enumerate(_activations(node)):
            weights, recurrent = _packed(packed, node, given, direction)
            biases = np.zeros(2 * columns, data.dtype)
            if given["B"] is not None:
                biases = given["B"][direction]
            backwards = direction == 1 or node["direction"] == "reverse"
            states, results = tuple(first[:, direction]), outputs[:, direction]
            if common:
                bias = biases[:columns] + biases[columns:]
                ends[:, direction] = memory.walk(
                    *(data, weights, recurrent[0], bias, states, lengths, results),
                    backwards=backwards,
                )
                continue
            cell = Cell(recurrent, biases[:columns], biases[columns:], chosen, node["clip"])
            step = _step(node, given, direction, cell)
            ends[:, direction] = recurrence.walk(
                step, data, weights, states, lengths, results, backwards=backwards
            )
    if by_batch:
        return [outputs.transpose(2, 0, 1, 3), *ends.swapaxes(1, 2)]
    return [outputs, *ends]


@dataclass(frozen=True)
class _Layer:
    """A recurrent layer whose weights are constants, packed once."""

    node: Node
    packed: Weights
    axis: int = 0

    def run(self, arrays: Sequence[Any]) -> list[Array]:
        return _walked(self.node, arrays, self.packed)

    def followed_by(self, operations: Sequence[Operation]) -> Prepared | None:
        return None


def _prepare(node: Node, inputs: Sequence[TensorType | None], packed: Weights) -> Prepared | None:
    data, *weights = inputs[:3]
    if data is None or data.dtype not in memory.TYPES:
        return None
    if any(each is None or each.value is None for each in weights):
        return None
    return _Layer(node, packed)


def _versions(name: str, most: int, attributes: dict[str, Attribute]) -> list[Operator]:
    shared = {
        "activation_alpha": Attribute("floats"),
        "activation_beta": Attribute("floats"),
        "activations": Attribute("strings"),
        "clip": Attribute("float"),
        "direction": Attribute("string", "forward"),
        "hidden_size": Attribute("int"),
    }
    layout = {"layout": Attribute("int", 0)}
    return [
        Operator(
            name,
            _infer,
            _run,
            inputs=(3, most),
            outputs=(1, 1 + _KINDS[name].states),
            opsets=opsets,
            attributes=shared | attributes | more,
            work=_work,
            prepare=_prepare,
        )
        for opsets, more in (((7, 13), {}), ((14, 1_000), layout))
    ]


OPERATORS = [
    *_versions("RNN", 6, {}),
    *_versions("GRU", 6, {"linear_before_reset": Attribute("int", 0)}),
    *_versions("LSTM", 8, {"input_forget": Attribute("int", 0)}),
]
