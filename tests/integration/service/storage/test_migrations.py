"""The catalog's schema: made by migrations, equal to the tables that the program knows."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text

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
