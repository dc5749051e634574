"""The feature cache in this process: least recently used out first, bounded in bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from service.embedding.features import PictureFeatures

_ENTRY_BYTES: Final = 1024
"""What an entry takes beside its vectors: keys, dictionary, array headers; estimated generously."""


class MemoryCache:
    """Implements :class:`service.storage.cache.FeatureCache`. For use on one event loop.

    Args:
        max_bytes: of all entries together; 0 keeps nothing.
    """

    def __init__(self, max_bytes: int) -> None:
        if max_bytes < 0:
            raise ValueError(f"max_bytes must not be negative, not {max_bytes}")
        self._max_bytes = max_bytes
        self._entries: OrderedDict[tuple[str, str], PictureFeatures] = OrderedDict()
        self.size_bytes = 0
        self.shared: Final = None

    async def get(self, fingerprint: str, digest: str) -> PictureFeatures | None:
        """See :meth:`FeatureCache.get`."""
        key = (fingerprint, digest)
        features = self._entries.get(key)
        if features is not None:
            self._entries.move_to_end(key)
        return features

    async def put(self, fingerprint: str, features: PictureFeatures) -> None:
        """See :meth:`FeatureCache.put`."""
        key = (fingerprint, features.digest)
        before = self._entries.pop(key, None)
        vectors: dict[int, npt.NDArray[np.float32]] = {}
        if before is not None:
            self.size_bytes -= _bytes(before)
            vectors.update(before.embeddings)
        vectors.update({code: _own(vector) for code, vector in features.embeddings.items()})
        entry = PictureFeatures(
            digest=features.digest,
            occlusion=features.occlusion,
            scores=None if features.scores is None else _own(features.scores),
            embeddings=MappingProxyType(vectors),
        )
        self._entries[key] = entry
        self.size_bytes += _bytes(entry)
        while self.size_bytes > self._max_bytes:
            _, oldest = self._entries.popitem(last=False)
            self.size_bytes -= _bytes(oldest)

    async def forget(self, fingerprint: str, digests: Collection[str]) -> bool:
        """See :meth:`FeatureCache.forget`."""
        for digest in digests:
            entry = self._entries.pop((fingerprint, digest), None)
            if entry is not None:
                self.size_bytes -= _bytes(entry)
        return True

    async def close(self) -> None:
        """See :meth:`FeatureCache.close`."""
        self._entries.clear()
        self.size_bytes = 0


def _own(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """A read-only copy: a row's view would keep its whole batch in memory."""
    copy = np.array(values, dtype=np.float32)
    copy.setflags(write=False)
    return copy


def _bytes(features: PictureFeatures) -> int:
    return _ENTRY_BYTES + sum(vector.nbytes for vector in features.embeddings.values())
