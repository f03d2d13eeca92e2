"""Every operator with mutated attributes, shapes, types and values: refused or computed, always
alike, whatever lies in memory around and before the arrays, and never beyond them."""

from __future__ import annotations

import random
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from onnx import helper

from danku.evaluation import profile
from danku.evaluation.kernels.elementwise import canonical
from danku.evaluation.kernels.rejection import RuntimeRejection
from danku.evaluation.refusal import ModelRejected
from danku.evaluation.registry import catalogue
from danku.evaluation.session import Session
from danku.protocol.manifest import Limits
from tests.conformance import backend_suite
from tests.evaluation import (
    test_convolution_operators,
    test_general_operators,
    test_operators,
    test_quantized,
    test_recurrent,
    test_resize,
    test_sampling_operators,
    test_tabular_operators,
)
from tests.evaluation.guarded import PATTERNS, guarded
from tests.evaluation.test_trees import ML, attributes, random_forest

NUMBERS = {dtype: number for number, dtype in profile.ELEMENT_TYPES.items()}
LIMITS = Limits(peak_bytes=2**23, elements=10**6, multiply_accumulates=10**8)
INTEGERS = (
    *(0, 1, 2, 3, 5, 7, 16, 63, -1, -2, -3),
    *(2**15, 2**31 - 1, 2**31, 2**62, 2**63 - 1, -(2**63)),
)
FLOATS = (0.0, -0.0, 0.5, -1.0, 3.5, 1e-45, 1e30, -3e38, np.inf, -np.inf, np.nan)
WORDS = (
    *"NOTSET VALID SAME_UPPER SAME_LOWER nearest linear cubic constant reflect edge wrap".split(),
    *"none add mul max min mean sum DCR CRD forward reverse bidirectional NONE SOFTMAX".split(),
    *"LOGISTIC SOFTMAX_ZERO RBF POLY SIGMOID LINEAR Relu HardSigmoid a b".split(),
    "",
)
TYPES = tuple(profile.ELEMENT_TYPES[number] for number in (1, 1, 2, 3, 5, 6, 7, 9, 10, 11, 13, 16))
SIZES = (0, 1, 2, 3, 4, 8, 17, 33)


@dataclass(frozen=True)
class Seed:
    """One node and its inputs."""

    operator: str
    domain: str
    opset: int
    inputs: tuple[Any, ...]
    attributes: Mapping[str, Any]
    outputs: int


MODULES = (
    test_operators,
    test_convolution_operators,
    test_general_operators,
    test_quantized,
    test_recurrent,
    test_resize,
    test_sampling_operators,
    test_tabular_operators,
)


def of_tests() -> list[Seed]:
    """What other tests compare with peers."""
    return [
        Seed(
            case.operator,
            case.domain,
            opset,
            tuple(None if each is None else np.asarray(each) for each in (case.x, *case.others)),
            case.attributes,
            len(case.outputs),
        )
        for module in MODULES
        for case in getattr(module, "CASES", ())
        for opset in case.opsets
    ]


def single_nodes() -> list[Seed]:
    """Those of the ONNX project's node cases that are one node."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = list(backend_suite.cases("node"))
    seeds = []
    for case in found:
        if len(case.model.graph.node) != 1 or backend_suite.exclusion(case):
            continue
        [node] = case.model.graph.node
        arrays = iter(np.asarray(backend_suite._array(value)) for value in case.data[0][0])
        versions = {entry.domain: entry.version for entry in case.model.opset_import}
        seeds.append(
            Seed(
                node.op_type,
                node.domain,
                min(versions.get("", 22), profile.OPSETS[""][1]),
                tuple(next(arrays) if name else None for name in node.input),
                {each.name: helper.get_attribute_value(each) for each in node.attribute},
                len(node.output),
            )
        )
    return seeds


def of_others() -> list[Seed]:
    """Operators whose other tests have no list of cases."""
    x, image = np.linspace(-2, 2, 6, dtype=np.float32).reshape(2, 3), np.ones((2, 4, 7, 5), "f4")
    weights = np.linspace(-1, 1, 4 * 4 * 9, dtype=np.float32).reshape(4, 4, 3, 3)
    pooled = {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 1, 1], "ceil_mode": 1}
    lists = random_forest(3, targets=2, wide=False)
    labels = {"classlabels_int64s": [7, 9]}
    texts = np.array(["a", "B", "c"], object)
    return [
        Seed("Conv", "", 17, (image, weights, np.ones(4, "f4")), {"pads": [1, 2, 0, 1]}, 1),
        Seed("Conv", "", 17, (image, weights[:, :1]), {"group": 4, "dilations": [2, 1]}, 1),
        Seed("Conv", "", 17, (image[:, :, :, 0], weights[:, :, :, 0]), {"strides": [2]}, 1),
        Seed("ConvTranspose", "", 17, (image, weights), {"strides": [3, 2], "group": 2}, 1),
        Seed("ConvTranspose", "", 17, (image, weights), {"output_shape": [9, 9]}, 1),
        Seed("MaxPool", "", 17, (image,), pooled, 2),
        Seed("MaxPool", "", 17, (image.astype(np.uint8),), pooled, 1),
        Seed("AveragePool", "", 19, (image,), pooled | {"count_include_pad": 1}, 1),
        Seed("LpPool", "", 18, (image,), pooled | {"p": 3}, 1),
        *(Seed(name, "", 17, (image,), {}, 1) for name in ("GlobalMaxPool", "GlobalAveragePool")),
        Seed("GlobalLpPool", "", 17, (image,), {"p": 3}, 1),
        Seed("Einsum", "", 17, (x, x.T, np.ones((2, 2), "f4")), {"equation": "ij,jk,kl->il"}, 1),
        Seed("Einsum", "", 17, (image, image), {"equation": "...ij,...ij->i..."}, 1),
        Seed("TreeEnsembleRegressor", ML, 17, (x,), attributes(lists, n_targets=2), 1),
        Seed("TreeEnsembleClassifier", ML, 17, (x,), attributes(lists, "class", **labels), 2),
        Seed("ZipMap", ML, 17, (x,), {"classlabels_strings": ["a", "b", "c"]}, 1),
        Seed("LabelEncoder", ML, 17, (texts,), {"keys_strings": ["a"], "values_floats": [2.0]}, 1),
        Seed("StringConcat", "", 20, (texts, texts[:1]), {}, 1),
    ]


def of_bytes() -> list[Seed]:
    """Quantized operators of onnxruntime's own."""
    image = np.arange(2 * 4 * 5 * 5, dtype=np.uint8).reshape(2, 4, 5, 5)
    point = np.float32(0.04), np.uint8(3)
    window = {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 1, 1]}
    matrix = image[0, 0]
    made = {
        "QuantizeLinear": ((image.astype(np.float32), *point), {}),
        "DequantizeLinear": ((image, *point), {}),
        "QLinearSigmoid": ((image, *point, *point), {}),
        "QLinearLeakyRelu": ((image, *point, *point), {"alpha": 0.3}),
        "QLinearSoftmax": ((image, *point, *point), {"axis": 1, "opset": 13}),
        "QLinearGlobalAveragePool": ((image, *point, *point), {}),
        "QLinearAveragePool": ((image, *point, *point), window),
        "QLinearAdd": ((image, *point, image[:, :1], *point, *point), {}),
        "QLinearMul": ((image, *point, image[:1], *point, *point), {}),
        "QLinearConcat": ((*point, image, *point, image, *point), {"axis": 1}),
        "QLinearWhere": ((image > 7, image, *point, image, *point, *point), {}),
        "QGemm": ((matrix, *point, matrix, *point, np.arange(5, dtype="i4"), *point), {}),
    }
    domain = "com.microsoft"
    return [
        Seed(name, domain, 17, tuple(map(np.asarray, inputs)), attributes, 1)
        for name, (inputs, attributes) in made.items()
    ]


@cache
def every_seed() -> list[list[Seed]]:
    """All of them, by operator."""
    found: dict[tuple[str, str], list[Seed]] = {}
    for seed in [*of_tests(), *single_nodes(), *of_others(), *of_bytes()]:
        found.setdefault((seed.domain, seed.operator), []).append(seed)
    return [found[name] for name in sorted(found)]


@pytest.fixture(scope="module")
def seeds() -> list[list[Seed]]:
    return every_seed()


def mutated_array(array: Any, chance: random.Random) -> Any:
    """Another length, rank, type or value."""
    match chance.randrange(6):
        case 0 if array.ndim and 0 not in array.shape:
            axis = chance.randrange(array.ndim)
            length = chance.choice([*SIZES, array.shape[axis] + 1, 2 * array.shape[axis]])
            return np.take(array, np.arange(length) % array.shape[axis], axis)
        case 1:
            return array[np.newaxis] if chance.random() < 0.5 else array.reshape(-1)
        case 2 if array.dtype.kind in "fiu":
            return array.astype(chance.choice(TYPES))
        case 3 | 4 if array.size and array.dtype.kind in "fiu":
            changed = array.copy()
            wanted = chance.choice(FLOATS if array.dtype.kind == "f" else INTEGERS)
            for _ in range(chance.randint(1, 3)):
                changed.flat[chance.randrange(array.size)] = np.array(wanted).astype(array.dtype)
            return changed
    return array


def random_value(kind: str, chance: random.Random) -> Any:
    match kind:
        case "int":
            return chance.choice(INTEGERS)
        case "float":
            return chance.choice(FLOATS)
        case "string":
            return chance.choice(WORDS)
        case "ints":
            return [chance.choice(INTEGERS) for _ in range(chance.randint(1, 4))]
        case "floats":
            return [chance.choice(FLOATS) for _ in range(chance.randint(1, 4))]
        case "strings":
            return [chance.choice(WORDS) for _ in range(chance.randint(1, 4))]
    return helper.make_tensor("", 1, [1], [chance.choice(FLOATS)])


def mutated_list(values: Sequence[Any], kind: str, chance: random.Random) -> list[Any]:
    """One element changed, or a shorter or longer list."""
    changed = list(values)
    place = chance.randrange(len(changed) + 1)
    match chance.randrange(4):
        case 0 if changed:
            del changed[min(place, len(changed) - 1)]
        case 1:
            changed.insert(place, random_value(kind.rstrip("s"), chance))
        case 2 if len(changed) > 1:
            chance.shuffle(changed)
        case _ if changed:
            changed[min(place, len(changed) - 1)] = random_value(kind.rstrip("s"), chance)
    return changed or [random_value(kind.rstrip("s"), chance)]


def mutated(seed: Seed, chance: random.Random) -> Seed:
    changed, inputs = dict(seed.attributes), list(seed.inputs)
    versions = catalogue().get((seed.domain, seed.operator), ())
    known = {name: each for version in versions for name, each in version.attributes.items()}
    for _ in range(chance.randrange(5)):
        if known and chance.random() < 0.5:
            name = chance.choice([*known, *changed])
            kind = known[name].kind if name in known else "int"
            if kind.endswith("s") and name in changed and chance.random() < 0.8:
                changed[name] = mutated_list(changed[name], kind, chance)
            else:
                changed[name] = random_value(kind, chance)
        elif any(each is not None for each in inputs):
            place = chance.choice([i for i, each in enumerate(inputs) if each is not None])
            inputs[place] = np.asarray(mutated_array(inputs[place], chance))
    if chance.random() < 0.1:
        inputs.append(chance.choice(inputs) if inputs else None)
    opset = chance.randint(*profile.OPSETS[""]) if chance.random() < 0.2 else seed.opset
    return replace(seed, inputs=tuple(inputs), attributes=changed, opset=opset)


def model_of(seed: Seed, ml: int) -> bytes:
    names = [f"i{place}" if each is not None else "" for place, each in enumerate(seed.inputs)]
    node = helper.make_node(
        seed.operator,
        names,
        [f"o{place}" for place in range(seed.outputs)],
        domain=seed.domain,
        **seed.attributes,
    )
    given = [
        helper.make_tensor_value_info(name, NUMBERS[each.dtype], each.shape)
        for name, each in zip(names, seed.inputs, strict=True)
        if name
    ]
    outputs = [helper.make_tensor_value_info(name, 1, None) for name in node.output]
    domains = {"": seed.opset, ML: ml, "com.microsoft": 1}
    opsets = [helper.make_opsetid(*each) for each in domains.items()]
    graph = helper.make_graph([node], "mutant", given, outputs)
    made = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    return bytes(made.SerializeToString())


def plain(array: Any) -> Any:
    """NOTE: narrow types have no canonical bytes, and never a NaN with a payload."""
    if array.dtype == profile.STRING:
        return array.tolist()
    narrow = array.dtype in profile.STORED_ONLY or array.dtype == profile.BFLOAT16
    return (array.shape, array.tobytes() if narrow else canonical(array))


def verdict(model: bytes, inputs: Mapping[str, Any], fixed: set[str], pattern: int) -> Any:
    """What two runs must agree on."""
    with guarded(pattern) as guards:
        given = {name: guards.copy(array) for name, array in inputs.items()}
        shapes = {name: array.shape for name, array in given.items() if name not in fixed}
        constants = {name: array for name, array in given.items() if name in fixed}
        try:
            outputs = Session(model, shapes, constants, LIMITS).run(given)
        except (ModelRejected, RuntimeRejection) as refusal:
            return refusal.reason
        return [plain(array) for array in outputs.values()]


def run_mutants(seeds: list[list[Seed]], number: int, count: int) -> tuple[int, set[str]]:
    """How many were computed and not refused, and which operators were."""
    chance, computed, seen = random.Random(number), 0, set()
    for turn in range(count):
        seed = chance.choice(seeds[turn % len(seeds)])
        with np.errstate(all="ignore"):
            changed = mutated(seed, chance)
        try:
            model = model_of(changed, chance.randint(1, 5))
        except (TypeError, ValueError, OverflowError):
            continue  # NOTE: the attribute cannot even be written down
        named = {f"i{i}": each for i, each in enumerate(changed.inputs) if each is not None}
        lists = {name for name, array in named.items() if array.ndim < 2 and name != "i0"}
        fixed = chance.choice([set(), lists, lists, set(named) - {"i0"}, set(named)])
        first, second = (verdict(model, named, fixed, pattern) for pattern in PATTERNS)
        assert first == second, (changed, fixed)
        if not isinstance(first, str):
            computed += 1
            seen.add(changed.operator)
    return computed, seen


def test_every_operator_is_mutated(seeds: list[list[Seed]]) -> None:
    mutated_ones = {(each[0].domain, each[0].operator) for each in seeds}
    admitted = {
        name
        for name, versions in catalogue().items()
        if versions[0].opsets[0] <= profile.OPSETS[name[0]][1]
    }
    assert admitted - mutated_ones == set()


def test_mutants_are_refused_or_computed_whatever_lies_in_memory(seeds: list[list[Seed]]) -> None:
    computed, _ = run_mutants(seeds, 1, 2_500)
    assert computed > 800


def test_what_is_written_beyond_an_array_shows() -> None:
    with pytest.raises(AssertionError, match="written beyond an array"), guarded(PATTERNS[0]):
        np.lib.stride_tricks.as_strided(np.empty(4), (5,))[4] = 1.0


def test_what_is_read_before_it_is_written_or_beyond_an_array_shows() -> None:
    found = []
    for pattern in PATTERNS:
        with guarded(pattern) as guards:
            x = guards.copy(np.ones(4))
            found.append(
                (float(np.empty(1)[0]), float(np.lib.stride_tricks.as_strided(x, (5,))[4]))
            )
    assert found[0][0] != found[1][0]
    assert found[0][1] != found[1][1]


@pytest.mark.soak
@pytest.mark.parametrize("number", range(2, 12))
def test_many_mutants(seeds: list[list[Seed]], number: int) -> None:
    assert run_mutants(seeds, number, 20_000)[0] > 4_000
