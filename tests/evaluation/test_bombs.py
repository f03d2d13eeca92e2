"""Models of a kilobyte that would take gigabytes: refused in a process that has not got them."""

from __future__ import annotations

import resource
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from danku.evaluation.admission import admit
from danku.evaluation.evaluate import evaluate
from danku.evaluation.refusal import ModelRejected
from danku.protocol.manifest import Limits
from tests.evaluation.conftest import make_manifest

ROOM = 256 * 2**20
"""Address space, in bytes, beyond what Python and the libraries take."""
SECONDS = 60
"""Processor time for all of them; each should take milliseconds."""

Nodes = list[onnx.NodeProto]


def node(operator: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, inputs.split(), outputs.split(), **attributes)


def doubled(
    operator: Callable[[str, str], onnx.NodeProto], times: int = 40, first: str = "row"
) -> Nodes:
    """A chain in which each tensor is made of the one before."""
    names = [first, *(f"t{i}" for i in range(1, times)), "big"]
    return [operator(a, b) for a, b in pairwise(names)]


def over(data: str) -> Nodes:
    """The same at run time: each row counts."""
    return [node("MatMul", "x ones", "column"), node("Mul", f"column {data}", "big")]


CONSTANTS: dict[str, Any] = {
    "huge": np.array([100_000, 50_000]),
    "more": np.array([2**31 - 1]),
    "million": np.array(10**10),
    "zero": np.array(0),
    "one": np.array(1),
    "row": np.ones((1, 64), np.float32),
    "image": np.ones((1, 1, 8, 8), np.float32),
    "scales": np.array([1, 1, 30_000, 30_000], np.float32),
    "sizes": np.array([1, 1, 200_000, 200_000]),
    "axis": np.array([1]),
    "times": np.array([50_000, 50_000]),
    "margins": np.array([0, 10**9, 0, 10**9]),
    "depth": np.array(2**31 - 1),
    "values": np.array([0, 1], np.float32),
    "many": np.zeros((64, 64), np.int64),
    "ones": np.ones((3, 1), np.float32),
    "text": np.array([["a" * 64]] * 2),
}
FOLDED: dict[str, Nodes] = {
    "ConstantOfShape": [node("ConstantOfShape", "huge", "big")],
    "Expand": [node("Expand", "one huge", "big")],
    "Tile": [node("Tile", "row times", "big")],
    "Tile, doubled": doubled(lambda a, b: node("Tile", f"{a} two", b)),
    "Range": [node("Range", "zero million one", "big")],
    "OneHot": [node("OneHot", "many depth values", "big")],
    "Pad": [node("Pad", "row margins", "big")],
    "Pad, reflected": [node("Pad", "row margins", "big", mode="reflect")],
    "Resize by scales": [
        helper.make_node("Resize", ["image", "", "scales"], ["big"], mode="linear")
    ],
    "Resize to sizes": [helper.make_node("Resize", ["image", "", "", "sizes"], ["big"])],
    "Concat, doubled": doubled(lambda a, b: node("Concat", f"{a} {a}", b, axis=1)),
    "Concat of many": [
        node("Concat", "row " * 4_000, "t", axis=1),
        node("Expand", "t wide", "big"),
    ],
    "Add, broadcast": [
        node("ConstantOfShape", "more", "t"),
        node("Unsqueeze", "t axis", "u"),
        node("Add", "t u", "big"),
    ],
    "Gather, doubled": doubled(lambda a, b: node("Gather", f"{a} many", b, axis=0)),
    "GatherND": [node("Expand", "zero_rows long", "t"), node("GatherND", "table t", "big")],
    "Einsum": [
        node("Expand", "row tall", "t"),
        node("Einsum", "t t", "big", equation="ij,kl->ijkl"),
    ],
    "MatMul": [
        node("Expand", "row tall", "t"),
        node("Transpose", "t", "u"),
        node("MatMul", "t u", "big"),
    ],
    "EyeLike": [node("ConstantOfShape", "huge", "t"), node("EyeLike", "t", "big")],
    "HannWindow": [node("HannWindow", "depth", "big")],
    "MelWeightMatrix": [node("MelWeightMatrix", "bands length rate low high", "big")],
    "DepthToSpace": [
        node("Expand", "image deep", "t"),
        node("SpaceToDepth", "t", "big", blocksize=2),
    ],
    "Upsampled": [helper.make_node("Resize", ["image", "", "scales"], ["big"])],
    "ConvTranspose": [node("ConvTranspose", "image image", "big", strides=[40_000, 40_000])],
    "Conv, padded": [node("Conv", "image image", "big", pads=[50_000, 50_000, 50_000, 50_000])],
    "MaxPool, padded": [
        node("MaxPool", "image", "big", kernel_shape=[1, 1], pads=[40_000, 40_000, 40_000, 40_000])
    ],
    "Sum of many, often": [
        *doubled(lambda a, b: node("Sum", " ".join([a] * 1_000), b), 300),
    ],
    "DFT": [node("Reshape", "row signal", "t"), node("DFT", "t depth", "big")],
    "StringConcat": doubled(lambda a, b: node("StringConcat", f"{a} {a}", b), 20, "text"),
    "TopK": [node("ConstantOfShape", "huge", "t"), node("TopK", "t axis", "big places")],
    "Unique": [node("ConstantOfShape", "huge", "t"), node("Unique", "t", "big")],
    "NonZero": [node("ConstantOfShape", "huge", "t"), node("NonZero", "t", "big")],
    "CumSum": [
        node("Expand", "row tall", "t"),
        *doubled(lambda a, b: node("Concat", f"{a} {a}", b, axis=0), 30, "t"),
    ],
    "Compress": [node("Tile", "row times", "t"), node("Compress", "t flag", "big", axis=0)],
    "Where": [node("Expand", "flag huge_flag", "t"), node("Where", "t row row", "big")],
}
FOLDED_CONSTANTS: dict[str, Any] = CONSTANTS | {
    "two": np.array([1, 2]),
    "wide": np.array([100_000, 1]),
    "tall": np.array([50_000, 64]),
    "zero_rows": np.zeros((1, 1), np.int64),
    "table": np.ones((1, 100_000), np.float32),
    "long": np.array([100_000, 1]),
    "deep": np.array([50_000, 64, 8, 8]),
    "bands": np.array(65_536),
    "length": np.array(65_536),
    "rate": np.array(16_000),
    "low": np.array(0, np.float32),
    "high": np.array(8_000, np.float32),
    "signal": np.array([1, 64, 1]),
    "flag": np.array([True]),
    "huge_flag": np.array([2**31 - 1]),
}


def made(nodes: Sequence[onnx.NodeProto], constants: dict[str, Any]) -> bytes:
    """A model that returns its input plus the sum of ``big``, or of its length if it is text."""
    used = {name for each in nodes for name in each.input}
    text = any(each.op_type == "StringConcat" for each in nodes)
    last = [
        node(
            "LabelEncoder",
            "big",
            "number",
            domain="ai.onnx.ml",
            keys_strings=["a"],
            values_floats=[1.0],
        )
        if text
        else node("Cast", "big", "number", to=TensorProto.FLOAT),
        node("ReduceSum", "number", "sum", keepdims=0),
        node("Add", "x sum", "y"),
    ]
    graph = helper.make_graph(
        [*nodes, *last],
        "bomb",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(np.asarray(constants[name]), name)
            for name in sorted(used & {*constants})
        ],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("ai.onnx.ml", 3)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString())


def terms(limits: Limits | None = None) -> Any:
    return make_manifest("probabilities", classes=("a", "b", "c"), limits=limits)


def main() -> None:
    """Admit all bombs in little memory and time; prints what is said of each."""
    admit(made([node("Identity", "row", "big")], FOLDED_CONSTANTS), terms())
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    mapped = pages * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + ROOM, mapped + ROOM))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    for name, nodes in FOLDED.items():
        model = made(nodes, FOLDED_CONSTANTS)
        try:
            admit(model, terms(Limits(peak_bytes=2**26)))
        except ModelRejected as refusal:
            print(f"{name}\t{len(model)}\t{refusal.code}\t{refusal.reason}", flush=True)
        else:
            print(f"{name}\t{len(model)}\tadmitted\t", flush=True)


@pytest.fixture(scope="module")
def said() -> dict[str, list[str]]:
    done = subprocess.run(
        [sys.executable, "-m", __name__],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    return {name: rest for name, *rest in lines}


@pytest.mark.parametrize("name", FOLDED)
def test_small_models_that_fold_to_gigabytes(name: str, said: dict[str, list[str]]) -> None:
    size, code, reason = said[name]
    assert int(size) < 2 * 2**20
    assert code in ("limit", "shape", "runtime", "node"), reason


def by_rows(formula: Nodes) -> bytes:
    """A model that spreads a number over as many elements as a formula of its rows ``n`` says."""
    nodes = [
        node("Shape", "x", "shape"),
        node("Slice", "shape zero_list one_list zero_list", "n"),
        *formula,
        node("ReduceSum", "x", "total"),
        node("Expand", "total count", "big"),
    ]
    lists = {"zero_list": np.array([0]), "one_list": np.array([1]), "five": np.array([5])}
    return made(nodes, lists | {"four": np.array([4]), "million": np.array([10**6])})


def test_fewer_rows_may_not_cost_more() -> None:
    model = by_rows(
        [
            node("Sub", "five n", "left"),
            node("Pow", "left four", "power"),
            node("Mul", "power million", "count"),
        ]
    )
    with pytest.raises(ModelRejected, match="elements, the limit is 10000000"):
        admit(model, terms(Limits(elements=10**7)))


def test_a_last_batch_that_costs_more_is_rejected_before_it_runs() -> None:
    model = by_rows(
        [
            node("Sub", "n one_list", "above"),
            node("Sub", "four n", "below"),
            node("Mul", "above below", "count_in_millions"),
            node("Mul", "count_in_millions million", "count"),
        ]
    )
    rows, target = np.ones((6, 3), np.float32), np.zeros(6)
    verdict = evaluate(model, rows, target, terms(Limits(elements=10**6)))
    assert verdict.status == "rejected"
    assert verdict.reason.endswith("elements, the limit is 1000000")


def test_small_parts_do_not_keep_large_tensors_alive() -> None:
    parts = [f"part{i}" for i in range(40)]
    nodes = [node("MatMul", "x ones", "column"), node("Mul", "column wide", "large")]
    for i, part in enumerate(parts):
        nodes += [
            node("Add", f"large step{i % 2}", f"whole{i}"),
            node("Slice", f"whole{i} first second second", part),
        ]
    constants = {
        "ones": np.ones((3, 1), np.float32),
        "wide": np.ones((1, 200_000), np.float32),
        "step0": np.float32(0),
        "step1": np.float32(1),
        "first": np.array([0]),
        "second": np.array([1]),
    }
    admitted = admit(
        made([*nodes, node("Concat", " ".join(parts), "big", axis=1)], constants), terms()
    )
    rows = np.ones((4, 3), np.float32)
    admitted.predict(rows)
    tracemalloc.start()
    admitted.predict(rows)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * admitted.cost.peak_bytes


def test_every_operand_of_a_long_sum_counts() -> None:
    def work(operands: int) -> int:
        nodes = [*over("row"), node("Sum", "big " + "one_number " * operands, "sum")]
        nodes[-1].output[0], nodes[-2].output[0] = "big", "product"
        nodes[-1].input[0] = "product"
        constants = CONSTANTS | {"one_number": np.ones(1, np.float32)}
        return admit(made(nodes, constants), terms()).cost.multiply_accumulates

    assert work(101) - work(1) == 100 * 4 * 64


def test_packing_a_narrow_matrix_does_not_multiply_its_memory() -> None:
    nodes = [
        node("Expand", "one_number tall", "weights"),
        *over("flat"),
        node("MatMul", "big weights", "product"),
    ]
    nodes[-1].output[0], nodes[-2].output[0] = "big", "wide"
    nodes[-1].input[0] = "wide"
    constants = CONSTANTS | {
        "one_number": np.ones((1, 1), np.float32),
        "tall": np.array([500_000, 1]),
        "flat": np.ones((1, 500_000), np.float32),
    }
    admitted = admit(made(nodes, constants), terms())
    rows = np.ones((4, 3), np.float32)
    tracemalloc.start()
    admitted.predict(rows)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * admitted.cost.peak_bytes


if __name__ == "__main__":
    main()
