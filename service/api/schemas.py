"""What REST takes and answers, as pydantic models with examples. Unknown members are errors."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    Json,
    JsonValue,
    StringConstraints,
    field_validator,
    model_validator,
)

from models import occlusion
from models.bundle import BundleMetadata
from models.calibration import Rate, Share
from service.api.faults import ProblemDocument
from service.matching.decision import Rule
from service.matching.reranking import CANDIDATES
from service.matching.unification import CHOICES

GALLERY_NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"

MAX_METADATA_BYTES = 16 * 1024

GalleryName = Annotated[str, StringConstraints(pattern=GALLERY_NAME)]
Words = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,256}$")]


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("in UTC, this is before the year 1 or after the year 9999") from error


def _no_way_up(name: str) -> str:
    """In a URL, `people/..` is the gallery: erasing that person would erase everybody."""
    if {".", ".."} & set(re.split(r"[/\\]", name)):
        raise ValueError("'.' and '..' mean something else in a URL; give the person another name")
    return name


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
PersonName = Annotated[Words, AfterValidator(_no_way_up)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


# Decisions


class _Decisive(_Strict):
    """What a call or a gallery may say of decisions; null leaves it to the gallery, then the calibration.

    Nothing here does anything while the model is not calibrated.
    """

    match_rate: Rate | None = Field(
        default=None,
        description="False-match rate: of calls that ask about somebody who is not there, the share that may "
        "get a `match`.",
        examples=[0.01],
    )
    uncertain_rate: Rate | None = Field(
        default=None,
        description="The same for `uncertain` or better; what is left is `unknown`.",
        examples=[0.1],
    )
    prior: Share | None = Field(
        default=None,
        description="Probability, before the pictures are seen, that the person asked about is there: among "
        "those enrolled (a query), or the one compared with (verify).",
        examples=[0.5],
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if (fault := rule_of(self).fault) is not None:
            raise ValueError(fault)
        return self


def rule_of(said: _Decisive) -> Rule:
    """The rule that a request states."""
    return Rule(said.match_rate, said.uncertain_rate, said.prior)


# Galleries


Days = Annotated[int, Field(ge=1, le=36500)]


class GalleryCreate(_Decisive):
    """A gallery to be made."""

    model_config = ConfigDict(json_schema_extra={"example": {"name": "shop", "retention_days": 30}})

    name: GalleryName = Field(description="Lower-case letters, digits, '.', '_', '-'.", examples=["shop"])
    keep_pictures: bool = Field(
        default=False, description="Keep the pictures' bytes, not only what the model makes of them."
    )
    retention_days: Days | None = Field(
        default=None, description="Erase pictures that were enrolled longer ago; null: keep them."
    )


class GalleryChange(_Decisive):
    """What is to be changed of a gallery."""

    model_config = ConfigDict(json_schema_extra={"example": {"match_rate": 0.001}})

    keep_pictures: bool = Field(
        default=False, description="Counts for pictures that are enrolled from then on."
    )
    retention_days: Days | None = Field(
        default=None, description="Erase pictures that were enrolled longer ago; null: keep them."
    )


class Gallery(_Strict):
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
    created_at: datetime
    match_rate: float | None = Field(description="The gallery's own; null: the calibration's.")
    uncertain_rate: float | None = Field(description="The gallery's own; null: the calibration's.")
    prior: float | None = Field(description="The gallery's own; null: the calibration's.")


class Statistics(_Strict):
    """What is in a gallery."""

    images: int
    people: int
    pending: int = Field(description="Pictures enrolled with another model than the present one.")
    by_occlusion: dict[str, int] = Field(
        description="Pictures by the occlusion type that they are graded as; types without one are left out.",
        examples=[{"none": 1100, "bottom_half": 104}],
    )
    feature_bytes: int = Field(description="Size of all stored features.", examples=[11097360])
    first_enrolled: datetime | None
    last_enrolled: datetime | None


class Reindexing(_Strict):
    """How far a gallery's pictures are brought to the present model."""

    running: bool
    images: int = Field(description="All pictures of the gallery.")
    done: int = Field(description="Of the present model: queries find them.")
    waiting: int = Field(description="Kept pictures of another model, still to be embedded.")
    not_kept: int = Field(
        description="Pictures of another model whose bytes were not kept. They stay pending until they are "
        "enrolled again; the gallery's list shows them with `pending` true and `kept` false."
    )
    failed: int = Field(description="Kept pictures that could not be embedded; the next call tries again.")
    problem: str | None = Field(description="What went wrong last; null: nothing.")


class GalleryPage(_Strict):
    """Some galleries in the order of their names."""

    items: list[Gallery]
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null on the last.")


# Pictures


class Scores(_Strict):
    """The grader's four scores, 0 to 1."""

    top: float
    bottom: float
    left: float
    right: float


class Occlusion(_Strict):
    """What the grader thinks is hidden of a picture."""

    type: str = Field(description=f"One of {', '.join(occlusion.NAMES)}.", examples=["bottom_half"])
    scores: Scores | None = Field(description="null where the model has no grader.")


Coordinate = Annotated[int, Field(ge=0, le=1_000_000)]
Side = Annotated[int, Field(ge=1, le=1_000_000)]
BoxNumbers = tuple[Coordinate, Coordinate, Side, Side]


class Item(_Strict):
    """What is told of one picture when it is enrolled."""

    person: PersonName = Field(description="Whom it shows; the caller's own name or number, as text.")
    camera: Words | None = None
    time: Moment | None = Field(default=None, description="RFC 3339, with time zone.")
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
        default_factory=dict, description=f"The caller's own, as JSON up to {MAX_METADATA_BYTES} bytes."
    )

    @field_validator("metadata")
    @classmethod
    def _storable(cls, metadata: dict[str, JsonValue]) -> dict[str, JsonValue]:
        # NaN and infinities, which Python reads but which are no JSON, are a ValueError too.
        if len(json.dumps(metadata, allow_nan=False)) > MAX_METADATA_BYTES:
            raise ValueError(f"more than {MAX_METADATA_BYTES} bytes of JSON")
        return metadata


class EnrolledItem(_Strict):
    """What became of one picture."""

    id: str | None = Field(description="The picture's id; null if it failed.")
    client_id: str | None
    status: Literal["enrolled", "exists", "failed"]
    occlusion: Occlusion | None
    problem: ProblemDocument | None = Field(default=None, description="Only if it failed.")


class EnrolAnswer(_Strict):
    """One entry per picture, in the order sent."""

    items: list[EnrolledItem]


class Picture(_Strict):
    """An enrolled picture with all that was told of it."""

    id: str = Field(examples=["01KAFQ7V0Z9D4S2XW8TB3M6HNC"])
    person: str = Field(examples=["anna"])
    camera: str | None = Field(examples=["entrance"])
    time: datetime | None
    client_id: str | None = Field(examples=["anna-1.jpg"])
    metadata: dict[str, JsonValue]
    enrolled_at: datetime
    occlusion: Occlusion
    kept: bool = Field(description="Whether its bytes can be fetched.")
    pending: bool = Field(description="Enrolled with another model than the present one.")


class PicturePage(_Strict):
    """Some pictures in the order in which they were enrolled."""

    items: list[Picture]
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null on the last.")


# People


class Person(_Strict):
    """A person of a gallery."""

    name: str = Field(examples=["anna"])
    images: int = Field(description="Pictures that show them.", examples=[4])


class PeoplePage(_Strict):
    """Some people in the order of their names."""

    items: list[Person]
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null on the last.")


class PersonChange(_Strict):
    """What is to be changed of a person."""

    model_config = ConfigDict(json_schema_extra={"example": {"name": "anna", "merge": True}})

    name: PersonName = Field(description="The new name.", examples=["anna"])
    merge: bool = Field(
        default=False, description="If another person has that name: make the two one, with all pictures."
    )


# Queries


BOXES = (
    "A JSON array with one [x, y, width, height] per file, in order: where in a full frame the person is; "
    "null for a file that is the person's picture already."
)


NAMES_AS_JSON = 'A JSON array, e.g. `["entrance"]`.'
Names = Json[Annotated[list[Words], Field(min_length=1, max_length=1000)]]


ONLY_CAMERAS = "Only pictures from these."
ONLY_PEOPLE = "Only these persons."
NO_CAMERAS = "No picture from these; those without a camera stay."
NO_PEOPLE = "None of these."


class _Query(_Decisive):
    """A query's options that look alike in a form and in JSON."""

    top_k: int = Field(default=10, ge=1, description="How many results.")
    by: Literal["person", "image"] = Field(
        default="person", description="One result a person (the best picture), or one a picture."
    )
    unify: Literal[CHOICES] = Field(  # type: ignore[valid-type]
        default="auto",
        description="auto: hide in each picture what the grader finds hidden in the other; off: compare "
        "whole pictures; fuse: compare under every occlusion type and fuse the scores, which needs no "
        "grader; a type's name: the query's occlusion, where the caller knows it.",
    )
    rerank: bool = Field(
        default=False,
        description=f"Put the {CANDIDATES} best pictures in the order of their k-reciprocal distance, which "
        "asks what else each is near to. Score, probability and decision stay those of the search; what "
        "ranks behind the candidates stays behind them.",
    )
    time_from: Moment | None = Field(
        default=None, description="Only pictures taken then or later; RFC 3339, with time zone."
    )
    time_to: Moment | None = Field(default=None, description="Only pictures taken before.")


class QueryForm(_Query):
    """A query's options, as form fields."""

    boxes: Json[list[BoxNumbers | None]] | None = Field(default=None, description=BOXES)
    cameras: Names | None = Field(default=None, description=f"{ONLY_CAMERAS} {NAMES_AS_JSON}")
    people: Names | None = Field(default=None, description=f"{ONLY_PEOPLE} {NAMES_AS_JSON}")
    exclude_cameras: Names | None = Field(default=None, description=f"{NO_CAMERAS} {NAMES_AS_JSON}")
    exclude_people: Names | None = Field(default=None, description=f"{NO_PEOPLE} {NAMES_AS_JSON}")


Listed = Annotated[list[Words], Field(min_length=1, max_length=1000)]


class BatchQuery(_Query):
    """One line of a batch: a query with its pictures."""

    id: Annotated[str, StringConstraints(max_length=256)] | None = Field(
        default=None, description="The caller's own; the answer carries it.", examples=["frame-17"]
    )
    pictures: list[str] = Field(
        min_length=1,
        max_length=16,
        description="Pictures of one person, each a file in base64: JPEG, PNG, WebP, BMP or TIFF.",
    )
    boxes: list[BoxNumbers | None] | None = Field(
        default=None,
        description="One [x, y, width, height] per picture: where in a full frame the person is; null for a "
        "picture that is the person's already.",
    )
    cameras: Listed | None = Field(default=None, description=ONLY_CAMERAS)
    people: Listed | None = Field(default=None, description=ONLY_PEOPLE)
    exclude_cameras: Listed | None = Field(default=None, description=NO_CAMERAS)
    exclude_people: Listed | None = Field(default=None, description=NO_PEOPLE)


class VerifyForm(_Decisive):
    """What is to be compared, as form fields."""

    gallery: GalleryName | None = Field(default=None, description="Where the person is, for one picture.")
    person: Words | None = Field(default=None, description="Whom the one picture is compared with.")
    unify: Literal[CHOICES] = Field(  # type: ignore[valid-type]
        default="auto",
        description="As for a query; a type's name is the first picture's occlusion; fuse needs a gallery.",
    )
    boxes: Json[list[BoxNumbers | None]] | None = Field(default=None, description=BOXES)


class EmbedForm(_Strict):
    """What is to be embedded, as form fields."""

    occlusions: Json[list[Literal[occlusion.NAMES]]] = Field(  # type: ignore[valid-type]
        default=["none"],
        description="A JSON array of occlusion types: under each, the picture is embedded with that part "
        "of it hidden.",
        examples=['["none", "bottom_half"]'],
        min_length=1,
    )
    boxes: Json[list[BoxNumbers | None]] | None = Field(default=None, description=BOXES)


class Embedding(_Strict):
    """One picture as the model sees it."""

    occlusion: Occlusion
    embeddings: dict[str, list[float]] = Field(
        description="By occlusion type: D numbers, a vector of unit length. The inner product of two is "
        "their cosine."
    )


class EmbedAnswer(_Strict):
    """One entry per picture, in the order sent."""

    items: list[Embedding]
    model: str = Field(description="The model's fingerprint; vectors of two models do not compare.")


class MatchedImage(_Strict):
    """The gallery picture that matched."""

    id: str
    camera: str | None
    time: datetime | None
    occlusion: Occlusion


PROBABILITY = (
    "That it is the same person, 0 to 1, given the score, what is hidden in both pictures, and the prior, "
    "shared out among the people looked at; null where the model is not calibrated for this `unify`."
)
DECISION = (
    "`match`: strangers get so high a score in at most `match_rate` of such calls; `uncertain`: in at most "
    "`uncertain_rate`; else `unknown`. null where the model is not calibrated for this `unify`."
)


class Result(_Strict):
    """One ranked person or picture."""

    rank: int = Field(description="From 1.")
    person: str
    score: float = Field(description="Cosine, -1 to 1; with several query pictures their mean.")
    probability: float | None = Field(description=PROBABILITY, examples=[0.94])
    decision: Literal["match", "uncertain", "unknown"] | None = Field(
        description=DECISION, examples=["match"]
    )
    image: MatchedImage
    compared: str = Field(
        description="Types hidden on both sides, joined by '+', or 'none'. With unify=fuse, which compares "
        "under every type: the one that counted most, for each query picture.",
        examples=["bottom_half"],
    )
    distance: float | None = Field(
        description="With `rerank`, the k-reciprocal distance, 0 to 1, that the order goes by; null without, "
        "and for what ranks behind the candidates.",
        examples=[None],
    )


class QueryPicture(_Strict):
    """How the service saw one query picture."""

    occlusion: Occlusion


class QueryUnderstood(QueryPicture):
    """How the service saw the query: its first picture, and every picture."""

    pictures: list[QueryPicture]


class Timings(_Strict):
    """Where the time went, milliseconds. Zero for what the feature cache saved."""

    decode: float
    queue: float
    embed: float
    search: float
    total: float


class QueryAnswer(_Strict):
    """The ranked answer to a query."""

    query: QueryUnderstood
    results: list[Result]
    model: str = Field(description="The model's fingerprint.")
    timings: Timings


class BatchAnswer(_Strict):
    """One line's answer, or its problem."""

    line: int = Field(description="Which line it answers, from 1; blank lines count.")
    id: str | None = Field(description="The line's own; null where it could not be read.")
    answer: QueryAnswer | None = Field(description="null where there is a problem.")
    problem: ProblemDocument | None = Field(description="null where there is an answer.")


class VerifyAnswer(_Strict):
    """Whether it is the same person."""

    score: float = Field(description="Cosine, -1 to 1.", examples=[0.8137])
    probability: float | None = Field(description=PROBABILITY, examples=[0.94])
    decision: Literal["match", "uncertain", "unknown"] | None = Field(
        description=DECISION, examples=["match"]
    )
    pictures: list[QueryPicture]
    image: MatchedImage | None = Field(
        description="The person's picture that matched best; null where two pictures were sent."
    )
    compared: str = Field(
        description="Types hidden on both sides, joined by '+', or 'none'. With unify=fuse, which compares "
        "under every type: the one that counted most, for each query picture.",
        examples=["bottom_half"],
    )
    model: str = Field(description="The model's fingerprint.")


# The service itself


class Model(BundleMetadata):
    """The served bundle's metadata, and where it is computed."""

    fingerprint: str = Field(description="SHA-256 of the bundle's file.")
    provider: str = Field(description="Where ONNX Runtime computes.", examples=["cpu"])


class Alive(_Strict):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Ready(_Strict):
    """Every part that a request needs answers."""

    status: Literal["ready"] = "ready"
    parts: dict[str, bool] = Field(examples=[{"model": True, "catalog": True}])


QUERY_EXAMPLE: dict[str, Any] = {
    "query": {
        "occlusion": {
            "type": "bottom_half",
            "scores": {"top": 0.02, "bottom": 0.93, "left": 0.03, "right": 0.02},
        },
        "pictures": [
            {
                "occlusion": {
                    "type": "bottom_half",
                    "scores": {"top": 0.02, "bottom": 0.93, "left": 0.03, "right": 0.02},
                }
            }
        ],
    },
    "results": [
        {
            "rank": 1,
            "person": "anna",
            "score": 0.8137,
            "probability": 0.94,
            "decision": "match",
            "image": {
                "id": "01KAFQ7V0Z9D4S2XW8TB3M6HNC",
                "camera": "entrance",
                "time": "2026-01-31T12:00:00Z",
                "occlusion": {
                    "type": "none",
                    "scores": {"top": 0.24, "bottom": 0.27, "left": 0.25, "right": 0.24},
                },
            },
            "compared": "bottom_half",
            "distance": None,
        }
    ],
    "model": "9f2c6c1c8d3e7b40a55e1f0c2d9b8a7766554433221100ffeeddccbbaa998877",
    "timings": {"decode": 0.9, "queue": 0.1, "embed": 6.2, "search": 0.3, "total": 8.1},
}

BATCH_ANSWER_EXAMPLE: dict[str, Any] = {
    "line": 1,
    "id": "frame-17",
    "answer": QUERY_EXAMPLE,
    "problem": None,
}

EMBED_EXAMPLE: dict[str, Any] = {
    "items": [
        {
            "occlusion": {
                "type": "none",
                "scores": {"top": 0.24, "bottom": 0.27, "left": 0.25, "right": 0.24},
            },
            "embeddings": {"none": [0.0312, -0.0124, 0.0871]},
        }
    ],
    "model": "9f2c6c1c8d3e7b40a55e1f0c2d9b8a7766554433221100ffeeddccbbaa998877",
}

ENROL_EXAMPLE: dict[str, Any] = {
    "items": [
        {
            "id": "01KAFQ7V0Z9D4S2XW8TB3M6HNC",
            "client_id": "anna-1.jpg",
            "status": "enrolled",
            "occlusion": {
                "type": "none",
                "scores": {"top": 0.24, "bottom": 0.27, "left": 0.25, "right": 0.24},
            },
        },
        {
            "id": None,
            "client_id": "notes.txt",
            "status": "failed",
            "occlusion": None,
            "problem": {
                "type": "https://penumbra.invalid/problems/not-a-picture",
                "title": "Not a picture",
                "status": 422,
                "detail": "The 311 bytes are no picture; accepted are JPEG, PNG, WEBP, BMP, TIFF.",
            },
        },
    ]
}
