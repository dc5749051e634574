"""Erased rows leave PostgreSQL's files, without anybody waiting for it."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from sqlalchemy import text

from service.storage.catalog import Catalog
from service.storage.records import NewImage
from service.storage.ulid import new_ulid
from tests.servers import PostgreSQLServer

DIMENSION = 512  # nine of these are too long for a row: PostgreSQL keeps them beside the table
MODEL = "f" * 64
ENOUGH = 64 * 1024 * 1024
ERASED, OTHER = "Somebody Unforgettable", "Nobody In Particular"


@pytest.fixture
def url(postgresql_server: PostgreSQLServer, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("service.storage.vacuum._SHARE", 1.0)  # no pause between two runs
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


def until(happens: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 120
    while not happens():
        assert time.monotonic() < give_up
        time.sleep(0.02)


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


def test_tables_beyond_the_size_are_vacuumed_where_they_lie(url: str) -> None:
    catalog = Catalog(url, 0)
    number = gallery(catalog)
    catalog.pictures.enrol(number, MODEL, [picture(f"person {one}", one) for one in range(40)])
    before = file_of(catalog, "images"), size_of(catalog, "images")
    for one in range(40):
        catalog.people.delete("shop", f"person {one}")
    until(lambda: forgotten(catalog))
    assert before[0] == file_of(catalog, "images")
    assert before[1] > 0 == size_of(catalog, "images")  # pages at the end that are empty are given back
    catalog.close()


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


def file_of(catalog: Catalog, table: str) -> str:
    with catalog.database.engine.connect() as connection:
        return str(connection.execute(text(f"SELECT pg_relation_filepath('{table}')")).scalar_one())


def size_of(catalog: Catalog, table: str) -> int:
    with catalog.database.engine.connect() as connection:
        return int(connection.execute(text(f"SELECT pg_relation_size('{table}')")).scalar_one())
