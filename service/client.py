"""Talk to a running service from Python: :class:`Client`, and :class:`AsyncClient` for asyncio.

    from pathlib import Path

    from service.client import Client, NewPicture

    with Client("http://127.0.0.1:8321") as client:
        client.create_gallery("shop")
        client.enrol("shop", [NewPicture(Path("anna.jpg"), person="anna", client_id="anna.jpg")])
        for match in client.query("shop", [Path("who.jpg")], top_k=3).results:
            print(match.rank, match.person, match.score)

Each thing the service does is one :class:`Call` here: a value that says what to send and how to read the
answer. The two clients only send calls and wait between attempts; neither knows what is in one.

What is tried again, with growing waits: calls that change nothing when they are repeated (every read,
every query, erasing, and enrolling where each picture has a client id), when the service is overloaded
(429; its ``Retry-After`` is honoured) or no connection could be made; and single pictures with a client
id that a busy service turned away while it took others of the same call. Nothing else is.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import json
import os
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Generic, Literal, Self, TypeAlias, TypeVar, cast
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

__all__ = [
    "AsyncClient",
    "BatchAnswer",
    "BatchQuery",
    "Client",
    "ClientError",
    "Decisions",
    "EmbedAnswer",
    "Embedding",
    "EnrolledPicture",
    "Filters",
    "Gallery",
    "GalleryPage",
    "MatchedImage",
    "Model",
    "NewPicture",
    "Occlusion",
    "Person",
    "Picture",
    "ProblemError",
    "QueryAnswer",
    "QueryPicture",
    "QueryResult",
    "QueryUnderstood",
    "Reindexing",
    "Retries",
    "ServiceUnreachable",
    "UnexpectedAnswer",
    "Verification",
]

DEFAULT_URL: Final = "http://127.0.0.1:8321"
"""Where `penumbra serve` listens unless told otherwise."""

PICTURES_PER_CALL: Final = 64
"""The most pictures that the service takes in one enrolment."""

BYTES_PER_CALL: Final = 32 * 1024 * 1024
"""Bytes after which an enrolment is cut even if it has fewer pictures; half of what the service takes."""

QUERIES_PER_CALL: Final = 64
"""The most queries of a batch that are sent before their answers are read."""

RESULTS_PER_CALL: Final = 16_000
"""Results that those may ask for together: some 5 MB, which the service puts aside."""

PictureSource: TypeAlias = Path | str | bytes
"""A picture: where its file is, or the file's bytes."""

Box: TypeAlias = tuple[int, int, int, int]
"""Where in a full frame the person is: x, y, width, height, pixels of the upright picture."""

_Part: TypeAlias = tuple[str, tuple[str, bytes, str]]
"""A multipart part as httpx takes it: field, (file name, content, media type)."""

T = TypeVar("T")


# What is raised


class ClientError(Exception):
    """Anything that goes wrong between the caller and the service."""


class ServiceUnreachable(ClientError):
    """No answer came: nothing listens there, the connection broke, or the time was up."""


class UnexpectedAnswer(ClientError):
    """An answer came that no Penumbra service gives; usually something else listens at that address."""


class ProblemError(ClientError):
    """The service refused, and says why (RFC 9457).

    Attributes:
        status: HTTP status.
        type: the problem's URI; its last part is stable and made for programs.
        title: the kind of problem.
        detail: this occurrence.
        request_id: under which the service logged it, or None.
        document: the whole problem document, members beyond the standard's included.
    """

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        *,
        type: str = "about:blank",
        request_id: str | None = None,
        document: Mapping[str, Any] | None = None,
    ) -> None:
        self.status = status
        self.type = type
        self.title = title
        self.detail = detail
        self.request_id = request_id
        self.document = dict(document or {})
        name = f" (request {request_id})" if request_id else ""
        super().__init__(f"{status} {title}: {detail}{name}" if detail else f"{status} {title}{name}")

    @property
    def slug(self) -> str:
        """Last part of :attr:`type`, e.g. ``"unknown-gallery"``."""
        return self.type.rsplit("/", 1)[-1]


# What comes back


class _Answer(BaseModel):
    """Members that a newer service adds are kept out of the way, not refused."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Problem(_Answer):
    """Why one picture of an enrolment failed."""

    status: int
    title: str = ""
    detail: str = ""
    type: str = "about:blank"


class Gallery(_Answer):
    """One gallery: ``images``, ``people`` and ``pending`` (of another model) are counts.

    How it decides, unless a call says otherwise, is in ``match_rate``, ``uncertain_rate`` and ``prior``;
    None: as the model's calibration says.
    """

    name: str
    images: int
    people: int
    pending: int = 0
    keep_pictures: bool
    created_at: datetime
    retention_days: int | None = None
    match_rate: float | None = None
    uncertain_rate: float | None = None
    prior: float | None = None


class Statistics(_Answer):
    """What is in a gallery; ``by_occlusion`` counts pictures by the type that they are graded as."""

    images: int
    people: int
    pending: int
    by_occlusion: dict[str, int]
    feature_bytes: int
    first_enrolled: datetime | None
    last_enrolled: datetime | None


class Reindexing(_Answer):
    """How far a gallery's pictures are brought to the present model, in counts of pictures.

    Of ``images``, ``done`` are of the present model, ``waiting`` are still to be embedded, ``not_kept`` have
    to be enrolled again, and ``failed`` could not be embedded; ``problem`` says what went wrong last.
    """

    running: bool
    images: int
    done: int
    waiting: int
    not_kept: int
    failed: int
    problem: str | None = None


class GalleryPage(_Answer):
    """Some galleries, and the cursor of the next page or None."""

    items: list[Gallery]
    next_cursor: str | None = None


class Occlusion(_Answer):
    """What the grader thinks is hidden: a type's name (``models.occlusion``), and the four scores, 0 to 1."""

    type: str
    scores: dict[str, float] | None = None


class EnrolledPicture(_Answer):
    """What became of one picture. ``exists``: its client id was enrolled before; ``id`` is that picture's."""

    id: str | None = None
    client_id: str | None = None
    status: Literal["enrolled", "exists", "failed"]
    occlusion: Occlusion | None = None
    problem: Problem | None = None


class _EnrolAnswer(_Answer):
    items: list[EnrolledPicture]


class MatchedImage(_Answer):
    """A gallery picture that matched."""

    id: str
    camera: str | None = None
    time: datetime | None = None
    occlusion: Occlusion | None = None


class Picture(_Answer):
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


class PicturePage(_Answer):
    """Some pictures, and the cursor of the next page or None."""

    items: list[Picture]
    next_cursor: str | None = None


class Person(_Answer):
    """A person of a gallery, and how many pictures show them."""

    name: str
    images: int


class PeoplePage(_Answer):
    """Some people, and the cursor of the next page or None."""

    items: list[Person]
    next_cursor: str | None = None


class QueryResult(_Answer):
    """One ranked person, or picture.

    Attributes:
        rank: from 1.
        person: as enrolled.
        score: cosine, -1 to 1.
        probability: that it is the same person, 0 to 1; None where the model is not calibrated.
        decision: ``match``, ``uncertain`` or ``unknown``; None where the model is not calibrated.
        image: the gallery picture that matched best.
        compared: what was hidden on both sides, e.g. ``"bottom_half"`` or ``"none"``; with ``unify="fuse"``
            the type that counted most.
        distance: k-reciprocal, 0 to 1, by which re-ranked results are ordered; else None.
    """

    rank: int
    person: str
    score: float
    probability: float | None = None
    decision: str | None = None
    image: MatchedImage
    compared: str
    distance: float | None = None


class QueryPicture(_Answer):
    """How the service saw one query picture."""

    occlusion: Occlusion


class QueryUnderstood(QueryPicture):
    """How the service saw the query: its first picture, and every one of them."""

    pictures: list[QueryPicture] = []


class QueryAnswer(_Answer):
    """Answer to a query. ``model``: the bundle's fingerprint; ``timings``: milliseconds by stage."""

    query: QueryUnderstood
    results: list[QueryResult]
    model: str
    timings: dict[str, float]


class BatchAnswer(_Answer):
    """What became of one query of a batch: its ``answer``, or else its ``problem``. ``id``: the query's."""

    id: str | None = None
    answer: QueryAnswer | None = None
    problem: Problem | None = None


class Verification(_Answer):
    """How alike two pictures are, or a picture and a person, whose best matching picture is ``image``."""

    score: float
    probability: float | None = None
    decision: str | None = None
    pictures: list[QueryPicture]
    image: MatchedImage | None = None
    compared: str
    model: str


class Embedding(_Answer):
    """One picture as the model sees it: by occlusion type, a vector of unit length."""

    occlusion: Occlusion
    embeddings: dict[str, list[float]]


class EmbedAnswer(_Answer):
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


# What is sent


@dataclass(frozen=True, slots=True)
class Filters:
    """What a query looks at; what is empty or None asks nothing.

    Attributes:
        cameras, people: only pictures from these cameras, of these persons.
        exclude_cameras, exclude_people: none of these.
        time_from, time_to: only pictures taken at or after, and before; with time zone.
    """

    cameras: Sequence[str] = ()
    people: Sequence[str] = ()
    exclude_cameras: Sequence[str] = ()
    exclude_people: Sequence[str] = ()
    time_from: datetime | None = None
    time_to: datetime | None = None

    def form(self) -> dict[str, str]:
        """The form fields that say so."""
        names = {
            name: json.dumps(list(getattr(self, name)), ensure_ascii=False)
            for name in ("cameras", "people", "exclude_cameras", "exclude_people")
            if getattr(self, name)
        }
        times = {"time_from": self.time_from, "time_to": self.time_to}
        return names | {name: moment.isoformat() for name, moment in times.items() if moment is not None}


@dataclass(frozen=True, slots=True)
class Decisions:
    """How to decide; what is None is left to the gallery, then to the model's calibration.

    Attributes:
        match_rate: of calls that ask about somebody who is not there, the share that may get a ``match``.
        uncertain_rate: the same for ``uncertain`` or better.
        prior: probability, before the pictures are seen, that the person asked about is there.
    """

    match_rate: float | None = None
    uncertain_rate: float | None = None
    prior: float | None = None

    def form(self) -> dict[str, str]:
        """The form fields that say so."""
        return {name: repr(value) for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class BatchQuery:
    """One query of a batch; see :meth:`Client.query` for what its options mean.

    Attributes:
        pictures: 1 to 16, read when their turn comes.
        id: the caller's own; the answer carries it.
    """

    pictures: Sequence[PictureSource]
    id: str | None = None
    top_k: int = 10
    by: Literal["person", "image"] = "person"
    unify: str = "auto"
    boxes: Sequence[Box | None] | None = None
    filters: Filters | None = None
    decisions: Decisions | None = None
    rerank: bool = False

    def line(self) -> bytes:
        """The query as a line of JSON.

        Raises:
            OSError: a picture cannot be read.
        """
        given: dict[str, Any] = {
            "id": self.id,
            "top_k": self.top_k,
            "by": self.by,
            "unify": self.unify,
            "boxes": self.boxes,
            "rerank": self.rerank,
        }
        if self.filters is not None:
            told = asdict(self.filters)
            given |= {name: value for name, value in told.items() if value not in ((), [])}
            for name in ("time_from", "time_to"):
                moment: datetime | None = told[name]
                given[name] = None if moment is None else moment.isoformat()
        if self.decisions is not None:
            given |= asdict(self.decisions)
        given["pictures"] = [base64.b64encode(_content(picture)).decode() for picture in self.pictures]
        known = {name: value for name, value in given.items() if value is not None}
        return json.dumps(known, ensure_ascii=False).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class NewPicture:
    """A picture to enrol.

    Attributes:
        picture: path or bytes; a path is read when its turn comes, so that a large folder costs no memory.
        person: whom it shows.
        camera: which camera took it.
        time: when; must know its time zone.
        client_id: the caller's name for it. Enrolling the same one again enrols nothing twice.
        metadata: anything else, JSON.
        box: where in the picture the person is; the whole picture unless given.
    """

    picture: PictureSource
    person: str
    camera: str | None = None
    time: datetime | None = None
    client_id: str | None = None
    metadata: Mapping[str, Any] | None = None
    box: Box | None = None

    def __post_init__(self) -> None:
        if self.time is not None and self.time.tzinfo is None:
            raise ValueError(f"the time {self.time} of a picture of {self.person!r} has no time zone")


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request, and how to read its answer.

    Attributes:
        method, path, params, json, form, files: what is sent, as httpx takes it.
        lines: sent as NDJSON instead.
        read: from a successful answer to what the caller gets.
        repeatable: sending it twice does no harm.
        rescue: from a problem to what the caller gets after all, or None to raise it.
    """

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    repeatable: bool
    params: Mapping[str, str | int] = field(default_factory=dict)
    json: Any = None
    form: Mapping[str, str] | None = None
    files: Sequence[_Part] | None = None
    lines: bytes | None = None
    rescue: Callable[[ProblemError], T | None] | None = None

    def request(self, http: httpx.Client | httpx.AsyncClient) -> httpx.Request:
        """The request as httpx sends it."""
        return http.build_request(
            self.method,
            self.path,
            params=dict(self.params) or None,
            json=self.json,
            data=dict(self.form) if self.form is not None else None,
            files=list(self.files) if self.files is not None else None,
            content=self.lines,
            headers={"Content-Type": "application/x-ndjson"} if self.lines is not None else None,
        )

    def result(self, response: httpx.Response) -> T:
        """What the caller gets.

        Raises:
            ProblemError: the service refused.
            UnexpectedAnswer: this is not how the service answers.
        """
        if response.is_success:
            try:
                return self.read(response)
            except (ValidationError, json.JSONDecodeError) as error:
                raise UnexpectedAnswer(
                    f"{response.request.url} answered {response.status_code} with something else than a "
                    f"Penumbra service would: {error}"
                ) from error
        problem = problem_of(response)
        rescued = self.rescue(problem) if self.rescue is not None else None
        if rescued is None:
            raise problem
        return rescued


def problem_of(response: httpx.Response) -> ProblemError:
    """The problem in an answer that is not a success; a proxy's HTML page becomes one too."""
    document: Any = None
    if "json" in response.headers.get("content-type", ""):
        try:
            document = response.json()
        except json.JSONDecodeError:
            document = None
    if not isinstance(document, dict):
        document = {}
    return ProblemError(
        response.status_code,
        str(document.get("title") or response.reason_phrase or "Problem"),
        str(document.get("detail") or ""),
        type=str(document.get("type") or "about:blank"),
        request_id=document.get("request_id") or response.headers.get("x-request-id"),
        document=document,
    )


def _reader(kind: type[T]) -> Callable[[httpx.Response], T]:
    """Read an answer's JSON as a pydantic model."""
    model = cast(type[BaseModel], kind)
    return lambda response: cast(T, model.model_validate_json(response.content))


def _nothing(_: httpx.Response) -> None:
    """An answer whose arriving is all that counts."""


def _gallery_path(name: str, *rest: str) -> str:
    for part in (name, *rest):
        if part in (".", ".."):  # quoting does not help: on the way, people/.. becomes the gallery itself
            raise ValueError(f"{part!r} cannot be named in a URL")
    return "/".join(["/v1/galleries", quote(name, safe=""), *(quote(part, safe="") for part in rest)])


def _create_gallery(name: str, keep_pictures: bool, retention_days: int | None) -> Call[Gallery]:
    body = {"name": name, "keep_pictures": keep_pictures, "retention_days": retention_days}
    return Call("POST", "/v1/galleries", _reader(Gallery), repeatable=False, json=body)


def _change_gallery(name: str, changes: Mapping[str, bool | float | None]) -> Call[Gallery]:
    return Call("PATCH", _gallery_path(name), _reader(Gallery), repeatable=False, json=dict(changes))


def _statistics(name: str) -> Call[Statistics]:
    return Call("GET", f"{_gallery_path(name)}/statistics", _reader(Statistics), repeatable=True)


def _reindex(name: str, method: Literal["GET", "POST"]) -> Call[Reindexing]:
    return Call(method, f"{_gallery_path(name)}/reindex", _reader(Reindexing), repeatable=True)


def _gallery_page(limit: int, cursor: str | None) -> Call[GalleryPage]:
    params: dict[str, str | int] = {"limit": limit}
    if cursor is not None:
        params["cursor"] = cursor
    return Call("GET", "/v1/galleries", _reader(GalleryPage), repeatable=True, params=params)


def _gallery(name: str) -> Call[Gallery]:
    return Call("GET", _gallery_path(name), _reader(Gallery), repeatable=True)


def _delete_gallery(name: str) -> Call[None]:
    return Call("DELETE", _gallery_path(name), _nothing, repeatable=True)


def _delete_image(gallery: str, image: str) -> Call[None]:
    return Call("DELETE", _gallery_path(gallery, "images", image), _nothing, repeatable=True)


def _image_page(
    gallery: str, limit: int, cursor: str | None, person: str | None, camera: str | None
) -> Call[PicturePage]:
    given = {"cursor": cursor, "person": person, "camera": camera}
    params: dict[str, str | int] = {name: value for name, value in given.items() if value is not None}
    path = _gallery_path(gallery, "images")
    return Call("GET", path, _reader(PicturePage), repeatable=True, params={"limit": limit, **params})


def _image(gallery: str, image: str) -> Call[Picture]:
    return Call("GET", _gallery_path(gallery, "images", image), _reader(Picture), repeatable=True)


def _file(gallery: str, image: str) -> Call[bytes]:
    path = _gallery_path(gallery, "images", image, "file")
    return Call("GET", path, lambda response: response.content, repeatable=True)


def _people_page(gallery: str, limit: int, cursor: str | None) -> Call[PeoplePage]:
    params: dict[str, str | int] = {"limit": limit}
    if cursor is not None:
        params["cursor"] = cursor
    path = _gallery_path(gallery, "people")
    return Call("GET", path, _reader(PeoplePage), repeatable=True, params=params)


def _person(gallery: str, person: str) -> Call[Person]:
    return Call("GET", _gallery_path(gallery, "people", person), _reader(Person), repeatable=True)


def _rename_person(gallery: str, person: str, name: str, merge: bool) -> Call[Person]:
    path = _gallery_path(gallery, "people", person)
    return Call("PATCH", path, _reader(Person), repeatable=False, json={"name": name, "merge": merge})


def _delete_person(gallery: str, person: str) -> Call[None]:
    return Call("DELETE", _gallery_path(gallery, "people", person), _nothing, repeatable=True)


def _verify(
    pictures: Sequence[PictureSource],
    gallery: str | None,
    person: str | None,
    unify: str,
    boxes: Sequence[Box | None] | None,
    decisions: Decisions | None,
) -> Call[Verification]:
    given = {"gallery": gallery, "person": person, "unify": unify}
    form = {name: value for name, value in given.items() if value is not None}
    if decisions is not None:
        form |= decisions.form()
    if boxes is not None:
        form["boxes"] = json.dumps(boxes)
    return Call(
        "POST", "/v1/verify", _reader(Verification), repeatable=True, form=form, files=_parts(pictures)
    )


def _model() -> Call[Model]:
    return Call("GET", "/v1/model", _reader(Model), repeatable=True)


def _ready() -> Call[bool]:
    def not_yet(problem: ProblemError) -> bool | None:
        return False if problem.status == httpx.codes.SERVICE_UNAVAILABLE else None

    return Call("GET", "/readyz", lambda _: True, repeatable=True, rescue=not_yet)


def _query(
    gallery: str,
    pictures: Sequence[PictureSource],
    top_k: int,
    by: str,
    unify: str,
    boxes: Sequence[Box | None] | None,
    filters: Filters | None,
    decisions: Decisions | None,
    rerank: bool,
) -> Call[QueryAnswer]:
    form = {"top_k": str(top_k), "by": by, "unify": unify, "rerank": str(rerank).lower()}
    if filters is not None:
        form |= filters.form()
    if decisions is not None:
        form |= decisions.form()
    if boxes is not None:
        form["boxes"] = json.dumps(boxes)
    return Call(
        "POST",
        _gallery_path(gallery, "query"),
        _reader(QueryAnswer),
        repeatable=True,
        form=form,
        files=_parts(pictures),
    )


def _embed(
    pictures: Sequence[PictureSource], occlusions: Sequence[str], boxes: Sequence[Box | None] | None
) -> Call[EmbedAnswer]:
    form = {"occlusions": json.dumps(list(occlusions))}
    if boxes is not None:
        form["boxes"] = json.dumps(boxes)
    return Call("POST", "/v1/embed", _reader(EmbedAnswer), repeatable=True, form=form, files=_parts(pictures))


def _enrolment(
    gallery: str,
    pictures: Sequence[NewPicture],
    parts: Sequence[_Part],
) -> Call[list[EnrolledPicture]]:
    """One call that enrols up to 64 pictures.

    That every picture failed is no problem of the call: it is told picture by picture, as it is when
    some did not. Faults of the call itself (an unknown gallery, say) are raised.
    """

    def each_failed(problem: ProblemError) -> list[EnrolledPicture] | None:
        if "items" in problem.document:
            return _EnrolAnswer.model_validate(problem.document).items
        if len(pictures) == 1 and problem.slug in _FAULTS_OF_ONE_PICTURE:
            return [
                EnrolledPicture(
                    client_id=pictures[0].client_id,
                    status="failed",
                    problem=Problem.model_validate({"status": problem.status, **problem.document}),
                )
            ]
        return None

    return Call(
        "POST",
        _gallery_path(gallery, "images"),
        lambda response: _EnrolAnswer.model_validate_json(response.content).items,
        repeatable=all(picture.client_id is not None for picture in pictures),
        form={"items": json.dumps([_item(picture) for picture in pictures], ensure_ascii=False)},
        files=parts,
        rescue=each_failed,
    )


_FAULTS_OF_ONE_PICTURE: Final = frozenset(
    {
        "bad-picture",
        "empty-picture",
        "not-a-picture",
        "broken-picture",
        "unsupported-format",
        "picture-too-large",
        "body-too-large",
        "client-id-conflict",
        "embedding-failed",
    }
)
"""Problems of the picture itself. Sent alone, such a picture gets its own 4xx instead of an item."""


def _item(picture: NewPicture) -> dict[str, Any]:
    """One object of the form field ``items``; what is not known is left out."""
    known = {
        "person": picture.person,
        "camera": picture.camera,
        "time": picture.time.isoformat() if picture.time is not None else None,
        "client_id": picture.client_id,
        "box": picture.box,
        "metadata": dict(picture.metadata) if picture.metadata is not None else None,
    }
    return {name: value for name, value in known.items() if value is not None}


def _part(number: int, picture: PictureSource) -> _Part:
    """A multipart part. The name is a number: paths of the caller's machine are nobody else's business."""
    return "files", (f"{number}", _content(picture), "application/octet-stream")


def _content(picture: PictureSource) -> bytes:
    return picture if isinstance(picture, bytes) else Path(picture).read_bytes()


def _parts(pictures: Iterable[PictureSource]) -> list[_Part]:
    return [_part(number, picture) for number, picture in enumerate(pictures)]


class _Batch:
    """Cuts a batch of queries into calls that are sent whole before their answers are read.

    The service may answer while it is sent to, but takes no more while too many answers lie unread; so a call
    has no more queries than whose answers it can put aside.
    """

    def __init__(self, gallery: str, queries: Iterable[BatchQuery]) -> None:
        self._gallery = gallery
        self._coming = iter(queries)
        self._next: tuple[BatchQuery, bytes] | None = None
        self._sent: list[BatchQuery] = []

    def next_call(self) -> Call[list[BatchAnswer]] | None:
        """What to send now, or None at the end."""
        self._sent, lines, results = [], bytearray(), 0
        while True:
            if self._next is None:
                query = next(self._coming, None)
                if query is None:
                    break
                self._next = (query, query.line())
            query, line = self._next
            results += query.top_k
            if self._sent and (
                len(self._sent) == QUERIES_PER_CALL
                or len(lines) + len(line) > BYTES_PER_CALL
                or results > RESULTS_PER_CALL
            ):
                break
            self._sent.append(query)
            lines += line
            self._next = None
        if not self._sent:
            return None
        sent = len(self._sent)

        def read(response: httpx.Response) -> list[BatchAnswer]:
            answers = [BatchAnswer.model_validate_json(line) for line in response.content.splitlines()]
            if len(answers) != sent:
                raise UnexpectedAnswer(f"{sent} queries were sent, {len(answers)} were answered")
            return answers

        path = f"{_gallery_path(self._gallery, 'query')}/batch"
        return Call("POST", path, read, repeatable=True, lines=bytes(lines))


class _Enrolment:
    """Cuts an enrolment into calls, and puts their answers together in the order of the pictures.

    A busy service takes some pictures of a call and turns others away (429, 503, 504). Those that have a
    client id are sent again, as long as each call gets some of its pictures in.

    Attributes:
        outcomes: what became of each picture, once there is no further call.
    """

    def __init__(
        self,
        gallery: str,
        pictures: Iterable[NewPicture],
        on_answer: Callable[[list[EnrolledPicture]], None] | None,
    ) -> None:
        self.outcomes: list[EnrolledPicture] = []
        self._gallery = gallery
        self._coming = enumerate(pictures)
        self._waiting: deque[tuple[int, NewPicture]] = deque()
        self._sent: list[tuple[int, NewPicture]] = []
        self._known: dict[int, EnrolledPicture] = {}
        self._on_answer = on_answer

    def next_call(self) -> Call[list[EnrolledPicture]] | None:
        """What to send now: 64 pictures, or as many as are left or as fit; None at the end."""
        self._sent, size = [], 0
        parts: list[_Part] = []
        while len(self._sent) < PICTURES_PER_CALL:
            if not self._waiting:
                self._waiting.extend(islice(self._coming, 1))
            if not self._waiting:
                break
            part = _part(len(parts), self._waiting[0][1].picture)
            size += len(part[1][1])
            if parts and size > BYTES_PER_CALL:
                break
            self._sent.append(self._waiting.popleft())
            parts.append(part)
        if not self._sent:
            self.outcomes = [self._known[position] for position in sorted(self._known)]
            return None
        return _enrolment(self._gallery, [picture for _, picture in self._sent], parts)

    def take(self, answered: list[EnrolledPicture]) -> None:
        """The answer to the last call.

        Raises:
            UnexpectedAnswer: it is not about as many pictures as were sent.
        """
        if len(answered) != len(self._sent):
            raise UnexpectedAnswer(
                f"{len(self._sent)} pictures were sent, the answer is about {len(answered)}"
            )
        some_got_in = not all(_turned_away(outcome) for outcome in answered)
        told: list[EnrolledPicture] = []
        again: list[tuple[int, NewPicture]] = []
        for (position, picture), outcome in zip(self._sent, answered, strict=True):
            if some_got_in and picture.client_id is not None and _turned_away(outcome):
                again.append((position, picture))
            else:
                self._known[position] = outcome
                told.append(outcome)
        self._waiting.extendleft(reversed(again))
        if self._on_answer is not None:
            self._on_answer(told)


def _turned_away(outcome: EnrolledPicture) -> bool:
    """Whether a picture failed because the service was busy, not because of itself."""
    return outcome.problem is not None and outcome.problem.status in (429, 503, 504)


# When to try again


@dataclass(frozen=True, slots=True)
class Retries:
    """How patiently a repeatable call is tried again.

    Attributes:
        attempts: in all, the first included.
        first_wait_s: before the second attempt; doubles from there, and each wait is shortened at random
            by up to a half so that clients that were refused together do not come back together.
        longest_wait_s: no single wait is longer, whatever ``Retry-After`` asks for.
    """

    attempts: int = 6
    first_wait_s: float = 0.25
    longest_wait_s: float = 15.0

    def wait(
        self, call: Call[Any], tries: int, outcome: httpx.Response | httpx.TransportError
    ) -> float | None:
        """Seconds to wait before the next attempt, or None if there is to be none.

        Args:
            call: what was sent.
            tries: how often already, from 1.
            outcome: what came of the last time.
        """
        if not call.repeatable or tries >= self.attempts:
            return None
        backoff = min(self.first_wait_s * 2.0 ** (tries - 1), self.longest_wait_s) * random.uniform(0.5, 1.0)
        if isinstance(outcome, httpx.TransportError):
            return backoff if isinstance(outcome, httpx.ConnectError) else None
        if outcome.status_code != httpx.codes.TOO_MANY_REQUESTS:
            return None
        asked = _retry_after(outcome.headers.get("retry-after"))
        return backoff if asked is None else min(max(asked, backoff), self.longest_wait_s)


def _retry_after(value: str | None) -> float | None:
    """Seconds in a ``Retry-After`` header, which gives seconds or a date; None where it gives neither."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (until.astimezone(UTC) - datetime.now(UTC)).total_seconds())


def _unreachable(base_url: httpx.URL, error: httpx.TransportError) -> ServiceUnreachable:
    reason = str(error) or type(error).__name__
    return ServiceUnreachable(
        f"no answer from {base_url}: {reason}. Is the service running (`penumbra serve`)?"
    )


def _authorization(key: str | None) -> dict[str, str]:
    """The header that carries the key; by default the key in the environment's ``PENUMBRA_KEY``."""
    key = key or os.environ.get("PENUMBRA_KEY")
    return {"Authorization": f"Bearer {key}"} if key else {}


def _default_timeout() -> httpx.Timeout:
    """Connecting is quick or hopeless; an answer may take as long as the service's own deadline and some."""
    return httpx.Timeout(60.0, connect=5.0)


def _on_this_machine(url: str) -> bool:
    """Whether the service is on loopback, which no proxy that the environment names can reach."""
    host = httpx.URL(url).host
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name
        return host == "localhost"


# The two clients


class Client:
    """A service, for code that waits.

    Args:
        url: the service's address.
        timeout: httpx's; 5 s to connect and 60 s for an answer unless given.
        retries: how patiently calls that may be repeated are.
        transport: another way to reach the service, for tests.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        timeout: httpx.Timeout | float | None = None,
        key: str | None = None,
        retries: Retries | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._http = httpx.Client(
            base_url=url,
            headers=_authorization(key),
            timeout=timeout or _default_timeout(),
            transport=transport,
            trust_env=not _on_this_machine(url),
        )
        self._retries = retries or Retries()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def send(self, call: Call[T]) -> T:
        """Send a call, again where that is safe, and read its answer.

        Raises:
            ProblemError: the service refused.
            ServiceUnreachable: no answer came.
            UnexpectedAnswer: something else answered.
        """
        tries = 0
        while True:
            tries += 1
            outcome: httpx.Response | httpx.TransportError
            try:
                outcome = self._http.send(call.request(self._http))
            except httpx.TransportError as error:
                outcome = error
            wait = self._retries.wait(call, tries, outcome)
            if wait is not None:
                time.sleep(wait)
            elif isinstance(outcome, httpx.TransportError):
                raise _unreachable(self._http.base_url, outcome) from outcome
            else:
                return call.result(outcome)

    def create_gallery(
        self, name: str, *, keep_pictures: bool = False, retention_days: int | None = None
    ) -> Gallery:
        """Make a gallery. ``ProblemError`` 409 if the name is taken."""
        return self.send(_create_gallery(name, keep_pictures, retention_days))

    def statistics(self, name: str) -> Statistics:
        """What is in a gallery."""
        return self.send(_statistics(name))

    def reindex(self, name: str) -> Reindexing:
        """Begin to bring a gallery's pictures to the present model, in the background of the service."""
        return self.send(_reindex(name, "POST"))

    def reindexing(self, name: str) -> Reindexing:
        """How far :meth:`reindex` is."""
        return self.send(_reindex(name, "GET"))

    def galleries(self, *, page_size: int = 100) -> Iterator[Gallery]:
        """All galleries, fetched page by page."""
        cursor: str | None = None
        while True:
            page = self.send(_gallery_page(page_size, cursor))
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    def gallery(self, name: str) -> Gallery:
        """One gallery. ``ProblemError`` 404 if there is none of that name."""
        return self.send(_gallery(name))

    def change_gallery(self, name: str, **changes: bool | float | None) -> Gallery:
        """Change ``keep_pictures``, ``retention_days``, ``match_rate``, ``uncertain_rate`` or ``prior``.

        Only what is named changes; None leaves a rate or the prior to the model's calibration again.
        """
        return self.send(_change_gallery(name, changes))

    def delete_gallery(self, name: str) -> None:
        """Erase a gallery with everything in it."""
        self.send(_delete_gallery(name))

    def delete_image(self, gallery: str, image: str) -> None:
        """Erase one picture, by the id that enrolling gave."""
        self.send(_delete_image(gallery, image))

    def images(
        self,
        gallery: str,
        *,
        person: str | None = None,
        camera: str | None = None,
        page_size: int = 100,
    ) -> Iterator[Picture]:
        """All pictures in the order of enrolment, of one person or camera if asked, page by page."""
        cursor: str | None = None
        while True:
            page = self.send(_image_page(gallery, page_size, cursor, person, camera))
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    def image(self, gallery: str, image: str) -> Picture:
        """One picture's data, by the id that enrolling gave."""
        return self.send(_image(gallery, image))

    def file(self, gallery: str, image: str) -> bytes:
        """A picture's bytes. ``ProblemError`` 404 if the gallery does not keep pictures."""
        return self.send(_file(gallery, image))

    def people(self, gallery: str, *, page_size: int = 100) -> Iterator[Person]:
        """All people in the order of their names, fetched page by page."""
        cursor: str | None = None
        while True:
            page = self.send(_people_page(gallery, page_size, cursor))
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    def person(self, gallery: str, person: str) -> Person:
        """One person. ``ProblemError`` 404 if there is none of that name."""
        return self.send(_person(gallery, person))

    def rename_person(self, gallery: str, person: str, name: str, *, merge: bool = False) -> Person:
        """Give a person another name; with ``merge`` it may be another person's, and the two become one."""
        return self.send(_rename_person(gallery, person, name, merge))

    def delete_person(self, gallery: str, person: str) -> None:
        """Erase a person with all that is stored of them."""
        self.send(_delete_person(gallery, person))

    def enrol(
        self,
        gallery: str,
        pictures: Iterable[NewPicture],
        *,
        on_answer: Callable[[list[EnrolledPicture]], None] | None = None,
    ) -> list[EnrolledPicture]:
        """Enrol any number of pictures, 64 a call.

        Args:
            gallery: where to.
            pictures: read lazily.
            on_answer: called after each call with what became of its pictures, for a progress bar.

        Returns:
            What became of each picture, in order. A picture that failed does not raise.
        """
        enrolment = _Enrolment(gallery, pictures, on_answer)
        while (call := enrolment.next_call()) is not None:
            enrolment.take(self.send(call))
        return enrolment.outcomes

    def query(
        self,
        gallery: str,
        pictures: Sequence[PictureSource],
        *,
        top_k: int = 10,
        by: Literal["person", "image"] = "person",
        unify: str = "auto",
        boxes: Sequence[Box | None] | None = None,
        filters: Filters | None = None,
        decisions: Decisions | None = None,
        rerank: bool = False,
    ) -> QueryAnswer:
        """Who in the gallery is the person in these 1 to 16 pictures?

        Args:
            gallery: where to look.
            pictures: all of one person.
            top_k: results at most.
            by: rank people by their best picture, or pictures.
            unify: ``auto``, ``off``, ``fuse``, or the name of what is hidden in the query
                (``models.occlusion``).
            boxes: one for each picture, or None for those that show nothing else.
            filters: which of the gallery's pictures are looked at.
            decisions: false-match rates and prior of this call.
            rerank: put the best pictures in the order of their k-reciprocal distance.
        """
        return self.send(_query(gallery, pictures, top_k, by, unify, boxes, filters, decisions, rerank))

    def query_batch(self, gallery: str, queries: Iterable[BatchQuery]) -> Iterator[BatchAnswer]:
        """Any number of queries, read lazily and answered in order. One that fails does not raise.

        Raises:
            OSError: a picture's file cannot be read.
        """
        batch = _Batch(gallery, queries)
        while (call := batch.next_call()) is not None:
            yield from self.send(call)

    def embed(
        self,
        pictures: Sequence[PictureSource],
        *,
        occlusions: Sequence[str] = ("none",),
        boxes: Sequence[Box | None] | None = None,
    ) -> EmbedAnswer:
        """Embeddings and grades of 1 to 64 pictures; nothing is kept.

        Args:
            pictures: of whomever.
            occlusions: what is hidden before the picture is embedded (``models.occlusion``), one vector each.
            boxes: as for :meth:`query`.
        """
        return self.send(_embed(pictures, occlusions, boxes))

    def verify(
        self,
        pictures: Sequence[PictureSource],
        *,
        gallery: str | None = None,
        person: str | None = None,
        unify: str = "auto",
        boxes: Sequence[Box | None] | None = None,
        decisions: Decisions | None = None,
    ) -> Verification:
        """How alike two pictures are; or one picture and an enrolled ``person`` of a ``gallery``."""
        return self.send(_verify(pictures, gallery, person, unify, boxes, decisions))

    def model(self) -> Model:
        """The served model."""
        return self.send(_model())

    def ready(self) -> bool:
        """Whether the service takes work now; False while it starts or stops."""
        return self.send(_ready())


class AsyncClient:
    """A service, for asyncio. The same as :class:`Client`, whose docstrings say what each method does."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        timeout: httpx.Timeout | float | None = None,
        key: str | None = None,
        retries: Retries | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._http = httpx.AsyncClient(
            base_url=url,
            headers=_authorization(key),
            timeout=timeout or _default_timeout(),
            transport=transport,
            trust_env=not _on_this_machine(url),
        )
        self._retries = retries or Retries()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def send(self, call: Call[T]) -> T:
        """As :meth:`Client.send`."""
        tries = 0
        while True:
            tries += 1
            outcome: httpx.Response | httpx.TransportError
            try:
                outcome = await self._http.send(call.request(self._http))
            except httpx.TransportError as error:
                outcome = error
            wait = self._retries.wait(call, tries, outcome)
            if wait is not None:
                await asyncio.sleep(wait)
            elif isinstance(outcome, httpx.TransportError):
                raise _unreachable(self._http.base_url, outcome) from outcome
            else:
                return call.result(outcome)

    async def create_gallery(
        self, name: str, *, keep_pictures: bool = False, retention_days: int | None = None
    ) -> Gallery:
        """As :meth:`Client.create_gallery`."""
        return await self.send(_create_gallery(name, keep_pictures, retention_days))

    async def statistics(self, name: str) -> Statistics:
        """As :meth:`Client.statistics`."""
        return await self.send(_statistics(name))

    async def reindex(self, name: str) -> Reindexing:
        """As :meth:`Client.reindex`."""
        return await self.send(_reindex(name, "POST"))

    async def reindexing(self, name: str) -> Reindexing:
        """As :meth:`Client.reindexing`."""
        return await self.send(_reindex(name, "GET"))

    async def galleries(self, *, page_size: int = 100) -> AsyncIterator[Gallery]:
        """As :meth:`Client.galleries`."""
        cursor: str | None = None
        while True:
            page = await self.send(_gallery_page(page_size, cursor))
            for gallery in page.items:
                yield gallery
            cursor = page.next_cursor
            if cursor is None:
                return

    async def gallery(self, name: str) -> Gallery:
        """As :meth:`Client.gallery`."""
        return await self.send(_gallery(name))

    async def change_gallery(self, name: str, **changes: bool | float | None) -> Gallery:
        """As :meth:`Client.change_gallery`."""
        return await self.send(_change_gallery(name, changes))

    async def delete_gallery(self, name: str) -> None:
        """As :meth:`Client.delete_gallery`."""
        await self.send(_delete_gallery(name))

    async def delete_image(self, gallery: str, image: str) -> None:
        """As :meth:`Client.delete_image`."""
        await self.send(_delete_image(gallery, image))

    async def images(
        self,
        gallery: str,
        *,
        person: str | None = None,
        camera: str | None = None,
        page_size: int = 100,
    ) -> AsyncIterator[Picture]:
        """As :meth:`Client.images`."""
        cursor: str | None = None
        while True:
            page = await self.send(_image_page(gallery, page_size, cursor, person, camera))
            for item in page.items:
                yield item
            cursor = page.next_cursor
            if cursor is None:
                return

    async def image(self, gallery: str, image: str) -> Picture:
        """As :meth:`Client.image`."""
        return await self.send(_image(gallery, image))

    async def file(self, gallery: str, image: str) -> bytes:
        """As :meth:`Client.file`."""
        return await self.send(_file(gallery, image))

    async def people(self, gallery: str, *, page_size: int = 100) -> AsyncIterator[Person]:
        """As :meth:`Client.people`."""
        cursor: str | None = None
        while True:
            page = await self.send(_people_page(gallery, page_size, cursor))
            for item in page.items:
                yield item
            cursor = page.next_cursor
            if cursor is None:
                return

    async def person(self, gallery: str, person: str) -> Person:
        """As :meth:`Client.person`."""
        return await self.send(_person(gallery, person))

    async def rename_person(self, gallery: str, person: str, name: str, *, merge: bool = False) -> Person:
        """As :meth:`Client.rename_person`."""
        return await self.send(_rename_person(gallery, person, name, merge))

    async def delete_person(self, gallery: str, person: str) -> None:
        """As :meth:`Client.delete_person`."""
        await self.send(_delete_person(gallery, person))

    async def enrol(
        self,
        gallery: str,
        pictures: Iterable[NewPicture],
        *,
        on_answer: Callable[[list[EnrolledPicture]], None] | None = None,
    ) -> list[EnrolledPicture]:
        """As :meth:`Client.enrol`; files are read in a thread."""
        enrolment = _Enrolment(gallery, pictures, on_answer)
        while (call := await asyncio.to_thread(enrolment.next_call)) is not None:
            enrolment.take(await self.send(call))
        return enrolment.outcomes

    async def query(
        self,
        gallery: str,
        pictures: Sequence[PictureSource],
        *,
        top_k: int = 10,
        by: Literal["person", "image"] = "person",
        unify: str = "auto",
        boxes: Sequence[Box | None] | None = None,
        filters: Filters | None = None,
        decisions: Decisions | None = None,
        rerank: bool = False,
    ) -> QueryAnswer:
        """As :meth:`Client.query`."""
        return await self.send(
            await asyncio.to_thread(
                _query, gallery, pictures, top_k, by, unify, boxes, filters, decisions, rerank
            )
        )

    async def query_batch(self, gallery: str, queries: Iterable[BatchQuery]) -> AsyncIterator[BatchAnswer]:
        """As :meth:`Client.query_batch`; files are read in a thread."""
        batch = _Batch(gallery, queries)
        while (call := await asyncio.to_thread(batch.next_call)) is not None:
            for answer in await self.send(call):
                yield answer

    async def embed(
        self,
        pictures: Sequence[PictureSource],
        *,
        occlusions: Sequence[str] = ("none",),
        boxes: Sequence[Box | None] | None = None,
    ) -> EmbedAnswer:
        """As :meth:`Client.embed`."""
        return await self.send(await asyncio.to_thread(_embed, pictures, occlusions, boxes))

    async def verify(
        self,
        pictures: Sequence[PictureSource],
        *,
        gallery: str | None = None,
        person: str | None = None,
        unify: str = "auto",
        boxes: Sequence[Box | None] | None = None,
        decisions: Decisions | None = None,
    ) -> Verification:
        """As :meth:`Client.verify`."""
        return await self.send(
            await asyncio.to_thread(_verify, pictures, gallery, person, unify, boxes, decisions)
        )

    async def model(self) -> Model:
        """As :meth:`Client.model`."""
        return await self.send(_model())

    async def ready(self) -> bool:
        """As :meth:`Client.ready`."""
        return await self.send(_ready())
