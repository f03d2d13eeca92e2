"""Models of any number of inputs and outputs, without a challenge's contract."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from danku.evaluation.kernels.rejection import RuntimeRejection
from danku.evaluation.refusal import ModelRejected
from danku.evaluation.session import Session
from danku.protocol.manifest import Limits


def built(*nodes: Any, **inputs: tuple[int, list[Any]]) -> bytes:
    """A model whose outputs are those of its nodes."""
    outputs = [name for node in nodes for name in node.output]
    graph = helper.make_graph(
        list(nodes),
        "test",
        [helper.make_tensor_value_info(name, *kind) for name, kind in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in outputs],
    )
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


FLOATS = (TensorProto.FLOAT, [None, 2])
SHAPE = (TensorProto.INT64, [None])
TWO_SUMS = built(
    helper.make_node("Add", ["a", "b"], ["sum"]),
    helper.make_node("Sub", ["a", "b"], ["difference"]),
    a=FLOATS,
    b=FLOATS,
)
RESHAPE = built(helper.make_node("Reshape", ["a", "s"], ["y"]), a=FLOATS, s=SHAPE)
A = np.array([[1.0, 2], [3, 4]], np.float32)


def test_all_outputs_come_in_the_models_order() -> None:
    session = Session(TWO_SUMS, {"a": (2, 2), "b": (1, 2)})
    for factor in (1, 2):
        found = session.run({"b": A[:1], "a": A * np.float32(factor)})
        assert list(found) == ["sum", "difference"]
        assert found["sum"].tolist() == (A * factor + A[0]).tolist()


def test_an_input_that_shapes_depend_on_can_be_fixed() -> None:
    with pytest.raises(ModelRejected, match="dynamic shape"):
        Session(RESHAPE, {"a": (2, 2), "s": (1,)})
    session = Session(RESHAPE, {"a": (2, 2)}, fixed={"s": np.array([4])})
    assert session.run({"a": A})["y"].tolist() == [1, 2, 3, 4]


def test_everything_may_be_fixed() -> None:
    session = Session(RESHAPE, {}, fixed={"s": np.array([4]), "a": A})
    assert session.run({})["y"].tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("shape", [(2,), (2, 3), (2, 2, 2)])
def test_shapes_that_do_not_fit_the_model_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelRejected, match="the input a is not"):
        Session(TWO_SUMS, {"a": shape, "b": (2, 2)})


def test_fixed_inputs_of_another_type_are_refused() -> None:
    with pytest.raises(ModelRejected, match="the input s is not"):
        Session(RESHAPE, {"a": (2, 2)}, fixed={"s": np.array([4.0])})


def test_inputs_of_one_name_are_refused() -> None:
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node("Neg", ["a"], ["y"])],
            "test",
            [helper.make_tensor_value_info("a", *FLOATS)] * 2,
            [helper.make_tensor_value_info("y", *FLOATS)],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    with pytest.raises(ModelRejected, match="an input is listed twice"):
        Session(model.SerializeToString(), {"a": (2, 2)})


def test_limits_hold() -> None:
    with pytest.raises(ModelRejected, match="nodes, the limit is 1"):
        Session(TWO_SUMS, {"a": (2, 2), "b": (2, 2)}, limits=Limits(nodes=1))


def test_what_is_undefined_is_refused_at_run_time() -> None:
    division = built(helper.make_node("Div", ["a", "b"], ["y"]), a=SHAPE, b=SHAPE)
    with pytest.raises(RuntimeRejection):
        Session(division, {"a": (1,), "b": (1,)}).run({"a": np.array([1]), "b": np.array([0])})
