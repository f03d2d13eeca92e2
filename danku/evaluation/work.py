"""What many models are judged by alike: rows and terms, and their bytes for a worker process."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from danku.protocol import records
from danku.protocol.manifest import Manifest

if TYPE_CHECKING:
    from danku.evaluation.tensor import Array


@dataclass(frozen=True, eq=False)
class Work:
    """Rows and terms; they must not be changed any more."""

    features: Array
    """[rows, *shape] of the manifest's type."""
    target: Array
    """[rows]; class indices or values."""
    manifest: Manifest

    @cached_property
    def frames(self) -> tuple[bytes, bytes]:
        """The manifest and the rows, as a worker reads them."""
        from danku.dataset.groups import encode_group

        return records.encode(self.manifest), encode_group(self.features, self.target)

    @cached_property
    def digest(self) -> str:
        """Names the bytes of both, between a validator and its own worker; goes nowhere else."""
        hasher = hashlib.blake2b(digest_size=32)
        for frame in self.frames:
            hasher.update(len(frame).to_bytes(8, "big"))
            hasher.update(frame)
        return hasher.hexdigest()
