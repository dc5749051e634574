"""Galleries: to be made, to be changed, and as they are."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

from pydantic import ConfigDict, Field

from service.api.schemas.decisions import Decisive
from service.api.schemas.strict import NEXT_CURSOR, Change, GalleryName, Strict
from service.index.protocol import IndexKind

INDEX: Final = (
    "flat: every search is exact; clustered: in less memory and time, most of the best are found; auto: as "
    "PENUMBRA_INDEX says."
)

Days = Annotated[int, Field(ge=1, le=36500)]


class GalleryCreate(Decisive):
    """A gallery to be made."""

    model_config = ConfigDict(
        strict=True,
        json_schema_extra={"example": {"name": "shop", "keep_pictures": True, "retention_days": 30}},
    )

    name: GalleryName = Field(
        description="Lower-case letters, digits, '.', '_', '-'; the first a letter or digit.",
        examples=["shop"],
    )
    keep_pictures: bool = Field(
        default=False, description="Keep the pictures' bytes, not only what the model makes of them."
    )
    retention_days: Days | None = Field(
        default=None,
        description="Erase pictures so many days after they were enrolled, within the hour; null: keep them.",
    )
    index: IndexKind = Field(default="auto", description=INDEX)


class GalleryChange(Change, Decisive):
    """What is to be changed of a gallery."""

    model_config = ConfigDict(json_schema_extra={"example": {"match_rate": 0.001}})

    keep_pictures: bool = Field(
        default=False, description="Counts for pictures that are enrolled from then on."
    )
    retention_days: Days | None = Field(
        default=None,
        description="Erase pictures so many days after they were enrolled, within the hour; null: keep them.",
    )
    index: IndexKind = Field(
        default="auto",
        description=f"{INDEX} What was clustered is flat when the answer comes; what was flat is clustered "
        "later.",
    )


class Gallery(Strict):
    """A gallery as it is."""

    name: str = Field(examples=["shop"])
    images: int = Field(description="Pictures enrolled.", examples=[1204])
    people: int = Field(description="Persons with at least one picture.", examples=[317])
    pending: int = Field(
        description="Pictures enrolled with another model than the present one: they are not found until "
        "they are enrolled again.",
        examples=[0],
    )
    keep_pictures: bool
    retention_days: int | None = Field(
        description="Pictures that were enrolled longer ago are erased, within the hour; null: kept."
    )
    index: IndexKind = Field(description=INDEX)
    created_at: datetime
    match_rate: float | None = Field(description="The gallery's own; null: the calibration's.")
    uncertain_rate: float | None = Field(description="The gallery's own; null: the calibration's.")
    prior: float | None = Field(description="The gallery's own; null: the calibration's.")


class Statistics(Strict):
    """What is in a gallery."""

    images: int
    people: int
    pending: int = Field(description="Pictures enrolled with another model than the present one.")
    by_occlusion: dict[str, int] = Field(
        description="Pictures by the occlusion type that they are graded as; types without one are left out.",
        examples=[{"none": 1100, "bottom_half": 104}],
    )
    feature_bytes: int = Field(description="Size of all stored features.", examples=[11097360])
    picture_bytes: int = Field(description="Size of the pictures that are kept.", examples=[3612000])
    thumbnail_bytes: int = Field(description="Size of their thumbnails.", examples=[2408000])
    first_enrolled: datetime | None
    last_enrolled: datetime | None


class Reindexing(Strict):
    """How far a gallery's pictures are brought to the present model."""

    running: bool
    images: int = Field(description="All pictures of the gallery.")
    done: int = Field(description="Of the present model.")
    waiting: int = Field(description="Kept pictures of another model, still to be embedded.")
    not_kept: int = Field(
        description="Pictures of another model whose bytes were not kept. They stay pending until they are "
        "enrolled again; the gallery's list shows them with `pending` true and `kept` false."
    )
    failed: int = Field(
        description="Kept pictures that could not be embedded, e.g. since their files are lost. They stay "
        "pending; the next call tries them again, and so does the next start."
    )
    failed_images: list[str] = Field(description="Ids of those, up to 100.")
    problem: str | None = Field(
        description="What went wrong last, what is waited for, or why the previous model goes on answering; "
        "null: nothing."
    )
    answers: str = Field(
        description="Fingerprint of the model that answers queries: the previous one, where the service has "
        "it, until all pictures are of the present one, or are left behind."
    )


class GalleryPage(Strict):
    """Some galleries in the order of their names."""

    items: list[Gallery]
    next_cursor: str | None = Field(description=NEXT_CURSOR)
