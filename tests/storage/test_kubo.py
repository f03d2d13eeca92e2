"""What Kubo's own code calls files and folders, and what we call them."""

from __future__ import annotations

import random
from pathlib import Path

import aleph_cid
import pytest

from danku.storage.cid import cid_of, folder_cid
from tests.storage.blocks import LEAF, LINKS, tree, version_0
from tests.storage.daemons import kubo_names, needs_kubo

SIZES = [0, 1, 12, LEAF - 1, LEAF, LEAF + 1, 3 * LEAF, 174 * LEAF, 174 * LEAF + 1]
LONG_SIZES = [175 * LEAF, 2 * LINKS * LEAF + 5, 300 * 2**20 + 3, 512 * 2**20]


def agree(folder: Path, sizes: list[int]) -> None:
    """Kubo gives CIDs of version 0 here, so a second writer of trees stands between it and us."""
    paths = []
    for size in sizes:
        path = folder / f"file-{size}"
        with path.open("wb") as file:
            for start in range(0, size, 2**24):
                file.write(random.Random(size + start).randbytes(min(2**24, size - start)))
        paths.append(path)
    for path, named in zip(paths, kubo_names(folder, paths), strict=True):
        data = path.read_bytes()
        assert version_0(tree(data, raw=False)[0]) == named
        assert aleph_cid.compute_cid(data) == named
        assert tree(data)[0] == cid_of(data)


@needs_kubo
def test_files_have_the_names_that_kubo_gives_them(tmp_path: Path) -> None:
    agree(tmp_path, SIZES)


@needs_kubo
@pytest.mark.soak
@pytest.mark.parametrize("size", LONG_SIZES)
def test_long_files_have_the_names_that_kubo_gives_them(tmp_path: Path, size: int) -> None:
    agree(tmp_path, [size])


def folders(root: Path, many: int) -> list[Path]:
    nested, flat = root / "nested", root / "flat"
    for path in (nested / "a", nested / "b" / "c" / "d", nested / "b" / "größe"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(path.name.encode() * 70_000)
    flat.mkdir()
    for number in range(many):
        (flat / f"a file with a long name, so that the folder is large, number {number}").touch()
    return [nested, flat]


@needs_kubo
@pytest.mark.parametrize("many", [20, pytest.param(6_000, marks=pytest.mark.soak)])
def test_folders_have_the_names_that_kubo_gives_them(tmp_path: Path, many: int) -> None:
    made = folders(tmp_path, many)
    assert kubo_names(tmp_path, made) == [
        aleph_cid.hash_folder(folder, cid_version=0, follow_symlinks=False) for folder in made
    ]
    assert len({folder_cid(folder) for folder in made}) == 2
