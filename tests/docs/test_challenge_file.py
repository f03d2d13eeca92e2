"""The organizers' page tells every key of challenge.toml, with its default and bounds."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from danku.dataset import lint as data_lint
from danku.errors import DankuError
from danku.evaluation.metrics import METRICS
from danku.mechanisms.definition import MECHANISMS
from danku.protocol.initialization import check_terms
from danku.protocol.manifest import DataDescription, Limits, Manifest
from danku.protocol.records import decode, encode
from danku.protocol.terms import Terms
from danku.protocol.types import ZERO_ADDRESS, ZERO_DIGEST
from danku.roles import lint
from danku.roles.challenge_file import (
    ChallengeFile,
    evaluation_of,
    mechanism_of,
    panel_of,
    read_challenge_file,
    reward_of,
    schedule_of,
)
from tests.docs.page import DOCS

PAGE = (DOCS / "organizer.md").read_text("utf-8")
SECTIONS: dict[str, Any] = {
    **{field.name: field.type for field in msgspec.structs.fields(ChallengeFile)},
    "evaluation.limits": Limits,
}
REQUIRED = "required"


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading."""
    found = re.search(r"(?m)^(?:\|.*\n)+", PAGE.split(f"\n### {heading}\n")[1])
    assert found is not None
    table = found[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


def keys(section: str) -> dict[str, list[str]]:
    return {row[0].strip("`"): row for row in rows(f"`[{section}]`")}


def default_of(field: Any) -> str:
    if field.default is msgspec.NODEFAULT:
        return REQUIRED
    if field.default is None:
        return "none"
    value = list(field.default) if isinstance(field.default, tuple) else field.default
    return f"`{msgspec.json.encode(value).decode()}`"


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_is_told_with_its_default(section: str) -> None:
    told = {key: row[2] for key, row in keys(section).items()}
    own = [field for field in msgspec.structs.fields(SECTIONS[section]) if field.name != "limits"]
    assert told == {field.name: default_of(field) for field in own}


SETTINGS: dict[str, dict[str, Any]] = {
    "challenge": {"name": "n", "title": "t", "summary": "s"},
    "data": {"source": "s", "target": "t", "group_rows": 1, "test_fraction": 0.5, "group_by": "g"},
    "evaluation": {"metric": "f1", "threshold": "0.5", "batch": 1},
    "evaluation.limits": {},
    "model": {"shape": [1], "output": "label", "classes": ["a", "b"]},
    "schedule": dict.fromkeys(keys("schedule"), "1h"),
    "reward": {
        **dict.fromkeys(list(keys("reward"))[:6], 0),
        "max_submissions": 1,
        "max_entries": 100_000,
        "mechanism": "top-k",
        "shares": [1],
    },
    "validators": {"panel": "seats", "seats": 16, "minority_share": 5_000, "silence_share": 1},
}
NAMED = {"panel": "named", "addresses": [f"0x{1:040x}"]}


def taken(folder: Path, section: str, **changes: Any) -> bool:
    """Whether a challenge.toml with these settings is taken, as `danku challenge create` would."""
    settings = {**SETTINGS, section: {**SETTINGS[section], **changes}}
    if "addresses" in changes:
        settings["validators"] = {**NAMED, **changes}
    path = folder / "challenge.toml"
    lines = []
    for name, values in settings.items():
        # NOTE: JSON's texts, numbers and lists are TOML's as well.
        lines += [f"[{name}]", *(f"{key} = {json.dumps(each)}" for key, each in values.items())]
    path.write_text("\n".join(lines))
    try:
        file = read_challenge_file(path)
        mechanism = mechanism_of(file, path)
        manifest = Manifest(
            name=file.challenge.name,
            title=file.challenge.title,
            summary=file.challenge.summary,
            data=DataDescription((), file.data.target, 10),
            evaluation=evaluation_of(file, path),
            model=file.model,
            mechanism=mechanism,
        )
        decode(encode(manifest), Manifest, "manifest")
        terms = Terms(
            manifest=ZERO_DIGEST,
            data_root=ZERO_DIGEST,
            groups=10,
            test_groups=5,
            seed_source="contributions",
            min_contributions=file.validators.min_contributions,
            schedule=schedule_of(file),
            reward=reward_of(file, path),
            panel=panel_of(file, path),
        )
        if section == "validators":
            check_terms(decode(encode(terms), Terms, "terms"), ZERO_ADDRESS[:-3] + "fff")
    except DankuError:
        return False
    return True


def of_size(section: str, key: str, kind: str, size: int) -> Any:
    """A value of a key that is as large, or as long, as a bound says."""
    if kind == "text":
        return "a" * size
    if kind == "duration":
        return f"{size}s"
    if kind == "amount":
        return str(size)
    if kind == "list of integers":
        return [1] * size
    if key == "addresses":
        return [f"0x{number:040x}" for number in range(1, size + 1)]
    if kind == "list of texts":
        return [str(number) for number in range(size)]
    return size


BOUNDED = [
    (section, key, row[1], *map(int, re.findall(r"\d+", row[3].replace(",", ""))))
    for section in SECTIONS
    for key, row in keys(section).items()
    if re.match(r"[\d,]+ to [\d,]+", row[3])
]


def test_bounds_are_told() -> None:
    assert len(BOUNDED) >= 35


@pytest.mark.parametrize(("section", "key", "kind", "least", "most"), BOUNDED)
def test_bounds_are_those_of_the_code(
    tmp_path: Path, section: str, key: str, kind: str, least: int, most: int
) -> None:
    for size, fits in ((least, True), (most, True), (most + 1, False), (least - 1, False)):
        if size >= 0 or kind in ("integer", "amount"):
            value = of_size(section, key, kind, size)
            assert taken(tmp_path, section, **{key: value}) is fits, (key, size)


def test_choices_are_those_of_the_code(tmp_path: Path) -> None:
    for key in ("output", "dtype"):
        for choice in keys("model")[key][3].split(", "):
            assert taken(tmp_path, "model", **{key: choice})
        assert not taken(tmp_path, "model", **{key: "string"})
    fields = {field.name: field.type for field in msgspec.structs.fields(SECTIONS["model"])}
    for key in ("output", "dtype"):
        assert keys("model")[key][3].split(", ") == list(fields[key].__args__)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.1])
def test_the_test_fraction_is_above_0_and_below_1(tmp_path: Path, fraction: float) -> None:
    assert keys("data")["test_fraction"][3] == "above 0, below 1"
    assert taken(tmp_path, "data", test_fraction=1e-9)
    assert not taken(tmp_path, "data", test_fraction=fraction)


def test_the_suggested_calendars_can_be_written(tmp_path: Path) -> None:
    suggested = re.findall(
        r"^\| `\w+`[^|]*\|((?: \d+[smhd](?:, \d+[smhd])* \|)+)$", PAGE, re.MULTILINE
    )
    lengths = re.findall(r"\d+[smhd]", " ".join(suggested))
    assert len(lengths) == 3 * len(keys("schedule"))
    for length in lengths:
        assert taken(tmp_path, "schedule", submit=length)


def test_metrics_and_mechanisms_are_told() -> None:
    kinds = ("label", "probabilities", "value")
    assert {row[0].strip("`"): row[1:3] for row in rows("Metrics")} == {
        name: [
            " or ".join(kind for kind in kinds if each.accepts(kind)),
            "higher" if each.higher_is_better else "lower",
        ]
        for name, each in METRICS.items()
    }
    told = {row[0].strip("`"): row[1] for row in rows("Mechanisms")}
    assert told == {name: each.meaning for name, each in MECHANISMS.items()}


def test_findings_are_told() -> None:
    text = inspect.getsource(lint) + inspect.getsource(data_lint)
    codes = set(re.findall(r'Finding\(\s*"([a-z-]+)"', text))
    assert len(codes) >= 10
    assert {row[0].strip("`") for row in rows("Findings of `check`")} == codes
