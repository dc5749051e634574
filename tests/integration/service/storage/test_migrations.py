"""The catalog's schema: made by migrations, equal to the tables that the program knows."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, TextClause, UniqueConstraint, create_engine, text
from typer.testing import CliRunner

from service.api.serve import ServeRefused, refuse_open_door
from service.cli import app
from service.settings import Settings
from service.storage.catalog import Catalog
from service.storage.database import Database, open_engine
from service.storage.records import NewImage
from service.storage.schema import CatalogError, migrate
from service.storage.tables import Base
from service.storage.ulid import new_ulid

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
        assert differences(connection) == ONLY_HERE[connection.dialect.name]


ONLY_HERE: dict[str, set[tuple[str, str | None]]] = {
    "sqlite": set(),
    # whose table of images is divided, and has indexes where uniqueness would be
    "postgresql": {
        ("remove_index", "images_by_id"),
        ("remove_index", "images_by_client_id"),
        ("add_constraint", "images_id"),
        ("add_constraint", "images_gallery_client_id"),
    },
}
"""How a migrated catalog differs from what :mod:`service.storage.tables` says."""


def differences(connection: Connection) -> set[tuple[str, str | None]]:
    """What would have to be done to a catalog, parts of divided tables aside, and to what."""

    def whole(name: str | None, kind: str, _parents: object) -> bool:
        part = {"table": r"_\d\d$", "foreign_key_constraint": r"_fkey\d+$"}.get(kind)
        return part is None or re.search(part, str(name)) is None

    context = MigrationContext.configure(connection, opts={"compare_type": True, "include_name": whole})
    found = set()
    for action, what in compare_metadata(context, Base.metadata):
        name = what.name
        if isinstance(what, UniqueConstraint):
            name = "_".join([str(what.table), *what.columns.keys()])
        found.add((action, name))
    return found


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
    taken = Catalog.claimed(url)
    assert taken.id == "01HXOLDCATALOG"
    assert taken.galleries.key("shop").number == 1
    taken.close()
    with engine.connect() as connection:
        assert differences(connection) == ONLY_HERE[connection.dialect.name]


_SAMPLED = {
    "galleries": "INSERT INTO galleries (name, keep_pictures, created_at) VALUES ('shop', false, now())",
    "people": "INSERT INTO people (gallery, name) SELECT 1, 'person ' || i FROM generate_series(1, 9) i",
    "images": (
        "INSERT INTO images (id, gallery, person, digest, client_id, metadata, kept, enrolled_at,"
        " fingerprint, occlusion, scores, features) SELECT 'id ' || i, 1, i, 'digest ' || i, 'client ' || i,"
        " '{}', false, now(), 'f', 0, '1234', '2' FROM generate_series(1, 9) i"
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
    migrate(engine, "0012")
    after = ask(sampled)
    assert not after & _TELLING
    assert ("images", "fingerprint") in after
    assert before.items() <= ask(files)
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(text("ANALYZE"))
    parts = {(re.sub(r"_\d\d$", "", table), column) for table, column in ask(sampled)}
    assert not parts & {*_TELLING, ("features", "features")}
    assert ("images", "fingerprint") in parts
    engine.dispose()


def test_features_move_into_a_table_of_their_own(url: str) -> None:
    features = np.arange(9 * 8, dtype="<f2").reshape(9, 8)
    engine = open_engine(url)
    migrate(engine, "0012")
    with engine.execution_options(writes=True).begin() as connection:
        for statement in (
            "INSERT INTO galleries (name, keep_pictures, created_at) VALUES ('shop', false, :at)",
            "INSERT INTO people (gallery, name) VALUES (1, 'anna')",
            "INSERT INTO images (id, gallery, person, digest, client_id, metadata, kept, enrolled_at,"
            " fingerprint, occlusion, features) VALUES"
            " ('i', 1, 1, 'd', 'c', '{}', false, :at, 'f', 2, :features)",
        ):
            given = {"at": "2026-11-20 12:00:00.000000", "features": features.tobytes()}
            wanted = {name: value for name, value in given.items() if f":{name}" in statement}
            connection.execute(text(statement), wanted)
    engine.dispose()
    catalog = Catalog.claimed(url)
    (batch,) = catalog.features.batches("f")
    assert (batch.ids.tolist(), batch.occlusions.tolist()) == ([1], [2])
    assert (batch.features[0] == features).all()
    catalog.people.delete("shop", "anna")
    with catalog.database.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM features")).scalar_one() == 0
    catalog.close()


def test_dividing_the_tables_loses_nothing(postgresql_server: PostgreSQLServer) -> None:
    url = postgresql_server.empty_database()
    engine = open_engine(url)
    migrate(engine, "0012")
    with engine.begin() as connection:
        for statement in _SAMPLED.values():
            connection.execute(text(statement))
    before = contents(engine)
    migrate(engine)
    assert contents(engine) == before
    with engine.connect() as connection:
        parts = connection.execute(text("SELECT count(DISTINCT tableoid) FROM images")).scalar_one()
        features = connection.execute(text("SELECT image, features FROM features ORDER BY image")).all()
    assert parts > 1
    assert [(number, bytes(made)) for number, made in features] == [(one, b"2") for one in range(1, 10)]
    engine.dispose()

    catalog = Catalog(url)
    (again,) = catalog.pictures.enrol(
        1,
        "f",
        [
            stored("client 3", "digest 3"),
        ],
    )
    assert (again.status, again.id) == ("exists", "id 3")
    (more,) = catalog.pictures.enrol(1, "f", [stored("client 10", "digest 10")])
    assert (more.status, more.number) == ("enrolled", 10)
    catalog.people.delete("shop", "person 4")
    with catalog.database.engine.connect() as connection:
        for table, column in (
            ("images", "number"),
            ("features", "image"),
            ("metadata_facts", "image"),
            ("previous_features", "image"),
        ):
            numbers = connection.execute(text(f"SELECT {column} FROM {table} ORDER BY 1")).scalars().all()
            assert [number for number in numbers if number < 10] == [1, 2, 3, 5, 6, 7, 8, 9]
    catalog.close()


def contents(engine: Engine) -> dict[str, list[str]]:
    """Rows of the tables that say something of people."""
    with engine.connect() as connection:
        return {
            table: sorted(connection.execute(text(f"SELECT {told} FROM {table}")).scalars())
            for table, told in {
                **{table: f"{table}::text" for table in _SAMPLED},
                "images": "(to_jsonb(images) - 'features')::text",
            }.items()
        }


def stored(client_id: str, digest: str) -> NewImage:
    """A picture as it is enrolled."""
    features = np.zeros((9, 8), np.float16)
    return NewImage(
        new_ulid(), digest, "somebody", None, None, client_id, {"told": 1}, False, 0, None, features
    )


def test_a_catalog_of_a_later_program_is_refused(url: str) -> None:
    Catalog(url).close()
    with create_engine(url).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(CatalogError, match="later version"):
        Catalog(url)


@pytest.fixture
def older(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A catalog of an earlier version of the program, on which a service of that version runs."""
    monkeypatch.setattr("service.storage.claim._PATIENCE_S", 0.3)
    engine = open_engine(url)
    migrate(engine, "0012")
    with monkeypatch.context() as of_its_version:
        for since in ("bring_up_to_date", "begin"):
            of_its_version.setattr(Database, since, lambda _: None)
        running = Catalog.claimed(url)
    yield url
    assert version(url) == "0012"
    running.close()
    Catalog.claimed(url).close()
    assert version(url) > "0012"
    engine.dispose()


def version(url: str) -> str:
    engine = create_engine(url)
    with engine.connect() as connection:
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    engine.dispose()
    return str(found)


def test_a_second_start_changes_nothing_under_a_running_service_of_an_earlier_version(older: str) -> None:
    with pytest.raises(CatalogError, match="another service is running"):
        Catalog.claimed(older)


def test_whoever_only_opens_a_catalog_of_an_earlier_version_is_refused_and_changes_nothing(
    older: str,
) -> None:
    with pytest.raises(CatalogError, match="a start of this one's service brings it up to date"):
        Database(older)
    said = CliRunner().invoke(app, ["keys", "create", "operator", "--catalog-url", older])
    assert said.exit_code == 1
    assert "earlier version" in said.stderr


def test_a_start_that_looks_for_keys_leaves_a_catalog_of_an_earlier_version_as_it_is(
    older: str, tmp_path: Path
) -> None:
    settings = Settings(host="0.0.0.0", catalog_url=older, data_dir=tmp_path)
    with pytest.raises(ServeRefused):
        refuse_open_door(settings)
    engine = create_engine(older)
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO keys (id, name, role, secret_hash, created_at) VALUES ('i', 'n', 'r', 'h', :at)"
            ),
            {"at": "2026-11-20 12:00:00.000000"},
        )
    engine.dispose()
    refuse_open_door(settings)


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
