"""The galleries: their names, settings and counts."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, bindparam, delete, func, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from service.clock import now
from service.index.protocol import IndexKind
from service.matching.decision import NO_WISHES, Rule
from service.problems import BadRequest, GalleryExists, Problem
from service.storage.catalog.erased import note_features
from service.storage.catalog.rows import KEY, RULE, key_in, key_of, unknown_gallery
from service.storage.database import Database
from service.storage.keys import unbind
from service.storage.records import GalleryKey, GalleryRecord, GalleryStatistics
from service.storage.tables import FeaturesRow, GalleryRow, ImageRow, PersonRow, PreviousRow

__all__ = ["GalleryCatalog"]


class GalleryCatalog:
    """The galleries of a catalog. See :class:`service.storage.catalog.Catalog`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._naming = threading.Lock()
        self._keys: dict[str, GalleryKey] | None = None  # None: ask the database

    def keep_at_hand(self) -> None:
        """Remember all names from here on, until :meth:`ask_again`: nobody else may change galleries."""
        with self._naming, self._database.engine.connect() as connection:
            self._keys = {
                name: key_of(number, keep_pictures, index, *rule)
                for name, number, keep_pictures, index, *rule in connection.execute(_KEYS)
            }

    def ask_again(self) -> None:
        """From here on the database is asked for every name."""
        self._keys = None

    def create(
        self,
        name: str,
        keep_pictures: bool,
        rule: Rule = NO_WISHES,
        retention_days: int | None = None,
        index: IndexKind = "auto",
    ) -> tuple[GalleryKey, GalleryRecord]:
        """Make an empty gallery; answers what its name stands for, and the gallery.

        Raises:
            GalleryExists: the name is taken.
        """
        created_at = now()

        def work(session: Session) -> GalleryKey:
            if session.scalar(select(GalleryRow.number).where(GalleryRow.name == name)) is not None:
                raise GalleryExists(f"there is a gallery {name!r} already")
            row = GalleryRow(
                name=name,
                keep_pictures=keep_pictures,
                created_at=created_at,
                retention_days=retention_days,
                index=index,
                **asdict(rule),
            )
            session.add(row)
            session.flush()
            return GalleryKey(row.number, keep_pictures, rule, index)

        with self._renamed() as keys:
            keys[name] = self._database.transact(work)
        made = GalleryRecord(name, 0, 0, 0, keep_pictures, created_at, retention_days, rule, index)
        return keys[name], made

    def change(self, name: str, changes: Mapping[str, bool | float | str | None]) -> GalleryKey:
        """Change a gallery's settings.

        Args:
            changes: new values of ``keep_pictures``, ``retention_days``, ``index``, ``match_rate``,
                ``uncertain_rate`` and ``prior``, of those that change.

        Raises:
            UnknownGallery: there is none.
            BadRequest: the gallery's rates would contradict each other.
        """

        def work(session: Session) -> GalleryKey:
            before = key_in(session, name)
            if changes:
                session.execute(
                    update(GalleryRow).where(GalleryRow.number == before.number).values(**changes)
                )
            after = key_in(session, name)
            if after.rule.fault is not None:
                raise BadRequest(after.rule.fault)
            return after

        with self._renamed() as keys:
            keys[name] = self._database.transact(work)
        return keys[name]

    def key_at_hand(self, name: str) -> GalleryKey | None:
        """What a name stands for, without asking the database; None where only :meth:`key` can tell.

        Raises:
            UnknownGallery: no gallery has it.
        """
        keys = self._keys
        if keys is None:
            return None
        key = keys.get(name)
        if key is None and self._keys is keys:
            raise unknown_gallery(name)
        return key

    def key(self, name: str) -> GalleryKey:
        """What a name stands for at this moment.

        Raises:
            UnknownGallery: no gallery has it.
        """
        with self._database.engine.connect() as connection:
            row = connection.execute(KEY, {"name": name}).one_or_none()
        if row is None:
            raise unknown_gallery(name)
        return key_of(*row)

    def get(self, name: str, fingerprint: str) -> GalleryRecord:
        """A gallery with its counts; ``pending`` counts what is not of this fingerprint.

        Raises:
            UnknownGallery: there is none.
        """
        with self._database.engine.connect() as connection:
            row = connection.execute(_GALLERY, {"name": name, "fingerprint": fingerprint}).one_or_none()
        if row is None:
            raise unknown_gallery(name)
        return _record_of(*row)

    def page(
        self, fingerprint: str, limit: int, after: str = "", among: Sequence[str] | None = None
    ) -> list[GalleryRecord]:
        """Up to ``limit`` galleries in the order of their names, those after the name ``after``.

        Args:
            among: names; None: all galleries.
        """
        wanted: dict[str, Any] = {"fingerprint": fingerprint, "after": after, "limit": limit}
        statement = _GALLERIES
        if among is not None:
            wanted["among"], statement = list(among), _GALLERIES_AMONG
        with self._database.engine.connect() as connection:
            return [_record_of(*row) for row in connection.execute(statement, wanted)]

    def statistics(self, name: str, fingerprint: str) -> GalleryStatistics:
        """What is in a gallery; reads every row of it but the features.

        Raises:
            UnknownGallery: there is none.
        """
        record = self.get(name, fingerprint)
        mine = ImageRow.gallery == select(GalleryRow.number).where(GalleryRow.name == name).scalar_subquery()
        dates = select(func.min(ImageRow.enrolled_at), func.max(ImageRow.enrolled_at)).where(mine)
        sizes = [
            select(func.coalesce(func.sum(func.length(made.features)), 0))
            .join_from(ImageRow, made, made.image == ImageRow.number)
            .where(mine)
            for made in (FeaturesRow, PreviousRow)
        ]
        graded = select(ImageRow.occlusion, func.count()).where(mine).group_by(ImageRow.occlusion)
        with self._database.engine.connect() as connection:
            first, last = connection.execute(dates).one()
            size = sum(int(connection.execute(one).scalar_one()) for one in sizes)
            codes = {row[0]: row[1] for row in connection.execute(graded)}
        return GalleryStatistics(record.images, record.people, record.pending, codes, size, first, last)

    def delete(self, name: str) -> GalleryKey:
        """Delete a gallery with all that is stored of it; answers what it was.

        Keys that are bound to it open no other gallery that gets its name.

        Raises:
            UnknownGallery: there is none.
        """

        def work(session: Session) -> GalleryKey:
            key = key_in(session, name)
            note_features(session, ImageRow.gallery == key.number)
            session.execute(delete(ImageRow).where(ImageRow.gallery == key.number))
            session.execute(delete(PersonRow).where(PersonRow.gallery == key.number))
            session.execute(delete(GalleryRow).where(GalleryRow.number == key.number))
            unbind(session, name)
            return key

        with self._renamed() as keys:
            key = self._database.transact(work)
            keys.pop(name, None)
        self._database.forget()
        return key

    def numbers(self) -> list[int]:
        """The numbers of all galleries, ascending."""
        return list(self.kinds())

    def kinds(self) -> dict[int, IndexKind]:
        """The numbers of all galleries, ascending, and how the index keeps each."""
        statement = select(GalleryRow.number, GalleryRow.index).order_by(GalleryRow.number)
        with self._database.engine.connect() as connection:
            return {number: kind for number, kind in connection.execute(statement)}  # noqa: C416 - typed

    @contextmanager
    def _renamed(self) -> Iterator[dict[str, GalleryKey]]:
        """Change which galleries there are: the names at hand, to be changed as the database was.

        Meanwhile, and for good if nobody knows how the change ended, the database is asked.
        """
        with self._naming:
            keys, self._keys = self._keys, None
            changed = {} if keys is None else dict(keys)
            try:
                yield changed
            except (Problem, DBAPIError):  # nothing was changed: see Database.transact
                self._keys = keys
                raise
            if keys is not None:
                self._keys = changed


def _record_of(
    name: str,
    images: int,
    people: int,
    pending: int,
    keep_pictures: bool,
    created_at: datetime,
    retention_days: int | None,
    index: IndexKind,
    *rule: float | None,
) -> GalleryRecord:
    """A row of :func:`_counted`."""
    return GalleryRecord(
        name, images, people, pending, keep_pictures, created_at, retention_days, Rule(*rule), index
    )


def _counted() -> Select[Any]:
    """Galleries in the order of :class:`GalleryRecord`'s fields, the rule's last."""
    images = select(func.count()).where(ImageRow.gallery == GalleryRow.number)
    people = select(func.count()).where(PersonRow.gallery == GalleryRow.number)
    return select(
        GalleryRow.name,
        images.scalar_subquery(),
        people.scalar_subquery(),
        images.where(ImageRow.fingerprint != bindparam("fingerprint")).scalar_subquery(),
        GalleryRow.keep_pictures,
        GalleryRow.created_at,
        GalleryRow.retention_days,
        GalleryRow.index,
        *RULE,
    )


# Made once: building a statement costs more than SQLite takes to answer it.
_KEYS: Final = select(GalleryRow.name, GalleryRow.number, GalleryRow.keep_pictures, GalleryRow.index, *RULE)
_GALLERY: Final = _counted().where(GalleryRow.name == bindparam("name"))
_GALLERIES: Final = (
    _counted().where(GalleryRow.name > bindparam("after")).order_by(GalleryRow.name).limit(bindparam("limit"))
)
_GALLERIES_AMONG: Final = _GALLERIES.where(GalleryRow.name.in_(bindparam("among", expanding=True)))
