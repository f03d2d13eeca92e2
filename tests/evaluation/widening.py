"""A model's graph in float64, evaluated by onnx's reference: an oracle for float32 results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from tests.evaluation import reference, reference_ml

FLOAT, DOUBLE = TensorProto.FLOAT, TensorProto.DOUBLE


def widened(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with every float32 tensor, constant and cast in float64."""
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    graph = wide.graph
    del graph.value_info[:]
    for value in [*graph.input, *graph.output]:
        if value.type.tensor_type.elem_type == FLOAT:
            value.type.tensor_type.elem_type = DOUBLE
    for tensor in graph.initializer:
        _widen_tensor(tensor)
    for node in graph.node:
        _widen_node(node)
    return wide


def _widen_tensor(tensor: TensorProto) -> None:
    if tensor.data_type == FLOAT:
        values = numpy_helper.to_array(tensor).astype(np.float64)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def _widen_node(node: onnx.NodeProto) -> None:
    for attribute in node.attribute:
        if attribute.name in ("to", "dtype") and attribute.i == FLOAT:
            attribute.i = DOUBLE
        elif attribute.name == "value" and attribute.type == onnx.AttributeProto.TENSOR:
            _widen_tensor(attribute.t)
        elif node.op_type == "Constant" and attribute.name in ("value_float", "value_floats"):
            given = helper.get_attribute_value(attribute)
            tensor = numpy_helper.from_array(np.asarray(given, np.float64))
            attribute.CopyFrom(helper.make_attribute("value", tensor))
    if node.op_type == "ConstantOfShape" and not node.attribute:
        zero = numpy_helper.from_array(np.zeros(1))
        node.attribute.append(helper.make_attribute("value", zero))


def evaluate_wide(model: onnx.ModelProto, inputs: Mapping[str, Any]) -> Sequence[Any]:
    """The outputs of the widened graph for float32 inputs, which are widened too."""
    evaluator = ReferenceEvaluator(
        widened(model), new_ops=[*reference.OPERATORS, *reference_ml.OPERATORS]
    )
    wide = {
        name: value.astype(np.float64) if value.dtype == np.float32 else value
        for name, value in inputs.items()
    }
    with np.errstate(all="ignore"):
        found: Sequence[Any] = evaluator.run(None, wide)
    return found
