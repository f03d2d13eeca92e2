"""Bad files: each a named error with its family's exit code, and nothing has changed."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.cli.driver import NAME, STAGES, Danku, unchanged, write_challenge
from tests.roles.arena import key_of, model

PLACE = f"challenges/{NAME}"
Edit = Callable[[str], str]

At = Callable[[str], Danku]


def set_to(key: str, value: str) -> Edit:
    """Another value for a key of challenge.toml."""

    def edit(text: str) -> str:
        found, count = re.subn(rf"(?m)^{key} = .*$", lambda _: f"{key} = {value}", text)
        assert count == 1
        return found

    return edit


def without(key: str) -> Edit:
    """The line, or the section, is missing."""

    def edit(text: str) -> str:
        pattern = rf"(?ms)^\{key}.*?(?=^\[|\Z)" if key.startswith("[") else rf"(?m)^{key} = .*\n"
        found, count = re.subn(pattern, "", text)
        assert count == 1
        return found

    return edit


TOML: dict[str, tuple[Edit, str, str]] = {
    "no TOML": (lambda text: text + "[reward\n", "ChallengeFileBroken", "line 49"),
    "not UTF-8": (lambda text: text.replace("Yes or no", "\udcff"), "ChallengeFileBroken", "utf-8"),
    "a section is missing": (without("[reward]"), "ChallengeFileBroken", "reward"),
    "a key is missing": (without("target"), "ChallengeFileBroken", "target"),
    "a key is misspelt": (
        lambda text: text.replace("threshold", "treshold"),
        "ChallengeFileBroken",
        "did you mean `threshold`",
    ),
    "a number is text": (set_to("group_rows", '"four"'), "ChallengeFileBroken", "group_rows"),
    "a fraction of all": (set_to("test_fraction", "1.0"), "ChallengeFileBroken", "test_fraction"),
    "no duration": (set_to("submit", '"4 days"'), "ChallengeFileBroken", "4 days"),
    "no time at all": (set_to("vote", '"0h"'), "ChallengeFileBroken", "0h"),
    "negative money": (set_to("fee", "-1"), "ChallengeFileBroken", "-1"),
    "too fine a score": (set_to("threshold", '"0.1234567891"'), "ChallengeFileBroken", "9 places"),
    "an impossible score": (set_to("threshold", '"1.5"'), "Unplayable", "1500000000"),
    "a name that is none": (set_to("name", '"../up"'), "ChallengeFileBroken", "name"),
    "an unknown metric": (set_to("metric", '"accuracie"'), "UnknownMetric", "accuracie"),
    "an unknown mechanism": (set_to("mechanism", '"lottery"'), "ChallengeFileBroken", "lottery"),
    "no address": (set_to("addresses", '["0x12"]'), "ChallengeFileBroken", "addresses"),
    "a missing source": (set_to("source", '"no.csv"'), "SourceBroken", "no.csv"),
    "a source of no kind": (set_to("source", '"../x.xlsx"'), "SourceBroken", "x.xlsx"),
    "a target that does not exist": (set_to("target", '"sort"'), "ColumnMissing", "sort"),
    "too few rows": (set_to("group_rows", "1000"), "TooFewRows", "40"),
    "too many columns": (set_to("shape", "[1]"), "SourceBroken", "2"),
}


@pytest.mark.parametrize("case", TOML)
@pytest.mark.parametrize("command", ["check", "create"])
def test_a_challenge_file_that_is_off(at: At, command: str, case: str) -> None:
    edit, error, said = TOML[case]
    danku = at("made").of("organizer")
    file = danku.folder / PLACE / "challenge.toml"
    file.write_bytes(edit(file.read_text()).encode("utf-8", "surrogateescape"))
    with unchanged(danku):
        run = danku.refused("challenge", command, PLACE, code=5, error=error)
    assert said in " ".join(run.json.values())


def test_no_challenge_file(at: At) -> None:
    danku = at("made").of("organizer")
    with unchanged(danku):
        danku.refused("challenge", "check", "challenges", code=5, error="ChallengeFileBroken")
        danku.refused("challenge", "create", "no/where", code=5, error="ChallengeFileBroken")


TERMS = {
    "a bond below half the pot": set_to("organizer_bond", "4999"),
    "more submissions each than in all": set_to("max_submissions", "21"),
    "more contributions than seats": set_to("min_contributions", "4"),
    "the organizer judges": lambda text: text.replace(
        'addresses = ["', f'addresses = ["{key_of("organizer").address}", "'
    ),
    "a judge twice": lambda text: re.sub(r"addresses = \[(\S*)", r"addresses = [\1 \1", text),
}


@pytest.mark.parametrize("case", TERMS)
def test_terms_that_no_ledger_takes(at: At, case: str) -> None:
    danku = at("made").of("organizer")
    file = danku.folder / PLACE / "challenge.toml"
    file.write_text(TERMS[case](file.read_text()))
    with unchanged(danku):
        run = danku.refused("challenge", "create", PLACE, code=3, error="BadTerms")
    assert run.json["why"] and run.json["fix"]


ROWS = {
    "a target of no class": (5, "-3,5,perhaps", "TargetBroken", "perhaps"),
    "a missing target": (6, "-3,6,", "TargetBroken", "8"),
    "a feature that is no number": (8, "high,8,yes", "FeatureBroken", "high"),
    "an infinite feature": (9, "inf,9,no", "FeatureBroken", "11"),
    "a short row": (10, "1,yes", "SourceBroken", "12"),
}


@pytest.mark.parametrize("case", ROWS)
def test_a_row_that_cannot_be_used(at: At, case: str) -> None:
    row, text, error, said = ROWS[case]
    danku = at("made").of("organizer")
    data = danku.folder / "private" / "data.csv"
    lines = data.read_text().splitlines()
    lines[1 + row] = text
    data.write_text("\n".join(lines) + "\n")
    with unchanged(danku):
        run = danku.refused("challenge", "create", PLACE, code=5, error=error)
    assert said in run.json["what"] + run.json["why"]


@pytest.fixture
def regression(empty: Danku) -> Danku:
    """A challenge of values, not yet created."""
    empty("init", ".", "--sandbox", "--play-money", "100000")
    changes = {"output": '"value"', "classes": "[]", "metric": '"rmse"', "target": '"y"'}
    write_challenge(empty.folder, **changes)
    rows = "".join(f"{row % 4},{row % 2},{row}\n" for row in range(40))
    (empty.folder / "private" / "data.csv").write_text("a,b,y\n" + rows)
    return empty


@pytest.mark.parametrize("value", ["nan", "NaN", "inf", "", "many"])
def test_a_target_that_is_no_number(regression: Danku, value: str) -> None:
    data = regression.folder / "private" / "data.csv"
    data.write_text(data.read_text().replace("\n3,1,7\n", f"\n3,1,{value}\n", 1))
    with unchanged(regression):
        regression.of("organizer").refused(
            "challenge", "create", PLACE, code=5, error="TargetBroken"
        )


@pytest.mark.usefixtures("quick")
def test_a_key_file_with_a_wrong_password(at: At) -> None:
    danku = at("train")
    danku("keys", "new", "mine")
    file = danku.folder / "keys" / "mine.json"
    whole = file.read_bytes()
    wrong = Danku(danku.folder, {"DANKU_AS": "mine", "DANKU_PASSWORD": "wrong"})
    with unchanged(danku):
        for words in (["advance", NAME], ["claim"], ["model", "submit", NAME, "alice.onnx"]):
            wrong.refused(*words, code=5, error="WrongPassword")
    for damaged in (whole[:-5], whole.replace(b'"version": 3', b'"version": 4'), b""):
        file.write_bytes(damaged)
        with unchanged(danku):
            danku.refused("claim", "--as", "mine", code=5, error="KeyFileBroken")


def _onnx(
    nodes: list[onnx.NodeProto],
    output: int = TensorProto.INT64,
    *,
    kind: int = TensorProto.FLOAT,
    shape: tuple[str | int, ...] = ("batch", 2),
    constants: dict[str, list[float]] | None = None,
) -> onnx.ModelProto:
    tensors = [
        numpy_helper.from_array(np.array(value, np.float32), name)
        for name, value in (constants or {}).items()
    ]
    graph = helper.make_graph(
        nodes,
        "bad",
        [helper.make_tensor_value_info("x", kind, list(shape))],
        [helper.make_tensor_value_info("y", output, None)],
        tensors,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _external() -> onnx.ModelProto:
    made = onnx.load_from_string(model(0.0))
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    return made


_first = helper.make_node("ArgMax", ["x"], ["y"], axis=1, keepdims=0)
MODELS: dict[str, tuple[Callable[[], onnx.ModelProto | bytes], str]] = {
    "not ONNX": (lambda: b"PK\x03\x04 no model", "not an ONNX model"),
    "nothing": (lambda: b"", "not an ONNX model"),
    "text": (lambda: b"import torch", "not an ONNX model"),
    "cut short": (lambda: model(0.0)[:-20], "not an ONNX model"),
    "with external data": (_external, "external"),
    "of doubles": (lambda: _onnx([_first], kind=TensorProto.DOUBLE), "float64"),
    "of other rows": (lambda: _onnx([_first], shape=("batch", 3)), "[?, 3]"),
    "of one long row": (lambda: _onnx([_first], shape=(2,)), "[2]"),
    "of rows without end": (lambda: _onnx([_first], shape=("batch", "width", 2)), "[?, ?, 2]"),
    "with an unknown operator": (
        lambda: _onnx([helper.make_node("RandomNormalLike", ["x"], ["y"])]),
        "unsupported operator RandomNormalLike",
    ),
    "that gives floats": (
        lambda: _onnx([helper.make_node("Relu", ["x"], ["y"])], TensorProto.FLOAT),
        "found float32 [8, 2]",
    ),
    "that gives one row": (
        lambda: _onnx([helper.make_node("ArgMax", ["x"], ["y"], axis=0, keepdims=0)]),
        "wrong number of rows",
    ),
}


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("case", MODELS)
def test_a_model_that_validators_would_reject(at: At, case: str) -> None:
    make, said = MODELS[case]
    danku = at("train").of("alice")
    made = make()
    data = made if isinstance(made, bytes) else made.SerializeToString()
    (danku.folder / "bad.onnx").write_bytes(data)
    refusals = {"check": "ModelRejected", "submit": "ModelRejected", "score": "WouldBeRejected"}
    with unchanged(danku):
        for command, error in refusals.items():
            run = danku.refused("model", command, NAME, "bad.onnx", code=5, error=error)
            assert said in run.json["what"]


@pytest.mark.usefixtures("quick")
def test_a_model_file_that_is_missing_or_too_large(at: At) -> None:
    danku = at("train").of("alice")
    with (danku.folder / "large.onnx").open("wb") as file:
        file.truncate(2**24 + 1)
    with unchanged(danku):
        for command in ("check", "submit"):
            run = danku.refused("model", command, NAME, "large.onnx", code=5, error="ModelTooLarge")
            assert str(2**24 + 1) in run.json["what"]
            danku.refused("model", command, NAME, "no.onnx", code=5, error="ModelUnreadable")


@pytest.mark.usefixtures("quick")
def test_a_model_that_fails_on_the_data_only(regression: Danku) -> None:
    for step in STAGES[1:5]:
        step(regression)
    alice = regression.of("alice")
    ratio = [
        helper.make_node("ReduceSum", ["x", "axes"], ["sum"], keepdims=0),
        helper.make_node("Div", ["sum", "sum"], ["y"]),
    ]
    made = _onnx(ratio, TensorProto.FLOAT)
    made.graph.initializer.append(numpy_helper.from_array(np.array([1], np.int64), "axes"))
    (alice.folder / "bad.onnx").write_bytes(made.SerializeToString())
    with unchanged(alice):
        for command in ("check", "submit", "score"):
            run = alice.refused("model", command, NAME, "bad.onnx", code=5, error="WouldBeRejected")
            assert "NaN" in run.json["what"]
    made = alice("model", "submit", NAME, "bad.onnx", "--unchecked")
    assert made["submission"] == 0, "who insists may lose its bond"
