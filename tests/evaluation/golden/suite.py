"""All golden runs, and the digest of what comes out of each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from danku.crypto.hashing import keccak
from danku.evaluation.kernels.arrays import FLOATS
from danku.evaluation.kernels.elementwise import canonical
from danku.evaluation.session import Session
from tests.evaluation.golden import functions, networks, operators, quantized, tabular
from tests.evaluation.golden.building import Case, shapes
from tests.evaluation.golden.numbers import Array

MODELS: dict[str, Callable[[], Case]] = {
    **networks.CASES,
    **operators.CASES,
    **tabular.CASES,
    **quantized.CASES,
}
DIGESTS = Path(__file__).with_name("digests.json")

Golden = dict[str, str]


def digest(result: Array) -> str:
    """The first 32 hex digits of keccak-256 of type, shape and canonical bytes.

    Texts are encoded as UTF-8, each behind its length in bytes as 8 bytes, little-endian.
    """
    name = "string" if result.dtype == object else result.dtype.name
    head = f"{name} {list(result.shape)}\n".encode()
    if result.dtype == object:
        encoded = [text.encode() for text in result.reshape(-1).tolist()]
        body = b"".join(len(text).to_bytes(8, "little") + text for text in encoded)
    elif result.dtype.kind in "fiub" and (result.dtype.kind != "f" or result.dtype in FLOATS):
        body = canonical(result)
    else:
        body = np.ascontiguousarray(result).tobytes()
    return keccak(head, body)[:16].hex()


def outputs(case: Case, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """What the model gives for these inputs."""
    return Session(case.model, shapes(inputs)).run(inputs)


def _model(build: Callable[[], Case]) -> Golden:
    case = build()
    found = {f"{case.name} model": keccak(case.model)[:16].hex()}
    results = outputs(case, case.inputs)
    return found | {f"{case.name} {name}": digest(result) for name, result in results.items()}


def _function(name: str, run: Callable[[], Array]) -> Golden:
    return {name: digest(run())}


def runs() -> Iterator[tuple[str, Callable[[], Golden]]]:
    """Every run by name, and what makes its digests."""
    for name, build in MODELS.items():
        yield name, partial(_model, build)
    for name, run in functions.cases().items():
        yield name, partial(_function, name, run)


def golden() -> Golden:
    """The digests that are checked in."""
    found: Golden = json.loads(DIGESTS.read_text(encoding="utf-8"))
    return found


def different(found: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    """The names of digests that are missing, new or not the same."""
    return [
        name for name in {**wanted, **found} if found.get(name, "") != wanted.get(name, "absent")
    ]
