"""Pictures: to be enrolled, and as they are; and what the grader thinks is hidden of one."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field, JsonValue, field_validator

from models import occlusion
from service.api.faults import ProblemDocument
from service.api.schemas import examples
from service.api.schemas.strict import JSON_BODY, NEXT_CURSOR, PersonName, Strict, Words
from service.moments import Moment
from service.storage.records import Said

MAX_METADATA_BYTES: Final = 16 * 1024
MAX_METADATA_MEMBERS: Final = 64


def _a_number(said: object) -> object:
    """A detector's boxes may have whole numbers with a fraction of 0, which are integers in JSON."""
    if isinstance(said, str | bool):
        raise ValueError("must be a whole number")
    return said


Coordinate = Annotated[int, Field(ge=0, le=1_000_000, strict=False), BeforeValidator(_a_number)]
Side = Annotated[int, Field(ge=1, le=1_000_000, strict=False), BeforeValidator(_a_number)]
BoxNumbers = tuple[Coordinate, Coordinate, Side, Side]

BOXES: Final = (
    "A JSON array with one [x, y, width, height] per file, in order: where in a full frame the person is; "
    "null for a file that is the person's picture already."
)


BOXES_EXAMPLE: Final = "[[120, 40, 64, 128]]"


class Scores(Strict):
    """The grader's four scores, 0 to 1."""

    top: float
    bottom: float
    left: float
    right: float


class Occlusion(Strict):
    """What the grader thinks is hidden of a picture."""

    type: str = Field(description=f"One of {', '.join(occlusion.NAMES)}.", examples=["bottom_half"])
    scores: Scores | None = Field(description="null where the model has no grader.")


class Item(Strict):
    """What is told of one picture when it is enrolled."""

    model_config = JSON_BODY

    person: PersonName = Field(
        description="Whom it shows; the caller's own name or number, as text. Not `.` or `..`, nor "
        "with such a part between slashes: in a URL they mean something else."
    )
    camera: Words | None = Field(default=None, description="Which camera took it.", examples=["entrance"])
    time: Moment | None = Field(
        default=None,
        description="When it was taken; RFC 3339, with an offset.",
        examples=["2026-01-31T13:00:00+01:00"],
    )
    client_id: Words | None = Field(
        default=None, description="The caller's id of this picture; enrolling it again changes nothing."
    )
    box: BoxNumbers | None = Field(
        default=None,
        description="[x, y, width, height] of the person in a full frame, pixels; of a gallery that keeps "
        "pictures, that part alone is kept.",
        examples=[[120, 40, 64, 128]],
    )
    metadata: dict[str, JsonValue] = Field(
        default_factory=dict,
        max_length=MAX_METADATA_MEMBERS,
        description=f"The caller's own: up to {MAX_METADATA_MEMBERS} members and {MAX_METADATA_BYTES} bytes "
        "of JSON. Queries can ask for those that are strings, numbers or booleans.",
        examples=[{"shift": "night", "gate": 4}],
    )

    @field_validator("metadata")
    @classmethod
    def _storable(cls, metadata: dict[str, JsonValue]) -> dict[str, JsonValue]:
        # NaN and infinities, which Python reads but which are no JSON, are a ValueError too.
        if len(json.dumps(metadata, allow_nan=False)) > MAX_METADATA_BYTES:
            raise ValueError(f"more than {MAX_METADATA_BYTES} bytes of JSON")
        return metadata


class EnrolledItem(Strict):
    """What became of one picture."""

    id: str | None = Field(description="The picture's id; null if it failed.")
    client_id: str | None = Field(description="As sent.")
    status: Literal["enrolled", "exists", "failed"] = Field(
        description="`exists`: the gallery has this `client_id` with the same bytes (and box). The rest is "
        "about that picture, which stays as it was enrolled; if it was pending, it is embedded anew."
    )
    person: str | None = Field(description="The person that the picture is stored under; null if it failed.")
    differs: list[Said] = Field(
        description="With `exists`, what was sent of the picture otherwise than it is stored, and was not "
        "taken; what was left out does not count. Look at the picture to see what is stored. To have it "
        "otherwise, erase the picture and enrol it again, or rename the person."
    )
    occlusion: Occlusion | None = Field(description="null if it failed.")
    duplicate_of: str | None = Field(
        description="The gallery's first picture with the same bytes (and box), if that is another one."
    )
    problem: ProblemDocument | None = Field(default=None, description="Only if it failed.")


class EnrolAnswer(Strict):
    """One entry per picture, in the order sent."""

    items: list[EnrolledItem]


class Picture(Strict):
    """An enrolled picture with all that was told of it."""

    id: str = Field(examples=[examples.IMAGE])
    person: str = Field(examples=["anna"])
    camera: str | None = Field(examples=["entrance"])
    time: datetime | None
    client_id: str | None = Field(examples=["anna-1"])
    metadata: dict[str, JsonValue]
    enrolled_at: datetime
    occlusion: Occlusion
    kept: bool = Field(description="Whether its bytes can be fetched.")
    pending: bool = Field(description="Enrolled with another model than the present one.")


class PicturePage(Strict):
    """Some pictures in the order in which they were enrolled."""

    items: list[Picture]
    next_cursor: str | None = Field(description=NEXT_CURSOR)
