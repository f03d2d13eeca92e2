"""The ready-made challenges that come with danku."""

from __future__ import annotations

from pathlib import Path

from danku.errors import DataError


def shipped_challenges() -> dict[str, Path]:
    """The folders of the ready-made challenges by name, in name order.

    Each holds ``challenge.toml``, ``data.csv``, ``baseline.py`` and ``README.md``.

    Raises:
        DataError: the installation lacks them.
    """
    package = Path(__file__).resolve().parent.parent
    # NOTE: the wheel carries the checkout's top-level folder inside the package.
    installed = package / "challenges_shipped"
    folder = installed if installed.is_dir() else package.parent / "challenges"
    found = {terms.parent.name: terms.parent for terms in sorted(folder.glob("*/challenge.toml"))}
    if not found:
        raise DataError(
            "the ready-made challenges are missing",
            why=f"there is no folder with a challenge.toml in {folder}",
            fix="install danku again, or run it from a complete checkout",
        )
    return found
