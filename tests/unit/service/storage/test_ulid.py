from __future__ import annotations

import time

from service.storage.ulid import PATTERN, new_ulid


def test_ids_are_distinct_well_formed_and_sort_by_time() -> None:
    earlier = [new_ulid() for _ in range(100)]
    time.sleep(0.002)
    later = new_ulid()
    assert len(set(earlier)) == 100
    assert all(PATTERN.fullmatch(id) for id in [*earlier, later])
    assert max(earlier) < later
