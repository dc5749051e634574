"""The feature cache: what was once embedded is not embedded again. Derived, never the only copy."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from service.embedding.features import PictureFeatures


@dataclass(frozen=True, slots=True)
class SharedCache:
    """A cache that outlives the process.

    Attributes:
        name: which one it is, hex digits; the same for whoever uses it, and no secret.
        ttl_s: how long it keeps features after they were last written, seconds.
    """

    name: str
    ttl_s: int


class FeatureCache(Protocol):
    """(model fingerprint, SHA-256 of the picture's bytes) -> grade and features under some codes.

    No call fails: a cache that does not answer is a miss. Vectors come back bit by bit as they were
    put (float32), so that an answer does not depend on whether the cache was hit.
    """

    @property
    def shared(self) -> SharedCache | None:
        """What it is where it outlives the process; None where it does not."""

    async def get(self, fingerprint: str, digest: str) -> PictureFeatures | None:
        """What is known of a picture under a model; None where nothing is. Arrays are read-only."""

    async def put(self, fingerprint: str, features: PictureFeatures) -> None:
        """Remember features; codes put earlier for the same picture stay known."""

    async def forget(self, fingerprint: str, digests: Collection[str]) -> bool:
        """Forget pictures.

        Returns:
            False where the cache does not answer, or did not a moment ago, so that something put before may
            still arrive: they are to be forgotten again, a second later or more.
        """

    async def close(self) -> None:
        """Let go of connections and memory."""
