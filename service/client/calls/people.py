"""Calls about the people of a gallery."""

from __future__ import annotations

from service.client.answers import Person
from service.client.call import Call, gallery_path, nothing, reader
from service.client.calls.pages import Pages


def people(gallery: str, *, page_size: int = 100) -> Pages[Person]:
    """All people in the order of their names, fetched page by page."""
    return Pages(gallery_path(gallery, "people"), Person, page_size)


def person(gallery: str, person: str) -> Call[Person]:
    """One person. ``ProblemError`` 404 if there is none of that name."""
    return Call("GET", gallery_path(gallery, "people", person), reader(Person), repeatable=True)


def rename_person(gallery: str, person: str, name: str, *, merge: bool = False) -> Call[Person]:
    """Give a person another name; with ``merge`` it may be another person's, and the two become one."""
    path = gallery_path(gallery, "people", person)
    return Call("PATCH", path, reader(Person), repeatable=False, json={"name": name, "merge": merge})


def delete_person(gallery: str, person: str) -> Call[None]:
    """Erase a person with all that is stored of them."""
    return Call("DELETE", gallery_path(gallery, "people", person), nothing, repeatable=True)
