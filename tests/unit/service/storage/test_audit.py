"""Lines of the trail: those of changes are waited for, those of reading wait for company."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from service.clock import now
from service.storage import audit
from service.storage.audit import AuditTrail, Event
from service.storage.database import Database


async def test_a_change_does_not_wait_for_the_company_of_what_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "_PAUSE_S", 3600.0)
    database = Database(f"sqlite:///{tmp_path / 'catalog.sqlite3'}")
    trail = AuditTrail(database)
    trail.start()
    read = Event(
        at=now(),
        request_id="r",
        key=None,
        action="query",
        gallery="g",
        subject=None,
        pictures=1,
        status=200,
    )
    for _ in range(3):
        await trail.write(read, stored=False)
        await asyncio.sleep(0.05)  # so that it waits by now
        await asyncio.wait_for(trail.write(replace(read, action="enrol", status=201), stored=True), 60)
    assert [event.action for event in trail.events()] == ["enrol", "query"] * 3
    await trail.write(read, stored=False)
    await asyncio.wait_for(trail.close(), 60)
    assert trail.events()[0].action == "query"
    database.close()
