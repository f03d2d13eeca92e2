"""What `danku model check` tells somebody whose exporter writes what the profile leaves out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.cli.driver import NAME, Danku

At = Callable[[str], Danku]
ROWS = np.array([[-3, 0], [-1, 1], [1, 2], [3, 3]] * 5, np.float32)
LABELS = np.array([0, 0, 1, 1] * 5)


def refusal(danku: Danku, file: str) -> Any:
    """What, why and fix of the model's refusal."""
    return danku.refused("model", "check", NAME, file, code=5, error="ModelRejected").json


def neighbours(**options: Any) -> bytes:
    """k-nearest neighbours as skl2onnx exports them."""
    skl2onnx = pytest.importorskip("skl2onnx")
    from sklearn.neighbors import KNeighborsClassifier

    fitted = KNeighborsClassifier(3).fit(ROWS, LABELS)
    exported = skl2onnx.convert_sklearn(
        fitted,
        initial_types=[("x", skl2onnx.common.data_types.FloatTensorType([None, 2]))],
        options={id(fitted): {"zipmap": False, **options}},
        target_opset={"": 17, "ai.onnx.ml": 3},
    )
    data: bytes = exported.SerializeToString()
    return data


def test_neighbours_learn_which_option_makes_them_admissible(at: At) -> None:
    danku = at("created")
    (danku.folder / "scan.onnx").write_bytes(neighbours())
    told = refusal(danku, "scan.onnx")
    assert "control flow not allowed" in told["what"]
    assert 'options={id(model): {"optim": "cdist"}}' in told["fix"]
    (danku.folder / "cdist.onnx").write_bytes(neighbours(optim="cdist"))
    assert danku("model", "check", NAME, "cdist.onnx")["admitted"]


@pytest.mark.parametrize("data", [b"PK\x03\x04" * 99, b"\x89PNG\r\n\x1a\n" * 9, b"", b"{}", b"R\0"])
def test_a_file_that_is_no_model_is_called_that(data: bytes, at: At) -> None:
    danku = at("created")
    (danku.folder / "other.bin").write_bytes(data)
    told = refusal(danku, "other.bin")
    assert told["what"] == "the model is rejected: not an ONNX model"
    assert ".onnx" in told["fix"]


def shifted(opset: int, operator: str = "Sub") -> bytes:
    """A model of an opset of one's choice that says yes where the first feature is positive."""
    constants = [numpy_helper.from_array(np.zeros(2, np.float32), "zero")]
    nodes = [
        helper.make_node(operator, ["x", "zero"], ["s"]),
        helper.make_node("ArgMax", ["s"], ["y"], axis=1, keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "shifted",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])],
        [helper.make_tensor_value_info("y", TensorProto.INT64, ["n"])],
        constants,
    )
    imports = [helper.make_opsetid("", opset)]
    data: bytes = helper.make_model(graph, opset_imports=imports, ir_version=4).SerializeToString()
    return data


def test_opsets_are_named_with_what_changes_them(at: At) -> None:
    danku = at("created")
    for opset in (8, 28):
        (danku.folder / "good.onnx").write_bytes(shifted(opset))
        assert danku("model", "check", NAME, "good.onnx")["admitted"]
    for opset, operator, what, fix in (
        (7, "Sub", "opset 7 of ai.onnx is not 8 to 28", "convert_version(model, 9)"),
        (8, "PRelu", "unsupported operator PRelu before opset 9", "convert_version(model, 9)"),
        (29, "Sub", "opset 29 of ai.onnx is not 8 to 28", "opset 28 or older"),
    ):
        (danku.folder / "bad.onnx").write_bytes(shifted(opset, operator))
        told = refusal(danku, "bad.onnx")
        assert told["what"].endswith(what)
        assert fix in told["fix"]
