"""The scenarios of `make soak` that break what the service stands on, in short."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import PostgreSQLServer, folder_for_postgresql
from tests.serving import serving
from tests.soak.clock_jumps import clock_jumps
from tests.soak.disk_faults import NotPermitted, disk_faults, no_file_grows
from tests.soak.erasures_without_redis import erasures_without_redis
from tests.soak.postgresql_faults import postgresql_faults
from tests.soak.redis_faults import redis_faults
from tests.soak.takeovers import takeovers


@pytest.fixture
def postgresql() -> Iterator[PostgreSQLServer]:
    with folder_for_postgresql() as folder:
        server = PostgreSQLServer(folder)
        server.start()
        yield server
        server.stop()


def test_redis_late_wiped_frozen_and_stopped_under_load_costs_no_answer(tmp_path: Path) -> None:
    found = redis_faults(tmp_path, 1, serving)
    assert found.late > 0
    assert (found.faults, found.wrong, found.amiss, found.used_again) == (0, 0, 0, 1), found


def test_postgresql_cut_off_stopped_and_killed_under_load_loses_nothing(
    tmp_path: Path, postgresql: PostgreSQLServer
) -> None:
    found = postgresql_faults(tmp_path, 1, postgresql, serving)
    assert found.refused > 0
    assert (found.faults, found.wrong, found.amiss, found.left_over) == (0, 0, 0, 0), found


def test_a_service_whose_catalog_another_one_takes_over_ends_and_nothing_is_lost(
    tmp_path: Path, postgresql: PostgreSQLServer
) -> None:
    found = takeovers(tmp_path, 1, postgresql.empty_database(), writers=1)
    assert found.acknowledged > 0
    assert (found.faults, found.lost, found.halves, found.left_over) == (0, 0, 0, 0), found


def test_a_full_and_a_read_only_disk_are_told_and_nothing_is_lost(tmp_path: Path) -> None:
    """Root mounts; others do in namespaces of their own, or are left with the fault that anybody can make."""
    expected = {503, 507}
    try:
        found = disk_faults(tmp_path / "mounted", 1, serving)
    except NotPermitted:
        if (
            done := in_namespaces("-m", "tests.soak", "--only", "disk", "--faults", "1", "--json")
        ) is not None:
            assert json.loads(done)["held"], done
            return
        found, expected = no_file_grows(tmp_path / "limited", 1), {503}
    assert found.refused.keys() == expected
    assert (found.faults, found.wrong, found.amiss, found.left_over) == (0, 0, 0, 0), found


def in_namespaces(*python: str) -> str | None:
    """What Python prints where its user may mount; None where this user cannot be given that."""
    unshare = ["unshare", "--user", "--map-root-user", "--mount"]
    try:
        subprocess.run([*unshare, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    command = [*unshare, sys.executable, *python]
    return subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True).stdout


def test_a_clock_that_jumps_ends_nothing_early_and_locks_nobody_out(tmp_path: Path) -> None:
    found = clock_jumps(tmp_path, 1, days=(400, -400))
    assert (found.faults, found.wrong, found.amiss) == (0, 0, 0), found
    assert (found.erased_early, found.locked_out) == (0, 0), found


def test_who_is_erased_while_redis_is_away_is_gone_from_it_when_it_is_back(tmp_path: Path) -> None:
    found = erasures_without_redis(tmp_path, 1, serving)
    assert (found.erased, found.seen_before) == (3, 3)
    assert (found.left, found.left_in_catalog) == (0, 0), found
