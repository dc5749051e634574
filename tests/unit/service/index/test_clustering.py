"""Segments that are rewritten while writers go on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from service.index import clustering
from service.index.codec import Codec
from service.index.segment import Segment


def test_what_is_erased_during_a_rewrite_is_in_no_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.random.default_rng(1).normal(size=(6, 9, 4)).astype(np.float16)
    ids = np.arange(6, dtype=np.int64)
    before = Segment.empty(Codec(4), 4, 6).appended(ids, ids, features)
    after = before
    blocks = clustering._blocks

    def erasing(*of: Any) -> Iterator[Any]:
        """The fourth picture is erased, and zeroed, when it is known to be alive and not yet copied."""
        nonlocal after
        after = before.without(np.array([3]))
        after.overwrite(np.array([3]))
        yield from blocks(*of)

    monkeypatch.setattr(clustering, "_blocks", erasing)
    made, places = clustering.compacted([before])
    made = clustering.caught_up(made, places, [after])
    assert made.count == 5
    np.testing.assert_allclose(
        made.total, np.delete(features, 3, axis=0).astype(np.float64).sum(axis=0), atol=1e-9
    )
