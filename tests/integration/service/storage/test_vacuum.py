"""Erased rows leave PostgreSQL's files, without anybody waiting for it."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

import numpy as np
import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from service.storage import vacuum
from service.storage.catalog import Catalog
from service.storage.catalog.enrolling import enrol_in
from service.storage.claim import PostgreSQLClaim
from service.storage.fence import Fence
from service.storage.records import NewImage
from service.storage.ulid import new_ulid
from tests import waiting
from tests.servers import PostgreSQLServer

DIMENSION = 512  # nine of these are too long for a row: PostgreSQL keeps them beside the table
MODEL = "f" * 64
ENOUGH = 64 * 1024 * 1024
PARTS = 32
ERASED, OTHER = "Somebody Unforgettable", "Nobody In Particular"


@pytest.fixture
def url(postgresql_server: PostgreSQLServer, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("service.storage.owed_work._SHARE", 1.0)  # no pause between two runs
    return postgresql_server.empty_database()


@pytest.fixture
def catalog(url: str) -> Iterator[Catalog]:
    opened = Catalog(url, ENOUGH)
    yield opened
    opened.close()


def picture(person: str, number: int) -> NewImage:
    features = np.random.default_rng(number).standard_normal((9, DIMENSION)).astype(np.float16)
    return NewImage(
        id=new_ulid(),
        digest=f"{number:064x}",
        person=person,
        camera=None,
        time=None,
        client_id=f"client id {number} of {person}",
        metadata={"told": f"metadata {number} of {person}"},
        kept=False,
        occlusion=0,
        scores=None,
        features=features,
    )


def gallery(catalog: Catalog) -> int:
    catalog.galleries.create("shop", keep_pictures=False)
    return catalog.galleries.key("shop").number


def traces(image: NewImage) -> dict[str, bytes]:
    """What is searched for in files; of the features a piece that PostgreSQL does not divide."""
    assert image.client_id is not None
    return {
        "id": image.id.encode(),
        "name": image.person.encode(),
        "client id": image.client_id.encode(),
        "metadata": image.metadata["told"].encode(),
        "digest": image.digest.encode(),
        "features": image.features.tobytes()[:256],
        "more features": image.features.tobytes()[1000:1256],
    }


def found(image: NewImage, server: PostgreSQLServer, url: str) -> set[str]:
    held = server.held(url)
    return {what for what, trace in traces(image).items() if trace in held}


until: Final = partial(waiting.until, within_s=120.0)


def forgotten(catalog: Catalog) -> bool:
    """As the mender asks, again and again."""
    catalog.database.forget_owed()
    return not catalog.database.unforgotten


def test_nothing_of_an_erased_person_is_in_postgresqls_files(
    catalog: Catalog, postgresql_server: PostgreSQLServer, url: str
) -> None:
    number = gallery(catalog)
    crowd = [picture(f"person {one}", 100 + one) for one in range(20)]
    erased, other = picture(ERASED, 1), picture(OTHER, 2)
    catalog.pictures.enrol(number, MODEL, [*crowd, erased, other])
    with catalog.database.engine.begin() as connection:
        connection.execute(text("ANALYZE"))  # as PostgreSQL does by itself, and keeps samples of
    everything = set(traces(erased))
    assert found(erased, postgresql_server, url) == found(other, postgresql_server, url) == everything

    until(lambda: forgotten(catalog))  # what an earlier process may have left
    catalog.people.delete("shop", ERASED)
    catalog.erased.strike_out([note.number for note in catalog.erased.noted(10)])
    assert catalog.database.unforgotten
    until(lambda: forgotten(catalog))
    assert found(erased, postgresql_server, url) == set()
    assert found(other, postgresql_server, url) == everything


def test_a_reader_delays_it_and_is_not_itself_delayed(
    catalog: Catalog, postgresql_server: PostgreSQLServer, url: str
) -> None:
    number = gallery(catalog)
    erased = picture(ERASED, 1)
    catalog.pictures.enrol(number, MODEL, [erased])
    catalog.people.delete("shop", ERASED)
    with catalog.database.engine.connect() as reader:
        reader.execute(text("SELECT name FROM people")).all()  # it holds the table from here on
        for _ in range(3):
            catalog.database.forget_owed()
            time.sleep(0.2)
            assert catalog.people.count(number) == 0  # others read it too
        assert "name" in found(erased, postgresql_server, url)
        assert catalog.database.unforgotten
    until(lambda: forgotten(catalog))
    assert "name" not in found(erased, postgresql_server, url)


@pytest.mark.parametrize("work", ["SELECT * FROM about", "INSERT INTO about (key, value) VALUES ('a', 'b')"])
def test_a_transaction_from_before_delays_it(
    catalog: Catalog,
    postgresql_server: PostgreSQLServer,
    url: str,
    work: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It reads as a dump does, or writes, and be it in other tables: PostgreSQL keeps what it may ask for."""
    monkeypatch.setattr("service.storage.vacuum._SEEN_FOR_S", 0.1)
    number = gallery(catalog)
    erased = picture(ERASED, 1)
    catalog.pictures.enrol(number, MODEL, [erased])
    until(lambda: forgotten(catalog))
    with catalog.database.engine.connect().execution_options(isolation_level="REPEATABLE READ") as other:
        other.execute(text(work))
        catalog.people.delete("shop", ERASED)
        for _ in range(5):
            assert not forgotten(catalog)
            time.sleep(0.1)
    until(lambda: forgotten(catalog))
    assert found(erased, postgresql_server, url) <= {"digest"}  # which Redis has yet to forget


def test_a_writer_from_before_in_another_database_delays_it(
    catalog: Catalog, postgresql_server: PostgreSQLServer, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL's snapshots reach back to the oldest writer of the whole server."""
    monkeypatch.setattr("service.storage.vacuum._SEEN_FOR_S", 0.1)
    catalog.pictures.enrol(gallery(catalog), MODEL, [erased := picture(ERASED, 1)])
    until(lambda: forgotten(catalog))
    with create_engine(postgresql_server.empty_database()).connect() as other:
        other.execute(text("SELECT pg_current_xact_id()"))
        catalog.people.delete("shop", ERASED)
        for _ in range(5):
            assert not forgotten(catalog)
            time.sleep(0.1)
    until(lambda: forgotten(catalog))
    assert found(erased, postgresql_server, url) <= {"digest"}  # which Redis has yet to forget


def test_who_began_while_the_notes_were_taken_is_waited_for(catalog: Catalog, url: str) -> None:
    began = text("SELECT pg_current_xact_id()")
    engine = create_engine(url)
    with engine.connect() as eraser, engine.connect() as asking:
        asker = asking.execution_options(isolation_level="AUTOCOMMIT")  # it looks anew each time
        with engine.begin() as taker:
            taker.execute(began)
            eraser.execute(began)  # it may have seen the notes that the taker takes
        now = asker.execute(vacuum._NOW).scalar_one()
        waited_for = partial(asker.execute, vacuum._STILL_SEEN, {"now": now})
        assert waited_for().scalar_one() >= 1
        eraser.rollback()
        until(lambda: waited_for().scalar_one() == 0)  # a vacuum of PostgreSQL's own may look for a moment
    engine.dispose()


def test_tables_of_another_role_are_not_taken_for_written_anew(
    catalog: Catalog, postgresql_server: PostgreSQLServer, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    catalog.pictures.enrol(gallery(catalog), MODEL, [erased := picture(ERASED, 1)])
    until(lambda: forgotten(catalog))
    with catalog.database.engine.begin() as connection:
        connection.execute(text("CREATE ROLE guest LOGIN"))
        connection.execute(text("GRANT ALL ON ALL TABLES IN SCHEMA public TO guest"))
        connection.execute(text("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO guest"))
    catalog.close()
    guest = Catalog(make_url(url).set(username="guest").render_as_string(), ENOUGH)
    guest.people.delete("shop", ERASED)
    until(lambda: forgotten(guest) or "must own" in caplog.text)
    assert not forgotten(guest)
    guest.close()
    owner = Catalog(url, ENOUGH)
    until(lambda: forgotten(owner))
    assert found(erased, postgresql_server, url) <= {"digest"}
    with owner.database.engine.begin() as connection:
        connection.execute(text("DROP OWNED BY guest"))
        connection.execute(text("DROP ROLE guest"))
    owner.close()


@pytest.mark.parametrize("slot", [False, True])
def test_what_a_standby_reads_delays_it(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch, slot: bool
) -> None:
    """One that tells the oldest transaction it may ask for (hot_standby_feedback), and may then be away."""
    monkeypatch.setattr("service.storage.vacuum._SEEN_FOR_S", 0.1)
    catalog.pictures.enrol(gallery(catalog), MODEL, [picture(ERASED, 1)])
    until(lambda: forgotten(catalog))
    with catalog.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if slot:
            connection.execute(text("SELECT pg_create_physical_replication_slot('standby', true)"))
        try:
            with standby(catalog, "SLOT standby" if slot else "") as told:
                until(lambda: bool(connection.execute(text(_TOLD), {"told": told}).scalar_one()))
                catalog.people.delete("shop", ERASED)
                for _ in range(5):
                    assert not forgotten(catalog)
                    time.sleep(0.1)
        finally:
            if slot:
                until(lambda: not connection.execute(text("SELECT 1 FROM pg_stat_replication")).all())
                assert not forgotten(catalog)
                connection.execute(text("SELECT pg_drop_replication_slot('standby')"))
    until(lambda: forgotten(catalog))


_TOLD = (
    "SELECT (SELECT count(*) FROM pg_stat_replication WHERE backend_xmin::text = :told) "
    "+ (SELECT count(*) FROM pg_replication_slots WHERE xmin::text = :told)"
)


@contextmanager
def standby(catalog: Catalog, slot: str) -> Iterator[str]:
    """As far as its server sees, one stands by; gives the oldest transaction that it says it reads."""
    with catalog.database.engine.connect() as connection:
        oldest = connection.execute(
            text("SELECT pg_snapshot_xmax(pg_current_snapshot())::xid::text")
        ).scalar_one()
        begin = connection.execute(text("SELECT pg_current_wal_lsn()")).scalar_one()
    address = catalog.database.engine.url
    with socket.create_connection((address.host, address.port)) as server:  # type: ignore[arg-type]
        hello = struct.pack("!i", 3 << 16) + b"user\0penumbra\0replication\0true\0\0"
        server.sendall(struct.pack("!i", len(hello) + 4) + hello)
        command = f"START_REPLICATION {slot} PHYSICAL {begin}\0".encode()
        server.sendall(b"Q" + struct.pack("!i", len(command) + 4) + command)
        feedback = struct.pack("!cqIIII", b"h", 0, int(oldest), 0, 0, 0)
        server.sendall(b"d" + struct.pack("!i", len(feedback) + 4) + feedback)
        yield oldest


def test_tables_beyond_the_size_are_vacuumed_where_they_lie(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    catalog = Catalog(url, 0)
    number = gallery(catalog)
    catalog.pictures.enrol(number, MODEL, [picture(f"person {one}", one) for one in range(40)])
    files, size = files_of(catalog), size_of(catalog)
    for one in range(40):
        catalog.people.delete("shop", f"person {one}")
    until(lambda: forgotten(catalog))
    assert files == files_of(catalog)
    assert size > 0 == size_of(catalog)  # pages at the end that are empty are given back
    assert "larger than PENUMBRA_CATALOG_REWRITE_BYTES: erased_features, features_0" in caplog.text
    catalog.close()


def test_a_table_far_beyond_the_size_is_written_anew_part_by_part(
    postgresql_server: PostgreSQLServer, url: str
) -> None:
    catalog = Catalog(url, size := 1024 * 1024)
    number = gallery(catalog)
    erased, other = picture(ERASED, 1), picture(OTHER, 2)
    crowd = [picture(f"person {one}", 100 + one) for one in range(400)]
    catalog.pictures.enrol(number, MODEL, [*crowd[:200], erased, other, *crowd[200:]])
    until(lambda: forgotten(catalog))
    assert whole_size_of(catalog, "features") > 3 * size

    before = files_of(catalog)
    catalog.people.delete("shop", ERASED)
    catalog.erased.strike_out([note.number for note in catalog.erased.noted(10)])
    until(lambda: forgotten(catalog))
    assert found(erased, postgresql_server, url) == set()
    assert found(other, postgresql_server, url) == set(traces(other))
    after = files_of(catalog)
    anew = {name for name in before if before[name] != after[name]}
    for divided in ("features", "images", "metadata_facts"):
        assert len([name for name in anew if name.startswith(f"{divided}_")]) == 1
    assert catalog.people.count(number) == 401
    catalog.close()


def test_erasures_during_the_work_are_not_missed(
    catalog: Catalog, postgresql_server: PostgreSQLServer, url: str
) -> None:
    number = gallery(catalog)
    erased = [picture(f"{ERASED} {one}", one) for one in range(60)]
    catalog.pictures.enrol(number, MODEL, erased)
    ended = threading.Event()

    def forget() -> None:
        while not ended.is_set():
            catalog.database.forget_owed()
            time.sleep(0.001)

    meanwhile = threading.Thread(target=forget)
    meanwhile.start()
    try:
        for image in erased:
            catalog.people.delete("shop", image.person)
        catalog.erased.strike_out([note.number for note in catalog.erased.noted(100)])
    finally:
        ended.set()
        meanwhile.join()
    until(lambda: forgotten(catalog))
    held = postgresql_server.held(url)
    assert [image.person for image in erased if any(trace in held for trace in traces(image).values())] == []


def test_what_another_process_erased_is_written_away_by_the_next_service(
    postgresql_server: PostgreSQLServer, url: str
) -> None:
    service = Catalog(url, ENOUGH)
    erased = picture(ERASED, 1)
    service.pictures.enrol(gallery(service), MODEL, [erased, picture(OTHER, 2)])
    until(lambda: forgotten(service))
    service.close()
    command = Catalog(url, ENOUGH)  # does not forget by itself
    command.people.delete("shop", ERASED)
    command.erased.strike_out([note.number for note in command.erased.noted(10)])
    command.close()
    service = Catalog(url, ENOUGH)
    before = files_of(service)
    until(lambda: forgotten(service))
    assert found(erased, postgresql_server, url) == set()
    kept = {name for name, file in files_of(service).items() if file == before[name]}
    assert len([name for name in kept if name.startswith("images_")]) == PARTS - 1
    service.close()


def test_a_service_that_ended_in_order_leaves_the_next_one_nothing_to_do(url: str) -> None:
    first = Catalog(url, ENOUGH)
    first.pictures.enrol(gallery(first), MODEL, [picture(OTHER, 2)])
    until(lambda: forgotten(first))
    before = files_of(first)
    first.close()
    second = Catalog(url, ENOUGH)
    until(lambda: forgotten(second))
    assert files_of(second) == before
    second.close()


def test_what_was_stored_by_halves_before_a_process_died_is_written_away(
    postgresql_server: PostgreSQLServer, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Catalog(url, ENOUGH)
    number = gallery(first)
    until(lambda: forgotten(first))
    halved = picture(ERASED, 1)
    with Session(first.database.engine) as session:
        enrol_in(session, number, MODEL, [halved])
        session.rollback()  # as PostgreSQL does when the process is gone
    assert "more features" in found(halved, postgresql_server, url)
    first.database.engine.dispose()  # and nothing else of what an end in order does
    second = Catalog(url, ENOUGH)
    with monkeypatch.context() as fault:  # of the first look at what is owed
        fault.setattr("service.storage.vacuum._RELATIONS", text("SELECT 1 / 0"))
        second.database.forget_owed()
        until(lambda: second.database._vacuum._thread is None)  # type: ignore[union-attr]
    until(lambda: forgotten(second))
    assert found(halved, postgresql_server, url) == set()
    second.close()


def test_what_was_stored_by_halves_before_anything_was_vacuumed_is_written_away_too(
    postgresql_server: PostgreSQLServer, url: str
) -> None:
    first = Catalog.claimed(url, ENOUGH)
    halved = picture(ERASED, 1)
    with Session(first.database.engine) as session:
        enrol_in(session, gallery(first), MODEL, [halved])
        session.rollback()
    assert "more features" in found(halved, postgresql_server, url)
    first.database.engine.dispose()  # and nothing else of what an end in order does
    assert isinstance(first._claim, PostgreSQLClaim)
    first._claim.close()
    second = Catalog.claimed(url, ENOUGH)
    until(lambda: forgotten(second))
    assert found(halved, postgresql_server, url) == set()
    second.close()
    third = Catalog.claimed(url, ENOUGH)
    before = files_of(third)
    until(lambda: forgotten(third))
    assert files_of(third) == before
    third.close()


def test_what_was_stored_by_halves_is_written_away(
    catalog: Catalog, postgresql_server: PostgreSQLServer, url: str
) -> None:
    number = gallery(catalog)
    until(lambda: forgotten(catalog))
    halved = picture(ERASED, 1)

    def breaks_off(session: Session) -> None:
        enrol_in(session, number, MODEL, [halved])
        session.execute(text("SELECT 1 / 0"))

    with pytest.raises(DBAPIError):
        catalog.database.transact(breaks_off)
    assert "more features" in found(halved, postgresql_server, url)
    until(lambda: forgotten(catalog))
    assert found(halved, postgresql_server, url) == set()


def test_what_an_end_broke_off_is_owed_to_the_next_service(
    postgresql_server: PostgreSQLServer, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.storage.vacuum._SEEN_FOR_S", 0.0)
    first = Catalog(url, ENOUGH)
    erased = picture(ERASED, 1)
    first.pictures.enrol(gallery(first), MODEL, [erased])
    until(lambda: forgotten(first))
    reader = create_engine(url, isolation_level="REPEATABLE READ").connect()
    reader.execute(text("SELECT * FROM galleries")).all()
    first.people.delete("shop", ERASED)
    first.erased.strike_out([note.number for note in first.erased.noted(10)])
    for _ in range(5):  # the notes are taken, and nothing can be done
        assert not forgotten(first)
        time.sleep(0.05)
    first.close()
    reader.close()
    second = Catalog(url, ENOUGH)
    until(lambda: forgotten(second))
    assert found(erased, postgresql_server, url) == set()
    second.close()


def test_a_note_taken_from_who_took_the_catalog_over_is_handed_back(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first has not found out yet, and takes what the second erased for its own to do."""
    monkeypatch.setattr("service.storage.vacuum._SEEN_FOR_S", 0.0)
    first, second = Catalog(url, ENOUGH), Catalog(url, ENOUGH)
    owners = [Fence(catalog.id) for catalog in (first, second)]
    first.pictures.enrol(gallery(first), MODEL, [picture(ERASED, 1)])
    until(lambda: forgotten(first))
    for catalog, fence in zip((first, second), owners, strict=True):
        with catalog.database.engine.connect() as connection:
            fence.put_up(connection.execution_options(isolation_level="AUTOCOMMIT"))
        catalog.database.guard(fence)
    reader = create_engine(url, isolation_level="REPEATABLE READ").connect()
    reader.execute(text("SELECT * FROM galleries")).all()
    second.people.delete("shop", ERASED)
    noted = text("SELECT count(*) FROM owed_rewrites WHERE relation <> '*'")

    def notes() -> int:
        with second.database.engine.connect() as connection:
            return int(connection.execute(noted).scalar_one())

    taken = notes()
    assert taken > 0
    first.database.forget()
    first.database.forget_owed()
    until(lambda: first.database._vacuum._thread is None)  # type: ignore[union-attr]
    assert notes() == 0
    first.close()
    assert owners[0].lost
    assert notes() == taken
    with second.database.engine.connect() as connection:  # of the second, which may have died
        assert connection.execute(text("SELECT 1 FROM owed_rewrites WHERE relation = '*'")).scalar() == 1
    reader.close()
    second.close()


def test_stopping_does_not_wait_for_a_vacuum(catalog: Catalog) -> None:
    with catalog.database.engine.connect() as holder:
        holder.execute(text("LOCK TABLE people IN SHARE UPDATE EXCLUSIVE MODE"))
        catalog.database._vacuum._rewritten_up_to = 0  # type: ignore[union-attr] # then it waits for 10 s
        catalog.database.forget_owed()
        until(lambda: waiting(catalog) > 0)
        catalog.close()
        assert catalog.database.unforgotten


def waiting(catalog: Catalog) -> int:
    """How many wait for a table's lock."""
    with catalog.database.engine.connect() as connection:
        statement = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'people'::regclass")
        return int(connection.execute(statement).scalar_one())


def files_of(catalog: Catalog) -> dict[str, str]:
    """File of each of the catalog's tables, or of their parts."""
    statement = "SELECT relname, pg_relation_filepath(oid) FROM pg_class WHERE relkind = 'r'"
    with catalog.database.engine.connect() as connection:
        rows = connection.execute(text(f"{statement} AND relnamespace = 'public'::regnamespace"))
        return {str(name): str(file) for name, file in rows}


def size_of(catalog: Catalog) -> int:
    """Bytes of the table of images, without its indexes and long values."""
    statement = "SELECT sum(pg_relation_size(relid)) FROM pg_partition_tree('images')"
    with catalog.database.engine.connect() as connection:
        return int(connection.execute(text(statement)).scalar_one())


def whole_size_of(catalog: Catalog, table: str) -> int:
    """Bytes of a divided table, with everything that belongs to it."""
    statement = f"SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('{table}')"
    with catalog.database.engine.connect() as connection:
        return int(connection.execute(text(statement)).scalar_one())
