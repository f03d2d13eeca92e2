"""The table of rules and the tests of them name the same rules."""

from __future__ import annotations

import ast
from pathlib import Path

import danku.protocol
from danku.protocol.errors import RULES

SOURCES = Path(danku.protocol.__file__).parent
TESTS = Path(__file__).parent


def _expected_refusals() -> set[str]:
    """Every string that a test compares with, or keeps as, the rule of a refusal."""
    return {
        node.value
        for path in TESTS.glob("test_rules_*.py")
        if path.name != Path(__file__).name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def _raised() -> set[str]:
    """The rule of every call of ``refuse`` and ``require`` in the protocol."""
    place = {"refuse": 0, "require": 1}
    rules = set()
    for path in SOURCES.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                if node.func.id in place and path.name != "errors.py":
                    rule = node.args[place[node.func.id]]
                    assert isinstance(rule, ast.Constant), "a rule is named where it is broken"
                    rules.add(rule.value)
    return rules


def test_every_rule_is_raised_somewhere_and_every_raised_rule_is_in_the_table() -> None:
    assert _raised() == set(RULES)


def test_a_test_expects_each_rule() -> None:
    assert set(RULES) <= _expected_refusals()
