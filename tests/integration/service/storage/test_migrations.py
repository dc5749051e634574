"""The catalog's schema: made by migrations, equal to the tables that the program knows."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import TextClause, create_engine, text

from service.storage.catalog import Catalog
from service.storage.database import CatalogError, migrate, open_engine
from service.storage.tables import Base

if TYPE_CHECKING:
    from tests.servers import PostgreSQLServer


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'catalog.sqlite3'}"
    server: PostgreSQLServer = request.getfixturevalue("postgresql_server")
    return server.empty_database()


def test_the_migrations_make_the_tables_that_the_program_knows(url: str) -> None:
    Catalog(url).close()
    with create_engine(url).connect() as connection:
        found = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(found, Base.metadata) == []


def test_opening_again_changes_nothing(url: str) -> None:
    first = Catalog(url)
    first.galleries.create("shop", keep_pictures=False)
    first.close()
    again = Catalog(url)
    assert again.id == first.id
    assert [gallery.name for gallery in again.galleries.page("f" * 64, limit=5)] == ["shop"]
    again.close()


def test_a_catalog_from_before_there_were_migrations_is_taken_over(url: str) -> None:
    engine = open_engine(url)
    migrate(engine, "0001")
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO about (key, value) VALUES ('id', '01HXOLDCATALOG')"))
        connection.execute(
            text(
                "INSERT INTO galleries (name, keep_pictures, created_at) "
                "VALUES ('shop', false, '2026-11-20 12:00:00.000000')"
            )
        )
        connection.execute(text("DROP TABLE alembic_version"))
    taken = Catalog(url)
    assert taken.id == "01HXOLDCATALOG"
    assert taken.galleries.key("shop").number == 1
    taken.close()
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


_SAMPLED = {
    "galleries": "INSERT INTO galleries (name, keep_pictures, created_at) VALUES ('shop', false, now())",
    "people": "INSERT INTO people (gallery, name) SELECT 1, 'person ' || i FROM generate_series(1, 9) i",
    "images": (
        "INSERT INTO images (id, gallery, person, digest, client_id, metadata, kept, enrolled_at,"
        " fingerprint, occlusion, scores, features) SELECT 'id ' || i, 1, i, 'digest ' || i, 'client ' || i,"
        " '{}', false, now(), 'f', 0, '1', '2' FROM generate_series(1, 9) i"
    ),
    "metadata_facts": "INSERT INTO metadata_facts SELECT 'fact ' || i, i FROM generate_series(1, 9) i",
    "previous_features": (
        "INSERT INTO previous_features SELECT i, 'f', 0, '1', '2' FROM generate_series(1, 9) i"
    ),
    "erased_features": (
        "INSERT INTO erased_features (fingerprint, digest) SELECT 'f', 'd ' || i FROM generate_series(1, 9) i"
    ),
}
"""What PostgreSQL takes samples of, by table."""

_TELLING = {
    *{("images", column) for column in ("id", "digest", "client_id", "metadata", "scores", "features")},
    *{("previous_features", column) for column in ("scores", "features")},
    ("people", "name"),
    ("metadata_facts", "fact"),
    ("erased_features", "digest"),
}


def test_samples_of_people_that_postgresql_had_taken_go_and_nothing_is_written_anew(
    postgresql_server: PostgreSQLServer,
) -> None:
    engine = open_engine(postgresql_server.empty_database())
    sampled = text("SELECT tablename, attname FROM pg_stats WHERE schemaname = 'public'")
    files = text("SELECT relname, relfilenode FROM pg_class WHERE relnamespace = 'public'::regnamespace")

    def ask(statement: TextClause) -> set[tuple[str, Any]]:
        with engine.connect() as connection:
            return {(name, value) for name, value in connection.execute(statement)}

    migrate(engine, "0009")
    with engine.begin() as connection:
        for statement in (*_SAMPLED.values(), "ANALYZE"):
            connection.execute(text(statement))
    assert ask(sampled) >= _TELLING
    before = {name: file for name, file in ask(files) if name.split("_by_")[0] in _SAMPLED}
    migrate(engine)
    after = ask(sampled)
    assert not after & _TELLING
    assert ("images", "fingerprint") in after
    assert before.items() <= ask(files)
    with engine.begin() as connection:
        connection.execute(text("ANALYZE"))
    assert not ask(sampled) & _TELLING
    engine.dispose()


def test_a_catalog_of_a_later_program_is_refused(url: str) -> None:
    Catalog(url).close()
    with create_engine(url).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(CatalogError, match="later version"):
        Catalog(url)


def test_several_processes_may_open_a_new_catalog_at_once(url: str) -> None:
    ids: list[str] = []
    faults: list[BaseException] = []

    def open_it() -> None:
        try:
            catalog = Catalog(url)
            ids.append(catalog.id)
            catalog.close()
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert len(set(ids)) == 1
