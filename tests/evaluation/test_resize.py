"""Resize against onnxruntime where the two agree on the rule, and under hostile input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from danku.evaluation.kernels import resampling
from danku.evaluation.refusal import ModelRejected
from tests.evaluation.test_operators import Case, assert_same, build, run_peer

IMAGE = np.random.default_rng(3).normal(size=(2, 3, 5, 6)).astype(np.float32)
NONE = np.zeros(0, np.float32)


def scales(*factors: float) -> np.ndarray:
    return np.array(factors, np.float32)


def sizes(*lengths: int) -> np.ndarray:
    return np.array(lengths, np.int64)


def resized(**attributes: Any) -> list[Case]:
    """To twice, to half, and to odd sizes."""
    note = "-".join(map(str, attributes.values()))
    wanted = [
        ("double", [NONE, scales(1, 1, 2, 2)]),
        ("half", [NONE, scales(1, 1, 0.5, 0.5)]),
        ("odd", [NONE, NONE, sizes(2, 3, 7, 4)]),
    ]
    return [
        Case("Resize", IMAGE, others, attributes, (13, 19), note=f"{name}-{note}")
        for name, others in wanted
    ]


MODE = "coordinate_transformation_mode"
CASES = [
    Case("Upsample", IMAGE, [scales(1, 1, 2, 3)], opsets=(9,)),
    Case("Upsample", IMAGE, [scales(1, 1, 2, 3)], {"mode": "linear"}, (9,), note="linear"),
    Case("Resize", IMAGE, [scales(1, 1, 2, 0.5)], opsets=(10,), note="old"),
    *(
        case
        for mode in ("linear", "cubic")
        for where in ("half_pixel", "pytorch_half_pixel", "asymmetric")
        for case in resized(mode=mode, **{MODE: where})
    ),
    *resized(mode="linear", **{MODE: "align_corners"})[::2],
    *resized(mode="cubic", cubic_coeff_a=-0.5, exclude_outside=1),
    *resized(mode="nearest", **{MODE: "asymmetric"}, nearest_mode="floor"),
    *resized(mode="nearest", nearest_mode="ceil"),
    *resized(mode="nearest"),
    Case(
        "Resize",
        IMAGE,
        [NONE, NONE, sizes(3, 4)],
        {"mode": "linear", "antialias": 1, "axes": [2, 3]},
        (18, 22),
        note="antialias",
    ),
    Case(
        "Resize",
        IMAGE,
        [scales(0, 0, 0.2, 0.1, 1, 1, 0.9, 1.3), NONE, sizes(2, 3, 4, 3)],
        {"mode": "linear", MODE: "tf_crop_and_resize", "extrapolation_value": 7.0},
        (11, 19),
        note="crop",
    ),
    Case(
        "Resize",
        IMAGE,
        [None, None, sizes(9, 9)],
        {"mode": "linear", "axes": [2, 3], "keep_aspect_ratio_policy": "not_larger"},
        (18, 22),
        note="policy",
    ),
]


@pytest.mark.parametrize(
    ("case", "opset"),
    [
        pytest.param(case, opset, id=f"{case.identifier}-{opset}")
        for case in CASES
        for opset in case.opsets
    ],
)
def test_resizing_agrees_with_onnxruntime(
    case: Case, opset: int, model: Callable[..., Any], exact: Callable[..., Any]
) -> None:
    built, x = build(case, opset, model, 3)
    assert_same(exact(built, x)["y0"], run_peer(built, x)["y0"])


HOSTILE = [
    ([NONE, scales(1, 1, 0, 1)], {}, "a scale that is not positive"),
    ([NONE, scales(1, 1, np.nan, 1)], {}, "expected a list of numbers"),
    ([NONE, scales(1, 1, 1e30, 1)], {}, "a scale that is too large"),
    ([NONE, scales(1, 1, 1e5, 1e5)], {}, "a tensor has too many elements"),
    ([NONE, scales(1, 1)], {}, "2 scales or sizes for 4 axes"),
    ([NONE, NONE], {}, "either scales or sizes must be given"),
    ([NONE, scales(1, 1, 1, 1), sizes(1, 1, 1, 1)], {}, "either scales or sizes must be given"),
    ([NONE, NONE, sizes(2, 3, 0, 1)], {}, "a size below 1"),
    ([NONE, NONE, sizes(2, 3, 2**40, 1)], {}, "a size that is too large"),
    ([NONE, scales(1, 1, 2, 2)], {"mode": "best"}, "an unknown mode"),
    ([NONE, scales(1, 1, 2, 2)], {MODE: "best"}, "an unknown mode of coordinates"),
    ([NONE, scales(1, 1, 2, 2)], {MODE: "tf_half_pixel_for_nn"}, "an unknown mode of coordinates"),
    ([NONE, scales(1, 1, 2, 2)], {"nearest_mode": "best"}, "an unknown mode of nearness"),
    ([NONE, scales(1, 1, 2, 2)], {MODE: "tf_crop_and_resize"}, "0 bounds of a region for 4 axes"),
    ([NONE, scales(1, 1)], {"axes": [1, 1]}, "an axis is listed twice"),
    ([None, None, sizes(1)], {"axes": [4]}, "axis 4"),
    (
        [NONE, scales(1, 1, 1e-4, 1)],
        {"mode": "linear", "antialias": 1},
        "a filter of more than 1024 neighbours",
    ),
]


@pytest.mark.parametrize(("others", "attributes", "reason"), HOSTILE)
def test_hostile_sizes_are_refused(
    others: Any, attributes: Any, reason: str, model: Any, exact: Any
) -> None:
    built, x = build(Case("Resize", IMAGE, others, attributes), 19, model, 3)
    with pytest.raises(ModelRejected) as refused:
        exact(built, x)
    assert reason in refused.value.reason


def test_regions_far_away_are_extrapolated(model: Any, exact: Any) -> None:
    region = scales(0, 0, -1e38, 0, 1, 1, 3e38, 1)
    attributes = {MODE: "tf_crop_and_resize", "extrapolation_value": 7.0, "mode": "linear"}
    case = Case("Resize", IMAGE, [region, NONE, sizes(2, 3, 2, 6)], attributes)
    built, x = build(case, 19, model, 3)
    assert (exact(built, x)["y0"] == 7).all()


def test_nothing_without_weight_counts(model: Any, exact: Any) -> None:
    """An infinity beside a point that is met exactly does not become NaN."""
    x = np.array([[[1, np.inf, 3, np.nan, 5]]], np.float32)
    case = Case(
        "Resize", x, [NONE, NONE, sizes(1, 1, 9)], {"mode": "linear", MODE: "align_corners"}
    )
    built, x = build(case, 19, model, 3)
    assert exact(built, x)["y0"][0, 0, ::2].tolist()[:3] == [1, np.inf, 3]


def test_axes_that_shrink_go_first() -> None:
    axes = [
        resampling.Axis(place, length, wanted, wanted / length, wanted)
        for place, (length, wanted) in enumerate([(2, 2), (10, 100), (9, 3), (3, 4)])
    ]
    assert [axis.place for axis in resampling.ordered(axes)] == [0, 2, 1, 3]
