"""The catalog on SQLite and on a real PostgreSQL: what holds on one holds on the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sqlalchemy import create_engine, event, make_url, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from service.problems import GalleryExists, UnknownGallery, UnknownImage
from service.storage.catalog import Catalog
from service.storage.database import CommitInDoubt
from service.storage.filters import Listed
from service.storage.records import GalleryKey, MadeBefore, NewImage
from service.storage.schema import CatalogError
from service.storage.ulid import new_ulid
from tests.reading import contents_of

if TYPE_CHECKING:
    from tests.servers import PostgreSQLServer

MODEL = "a" * 64
OTHER_MODEL = "b" * 64
DIMENSION = 8


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'folder' / 'catalog.sqlite3'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, sqlite_url: str) -> str:
    if request.param == "sqlite":
        return sqlite_url
    server: PostgreSQLServer = request.getfixturevalue("postgresql_server")
    return server.empty_database()


@pytest.fixture
def on_sqlite(sqlite_url: str) -> Iterator[Catalog]:
    opened = Catalog(sqlite_url)
    yield opened
    opened.close()


@pytest.fixture
def catalog(url: str) -> Iterator[Catalog]:
    opened = Catalog(url)
    yield opened
    opened.close()


def image(seed: int = 0, **changes: Any) -> NewImage:
    rng = np.random.default_rng(seed)
    made = NewImage(
        id=new_ulid(),
        digest=f"{seed:064x}",
        person=f"person {seed}",
        camera=None,
        time=None,
        client_id=None,
        metadata={},
        kept=False,
        occlusion=seed % 9,
        scores=rng.random(4).astype(np.float32),
        features=rng.normal(size=(9, DIMENSION)).astype(np.float16),
    )
    return replace(made, **changes)


def gallery(catalog: Catalog, name: str = "shop") -> int:
    catalog.galleries.create(name, keep_pictures=False)
    return catalog.galleries.key(name).number


def test_features_come_back_bit_by_bit_after_reopening(catalog: Catalog, url: str) -> None:
    number = gallery(catalog)
    images = [image(seed) for seed in range(5)]
    stored = catalog.pictures.enrol(number, MODEL, images)
    catalog.close()
    reopened = Catalog(url)
    batches = list(reopened.features.batches(MODEL, batch=2))
    assert [len(batch.ids) for batch in batches] == [2, 2, 1]
    features = np.concatenate([batch.features for batch in batches])
    assert features.dtype == np.float16
    assert (features == np.stack([one.features for one in images])).all()
    assert np.concatenate([batch.ids for batch in batches]).tolist() == [one.number for one in stored]
    assert np.concatenate([batch.occlusions for batch in batches]).tolist() == [0, 1, 2, 3, 4]
    assert np.concatenate([batch.people for batch in batches]).tolist() == [one.person for one in stored]
    assert reopened.id == catalog.id
    reopened.close()


def test_what_the_caller_said_comes_back(catalog: Catalog) -> None:
    number = gallery(catalog)
    moment = datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=timezone(timedelta(hours=2)))
    (one,) = catalog.pictures.enrol(
        number, MODEL, [image(1, camera="door", time=moment, metadata={"a": [1, None]})]
    )
    shown = catalog.pictures.shown(number, [one.number])[one.number]
    assert (shown.id, shown.person, shown.camera) == (one.id, "person 1", "door")
    assert shown.time == moment
    assert shown.time.tzinfo is UTC
    assert shown.scores is not None
    assert (shown.scores == image(1).scores).all()


def test_a_bundle_without_grader_has_no_scores(catalog: Catalog) -> None:
    number = gallery(catalog)
    (one,) = catalog.pictures.enrol(number, MODEL, [image(scores=None)])
    assert one.scores is None
    assert catalog.pictures.shown(number, [one.number])[one.number].scores is None


def test_the_same_client_id_and_bytes_are_enrolled_once(catalog: Catalog) -> None:
    number = gallery(catalog)
    (first,) = catalog.pictures.enrol(number, MODEL, [image(1, client_id="x")])
    (again, other) = catalog.pictures.enrol(number, MODEL, [image(1, client_id="x"), image(2, client_id="x")])
    assert (again.status, again.id, again.occlusion) == ("exists", first.id, first.occlusion)
    assert not again.indexable
    assert (other.status, other.indexable) == ("conflict", False)
    assert catalog.galleries.get("shop", MODEL).images == 1


def test_what_is_said_otherwise_of_a_known_client_id_is_told_and_not_taken(catalog: Catalog) -> None:
    number = gallery(catalog)
    noon = datetime(2026, 1, 31, 12, tzinfo=UTC)
    told = {"shift": "night", "gate": 1, "coat": ["red", 1.5, None]}
    first = image(1, person="anna", camera="door", time=noon, client_id="x", metadata=told)
    (stored,) = catalog.pictures.enrol(number, MODEL, [first])
    assert (stored.person_name, stored.differs) == ("anna", ())
    cases: tuple[tuple[dict[str, Any], tuple[str, ...]], ...] = (
        ({}, ()),
        ({"time": noon.astimezone(timezone(timedelta(hours=1)))}, ()),
        ({"camera": None, "time": None, "metadata": {}}, ()),
        ({"metadata": dict(reversed(told.items()))}, ()),
        ({"person": "ben"}, ("person",)),
        ({"camera": "yard"}, ("camera",)),
        ({"time": noon + timedelta(seconds=1)}, ("time",)),
        ({"metadata": {**told, "gate": True}}, ("metadata",)),
        (
            {"person": "ben", "camera": "yard", "time": noon - timedelta(days=1), "metadata": {"a": 1}},
            ("person", "camera", "time", "metadata"),
        ),
    )
    for otherwise, differs in cases:
        (again,) = catalog.pictures.enrol(number, MODEL, [replace(first, **otherwise)])
        assert (again.status, again.person_name, again.differs) == ("exists", "anna", differs)
    shown = catalog.pictures.shown(number, [stored.number])[stored.number]
    assert (shown.person, shown.camera, shown.time) == ("anna", "door", noon)
    catalog.people.rename("shop", "anna", "anna maria", merge=False)
    (renamed,) = catalog.pictures.enrol(number, MODEL, [first])
    assert (renamed.person_name, renamed.differs) == ("anna maria", ("person",))


def test_a_client_id_twice_in_one_call_is_enrolled_once(catalog: Catalog) -> None:
    number = gallery(catalog)
    answers = catalog.pictures.enrol(
        number, MODEL, [image(1, client_id="x"), image(1, client_id="x"), image(3, client_id="x")]
    )
    assert [answer.status for answer in answers] == ["enrolled", "exists", "conflict"]
    assert answers[1].id == answers[0].id


def test_a_client_id_belongs_to_its_gallery(catalog: Catalog) -> None:
    for name in ("shop", "station"):
        (answer,) = catalog.pictures.enrol(gallery(catalog, name), MODEL, [image(1, client_id="x")])
        assert answer.status == "enrolled"


def test_the_same_bytes_without_client_id_are_two_pictures(catalog: Catalog) -> None:
    number = gallery(catalog)
    first, second = catalog.pictures.enrol(number, MODEL, [image(1), image(1)])
    assert first.id != second.id
    assert first.person == second.person
    record = catalog.galleries.get("shop", MODEL)
    assert (record.images, record.people) == (2, 1)


def test_pictures_of_another_model_are_pending_and_never_handed_to_the_index(catalog: Catalog) -> None:
    number = gallery(catalog)
    catalog.pictures.enrol(number, OTHER_MODEL, [image(1, client_id="x")])
    (present,) = catalog.pictures.enrol(number, MODEL, [image(2)])
    assert catalog.galleries.get("shop", MODEL).pending == 1
    assert [batch.ids.tolist() for batch in catalog.features.batches(MODEL)] == [[present.number]]


def test_enrolling_a_pending_picture_again_brings_it_to_the_present_model(catalog: Catalog) -> None:
    number = gallery(catalog)
    (before,) = catalog.pictures.enrol(number, OTHER_MODEL, [image(1, client_id="x")])
    fresh = image(5, client_id="x", digest=image(1).digest)
    (after,) = catalog.pictures.enrol(number, MODEL, [fresh])
    assert (after.status, after.id, after.occlusion, after.indexable) == ("exists", before.id, 5, True)
    assert catalog.galleries.get("shop", MODEL).pending == 0
    (batch,) = catalog.features.batches(MODEL)
    assert (batch.features[0] == fresh.features).all()


def test_a_person_goes_with_the_last_picture(catalog: Catalog) -> None:
    number = gallery(catalog)
    first, second = catalog.pictures.enrol(number, MODEL, [image(1, kept=True), image(1)])
    key, removed = catalog.pictures.delete("shop", first.id)
    assert (key.number, removed.number, removed.kept) == (number, first.number, True)
    assert catalog.galleries.get("shop", MODEL).people == 1
    catalog.pictures.delete("shop", second.id)
    assert catalog.galleries.get("shop", MODEL).people == 0
    with pytest.raises(UnknownImage):
        catalog.pictures.delete("shop", second.id)


def test_a_picture_is_not_deleted_through_another_gallery(catalog: Catalog) -> None:
    (one,) = catalog.pictures.enrol(gallery(catalog), MODEL, [image(1)])
    gallery(catalog, "station")
    with pytest.raises(UnknownImage):
        catalog.pictures.delete("station", one.id)
    assert catalog.galleries.get("shop", MODEL).images == 1


def test_numbers_are_never_used_again(catalog: Catalog) -> None:
    number = gallery(catalog)
    (one,) = catalog.pictures.enrol(number, MODEL, [image(1)])
    catalog.pictures.delete("shop", one.id)
    (two,) = catalog.pictures.enrol(number, MODEL, [image(2)])
    assert two.number > one.number
    catalog.galleries.delete("shop")
    assert gallery(catalog) > number


def test_a_deleted_gallery_is_unknown_and_empty_when_made_again(catalog: Catalog) -> None:
    number = gallery(catalog)
    (one,) = catalog.pictures.enrol(number, MODEL, [image(1)])
    catalog.galleries.delete("shop")
    for call in (
        lambda: catalog.galleries.key("shop"),
        lambda: catalog.galleries.get("shop", MODEL),
        lambda: catalog.galleries.delete("shop"),
        lambda: catalog.pictures.delete("shop", one.id),
        lambda: catalog.pictures.shown(number, [one.number]),
        lambda: catalog.pictures.enrol(number, MODEL, [image(1)]),
    ):
        with pytest.raises(UnknownGallery):
            call()
    gallery(catalog)
    assert catalog.galleries.get("shop", MODEL).images == 0
    assert list(catalog.features.batches(MODEL)) == []


def test_a_taken_name_is_refused(catalog: Catalog) -> None:
    gallery(catalog)
    with pytest.raises(GalleryExists):
        catalog.galleries.create("shop", keep_pictures=True)


def test_an_index_kind_is_kept_and_changed_alone(catalog: Catalog, url: str) -> None:
    catalog.galleries.create("shop", keep_pictures=False, index="clustered")
    gallery(catalog, "station")
    assert catalog.galleries.change("shop", {"retention_days": 3}).index == "clustered"
    assert catalog.galleries.get("shop", MODEL).index == catalog.galleries.key("shop").index == "clustered"
    assert catalog.galleries.change("shop", {"index": "flat"}).index == "flat"
    catalog.close()
    again = Catalog(url)
    assert list(again.galleries.kinds().values()) == ["flat", "auto"]
    assert [record.index for record in again.galleries.page(MODEL, 2)] == ["flat", "auto"]
    again.close()


def test_paging_is_by_name_and_does_not_shift(catalog: Catalog) -> None:
    for name in ("d", "b", "a", "c"):
        gallery(catalog, name)
    assert [record.name for record in catalog.galleries.page(MODEL, 2)] == ["a", "b"]
    catalog.galleries.delete("a")
    assert [record.name for record in catalog.galleries.page(MODEL, 2, after="b")] == ["c", "d"]


def test_nothing_of_a_call_is_stored_if_one_row_cannot_be(catalog: Catalog) -> None:
    number = gallery(catalog)
    naive = image(2, time=datetime(2024, 1, 1))
    with pytest.raises(Exception, match="time zone"):
        catalog.pictures.enrol(number, MODEL, [image(1), naive])
    record = catalog.galleries.get("shop", MODEL)
    assert (record.images, record.people) == (0, 0)


def test_many_writers_at_once_lose_nothing(catalog: Catalog) -> None:
    number = gallery(catalog)

    def write(seed: int) -> str:
        (answer,) = catalog.pictures.enrol(number, MODEL, [image(1, client_id=f"id {seed % 10}")])
        return answer.status

    with ThreadPoolExecutor(8) as threads:
        statuses = list(threads.map(write, range(40)))
    assert statuses.count("enrolled") == 10
    assert statuses.count("exists") == 30
    record = catalog.galleries.get("shop", MODEL)
    assert (record.images, record.people) == (10, 1)


def test_more_numbers_than_a_statement_takes(catalog: Catalog) -> None:
    number = gallery(catalog)
    (one,) = catalog.pictures.enrol(number, MODEL, [image(1)])
    assert list(catalog.pictures.shown(number, range(one.number, one.number + 40_000))) == [one.number]


def test_sqlite_is_set_to_keep_what_it_promised_and_to_forget_what_is_erased(
    on_sqlite: Catalog,
) -> None:
    with on_sqlite.database.engine.connect() as connection:

        def pragma(name: str) -> object:
            return connection.exec_driver_sql(f"PRAGMA {name}").scalar()

        assert pragma("journal_mode") == "wal"
        assert pragma("synchronous") == 2  # FULL
        assert pragma("secure_delete") == 1
        assert pragma("foreign_keys") == 1


def test_an_erased_person_is_in_none_of_the_files(on_sqlite: Catalog, tmp_path: Path) -> None:
    number = gallery(on_sqlite)
    (one,) = on_sqlite.pictures.enrol(number, MODEL, [image(1, person="Somebody Unforgettable")])

    def on_disk() -> bool:
        contents = contents_of(tmp_path / "folder").values()
        return any(b"Somebody Unforgettable" in content for content in contents)

    assert on_disk()
    on_sqlite.pictures.delete("shop", one.id)
    assert not on_disk()


def test_an_in_memory_catalog_is_refused() -> None:
    with pytest.raises(CatalogError, match="file"):
        Catalog("sqlite://")


# Names at hand


def test_names_are_at_hand_once_the_catalog_is_claimed(tmp_path: Path) -> None:
    catalog = Catalog(f"sqlite:///{tmp_path / 'catalog.sqlite3'}")
    catalog.galleries.create("before", keep_pictures=True)
    assert catalog.galleries.key_at_hand("before") is None  # others may make and delete galleries
    catalog.claim()
    assert catalog.galleries.key_at_hand("before") == catalog.galleries.key("before") == GalleryKey(1, True)
    catalog.galleries.create("after", keep_pictures=False)
    assert catalog.galleries.key_at_hand("after") == catalog.galleries.key("after")
    catalog.galleries.delete("before")
    for ask in (catalog.galleries.key_at_hand, catalog.galleries.key):
        with pytest.raises(UnknownGallery):
            ask("before")
    catalog.galleries.create("before", keep_pictures=False)
    assert catalog.galleries.key_at_hand("before") == catalog.galleries.key("before") == GalleryKey(3, False)
    catalog.close()


def test_names_at_hand_stay_when_a_change_is_refused(tmp_path: Path) -> None:
    catalog = Catalog(f"sqlite:///{tmp_path / 'catalog.sqlite3'}")
    catalog.claim()
    catalog.galleries.create("shop", keep_pictures=False)
    with pytest.raises(GalleryExists):
        catalog.galleries.create("shop", keep_pictures=True)
    with pytest.raises(UnknownGallery):
        catalog.galleries.delete("nowhere")
    assert catalog.galleries.key_at_hand("shop") == GalleryKey(1, False)
    catalog.close()


@pytest.mark.parametrize("fault", [CommitInDoubt(None), OSError("the connection broke off")])
def test_names_are_asked_of_the_database_after_a_change_nobody_knows_the_end_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    catalog = Catalog(f"sqlite:///{tmp_path / 'catalog.sqlite3'}")
    catalog.claim()
    transact = catalog.database.transact

    def committed_but_broken_off(work: Callable[[Session], object]) -> object:
        transact(work)
        raise fault

    monkeypatch.setattr(catalog.database, "transact", committed_but_broken_off)
    with pytest.raises(type(fault), match="broke"):
        catalog.galleries.create("shop", keep_pictures=False)
    assert catalog.galleries.key_at_hand("shop") is None
    assert catalog.galleries.key("shop") == GalleryKey(1, False)
    catalog.close()


def test_names_at_hand_stay_when_the_database_refuses_a_change(tmp_path: Path) -> None:
    catalog = Catalog(f"sqlite:///{tmp_path / 'catalog.sqlite3'}")
    catalog.claim()
    catalog.galleries.create("shop", keep_pictures=False)

    def locked(connection: Any, *_: Any) -> None:
        raise OperationalError("", {}, Exception("database is locked"))

    event.listen(Session, "after_begin", locked)
    try:
        for change in (
            lambda: catalog.galleries.create("other", keep_pictures=True),
            lambda: catalog.galleries.change("shop", {"keep_pictures": True}),
            lambda: catalog.galleries.delete("shop"),
        ):
            with pytest.raises(OperationalError):
                change()
            assert catalog.galleries.key_at_hand("shop") == GalleryKey(1, False)
    finally:
        event.remove(Session, "after_begin", locked)
    with pytest.raises(UnknownGallery):
        catalog.galleries.key_at_hand("other")
    catalog.close()


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
def test_the_databases_own_time_zone_is_in_nobodys_way(
    postgresql_server: PostgreSQLServer, zone: str
) -> None:
    url = postgresql_server.empty_database()
    with create_engine(url, isolation_level="AUTOCOMMIT").connect() as connection:
        database = connection.execute(text("SELECT current_database()")).scalar_one()
        connection.execute(text(f"ALTER DATABASE {database} SET timezone TO '{zone}'"))
    times = [
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(2026, 11, 21, 12, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
    ]
    catalog = Catalog(url)
    number = gallery(catalog)
    catalog.pictures.enrol(number, MODEL, [image(seed, time=time) for seed, time in enumerate(times)])
    for _ in range(3):  # of several connections, each used again
        assert [one.time for one in catalog.pictures.page(number, 10)] == times
    catalog.close()


def test_a_list_has_what_meets_all_its_conditions(catalog: Catalog) -> None:
    number = gallery(catalog)
    noon = datetime(2026, 1, 31, 12, tzinfo=UTC)
    told: list[dict[str, Any]] = [
        {"person": "anna", "camera": "yard", "client_id": "a-1", "time": noon},
        {"person": "anna", "client_id": "a-2", "time": noon + timedelta(hours=1)},
        {"person": "ben", "camera": "yard", "client_id": "b-1"},
        {"person": "ben", "time": noon + timedelta(hours=2)},
    ]
    for place, one in enumerate(told):
        model = OTHER_MODEL if place % 3 == 0 else MODEL
        catalog.pictures.enrol(number, model, [image(place, **{"client_id": None, "camera": None, **one})])
    catalog.pictures.enrol(gallery(catalog, "other"), MODEL, [image(9, client_id="a-1")])

    def listed(after: int = 0, limit: int = 10, **conditions: Any) -> list[int]:
        page = catalog.pictures.page(number, limit, after, Listed(**conditions), MODEL)
        return [one.number - 1 for one in page]

    assert listed() == [0, 1, 2, 3]
    assert (listed(client_id="a-1"), listed(client_id="b-2"), listed(client_id="A-1")) == ([0], [], [])
    assert (listed(client_id="a-1", person="ben"), listed(1, client_id="a-1")) == ([], [])
    assert listed(time_from=noon) == [0, 1, 3]
    assert listed(time_to=noon) == []
    assert listed(time_from=noon + timedelta(hours=1), time_to=noon + timedelta(hours=2)) == [1]
    assert (listed(pending=True), listed(pending=False)) == ([0, 3], [1, 2])
    assert listed(pending=True, limit=1) == [0]
    assert (listed(1, pending=True), listed(pending=True, camera="yard")) == ([3], [0])


@pytest.mark.parametrize("conditions", [{"client_id": "c17"}, {"pending": True}])
def test_a_list_of_few_is_not_looked_for_among_all(catalog: Catalog, conditions: dict[str, Any]) -> None:
    """But by an index: whoever goes through the pictures in their order reads a whole gallery for one."""
    number = gallery(catalog)
    catalog.pictures.enrol(number, MODEL, [image(seed, client_id=f"c{seed}") for seed in range(3000)])
    catalog.pictures.enrol(number, OTHER_MODEL, [image(3000, client_id="other")])
    engine = catalog.database.engine
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    assert len(catalog.pictures.page(number, 101, 0, Listed(**conditions), MODEL)) == 1
    event.remove(engine, "before_cursor_execute", note)
    (asked_of_images,) = [one for one in asked if "FROM images" in one[0]]
    explain = "EXPLAIN QUERY PLAN " if catalog.database.is_sqlite else "EXPLAIN "
    with engine.connect() as connection:
        if not catalog.database.is_sqlite:  # as if the pictures were too many for it
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        rows = connection.exec_driver_sql(explain + asked_of_images[0], asked_of_images[1])
        plan = "\n".join(map(str, rows))
    column = "client_id" if "client_id" in conditions else "fingerprint"
    assert f"(gallery=? AND {column}" in plan or f"gallery_{column}_idx" in plan, plan


def test_statistics_count_what_the_previous_model_made_too(catalog: Catalog) -> None:
    number = gallery(catalog)
    catalog.pictures.enrol(number, MODEL, [image(0)])
    assert catalog.galleries.statistics("shop", MODEL).feature_bytes == 9 * DIMENSION * 2
    before = MadeBefore(OTHER_MODEL, 0, None, np.zeros((9, 4), np.float16))
    catalog.pictures.enrol(number, MODEL, [image(1, before=before)])
    assert catalog.galleries.statistics("shop", MODEL).feature_bytes == 2 * 9 * DIMENSION * 2 + 9 * 4 * 2


def test_a_database_without_an_encoding_holds_any_name(postgresql_server: PostgreSQLServer) -> None:
    url = make_url(postgresql_server.empty_database())
    with create_engine(url, isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text("CREATE DATABASE plain ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0"))
    plain = url.set(database="plain").render_as_string(hide_password=False)
    catalog = Catalog(plain)
    catalog.claim()
    number = gallery(catalog)
    name = "Zoë Müller 山田"
    catalog.pictures.enrol(number, MODEL, [image(person=name)])
    assert [one.name for one in catalog.people.page(number, 5)] == [name]
    catalog.close()
