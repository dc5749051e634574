"""What all schemas share: unknown members are errors; and how names are written."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    GetJsonSchemaHandler,
    StringConstraints,
)
from pydantic_core import CoreSchema

__all__ = [
    "GALLERY_NAME",
    "JSON_BODY",
    "NEXT_CURSOR",
    "WORDS",
    "Change",
    "GalleryName",
    "PersonName",
    "Strict",
    "Words",
]

GALLERY_NAME: Final = r"^[a-z0-9][a-z0-9._-]{0,63}$"

WORDS: Final = r"^[^\x00-\x1f\x7f]{1,256}$"

NEXT_CURSOR: Final = "Give it as `cursor` for the next page; null on the last."

GalleryName = Annotated[str, StringConstraints(pattern=GALLERY_NAME)]
Words = Annotated[str, StringConstraints(pattern=WORDS)]


def _no_way_up(name: str) -> str:
    """In a URL, `people/..` is the gallery: erasing that person would erase everybody."""
    if {".", ".."} & set(re.split(r"[/\\]", name)):
        raise ValueError("'.' and '..' mean something else in a URL; give the person another name")
    return name


PersonName = Annotated[Words, AfterValidator(_no_way_up)]


class Strict(BaseModel):
    """Frozen, and with no members but those that are declared."""

    model_config = ConfigDict(extra="forbid", frozen=True)


JSON_BODY: Final = ConfigDict(strict=True)
"""Of what is sent as JSON, which has numbers and booleans of its own; in forms and queries all is text."""


class Change(Strict):
    """What is to be changed of something, in JSON; what is not said stays as it is.

    So its JSON schema states no defaults: generated clients send those, and would change what nobody named.
    """

    model_config = JSON_BODY

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """pydantic's own, without the defaults."""
        described = handler.resolve_ref_schema(handler(core))
        for field in described.get("properties", {}).values():
            field.pop("default", None)
        return described
