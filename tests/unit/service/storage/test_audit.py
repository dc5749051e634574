"""Lines of the trail: those of changes are waited for, those of reading wait for company."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from service.clock import now
from service.storage import audit
from service.storage.audit import AuditTrail, Event
from service.storage.database import Database

READ = Event(
    at=now(), request_id="r", key=None, action="query", gallery="g", subject=None, pictures=1, status=200
)
CHANGE = replace(READ, action="enrol", status=201)


async def test_a_change_does_not_wait_for_the_company_of_what_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "_PAUSE_S", 3600.0)
    database = Database(f"sqlite:///{tmp_path / 'catalog.sqlite3'}")
    trail = AuditTrail(database)
    trail.start()
    for _ in range(3):
        await trail.write(READ, stored=False)
        await asyncio.sleep(0.05)  # so that it waits by now
        await asyncio.wait_for(trail.write(CHANGE, stored=True), 60)
    assert [event.action for event in trail.events()] == ["enrol", "query"] * 3
    await trail.write(READ, stored=False)
    await asyncio.wait_for(trail.close(), 60)
    assert trail.events()[0].action == "query"
    database.close()


async def test_who_waits_for_a_line_is_let_go_where_the_trail_ends_and_the_database_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(f"sqlite:///{tmp_path / 'catalog.sqlite3'}")
    faults: list[int] = []
    trail = AuditTrail(database, lambda: faults.append(1))
    begun, end = threading.Event(), threading.Event()

    def fail(_: object) -> None:
        begun.set()
        assert end.wait(60)
        raise OperationalError("INSERT", {}, Exception("gone"))

    monkeypatch.setattr(trail, "_insert", fail)
    trail.start()
    waiting = asyncio.create_task(trail.write(CHANGE, stored=True))
    await asyncio.to_thread(begun.wait, 60)
    closing = asyncio.create_task(trail.close())
    later = asyncio.create_task(trail.write(CHANGE, stored=True))
    await asyncio.sleep(0)
    end.set()
    await asyncio.wait_for(asyncio.gather(waiting, later, closing), 60)
    await asyncio.wait_for(trail.write(CHANGE, stored=True), 60)
    assert len(faults) == 2
    assert caplog.text.count("1 events are lost") == 2
    assert "an event of enrol is lost" in caplog.text
    database.close()
