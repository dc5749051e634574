"""The long proofs of `make soak`, in short: they run, and what they count holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.servers import PostgreSQLServer, folder_for_postgresql
from tests.soak import load
from tests.soak.erasure_kills import erasure_kills
from tests.soak.kills import kill_rounds
from tests.soak.load import mixed_load
from tests.soak.reindex_kills import reindex_kills


def test_nothing_acknowledged_is_lost_over_kills(tmp_path: Path) -> None:
    found = kill_rounds(tmp_path, 2)
    assert (found.rounds, found.lost, found.halves, found.faults) == (2, 0, 0, 0), found
    assert found.stored >= found.acknowledged > 0


def test_nothing_acknowledged_is_lost_over_a_kill_on_postgresql(tmp_path: Path) -> None:
    with folder_for_postgresql() as folder:
        server = PostgreSQLServer(folder)
        server.start()
        found = kill_rounds(tmp_path, 1, catalog_url=server.empty_database())
        server.stop()
    assert (found.lost, found.halves, found.faults) == (0, 0, 0), found
    assert found.stored >= found.acknowledged > 0


def test_who_was_erased_before_a_kill_is_nowhere_after_it(tmp_path: Path) -> None:
    found = erasure_kills(tmp_path, 1, a_round=8)
    assert (found.back, found.left, found.halves, found.faults) == (0, 0, 0, 0), found
    assert found.erased > 0


def test_a_kill_while_reindexing_leaves_the_old_index_or_a_whole_new_one(tmp_path: Path) -> None:
    found = reindex_kills(tmp_path, 1, pictures=30)
    assert (found.lost, found.halves, found.wrong, found.faults) == (0, 0, 0, 0), found
    assert found.finished >= 1


def test_mixed_load_meets_no_fault(tmp_path: Path) -> None:
    found = mixed_load(tmp_path, 0.1, pictures=60)
    assert (found.faults, found.wrong, found.amiss) == (0, 0, 0), found
    assert set(found.requests) == {"query", "enrol", "erase", "list"}
    assert replace(found, growth=0.0).held
    # without requests of each kind it proves nothing
    assert not replace(found, requests={"query": 1, "enrol": 1, "erase": 1}, growth=0.0).held


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_load_whose_clients_ended_early_does_not_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(*_: object) -> None:
        raise ValueError("no such answer")

    monkeypatch.setattr(load._Crowd, "_work", end)
    found = mixed_load(tmp_path, 0.02, workers=2, pictures=20)
    assert found.faults > 0, found
    assert found.examples[0].endswith("ended: ValueError('no such answer')")
    assert found.requests == {}  # those that filled the gallery are no load
    assert not replace(found, requests=dict.fromkeys(load._KINDS, 1), growth=0.0).held
