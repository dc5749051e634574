"""Cores: those the process may run on, and no more than its container's share of time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from service.cores import usable_cores

CORES = 8


@pytest.fixture(autouse=True)
def a_machine_of_eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(CORES)))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("quota", "period", "share"),
    [
        ("50000", "100000", 1),
        ("100000", "100000", 1),
        ("150000", "100000", 2),
        ("75000", "25000", 3),
        ("6400000", "100000", CORES),
    ],
)
def test_share_of_time_bounds_the_cores(quota: str, period: str, share: int, tmp_path: Path) -> None:
    second, first = tmp_path / "v2", tmp_path / "v1"
    _write(second / "cpu.max", f"{quota} {period}\n")
    assert usable_cores(second) == share
    first.mkdir()
    _write(first / "cpu" / "cpu.cfs_quota_us", f"{quota}\n")
    _write(first / "cpu" / "cpu.cfs_period_us", f"{period}\n")
    assert usable_cores(first) == share


def test_without_a_bound_all_cores_count(tmp_path: Path) -> None:
    assert usable_cores(tmp_path) == CORES
    _write(tmp_path / "cpu" / "cpu.cfs_quota_us", "-1\n")
    _write(tmp_path / "cpu" / "cpu.cfs_period_us", "100000\n")
    assert usable_cores(tmp_path) == CORES
    _write(tmp_path / "cpu.max", "max 100000\n")
    assert usable_cores(tmp_path) == CORES
