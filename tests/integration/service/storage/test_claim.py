"""One service on a PostgreSQL catalog, whatever becomes of its connections."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from service.clock import now
from service.problems import Unavailable
from service.storage.audit import AuditTrail, Event
from service.storage.catalog import Catalog
from service.storage.faults import storage_problem
from service.storage.fence import ClaimLost, advisory_key
from service.storage.keys import Keys
from service.storage.schema import CatalogError
from tests.servers import PostgreSQLServer
from tests.waiting import until

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
        "WHERE locktype = 'advisory' AND granted AND datname = current_database() "
        "AND (classid::bigint << 32 | objid::bigint) = :key"
    )
    with engine.connect() as connection:
        id = connection.execute(text("SELECT value FROM about WHERE key = 'id'")).scalar_one()
        pid = connection.execute(text(statement), {"key": advisory_key("penumbra", id)}).scalar()
    engine.dispose()
    return pid


def cut(url: str) -> None:
    engine = create_engine(url)
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": holder(url)})
    engine.dispose()


def take_over(url: str, other: Catalog, monkeypatch: pytest.MonkeyPatch, look_s: float = 600.0) -> None:
    """Let another catalog claim what a service's cut connection had; the service looks ``look_s`` later."""
    monkeypatch.setattr("service.storage.claim._LOOK_S", look_s)
    time.sleep(0.2)  # a look that is under way

    def taken() -> bool:
        cut(url)
        try:
            other.claim()
        except CatalogError:
            return False  # the service was quicker
        return True

    until(taken)


def waits_for_a_lock(url: str) -> bool:
    engine = create_engine(url)
    with engine.connect() as connection:
        waiting = connection.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar_one()
    engine.dispose()
    return bool(waiting)


@pytest.mark.usefixtures("impatient")
def test_a_second_service_is_refused_and_whoever_only_opens_the_catalog_is_not(url: str) -> None:
    first, second = Catalog(url), Catalog(url)
    first.claim()
    first.claim()
    second.galleries.create("shop", keep_pictures=False)
    with pytest.raises(CatalogError, match="another service is running on postgresql"):
        second.claim()
    first.close()
    until(lambda: holder(url) is None)
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
def test_a_service_whose_claim_is_cut_writes_on_as_long_as_nobody_takes_it(url: str) -> None:
    catalog = Catalog(url)
    catalog.claim()
    for number in range(10):
        cut(url)
        catalog.galleries.create(f"shop{number}", keep_pictures=False)
    assert len(catalog.galleries.numbers()) == 10
    assert not catalog.lost
    catalog.close()


@pytest.mark.usefixtures("impatient")
def test_who_lost_the_claim_changes_and_reads_nothing_and_who_has_none_does(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first, second, command = Catalog(url), Catalog(url), Catalog(url)
    told: list[str] = []
    first.claim(on_lost=lambda: told.append("lost"))
    first.galleries.create("before", keep_pictures=False)
    take_over(url, second, monkeypatch)
    with pytest.raises(ClaimLost):
        first.galleries.create("after", keep_pictures=False)
    with pytest.raises(ClaimLost):
        first.galleries.create("after", keep_pictures=False)
    with pytest.raises(ClaimLost):
        first.galleries.numbers()
    with pytest.raises(ClaimLost):
        first.kept_pictures()
    assert first.lost
    assert told == ["lost"]
    assert caplog.text.count("another service has taken the catalog over") == 1

    line = Event(now(), "-", None, "enrol", None, None, None, 503)
    AuditTrail(second.database)._insert([line])
    AuditTrail(command.database)._insert([line])
    first.database.transact(lambda session: session.execute(text("SELECT 1")), regardless=True)
    Keys(command.database).create("operator", "admin")
    second.galleries.create("after", keep_pictures=False)
    assert len(second.galleries.numbers()) == 2
    second.close()  # what is free again is the next service's, and not the first's
    with pytest.raises(ClaimLost):
        first.galleries.create("again", keep_pictures=False)
    for catalog in (first, command):
        catalog.close()
    until(lambda: holder(url) is None)


@pytest.mark.usefixtures("impatient")
def test_a_service_finds_that_it_lost_its_claim_though_nobody_asks_it_anything(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = Catalog(url), Catalog(url)
    first.claim()
    take_over(url, second, monkeypatch, look_s=0.5)
    until(lambda: first.lost)
    assert not second.lost
    for catalog in (first, second):
        catalog.close()


def test_a_new_owner_waits_for_what_was_begun_and_finds_it(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Catalog(url), Catalog(url)
    first.claim()
    begun, end = threading.Event(), threading.Event()

    def work(session: Session) -> None:
        begun.set()
        assert end.wait(60)
        session.execute(text("INSERT INTO about VALUES ('late', 'here')"))

    with ThreadPoolExecutor() as threads:
        writing = threads.submit(first.database.transact, work)
        assert begun.wait(60)
        monkeypatch.setattr(first._claim, "_taken", lambda: False)  # its thread sleeps
        cut(url)
        claiming = threads.submit(second.claim)
        until(lambda: waits_for_a_lock(url))
        assert not claiming.done()
        end.set()
        writing.result(60)
        claiming.result(60)
    with second.database.engine.connect() as connection:
        late = connection.execute(text("SELECT value FROM about WHERE key = 'late'")).scalar_one()
    assert late == "here"
    with pytest.raises(ClaimLost):
        first.galleries.create("after", keep_pictures=False)
    for catalog in (first, second):
        catalog.close()


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read", "serializable"])
def test_who_waited_for_a_new_owner_sees_that_there_is_one(url: str, isolation: str) -> None:
    """Whatever isolation the database gives to those who ask for none."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as other, ThreadPoolExecutor() as threads:
        database = make_url(url).database
        other.execute(text(f"ALTER DATABASE {database} SET default_transaction_isolation = '{isolation}'"))
        first = Catalog(url)
        first.claim()
        writers = {"key": advisory_key("penumbra writers", first.id)}
        other.execute(text("SELECT pg_advisory_lock(:key)"), writers)
        writing = threads.submit(first.galleries.create, "shop", False)
        until(lambda: waits_for_a_lock(url))
        other.execute(text("UPDATE about SET value = 'another' WHERE key = 'owner'"))
        other.execute(text("SELECT pg_advisory_unlock(:key)"), writers)
        with pytest.raises(ClaimLost):
            writing.result(60)
        assert other.execute(text("SELECT count(*) FROM galleries")).scalar_one() == 0
        first.close()
    engine.dispose()


@pytest.mark.usefixtures("impatient")
def test_no_service_starts_beside_a_transaction_that_does_not_end(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = Catalog(url), Catalog(url)
    first.claim()
    monkeypatch.setattr(first._claim, "_taken", lambda: False)

    def work(session: Session) -> str:
        cut(url)
        with pytest.raises(CatalogError, match="another service is running"):
            second.claim()
        return "done"

    assert first.database.transact(work) == "done"
    monkeypatch.undo()
    first.galleries.create("after", keep_pictures=False)
    for catalog in (first, second):
        catalog.close()


def test_what_a_commit_in_doubt_came_to_is_read_when_it_has_ended(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = Catalog(url)
    catalog.claim()
    begun, end = threading.Event(), threading.Event()

    def work(_: Session) -> None:
        begun.set()
        assert end.wait(60)

    with ThreadPoolExecutor() as threads:
        writing = threads.submit(catalog.database.transact, work)
        assert begun.wait(60)
        monkeypatch.setattr("service.storage.database._WRITERS_S", 0.2)
        with pytest.raises(DBAPIError) as refused:
            catalog.database.wait_for_writers()
        assert isinstance(storage_problem(refused.value), Unavailable)
        end.set()
        writing.result(60)
        catalog.database.wait_for_writers()
    catalog.close()


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
