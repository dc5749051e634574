"""What is sent: pictures, and what is asked or told of them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

from service.moments import written

__all__ = [
    "BatchQuery",
    "Box",
    "Decisions",
    "Filters",
    "NewPicture",
    "Part",
    "PictureSource",
    "content_of",
    "part_of",
    "parts_of",
]

PictureSource: TypeAlias = Path | str | bytes
"""A picture: where its file is, or the file's bytes."""

Box: TypeAlias = tuple[int, int, int, int]
"""Where in a full frame the person is: x, y, width, height, pixels of the upright picture."""

Part: TypeAlias = tuple[str, tuple[str, bytes, str]]
"""A multipart part as httpx takes it: field, (file name, content, media type)."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What a query looks at; what is empty or None asks nothing.

    Attributes:
        cameras, people: only pictures from these cameras, of these persons.
        exclude_cameras, exclude_people: none of these.
        time_from, time_to: only pictures taken at or after, and before; with time zone.
        metadata: only pictures whose own metadata has each of these members, with this value.
    """

    cameras: Sequence[str] = ()
    people: Sequence[str] = ()
    exclude_cameras: Sequence[str] = ()
    exclude_people: Sequence[str] = ()
    time_from: datetime | None = None
    time_to: datetime | None = None
    metadata: Mapping[str, str | int | float | bool] = field(default_factory=dict)

    def form(self) -> dict[str, str]:
        """The form fields that say so."""
        names = {
            name: json.dumps(list(getattr(self, name)), ensure_ascii=False)
            for name in ("cameras", "people", "exclude_cameras", "exclude_people")
            if getattr(self, name)
        }
        if self.metadata:
            names["metadata"] = json.dumps(dict(self.metadata), ensure_ascii=False)
        times = {"time_from": self.time_from, "time_to": self.time_to}
        return names | {name: written(moment) for name, moment in times.items() if moment is not None}


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
    overlays: bool = False
    evidence: int = 1

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
            "overlays": self.overlays or None,
            "evidence": None if self.evidence == 1 else self.evidence,
        }
        if self.filters is not None:
            told = asdict(self.filters)
            given |= {name: value for name, value in told.items() if value not in ((), [], {})}
            for name in ("time_from", "time_to"):
                moment: datetime | None = told[name]
                given[name] = None if moment is None else written(moment)
        if self.decisions is not None:
            given |= asdict(self.decisions)
        given["pictures"] = [base64.b64encode(content_of(picture)).decode() for picture in self.pictures]
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

    def item(self) -> dict[str, Any]:
        """One object of the form field ``items``; what is not known is left out."""
        known = {
            "person": self.person,
            "camera": self.camera,
            "time": written(self.time) if self.time is not None else None,
            "client_id": self.client_id,
            "box": self.box,
            "metadata": dict(self.metadata) if self.metadata is not None else None,
        }
        return {name: value for name, value in known.items() if value is not None}


def content_of(picture: PictureSource) -> bytes:
    """A picture's bytes.

    Raises:
        OSError: its file cannot be read.
    """
    return picture if isinstance(picture, bytes) else Path(picture).read_bytes()


def part_of(number: int, picture: PictureSource) -> Part:
    """A multipart part. The name is a number: paths of the caller's machine are nobody else's business."""
    return "files", (f"{number}", content_of(picture), "application/octet-stream")


def parts_of(pictures: Iterable[PictureSource]) -> list[Part]:
    """A multipart part for each picture, in order.

    Raises:
        ValueError: there is none.
    """
    parts = [part_of(number, picture) for number, picture in enumerate(pictures)]
    if not parts:
        raise ValueError("at least one picture is needed")
    return parts
