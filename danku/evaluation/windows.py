"""The windows of convolution and pooling: what each output covers of the input, axis by axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from danku.evaluation import profile
from danku.evaluation.graph import Node
from danku.evaluation.inference import refuse
from danku.evaluation.kernels.layout import Axis
from danku.evaluation.registry import Attribute
from danku.evaluation.tensor import TensorType

AXES = 3
"""Most spatial axes."""

WINDOW = {
    "auto_pad": Attribute("string", "NOTSET"),
    "dilations": Attribute("ints"),
    "kernel_shape": Attribute("ints"),
    "pads": Attribute("ints"),
    "strides": Attribute("ints"),
}


@dataclass(frozen=True)
class Window:
    """One spatial axis: output o covers o * stride - before + j * dilation, for each j < kernel."""

    size: int
    """Of the input."""
    kernel: int
    stride: int
    dilation: int
    before: int
    after: int
    count: int
    """Of outputs."""

    @property
    def reach(self) -> int:
        """From the first input that a window covers to behind its last."""
        return (self.kernel - 1) * self.dilation + 1


def spatial(node: Node, data: TensorType) -> tuple[int, ...]:
    """The sizes of the axes behind images and channels."""
    if not 3 <= data.rank <= 2 + AXES:
        raise refuse(node, f"input of rank {data.rank}")
    return data.shape[2:]


def listed(node: Node, name: str, count: int, default: int | None, least: int) -> tuple[int, ...]:
    """An attribute with ``count`` integers, from ``least`` to the largest dimension."""
    values = node.attributes.get(name)
    if values is None:
        if default is None:
            raise refuse(node, f"lacks {name}")
        return (default,) * count
    if len(values) != count:
        raise refuse(node, f"{len(values)} {name} for {count} numbers")
    if any(not least <= value <= profile.DIMENSION for value in values):
        raise refuse(node, f"{name} out of range")
    return tuple(values)


def windows(
    node: Node, sizes: Sequence[int], kernel: Sequence[int], *, ceiling: bool = False
) -> tuple[Window, ...]:
    """The windows of a node with the attributes of ``WINDOW``.

    Args:
        sizes: of the spatial axes of the input.
        ceiling: whether a last window may reach beyond the padding, if it starts before it.
    """
    count = len(sizes)
    strides = listed(node, "strides", count, 1, 1)
    dilations = listed(node, "dilations", count, 1, 1)
    pads = listed(node, "pads", 2 * count, 0, 0)
    result = []
    for i, (size, length, stride, dilation) in enumerate(
        zip(sizes, kernel, strides, dilations, strict=True)
    ):
        before, after = pads[i], pads[count + i]
        reach = (length - 1) * dilation + 1
        match node["auto_pad"]:
            case "NOTSET":
                outputs = _outputs(size + before + after - reach, stride, ceiling)
                if ceiling and (outputs - 1) * stride >= size + before:
                    outputs -= 1
            case "VALID":
                before = after = 0
                outputs = _outputs(size - reach, stride, ceiling=False)
            case "SAME_UPPER" | "SAME_LOWER" as side:
                outputs = -(-size // stride)
                padding = max((outputs - 1) * stride + reach - size, 0)
                before = padding // 2 if side == "SAME_UPPER" else padding - padding // 2
                after = padding - before
            case _:
                raise refuse(node, "auto_pad is not NOTSET, VALID, SAME_UPPER or SAME_LOWER")
        if outputs < 0:
            raise refuse(node, "a kernel larger than the input with its padding")
        result.append(Window(size, length, stride, dilation, before, after, outputs))
    return tuple(result)


def weights_kernel(node: Node, data: TensorType, weights: TensorType) -> tuple[int, ...]:
    """The spatial shape of a convolution's weights, checked against data and attributes."""
    count = len(spatial(node, data))
    if weights.rank != data.rank:
        raise refuse(node, f"weights of rank {weights.rank}")
    kernel = weights.shape[2:]
    if node["kernel_shape"] is not None and listed(node, "kernel_shape", count, None, 0) != kernel:
        raise refuse(node, "kernel_shape is not that of the weights")
    if 0 in weights.shape:
        raise refuse(node, "weights without elements")
    if node["group"] < 1:
        raise refuse(node, f"{node['group']} groups")
    return kernel


def require_channels(node: Node, channels: int, wanted: int, grouped: int) -> None:
    """Raises ModelRejected unless the data has the channels wanted, and groups divide all."""
    if channels != wanted or wanted % node["group"] != 0 or grouped % node["group"] != 0:
        raise refuse(node, "channels that do not fit the weights and groups")


def require_bias(node: Node, bias: TensorType | None, outputs: int) -> None:
    """Raises ModelRejected if there is a bias, and not one for each output channel."""
    if bias is not None and bias.shape != (outputs,):
        raise refuse(node, "a bias that is not one for each channel")


def convolution_axis(window: Window) -> Axis:
    """What the kernels of a convolution ask of one of its axes."""
    positions = (j * window.dilation - window.before for j in range(window.kernel))
    return Axis(window.size, window.stride, tuple(positions), window.count)


def _outputs(room: int, stride: int, ceiling: bool) -> int:
    return (-(-room // stride) if ceiling else room // stride) + 1 if room >= 0 else -1


def three(values: Sequence[Any], filling: Any) -> tuple[Any, Any, Any]:
    """Values for depth, height and width; those of missing axes come first."""
    missing = AXES - len(values)
    first, second, third = (*[filling] * missing, *values)
    return first, second, third
