"""One service on a PostgreSQL catalog, whatever becomes of its connections."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from sqlalchemy import create_engine, text

from service.storage.catalog import Catalog
from service.storage.database import CatalogError
from tests.servers import PostgreSQLServer

_HOLD = """
import sys, time
from service.storage.catalog import Catalog
Catalog(sys.argv[1]).claim()
print("claimed", flush=True)
time.sleep(600)
"""


@pytest.fixture
def url(postgresql_server: PostgreSQLServer) -> str:
    return postgresql_server.empty_database()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.storage.claim._PATIENCE_S", 0.3)
    monkeypatch.setattr("service.storage.claim._LOOK_S", 0.05)


def holder(url: str) -> int | None:
    """The server's process whose connection has the claim."""
    engine = create_engine(url)
    statement = (
        "SELECT pid FROM pg_locks JOIN pg_database d ON d.oid = database "
        "WHERE locktype = 'advisory' AND granted AND datname = current_database()"
    )
    with engine.connect() as connection:
        pid = connection.execute(text(statement)).scalar()
    engine.dispose()
    return pid


def until(happens: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 60
    while not happens():
        assert time.monotonic() < give_up
        time.sleep(0.02)


def cut(url: str) -> None:
    engine = create_engine(url)
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": holder(url)})
    engine.dispose()


@pytest.mark.usefixtures("impatient")
def test_a_second_service_is_refused_and_whoever_only_opens_the_catalog_is_not(url: str) -> None:
    first, second = Catalog(url), Catalog(url)
    first.claim()
    first.claim()
    second.galleries.create("shop", keep_pictures=False)
    with pytest.raises(CatalogError, match="another service is running on postgresql"):
        second.claim()
    first.close()
    second.claim()
    second.close()
    until(lambda: holder(url) is None)


@pytest.mark.usefixtures("impatient")
def test_catalogs_in_two_databases_are_claimed_apart(url: str, postgresql_server: PostgreSQLServer) -> None:
    catalogs = [Catalog(url), Catalog(postgresql_server.empty_database())]
    for catalog in catalogs:
        catalog.claim()
    for catalog in catalogs:
        catalog.close()


@pytest.mark.usefixtures("impatient")
def test_a_claim_whose_connection_is_cut_is_taken_again(url: str) -> None:
    catalog = Catalog(url)
    catalog.claim()
    for _ in range(3):
        before = holder(url)
        cut(url)
        until(lambda before=before: holder(url) not in (before, None))  # type: ignore[misc]
    other = Catalog(url)
    with pytest.raises(CatalogError, match="another service"):
        other.claim()
    other.close()
    catalog.close()


@pytest.mark.usefixtures("impatient")
def test_a_claim_that_went_to_another_is_told_and_taken_again_later(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("service.storage.claim._LOOK_S", 0.5)
    first, second = Catalog(url), Catalog(url)
    first.claim()

    def taken_away() -> bool:
        cut(url)
        try:
            second.claim()
        except CatalogError:
            return False  # the first was quicker
        return True

    until(taken_away)
    until(lambda: "another service runs on the same catalog" in caplog.text)
    second.close()
    until(lambda: holder(url) is not None)
    first.close()


def test_a_killed_services_claim_is_free_for_the_next(url: str) -> None:
    process = subprocess.Popen([sys.executable, "-c", _HOLD, url], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "claimed\n"
    os.kill(process.pid, signal.SIGKILL)
    catalog = Catalog(url)
    catalog.claim()
    catalog.close()
    process.wait()
    process.stdout.close()
