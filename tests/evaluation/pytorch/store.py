"""The fixtures on disk: models, their inputs, and what should come out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from tests.evaluation.widening import evaluate_wide

FOLDER = Path(__file__).parent / "fixtures"
INDEX = FOLDER / "index.json"
SAME_GRAPH = 1e-6
"""How far, relative to the output's magnitude, exporters may be from the network in float64: they
fold constants in float32."""


@dataclass(frozen=True)
class Exported:
    """What an exporter made of a network.

    Args:
        exact: outputs of the network in float64; None where there is no such network.
        left_out: parts of the network that the exporter does not know.
    """

    model: onnx.ModelProto
    exact: Sequence[np.ndarray] | None
    left_out: tuple[str, ...] = ()


def store(
    name: str, inputs: Sequence[np.ndarray], models: Mapping[str, Exported]
) -> dict[str, Any]:
    """Write a case's files; returns what the index says of its models."""
    arrays = {f"input {place}": each for place, each in enumerate(inputs)}
    described: dict[str, Any] = {}
    for exporter, made in models.items():
        strip(made.model.graph)
        (FOLDER / f"{name}-{exporter}.onnx").write_bytes(made.model.SerializeToString())
        exact, oracle, unlike = evaluated(made, inputs)
        arrays |= {f"{exporter} {place}": each for place, each in enumerate(exact)}
        described[exporter] = {
            "opset": max(each.version for each in made.model.opset_import if not each.domain),
            "outputs": len(exact),
            "oracle": oracle,
            "unlike the network": unlike,
            "left out": list(made.left_out),
            "operators": sorted({node.op_type for node in made.model.graph.node}),
        }
        print(f"{name}, {exporter}: {oracle}, unlike the network: {unlike}")
    np.savez_compressed(FOLDER / f"{name}.npz", **arrays)
    return described


def strip(graph: onnx.GraphProto) -> None:
    """Forget where in which file of whose folder the network's author wrote each node."""
    for node in graph.node:
        node.ClearField("doc_string")
        kept = [each for each in node.metadata_props if "stack_trace" not in each.key]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
        for attribute in node.attribute:
            strip(attribute.g)


def evaluated(
    made: Exported, inputs: Sequence[np.ndarray]
) -> tuple[list[np.ndarray], str, list[int]]:
    """The outputs in float64, by whom, and which are not the network's.

    They are those of onnx's reference for the very graph, or the network's own if that fails.
    """
    names = [each.name for each in made.model.graph.input]
    try:
        found = evaluate_wide(made.model, dict(zip(names, inputs, strict=True)))
    except Exception as problem:
        if made.exact is None:
            raise
        print(f"onnx.reference: {type(problem).__name__}: {problem}")
        return list(made.exact), "torch", []
    if made.exact is None:
        return list(found), "onnx.reference", []
    pairs = zip(found, made.exact, strict=True)
    unlike = [place for place, pair in enumerate(pairs) if not close(*pair)]
    return list(found), "onnx.reference", unlike


def close(found: np.ndarray, exact: np.ndarray) -> bool:
    """Whether two float64 evaluations are of the same formula."""
    if found.shape != exact.shape or found.dtype != exact.dtype:
        return False
    if exact.dtype.kind != "f" or not exact.size:
        return bool((found == exact).all())
    finite = np.isfinite(exact)
    if not (found[~finite] == exact[~finite]).all() or not finite.any():
        return bool((finite == np.isfinite(found)).all())
    scale = np.abs(exact[finite]).max()
    return bool(np.abs(found - exact)[finite].max() <= SAME_GRAPH * scale)
