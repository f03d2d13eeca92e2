"""Mutations of the ONNX project's own cases: never a crash, and always the same verdict."""

from __future__ import annotations

import random
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from danku.evaluation import profile
from danku.evaluation.kernels.elementwise import canonical
from danku.evaluation.kernels.rejection import RuntimeRejection
from danku.evaluation.refusal import ModelRejected
from danku.evaluation.session import Session
from tests.conformance import backend_suite
from tests.conformance.backend_suite import Case

NUMBERS = {dtype: number for number, dtype in profile.ELEMENT_TYPES.items()}
INTEGERS = (0, 1, 2, 3, 7, 64, 1000, -1, -2, 2**31, 2**40, 2**63 - 1, -(2**63))
FLOATS = (0.0, 0.5, -1.0, 1e4, 1e-30, 1e30, np.inf, -np.inf, np.nan)
WORDS = (
    "nearest linear cubic constant reflect edge wrap none add mul max min mean sum DCR CRD".split()
)
TYPES = (np.float16, np.float32, np.float64, np.int8, np.int32, np.int64, np.uint8)


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = list(backend_suite.cases("node"))
    return [
        case for case in found if len(case.operators) == 1 and not backend_suite.exclusion(case)
    ]


def mutated_array(array: Any, chance: random.Random) -> Any:
    """Another length, rank, type or value."""
    match chance.randrange(5):
        case 0 if array.ndim and 0 not in array.shape:
            axis = chance.randrange(array.ndim)
            length = chance.choice([0, 1, 2, array.shape[axis] + 1, 2 * array.shape[axis]])
            return np.take(array, np.arange(length) % array.shape[axis], axis)
        case 1:
            return array[np.newaxis] if chance.random() < 0.5 else array.reshape(-1)
        case 2 if array.dtype.kind in "fiu":
            return array.astype(chance.choice(TYPES))
        case 3 if array.size and array.dtype.kind in "fi":
            changed = array.copy()
            values = FLOATS if array.dtype.kind == "f" else INTEGERS
            place = chance.randrange(array.size)
            changed.flat[place] = np.array(chance.choice(values)).astype(array.dtype)
            return changed
    return array


def mutate_attribute(node: onnx.NodeProto, chance: random.Random) -> None:
    attribute = chance.choice(node.attribute)
    match attribute.type:
        case onnx.AttributeProto.INT:
            attribute.i = chance.choice(INTEGERS)
        case onnx.AttributeProto.FLOAT:
            attribute.f = chance.choice(FLOATS)
        case onnx.AttributeProto.STRING:
            attribute.s = chance.choice(WORDS).encode()
        case onnx.AttributeProto.INTS:
            kept = list(attribute.ints)[: chance.randrange(9)]
            del attribute.ints[:]
            attribute.ints.extend([*kept, chance.choice(INTEGERS)])


def mutant(case: Case, chance: random.Random) -> tuple[bytes, dict[str, Any], dict[str, Any]]:
    """A model, its inputs, and those that are fixed."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    [node] = model.graph.node
    given = [np.asarray(backend_suite._array(value)) for value in case.data[0][0]]
    for _ in range(chance.randrange(4)):
        if node.attribute and chance.random() < 0.5:
            mutate_attribute(node, chance)
        elif given:
            place = chance.randrange(len(given))
            given[place] = np.asarray(mutated_array(given[place], chance))
    if chance.random() < 0.2:
        model.opset_import[0].version = chance.randint(*profile.OPSETS[""])
    names = [value.name for value in model.graph.input]
    del model.graph.input[:]
    for name, array in zip(names, given, strict=True):
        number = NUMBERS[array.dtype]
        model.graph.input.append(helper.make_tensor_value_info(name, number, array.shape))
    inputs = dict(zip(names, given, strict=True))
    lists = {name: array for name, array in inputs.items() if array.ndim < 2}
    return model.SerializeToString(), inputs, chance.choice([{}, lists, lists, inputs])


def verdict(model: bytes, inputs: dict[str, Any], fixed: dict[str, Any]) -> Sequence[object]:
    shapes = {name: array.shape for name, array in inputs.items() if name not in fixed}
    try:
        outputs = Session(model, shapes, fixed).run(inputs)
    except (ModelRejected, RuntimeRejection) as refusal:
        return [refusal.reason]
    return [
        array.tolist() if array.dtype == profile.STRING else canonical_or_raw(array)
        for array in outputs.values()
    ]


def canonical_or_raw(array: Any) -> bytes:
    """NOTE: narrow types have no canonical bytes, and never a NaN with a payload."""
    return array.tobytes() if array.dtype.name not in _HASHED else canonical(array)


_HASHED = {"bool", *(f"float{bits}" for bits in (16, 32, 64))} | {
    f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}


def run_mutants(cases: list[Case], seed: int, count: int) -> int:
    """Returns how many of them were computed and not refused."""
    chance, computed = random.Random(seed), 0
    for _ in range(count):
        with np.errstate(all="ignore"):
            made = mutant(chance.choice(cases), chance)
        found = verdict(*made)
        assert found == verdict(*made)
        computed += not isinstance(found[0], str)
    return computed


def test_mutants_are_computed_or_refused_and_always_alike(cases: list[Case]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert run_mutants(cases, seed=1, count=3000) > 300


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2, 12))
def test_many_mutants(cases: list[Case], seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    newest = max(case.model.opset_import[0].version for case in cases)
    monkeypatch.setitem(profile.OPSETS, "", (profile.OPSETS[""][0], newest))
    run_mutants(cases, seed, count=20_000)
