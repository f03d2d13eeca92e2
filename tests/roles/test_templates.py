"""A challenge from a ready-made one: playable as it is, its data out of others' sight."""

from __future__ import annotations

import stat
import tomllib
from pathlib import Path

import pytest

from danku.dataset.shipped import shipped_challenges
from danku.errors import UsageError
from danku.roles.lint import lint
from danku.roles.organizer import read_draft
from danku.roles.setup import make_workspace
from danku.roles.templates import BadName, FolderExists, UnknownTemplate, new_challenge
from danku.roles.workspace import Workspace

PANEL = [f"0x{number:040X}" for number in (0xA, 0xB, 0xC)]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path / "root", sandbox=True)


@pytest.mark.parametrize("template", sorted(shipped_challenges()))
def test_every_ready_made_challenge_can_be_played_as_it_is(
    workspace: Workspace, template: str
) -> None:
    folder = new_challenge(workspace, "mine", template, PANEL)
    draft = read_draft(folder / "challenge.toml")
    assert draft.manifest.name == "mine"
    assert draft.terms.panel.members == tuple(address.lower() for address in PANEL)
    assert {finding.code for finding in lint(draft)} <= {"single-class-groups"}


def test_the_data_goes_to_the_private_folder(workspace: Workspace) -> None:
    folder = new_challenge(workspace, None, "breast-cancer", PANEL)
    assert folder == workspace.root / "challenges" / "breast-cancer"
    assert sorted(path.name for path in folder.iterdir()) == [
        *("README.md", "baseline.py", "challenge.toml")
    ]
    assert not list(workspace.public.rglob("*.csv"))
    stated = tomllib.loads((folder / "challenge.toml").read_text("utf-8"))["data"]["source"]
    data = (folder / stated).resolve()
    assert data.is_relative_to(workspace.private.resolve())
    shipped = shipped_challenges()["breast-cancer"] / "data.csv"
    assert data.read_bytes() == shipped.read_bytes()
    assert stat.S_IMODE(data.parent.stat().st_mode) == 0o700


def test_only_the_stated_lines_change(workspace: Workspace) -> None:
    folder = new_challenge(workspace, "mine", "breast-cancer", PANEL)
    found = (folder / "challenge.toml").read_text("utf-8").splitlines()
    shipped = (shipped_challenges()["breast-cancer"] / "challenge.toml").read_text("utf-8")
    changed = [
        new.split(" = ")[0]
        for old, new in zip(shipped.splitlines(), found, strict=True)
        if old != new
    ]
    assert changed == ["name", "source", "addresses"]


def test_without_validators_the_panel_is_the_organizers_to_name(workspace: Workspace) -> None:
    folder = new_challenge(workspace, None, "digits", [])
    assert tomllib.loads((folder / "challenge.toml").read_text())["validators"]["addresses"] == []


def test_nothing_is_overwritten(workspace: Workspace) -> None:
    folder = new_challenge(workspace, None, "digits", [])
    (folder / "challenge.toml").write_text("mine")
    with pytest.raises(FolderExists):
        new_challenge(workspace, None, "digits", [])
    assert (folder / "challenge.toml").read_text() == "mine"
    other = new_challenge(workspace, "other-digits", "digits", [])
    assert other != folder


def test_private_data_of_the_same_name_is_left_alone(workspace: Workspace) -> None:
    data = workspace.private / "sources" / "digits" / "data.csv"
    data.parent.mkdir(parents=True)
    data.write_text("mine")
    with pytest.raises(FolderExists):
        new_challenge(workspace, None, "digits", [])
    assert data.read_text() == "mine"
    assert not (workspace.root / "challenges" / "digits").exists()


def test_an_unknown_template_names_the_known_ones(workspace: Workspace) -> None:
    with pytest.raises(UnknownTemplate) as raised:
        new_challenge(workspace, None, "mnist", [])
    assert all(name in raised.value.fix for name in shipped_challenges())


@pytest.mark.parametrize(
    "name", ["", "..", "../out", "/tmp/out", "Big", "a b", "-a", "a" * 49, "a/b", "a\n", "ä"]
)
def test_a_name_that_no_challenge_can_have(workspace: Workspace, name: str) -> None:
    before = sorted(workspace.root.parent.rglob("*"))
    with pytest.raises(BadName) as raised:
        new_challenge(workspace, name, "digits", [])
    assert isinstance(raised.value, UsageError)
    assert sorted(workspace.root.parent.rglob("*")) == before
