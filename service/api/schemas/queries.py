"""Queries and their answers, one at a time and as a stream."""

from __future__ import annotations

from base64 import b64encode
from datetime import datetime
from typing import Annotated, Final, Literal, Self

from pydantic import (
    Field,
    Json,
    JsonValue,
    PlainSerializer,
    StrictBool,
    StrictInt,
    StrictStr,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
    model_validator,
)

from service.api.faults import ProblemDocument
from service.api.schemas import examples
from service.api.schemas.decisions import DECISION, PROBABILITY, Decisive
from service.api.schemas.pictures import BOXES, BOXES_EXAMPLE, MAX_METADATA_MEMBERS, BoxNumbers, Occlusion
from service.api.schemas.strict import JSON_BODY, Strict, Words
from service.matching.reranking import CANDIDATES
from service.matching.unification import CHOICES
from service.moments import Moment, window_fault
from service.overlays import MOST_RESULTS

ONLY_CAMERAS: Final = "Only pictures from these."
ONLY_PEOPLE: Final = "Only these persons."
NO_CAMERAS: Final = "No picture from these; those without a camera stay."
NO_PEOPLE: Final = "None of these."
CAMERAS_AS_JSON: Final = 'A JSON array, e.g. `["entrance"]`.'
PEOPLE_AS_JSON: Final = 'A JSON array, e.g. `["anna"]`.'

COMPARED: Final = (
    "Types hidden on both sides, joined by '+', or 'none'. With unify=fuse, which compares under every type: "
    "the one that counted most, for each query picture."
)

SCORE: Final = (
    "-1 to 1: the cosine; with unify=fuse the fused score, a weighted soft maximum over the types of cosines "
    "about the gallery's mean, which is no cosine of the pictures. With several query pictures their mean."
)

MOST_EVIDENCE: Final = 5

MAX_ID_LENGTH: Final = 256
"""Characters of a line's id."""

Listed = Annotated[list[Words], Field(min_length=1, max_length=1000)]
Names = Json[Listed]

OWN_METADATA: Final = (
    "Only pictures whose own metadata has every one of these members, with this string, number or boolean."
)
_Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]


def _one_fault(said: object, read: ValidatorFunctionWrapHandler) -> object:
    """What is none of a union's kinds has one fault, not one for each kind."""
    try:
        return read(said)
    except ValidationError as error:
        raise ValueError("must be a string, a finite number or a boolean") from error


_Scalar = Annotated[StrictBool | StrictInt | _Finite | StrictStr, WrapValidator(_one_fault)]
Told = Annotated[dict[str, _Scalar], Field(min_length=1, max_length=MAX_METADATA_MEMBERS)]


class Query(Decisive):
    """A query's options that look alike in a form and in JSON."""

    top_k: int = Field(
        default=10, ge=1, description="How many results at most; `PENUMBRA_MAX_TOP_K` limits it."
    )
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
    overlays: bool = Field(
        default=False,
        description="Draw what was compared, and where the model looked, over the query's first picture and "
        f"over the gallery pictures of the first {MOST_RESULTS} results: small PNGs in the answer. They are "
        "drawn after the search; the timings do not count it.",
    )
    evidence: int = Field(
        default=1,
        ge=1,
        le=MOST_EVIDENCE,
        description="How many of a person's pictures to show: beside the best, the next best ones are a "
        "result's `evidence`, as far as they are among the best `top_k` times (3 + `evidence`) pictures, or "
        "more where those show too few people, or with `rerank`. More than one with by=person only.",
    )
    time_from: Moment | None = Field(
        default=None, description="Only pictures taken then or later; RFC 3339, with an offset."
    )
    time_to: Moment | None = Field(
        default=None, description="Only pictures taken before; RFC 3339, with an offset."
    )

    @model_validator(mode="after")
    def _window(self) -> Self:
        if (fault := window_fault(self.time_from, self.time_to)) is not None:
            raise ValueError(fault)
        return self


class QueryForm(Query):
    """A query's options, as form fields."""

    boxes: Json[list[BoxNumbers | None]] | None = Field(
        default=None, description=BOXES, examples=[BOXES_EXAMPLE]
    )
    cameras: Names | None = Field(
        default=None, description=f"{ONLY_CAMERAS} {CAMERAS_AS_JSON}", examples=['["entrance"]']
    )
    people: Names | None = Field(
        default=None, description=f"{ONLY_PEOPLE} {PEOPLE_AS_JSON}", examples=['["anna"]']
    )
    exclude_cameras: Names | None = Field(
        default=None, description=f"{NO_CAMERAS} {CAMERAS_AS_JSON}", examples=['["entrance"]']
    )
    exclude_people: Names | None = Field(
        default=None, description=f"{NO_PEOPLE} {PEOPLE_AS_JSON}", examples=['["anna"]']
    )
    metadata: Json[Told] | None = Field(
        default=None,
        description=f'{OWN_METADATA} A JSON object, e.g. `{{"shift": "night"}}`.',
        examples=['{"shift": "night"}'],
    )


class BatchQuery(Query):
    """One line of a batch: a query with its pictures."""

    model_config = JSON_BODY

    id: Annotated[str, StringConstraints(max_length=MAX_ID_LENGTH)] | None = Field(
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
    metadata: Told | None = Field(default=None, description=OWN_METADATA)


class MatchedImage(Strict):
    """The gallery picture that matched."""

    id: str
    camera: str | None
    time: datetime | None
    client_id: str | None = Field(description="The caller's own.")
    metadata: dict[str, JsonValue] = Field(description="The caller's own.")
    occlusion: Occlusion


Png = Annotated[
    bytes,
    PlainSerializer(lambda content: b64encode(content).decode(), return_type=str),
    WithJsonSchema({"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"}),
]
ATTENTION: Final = (
    "Where the model looks in {} while nothing is hidden: from dark, the least within the picture, to light, "
    "the most. null where the bundle exports no attention, or the previous bundle answered"
)


class QueryOverlay(Strict):
    """Over the query's first picture, in base64 PNGs of at most 128 x 256 pixels."""

    hidden: Png = Field(
        description="What was taken as hidden in it, veiled: as graded, or as `unify` states it; nothing "
        "with unify=off."
    )
    attention: Png | None = Field(description=f"{ATTENTION.format('it')}.")


class ResultOverlay(Strict):
    """Of one result, in base64 PNGs of at most 128 x 256 pixels."""

    query: Png = Field(description="The query's first picture; what `compared` says is hidden is veiled.")
    gallery: Png | None = Field(
        description="The gallery picture, veiled alike; null where the gallery did not keep it."
    )
    attention: Png | None = Field(
        description=f"{ATTENTION.format('the gallery picture')}, or the gallery did not keep the picture."
    )


class Evidence(Strict):
    """Another picture of a ranked person."""

    score: float = Field(description=SCORE)
    image: MatchedImage
    compared: str = Field(description=COMPARED, examples=["bottom_half"])
    distance: float | None = Field(description="As the result's.", examples=[None])


class Result(Strict):
    """One ranked person or picture."""

    rank: int = Field(description="From 1.")
    person: str
    score: float = Field(description=SCORE)
    probability: float | None = Field(description=PROBABILITY, examples=[0.94])
    decision: Literal["match", "uncertain", "unknown"] | None = Field(
        description=DECISION, examples=["match"]
    )
    image: MatchedImage
    compared: str = Field(
        description=COMPARED,
        examples=["bottom_half"],
    )
    distance: float | None = Field(
        description="With `rerank`, the k-reciprocal distance, 0 to 1, that the order goes by; null without, "
        "and for what ranks behind the candidates.",
        examples=[None],
    )
    overlay: ResultOverlay | None = Field(
        default=None, description=f"With `overlays`, of the first {MOST_RESULTS} results; else null."
    )
    evidence: list[Evidence] = Field(
        default=[], description="With `evidence` above 1, the person's next best pictures, best first."
    )


class QueryPicture(Strict):
    """How the service saw one query picture."""

    occlusion: Occlusion


class QueryUnderstood(QueryPicture):
    """How the service saw the query: its first picture, and every picture."""

    pictures: list[QueryPicture]
    compared_images: int = Field(
        description="Pictures of the gallery that the query is ranked among: all, or what the filters "
        "leave. Where it is 0, an empty answer says nothing of the person: perhaps a name in a filter is "
        "misspelt.",
        examples=[1204],
    )
    overlay: QueryOverlay | None = Field(default=None, description="With `overlays`; else null.")


class Timings(Strict):
    """Where the time went, milliseconds. Zero for what the feature cache saved."""

    decode: float
    queue: float
    embed: float
    search: float
    total: float


class QueryAnswer(Strict):
    """The ranked answer to a query."""

    query: QueryUnderstood
    results: list[Result]
    pending: int = Field(
        description="Pictures of the gallery that were not compared: another model made their features. "
        "While there are any, nobody can say of a person that they are not in the gallery; where all are, "
        "there is no result. Of a large gallery that is being reindexed, the number of a moment ago.",
        examples=[0],
    )
    model: str = Field(description="The model's fingerprint.")
    timings: Timings


class BatchAnswer(Strict):
    """One line's answer, or its problem."""

    line: int = Field(description="Which line it answers, from 1; blank lines count.")
    id: str | None = Field(description="The line's own; null where it could not be read.")
    answer: QueryAnswer | None = Field(description="null where there is a problem.")
    problem: ProblemDocument | None = Field(description="null where there is an answer.")


BATCH_ANSWER_EXAMPLE: Final = examples.BATCH_ANSWER
