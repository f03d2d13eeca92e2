"""docs/oracles.md is about the models that the tests check, and keeps the promises."""

from __future__ import annotations

import re

import pytest

from tests.conformance import model_oracles
from tests.evaluation import oracles

PUBLISHED = model_oracles.PAGE.read_text(encoding="utf-8")
FAMILIES: dict[str, set[str]] = {}
for _case in model_oracles.cases():
    FAMILIES.setdefault(_case.family, set()).add(_case.name)


def published(family: str) -> dict[str, list[float]]:
    """The figures of each model: apart, ours, theirs."""
    section = PUBLISHED.split(f"\n## {family}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|", section, re.M)
    return {
        name: [0.0 if figure == "-" else float(figure) for figure in figures]
        for name, *figures in rows
        if name not in ("model", "---")
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_every_model_is_published_and_within_the_bounds(family: str) -> None:
    found = published(family)
    assert set(found) == FAMILIES[family]
    for name, (apart, ours, theirs) in found.items():
        assert apart <= oracles.TOLERANCE, name
        # NOTE: two digits are shown, and half a unit in the last place is at most 2^-24.
        assert ours <= 1.1 * (oracles.FARTHER * theirs + 2**-24), name


def test_the_promised_number_of_models_is_there() -> None:
    trained = {family for family in FAMILIES if not family.startswith("PyTorch")}
    assert sum(len(FAMILIES[family]) for family in trained) >= 40
