"""Quantized variants of exported networks, by onnxruntime's own tool."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from tests.evaluation.pytorch.store import FOLDER, Exported

CALIBRATION_RUNS = 8


@dataclass(frozen=True)
class Quantized:
    """How a network, exported before, is quantized.

    Args:
        source: a case whose TorchScript export is quantized.
        form: dynamic, qdq or qoperator.
    """

    name: str
    source: str
    form: str
    options: dict[str, Any] = field(default_factory=dict)


UNSIGNED = {"weight_type": QuantType.QUInt8}
NARROW = {"weight_type": QuantType.QInt8, "reduce_range": True}
"""Seven bits, so that no processor's 16 bit sums of two products saturate."""

QUANTIZED = [
    Quantized(f"quantized-{source}-{form}{suffix}", network, form, options)
    for source, network in (
        ("mlp", "mlp"),
        ("cnn", "cnn-residual"),
        ("mobile-cnn", "cnn-mobile"),
        ("transformer", "text-encoder"),
    )
    for form in ("dynamic", "qdq", "qoperator")
    for suffix, options in (("", UNSIGNED), ("-channels", NARROW | {"per_channel": True}))
    if source != "transformer" or not suffix
]


class Samples(CalibrationDataReader):  # type: ignore[misc]
    """Inputs like those that are stored."""

    def __init__(self, name: str, stored: np.ndarray) -> None:
        self.samples = self.draw(name, stored)

    @staticmethod
    def draw(name: str, stored: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
        random = np.random.default_rng(5)
        for _ in range(CALIBRATION_RUNS):
            yield {name: random.permuted(stored, axis=0)}

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.samples, None)


def quantized(kind: Quantized) -> tuple[Sequence[np.ndarray], dict[str, Exported]]:
    """The inputs, and the one model by its maker's name."""
    inputs = np.load(FOLDER / f"{kind.source}.npz")["input 0"]
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "source.onnx"), Path(folder, "target.onnx")
        quant_pre_process(
            str(FOLDER / f"{kind.source}-torchscript.onnx"), str(source), skip_symbolic_shape=True
        )
        if kind.form == "dynamic":
            quantize_dynamic(source, target, **kind.options)
        else:
            name = onnx.load(source).graph.input[0].name
            quantize_static(
                source,
                target,
                Samples(name, inputs),
                quant_format=QuantFormat.QDQ if kind.form == "qdq" else QuantFormat.QOperator,
                activation_type=QuantType.QUInt8,
                **kind.options,
            )
        model = onnx.load(target)
    return [inputs], {"onnxruntime": Exported(model, None)}
