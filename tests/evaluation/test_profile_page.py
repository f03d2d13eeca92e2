"""docs/exact-1.md states the profile that the code has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from danku.evaluation import profile, wire
from danku.evaluation.registry import catalogue

PAGE = (Path(__file__).parents[2] / "docs" / "exact-1.md").read_text(encoding="utf-8")


def section(number: str) -> str:
    return PAGE.split(f"\n### {number} ")[1].split("\n### ")[0]


@pytest.mark.parametrize(("number", "domain"), [("10.3", ""), ("10.4", "ai.onnx.ml")])
def test_every_operator_is_defined(number: str, domain: str) -> None:
    rows = re.findall(r"^\| ([A-Z][\w, ]*) \|", section(number), re.MULTILINE)
    listed = [name for row in rows for name in row.split(", ")]
    assert sorted(listed) == sorted(name for place, name in catalogue() if place == domain)


def test_every_allowed_field_is_listed() -> None:
    rows = re.findall(r"^\| (\w+) \| ([\d ]+) \|$", section("10.1"), re.MULTILINE)
    listed = {name: [int(number) for number in numbers.split()] for name, numbers in rows}
    assert listed == {
        name: [number for number, field in fields.items() if field.kind != "refused"]
        for name, fields in wire.MESSAGES.items()
    }


def test_the_bounds_are_those_of_the_code() -> None:
    bounds = section("10.1")
    for value in (
        *("{} to {}".format(*profile.OPSETS[domain]) for domain in profile.OPSETS),
        "IR version | {} to {}".format(*profile.IR_VERSIONS),
        f"nesting of messages | {profile.MESSAGE_DEPTH} ",
        f"{profile.MESSAGE_FIELDS:,}",
        f"{profile.NAME_BYTES:,} bytes; {profile.STRING_BYTES:,} bytes",
        f"{profile.NODE_ATTRIBUTES}, {profile.NODE_NAMES:,}",
        f"rank; one dimension | {profile.RANK}; 2^31 - 1",
    ):
        assert value in bounds
    assert f"plus {profile.NODE_OVERHEAD:,} for each" in section("10.2")
    assert f"A string counts {profile.STRING_COST} bytes" in section("10.2")
    assert (profile.DIMENSION, profile.ELEMENTS) == (2**31 - 1, 2**40)
