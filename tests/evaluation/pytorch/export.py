"""Makes the fixtures: trains small PyTorch networks and exports them with both exporters.

Run it from the project's root, in an environment of its own:

    python3.11 -m venv torch-environment
    torch-environment/bin/pip install torch==2.13.0 onnx==1.23.2 onnxscript onnxruntime
    torch-environment/bin/python -m tests.evaluation.pytorch.export [case ...]

Everything is seeded by the case's name; with names, only those cases are made again.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import logging
import os
import sys
import tempfile
import warnings
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from tests.evaluation.pytorch.case import DYNAMIC, Bundle, Case, listed
from tests.evaluation.pytorch.functions import FUNCTIONS
from tests.evaluation.pytorch.layers import LAYERS
from tests.evaluation.pytorch.networks import NETWORKS
from tests.evaluation.pytorch.quantize import QUANTIZED, quantized
from tests.evaluation.pytorch.store import INDEX, Exported, store

NEWEST_OPSET = 25
CASES = [*NETWORKS, *LAYERS, *FUNCTIONS]


def seed(name: str) -> None:
    torch.manual_seed(zlib.crc32(name.encode()))


def trained(case: Case) -> nn.Module:
    """The network after some steps towards random outputs."""
    seed(case.name)
    network = case.build()
    if not case.steps:
        return network.eval()
    goals = [torch.randn_like(each) for each in listed(network(*case.inputs()))]
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(case.steps):
        optimizer.zero_grad()
        found = listed(network(*case.inputs()))
        sum(((a - b) ** 2).mean() for a, b in zip(found, goals, strict=True)).backward()
        optimizer.step()
    return network.eval()


def by_torchscript(case: Case, network: nn.Module, inputs: Sequence[Tensor]) -> onnx.ModelProto:
    names = [f"x{place}" for place in range(len(inputs))]
    stored = io.BytesIO()
    torch.onnx.export(
        network,
        tuple(inputs),
        stored,
        dynamo=False,
        input_names=names,
        dynamic_axes={name: {0: "batch"} for name in names} if case.batch == DYNAMIC else None,
        opset_version=case.opset,
    )
    return onnx.load_from_string(stored.getvalue())


def by_dynamo(
    case: Case, network: nn.Module, inputs: Sequence[Tensor], opset: int | None = None
) -> onnx.ModelProto:
    free = tuple({0: torch.export.Dim.DYNAMIC} for _ in inputs)
    program = torch.onnx.export(
        network,
        tuple(inputs),
        dynamo=True,
        dynamic_shapes=free if case.batch == DYNAMIC else None,
        opset_version=opset,
        verbose=False,
    )
    assert program is not None
    return program.model_proto


EXPORTERS = {"torchscript": by_torchscript, "dynamo": by_dynamo}
NEWEST = {"dynamo-newest": partial(by_dynamo, opset=NEWEST_OPSET)}


def exported(
    case: Case, exporter: str, network: nn.Module, inputs: Sequence[Tensor]
) -> onnx.ModelProto | None:
    """The model, or None where the exporter cannot."""
    try:
        with silence():
            model = (EXPORTERS | NEWEST)[exporter](case, network, inputs)
            onnx.checker.check_model(model)
    except Exception as problem:
        print(f"{case.name}: {exporter} cannot: {type(problem).__name__}")
        return None
    return model


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Nothing on standard output and error, of whichever language."""
    sys.stdout.flush()
    kept = [os.dup(number) for number in (1, 2)]
    with tempfile.TemporaryFile() as sink:
        try:
            for number in (1, 2):
                os.dup2(sink.fileno(), number)
            yield
        finally:
            sys.stdout.flush()
            for number, old in zip((1, 2), kept, strict=True):
                os.dup2(old, number)
                os.close(old)


def fitting(case: Case, exporter: str, network: nn.Module, inputs: Sequence[Tensor]) -> nn.Module:
    """The network without the parts that the exporter does not know."""
    if not isinstance(network, Bundle) or exported(case, exporter, network, inputs):
        return network
    kept = []
    for name in network.parts:
        alone = replace(case, name=f"{case.name}, {name}")
        if exported(alone, exporter, network.only([name]), inputs):
            kept.append(name)
    return network.only(kept).eval()


def arrays(tensors: Sequence[Tensor]) -> list[np.ndarray]:
    return [each.detach().numpy() for each in tensors]


def widened(tensor: Tensor) -> Tensor:
    return tensor.double() if tensor.is_floating_point() else tensor


def make(case: Case) -> dict[str, Any]:
    """Write the files of a case; returns its entry of the index."""
    whole = trained(case)
    seed(f"{case.name}, inputs")
    inputs = case.inputs()
    models: dict[str, Exported] = {}
    for exporter in [*EXPORTERS, *(NEWEST if case.newest else ())]:
        network = fitting(case, exporter, whole, inputs)
        model = exported(case, exporter, network, inputs)
        if model is None:
            continue
        left_out = set(getattr(whole, "parts", {})) - set(getattr(network, "parts", {}))
        with torch.no_grad():
            wide = copy.deepcopy(network).double()
            exact = arrays(listed(wide(*map(widened, inputs))))
        models[exporter] = Exported(model, exact, tuple(sorted(left_out)))
    return {"batch": case.batch, "models": store(case.name, arrays(inputs), models)}


def main(names: Sequence[str]) -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    logging.disable()
    warnings.simplefilter("ignore")
    INDEX.parent.mkdir(exist_ok=True)
    index = json.loads(INDEX.read_text()) if INDEX.exists() and names else {}
    for case in CASES:
        if not names or case.name in names:
            index[case.name] = make(case)
    for kind in QUANTIZED:
        if not names or kind.name in names:
            with silence():
                inputs, models = quantized(kind)
            index[kind.name] = {"batch": DYNAMIC, "models": store(kind.name, inputs, models)}
    INDEX.write_text(json.dumps(dict(sorted(index.items())), indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
