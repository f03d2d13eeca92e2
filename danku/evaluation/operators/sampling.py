"""Values between the places of a tensor: GridSample, AffineGrid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from danku.evaluation.graph import Node
from danku.evaluation.inference import FLOATS, PASS_WORK, integers, refuse, require_kind
from danku.evaluation.kernels import sampling
from danku.evaluation.kernels.arrays import Array, rounded
from danku.evaluation.registry import Attribute, Operator
from danku.evaluation.tensor import TensorType

_INT64 = np.dtype(np.int64)
_MODES = {"bilinear": "linear", "bicubic": "cubic", "nearest": "nearest"}
"""The names of opset 16."""
_PADDINGS = ("zeros", "border", "reflection")


def _mode(node: Node) -> str:
    modes = _MODES if node.version < 20 else {name: name for name in _MODES.values()}
    if node["mode"] not in modes or node["padding_mode"] not in _PADDINGS:
        raise refuse(node, "an unknown mode")
    return modes[node["mode"]]


def _infer_sample(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    data, grid = inputs
    require_kind(node, FLOATS, data)
    require_kind(node, FLOATS, grid)
    _mode(node)
    axes = data.rank - 2
    if axes < 1 or grid.rank != data.rank or grid.shape[-1] != axes:
        raise refuse(node, f"a grid {grid} for {data}")
    if grid.shape[0] != data.shape[0] or (node.version < 20 and axes != 2):
        raise refuse(node, f"a grid {grid} for {data}")
    if 0 in data.shape[2:]:
        raise refuse(node, "nothing to sample")
    return [data.with_shape(*data.shape[:2], *grid.shape[1:-1])]


def _sample_work(node: Node, inputs: Sequence[Any], outputs: Sequence[TensorType]) -> int:
    neighbours: int = sampling.NEIGHBOURS[_mode(node)] ** (inputs[0].rank - 2)
    return neighbours * (outputs[0].elements + PASS_WORK)


def _run_sample(node: Node, arrays: Sequence[Array]) -> list[Array]:
    data, grid = arrays
    with np.errstate(all="ignore"):
        found = sampling.sample(
            data, grid, _mode(node), node["padding_mode"], bool(node["align_corners"])
        )
        return [rounded(found, data.dtype)]


def _infer_affine(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    theta, size = inputs
    require_kind(node, FLOATS, theta)
    sizes = integers(node, size)
    count = len(sizes) - 2
    if size.dtype != _INT64 or count not in (2, 3):
        raise refuse(node, f"a size {size}")
    if theta.shape != (sizes[0], count, count + 1):
        raise refuse(node, f"theta {theta} for {len(sizes)} dimensions")
    return [theta.with_shape(sizes[0], *sizes[2:], count)]


def _run_affine(node: Node, arrays: Sequence[Array]) -> list[Array]:
    theta, size = arrays
    with np.errstate(all="ignore"):
        found = sampling.affine_grid(theta, size[2:].tolist(), bool(node["align_corners"]))
        return [rounded(found, theta.dtype)]


def _grid_sample(mode: str, opsets: tuple[int, int]) -> Operator:
    return Operator(
        "GridSample",
        _infer_sample,
        _run_sample,
        inputs=(2, 2),
        opsets=opsets,
        attributes={
            "align_corners": Attribute("int", 0),
            "mode": Attribute("string", mode),
            "padding_mode": Attribute("string", "zeros"),
        },
        work=_sample_work,
    )


OPERATORS = [
    _grid_sample("bilinear", (16, 19)),
    _grid_sample("linear", (20, 1_000)),
    Operator(
        "AffineGrid",
        _infer_affine,
        _run_affine,
        inputs=(2, 2),
        opsets=(20, 1_000),
        attributes={"align_corners": Attribute("int", 0)},
    ),
]
