"""How far results are from onnxruntime's, and both from the same graph in float64."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime

from danku.evaluation.kernels.elementwise import canonical
from danku.evaluation.session import Session
from danku.protocol.manifest import Limits

TOLERANCE = 1e-5
"""Of the largest magnitude of an output: how far from onnxruntime's it may be."""
FARTHER = 2
"""How many times farther than onnxruntime's an output may be from the float64 one."""
ROUNDING = 0.5
"""Units in the last place of that magnitude: what a distance may be at any rate, since onnxruntime
can be as near as it likes by chance."""

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Measured:
    """One output of one model.

    Args:
        apart: the largest distance between ours and onnxruntime's; this and all others are
            relative to the largest magnitude of the float64 output.
        ours: our distance from the float64 output, root of the mean square.
        theirs: onnxruntime's.
        ours_most: our largest distance from the float64 output.
        theirs_most: onnxruntime's.
        rounding: what ``ROUNDING`` comes to.
        equal: the share of elements whose bits are equal.
    """

    output: str
    apart: float
    ours: float
    theirs: float
    ours_most: float
    theirs_most: float
    rounding: float
    equal: float

    def check(self) -> None:
        """Assert what exact/1 promises."""
        assert self.apart <= TOLERANCE, self
        assert self.ours <= FARTHER * self.theirs + self.rounding, self


def measure(output: str, ours: np.ndarray, theirs: np.ndarray, exact: np.ndarray) -> Measured:
    """Compare one output of floats; infinities must be the same in all three."""
    assert ours.shape == theirs.shape == exact.shape, output
    finite = np.isfinite(exact)
    for found in (ours, theirs):
        np.testing.assert_array_equal(np.isfinite(found), finite, output)
    np.testing.assert_array_equal(ours[~finite], theirs[~finite], output)
    if not finite.any():
        return Measured(output, 0, 0, 0, 0, 0, 0, 1)
    magnitude = float(np.abs(exact[finite]).max()) or 1.0
    errors = [(found.astype(np.float64) - exact)[finite] / magnitude for found in (ours, theirs)]
    apart = (ours.astype(np.float64) - theirs)[finite] / magnitude
    bits = [np.frombuffer(canonical(found), f"V{found.itemsize}") for found in (ours, theirs)]
    return Measured(
        output,
        float(np.abs(apart).max()),
        *(float(np.sqrt(np.mean(error**2))) for error in errors),
        *(float(np.abs(error).max()) for error in errors),
        ROUNDING * float(np.spacing(ours.dtype.type(magnitude))) / magnitude,
        float(np.mean(bits[0] == bits[1])),
    )


def run_ours(model: onnx.ModelProto, inputs: Arrays) -> dict[str, np.ndarray]:
    """All outputs under exact/1."""
    shapes = {name: value.shape for name, value in inputs.items()}
    limits = Limits(multiply_accumulates=10**10)
    return Session(model.SerializeToString(), shapes, limits=limits).run(inputs)


def run_peer(
    model: onnx.ModelProto, inputs: Arrays, *, as_written: bool = False
) -> dict[str, np.ndarray]:
    """All outputs of onnxruntime, on one thread.

    Args:
        as_written: without rewriting the graph, which onnxruntime does to quantized ones in ways
            that change their roundings.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    if as_written:
        level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.graph_optimization_level = level
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, map(table, session.run(names, dict(inputs))), strict=True))


def table(found: Any) -> np.ndarray:
    """ZipMap's list of maps as an array."""
    if isinstance(found, list):
        return np.array([list(row.values()) for row in found], np.float32)
    return found


def compare(ours: Arrays, theirs: Arrays, exact: Sequence[np.ndarray]) -> list[Measured]:
    """Check all outputs of a model, and measure those that are floats.

    Others must be equal, but for labels of rows whose two best scores are closer than the
    tolerance.
    """
    assert list(ours) == list(theirs)
    measured = []
    scores = [each for each in theirs.values() if each.dtype.kind == "f" and each.ndim == 2]
    for (name, found), wide in zip(ours.items(), exact, strict=True):
        expected = theirs[name]
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape), name
        if expected.dtype.kind == "f":
            measured.append(measure(name, found, expected, np.asarray(wide)))
            measured[-1].check()
            continue
        different = found != expected
        if different.any():
            assert scores and scores[0].shape[1] > 1, name
            assert contested(scores[0])[different].all(), name
    return measured


def contested(scores: np.ndarray) -> np.ndarray:
    """Rows whose two best scores are closer than the tolerance."""
    best = np.sort(scores, axis=1)[:, -2:]
    found: np.ndarray = best[:, 1] - best[:, 0] <= TOLERANCE * np.abs(scores).max()
    return found
