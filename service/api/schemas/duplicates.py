"""Duplicates: pictures whose content was enrolled before."""

from __future__ import annotations

from pydantic import Field

from service.api.schemas.strict import NEXT_CURSOR, Strict


class Duplicate(Strict):
    """A picture with the content of an earlier one."""

    id: str = Field(examples=["01KAFQ9R3B7XW2M5T8D1N4J6VE"])
    person: str = Field(examples=["anna"])
    client_id: str | None = Field(examples=["copy of anna-1.jpg"])
    duplicate_of: str = Field(
        description="The first picture of that content.", examples=["01KAFQ7V0Z9D4S2XW8TB3M6HNC"]
    )
    duplicate_of_person: str = Field(description="Whom that one is said to show.", examples=["anna"])


class DuplicatePage(Strict):
    """Some duplicates in the order in which they were enrolled."""

    items: list[Duplicate]
    next_cursor: str | None = Field(description=NEXT_CURSOR)
