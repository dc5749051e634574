"""Calls about enrolled pictures. How they are enrolled is in :mod:`service.client.calls.enrolment`."""

from __future__ import annotations

from datetime import datetime

from service.client.answers import Duplicate, Picture
from service.client.call import Call, gallery_path, nothing, reader
from service.client.calls.pages import Pages
from service.moments import written


def images(
    gallery: str,
    *,
    person: str | None = None,
    camera: str | None = None,
    client_id: str | None = None,
    time_from: datetime | None = None,
    time_to: datetime | None = None,
    pending: bool | None = None,
    page_size: int = 100,
) -> Pages[Picture]:
    """All pictures in the order of enrolment, page by page; if asked, only some.

    Args:
        person, camera, client_id: only those that have this one.
        time_from, time_to: only those taken at or after, and before; with time zone.
        pending: only those whose features another model made than the present one, or only the others.
        page_size: most in one answer.
    """
    filters = {
        "person": person,
        "camera": camera,
        "client_id": client_id,
        "time_from": None if time_from is None else written(time_from),
        "time_to": None if time_to is None else written(time_to),
        "pending": None if pending is None else str(pending).lower(),
    }
    return Pages(gallery_path(gallery, "images"), Picture, page_size, filters)


def duplicates(gallery: str, *, page_size: int = 100) -> Pages[Duplicate]:
    """All pictures with the content of an earlier one, in the order of enrolment, page by page."""
    return Pages(gallery_path(gallery, "duplicates"), Duplicate, page_size)


def image(gallery: str, image: str) -> Call[Picture]:
    """One picture's data, by the id that enrolling gave."""
    return Call("GET", gallery_path(gallery, "images", image), reader(Picture), repeatable=True)


def file(gallery: str, image: str) -> Call[bytes]:
    """A picture's bytes. ``ProblemError`` 404 if the gallery does not keep pictures."""
    path = gallery_path(gallery, "images", image, "file")
    return Call("GET", path, lambda response: response.content, repeatable=True)


def thumbnail(gallery: str, image: str) -> Call[bytes]:
    """A small copy of a picture, a JPEG. ``ProblemError`` 404 if the gallery does not keep pictures."""
    path = gallery_path(gallery, "images", image, "thumbnail")
    return Call("GET", path, lambda response: response.content, repeatable=True)


def delete_image(gallery: str, image: str) -> Call[None]:
    """Erase one picture, by the id that enrolling gave."""
    return Call("DELETE", gallery_path(gallery, "images", image), nothing, repeatable=True)
