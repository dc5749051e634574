"""What comes back: the service's JSON as frozen models."""

from __future__ import annotations

from base64 import b64decode, b64encode
from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer

Item = TypeVar("Item")


class Answer(BaseModel):
    """Members that a newer service adds are kept out of the way, not refused."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Problem(Answer):
    """Why one picture of an enrolment failed."""

    status: int
    title: str = ""
    detail: str = ""
    type: str = "about:blank"


class Gallery(Answer):
    """One gallery: ``images``, ``people`` and ``pending`` (of another model) are counts.

    ``index`` says how its index keeps the pictures: ``auto``, ``flat`` or ``clustered``.

    How it decides, unless a call says otherwise, is in ``match_rate``, ``uncertain_rate`` and ``prior``;
    None: as the model's calibration says.
    """

    name: str
    images: int
    people: int
    pending: int = 0
    keep_pictures: bool
    created_at: datetime
    index: str = "auto"
    retention_days: int | None = None
    match_rate: float | None = None
    uncertain_rate: float | None = None
    prior: float | None = None


class Statistics(Answer):
    """What is in a gallery; ``by_occlusion`` counts pictures by the type that they are graded as."""

    images: int
    people: int
    pending: int
    by_occlusion: dict[str, int]
    feature_bytes: int
    picture_bytes: int = 0
    thumbnail_bytes: int = 0
    first_enrolled: datetime | None
    last_enrolled: datetime | None


class Reindexing(Answer):
    """How far a gallery's pictures are brought to the present model, in counts of pictures.

    Of ``images``, ``done`` are of the present model, ``waiting`` are still to be embedded, ``not_kept`` have
    to be enrolled again, and ``failed`` could not be embedded: they stay pending, and ``failed_images`` has
    the ids of up to 100 of them. ``problem`` says what went wrong last, or what is waited for.
    ``answers`` is the fingerprint of the model that queries are answered by.
    """

    running: bool
    images: int
    done: int
    waiting: int
    not_kept: int
    failed: int
    failed_images: tuple[str, ...] = ()
    problem: str | None = None
    answers: str


class Page(Answer, Generic[Item]):
    """Some of a list, and the cursor of the next page or None."""

    items: list[Item]
    next_cursor: str | None = None


class Occlusion(Answer):
    """What the grader thinks is hidden: a type's name (``models.occlusion``), and the four scores, 0 to 1."""

    type: str
    scores: dict[str, float] | None = None


class EnrolledPicture(Answer):
    """What became of one picture. ``exists``: its client id was enrolled before; ``id`` is that picture's.

    ``person``: under whose name it is stored. ``differs``: what was sent otherwise than it is stored
    (``person``, ``camera``, ``time``, ``metadata``), and was not taken. ``duplicate_of``: the gallery's first
    picture with the same content, if that is another one.
    """

    id: str | None = None
    client_id: str | None = None
    status: Literal["enrolled", "exists", "failed"]
    person: str | None = None
    differs: tuple[str, ...] = ()
    occlusion: Occlusion | None = None
    duplicate_of: str | None = None
    problem: Problem | None = None


class EnrolAnswer(Answer):
    """What became of each picture of one call, in order."""

    items: list[EnrolledPicture]


Png = Annotated[bytes, BeforeValidator(b64decode), PlainSerializer(b64encode, return_type=bytes)]
"""A PNG file, which travels in base64."""


class QueryOverlay(Answer):
    """Over the query's first picture: what was taken as hidden in it, and where the model looked."""

    hidden: Png
    attention: Png | None = None


class ResultOverlay(Answer):
    """Of a result: both pictures without what was hidden on both sides, and where the model looked.

    Attributes:
        query: the query's first picture.
        gallery: None where the gallery did not keep its picture.
        attention: to the gallery picture; None also where the model exports none.
    """

    query: Png
    gallery: Png | None = None
    attention: Png | None = None


class MatchedImage(Answer):
    """A gallery picture that matched."""

    id: str
    camera: str | None = None
    time: datetime | None = None
    client_id: str | None = None
    metadata: dict[str, Any] = {}
    occlusion: Occlusion | None = None


class Picture(Answer):
    """An enrolled picture. ``kept``: its bytes can be fetched; ``pending``: enrolled with another model."""

    id: str
    person: str
    camera: str | None = None
    time: datetime | None = None
    client_id: str | None = None
    metadata: dict[str, Any] = {}
    enrolled_at: datetime
    occlusion: Occlusion
    kept: bool
    pending: bool


class Duplicate(Answer):
    """A picture with the content of an earlier one: ``duplicate_of``, which shows ``duplicate_of_person``."""

    id: str
    person: str
    client_id: str | None = None
    duplicate_of: str
    duplicate_of_person: str


class Person(Answer):
    """A person of a gallery, and how many pictures show them."""

    name: str
    images: int


class Evidence(Answer):
    """Another picture of a ranked person; what it says is as in :class:`QueryResult`."""

    score: float
    image: MatchedImage
    compared: str
    distance: float | None = None


class QueryResult(Answer):
    """One ranked person, or picture.

    Attributes:
        rank: from 1.
        person: as enrolled.
        score: cosine, -1 to 1; with ``unify="fuse"`` the fused score.
        probability: that it is the same person, 0 to 1; None where the model is not calibrated.
        decision: ``match``, ``uncertain`` or ``unknown``; None where the model is not calibrated.
        image: the gallery picture that matched best.
        compared: what was hidden on both sides, e.g. ``"bottom_half"`` or ``"none"``; with ``unify="fuse"``
            the type that counted most.
        distance: k-reciprocal, 0 to 1, by which re-ranked results are ordered; else None.
        overlay: of the first results, where overlays were asked for; else None.
        evidence: where more than one picture was asked for, the person's next best ones.
    """

    rank: int
    person: str
    score: float
    probability: float | None = None
    decision: str | None = None
    image: MatchedImage
    compared: str
    distance: float | None = None
    overlay: ResultOverlay | None = None
    evidence: list[Evidence] = []


class QueryPicture(Answer):
    """How the service saw one query picture."""

    occlusion: Occlusion


class QueryUnderstood(QueryPicture):
    """How the service saw the query: its first picture, and every one of them.

    ``compared_images``: pictures that the query was ranked among, all or what the filters left.
    """

    pictures: list[QueryPicture] = []
    compared_images: int | None = None
    overlay: QueryOverlay | None = None


class QueryAnswer(Answer):
    """Answer to a query.

    Attributes:
        query: how it was seen.
        results: best first.
        pending: pictures of the gallery that were not compared, since another model made their features.
        model: the bundle's fingerprint.
        timings: milliseconds by stage.
    """

    query: QueryUnderstood
    results: list[QueryResult]
    pending: int = 0
    model: str
    timings: dict[str, float]


class BatchAnswer(Answer):
    """What became of one query of a batch: its ``answer``, or else its ``problem``. ``id``: the query's."""

    id: str | None = None
    answer: QueryAnswer | None = None
    problem: Problem | None = None


class Verification(Answer):
    """How alike two pictures are, or a picture and a person, whose best matching picture is ``image``."""

    score: float
    probability: float | None = None
    decision: str | None = None
    pictures: list[QueryPicture]
    image: MatchedImage | None = None
    compared: str
    model: str


class Embedding(Answer):
    """One picture as the model sees it: by occlusion type, a vector of unit length."""

    occlusion: Occlusion
    embeddings: dict[str, list[float]]


class EmbedAnswer(Answer):
    """Embeddings of pictures, in order. ``model``: the bundle's fingerprint."""

    items: list[Embedding]
    model: str


class Model(BaseModel):
    """The served model. Everything else that its metadata says is in ``model_extra``."""

    model_config = ConfigDict(extra="allow", frozen=True)

    fingerprint: str
    name: str
    system: str
    backbone: str
    has_grader: bool
    provider: str
