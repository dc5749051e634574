"""Duplicates by content in the catalog, on SQLite and PostgreSQL."""

from __future__ import annotations

import numpy as np

from service.storage.catalog import Catalog
from service.storage.records import Enrolled, NewImage
from service.storage.ulid import new_ulid

MODEL = "a" * 64


def enrol(catalog: Catalog, *pictures: tuple[str, int, str | None], gallery: int = 1) -> list[Enrolled]:
    """Of each: its person, what stands for its content, and its client id."""
    images = [
        NewImage(
            id=new_ulid(),
            digest=f"{content:064x}",
            person=person,
            camera=None,
            time=None,
            client_id=client_id,
            metadata={},
            kept=False,
            occlusion=0,
            scores=None,
            features=np.zeros((9, 8), np.float16),
        )
        for person, content, client_id in pictures
    ]
    return catalog.pictures.enrol(gallery, MODEL, images)


def test_content_that_is_there_is_named_within_one_call_and_across_calls(catalog: Catalog) -> None:
    first, again, other = enrol(catalog, ("anna", 1, None), ("ben", 1, "x"), ("anna", 2, None))
    assert [one.status for one in (first, again, other)] == ["enrolled"] * 3
    assert [one.duplicate_of for one in (first, again, other)] == [None, first.id, None]
    later, also_later = enrol(catalog, ("anna", 2, "y"), ("cleo", 1, None))
    assert [one.duplicate_of for one in (later, also_later)] == [other.id, first.id]


def test_a_client_id_sent_again_is_no_duplicate_of_itself(catalog: Catalog) -> None:
    (first,) = enrol(catalog, ("anna", 1, "x"))
    (second,) = enrol(catalog, ("anna", 1, "y"))
    again = enrol(catalog, ("anna", 1, "x"), ("anna", 1, "y"), ("anna", 2, "x"))
    assert [one.status for one in again] == ["exists", "exists", "conflict"]
    assert [one.id for one in again[:2]] == [first.id, second.id]
    assert [one.duplicate_of for one in again] == [None, first.id, None]


def test_another_gallery_s_pictures_are_no_duplicates(catalog: Catalog) -> None:
    catalog.galleries.create("station", keep_pictures=False)
    enrol(catalog, ("anna", 1, None))
    number = catalog.galleries.key("station").number
    (other,) = enrol(catalog, ("anna", 1, None), gallery=number)
    assert other.duplicate_of is None
    assert catalog.duplicates.page(1, 10) == catalog.duplicates.page(number, 10) == []


def test_duplicates_are_listed_in_order_and_without_the_first_of_each(catalog: Catalog) -> None:
    contents = [1, 2, 1, 3, 2, 1]
    enrolled = enrol(catalog, *[(f"p{n}", content, f"c{n}") for n, content in enumerate(contents)])
    found = catalog.duplicates.page(1, 10)
    assert [one.id for one in found] == [enrolled[n].id for n in (2, 4, 5)]
    assert [(one.person, one.client_id) for one in found] == [("p2", "c2"), ("p4", "c4"), ("p5", "c5")]
    assert [one.first for one in found] == [enrolled[n].id for n in (0, 1, 0)]
    assert [one.first_person for one in found] == ["p0", "p1", "p0"]
    (two, three) = catalog.duplicates.page(1, 1), catalog.duplicates.page(1, 2, after=found[0].number)
    assert [*two, *three] == found
    catalog.pictures.delete("shop", enrolled[0].id)  # the next of that content is the first then
    assert [(one.id, one.first) for one in catalog.duplicates.page(1, 10)] == [
        (enrolled[4].id, enrolled[1].id),
        (enrolled[5].id, enrolled[2].id),
    ]
