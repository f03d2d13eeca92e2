"""RoiAlign with a fixed number of samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from danku.evaluation.graph import Node
from danku.evaluation.inference import FLOATS, PASS_WORK, refuse, require_kind, require_rank
from danku.evaluation.kernels import regions
from danku.evaluation.kernels.arrays import Array, rounded
from danku.evaluation.kernels.rejection import RuntimeRejection
from danku.evaluation.registry import Attribute, Operator
from danku.evaluation.tensor import TensorType

_INT64 = np.dtype(np.int64)
_MOST_SAMPLES = 64


def _infer(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    data, boxes, batch = inputs
    require_kind(node, FLOATS, data, boxes)
    require_rank(node, data, 4)
    if batch.dtype != _INT64 or batch.rank != 1 or boxes.shape != (*batch.shape, 4):
        raise refuse(node, f"regions {boxes} in images {batch}")
    if min(node["output_height"], node["output_width"]) < 1 or 0 in data.shape[2:]:
        raise refuse(node, "nothing to sample")
    if not 1 <= node["sampling_ratio"] <= _MOST_SAMPLES:
        # NOTE: 0 means as many samples as a region is large, so that the cost depends on data.
        raise refuse(node, f"sampling_ratio is not 1 to {_MOST_SAMPLES}")
    if node["mode"] not in ("avg", "max"):
        raise refuse(node, "mode is neither avg nor max")
    if node.attributes.get("coordinate_transformation_mode", "half_pixel") not in (
        "half_pixel",
        "output_half_pixel",
    ):
        raise refuse(node, "an unknown mode of coordinates")
    return [
        data.with_shape(*batch.shape, data.shape[1], node["output_height"], node["output_width"])
    ]


def _work(node: Node, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> int:
    samples: int = node["sampling_ratio"] ** 2
    return samples * (4 * outputs[0].elements + 4 * PASS_WORK)


def _run(node: Node, arrays: Sequence[Array]) -> list[Array]:
    data, boxes, batch = arrays
    if ((batch < 0) | (batch >= len(data))).any():
        raise RuntimeRejection("RoiAlign: image out of range")
    grid = regions.Grid(
        node["output_height"],
        node["output_width"],
        node["sampling_ratio"],
        node["spatial_scale"],
        node.attributes.get("coordinate_transformation_mode") == "half_pixel",
        node["mode"] == "max",
    )
    with np.errstate(all="ignore"):
        return [rounded(regions.align(data, boxes, batch, grid), data.dtype)]


_ATTRIBUTES = {
    "mode": Attribute("string", "avg"),
    "output_height": Attribute("int", 1),
    "output_width": Attribute("int", 1),
    "sampling_ratio": Attribute("int", 0),
    "spatial_scale": Attribute("float", 1.0),
}

OPERATORS = [
    Operator(
        "RoiAlign",
        _infer,
        _run,
        inputs=(3, 3),
        opsets=(10, 15),
        attributes=_ATTRIBUTES,
        work=_work,
    ),
    Operator(
        "RoiAlign",
        _infer,
        _run,
        inputs=(3, 3),
        opsets=(16, 1_000),
        attributes=_ATTRIBUTES
        | {"coordinate_transformation_mode": Attribute("string", "half_pixel")},
        work=_work,
    ),
]
