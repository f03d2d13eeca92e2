"""Single nodes of models against onnxruntime, bit for bit."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from danku.evaluation import profile
from danku.evaluation.kernels.elementwise import canonical
from danku.evaluation.kernels.rejection import RuntimeRejection
from danku.evaluation.refusal import ModelRejected
from danku.evaluation.session import Session

Bits = dict[str, Counter[str]]
"""By operator: nodes, equal nodes, values, equal values."""

MOVES = frozenset(
    """
    Abs ArrayFeatureExtractor Cast CastLike Clip Col2Im Concat Constant ConstantOfShape DepthToSpace
    Dropout Expand FeatureVectorizer Flatten Gather GatherElements GatherND Identity Imputer
    LabelEncoder Max MaxPool Min Neg OneHot OneHotEncoder Pad Range ReduceMax ReduceMin Relu Reshape
    ScatterElements ScatterND Shape Sign Slice SpaceToDepth Split Squeeze Tile TopK Transpose Trilu
    Unsqueeze Where ZipMap GlobalMaxPool Floor Ceil Round
    """.split()
)
BYTES = (np.dtype(np.uint8), np.dtype(np.int8), np.dtype(np.int32))
"""What quantized operators give."""
NUMBERS = {dtype: number for number, dtype in profile.ELEMENT_TYPES.items()}


def bits_of_nodes(model: onnx.ModelProto, inputs: dict[str, np.ndarray], bits: Bits) -> None:
    """Add the nodes of a model that compute floats or quantized numbers to the counts."""
    stored = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    values = {**stored, **inputs, **_values(model, inputs)}
    constants = set(stored)
    for node in model.graph.node:
        names = [name for name in node.input if name]
        if constants.issuperset(names):
            constants.update(node.output)
            continue
        if node.op_type in MOVES or not set(names) <= set(values):
            continue
        for varying in (set(names) - constants, _floats(names, values) - constants):
            given = {name: values[name] for name in names}
            found = _compare(_alone(model, node, given, varying), given, varying)
            if found is not None:
                bits[node.op_type] += found
                break


def _floats(names: list[str], values: dict[str, np.ndarray]) -> set[str]:
    return {name for name in names if values[name].dtype.kind == "f"}


def _values(model: onnx.ModelProto, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every tensor of the model, by onnxruntime."""
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    maps = {name for node in model.graph.node if node.op_type == "ZipMap" for name in node.output}
    names = [name for node in model.graph.node for name in node.output if name and name not in maps]
    del shown.graph.output[:]
    shown.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return dict(zip(names, _peer(shown).run(names, inputs), strict=True))


def _peer(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def _alone(
    model: onnx.ModelProto,
    node: onnx.NodeProto,
    given: dict[str, np.ndarray],
    varying: set[str],
) -> onnx.ModelProto:
    """The node as a model; what does not vary is a constant."""
    graph = helper.make_graph(
        [node],
        "node",
        [
            helper.make_tensor_value_info(name, NUMBERS[given[name].dtype], given[name].shape)
            for name in sorted(varying)
        ],
        [onnx.ValueInfoProto(name=name) for name in node.output if name],
        [
            numpy_helper.from_array(np.asarray(given[name], order="C"), name)
            for name in sorted(set(given) - varying)
        ],
    )
    return helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)


def _compare(
    alone: onnx.ModelProto, given: dict[str, np.ndarray], varying: set[str]
) -> Counter[str] | None:
    """What its outputs add to the counts; None if the node cannot run by itself."""
    inputs = {name: given[name] for name in varying}
    shapes = {name: value.shape for name, value in inputs.items()}
    try:
        ours = Session(alone.SerializeToString(), shapes).run(inputs)
    except (ModelRejected, RuntimeRejection):
        return None
    theirs = _peer(alone).run(list(ours), inputs)
    same = [
        np.frombuffer(canonical(found), f"V{found.itemsize}")
        == np.frombuffer(canonical(expected), f"V{found.itemsize}")
        for found, expected in zip(ours.values(), theirs, strict=True)
        if expected.dtype.kind == "f" or expected.dtype in BYTES
    ]
    if not same:
        return Counter()
    return Counter(
        {
            "nodes": 1,
            "equal nodes": int(all(each.all() for each in same)),
            "values": sum(each.size for each in same),
            "equal values": sum(int(each.sum()) for each in same),
        }
    )
