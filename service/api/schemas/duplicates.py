"""Duplicates: pictures whose content was enrolled before."""

from __future__ import annotations

from pydantic import Field

from service.api.schemas import examples
from service.api.schemas.strict import NEXT_CURSOR, Strict


class Duplicate(Strict):
    """A picture with the content of an earlier one."""

    id: str = Field(examples=[examples.COPY])
    person: str = Field(examples=["ben"])
    client_id: str | None = Field(examples=["copy of ben-1"])
    duplicate_of: str = Field(
        description="The first picture of that content.", examples=[examples.OTHER_IMAGE]
    )
    duplicate_of_person: str = Field(description="Whom that one is said to show.", examples=["ben"])


class DuplicatePage(Strict):
    """Some duplicates in the order in which they were enrolled."""

    items: list[Duplicate]
    next_cursor: str | None = Field(description=NEXT_CURSOR)
