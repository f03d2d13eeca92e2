"""Einsum, Det, Fourier transforms and sampling against onnxruntime, and under hostile input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from onnx import helper

from danku.evaluation.kernels import fourier, gemm, sampling
from danku.evaluation.kernels.rejection import RuntimeRejection
from danku.evaluation.refusal import ModelRejected
from tests.evaluation.test_operators import Case, assert_same, build, run_peer

RANDOM = np.random.default_rng(29)


def normal(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


def whole(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


IMAGE = normal(2, 3, 4, 5)
GRID = RANDOM.uniform(-1.4, 1.4, (2, 6, 7, 2)).astype(np.float32)
VOLUME = normal(1, 2, 3, 4, 5)
SPACE = RANDOM.uniform(-1.2, 1.2, (1, 2, 3, 4, 3)).astype(np.float32)
SQUARE = normal(3, 5, 5)
SIGNAL = normal(2, 12, 1)
REGIONS = np.array([[0, 0, 3, 2], [1.5, -1, 9, 3], [2, 2, 2.1, 2.2]], np.float32)

EQUATIONS = [
    ("ij,jk->ik", [(2, 3), (3, 4)]),
    ("ij,jk", [(2, 3), (3, 4)]),
    ("bhid,bhjd->bhij", [(2, 2, 3, 4), (2, 2, 5, 4)]),
    ("...ij,...jk->...ik", [(2, 1, 3, 4), (1, 5, 4, 2)]),
    ("ii->i", [(4, 4)]),
    ("ii", [(4, 4)]),
    ("ij->j", [(3, 4)]),
    ("ijk->kij", [(2, 3, 4)]),
    ("i,j->ij", [(3,), (4,)]),
    ("i,i->", [(5,), (5,)]),
    ("ab,cb,dc->ad", [(2, 3), (4, 3), (5, 4)]),
    ("ij,ij->ij", [(3, 4), (3, 4)]),
    ("bij,kj->bik", [(2, 3, 4), (5, 4)]),
    ("ij,kl->il", [(2, 3), (4, 5)]),
]


def einsum(equation: str, shapes: list[tuple[int, ...]]) -> Case:
    first, *others = (normal(*shape) for shape in shapes)
    attributes = {"equation": equation}
    return Case("Einsum", first, others, attributes, (12, 22), note=equation)


CASES = [
    *(einsum(*each) for each in EQUATIONS),
    Case("Det", SQUARE, opsets=(11, 22)),
    Case("Det", SQUARE[0] * 0, opsets=(22,), note="zero"),
    *(
        Case(
            "GridSample",
            IMAGE,
            [GRID],
            {"mode": mode, "padding_mode": padding, "align_corners": corners},
            (opset,),
            note=f"{mode}-{padding}-{corners}",
        )
        for opset, modes in ((16, ("bilinear", "bicubic")), (20, ("linear", "nearest", "cubic")))
        for mode in modes
        for padding in ("zeros", "border", "reflection")
        for corners in (0, 1)
    ),
    Case("GridSample", VOLUME, [SPACE], opsets=(20, 22), note="volume"),
    Case("AffineGrid", normal(2, 2, 3), [whole(2, 1, 4, 5)], opsets=(20, 22)),
    Case("AffineGrid", normal(1, 3, 4), [whole(1, 1, 2, 4, 5)], {"align_corners": 1}, (20,)),
    *(
        Case(
            "RoiAlign",
            IMAGE,
            [REGIONS, whole(1, 0, 1)],
            {
                "output_height": 3,
                "output_width": 2,
                "sampling_ratio": 2,
                "spatial_scale": 0.7,
                **how,
            },
            opsets,
            note=str(how),
        )
        for how, opsets in (
            ({}, (10, 16)),
            ({"coordinate_transformation_mode": "output_half_pixel"}, (16,)),
        )
    ),
    Case("DFT", SIGNAL, opsets=(17, 20)),
    Case("DFT", SIGNAL, attributes={"onesided": 1}, opsets=(17, 20), note="one side"),
    Case("DFT", normal(2, 12, 2), attributes={"inverse": 1}, opsets=(17, 20), note="inverse"),
    Case("DFT", normal(2, 12, 2), [np.int64(9)], opsets=(17, 20), note="cut"),
    Case("DFT", SIGNAL, [np.int64(16)], opsets=(17, 20), note="padded"),
    Case("STFT", SIGNAL, [np.int64(3), normal(4)], opsets=(17, 22)),
    Case("STFT", SIGNAL, [np.int64(2), None, np.int64(5)], {"onesided": 0}, (17, 22), note="all"),
]


@pytest.mark.parametrize(
    ("case", "opset"),
    [
        pytest.param(case, opset, id=f"{case.identifier}-{opset}")
        for case in CASES
        for opset in case.opsets
    ],
)
def test_operators_agree_with_onnxruntime(
    case: Case, opset: int, model: Callable[..., Any], exact: Callable[..., Any]
) -> None:
    built, x = build(case, opset, model, 3)
    assert_same(exact(built, x)["y0"], run_peer(built, x)["y0"])


def refused_einsum(equation: str, *shapes: tuple[int, ...]) -> Case:
    first, *others = (normal(*shape) for shape in shapes)
    return Case("Einsum", first, others, {"equation": equation})


HOSTILE = [
    (refused_einsum("ij,jk->ik", (2, 3), (4, 5)), "a label with two sizes"),
    (refused_einsum("ij,jk->iz", (2, 3), (3, 5)), "a malformed equation"),
    (refused_einsum("ij->ii", (2, 3)), "a malformed equation"),
    (refused_einsum("i1->i", (2, 3)), "a malformed equation"),
    (refused_einsum("......ij", (2, 3)), "a malformed equation"),
    (refused_einsum("ij->->i", (2, 3)), "a malformed equation"),
    (refused_einsum("é", (2,)), "a malformed equation"),
    (refused_einsum("i", (2, 3)), "an equation that does not fit its operands"),
    (refused_einsum("ijk", (2, 3)), "an equation that does not fit its operands"),
    (refused_einsum("ij,jk", (2, 3)), "2 terms for 1 operands"),
    (refused_einsum("i" * 1001, (2, 3)), "an equation that is too long"),
    (refused_einsum("ab,cd,ac->bd", (30, 2), (30, 2), (30, 30)), "larger than its ends"),
    (Case("Det", IMAGE), "matrices float32"),
    (Case("GridSample", IMAGE, [GRID[:1]]), "a grid float32"),
    (Case("GridSample", IMAGE, [GRID[..., :1]]), "a grid float32"),
    (Case("GridSample", IMAGE[:, :, :0], [GRID]), "nothing to sample"),
    (Case("GridSample", IMAGE, [GRID], {"mode": "bilinear"}), "an unknown mode"),
    (Case("GridSample", IMAGE, [GRID], {"padding_mode": "wrap"}), "an unknown mode"),
    (Case("AffineGrid", normal(2, 2, 3), [whole(1, 1, 4, 5)]), "theta float32"),
    (Case("AffineGrid", normal(1, 2, 3), [whole(1, 1, -4, 5)]), "negative or too large"),
    (Case("AffineGrid", normal(1, 2, 3), [whole(1, 1)]), "a size int64"),
    (Case("RoiAlign", IMAGE, [REGIONS, whole(0, 0, 0)]), "sampling_ratio is not 1 to 64"),
    (Case("RoiAlign", IMAGE, [REGIONS, whole(0, 0)]), "regions float32"),
    (
        Case("RoiAlign", IMAGE, [REGIONS, whole(0, 0, 0)], {"output_height": 2**62}),
        "sampling_ratio is not 1 to 64",
    ),
    (Case("DFT", IMAGE), "a signal float32"),
    (Case("DFT", SIGNAL, [np.int64(0)]), "a length of 0"),
    (Case("DFT", SIGNAL, [np.int64(2**40)]), "a length of"),
    (Case("DFT", SIGNAL, [None, np.int64(2)]), "the axis of real and imaginary parts"),
    (Case("DFT", normal(1, 4, 2), attributes={"onesided": 1}), "one side of a complex signal"),
    (Case("STFT", SIGNAL, [np.int64(0), normal(4)]), "frames of 4 every 0"),
    (Case("STFT", SIGNAL, [np.int64(1), normal(13)]), "frames of 13"),
    (Case("STFT", SIGNAL, [np.int64(1), normal(4), np.int64(5)]), "a window float32"),
]


@pytest.mark.parametrize(
    ("case", "reason"),
    [pytest.param(*each, id=f"{each[0].operator}-{each[1]}") for each in HOSTILE],
)
def test_hostile_operators_are_refused(
    case: Case, reason: str, model: Callable[..., Any], exact: Callable[..., Any]
) -> None:
    built, x = build(case, 20, model, 3)
    with pytest.raises(ModelRejected) as refused:
        exact(built, x)
    assert reason in refused.value.reason


def test_the_matrix_product_is_that_of_matmul(model: Any, exact: Any) -> None:
    """An equation is no other arithmetic."""
    left, right = normal(3, 700), normal(700, 5)
    built, x = build(Case("Einsum", left, [right], {"equation": "ik,kj->ij"}), 20, model, 3)
    assert exact(built, x)["y0"].tobytes() == gemm.matmul(left, right).tobytes()


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_coordinates_far_away_or_undefined_are_defined(mode: str, padding: str) -> None:
    corner = 1 if padding == "border" else 0
    far = np.array([np.nan, -np.inf, -1e30, 1e30, np.inf, -1e9, 1e9]).reshape(1, 7, 1)
    line = np.arange(1, 5, dtype=np.float32).reshape(1, 1, 4)
    for corners in (False, True):
        with np.errstate(all="ignore"):
            found = sampling.sample(line, far, mode, padding, corners)
        assert np.isfinite(found).all()
        if padding == "zeros":
            assert (found == 0).all()
        elif corner:
            assert found[0, 0, 1:5].tolist() == [1, 1, 4, 4]


def test_one_place_is_reflected_onto_itself() -> None:
    one = np.full((1, 1, 1), 3.0)
    grid = np.array([-5.0, 0.0, 7.0]).reshape(1, 3, 1)
    for corners in (False, True):
        found = sampling.sample(one, grid, "linear", "reflection", corners)
        assert found.tolist() == [[[3, 3, 3]]]


def test_the_transform_does_not_depend_on_its_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    real, imaginary = RANDOM.normal(size=(2, 3, 50))
    whole_table = fourier.transform(real, imaginary, 50, inverse=False)
    for size in (1, 130, 2600):
        monkeypatch.setattr(fourier, "_TABLE", size)
        again = fourier.transform(real, imaginary, 50, inverse=False)
        assert again.tobytes() == whole_table.tobytes()
    peer = np.fft.fft(real + 1j * imaginary)
    assert np.allclose(whole_table[..., 0] + 1j * whole_table[..., 1], peer)


@pytest.mark.parametrize("matrix", [np.eye(4), np.zeros((3, 3)), [[0, 1], [1, 0]], np.ones((0, 0))])
def test_determinants_of_plain_matrices(matrix: Any, model: Any, exact: Any) -> None:
    built, x = build(Case("Det", np.array(matrix, np.float32)), 20, model, 3)
    assert exact(built, x)["y0"] == round(np.linalg.det(np.array(matrix, float)))


def test_labels_out_of_range_are_refused_at_run_time(model: Any, exact: Any) -> None:
    entropy = Case("SoftmaxCrossEntropyLoss", IMAGE[0, :, :, 0], [whole(0, 1, 4)])
    built, x = build(entropy, 20, model, 3)
    with pytest.raises(RuntimeRejection):
        exact(built, x)


def test_regions_beyond_numbers_are_outside(model: Any, exact: Any) -> None:
    region = np.array([[np.nan, 0, 3, 3], [0, 0, np.inf, 3], [-1e30, -1e30, 1e30, 1e30]])
    others = [region.astype(np.float32), whole(0, 0, 0)]
    built, x = build(Case("RoiAlign", IMAGE, others, {"sampling_ratio": 3}), 20, model, 3)
    assert np.isfinite(exact(built, x)["y0"]).all()


def test_images_out_of_range_are_refused_at_run_time(model: Any, exact: Any) -> None:
    others = [REGIONS, whole(0, 2, 0)]
    built, x = build(Case("RoiAlign", IMAGE, others, {"sampling_ratio": 1}), 20, model, 3)
    with pytest.raises(RuntimeRejection, match="image out of range"):
        exact(built, x)


def test_texts_are_joined_and_bounded(model: Any, exact: Any) -> None:
    left = np.array([["a", "é"], ["", "b" * 4000]], object)
    nodes = [helper.make_node("StringConcat", ["l", "r"], ["y"])]
    for right, wanted in (
        (["1", "2"], [["a1", "é2"], ["1", "b" * 4000 + "2"]]),
        (["x" * 99], None),
    ):
        constants = {"l": left, "r": np.array(right, object)}
        built = model(nodes, {"y": "object"}, constants=constants, opset=20)
        if wanted is None:
            with pytest.raises(ModelRejected, match="too long"):
                exact(built, normal(2, 3))
        else:
            assert exact(built, normal(2, 3))["y"].tolist() == wanted


MEL = {
    "bands": np.int64(12),
    "length": np.int64(256),
    "rate": np.int64(8000),
    "lower": np.float32(20),
    "upper": np.float32(3900),
}


def test_mel_bands_agree_with_onnxruntime(model: Any, exact: Any) -> None:
    nodes = [helper.make_node("MelWeightMatrix", list(MEL), ["y"])]
    built = model(nodes, ["y"], constants=MEL)
    x = normal(2, 3)
    assert_same(exact(built, x)["y"], run_peer(built, x)["y"])


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("bands", np.int64(0), "a number below 1"),
        ("bands", np.int64(2**62), "too large"),
        ("length", np.int64(2**31), "too large"),
        ("rate", np.int64(-1), "a number below 1"),
        ("lower", np.float32(np.nan), "edges nan"),
        ("upper", np.float32(1), "edges 20.0 and 1.0"),
        ("upper", np.float32(1e9), "a band beyond the frequencies"),
    ],
)
def test_hostile_mel_bands_are_refused(
    name: str, value: Any, reason: str, model: Any, exact: Any
) -> None:
    nodes = [helper.make_node("MelWeightMatrix", list(MEL), ["y"])]
    with pytest.raises(ModelRejected, match=reason):
        exact(model(nodes, ["y"], constants=MEL | {name: value}), normal(2, 3))
