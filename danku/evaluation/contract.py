"""The contract between a challenge and a model: one input, one usable output, classes by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from danku.evaluation import profile
from danku.evaluation.graph import GraphInput
from danku.evaluation.refusal import ModelRejected
from danku.evaluation.tensor import Array, Label, TensorType
from danku.protocol.manifest import ModelContract

UNKNOWN_LABEL = -1

_OUTPUT_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))

_EXPECTED = {
    "label": "integers or strings [batch]",
    "probabilities": "floats [batch, {classes}]",
    "value": "floats [batch]",
}

_REMEDY = {
    "label": "let the model end in the class with the largest score: ArgMax over axis 1",
    "probabilities": "let the model end in one column for each class: Softmax over axis 1",
    "value": "let the model give one number for each row",
}
"""What to do about a model whose outputs do not fit."""


@dataclass(frozen=True)
class Batching:
    """How rows are cut into runs of the model."""

    rows: int
    """In one run."""
    padded: bool
    """Whether a short run is padded with zero rows, because the model fixed its batch."""


def bind_input(found: GraphInput, contract: ModelContract, batch: int) -> Batching:
    """Check the model's input against the contract.

    Raises:
        ModelRejected: another element type, row shape or batch size. The name may be any.
    """
    if found.dtype != np.dtype(contract.dtype):
        raise ModelRejected(
            "input",
            f"the input is {found.dtype.name}, not {contract.dtype}",
            fix=f"export the model for rows of {contract.dtype}, as danku data pull writes them",
        )
    expected = f"[batch, {', '.join(map(str, contract.shape))}]" if contract.shape else "[batch]"
    shape = ", ".join("?" if size is None else str(size) for size in found.shape)
    wrong = ModelRejected("input", f"the input's shape is [{shape}], not {expected}")
    if len(found.shape) != 1 + len(contract.shape):
        raise wrong
    first, *row = found.shape
    for size, needed in zip(row, contract.shape, strict=True):
        if size not in (None, needed):
            raise wrong
    if first is None:
        return Batching(batch, padded=False)
    if first not in (1, batch):
        raise ModelRejected(
            "input",
            f"the input's batch is fixed to {first}, not open, 1 or {batch}",
            fix="export the model with a dynamic batch dimension",
        )
    return Batching(first, padded=True)


def class_columns(labels: Sequence[Label], classes: Sequence[str]) -> tuple[int, ...] | None:
    """The class that each labelled column stands for, or None if the labels do not say.

    A label is a class's name, or its index as an integer.
    """
    places: dict[Label, int] = {}
    places |= dict(enumerate(range(len(classes))))
    places |= {name: index for index, name in enumerate(classes)}
    if any(label not in places for label in labels):
        return None
    found = tuple(places[label] for label in labels)
    return found if len(set(found)) == len(found) else None


def _named_columns(kind: TensorType, contract: ModelContract) -> tuple[int, ...] | None:
    if not kind.columns or kind.shape[-1] != len(kind.columns):
        return None
    return class_columns(kind.columns, contract.classes)


def _fits(kind: TensorType, contract: ModelContract, rows: int) -> bool:
    if contract.output == "probabilities":
        return (
            kind.dtype in _OUTPUT_FLOATS
            and kind.rank == 2
            and kind.shape[0] == rows
            and (kind.shape[1] == len(contract.classes) or bool(_named_columns(kind, contract)))
        )
    if contract.output == "label":
        fits = kind.kind in "iuO" and not kind.is_map
    else:
        fits = kind.dtype in _OUTPUT_FLOATS
    return fits and kind.shape in ((rows,), (rows, 1))


def select_output(
    types: Mapping[str, TensorType], outputs: Sequence[str], contract: ModelContract, rows: int
) -> str:
    """The name of the one output that fits the contract, for a run of this many rows.

    Raises:
        ModelRejected: none fits, or more than one does.
    """
    fitting = [name for name in outputs if _fits(types[name], contract, rows)]
    if len(fitting) == 1:
        return fitting[0]
    expected = _EXPECTED[contract.output].format(classes=len(contract.classes))
    if fitting:
        raise ModelRejected("output", f"{len(fitting)} outputs fit {expected}")
    alike = [types[name] for name in outputs if _fits_but_rows(types[name], contract)]
    if alike:
        raise ModelRejected(
            "output", f"wrong number of rows: {alike[0].shape[0]} of {rows} in the output"
        )
    found = "; ".join(str(types[name]) for name in outputs)
    raise ModelRejected(
        "output", f"no output fits {expected}, found {found}", fix=_REMEDY[contract.output]
    )


def _fits_but_rows(kind: TensorType, contract: ModelContract) -> bool:
    return kind.rank > 0 and _fits(kind, contract, kind.shape[0])


def read_output(kind: TensorType, output: Array, contract: ModelContract) -> Array:
    """What an output says, in the challenge's terms.

    Returns:
        Labels int64 [rows] (-1: no class of the challenge), probabilities [rows, classes] in the
        challenge's order, or values [rows].

    Raises:
        ModelRejected: NaN.
    """
    if contract.output == "label":
        return _labels(output.reshape(-1), contract.classes)
    if np.isnan(output).any():
        raise ModelRejected("nan", "output has NaN")
    if contract.output == "value":
        return output.reshape(-1)
    columns = _named_columns(kind, contract)
    if columns is None:
        return output
    ordered = np.zeros((output.shape[0], len(contract.classes)), output.dtype)
    ordered[:, columns] = output
    return ordered


def _labels(found: Array, classes: Sequence[str]) -> Array:
    if found.dtype == profile.STRING:
        places = {name: index for index, name in enumerate(classes)}
        return np.array([places.get(label, UNKNOWN_LABEL) for label in found], np.int64)
    known = (found >= 0) & (found < len(classes))
    return np.where(known, found, UNKNOWN_LABEL).astype(np.int64)
