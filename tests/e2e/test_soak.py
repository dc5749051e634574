"""The long proofs of `make soak`, in short: they run, and what they count holds."""

from __future__ import annotations

from pathlib import Path

from tests.soak.kills import kill_rounds
from tests.soak.load import mixed_load


def test_nothing_acknowledged_is_lost_over_kills(tmp_path: Path) -> None:
    found = kill_rounds(tmp_path, 2)
    assert (found.rounds, found.lost, found.halves) == (2, 0, 0)
    assert found.stored >= found.acknowledged > 0


def test_mixed_load_meets_no_fault(tmp_path: Path) -> None:
    found = mixed_load(tmp_path, 0.1, pictures=60)
    assert (found.faults, found.wrong, found.amiss) == (0, 0, 0), found
    assert set(found.requests) == {"query", "enrol", "erase", "list"}
