"""com.microsoft's QLinear operators: dequantize, an operator of ai.onnx in float32, quantize."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from danku.evaluation.graph import Node
from danku.evaluation.inference import refuse
from danku.evaluation.kernels import linear_pairs, quantization
from danku.evaluation.kernels.requantization import Rounding
from danku.evaluation.registry import Attribute, Operator, resolve
from danku.evaluation.scales import BYTES, FLOAT32, MICROSOFT, require_single, require_type
from danku.evaluation.tensor import Array, DType, TensorType
from danku.evaluation.windows import WINDOW

_BOOL = np.dtype(np.bool_)


@dataclass(frozen=True)
class _Meaning:
    """The operator of ai.onnx that computes the numbers."""

    name: str
    version: int
    elementwise: bool = False
    inputs: tuple[str, ...] = ("x",)

    def of(self, node: Node) -> tuple[Operator, Node]:
        """The float operator, and the node that has it; both follow from the attributes."""
        if "meaning" not in node.memo:
            node.memo["meaning"] = resolve(self._node(node))
        found: tuple[Operator, Node] = node.memo["meaning"]
        return found

    def _node(self, node: Node) -> Node:
        attributes = {
            name: value
            for name, value in node.attributes.items()
            if value is not None and name not in ("channels_last", "opset")
        }
        if node.attributes.get("channels_last", 0):
            raise refuse(node, "channels last")
        version = node.attributes.get("opset", self.version)
        return Node(self.name, "", version, self.inputs, ("y",), attributes)


def _padded(node: Node, inputs: Sequence[Any], count: int, required: Sequence[int]) -> list[Any]:
    """``count`` inputs, None for those that are absent; the ones required must be there."""
    given = [*inputs, *[None] * (count - len(inputs))]
    if any(given[place] is None for place in required):
        raise refuse(node, "a required input is absent")
    return given


def _require_quantized(node: Node, data: TensorType, scale: Any, zero: Any) -> None:
    require_type(node, BYTES, data)
    require_type(node, frozenset({FLOAT32}), scale)
    require_type(node, frozenset({data.dtype}), zero)
    require_single(node, scale, zero)


def _numbers(data: Array, scale: Array, zero: Array | None) -> Array:
    point = np.zeros((), data.dtype) if zero is None else zero.reshape(())
    return quantization.dequantize(data, scale.reshape(()), point)


def _quantized(numbers: Array, scale: Array, zero: Array | None, dtype: DType) -> Array:
    point = np.zeros((), dtype) if zero is None else zero.reshape(())
    return quantization.quantize(numbers, scale.reshape(()), point, dtype)


def _through(data: Array, function: Callable[[Array], Array]) -> Array:
    """A function of each byte by itself, by way of a table of all of them."""
    table = function(np.arange(256, dtype=np.uint8).view(data.dtype))
    found: Array = np.take(table, data.view(np.uint8))
    return found


def _unary(meaning: _Meaning, attributes: dict[str, Attribute]) -> Operator:
    def numeric(inputs: Sequence[Any]) -> list[TensorType]:
        return [TensorType(FLOAT32, inputs[0].shape)]

    def infer(node: Node, inputs: Sequence[Any]) -> list[TensorType]:
        data, scale, zero, result_scale, result_zero = _padded(node, inputs, 5, [3])
        _require_quantized(node, data, scale, zero)
        _require_quantized(node, data, result_scale, result_zero)
        operator, inner = meaning.of(node)
        [result] = operator.infer(inner, numeric(inputs))
        return [TensorType(data.dtype, result.shape)]

    def run(node: Node, arrays: Sequence[Any]) -> list[Array]:
        data, scale, zero, result_scale, result_zero = _padded(node, arrays, 5, [3])
        operator, inner = meaning.of(node)

        def computed(chosen: Array) -> Array:
            [numbers] = operator.run(inner, [_numbers(chosen, scale, zero)])
            return _quantized(numbers, result_scale, result_zero, data.dtype)

        return [_through(data, computed) if meaning.elementwise else computed(data)]

    def work(node: Node, inputs: Sequence[Any], outputs: Sequence[TensorType]) -> int:
        operator, inner = meaning.of(node)
        return operator.work(inner, numeric(inputs), outputs)

    return Operator(
        f"QLinear{meaning.name}",
        infer,
        run,
        inputs=(2, 5),
        domain=MICROSOFT,
        attributes=attributes,
        work=work,
    )


def _binary(name: str, operation: Literal["add", "multiply"]) -> Operator:
    meaning = _Meaning(name, 14, inputs=("a", "b"))

    def infer(node: Node, inputs: Sequence[Any]) -> list[TensorType]:
        given = _padded(node, inputs, 8, [3, 4, 6])
        left, *left_point, right, right_scale, right_zero, scale, zero = given
        _require_quantized(node, left, *left_point)
        _require_quantized(node, right, right_scale, right_zero)
        _require_quantized(node, left, scale, zero)
        require_type(node, frozenset({left.dtype}), right)
        operator, inner = meaning.of(node)
        shapes = [TensorType(FLOAT32, each.shape) for each in (left, right)]
        [result] = operator.infer(inner, shapes)
        return [TensorType(left.dtype, result.shape)]

    def run(node: Node, arrays: Sequence[Any]) -> list[Array]:
        given = _padded(node, arrays, 8, [3, 4, 6])
        left, left_scale, left_zero, right, right_scale, right_zero, scale, zero = given
        together = linear_pairs.combined(
            operation,
            left,
            right,
            (_scalar(left_scale), _scalar(right_scale), _scalar(scale)),
            (_point(left_zero), _point(right_zero)),
            Rounding(_point(zero), left.dtype),
        )
        return [together]

    return Operator(f"QLinear{name}", infer, run, inputs=(2, 8), domain=MICROSOFT)


def _scalar(scale: Array) -> np.float32:
    number: np.float32 = scale.reshape(-1)[0]
    return number


def _point(zero: Array | None) -> int:
    return 0 if zero is None else int(zero.reshape(-1)[0])


def _infer_concat(node: Node, inputs: Sequence[Any]) -> list[TensorType]:
    scale, zero, *rest = inputs
    if len(rest) % 3:
        raise refuse(node, "inputs that are not tensor, scale and zero point")
    for place in range(0, len(rest), 3):
        if None in rest[place : place + 3]:
            raise refuse(node, "an input that is absent")
        _require_quantized(node, *rest[place : place + 3])
        require_type(node, frozenset({zero.dtype}), rest[place])
    require_type(node, BYTES, zero)
    require_type(node, frozenset({FLOAT32}), scale)
    require_single(node, scale, zero)
    operator, inner = _concat(node, len(rest) // 3)
    [result] = operator.infer(inner, rest[::3])
    return [TensorType(zero.dtype, result.shape)]


def _concat(node: Node, count: int) -> tuple[Operator, Node]:
    names = tuple(f"x{i}" for i in range(count))
    return resolve(Node("Concat", "", 13, names, ("y",), {"axis": node["axis"]}))


def _run_concat(node: Node, arrays: Sequence[Any]) -> list[Array]:
    result_scale, result_zero, *rest = arrays
    parts = [
        _moved(rest[place : place + 3], result_scale, result_zero)
        for place in range(0, len(rest), 3)
    ]
    operator, inner = _concat(node, len(parts))
    return operator.run(inner, parts)


def _moved(quantized: Sequence[Array], scale: Array, zero: Array) -> Array:
    """Data, its scale and zero point, brought to another scale and zero point."""
    data, *point = quantized
    return _through(
        data, lambda chosen: _quantized(_numbers(chosen, *point), scale, zero, zero.dtype)
    )


def _infer_where(node: Node, inputs: Sequence[Any]) -> list[TensorType]:
    condition, *chosen, result_scale, result_zero = inputs
    require_type(node, frozenset({_BOOL}), condition)
    first, second = chosen[:3], chosen[3:]
    _require_quantized(node, *first)
    _require_quantized(node, *second)
    _require_quantized(node, first[0], result_scale, result_zero)
    require_type(node, frozenset({first[0].dtype}), second[0])
    operator, inner = _where()
    return operator.infer(inner, [condition, first[0], second[0]])


def _where() -> tuple[Operator, Node]:
    return resolve(Node("Where", "", 16, ("c", "x", "y"), ("z",), {}))


def _run_where(node: Node, arrays: Sequence[Any]) -> list[Array]:
    condition, *chosen, result_scale, result_zero = arrays
    moved = [_moved(each, result_scale, result_zero) for each in (chosen[:3], chosen[3:])]
    operator, inner = _where()
    return operator.run(inner, [condition, *moved])


_POOL = {name: WINDOW[name] for name in ("auto_pad", "kernel_shape", "pads", "strides")}
_CHANNELS_LAST = {"channels_last": Attribute("int", 0)}

OPERATORS = [
    _binary("Add", "add"),
    _binary("Mul", "multiply"),
    _unary(_Meaning("Sigmoid", 13, elementwise=True), {}),
    _unary(
        _Meaning("LeakyRelu", 16, elementwise=True),
        {"alpha": Attribute("float", float(np.float32(0.01)))},
    ),
    _unary(
        _Meaning("AveragePool", 11),
        _POOL
        | _CHANNELS_LAST
        | {"ceil_mode": Attribute("int", 0), "count_include_pad": Attribute("int", 0)},
    ),
    _unary(_Meaning("GlobalAveragePool", 13), _CHANNELS_LAST),
    _unary(
        _Meaning("Softmax", 13),
        {"axis": Attribute("int", -1), "opset": Attribute("int", required=True)},
    ),
    Operator(
        "QLinearConcat",
        _infer_concat,
        _run_concat,
        inputs=(5, 4_096),
        domain=MICROSOFT,
        attributes={"axis": Attribute("int", required=True)},
    ),
    Operator("QLinearWhere", _infer_where, _run_where, inputs=(9, 9), domain=MICROSOFT),
]
