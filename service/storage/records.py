"""What the catalog takes and answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from service.index.protocol import IndexKind
from service.matching.decision import NO_WISHES, Rule

__all__ = [
    "ComparablePictures",
    "DuplicateRecord",
    "Enrolled",
    "ErasedFeatures",
    "GalleryKey",
    "GalleryRecord",
    "GalleryStatistics",
    "ImageRecord",
    "MadeBefore",
    "NewImage",
    "PendingPicture",
    "PendingPictures",
    "PersonRecord",
    "PictureRecord",
    "Reassigned",
    "RemovedImage",
    "Said",
    "StoredFeatures",
]

Said: TypeAlias = Literal["person", "camera", "time", "metadata"]
"""What a caller says of a picture."""


@dataclass(frozen=True, slots=True)
class GalleryKey:
    """What a gallery's name stands for: its number, whether it keeps pictures, how it decides, its index."""

    number: int
    keep_pictures: bool
    rule: Rule = NO_WISHES
    index: IndexKind = "auto"


@dataclass(frozen=True, slots=True)
class GalleryRecord:
    """A gallery as shown.

    Attributes:
        name: unique.
        images: pictures, pending ones included.
        people: persons with at least one picture.
        pending: pictures whose features are of another model than the present one.
        keep_pictures: whether the pictures' bytes are kept.
        created_at: aware, UTC.
        retention_days: pictures enrolled longer ago are erased; None: kept until somebody erases them.
        rule: how it decides, unless a call says otherwise.
        index: how its index keeps the pictures.
    """

    name: str
    images: int
    people: int
    pending: int
    keep_pictures: bool
    created_at: datetime
    retention_days: int | None = None
    rule: Rule = NO_WISHES
    index: IndexKind = "auto"


@dataclass(frozen=True, slots=True)
class GalleryStatistics:
    """What is in a gallery.

    Attributes:
        images, people, pending: as in :class:`GalleryRecord`.
        by_occlusion: pictures by the code that they are graded as; codes without a picture are left out.
        feature_bytes: of all stored features.
        first_enrolled, last_enrolled: aware, UTC; None where it is empty.
    """

    images: int
    people: int
    pending: int
    by_occlusion: Mapping[int, int]
    feature_bytes: int
    first_enrolled: datetime | None
    last_enrolled: datetime | None


@dataclass(frozen=True, slots=True)
class MadeBefore:
    """What the previous model made of a picture: its fingerprint, the rest as in :class:`NewImage`."""

    fingerprint: str
    occlusion: int
    scores: npt.NDArray[np.float32] | None
    features: npt.NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class NewImage:
    """A picture to be enrolled.

    Attributes:
        id: public id, :func:`service.storage.ulid.new_ulid`.
        digest: SHA-256 of the picture's bytes, 64 hex digits.
        person: the person's name in this gallery.
        camera, time, client_id, metadata: the caller's; ``time`` is aware.
        kept: whether the bytes were kept.
        occlusion: graded code c(i).
        scores: float32 [4], the grader's; None without a grader.
        features: float16 [9, D], F(i, u).
        before: by the previous model, where that answers for the gallery; else None.
    """

    id: str
    digest: str
    person: str
    camera: str | None
    time: datetime | None
    client_id: str | None
    metadata: Mapping[str, Any]
    kept: bool
    occlusion: int
    scores: npt.NDArray[np.float32] | None
    features: npt.NDArray[np.float16]
    before: MadeBefore | None = None


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What became of one :class:`NewImage`.

    Attributes:
        status: ``enrolled``: a new row; ``exists``: the client id is known with the same bytes, the row
            is the earlier one; ``conflict``: the client id is known with other bytes, nothing was done.
        id, number, person, occlusion, scores: of the row; of the conflicting row in case of conflict.
        indexable: the new features were stored (new row, or an earlier one that was pending).
        person_name: of the row.
        duplicate_of: public id of the gallery's first picture with the same content, if that is another one.
        differs: where it exists, what was said of it otherwise than the row has it, which stays; what was not
            said differs from nothing.
    """

    status: Literal["enrolled", "exists", "conflict"]
    id: str
    number: int
    person: int
    occlusion: int
    scores: npt.NDArray[np.float32] | None
    indexable: bool
    person_name: str
    duplicate_of: str | None = None
    differs: tuple[Said, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """A picture as shown in an answer.

    Attributes:
        id: public id.
        person: name.
        camera, time: the caller's.
        occlusion: graded code.
        scores: float32 [4], the grader's; None without a grader.
        client_id, metadata: the caller's.
    """

    id: str
    person: str
    camera: str | None
    time: datetime | None
    occlusion: int
    scores: npt.NDArray[np.float32] | None
    client_id: str | None
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PictureRecord(ImageRecord):
    """A picture with all that was told of it.

    Attributes:
        number: its id in the index, in the order of enrolment.
        kept: whether its bytes are kept.
        enrolled_at: aware, UTC.
        fingerprint: of the model that made its features.
    """

    number: int
    kept: bool
    enrolled_at: datetime
    fingerprint: str


@dataclass(frozen=True, slots=True)
class DuplicateRecord:
    """A picture whose content an earlier picture of its gallery has.

    Attributes:
        number: its id in the index, in the order of enrolment.
        id, person, client_id: its public id, whom it shows, the caller's.
        first, first_person: public id of the first picture of that content, and whom that one shows.
    """

    number: int
    id: str
    person: str
    client_id: str | None
    first: str
    first_person: str


@dataclass(frozen=True, slots=True)
class PersonRecord:
    """A person of a gallery, and how many pictures show them."""

    name: str
    images: int


@dataclass(frozen=True, slots=True)
class ErasedFeatures:
    """Features of an erased picture that may still be in the feature cache.

    Attributes:
        number: of the note.
        fingerprint, digest: under which they may be cached.
    """

    number: int
    fingerprint: str
    digest: str


@dataclass(frozen=True, slots=True)
class RemovedImage:
    """A picture that was deleted.

    Attributes:
        number: its id in the index.
        id: public id.
        kept: whether its bytes were kept.
    """

    number: int
    id: str
    kept: bool


@dataclass(frozen=True, slots=True)
class PendingPicture:
    """A kept picture whose features are of another model.

    Attributes:
        number: its id in the index.
        id: public id.
        digest, fingerprint: under which its features may be cached.
    """

    number: int
    id: str
    digest: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class PendingPictures:
    """How many pictures a gallery has, and how many of them are of another model: kept, and not kept."""

    images: int
    kept: int
    not_kept: int


@dataclass(frozen=True, slots=True)
class Reassigned:
    """Pictures that show another person now: their numbers in the index, and the person's."""

    numbers: Sequence[int]
    person: int


@dataclass(frozen=True, slots=True)
class StoredFeatures:
    """Features of N pictures of one gallery, as the index takes them.

    Attributes:
        gallery: gallery number.
        ids, people, occlusions: int64 [N].
        features: float16 [N, 9, D].
    """

    gallery: int
    ids: npt.NDArray[np.int64]
    people: npt.NDArray[np.int64]
    occlusions: npt.NDArray[np.int64]
    features: npt.NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class ComparablePictures:
    """Pictures of one gallery whose features are of one model, in the order of their numbers.

    Attributes:
        numbers, people, occlusions: int64 [N].
        ids: S26 [N], public ids.
    """

    numbers: npt.NDArray[np.int64]
    ids: npt.NDArray[np.bytes_]
    people: npt.NDArray[np.int64]
    occlusions: npt.NDArray[np.int64]
