"""Commits that index, snapshot and kept pictures may be behind.

Of some nobody knows the end: the connection broke while the database was committing. The catalog has done it
or not, and the caller was told to come back. Others were done, and the index failed to follow, e.g. for want
of memory. Nothing else is written before the catalog was asked, and the rest brought to what it says.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from service.index.protocol import Entries

if TYPE_CHECKING:
    from service.gallery.parts import Parts

__all__ = ["AT_ONCE", "Doubt", "index_again", "settle"]

_log = logging.getLogger(__name__)

AT_ONCE: Final = 500
"""Pictures, with their features, that are held at a time."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """What such a commit was about.

    Attributes:
        gallery: number.
        pictures: their numbers; those that were to be stored, changed or erased.
        files: public ids of pictures whose bytes may be kept.
    """

    gallery: int
    pictures: Sequence[int] = ()
    files: Sequence[str] = ()


def index_again(parts: Parts, gallery: int, pictures: Sequence[int]) -> set[int]:
    """Add to the index what the catalog has of some pictures. To be called with the lock held.

    Returns:
        Those that the catalog has, of the present model.
    """
    found, _ = parts.catalog.features.graded(gallery, pictures, parts.embedder.fingerprint)
    if len(found.ids):
        parts.index.add(gallery, Entries(found.ids, found.people, found.occlusions, found.features))
    return set(found.ids.tolist())


def settle(parts: Parts, doubt: Doubt) -> None:
    """Bring index, snapshot and kept pictures to what the catalog says. To be called with the lock held.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: the catalog does not answer; the doubt stays.
    """
    parts.catalog.database.wait_for_writers()  # the commit may still be under way
    kind = parts.catalog.galleries.kinds().get(doubt.gallery)
    if kind is None:
        parts.drop(doubt.gallery)
        return
    to_be_flat = parts.index.keep(doubt.gallery, kind)  # and whoever changed that does not go on with it
    there: set[int] = set()
    for start in range(0, len(doubt.pictures), AT_ONCE):
        there |= index_again(parts, doubt.gallery, doubt.pictures[start : start + AT_ONCE])
    if to_be_flat:
        comparable = parts.catalog.features.comparable(doubt.gallery, parts.embedder.fingerprint)
        others = np.setdiff1d(comparable.numbers, list(there)).tolist()
        for start in range(0, len(others), AT_ONCE):
            index_again(parts, doubt.gallery, others[start : start + AT_ONCE])
    if parts.snapshots is not None:
        parts.snapshots.note(doubt.gallery, sorted(there))
    if gone := [number for number in doubt.pictures if number not in there]:
        parts.index.remove(doubt.gallery, gone)
        if parts.snapshots is not None:
            parts.snapshots.erase(doubt.gallery, gone)
    previous = parts.previous
    if previous is not None and doubt.gallery in previous.galleries:
        for start in range(0, len(doubt.pictures), AT_ONCE):
            some = doubt.pictures[start : start + AT_ONCE]
            found, _ = parts.catalog.previous.graded(doubt.gallery, some, previous.embedder.fingerprint)
            if len(found.ids):
                entries = Entries(found.ids, found.people, found.occlusions, found.features)
                previous.index.add(doubt.gallery, entries)
    for start in range(0, len(doubt.files), AT_ONCE):
        files = doubt.files[start : start + AT_ONCE]
        kept = parts.catalog.pictures.among(doubt.gallery, files)
        parts.remove_pictures(doubt.gallery, [id for id in files if id not in kept])
    _log.info(
        "a commit that was not followed is settled: of %d pictures the catalog has %d",
        len(doubt.pictures),
        len(there),
    )
