"""Models that break the contract or the bounds: each refused for its reason, before it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from danku.evaluation import profile
from danku.evaluation.admission import admit
from danku.evaluation.evaluate import evaluate
from danku.evaluation.refusal import ModelRejected, quoted
from danku.protocol.manifest import Limits

Build = Callable[..., onnx.ModelProto]
ROWS = np.ones((5, 3), np.float32)
VECTOR = np.array([0.5, 1, 2], np.float32)


def node(operator: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, inputs.split(), outputs.split(), **attributes)


def reason(model: onnx.ModelProto | bytes, terms: Any) -> str:
    """Why a model is refused: at admission, and alike as a verdict."""
    data = model if isinstance(model, bytes) else model.SerializeToString()
    with pytest.raises(ModelRejected) as caught:
        admit(data, terms)
    contract = terms.model
    rows = np.ones((5, *contract.shape), contract.dtype)
    target = np.zeros(5, np.float64 if contract.output == "value" else np.int64)
    verdict = evaluate(data, rows, target, terms)
    assert (verdict.status, verdict.score) == ("rejected", 0)
    assert verdict.reason == caught.value.reason
    return verdict.reason


@pytest.fixture
def terms(manifest: Any) -> Any:
    return manifest("value")


@pytest.fixture
def good(model: Build) -> onnx.ModelProto:
    nodes = [node("MatMul", "x w", "s"), node("Add", "s b", "y")]
    return model(nodes, ["y"], constants={"w": VECTOR, "b": np.float32(1)})


def test_the_good_model_is_admitted_whatever_its_names(good: onnx.ModelProto, terms: Any) -> None:
    assert admit(good.SerializeToString(), terms).output == "y"
    good.graph.input[0].name = "anything"
    good.graph.node[0].input[0] = "anything"
    assert evaluate(good.SerializeToString(), ROWS, np.full(5, 4.5), terms).score == 0


@pytest.mark.parametrize(
    "data",
    [b"", b"\0", b"not a model", b"\x08\x0a", b"\x3a\x7f", bytes(range(256)), b"PK\x03\x04" * 99],
)
def test_bytes_that_are_no_model(data: bytes, terms: Any) -> None:
    assert reason(data, terms) == "not an ONNX model"


def test_a_field_that_onnx_may_get_one_day_is_named(good: onnx.ModelProto, terms: Any) -> None:
    assert reason(good.SerializeToString() + b"\x52\0", terms) == "field 10 of Model is not allowed"


def test_a_model_of_another_size(good: onnx.ModelProto, manifest: Any) -> None:
    data = good.SerializeToString()
    assert reason(data[:-1], manifest("value")) == "not an ONNX model"
    small = manifest("value", limits=Limits(model_bytes=len(data) - 1))
    assert reason(data, small).endswith(f"the limit is {len(data) - 1}")


def test_an_unsupported_operator_is_named_and_the_advice_lists_the_others(
    good: onnx.ModelProto, terms: Any
) -> None:
    good.graph.node[0].op_type = "Conv\x1b[31mTranspose"
    assert reason(good, terms) == "unsupported operator Conv?[31mTranspose"
    with pytest.raises(ModelRejected) as caught:
        admit(good.SerializeToString(), terms)
    assert caught.value.code == "operator"
    assert "MatMul" in caught.value.fix and "ai.onnx.ml.Scaler" in caught.value.fix


@pytest.mark.parametrize(
    ("domain", "version", "expected"),
    [
        ("", 7, "opset 7 of ai.onnx is not 8 to 28"),
        ("", 29, "opset 29 of ai.onnx is not 8 to 28"),
        ("com.example", 1, "unsupported domain com.example"),
        ("ai.onnx.ml", 6, "opset 6 of ai.onnx.ml is not 1 to 5"),
    ],
)
def test_domains_and_opsets(
    domain: str, version: int, expected: str, good: onnx.ModelProto, terms: Any
) -> None:
    del good.opset_import[:]
    good.opset_import.append(helper.make_opsetid(domain, version))
    for each in good.graph.node:
        each.domain = domain
    assert reason(good, terms) == expected
    good.opset_import.append(helper.make_opsetid(domain, version + 1))
    assert reason(good, terms).startswith("two opset versions of")
    del good.opset_import[:]
    assert reason(good, terms).startswith(("no opset version of", "unsupported domain"))


def test_the_advice_says_how_to_change_the_opset(good: onnx.ModelProto, terms: Any) -> None:
    for version, advice in ((7, "convert_version(model, 9)"), (29, "target_opset={'': 28}")):
        good.opset_import[0].version = version
        with pytest.raises(ModelRejected) as caught:
            admit(good.SerializeToString(), terms)
        assert advice in caught.value.fix


def test_an_opset_that_no_node_uses_does_not_matter(good: onnx.ModelProto, terms: Any) -> None:
    good.opset_import.append(helper.make_opsetid("com.microsoft", 99))
    assert admit(good.SerializeToString(), terms)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda g: g.node[0].attribute.append(helper.make_attribute("a", 1)), "no attribute a"),
        (lambda g: g.node.reverse(), "s is used before it is defined"),
        (lambda g: g.node[0].input.__setitem__(0, "y"), "y is used before it is defined"),
        (lambda g: g.node[0].input.__setitem__(0, "gone"), "gone is not defined"),
        (lambda g: g.node[1].output.__setitem__(0, "s"), "s is defined twice"),
        (lambda g: g.node[1].output.__setitem__(0, "w"), "w is defined twice"),
        (lambda g: g.initializer.append(g.initializer[0]), "w is defined twice"),
        (lambda g: g.node[1].output.append("z"), "Add has 2 outputs"),
        (lambda g: g.node[1].input.append("s"), "Add has 3 inputs"),
        (lambda g: g.node[1].input.__setitem__(0, ""), "lacks a required one"),
        (lambda g: g.output.append(g.output[0]), "an output is listed twice"),
        (lambda g: g.output.pop(), "the model has no output"),
        (lambda g: g.input.append(helper.make_tensor_value_info("z", 1, [1])), "2 inputs"),
        (lambda g: g.input.pop(), "0 inputs"),
        (lambda g: setattr(g.node[0], "overload", "o"), "MatMul is overloaded"),
        (lambda g: setattr(g.node[0], "name", "n" * 1_025), "longer than 1024 bytes"),
        (lambda g: setattr(g.initializer[0], "data_type", 14), "element type complex64"),
        (lambda g: setattr(g.initializer[0], "data_type", 27), "element type float6e2m3"),
        (lambda g: setattr(g.initializer[0], "data_type", 99), "element type number 99"),
    ],
)
def test_broken_graphs(
    change: Callable[[Any], Any], expected: str, good: onnx.ModelProto, terms: Any
) -> None:
    change(good.graph)
    assert expected in reason(good, terms)


def external(tensor: TensorProto) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (external, "external data not allowed"),
        (lambda t: setattr(t, "data_location", 1), "external data not allowed"),
        (lambda t: setattr(t, "raw_data", t.raw_data[:-1]), "data of the wrong length"),
        (lambda t: setattr(t, "raw_data", t.raw_data + b"\0"), "data of the wrong length"),
        (lambda t: t.ClearField("raw_data"), "data of the wrong length"),
        (lambda t: t.float_data.append(1), "wrong data field"),
        (lambda t: t.dims.__setitem__(0, -3), "a dimension is negative or too large"),
        (lambda t: t.dims.__setitem__(0, 2**40), "a dimension is negative or too large"),
        (lambda t: t.dims.extend([2**31 - 1] * 3), "too many elements"),
        (lambda t: t.dims.extend([1] * 8), "more than 8 dimensions"),
        (lambda t: t.segment.SetInParent(), "tensor segments not allowed"),
    ],
)
def test_broken_tensors(
    change: Callable[[Any], Any], expected: str, good: onnx.ModelProto, terms: Any
) -> None:
    change(good.graph.initializer[0])
    assert expected in reason(good, terms)


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        (TensorProto(data_type=9, dims=[1], raw_data=b"\2"), "values out of range"),
        (TensorProto(data_type=3, dims=[1], int32_data=[200]), "values out of range"),
        (TensorProto(data_type=8, dims=[1], string_data=[b"\xff"]), "a string is not UTF-8"),
        (TensorProto(data_type=8, dims=[1], string_data=[b"s" * 4_097]), "longer than 4096 bytes"),
        (TensorProto(data_type=8, dims=[1], raw_data=b"s"), "wrong data field"),
        (TensorProto(data_type=7, dims=[1], float_data=[1]), "wrong data field"),
    ],
)
def test_tensors_of_other_types(
    tensor: TensorProto, expected: str, good: onnx.ModelProto, terms: Any
) -> None:
    tensor.name = "t"
    good.graph.initializer.append(tensor)
    assert expected in reason(good, terms)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda m: m.functions.add(name="f"), "local functions"),
        (lambda m: m.training_info.add(), "training information"),
        (lambda m: m.graph.sparse_initializer.add(), "sparse initializers"),
        (lambda m: m.graph.quantization_annotation.add(), "quantization annotations"),
        (lambda m: m.graph.node[0].attribute.add(name="body").g.SetInParent(), "control flow"),
        (lambda m: m.graph.node[0].attribute.add(name="a", ref_attr_name="b"), "references"),
        (lambda m: m.ClearField("graph"), "not an ONNX model"),
        (lambda m: setattr(m, "ir_version", 2), "IR version 2 is not 3 to 14"),
    ],
)
def test_features_that_the_profile_leaves_out(
    change: Callable[[Any], Any], expected: str, good: onnx.ModelProto, terms: Any
) -> None:
    change(good)
    assert expected in reason(good, terms)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"dtype": "float64"}, "the input is float64, not float32"),
        ({"shape": [None, 4]}, "the input's shape is [?, 4], not [batch, 3]"),
        ({"shape": [None]}, "the input's shape is [?], not [batch, 3]"),
        ({"shape": [None, 3, 1]}, "the input's shape is [?, 3, 1], not [batch, 3]"),
        ({"shape": [2, 3]}, "the input's batch is fixed to 2, not open, 1 or 4"),
        ({"shape": [0, 3]}, "the input's batch is fixed to 0, not open, 1 or 4"),
    ],
)
def test_other_inputs(given: dict[str, Any], expected: str, model: Build, terms: Any) -> None:
    built = model([node("ReduceSum", "x a", "y")], ["y"], constants={"a": [1]}, **given)
    assert reason(built, terms) == expected


@pytest.mark.parametrize("output", ["label", "probabilities", "value"])
@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        (node("Flatten", "x", "y", axis=0), "no output fits"),
        (node("Gather", "x i", "y"), "wrong number of rows: 2 of 4 in the output"),
    ],
)
def test_other_outputs(
    output: str, operator: onnx.NodeProto, expected: str, model: Build, manifest: Any
) -> None:
    narrow = {"label": node("ArgMax", "y", "z", axis=1), "value": node("ReduceMax", "y a", "z")}
    nodes = [operator, narrow.get(output, node("Identity", "y", "z"))]
    built = model(nodes, ["z"], constants={"i": [0, 1], "a": [1]}, opset=18)
    terms = manifest(output, classes=("a", "b", "c"))
    if operator.op_type == "Flatten":
        expected = "no output fits" if output == "probabilities" else "wrong number of rows: 1 of 4"
    assert expected in reason(built, terms)


def test_two_outputs_that_fit_are_ambiguous(good: onnx.ModelProto, terms: Any) -> None:
    good.graph.output.append(helper.make_tensor_value_info("s", 1, None))
    assert reason(good, terms) == "2 outputs fit floats [batch]"


def test_shapes_that_depend_on_data(model: Build, terms: Any) -> None:
    nodes = [node("Cast", "x", "i", to=7), node("Reshape", "x i", "y")]
    assert reason(model(nodes, ["y"]), terms) == "dynamic shape: Reshape needs a constant"


def test_a_model_for_full_batches_only_is_refused_at_once(model: Build, terms: Any) -> None:
    built = model([node("Gather", "x i", "y", axis=1)], ["y"], constants={"i": 0})
    assert admit(built.SerializeToString(), terms)
    nodes = [node("Reshape", "x s", "r"), node("ReduceSum", "r a", "y")]
    built = model(nodes, ["y"], constants={"s": [4, 3], "a": [1]})
    assert "does not fit the shape" in reason(built, terms)


def test_names_cannot_mislead_a_terminal() -> None:
    assert quoted("\x1b[2Jok\n" + "n" * 99) == "?[2Jok?" + "n" * 41


def test_training_mode_is_refused(model: Build, manifest: Any) -> None:
    constants = {name: np.ones(3, np.float32) for name in "sbmv"}
    for batch_node in (
        node("BatchNormalization", "x s b m v", "y", training_mode=1),
        node("Dropout", "x ratio on", "y"),
    ):
        extra = {"ratio": np.float32(0.5), "on": np.array(True)}
        built = model([batch_node], ["y"], constants=constants | extra)
        terms = manifest("probabilities", classes=("a", "b", "c"))
        assert reason(built, terms).endswith("training mode")


def test_every_admitted_element_type_is_read_both_ways(model: Build, exact: Any) -> None:
    for number, dtype in profile.ELEMENT_TYPES.items():
        values = ["a", "é", ""] if dtype == profile.STRING else [1, 1, 1]
        array = np.array(values, dtype)
        raw = numpy_helper.from_array(array, "c")
        typed = helper.make_tensor("c", number, [3], values)
        for tensor in (raw, typed):
            nodes = [node("Identity", "c", "y")]
            built = model(nodes, ["y"])
            built.graph.initializer.append(tensor)
            assert repr(exact(built, ROWS)["y"].tolist()) == repr(array.tolist())
