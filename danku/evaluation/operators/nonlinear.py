"""Activations with a formula of their own, from Elu to Swish, and PRelu."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from danku.evaluation.graph import Node
from danku.evaluation.inference import FLOATS, NUMBERS, broadcast, refuse, require_kind
from danku.evaluation.kernels import elementwise, functions, nonlinear
from danku.evaluation.operators.arithmetic import infer_alike
from danku.evaluation.registry import Attribute, Operator
from danku.evaluation.tensor import Array, TensorType

_APPROXIMATIONS = {"none": nonlinear.gelu, "tanh": nonlinear.gelu_by_tanh}


def _float32(value: float) -> float:
    """NOTE: ONNX stores attributes as float32, its defaults included."""
    return float(np.float32(value))


def _activation(
    name: str,
    function: Callable[..., Array],
    *,
    opsets: tuple[int, int] = (1, 1_000),
    **more: float,
) -> Operator:
    """An operator of one float tensor whose attributes are the function's parameters, in order."""

    def run(node: Node, arrays: Sequence[Array]) -> list[Array]:
        return [function(arrays[0], *(node[attribute] for attribute in more))]

    return Operator(
        name,
        infer_alike(FLOATS),
        run,
        inputs=(1, 1),
        opsets=opsets,
        attributes={
            attribute: Attribute("float", _float32(value)) for attribute, value in more.items()
        },
    )


def _infer_celu(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    if node["alpha"] == 0:
        raise refuse(node, "alpha is 0")
    return infer_alike(FLOATS)(node, inputs)


def _run_shrink(node: Node, arrays: Sequence[Array]) -> list[Array]:
    [x] = arrays
    if x.dtype.kind == "f":
        return [nonlinear.shrink(x, node["lambd"], node["bias"])]
    shrunk = nonlinear.shrink(x.astype(np.float64), node["lambd"], node["bias"])
    return [elementwise.cast(shrunk, x.dtype)]


def _infer_gelu(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    if node["approximate"] not in _APPROXIMATIONS:
        raise refuse(node, "an unknown approximation")
    return infer_alike(FLOATS)(node, inputs)


def _run_gelu(node: Node, arrays: Sequence[Array]) -> list[Array]:
    return [_APPROXIMATIONS[node["approximate"]](arrays[0])]


def _infer_prelu(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    data, slope = inputs
    require_kind(node, NUMBERS, data, slope)
    if broadcast(node, data.shape, slope.shape) != data.shape:
        raise refuse(node, "a slope that does not broadcast to the input")
    return [data.with_shape(*data.shape)]


def _run_prelu(node: Node, arrays: Sequence[Array]) -> list[Array]:
    data, slope = arrays
    with np.errstate(all="ignore"):
        return [np.where(data < 0, slope * data, data)]


def _infer_swiglu(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    gate, value = inputs
    require_kind(node, FLOATS, gate, value)
    if gate.shape != value.shape:
        raise refuse(node, "inputs of different shapes")
    return [gate.with_shape(*gate.shape)]


def _run_swiglu(node: Node, arrays: Sequence[Array]) -> list[Array]:
    gate, value = arrays
    with np.errstate(all="ignore"):
        return [nonlinear.swish(gate, node["alpha"]) * value]


_ALPHA = {"alpha": Attribute("float", 1.0)}

OPERATORS = [
    _activation("Elu", nonlinear.elu, alpha=1),
    _activation("Selu", nonlinear.selu, alpha=1.67326319217681884765625, gamma=1.05070102214813232),
    Operator(
        "Celu",
        _infer_celu,
        lambda node, arrays: [nonlinear.celu(arrays[0], node["alpha"])],
        inputs=(1, 1),
        opsets=(12, 1_000),
        attributes=_ALPHA,
    ),
    _activation("HardSigmoid", nonlinear.hard_sigmoid, alpha=0.2, beta=0.5),
    _activation("HardSwish", nonlinear.hard_swish, opsets=(14, 1_000)),
    _activation("Mish", nonlinear.mish, opsets=(18, 1_000)),
    _activation("Softplus", functions.softplus),
    _activation("Softsign", nonlinear.softsign),
    _activation("Swish", nonlinear.swish, opsets=(24, 1_000), alpha=1),
    _activation("ThresholdedRelu", nonlinear.thresholded_relu, opsets=(10, 1_000), alpha=1),
    Operator(
        "Shrink",
        infer_alike(NUMBERS),
        _run_shrink,
        inputs=(1, 1),
        attributes={"lambd": Attribute("float", 0.5), "bias": Attribute("float", 0.0)},
    ),
    Operator(
        "Gelu",
        _infer_gelu,
        _run_gelu,
        inputs=(1, 1),
        opsets=(20, 1_000),
        attributes={"approximate": Attribute("string", "none")},
    ),
    Operator("PRelu", _infer_prelu, _run_prelu, inputs=(2, 2)),
    Operator(
        "SwiGLU", _infer_swiglu, _run_swiglu, inputs=(2, 2), opsets=(28, 1_000), attributes=_ALPHA
    ),
]
