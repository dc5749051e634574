"""People: as they are, and to be renamed or merged."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from service.api.schemas.strict import NEXT_CURSOR, Change, PersonName, Strict


class Person(Strict):
    """A person of a gallery."""

    name: str = Field(examples=["anna"])
    images: int = Field(description="Pictures that show them.", examples=[4])


class PeoplePage(Strict):
    """Some people in the order of their names."""

    items: list[Person]
    next_cursor: str | None = Field(description=NEXT_CURSOR)


class PersonChange(Change):
    """What is to be changed of a person."""

    model_config = ConfigDict(json_schema_extra={"example": {"name": "anna maria", "merge": True}})

    name: PersonName = Field(
        description="The new name; not `.` or `..`, nor with such a part between slashes.",
        examples=["anna maria"],
    )
    merge: bool = Field(
        default=False,
        description="If another person has that name: make the two one, with all pictures; else that is 409.",
    )
