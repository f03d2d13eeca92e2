"""Recurrent layers: one step of RNN, GRU and LSTM, and the walk along a sequence.

Products with the weights and with the recurrent weights are two chains of `gemm`; every other
operation is rounded by itself, in the type of the operands. The products with the weights are
computed for many steps at once, since no row of a product depends on another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from danku.evaluation.kernels import elementwise, functions
from danku.evaluation.kernels.arrays import Array
from danku.evaluation.kernels.gemm import PackedB, matmul, matmul_packed
from danku.evaluation.kernels.trigonometry import by_formula

Floats = NDArray[np.float64]
Activation = Callable[[Array], Array]
States = tuple[Array, ...]
Step = Callable[[Array, States], States]
"""From the input's products [batch, gates * hidden] and states [batch, hidden] to the next states,
the output first."""

AT_ONCE = 2**20
"""Elements of the products that are computed before the steps that take them."""


def _affine(x: Floats, alpha: float, beta: float) -> Floats:
    return alpha * x + beta


def affine(x: Array, alpha: float, beta: float) -> Array:
    """alpha x + beta."""
    return by_formula(_affine, x, alpha, beta)


def _scaled_tanh(x: Floats, alpha: float, beta: float) -> Floats:
    return alpha * functions.tanh(beta * x)


def scaled_tanh(x: Array, alpha: float, beta: float) -> Array:
    """alpha tanh(beta x)."""
    return by_formula(_scaled_tanh, x, alpha, beta)


@dataclass(frozen=True)
class Cell:
    """The parameters of one direction; gates lie one after the other.

    Attributes:
        recurrent: [hidden, gates * hidden], for each product that a step makes of the states.
        weight_bias, recurrent_bias: [gates * hidden].
        activations: f, g, h of ONNX, as many as the operator has.
        clip: the limit of what enters an activation, on both sides; None for none.
    """

    recurrent: Sequence[PackedB]
    weight_bias: Array
    recurrent_bias: Array
    activations: Sequence[Activation]
    clip: float | None

    def gate(self, place: int) -> slice:
        """The columns of a gate."""
        hidden = self.recurrent[0].depth
        return slice(place * hidden, (place + 1) * hidden)

    def activated(self, number: int, x: Array) -> Array:
        """An activation of x, which is clipped first."""
        if self.clip is not None:
            limit = x.dtype.type(self.clip)
            x = elementwise.clip(x, np.asarray(-limit), np.asarray(limit))
        return self.activations[number](x)


def plain_step(cell: Cell) -> Step:
    """RNN."""
    bias = cell.weight_bias + cell.recurrent_bias

    [recurrent] = cell.recurrent

    def step(x: Array, states: States) -> States:
        [hidden] = states
        total = (x + matmul_packed(hidden, recurrent)) + bias
        return (cell.activated(0, total),)

    return step


def gated_step(cell: Cell, *, linear_before_reset: bool) -> Step:
    """GRU; the gates are update, reset, hidden. The last one's recurrent weights are apart."""
    both = slice(0, cell.gate(1).stop)
    update, reset, new = (cell.gate(place) for place in range(3))
    bias = cell.weight_bias + cell.recurrent_bias
    recurrent, recurrent_new = cell.recurrent

    def step(x: Array, states: States) -> States:
        [hidden] = states
        gates = cell.activated(0, (x[:, both] + matmul_packed(hidden, recurrent)) + bias[both])
        chosen = gates[:, reset]
        if linear_before_reset:
            linear = matmul_packed(hidden, recurrent_new) + cell.recurrent_bias[new]
            total = (x[:, new] + chosen * linear) + cell.weight_bias[new]
        else:
            total = (x[:, new] + matmul_packed(chosen * hidden, recurrent_new)) + bias[new]
        kept = gates[:, update]
        return ((kept.dtype.type(1) - kept) * cell.activated(1, total) + kept * hidden,)

    return step


def memory_step(cell: Cell, peepholes: Array | None, *, input_forget: bool) -> Step:
    """LSTM; the gates are input, output, forget, cell, the peepholes input, output, forget.

    Args:
        peepholes: [3 * hidden], or None.
        input_forget: whether the forget gate is 1 - the input gate.
    """
    bias, [recurrent] = cell.weight_bias + cell.recurrent_bias, cell.recurrent
    of_input, of_output, of_forget, of_cell = (cell.gate(place) for place in range(4))

    def gate(total: Array, place: slice, memory: Array) -> Array:
        if peepholes is None:
            return cell.activated(0, total[:, place])
        return cell.activated(0, total[:, place] + peepholes[place] * memory)

    def step(x: Array, states: States) -> States:
        hidden, memory = states
        total = (x + matmul_packed(hidden, recurrent)) + bias
        taken = gate(total, of_input, memory)
        kept = taken.dtype.type(1) - taken if input_forget else gate(total, of_forget, memory)
        new = kept * memory + taken * cell.activated(1, total[:, of_cell])
        return gate(total, of_output, new) * cell.activated(2, new), new

    return step


def products(
    x: Array, weights: PackedB | Array, *, backwards: bool
) -> Iterator[tuple[range, NDArray[Any]]]:
    """Parts of a sequence in order: their times, and [times, batch, columns] of x @ weights."""
    steps, batch, _ = x.shape
    columns = weights.columns if isinstance(weights, PackedB) else weights.shape[1]
    several = max(1, AT_ONCE // max(1, batch * columns))
    parts = [range(first, min(first + several, steps)) for first in range(0, steps, several)]
    for part in reversed(parts) if backwards else parts:
        rows = x[part.start : part.stop]
        if isinstance(weights, PackedB):
            yield part, matmul_packed(rows, weights)
        else:
            yield part, matmul(rows, weights)


def walk(
    step: Step,
    x: Array,
    weights: PackedB | Array,
    states: States,
    lengths: Array | None,
    outputs: Array,
    *,
    backwards: bool,
) -> States:
    """The states after a whole sequence; all outputs are written into ``outputs``.

    Args:
        x: [time, batch, size].
        weights: [size, gates * hidden].
        states: the first ones, [batch, hidden] each.
        lengths: of the sequences, [batch]; from there on outputs are +0 and states stay.
        outputs: [time, batch, hidden].
        backwards: whether the last element of each sequence comes first.
    """
    with np.errstate(all="ignore"):
        for part, wide in products(x, weights, backwards=backwards):
            for time in reversed(part) if backwards else part:
                following = step(wide[time - part.start], states)
                if lengths is None:
                    states, outputs[time] = following, following[0]
                    continue
                active = (time < lengths)[:, np.newaxis]
                outputs[time] = np.where(active, following[0], following[0].dtype.type(0))
                states = tuple(
                    np.where(active, new, old) for new, old in zip(following, states, strict=True)
                )
    return states
