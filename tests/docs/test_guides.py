"""The guides' code runs, and what it exports is admitted, scored and submitted."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.docs.page import DOCS
from tests.docs.play import prepared

TORCH = all(map(find_spec, ("torch", "onnxscript")))


def play(guide: str, folder: Path, patch: pytest.MonkeyPatch) -> None:
    prepared(patch, folder).page(DOCS / f"from-{guide}.md")


@pytest.mark.parametrize("guide", ["scikit-learn", "xgboost"])
def test_a_guide_leads_to_a_submission(
    guide: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(guide, tmp_path, monkeypatch)


@pytest.mark.soak
@pytest.mark.skipif(
    not TORCH, reason="needs torch, which danku does not: pip install torch onnxscript"
)
def test_the_guide_for_pytorch_leads_to_a_submission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play("pytorch", tmp_path, monkeypatch)
