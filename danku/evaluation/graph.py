"""A model as plain values: protobuf to one graph of named tensors in single assignment form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from danku.evaluation import profile, wire
from danku.evaluation.initializers import element_type, read_string, read_tensor
from danku.evaluation.refusal import ModelRejected, quoted
from danku.evaluation.tensor import Array, DType

if TYPE_CHECKING:
    from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, ValueInfoProto


Value = TypeVar("Value")

CONVERT = (
    "export the model again with a newer opset (target_opset= or opset_version=), "
    "or convert it: onnx.version_converter.convert_version(model, {})"
)
"""What mends a model of an opset that is too old."""


@dataclass(frozen=True)
class Node:
    """One operation; absent optional inputs and unwanted outputs are ""."""

    operator: str
    domain: str
    version: int
    """Opset version of its domain."""
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    """int, float, str, tuples of them, or a read-only array."""
    memo: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)
    """What an operator derived from the attributes alone; copies of the node share it."""

    def __getitem__(self, attribute: str) -> Any:
        return self.attributes[attribute]

    def derived(self, key: Any, make: Callable[[], Value]) -> Value:
        """What ``make`` gives, at the first request for this key; of the attributes alone.

        NOTE: attributes are not metered, so no run may take a time that grows with them.
        """
        if key not in self.memo:
            self.memo[key] = make()
        found: Value = self.memo[key]
        return found


@dataclass(frozen=True)
class GraphInput:
    """An input; None stands for a dimension that the model leaves open."""

    name: str
    dtype: DType
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class Graph:
    """Nodes in execution order: every name is defined once, before it is used."""

    inputs: tuple[GraphInput, ...]
    constants: Mapping[str, Array]
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]

    @property
    def input(self) -> GraphInput:
        """The one input of a model that keeps the contract."""
        [only] = self.inputs
        return only


def read_graph(model: bytes, node_limit: int, *, single_input: bool = True) -> Graph:
    """Parse a model.

    Args:
        single_input: whether the contract holds, which has one input.

    Raises:
        ModelRejected: not ONNX, something that the profile does not admit, or a graph that is not
            in single assignment form and topological order.
    """
    wire.scan(model)
    parsed = _parse(model)
    if not parsed.HasField("graph"):
        raise wire.not_onnx()
    first, last = profile.IR_VERSIONS
    if not first <= parsed.ir_version <= last:
        raise ModelRejected("version", f"IR version {parsed.ir_version} is not {first} to {last}")
    graph = parsed.graph
    if len(graph.node) > node_limit:
        raise ModelRejected("limit", f"{len(graph.node)} nodes, the limit is {node_limit}")
    opsets = _opsets(parsed)
    nodes = tuple(_node(node, opsets) for node in graph.node)
    constants = _constants(graph)
    # NOTE: up to IR version 3 every initializer is listed as an input as well.
    values = [value for value in graph.input if value.name not in constants]
    if single_input and len(values) != 1:
        raise ModelRejected("input", f"{len(values)} inputs, the contract has one")
    inputs = tuple(_input(value) for value in values)
    outputs = tuple(output.name for output in graph.output)
    _check_names([each.name for each in inputs], constants, nodes, outputs)
    return Graph(inputs, constants, nodes, outputs)


def _parse(model: bytes) -> ModelProto:
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from onnx import ModelProto

    try:
        parsed: ModelProto = ModelProto.FromString(model)
    except DecodeError:
        raise wire.not_onnx() from None
    return parsed


def _domain(name: str) -> str:
    return "" if name == "ai.onnx" else name


def _opsets(model: ModelProto) -> dict[str, int]:
    opsets: dict[str, int] = {}
    for entry in model.opset_import:
        domain = _domain(entry.domain)
        if opsets.setdefault(domain, entry.version) != entry.version:
            raise ModelRejected("version", f"two opset versions of {_spelled(domain)}")
    return opsets


def _spelled(domain: str) -> str:
    return quoted(domain) or "ai.onnx"


def _version(domain: str, opsets: Mapping[str, int]) -> int:
    if domain not in profile.OPSETS:
        raise ModelRejected("domain", f"unsupported domain {_spelled(domain)}")
    if domain not in opsets:
        raise ModelRejected("version", f"no opset version of {_spelled(domain)}")
    first, last = profile.OPSETS[domain]
    version = opsets[domain]
    if not first <= version <= last:
        raise ModelRejected(
            "version",
            f"opset {version} of {_spelled(domain)} is not {first} to {last}",
            fix=_older(domain, last) if version > last else CONVERT.format(max(first, 9)),
        )
    return version


def _older(domain: str, last: int) -> str:
    return (
        f"export the model again with opset {last} or older "
        f"(target_opset={{'{domain}': {last}}} or opset_version=)"
    )


def _node(node: NodeProto, opsets: Mapping[str, int]) -> Node:
    domain = _domain(node.domain)
    version = _version(domain, opsets)
    what = quoted(node.op_type)
    if node.overload:
        raise ModelRejected("operator", f"{what} is overloaded")
    if max(len(node.input), len(node.output)) > profile.NODE_NAMES:
        raise ModelRejected("node", f"{what} has more than {profile.NODE_NAMES} inputs or outputs")
    if len(node.attribute) > profile.NODE_ATTRIBUTES:
        raise ModelRejected("node", f"{what} has more than {profile.NODE_ATTRIBUTES} attributes")
    attributes: dict[str, Any] = {}
    for attribute in node.attribute:
        if attribute.name in attributes:
            raise ModelRejected("node", f"{what} has attribute {quoted(attribute.name)} twice")
        attributes[attribute.name] = _attribute(attribute)
    return Node(node.op_type, domain, version, tuple(node.input), tuple(node.output), attributes)


def _attribute(attribute: AttributeProto) -> Any:
    match attribute.type:
        case 1:
            return float(attribute.f)
        case 2:
            return int(attribute.i)
        case 3:
            return read_string(attribute.s)
        case 4:
            return read_tensor(attribute.t)
        case 6:
            return tuple(map(float, attribute.floats))
        case 7:
            return tuple(map(int, attribute.ints))
        case 8:
            return tuple(read_string(value) for value in attribute.strings)
    raise ModelRejected("node", f"attribute {quoted(attribute.name)} has an unsupported type")


def _constants(graph: GraphProto) -> dict[str, Array]:
    constants: dict[str, Array] = {}
    for tensor in graph.initializer:
        if tensor.name in constants:
            raise ModelRejected("names", f"tensor {quoted(tensor.name)} is defined twice")
        constants[tensor.name] = read_tensor(tensor)
    return constants


def _input(value: ValueInfoProto) -> GraphInput:
    if not value.type.HasField("tensor_type") or not value.type.tensor_type.HasField("shape"):
        raise ModelRejected("input", "the input is not a tensor with a shape")
    return GraphInput(
        value.name, element_type(value.type.tensor_type.elem_type), _open_shape(value)
    )


def _open_shape(value: ValueInfoProto) -> tuple[int | None, ...]:
    return tuple(
        dimension.dim_value if dimension.HasField("dim_value") else None
        for dimension in value.type.tensor_type.shape.dim
    )


def _check_names(
    inputs: Sequence[str],
    constants: Iterable[str],
    nodes: Iterable[Node],
    outputs: tuple[str, ...],
) -> None:
    defined = {*inputs, *constants}
    if "" in defined:
        raise ModelRejected("names", "an input or initializer has no name")
    if len(set(inputs)) != len(inputs):
        raise ModelRejected("names", "an input is listed twice")
    later = {name for node in nodes for name in node.outputs if name}
    for node in nodes:
        for name in node.inputs:
            if name and name not in defined:
                problem = "is used before it is defined" if name in later else "is not defined"
                raise ModelRejected("names", f"tensor {quoted(name)} {problem}")
        for name in node.outputs:
            if name in defined:
                raise ModelRejected("names", f"tensor {quoted(name)} is defined twice")
            if name:
                defined.add(name)
    if not outputs:
        raise ModelRejected("output", "the model has no output")
    if len(set(outputs)) != len(outputs):
        raise ModelRejected("names", "an output is listed twice")
    for name in outputs:
        if name not in defined:
            raise ModelRejected("names", f"output {quoted(name)} is not defined")
