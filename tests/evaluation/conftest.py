"""Small models and manifests for the tests of evaluation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from danku.evaluation.graph import read_graph
from danku.evaluation.planner import TypedGraph
from danku.evaluation.tensor import TensorType
from danku.protocol.manifest import (
    DataDescription,
    EvaluationTerms,
    Limits,
    Manifest,
    MechanismTerms,
    ModelContract,
)
from danku.protocol.types import Score

ELEMENTS = {
    "float32": TensorProto.FLOAT,
    "float64": TensorProto.DOUBLE,
    "int64": TensorProto.INT64,
    "int32": TensorProto.INT32,
    "uint8": TensorProto.UINT8,
    "int8": TensorProto.INT8,
    "bool": TensorProto.BOOL,
    "object": TensorProto.STRING,
}


def make_manifest(
    output: str = "label",
    *,
    shape: Sequence[int] = (3,),
    classes: Sequence[str] = ("no", "yes"),
    dtype: str = "float32",
    metric: str | None = None,
    batch: int = 4,
    limits: Limits | None = None,
) -> Manifest:
    chosen = metric or {"label": "accuracy", "probabilities": "log-loss", "value": "rmse"}[output]
    return Manifest(
        name="test",
        title="Test",
        summary="",
        data=DataDescription(columns=(), target="target", rows=100),
        evaluation=EvaluationTerms(chosen, Score(0), batch=batch, limits=limits or Limits()),
        model=ModelContract(tuple(shape), output, dtype, () if output == "value" else classes),
        mechanism=MechanismTerms("winner-takes-all"),
    )


def make_model(
    nodes: Sequence[onnx.NodeProto],
    outputs: Mapping[str, str] | Sequence[str],
    *,
    shape: Sequence[int | str | None] = (None, 3),
    dtype: str = "float32",
    constants: Mapping[str, Any] | None = None,
    opset: int = 17,
    ml: int = 3,
) -> onnx.ModelProto:
    """A model with the input ``x``; outputs are floats unless a type is given."""
    kinds = outputs if isinstance(outputs, Mapping) else dict.fromkeys(outputs, "float32")
    graph = helper.make_graph(
        list(nodes),
        "test",
        [helper.make_tensor_value_info("x", ELEMENTS[dtype], list(shape))],
        [helper.make_tensor_value_info(name, ELEMENTS[kind], None) for name, kind in kinds.items()],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in (constants or {}).items()],
    )
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", ml)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def run_exact(model: onnx.ModelProto, x: np.ndarray) -> dict[str, np.ndarray]:
    """All outputs of a model under exact/1, without a contract."""
    graph = read_graph(model.SerializeToString(), 1_000)
    typed = TypedGraph(graph, {graph.input.name: TensorType(x.dtype, x.shape)}, Limits())
    return {name: typed.plan(name).run(x) for name in graph.outputs}


@pytest.fixture
def manifest() -> Callable[..., Manifest]:
    return make_manifest


@pytest.fixture
def model() -> Callable[..., onnx.ModelProto]:
    return make_model


@pytest.fixture
def exact() -> Callable[[onnx.ModelProto, np.ndarray], dict[str, np.ndarray]]:
    return run_exact
