"""What several parts of the catalog share: how a row reads, and what is said of one that is not there."""

from __future__ import annotations

from dataclasses import fields
from typing import Final

import numpy as np
import numpy.typing as npt
from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from service.index.protocol import IndexKind
from service.matching.decision import Rule
from service.problems import UnknownGallery, UnknownImage, UnknownPerson
from service.storage.records import GalleryKey
from service.storage.tables import GalleryRow, ImageRow

__all__ = [
    "CHUNK",
    "KEY",
    "REMOVED",
    "RULE",
    "key_in",
    "key_of",
    "read_scores",
    "unknown_gallery",
    "unknown_image",
    "unknown_person",
]

CHUNK: Final = 5000
"""Bound parameters in one statement; SQLite takes 32,766, PostgreSQL 65,535."""

RULE: Final = tuple(getattr(GalleryRow, rule.name) for rule in fields(Rule))
KEY: Final = select(GalleryRow.number, GalleryRow.keep_pictures, GalleryRow.index, *RULE).where(
    GalleryRow.name == bindparam("name")
)
"""Number and settings of a gallery, by its ``name``; a row is read by :func:`key_of`."""

REMOVED: Final = select(ImageRow.number, ImageRow.id, ImageRow.kept)
"""The fields of a :class:`service.storage.records.RemovedImage`."""


def key_of(number: int, keep_pictures: bool, index: IndexKind, *rule: float | None) -> GalleryKey:
    """A row of :data:`KEY`."""
    return GalleryKey(number, keep_pictures, Rule(*rule), index)


def key_in(session: Session, name: str) -> GalleryKey:
    """What a gallery's name stands for, within a transaction.

    Raises:
        UnknownGallery: no gallery has it.
    """
    row = session.execute(KEY, {"name": name}).one_or_none()
    if row is None:
        raise unknown_gallery(name)
    return key_of(*row)


def read_scores(blob: bytes | None) -> npt.NDArray[np.float32] | None:
    """The grader's scores of a row, float32 [4]; None without a grader."""
    return None if blob is None else np.frombuffer(blob, dtype="<f4")


def unknown_gallery(name: str) -> UnknownGallery:
    """No gallery has this name."""
    return UnknownGallery(f"there is no gallery {name!r}")


def unknown_image(gallery: str, id: str) -> UnknownImage:
    """The gallery has no image of this id."""
    return UnknownImage(f"gallery {gallery!r} has no image {id!r}")


def unknown_person(person: str) -> UnknownPerson:
    """The gallery has nobody of this name."""
    return UnknownPerson(f"there is no person {person!r} in this gallery")
