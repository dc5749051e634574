"""Anybody may ask whether the catalog answers; it is not asked more often for that."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from service.api import catalog_probe
from service.api.catalog_probe import CatalogProbe
from service.storage.database import Database


class Asked(Database):
    """A database that counts, waits for ``answering``, and fails with ``fault`` where there is one."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"sqlite:///{folder / 'catalog.sqlite3'}")
        self.looks = 0
        self.answering = threading.Event()
        self.fault: Exception | None = None

    def look(self) -> None:
        self.looks += 1
        assert self.answering.wait(60)
        if self.fault is not None:
            raise self.fault
        super().look()


async def test_whoever_asks_at_the_same_time_shares_a_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog_probe, "_SHARED_S", 3600.0)
    database = Asked(tmp_path)
    probe = CatalogProbe(database)
    asking = asyncio.gather(*(probe.answers() for _ in range(50)))
    database.answering.set()
    assert await asking == [True] * 50
    assert await probe.answers()
    assert database.looks == 1
    monkeypatch.setattr(catalog_probe, "_SHARED_S", 0.0)
    database.fault = OperationalError("SELECT", {}, Exception("gone"))
    assert not await probe.answers()
    database.fault = None
    assert await probe.answers()
    assert database.looks == 3
    probe.close()
    database.close()


async def test_a_catalog_that_hangs_does_not_answer_and_costs_one_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog_probe, "_PATIENCE_S", 0.05)
    monkeypatch.setattr(catalog_probe, "_SHARED_S", 0.0)
    database = Asked(tmp_path)
    probe = CatalogProbe(database)
    for _ in range(3):
        assert not await probe.answers()
    assert database.looks == 1
    database.answering.set()
    monkeypatch.setattr(catalog_probe, "_PATIENCE_S", 60.0)
    assert await probe.answers()
    probe.close()
    database.close()
