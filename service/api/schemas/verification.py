"""Whether two pictures, or a picture and a person, are the same."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, Json

from service.api.schemas.decisions import DECISION, PROBABILITY, Decisive
from service.api.schemas.pictures import BOXES, BOXES_EXAMPLE, BoxNumbers
from service.api.schemas.queries import COMPARED, SCORE, MatchedImage, QueryPicture
from service.api.schemas.strict import GalleryName, Strict, Words
from service.matching.unification import CHOICES


class VerifyForm(Decisive):
    """What is to be compared, as form fields."""

    gallery: GalleryName | None = Field(default=None, description="Where the person is, for one picture.")
    person: Words | None = Field(default=None, description="Whom the one picture is compared with.")
    unify: Literal[CHOICES] = Field(  # type: ignore[valid-type]
        default="auto",
        description="As for a query; a type's name is the first picture's occlusion; fuse needs a gallery.",
    )
    boxes: Json[list[BoxNumbers | None]] | None = Field(
        default=None, description=BOXES, examples=[BOXES_EXAMPLE]
    )


class VerifyAnswer(Strict):
    """Whether it is the same person."""

    score: float = Field(description=SCORE, examples=[0.5481])
    probability: float | None = Field(description=PROBABILITY, examples=[0.94])
    decision: Literal["match", "uncertain", "unknown"] | None = Field(
        description=DECISION, examples=["match"]
    )
    pictures: list[QueryPicture]
    image: MatchedImage | None = Field(
        description="The person's picture that matched best; null where two pictures were sent."
    )
    compared: str = Field(
        description=COMPARED,
        examples=["bottom_half"],
    )
    model: str = Field(description="The model's fingerprint.")
