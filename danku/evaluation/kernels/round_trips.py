"""Numbers quantized and dequantized again, without the integers between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from danku.evaluation.kernels import buffers
from danku.evaluation.kernels.arrays import Array, contiguous
from danku.evaluation.kernels.compiler import FLOAT32, INDEX, kernel, several, source, target
from danku.evaluation.kernels.epilogue import Code, Operation
from danku.evaluation.kernels.quantization import ELEMENT_WORK, LINE
from danku.evaluation.kernels.requantization import WHOLE, rounded
from danku.evaluation.kernels.threads import share


def _round_trip(
    x: Array, scales: tuple[Any, Any], rounding: tuple[int, int, int], out: Array
) -> None:
    zero = np.int32(rounding[2])
    for i in range(x.size):
        out[i] = np.float32(rounded(x[i] / scales[0], rounding) - zero) * scales[1]


_ROUND_TRIP = kernel(
    source(FLOAT32, 1), several(FLOAT32, 2), several(INDEX, 3), target(FLOAT32, 1)
)(_round_trip)


@dataclass(frozen=True)
class RoundTrip:
    """QuantizeLinear to integers, and DequantizeLinear with the same zero point."""

    scale: np.float32
    back: np.float32
    """The scale of DequantizeLinear."""
    rounding: tuple[int, int, int]
    """The least and the greatest integer, and the zero point."""

    def run(self, x: Array) -> Array:
        """Of float32."""
        values, out = contiguous(x).reshape(-1), buffers.empty(x.shape, np.float32)
        flat, scales = out.reshape(-1), (self.scale, self.back)

        def part(first: int, last: int) -> None:
            chosen = slice(first * LINE, last * LINE)
            _ROUND_TRIP(values[chosen], scales, self.rounding, flat[chosen])

        share(part, -(-x.size // LINE), ELEMENT_WORK * x.size)
        return out

    def operations(self) -> list[Operation]:
        """The same as steps that follow a product of float32.

        NOTE: the two sums round to an integer, half to even, and turn -0 into +0.
        """
        low, high, zero = self.rounding
        return [
            Operation(Code.DIVIDE, self.scale),
            Operation(Code.NUMBER, float(-zero)),
            Operation(Code.MAXIMUM, float(low - zero)),
            Operation(Code.MINIMUM, float(high - zero)),
            Operation(Code.ADD, WHOLE),
            Operation(Code.SUBTRACT, WHOLE),
            Operation(Code.MULTIPLY, self.back),
        ]
