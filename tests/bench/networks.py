"""Networks of well-known shapes with random weights, for measuring; none of them is trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Network:
    """A graph that grows node by node; every method gives the name of its result."""

    def __init__(self, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def constant(self, value: Any) -> str:
        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def weights(self, *shape: int, fan: int) -> str:
        scale = 1 / np.sqrt(fan)
        return self.constant((self.random.standard_normal(shape) * scale).astype(np.float32))

    def node(self, operator: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        first = f"t{len(self._nodes)}"
        names = [first, *(f"{first}_{i}" for i in range(1, outputs))]
        self._nodes.append(helper.make_node(operator, list(inputs), names, **attributes))
        return first

    def model(self, output: str, shape: list[Any], result: list[Any], opset: int = 17) -> bytes:
        graph = helper.make_graph(
            self._nodes,
            "network",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, result)],
            self._constants,
        )
        imports = [helper.make_opsetid("", opset)]
        made = helper.make_model(graph, opset_imports=imports, ir_version=8)
        return bytes(made.SerializeToString())

    def dense(self, x: str, inputs: int, outputs: int) -> str:
        weights = self.weights(outputs, inputs, fan=inputs)
        return self.node("Gemm", x, weights, self.weights(outputs, fan=10), transB=1)

    def linear(self, x: str, inputs: int, outputs: int) -> str:
        """As torch.nn.Linear is exported for more than two dimensions."""
        product = self.node("MatMul", x, self.weights(inputs, outputs, fan=inputs))
        return self.node("Add", self.weights(outputs, fan=10), product)

    def convolution(self, x: str, inputs: int, outputs: int, size: int, **more: Any) -> str:
        weights = self.weights(outputs, inputs, size, size, fan=inputs * size * size)
        bias = self.weights(outputs, fan=10)
        return self.node("Conv", x, weights, bias, kernel_shape=[size, size], **more)


def multilayer() -> bytes:
    """64-128-64-10, for scikit-learn's digits."""
    made = Network()
    x = made.node("Relu", made.dense("x", 64, 128))
    x = made.node("Relu", made.dense(x, 128, 64))
    x = made.node("Softmax", made.dense(x, 64, 10), axis=1)
    return made.model(x, ["n", 64], ["n", 10])


def lenet() -> bytes:
    """Two convolutions with pooling and three dense layers, 28 x 28."""
    made = Network()
    x = made.node("Relu", made.convolution("x", 1, 6, 5, pads=[2, 2, 2, 2]))
    x = made.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = made.node("Relu", made.convolution(x, 6, 16, 5))
    x = made.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = made.node("Flatten", x)
    x = made.node("Relu", made.dense(x, 400, 120))
    x = made.node("Relu", made.dense(x, 120, 84))
    return made.model(made.dense(x, 84, 10), ["n", 1, 28, 28], ["n", 10])


def residual() -> bytes:
    """ResNet-18 with its batch normalisations folded, 224 x 224, as torch exports it."""
    made = Network()
    x = made.convolution("x", 3, 64, 7, strides=[2, 2], pads=[3, 3, 3, 3])
    x = made.node(
        "MaxPool", made.node("Relu", x), kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]
    )
    width = 64
    for stage in range(4):
        outputs = 64 << stage
        for block in range(2):
            step = 2 if stage and not block else 1
            y = made.convolution(x, width, outputs, 3, strides=[step] * 2, pads=[1] * 4)
            y = made.convolution(made.node("Relu", y), outputs, outputs, 3, pads=[1] * 4)
            if step == 2:
                x = made.convolution(x, width, outputs, 1, strides=[2, 2])
            x, width = made.node("Relu", made.node("Add", y, x)), outputs
    x = made.node("Flatten", made.node("GlobalAveragePool", x))
    return made.model(made.dense(x, 512, 1000), ["n", 3, 224, 224], ["n", 1000])


def transformer(
    layers: int = 6, width: int = 384, length: int = 128, heads: int = 6, *, whole_gelu: bool = True
) -> bytes:
    """An encoder that normalises first; GELU as one operator or, as before opset 20, of five."""
    made, x, each = Network(), "x", width // heads
    split = made.constant(np.array([0, length, heads, each]))
    joined = made.constant(np.array([0, length, width]))
    scale = made.constant(np.float32(each**-0.5))

    def normal(x: str) -> str:
        factors = (1 + 0.1 * made.random.standard_normal(width)).astype(np.float32)
        return made.node(
            "LayerNormalization",
            x,
            made.constant(factors),
            made.weights(width, fan=100),
            axis=-1,
            epsilon=1e-5,
        )

    def divided(x: str, order: list[int]) -> str:
        return made.node("Transpose", made.node("Reshape", x, split), perm=order)

    for _ in range(layers):
        y = normal(x)
        queries, keys, values = (made.linear(y, width, width) for _ in range(3))
        queries = made.node("Mul", divided(queries, [0, 2, 1, 3]), scale)
        scores = made.node("MatMul", queries, divided(keys, [0, 2, 3, 1]))
        scores = made.node("Softmax", scores, axis=-1)
        taken = made.node("MatMul", scores, divided(values, [0, 2, 1, 3]))
        taken = made.node("Reshape", made.node("Transpose", taken, perm=[0, 2, 1, 3]), joined)
        x = made.node("Add", x, made.linear(taken, width, width))
        y = made.linear(normal(x), width, 4 * width)
        if whole_gelu:
            y = made.node("Gelu", y)
        else:
            one, half, root = (made.constant(np.float32(value)) for value in (1, 0.5, 2**0.5))
            grown = made.node("Add", made.node("Erf", made.node("Div", y, root)), one)
            y = made.node("Mul", made.node("Mul", y, grown), half)
        x = made.node("Add", x, made.linear(y, 4 * width, width))
    return made.model(
        normal(x), ["n", length, width], ["n", length, width], opset=20 if whole_gelu else 17
    )


def recurrent(inputs: int = 64, hidden: int = 128, steps: int = 100) -> bytes:
    """An LSTM and what makes classes of its last state."""
    made = Network()
    gates = 4 * hidden
    made.node(
        "LSTM",
        "x",
        made.weights(1, gates, inputs, fan=inputs),
        made.weights(1, gates, hidden, fan=hidden),
        made.weights(1, 2 * gates, fan=100),
        outputs=2,
        hidden_size=hidden,
    )
    last = made.node("Squeeze", "t0_1", made.constant(np.array([0])))
    return made.model(made.dense(last, hidden, 10), [steps, "n", inputs], ["n", 10])
