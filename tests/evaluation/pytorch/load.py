"""The fixtures as tests read them; nothing here needs torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx

FOLDER = Path(__file__).parent / "fixtures"


@dataclass(frozen=True)
class Fixture:
    """One exported network.

    Args:
        batch: "dynamic" or "fixed", as the exporter was told.
        entry: what the index says of the model.
    """

    case: str
    exporter: str
    batch: str
    entry: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"{self.case}-{self.exporter}"

    @property
    def path(self) -> Path:
        return FOLDER / f"{self.name}.onnx"

    @property
    def quantized(self) -> bool:
        return self.exporter == "onnxruntime"

    @cached_property
    def model(self) -> onnx.ModelProto:
        return onnx.load(self.path)

    @property
    def inputs(self) -> dict[str, np.ndarray]:
        """By the names that the exporter gave them."""
        stored = arrays(self.case)
        names = [each.name for each in self.model.graph.input]
        return {name: stored[f"input {place}"] for place, name in enumerate(names)}

    @property
    def exact(self) -> list[np.ndarray]:
        """The outputs in float64, or of the integer or boolean type that they have."""
        stored = arrays(self.case)
        return [stored[f"{self.exporter} {place}"] for place in range(self.entry["outputs"])]


@cache
def arrays(case: str) -> Mapping[str, np.ndarray]:
    with np.load(FOLDER / f"{case}.npz") as stored:
        return dict(stored)


@cache
def fixtures() -> dict[str, Fixture]:
    """All of them, by name."""
    index = json.loads((FOLDER / "index.json").read_text(encoding="utf-8"))
    found = [
        Fixture(case, exporter, described["batch"], entry)
        for case, described in index.items()
        for exporter, entry in described["models"].items()
    ]
    return {each.name: each for each in found}
