"""Measures whole models against onnxruntime and float64; writes docs/oracles.md.

The models are those of the tests of evaluation: fixtures of PyTorch's exporters, and tabular models
that are trained and exported here.
"""

from __future__ import annotations

import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from tests.conformance.node_bits import Bits, bits_of_nodes
from tests.evaluation import oracles, test_models, test_pytorch_models, test_tabular
from tests.evaluation.oracles import Measured
from tests.evaluation.pytorch.load import Fixture
from tests.evaluation.widening import evaluate_wide

PAGE = Path(__file__).parents[2] / "docs" / "oracles.md"


@dataclass(frozen=True)
class Loaded:
    """A model with inputs, and its outputs in float64."""

    model: onnx.ModelProto
    inputs: dict[str, np.ndarray]
    exact: Sequence[np.ndarray]
    as_written: bool = False

    def measured(self) -> list[Measured]:
        """The outputs of floats, checked."""
        theirs = oracles.run_peer(self.model, self.inputs, as_written=self.as_written)
        return oracles.compare(oracles.run_ours(self.model, self.inputs), theirs, self.exact)


@dataclass(frozen=True)
class Case:
    """One model; ``load`` trains it, or reads it."""

    family: str
    name: str
    load: Callable[[], Loaded]


def cases() -> Iterator[Case]:
    """All models."""
    yield from pytorch()
    for kind, listed in (
        ("classifier", test_tabular.CLASSIFIERS),
        ("regressor", test_tabular.REGRESSORS),
    ):
        for name in listed:
            yield Case(f"scikit-learn {kind}s", name, partial(scikit_learn, kind, name))
    for library, name in test_tabular.BOOSTED:
        shown = f"{library} {name}"
        yield Case("XGBoost and LightGBM", shown, partial(boosted, library, name))
    for name, target in test_models.EXPORTED:
        shown = f"{name}, {target}" if target else name
        yield Case("scikit-learn, iris", shown, partial(iris, name, target))


def pytorch() -> Iterator[Case]:
    families = {
        "torchscript": "PyTorch, TorchScript exporter",
        "dynamo": "PyTorch, dynamo exporter",
        "dynamo-newest": "PyTorch, dynamo exporter, newest opset",
        "onnxruntime": "PyTorch, quantized by onnxruntime",
    }
    for exporter, family in families.items():
        for name, each in test_pytorch_models.FIXTURES.items():
            if each.exporter == exporter and name not in test_pytorch_models.REFUSED:
                yield Case(family, each.case, partial(fixture, each))


def fixture(found: Fixture) -> Loaded:
    return Loaded(found.model, found.inputs, found.exact, found.quantized)


def scikit_learn(kind: str, name: str) -> Loaded:
    return tabular(test_tabular.exported(kind, name), test_tabular.trained(kind, name)[1])


def boosted(library: str, name: str) -> Loaded:
    return tabular(test_tabular.boosted(library, name), test_tabular.boosted_rows(name))


def iris(name: str, target: str) -> Loaded:
    return tabular(onnx.load_from_string(test_models.exported(name, target)), test_models.ROWS)


def tabular(model: onnx.ModelProto, rows: np.ndarray) -> Loaded:
    inputs = {model.graph.input[0].name: rows}
    return Loaded(model, inputs, evaluate_wide(model, inputs))


Rows = dict[str, list[tuple[str, list[Measured]]]]
"""Of each family the models' names and outputs."""


def measure_all() -> tuple[Rows, Bits]:
    """The measured outputs by family, and what became of the nodes' bits."""
    rows: Rows = defaultdict(list)
    bits: Bits = defaultdict(Counter)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case in cases():
            loaded = case.load()
            rows[case.family].append((case.name, loaded.measured()))
            bits_of_nodes(loaded.model, loaded.inputs, bits)
    return rows, bits


_INTRODUCTION = """\
# Oracles

Whole models, as exporters write them, run by the exact runtime and by onnxruntime {version} on the
same inputs; written by `make conformance`. `tests/evaluation` checks the same models. Figures
depend on the machine by way of onnxruntime, whose bits do; ours do not.

- **apart**: the largest distance between our values and onnxruntime's. At most {tolerance:g}.
- **ours**, **theirs**: the distance, as root of the mean square, of our and of onnxruntime's values
  from the same graph evaluated in float64 by a third implementation: onnx's reference evaluator
  (with a few operators of the tests' own), or torch where that has no such operator. Ours is at
  most {farther} times theirs, plus half a float32 unit in the last place of the magnitude.
- **ours at most**, **theirs at most**: the largest of those distances.
- **equal bits**: the share of values that are onnxruntime's, bit for bit.

Distances are relative to the largest magnitude of the output; for each column the worst output of
the model counts. Labels are equal too, but where onnxruntime's two best scores are closer than
{tolerance:g}. A `-` stands for a model without outputs of floats. Quantized models run in
onnxruntime without graph optimization, which would change their roundings.
"""

_NODES = """\
## Operators whose bits are onnxruntime's

Every node of the models above that computes floats or quantized numbers, run by itself on the
values that it gets in its model. What only moves, compares or casts values is left out. Sums of
products are not equal where onnxruntime does not use its matrix product (a matrix times a vector,
depthwise convolutions, windows of one place), and where it cuts sums of more than 256 products
otherwise, as it does if there are few columns.

| operator | nodes | with all bits equal | equal values |
| --- | ---: | ---: | ---: |
"""


def page(rows: Rows, bits: Bits) -> str:
    """The text of docs/oracles.md."""
    parts = [
        _INTRODUCTION.format(
            version=onnxruntime.__version__,
            tolerance=oracles.TOLERANCE,
            farther=oracles.FARTHER,
        ),
        summary(rows),
    ]
    for family, measured in rows.items():
        parts.append(f"## {family}\n")
        parts.append(_HEAD + "".join(map(line, measured)))
    parts.append(
        _NODES + "".join(node_line(name, bits[name]) for name in sorted(bits) if bits[name])
    )
    return "\n".join(parts)


_HEAD = """\
| model | apart | ours | theirs | ours at most | theirs at most | equal bits |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
"""


def line(row: tuple[str, list[Measured]]) -> str:
    name, outputs = row
    if not outputs:
        return f"| {name} | - | - | - | - | - | - |\n"
    fields = ("apart", "ours", "theirs", "ours_most", "theirs_most")
    worst = [max(getattr(each, field) for each in outputs) for field in fields]
    equal = percent(min(each.equal for each in outputs))
    return f"| {name} | {' | '.join(f'{figure:.1e}' for figure in worst)} | {equal} |\n"


def percent(share: float) -> str:
    """Rounded down, so that only all is 100 %."""
    return f"{int(share * 100)} %"


def node_line(name: str, counted: Counter[str]) -> str:
    share = percent(counted["equal values"] / max(counted["values"], 1))
    return f"| {name} | {counted['nodes']} | {counted['equal nodes']} | {share} |\n"


def summary(rows: Rows) -> str:
    """Counts and the worst figures, in sentences."""
    models = [outputs for measured in rows.values() for _, outputs in measured]
    flat = [each for outputs in models for each in outputs]
    equal = sum(all(each.equal == 1 for each in outputs) for outputs in models)
    nearer = sum(each.ours <= each.theirs for each in flat)
    farther = sum(each.ours > oracles.FARTHER * each.theirs + each.rounding for each in flat)
    most = sum(each.ours_most > oracles.FARTHER * each.theirs_most + each.rounding for each in flat)
    apart = max(each.apart for each in flat)
    lines = (
        f"{len(models)} models with {len(flat)} outputs of floats; {equal} models have",
        f"onnxruntime's bits. The largest distance from onnxruntime is {apart:.1e}. {nearer}",
        "outputs are at least as near to float64 as onnxruntime's. More than",
        f"{oracles.FARTHER} times farther are {farther}, and in the largest distance {most}.",
    )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the page, and say on stdout what it says in short."""
    rows, bits = measure_all()
    PAGE.write_text(page(rows, bits), encoding="utf-8")
    print(summary(rows))
    print(f"written to {PAGE.relative_to(PAGE.parents[1])}")


if __name__ == "__main__":
    main()
