"""What many models are judged by alike: rows and terms, and their bytes for a worker process."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from danku.protocol import records
from danku.protocol.manifest import Manifest
from danku.protocol.types import Digest

if TYPE_CHECKING:
    from danku.evaluation.tensor import Array


@dataclass(frozen=True, eq=False)
class Yardstick:
    """Rows on which some of the models are scored as well."""

    features: Array
    """[rows, *shape] of the manifest's type."""
    target: Array
    """[rows]; class indices or values."""
    models: frozenset[Digest]
    """The names of those models."""


@dataclass(frozen=True, eq=False)
class Work:
    """Rows and terms; they must not be changed any more."""

    features: Array
    """[rows, *shape] of the manifest's type."""
    target: Array
    """[rows]; class indices or values."""
    manifest: Manifest
    yardstick: Yardstick | None = None

    def measured(self, names: Sequence[Digest]) -> tuple[int, ...]:
        """The places of those models that are scored on the yardstick as well."""
        if self.yardstick is None:
            return ()
        wanted = self.yardstick.models
        return tuple(place for place, name in enumerate(names) if name in wanted)

    @cached_property
    def frames(self) -> tuple[bytes, ...]:
        """The manifest, the rows and the yardstick's rows, if any, as a worker reads them."""
        from danku.dataset.groups import encode_group

        manifest, rows = records.encode(self.manifest), encode_group(self.features, self.target)
        if self.yardstick is None:
            return manifest, rows
        return manifest, rows, encode_group(self.yardstick.features, self.yardstick.target)

    @cached_property
    def digest(self) -> str:
        """Names these bytes, between a validator and its own worker; goes nowhere else."""
        hasher = hashlib.blake2b(digest_size=32)
        for frame in self.frames:
            hasher.update(len(frame).to_bytes(8, "big"))
            hasher.update(frame)
        return hasher.hexdigest()
