"""Runs the ONNX project's own backend tests against the exact runtime; writes docs/conformance.md.

The cases are those that ship inside the onnx package: node, simple, PyTorch-converted and
PyTorch-operator. Nothing is downloaded. Outputs are compared by the suite's own comparison with the
suite's own tolerances.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from math import floor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, numpy_helper, version_converter
from onnx.backend.test.loader import load_model_tests
from onnx.backend.test.runner import Runner

from danku.evaluation.kernels.rejection import RuntimeRejection
from danku.evaluation.refusal import ModelRejected
from danku.evaluation.session import Session

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"
SUITES = {
    "node": "node",
    "simple": "simple",
    "pytorch-converted": "PyTorch-converted",
    "pytorch-operator": "PyTorch-operator",
}

PASSED, FAILED, UNSUPPORTED, EXCLUDED = "passed", "failed", "not supported", "excluded"

CONTROL_FLOW = {"If", "Loop", "Scan"}
RANDOM = {
    *("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike"),
    *("RandomUniform", "RandomUniformLike"),
}
TRAINING_DOMAIN = "ai.onnx.preview.training"
SEQUENCES = {
    *("ConcatFromSequence", "SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceErase"),
    *("SequenceInsert", "SequenceLength", "SequenceMap", "SplitToSequence"),
    *("Optional", "OptionalGetElement", "OptionalHasElement"),
}

FIRST_FULL_OPSET = 9
"""In opset 8 the profile lacks what opset 9 changed; the converter makes the one of the other."""

KNOWN_REASONS = {
    **dict.fromkeys(
        ("test_dft_inverse", "test_dft_inverse_opset19"),
        "at ten places the exact value is 0; the suite's float32 reference has 1.9e-7 there and a "
        "tolerance of 1e-7, so that it refuses the exact value, which is ours",
    ),
    **dict.fromkeys(
        ("test_PReLU_1d_multiparam", "test_PReLU_2d_multiparam", "test_PReLU_3d_multiparam"),
        "a slope for each channel as opset 6 had it, which the converter leaves as it is",
    ),
    "test_attention_4d_causal_fp16_expanded": "two float16 units beside the suite's value, and "
    "nearer to the exact one: the suite rounds to float16 within the product, the profile after it",
}
"""What stands behind a wrong output or a refusal, by case."""

LEFT_OUT = {
    "DeformConv": "hardly any exporter writes it",
    "FlexAttention": "a preview of ONNX's with subgraphs, not released in any opset",
    "ImageDecoder": "libraries decode one and the same JPEG or WebP file to different pixels",
    "MaxUnpool": "hardly any exporter writes it",
    "NonMaxSuppression": "the shape of its output depends on data",
    "RegexFullMatch": "regular expressions have no cost that shapes tell",
    "StringSplit": "the shape of its output depends on data",
}
"""Why the profile does not have an operator that the suite tests."""

Values = Sequence[Any]


@dataclass(frozen=True)
class Result:
    """What became of one case."""

    suite: str
    name: str
    operator: str
    outcome: str
    reason: str = ""
    fixed: str = ""
    """Which inputs had to be constants: "", "lists" or "all"."""


@dataclass(frozen=True)
class Case:
    suite: str
    name: str
    model: ModelProto
    data: Sequence[tuple[Values, Values]]
    rtol: float
    atol: float

    @property
    def operators(self) -> list[str]:
        return list(dict.fromkeys(node.op_type for node in self.model.graph.node))


def cases(suite: str) -> Iterator[Case]:
    with warnings.catch_warnings():
        # NOTE: the suite's own reference overflows and divides by zero on purpose.
        warnings.simplefilter("ignore")
        found = load_model_tests(kind=suite)
    for case in sorted(found, key=lambda case: case.name):
        if case.model is not None:
            model, data = case.model, case.data_sets
        else:
            folder = Path(case.model_dir)
            model = onnx.load(folder / "model.onnx")
            data = _read_data(folder, model)
        yield Case(suite, case.name, model, data, case.rtol, case.atol)


def _read_data(folder: Path, model: ModelProto) -> list[tuple[Values, Values]]:
    graph = model.graph
    return [
        (_read_values(each, "input", graph.input), _read_values(each, "output", graph.output))
        for each in sorted(folder.glob("test_data_set_*"))
    ]


def _read_values(folder: Path, kind: str, declared: Sequence[Any]) -> Values:
    """The arrays of a data set; None for what is no tensor."""
    values = []
    for place in range(len(list(folder.glob(f"{kind}_*.pb")))):
        stored = (folder / f"{kind}_{place}.pb").read_bytes()
        if declared[place].type.HasField("tensor_type"):
            values.append(numpy_helper.to_array(onnx.TensorProto.FromString(stored)))
        else:
            values.append(None)
    return values


def exclusion(case: Case) -> str:
    """Why the case is outside what the profile sets out to do, or ""."""
    graph = case.model.graph
    used = set(case.operators)
    domains = {node.domain for node in graph.node}
    if TRAINING_DOMAIN in domains or "Gradient" in used or _trains(case):
        return "training"
    if CONTROL_FLOW & used:
        return "control flow"
    values = [*graph.input, *graph.output, *graph.value_info]
    if SEQUENCES & used or not all(value.type.HasField("tensor_type") for value in values):
        return "sequence or optional type"
    return "not deterministic" if RANDOM & used else ""


def _trains(case: Case) -> bool:
    for node in case.model.graph.node:
        settings = {each.name: each.i for each in node.attribute}
        if node.op_type == "BatchNormalization" and settings.get("training_mode"):
            return True
        # NOTE: the mode is the third input, which the suite stores among the others.
        if node.op_type == "Dropout" and len(node.input) > 2 and _fed(case, node.input[2]):
            return True
    return False


def _fed(case: Case, name: str) -> bool:
    names = [value.name for value in case.model.graph.input]
    stored = {each.name: numpy_helper.to_array(each) for each in case.model.graph.initializer}
    fed = dict(zip(names, case.data[0][0], strict=False))
    return bool(np.any({**stored, **fed}.get(name, False)))


def _array(value: Any) -> Any:
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value


def _admissible(model: ModelProto) -> ModelProto:
    """The model, converted by onnx itself if its opset is older than `FIRST_FULL_OPSET`."""
    oldest = FIRST_FULL_OPSET
    version = next((each.version for each in model.opset_import if not each.domain), oldest)
    return model if version >= oldest else version_converter.convert_version(model, oldest)


def run_case(case: Case) -> str:
    """Run a case and compare; returns which inputs had to be constants.

    Raises:
        ModelRejected, RuntimeRejection: the runtime refuses the model.
        AssertionError: an output is wrong.
    """
    model = _admissible(case.model)
    fixed = ""
    for given, expected in case.data:
        stored = {each.name for each in model.graph.initializer}
        names = [value.name for value in model.graph.input if value.name not in stored]
        inputs = {
            name: np.asarray(_array(value)) for name, value in zip(names, given, strict=False)
        }
        outputs, fixed = _outputs(model.SerializeToString(), inputs)
        Runner.assert_similar_outputs(
            [_array(value) for value in expected], outputs, case.rtol, case.atol
        )
    return fixed


def _outputs(model: bytes, inputs: dict[str, Any]) -> tuple[list[Any], str]:
    """NOTE: the suite feeds axes, shapes and the like as inputs; the profile needs constants."""
    lists = {name: value for name, value in inputs.items() if value.ndim < 2}
    for described, fixed in (("", {}), ("lists", lists), ("all", inputs)):
        shapes = {name: value.shape for name, value in inputs.items() if name not in fixed}
        try:
            return list(Session(model, shapes, fixed).run(inputs).values()), described
        except ModelRejected as rejection:
            if rejection.code != "dynamic-shape" or described == "all":
                raise
    raise AssertionError("unreachable")


def assess(case: Case) -> Result:
    """Run a case and say what became of it."""
    operator = subject(case)
    excluded = exclusion(case)
    if excluded:
        return Result(case.suite, case.name, operator, EXCLUDED, excluded)
    try:
        fixed = run_case(case)
    except (ModelRejected, RuntimeRejection) as refusal:
        reason = KNOWN_REASONS.get(case.name) or _explained(case, refusal.reason)
        return Result(case.suite, case.name, operator, UNSUPPORTED, reason)
    except AssertionError as problem:
        reason = KNOWN_REASONS.get(case.name, " ".join(str(problem).split())[:120])
        return Result(case.suite, case.name, operator, FAILED, reason)
    except Exception as problem:
        return Result(case.suite, case.name, operator, FAILED, f"crash: {type(problem).__name__}")
    return Result(case.suite, case.name, operator, PASSED, fixed=fixed)


def _explained(case: Case, reason: str) -> str:
    why = [LEFT_OUT[name] for name in case.operators if name in LEFT_OUT]
    return ": ".join([reason, *why[:1]])


def subject(case: Case) -> str:
    """The operator that a case is about."""
    if case.suite == "node":
        return _subjects().get(case.name.split("_expanded")[0], case.operators[0])
    return next((name for name in case.operators if name != "Constant"), case.operators[0])


@cache
def _subjects() -> dict[str, str]:
    """For each node case that is one operator, and not its expansion, which."""
    return {case.name: case.operators[0] for case in cases("node") if len(case.operators) == 1}


def results(suites: Sequence[str] = tuple(SUITES)) -> list[Result]:
    """What becomes of every case of these suites."""
    return [assess(case) for suite in suites for case in cases(suite)]


def share(found: Sequence[Result]) -> float:
    """How many of the cases that are not excluded pass."""
    counted = [each for each in found if each.outcome != EXCLUDED]
    return sum(each.outcome == PASSED for each in counted) / len(counted)


def page(found: Sequence[Result]) -> str:
    """The text of docs/conformance.md."""
    parts = [_INTRODUCTION.format(onnx=onnx.__version__), _headline(found), _summary(found)]
    parts.append("## Every case that does not pass\n")
    parts.append(_missed(found))
    for suite, title in SUITES.items():
        parts.append(f"## {title[0].upper()}{title[1:]} cases\n")
        parts.append(_table([each for each in found if each.suite == suite]))
    return "\n".join(parts)


_INTRODUCTION = """\
# Conformance

The ONNX project's own backend tests (`onnx.backend.test` of onnx {onnx}), run against the exact
runtime by `make conformance`, with the suite's own comparison and tolerances. Cases are those that
ship inside the package.

- **passed**: every output has the expected shape and type, and values within the tolerance.
- **failed**: it ran, and an output is not as expected.
- **not supported**: refused before or while it runs, for the reason shown.
- **excluded**: outside what the profile sets out to do, as the reason says; not in the share.
- **constant**: of those that passed, how many did so with inputs given as constants of the model.
  The suite feeds axes, shapes, sizes and the like as inputs; `exact/1` wants every shape known
  before a model runs.

An `expanded` case, where ONNX writes an operator as a function of others, counts for that operator.
A model of an opset below 9 is first converted to 9 by `onnx.version_converter`.
"""


def _headline(found: Sequence[Result]) -> str:
    node = [each for each in found if each.suite == "node"]
    count = Counter(each.outcome for each in node)
    excluded = Counter(each.reason for each in node if each.outcome == EXCLUDED)
    reasons = ", ".join(f"{times} {reason}" for reason, times in sorted(excluded.items()))
    counted = len(node) - count[EXCLUDED]
    return (
        f"**{_percent(node)} % of the node tests whose operators are deterministic, not control "
        f"flow, not training and not sequence or\noptional typed pass: {count[PASSED]} of "
        f"{counted}.** These {counted} are the suite's {len(node)} node tests without the "
        f"{count[EXCLUDED]} excluded ones ({reasons}).\n"
    )


def _percent(found: Sequence[Result]) -> float:
    # NOTE: rounded down, so that a goal that is just missed does not look met.
    return floor(1_000 * share(found)) / 10


def _missed(found: Sequence[Result]) -> str:
    lines = ["| cases | outcome | reason |", "| --- | --- | --- |"]
    groups: dict[tuple[str, str], list[str]] = {}
    for each in found:
        if each.outcome in (FAILED, UNSUPPORTED):
            groups.setdefault((each.outcome, each.reason), []).append(each.name)
    for (outcome, reason), names in sorted(groups.items()):
        listed = ", ".join(f"`{name}`" for name in names)
        lines.append(f"| {listed} | {outcome} | {reason.replace('|', '/')} |")
    return "\n".join(lines) + "\n"


def _summary(found: Sequence[Result]) -> str:
    lines = [
        "| suite | cases | passed | failed | not supported | excluded | share passed |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for suite, title in SUITES.items():
        part = [each for each in found if each.suite == suite]
        count = Counter(each.outcome for each in part)
        counts = [count[outcome] for outcome in (PASSED, FAILED, UNSUPPORTED, EXCLUDED)]
        figures = " | ".join(map(str, [len(part), *counts]))
        lines.append(f"| {title} | {figures} | {_percent(part)} % |")
    return "\n".join(lines) + "\n"


def _table(found: Sequence[Result]) -> str:
    lines = [
        "| operator | passed | constant | failed | not supported | excluded | reasons |",
        "| --- | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for operator in sorted({each.operator for each in found}):
        part = [each for each in found if each.operator == operator]
        count = Counter(each.outcome for each in part)
        constant = sum(bool(each.fixed) for each in part)
        figures = [count[PASSED], constant, *(count[each] for each in _OTHERS)]
        cells = " | ".join(str(figure or "") for figure in figures)
        lines.append(f"| {operator} | {cells} | {_reasons(part)} |")
    return "\n".join(lines) + "\n"


_OTHERS = (FAILED, UNSUPPORTED, EXCLUDED)


def _reasons(found: Sequence[Result]) -> str:
    count = Counter(each.reason for each in found if each.reason)
    reasons = (f"{reason} ({times})" for reason, times in sorted(count.items()))
    return "; ".join(reasons).replace("|", "/")


def main() -> None:
    """Write the page, and say on stdout what it says in short."""
    found = results()
    PAGE.write_text(page(found), encoding="utf-8")
    print(_summary(found))
    print(f"written to {PAGE.relative_to(PAGE.parents[1])}")


if __name__ == "__main__":
    main()
