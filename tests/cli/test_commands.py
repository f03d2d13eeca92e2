"""Every command explains itself with an example that parses, and takes the common options."""

from __future__ import annotations

import shlex

import pytest

from tests.cli.driver import Danku
from tests.cli.words import COMMANDS, parse

COMMON = {"--json", "--yes", "--as", "--workspace", "--verbose"}


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_the_help_of_a_command_ends_in_an_example_that_parses(
    empty: Danku, path: tuple[str, ...]
) -> None:
    shown = empty.try_(*path, "--help")
    assert (shown.code, shown.err) == (0, "")
    *_, example = shown.out.strip().split("Example: ")
    words = shlex.split(example)
    assert tuple(words[: 1 + len(path)]) == ("danku", *path)
    parse(words[1:])


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_takes_the_common_options(path: tuple[str, ...]) -> None:
    options = {name for option in COMMANDS[path].params for name in option.opts}
    assert options >= COMMON
    assert all(getattr(option, "help", None) for option in COMMANDS[path].params)


def test_lists_of_commands_cut_no_summary_off(empty: Danku) -> None:
    groups = {path[:-1] for path in COMMANDS}
    for group in groups:
        assert "..." not in empty.try_(*group, "--help").out.replace("[ARGS]...", "")


def test_the_words_danku_alone_show_the_help_as_a_usage_error(empty: Danku) -> None:
    run = empty.try_()
    assert run.code == 2
    assert run.out == ""
    assert "Commands:" in run.err


def test_the_version(empty: Danku) -> None:
    import danku

    assert empty.try_("--version").out.strip() == danku.__version__
