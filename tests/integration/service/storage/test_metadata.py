"""Own metadata in the catalog: found by its members in either database, and erased with its picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select, text

from service.storage.catalog import Catalog
from service.storage.database import open_engine
from service.storage.facts import Scalar, facts_of
from service.storage.filters import Filters
from service.storage.records import NewImage
from service.storage.schema import migrate
from service.storage.tables import FactRow
from service.storage.ulid import new_ulid
from tests.reading import contents_of

MODEL = "a" * 64


def enrolled(catalog: Catalog, *told: dict[str, Any], gallery: int = 1) -> list[tuple[int, str]]:
    """Number and id of a picture for each metadata; the first two are of one person."""
    images = [
        NewImage(
            id=new_ulid(),
            digest=f"{place:064x}",
            person=f"p{place // 2}",
            camera=None,
            time=None,
            client_id=None,
            metadata=metadata,
            kept=False,
            occlusion=0,
            scores=None,
            features=np.zeros((9, 8), np.float16),
        )
        for place, metadata in enumerate(told)
    ]
    return [(one.number, one.id) for one in catalog.pictures.enrol(gallery, MODEL, images)]


def matching(catalog: Catalog, told: dict[str, Scalar], gallery: int = 1, **others: Any) -> list[int]:
    numbers, _ = catalog.pictures.matching(gallery, Filters(metadata=told, **others))
    return numbers.tolist()


def facts(catalog: Catalog) -> int:
    with catalog.database.engine.connect() as connection:
        return len(connection.execute(select(FactRow.fact)).all())


AWKWARD: list[dict[str, Scalar]] = [
    {'a"b.c[0]$': 'say "yes"'},
    {"": ""},
    {"späti": "☂ \x00 \U0001f600"},
    {"n": 2**70},
    {"n": -0.5},
    {"long": "x" * 9000},
]


@pytest.mark.parametrize("told", AWKWARD)
def test_any_key_and_value_finds_its_picture_and_no_other(catalog: Catalog, told: dict[str, Scalar]) -> None:
    numbers = [number for number, _ in enrolled(catalog, {}, told, {"other": 1})]
    assert matching(catalog, told) == [numbers[1]]


def test_numbers_texts_and_booleans_are_told_apart(catalog: Catalog) -> None:
    one, true, text_one, false, zero = (
        number for number, _ in enrolled(catalog, {"v": 1}, {"v": True}, {"v": "1"}, {"v": False}, {"v": 0})
    )
    assert matching(catalog, {"v": 1}) == matching(catalog, {"v": 1.0}) == [one]
    assert matching(catalog, {"v": True}) == [true]
    assert matching(catalog, {"v": "1"}) == [text_one]
    assert matching(catalog, {"v": False}) == [false]
    assert matching(catalog, {"v": -0.0}) == [zero]


def test_every_member_must_be_there_beside_the_other_conditions(catalog: Catalog) -> None:
    both = {"shift": "night", "gate": 4}
    first, second, third = (
        number for number, _ in enrolled(catalog, both, {**both, "more": [1]}, {"shift": "night"})
    )
    assert matching(catalog, {"shift": "night"}) == [first, second, third]
    assert matching(catalog, {"shift": "night", "gate": 4}) == [first, second]
    assert matching(catalog, {"shift": "night"}, people=["p1"]) == [third]
    numbers, people = catalog.pictures.matching(1, Filters(metadata={"gate": 4}))
    assert (numbers.tolist(), people) == ([first, second], 1)


def test_metadata_belongs_to_its_gallery(catalog: Catalog) -> None:
    catalog.galleries.create("station", keep_pictures=False)
    other = catalog.galleries.key("station").number
    enrolled(catalog, {"gate": 4})
    ((number, _),) = enrolled(catalog, {"gate": 4}, gallery=other)
    assert matching(catalog, {"gate": 4}, other) == [number]


def test_merged_pictures_keep_what_was_told_of_them(catalog: Catalog) -> None:
    numbers = [number for number, _ in enrolled(catalog, {"gate": 1}, {"gate": 2}, {"gate": 3})]
    catalog.people.rename("shop", "p0", "p1", merge=True)
    for gate, number in enumerate(numbers, 1):
        assert matching(catalog, {"gate": gate}, people=["p1"]) == [number]


def test_metadata_goes_with_its_picture_person_and_gallery(catalog: Catalog) -> None:
    pictures = enrolled(catalog, *[{"gate": gate, "shift": "night"} for gate in range(5)])
    assert facts(catalog) == 10
    catalog.pictures.delete("shop", pictures[4][1])
    assert (facts(catalog), matching(catalog, {"gate": 4})) == (8, [])
    catalog.people.delete("shop", "p0")
    assert (facts(catalog), matching(catalog, {"shift": "night"})) == (4, [pictures[2][0], pictures[3][0]])
    catalog.galleries.delete("shop")
    assert facts(catalog) == 0


def test_erased_metadata_is_in_none_of_the_files(tmp_path: Path) -> None:
    catalog = Catalog(f"sqlite:///{tmp_path / 'catalog.sqlite3'}")
    catalog.galleries.create("shop", keep_pictures=False)
    told = {"nickname": "Somebody Unforgettable", "badge": 49152077}
    traces = [b"Somebody Unforgettable", b"49152077", *(fact.encode() for fact in facts_of(1, told))]

    def found() -> list[bool]:
        content = b"".join(contents_of(tmp_path).values())
        return [trace in content for trace in traces]

    for erase in (
        lambda id: catalog.pictures.delete("shop", id),
        lambda _: catalog.people.delete("shop", "p0"),
        lambda _: catalog.galleries.delete("shop"),
    ):
        ((_, id),) = enrolled(catalog, told)
        assert found() == [True] * 4
        erase(id)
        assert found() == [False] * 4
    catalog.close()


def test_metadata_from_before_it_could_be_asked_for_is_found(catalog_url: str) -> None:
    engine = open_engine(catalog_url)
    migrate(engine, "0007")
    with engine.begin() as connection:
        moment = "2026-11-20 12:00:00.000000"
        for statement in (
            f"INSERT INTO galleries (name, keep_pictures, created_at) VALUES ('shop', false, '{moment}')",
            "INSERT INTO people (gallery, name) VALUES (1, 'anna')",
        ):
            connection.execute(text(statement))
        for number, told in enumerate(({"gate": 4}, {}, {"gate": 5, "more": None})):
            connection.execute(
                text(
                    "INSERT INTO images (id, gallery, person, digest, metadata, kept, enrolled_at, "
                    "fingerprint, occlusion, features) VALUES (:id, 1, 1, 'd', :told, false, :at, 'f', 0, :b)"
                ),
                {"id": f"i{number}", "told": json.dumps(told), "at": moment, "b": b""},
            )
    engine.dispose()
    catalog = Catalog.claimed(catalog_url)
    assert matching(catalog, {"gate": 5}) == [3]
    assert facts(catalog) == 2
    catalog.close()
