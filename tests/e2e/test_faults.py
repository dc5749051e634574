"""The scenarios of `make soak` that break what the service stands on, in short."""

from __future__ import annotations

from pathlib import Path

from tests.serving import serving
from tests.soak.redis_faults import redis_faults


def test_redis_wiped_slowed_and_stopped_under_load_costs_no_answer(tmp_path: Path) -> None:
    found = redis_faults(tmp_path, 1, serving)
    assert (found.faults, found.wrong, found.amiss, found.used_again) == (0, 0, 0, 1), found
