"""How an index keeps and searches: what is flat, what is clustered, and of how many bits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from service.index.codec import Bits
from service.index.protocol import IndexKind

__all__ = ["BLOCK", "FLAT", "IndexOptions"]

BLOCK: Final = 16_384
"""Most pictures of a flat segment, 151 MB at D = 512: an update copies no more."""


@dataclass(frozen=True, slots=True)
class IndexOptions:
    """How an index keeps and searches.

    Attributes:
        flat_up_to: pictures of a part that are searched exactly; None: all, always.
        bits: of a component in clustered segments.
        share: of a clustered segment's pictures that a search looks at, above 0, to 1.
        least_clustered: instead of ``flat_up_to``, unless that is less, where a gallery's kind is
            ``clustered``; lists of fewer would save nothing.
    """

    flat_up_to: int | None = 100_000
    bits: Bits = 8
    share: float = 0.2
    least_clustered: int = BLOCK

    def of_kind(self, kind: IndexKind) -> IndexOptions:
        """The options of a gallery of this kind."""
        if kind == "flat":
            return replace(self, flat_up_to=None)
        if kind == "clustered":
            least = self.least_clustered
            return replace(self, flat_up_to=min(least, self.flat_up_to or least))
        return self


FLAT: Final = IndexOptions(flat_up_to=None)
