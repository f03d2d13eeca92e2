"""Ready-made challenges are found in a checkout and in an installed wheel."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import danku
from danku.dataset import shipped
from danku.errors import DataError

CHECKOUT = Path(__file__).resolve().parents[2]


def install(site: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pretend that danku is installed in ``site``; return its package folder."""
    package = site / "danku"
    monkeypatch.setattr(shipped, "__file__", str(package / "dataset" / "shipped.py"))
    return package


def test_each_folder_is_complete() -> None:
    found = shipped.shipped_challenges()
    assert list(found) == sorted(found)
    assert "breast-cancer" in found
    for folder in found.values():
        for name in ("challenge.toml", "data.csv", "baseline.py", "README.md"):
            assert (folder / name).is_file()


def test_an_installed_wheel_reads_its_own_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = install(tmp_path, monkeypatch)
    own = package / "challenges_shipped" / "own"
    stranger = tmp_path / "challenges" / "stranger"
    for folder in (own, stranger, package / "challenges_shipped" / "no-terms"):
        folder.mkdir(parents=True)
    for folder in (own, stranger):
        (folder / "challenge.toml").touch()

    assert shipped.shipped_challenges() == {"own": own}


def test_an_installation_without_challenges_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch)
    with pytest.raises(DataError, match="ready-made challenges are missing") as caught:
        shipped.shipped_challenges()
    assert "install danku again" in caught.value.fix


def test_the_wheel_puts_them_where_they_are_looked_for() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["force-include"] == {"challenges": "danku/challenges_shipped"}
    assert project["tool"]["hatch"]["version"]["path"] == "danku/__init__.py"
    assert danku.__version__
