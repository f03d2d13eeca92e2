"""Small models, node by node; whatever is not given is drawn from the model's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import DTypeLike
from onnx import TensorProto, helper

from tests.evaluation.golden import numbers
from tests.evaluation.golden.numbers import Array

ELEMENTS = {
    np.dtype(np.float32): TensorProto.FLOAT,
    np.dtype(np.float64): TensorProto.DOUBLE,
    np.dtype(np.float16): TensorProto.FLOAT16,
    np.dtype(np.int64): TensorProto.INT64,
    np.dtype(np.int32): TensorProto.INT32,
    np.dtype(np.int16): TensorProto.INT16,
    np.dtype(np.uint16): TensorProto.UINT16,
    np.dtype(np.int8): TensorProto.INT8,
    np.dtype(np.uint8): TensorProto.UINT8,
    np.dtype(np.bool_): TensorProto.BOOL,
    np.dtype(object): TensorProto.STRING,
}


@dataclass(frozen=True)
class Case:
    """A model and what it is run on."""

    name: str
    model: bytes
    inputs: Mapping[str, Array]
    by_rows: bool
    """Whether a row of every output depends on that row of the inputs alone."""


class Net:
    """A graph that grows by calls: ``net("Relu", x)`` adds a node and gives its output's name."""

    def __init__(self, name: str, opset: int = 21) -> None:
        self.name = name
        self._imports = [
            helper.make_opsetid("", opset),
            helper.make_opsetid("ai.onnx.ml", 3),
            helper.make_opsetid("com.microsoft", 1),
        ]
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._inputs: dict[str, Array] = {}
        self._outputs: list[str] = []
        self._made = 0

    def _next(self, prefix: str) -> str:
        self._made += 1
        return f"{prefix}{self._made}"

    def input(self, values: Array) -> str:
        """An input whose first axis is open."""
        name = self._next("x")
        self._inputs[name] = values
        return name

    def constant(self, values: Any, dtype: DTypeLike = None) -> str:
        """An initializer; numbers are stored as raw bytes, little-endian."""
        array = np.asarray(values, dtype)
        name = self._next("c")
        texts = array.dtype == object or array.dtype.kind == "U"
        self._constants.append(
            helper.make_tensor(
                name,
                TensorProto.STRING,
                array.shape,
                [text.encode() for text in array.reshape(-1).tolist()],
            )
            if texts
            else helper.make_tensor(
                name,
                ELEMENTS[array.dtype],
                array.shape,
                array.astype(array.dtype.newbyteorder("<")).tobytes(),
                raw=True,
            )
        )
        return name

    def weight(self, *shape: int, dtype: DTypeLike = np.float32, exponent: int = -2) -> str:
        """An initializer of numbers between -2^exponent and 2^exponent."""
        key = f"{self.name}/{self._made}"
        return self.constant(numbers.uniform(key, shape, dtype, exponent))

    def positive(self, *shape: int, dtype: DTypeLike = np.float32) -> str:
        """An initializer of numbers between 1/2 and 3/2."""
        drawn = numbers.uniform(f"{self.name}/{self._made}", shape, np.float64, -1)
        return self.constant((drawn + 1.0).astype(dtype))

    def several(
        self, count: int, operator: str, *inputs: str, domain: str = "", **attributes: Any
    ) -> list[str]:
        """The outputs of a node that has ``count`` of them."""
        outputs = [self._next(operator) for _ in range(count)]
        node = helper.make_node(operator, inputs, outputs, domain=domain, **attributes)
        self._nodes.append(node)
        return outputs

    def __call__(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        [output] = self.several(1, operator, *inputs, domain=domain, **attributes)
        return output

    def output(self, *names: str) -> None:
        """Make these tensors outputs."""
        self._outputs += names

    def outputs_of(self, x: str, *operators: str) -> None:
        """One output for each of these operators on ``x``."""
        self.output(*(self(operator, x) for operator in operators))

    def finish(self, *, by_rows: bool) -> Case:
        """The model of what was added so far, as bytes."""
        graph = helper.make_graph(
            self._nodes,
            self.name,
            [
                helper.make_tensor_value_info(
                    name, ELEMENTS[values.dtype], [None, *values.shape[1:]]
                )
                for name, values in self._inputs.items()
            ],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
                for name in self._outputs
            ],
            self._constants,
        )
        model = helper.make_model(graph, opset_imports=self._imports, ir_version=8)
        # NOTE: what make_model would fill in is a matter of onnx's version.
        for field in ("producer_name", "producer_version", "domain", "doc_string"):
            model.ClearField(field)
        data: bytes = model.SerializeToString(deterministic=True)
        return Case(self.name, data, self._inputs, by_rows)


Cases = dict[str, Callable[[], Case]]


def register(cases: Cases, *, by_rows: bool, opset: int = 21) -> Callable[[Any], Any]:
    """Declares a function that fills a `Net` as the case of its name."""

    def declare(fill: Callable[[Net], None]) -> Callable[[Net], None]:
        name = fill.__name__.strip("_").replace("_", "-")

        def build() -> Case:
            net = Net(name, opset)
            fill(net)
            return net.finish(by_rows=by_rows)

        cases[name] = build
        return fill

    return declare


def rows_of(case: Case, first: int, after: int) -> Mapping[str, Array]:
    """The inputs of some rows."""
    return {name: values[first:after] for name, values in case.inputs.items()}


def shapes(inputs: Mapping[str, Array]) -> dict[str, tuple[int, ...]]:
    """What `Session` is told."""
    return {name: values.shape for name, values in inputs.items()}


def texts(values: Sequence[Any]) -> Array:
    """Strings as `Session` takes them."""
    return np.array(values, object)
