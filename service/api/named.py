"""What a path names: a gallery, and a picture or a person in it.

Of a name that nothing can have, 404 says so before anybody is asked: what databases make of a NUL differs.
"""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Path
from pydantic import AfterValidator

from service.api.schemas import examples
from service.api.schemas.strict import GALLERY_NAME, WORDS
from service.problems import UnknownGallery, UnknownImage, UnknownPerson
from service.storage.ulid import PATTERN

__all__ = ["GalleryInPath", "ImageInPath", "PersonInPath"]


def _gallery(name: str) -> str:
    if re.fullmatch(GALLERY_NAME, name) is None:
        raise UnknownGallery(f"no gallery can have the name {name!r}")
    return name


def _image(id: str) -> str:
    if PATTERN.fullmatch(id) is None:
        raise UnknownImage(f"no image can have the id {id!r}")
    return id


def _person(name: str) -> str:
    if re.fullmatch(WORDS, name) is None:
        raise UnknownPerson(f"nobody can have the name {name!r}")
    return name


GalleryInPath = Annotated[
    str,
    Path(description="The gallery's name.", openapi_examples={"a gallery": {"value": "shop"}}),
    AfterValidator(_gallery),
]
ImageInPath = Annotated[
    str,
    Path(
        description="The picture's id, as enrolling answered it.",
        openapi_examples={"a picture": {"value": examples.IMAGE}},
    ),
    AfterValidator(_image),
]
PersonInPath = Annotated[
    str,
    Path(
        description="The person's name, percent-encoded; slashes may stay as they are.",
        openapi_examples={"a person": {"value": "anna"}},
    ),
    AfterValidator(_person),
]
