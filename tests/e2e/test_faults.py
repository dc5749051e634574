"""The scenarios of `make soak` that break what the service stands on, in short."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import PostgreSQLServer, folder_for_postgresql
from tests.serving import serving
from tests.soak.clock_jumps import clock_jumps
from tests.soak.disk_faults import NotPermitted, disk_faults
from tests.soak.erasures_without_redis import erasures_without_redis
from tests.soak.postgresql_faults import postgresql_faults
from tests.soak.redis_faults import redis_faults


@pytest.fixture
def postgresql() -> Iterator[PostgreSQLServer]:
    with folder_for_postgresql() as folder:
        server = PostgreSQLServer(folder)
        server.start()
        yield server
        server.stop()


def test_redis_wiped_slowed_and_stopped_under_load_costs_no_answer(tmp_path: Path) -> None:
    found = redis_faults(tmp_path, 1, serving)
    assert (found.faults, found.wrong, found.amiss, found.used_again) == (0, 0, 0, 1), found


def test_postgresql_cut_off_stopped_and_killed_under_load_loses_nothing(
    tmp_path: Path, postgresql: PostgreSQLServer
) -> None:
    found = postgresql_faults(tmp_path, 1, postgresql, serving)
    assert found.refused > 0
    assert (found.faults, found.wrong, found.amiss, found.left_over) == (0, 0, 0, 0), found


def test_a_full_and_a_read_only_disk_are_told_and_nothing_is_lost(tmp_path: Path) -> None:
    try:
        found = disk_faults(tmp_path, 1, serving)
    except NotPermitted as missing:
        pytest.skip(str(missing))
    assert found.refused.keys() == {503, 507}
    assert (found.faults, found.wrong, found.amiss, found.left_over) == (0, 0, 0, 0), found


def test_a_clock_that_jumps_ends_nothing_early_and_locks_nobody_out(tmp_path: Path) -> None:
    found = clock_jumps(tmp_path, 1, days=(400, -400))
    assert (found.faults, found.wrong, found.amiss) == (0, 0, 0), found
    assert (found.erased_early, found.locked_out) == (0, 0), found


def test_who_is_erased_while_redis_is_away_is_gone_from_it_when_it_is_back(tmp_path: Path) -> None:
    found = erasures_without_redis(tmp_path, 1, serving)
    assert (found.erased, found.seen_before) == (3, 3)
    assert (found.left, found.left_in_catalog) == (0, 0), found
